//! A run of the program: to its end, or watched.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use orchestrate::event::{Event, Kind};
use orchestrate::plan::Plan;

use crate::events::Events;

/// How long an event is waited for.
const LONGEST: Duration = Duration::from_secs(120);

/// A run that has ended.
#[derive(Debug)]
pub struct Run {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
}

impl Run {
    /// Runs a command to its end.
    pub fn of(mut command: Command) -> Self {
        let output = command.stdin(Stdio::null()).output();
        let Output { status, stdout, stderr } = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self {
            code: status.code(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    /// The run, if it ended with this exit code.
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// What `plan --json` printed.
    pub fn plan(&self) -> Plan {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// What `apply --json` printed.
    pub fn events(&self) -> Events {
        Events(self.stdout.lines().map(event).collect())
    }
}

fn event(line: &str) -> Event {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// An `apply --json` that runs; it is killed when this value goes.
pub struct Watched {
    child: Child,
    lines: Receiver<Event>,
    said: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
    /// What it has said so far.
    pub events: Events,
}

impl Watched {
    /// Starts a command.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            // A run that is killed may leave half a line.
            for line in stdout.split(b'\n').map_while(Result::ok) {
                let Ok(event) = serde_json::from_slice(&line) else { break };
                if sender.send(event).is_err() {
                    break;
                }
            }
        });
        let mut stderr = child.stderr.take().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let hears = Arc::clone(&said);
        let listener = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut buffer) {
                hears.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        Self { child, lines, said, listener: Some(listener), events: Events::default() }
    }

    /// Waits until the run says this on stderr.
    ///
    /// # Panics
    ///
    /// If it does not for two minutes.
    pub fn until_said(&self, text: &str) {
        let began = Instant::now();
        while !self.said().contains(text) {
            assert!(began.elapsed() < LONGEST, "{text:?} is not said; but:\n{}", self.said());
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Reads events until one fits.
    ///
    /// # Panics
    ///
    /// If the run ends before, or none comes for two minutes.
    pub fn until(&mut self, fits: impl Fn(&Kind) -> bool) {
        loop {
            if self.next("the event that is waited for").is_some_and(|kind| fits(&kind)) {
                return;
            }
        }
    }

    fn next(&mut self, what: &str) -> Option<Kind> {
        match self.lines.recv_timeout(LONGEST) {
            Ok(event) => {
                self.events.0.push(event.clone());
                Some(event.event)
            }
            Err(RecvTimeoutError::Timeout) => panic!("{what} does not come; so far:\n{:?}", self.events),
            Err(RecvTimeoutError::Disconnected) => {
                panic!("the run ended without {what}; it said:\n{}\n{:#?}", self.said(), self.events)
            }
        }
    }

    /// `kill -9`; gives all that the run said.
    pub fn kill(mut self) -> Events {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "the run ended before it was killed: {status}\n{:?}", self.events);
        self.rest();
        std::mem::take(&mut self.events)
    }

    /// Sends a signal by its name to the run and its children, as a terminal does.
    pub fn signal(&self, name: &str) {
        let group = format!("-{}", self.child.id());
        let status = Command::new("kill").args(["-s", name, "--", &group]).status().unwrap();
        assert!(status.success(), "kill -{name}");
    }

    /// Waits for the end.
    pub fn wait(mut self) -> (Events, Run) {
        self.rest();
        let status = self.child.wait().unwrap();
        self.listener.take().unwrap().join().unwrap();
        (std::mem::take(&mut self.events), Run { code: status.code(), stdout: String::new(), stderr: self.said() })
    }

    fn rest(&mut self) {
        loop {
            match self.lines.recv_timeout(LONGEST) {
                Ok(event) => self.events.0.push(event),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => panic!("the run does not end; so far:\n{:?}", self.events),
            }
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
