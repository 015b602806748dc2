//! Stands between the program and its registry, and stops a request where a test wants to look.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// How long a request that is to be held is waited for.
const LONGEST: Duration = Duration::from_secs(120);
/// How long a request waits for its like.
const MEETING: Duration = Duration::from_secs(2);

/// On which side of the registry a request is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The registry has not seen it.
    Before,
    /// The registry has done it and the program does not know.
    After,
}

/// A TCP proxy for HTTP/1.1 that forwards everything, but for the one request that is held.
pub struct Proxy {
    address: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    hold: Mutex<Hold>,
    changed: Condvar,
    meetings: Mutex<Meetings>,
    met: Condvar,
}

/// Requests that wait for their like.
#[derive(Default)]
struct Meetings {
    wanted: Option<Fits>,
    /// How many of each came, and how many were let go.
    seen: BTreeMap<String, (usize, usize)>,
    /// Pairs that met.
    pairs: usize,
}

type Fits = Box<dyn Fn(&str) -> bool + Send>;

#[derive(Default)]
struct Hold {
    wanted: Option<(Side, Fits)>,
    held: Option<String>,
    released: Option<End>,
}

/// What becomes of a held request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It goes on.
    Goes,
    /// Its connection is closed: a request that the registry has not seen is lost.
    Lost,
}

impl Proxy {
    /// Starts a proxy for the registry at `target`.
    pub fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State::default());
        let (shared, target) = (Arc::clone(&state), target.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&target) else { continue };
                let state = Arc::clone(&shared);
                thread::spawn(move || connection(&client, &server, &state));
            }
        });
        Self { address, state }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The next request whose first line (`PUT /v2/... HTTP/1.1`) fits is held.
    pub fn hold(&self, side: Side, fits: impl Fn(&str) -> bool + Send + 'static) {
        *self.state.hold.lock().unwrap() = Hold { wanted: Some((side, Box::new(fits))), held: None, released: None };
    }

    /// From now on a request whose first line fits waits until the same one comes again, from another run; not for ever.
    pub fn meet(&self, fits: impl Fn(&str) -> bool + Send + 'static) {
        self.state.meetings.lock().unwrap().wanted = Some(Box::new(fits));
    }

    /// How many pairs met so far.
    pub fn met(&self) -> usize {
        self.state.meetings.lock().unwrap().pairs
    }

    /// Waits until the request is held; gives its first line.
    pub fn held(&self) -> String {
        let hold = self.state.hold.lock().unwrap();
        let (hold, waited) = self.state.changed.wait_timeout_while(hold, LONGEST, |hold| hold.held.is_none()).unwrap();
        assert!(!waited.timed_out(), "no request came that is to be held");
        hold.held.clone().unwrap()
    }

    /// Lets the held request go.
    pub fn release(&self, end: End) {
        let mut hold = self.state.hold.lock().unwrap();
        hold.wanted = None;
        hold.released = Some(end);
        self.state.changed.notify_all();
    }
}

impl State {
    /// Whether the request with this first line is to be held on this side.
    fn wants(&self, side: Side, line: &str) -> bool {
        let hold = self.hold.lock().unwrap();
        hold.held.is_none() && hold.wanted.as_ref().is_some_and(|(wanted, fits)| *wanted == side && fits(line))
    }

    /// Lets a request wait for its like.
    fn meet(&self, line: &str) {
        let mut meetings = self.meetings.lock().unwrap();
        if !meetings.wanted.as_ref().is_some_and(|fits| fits(line)) {
            return;
        }
        let entry = meetings.seen.entry(line.to_owned()).or_default();
        entry.0 += 1;
        let mine = entry.0;
        if mine.is_multiple_of(2) {
            entry.1 = mine;
            meetings.pairs += 1;
            self.met.notify_all();
            return;
        }
        let alone = |meetings: &mut Meetings| meetings.seen[line].1 < mine;
        let (mut meetings, waited) = self.met.wait_timeout_while(meetings, MEETING, alone).unwrap();
        if waited.timed_out() && meetings.seen[line].1 < mine {
            meetings.seen.get_mut(line).unwrap().0 -= 1;
        }
    }

    /// Holds a request until the test lets it go.
    fn stop(&self, line: &str) -> End {
        let mut hold = self.hold.lock().unwrap();
        if hold.held.is_some() {
            return End::Goes; // Another was quicker.
        }
        hold.held = Some(line.to_owned());
        self.changed.notify_all();
        let (hold, _) = self.changed.wait_timeout_while(hold, LONGEST, |hold| hold.released.is_none()).unwrap();
        hold.released.unwrap_or(End::Lost)
    }
}

/// One connection: requests in this thread, answers in another. Nobody sends a request before the last was answered, so
/// the first bytes after an answer begin a request.
fn connection(client: &TcpStream, server: &TcpStream, state: &Arc<State>) {
    let line = Arc::new(Mutex::new(String::new()));
    let answered = Arc::new(AtomicBool::new(true));
    thread::scope(|scope| {
        scope.spawn(|| {
            answers(client, server, state, (&line, &answered));
            let _ = client.shutdown(Shutdown::Both);
        });
        requests(client, server, state, (&line, &answered));
        let _ = server.shutdown(Shutdown::Both);
        let _ = client.shutdown(Shutdown::Read);
    });
}

type Latest<'a> = (&'a Mutex<String>, &'a AtomicBool);

fn requests(mut client: &TcpStream, mut server: &TcpStream, state: &State, (line, answered): Latest<'_>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        if answered.swap(false, Ordering::SeqCst) {
            let first = buffer[..count].split(|byte| *byte == b'\r').next().unwrap_or_default();
            let first = String::from_utf8_lossy(first).into_owned();
            if !first.ends_with(" HTTP/1.1") {
                // Docker tries TLS first, and takes the answer of a server without TLS for a no.
                let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
                return;
            }
            line.lock().unwrap().clone_from(&first);
            state.meet(&first);
            if state.wants(Side::Before, &first) && state.stop(&first) == End::Lost {
                return;
            }
        }
        if server.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

fn answers(mut client: &TcpStream, mut server: &TcpStream, state: &State, (line, answered): Latest<'_>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = server.read(&mut buffer) {
        let first = line.lock().unwrap().clone();
        if !answered.load(Ordering::SeqCst) && state.wants(Side::After, &first) && state.stop(&first) == End::Lost {
            return;
        }
        answered.store(true, Ordering::SeqCst);
        if client.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}
