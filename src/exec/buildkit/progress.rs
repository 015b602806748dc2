//! What BuildKit reports while it works, as owned data.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1 as api;
use serde::{Deserialize, Serialize};

use super::masks::Masks;

/// How many of a step's last lines are kept for the report of its failure.
const TAIL: usize = 40;

/// One thing that happened in a build. Steps are BuildKit's vertices, known by their digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum BuildProgress {
    /// A step began.
    Started {
        /// Its digest.
        vertex: String,
        /// What it is, as in `[build 2/3] RUN make`.
        name: String,
    },
    /// A step ended. A cached one may never have begun.
    Finished {
        /// Its digest.
        vertex: String,
        /// What it is.
        name: String,
        /// Whether its result was there already.
        cached: bool,
        /// Why it failed, if it did.
        error: Option<String>,
        /// How long it took by BuildKit's clock.
        milliseconds: u64,
    },
    /// A step printed a line.
    Log {
        /// The step's digest.
        vertex: String,
        /// Where it printed to.
        stream: LogStream,
        /// The line without its end. Secrets and sensitive args are masked.
        text: String,
    },
    /// A transfer or the like inside a step got on.
    Bytes {
        /// The step's digest.
        vertex: String,
        /// What is moved.
        what: String,
        /// How much is done.
        done: u64,
        /// Of how much, if that is known.
        total: Option<u64>,
        /// Whether this part is over.
        finished: bool,
    },
    /// The Dockerfile's checker found something.
    Warning {
        /// One sentence.
        message: String,
        /// More about it.
        detail: Vec<String>,
        /// Where to read about it.
        url: Option<String>,
        /// First and last line in the Dockerfile.
        lines: Option<(u32, u32)>,
    },
}

/// The two outputs of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Turns BuildKit's status messages into events, each thing once, and remembers what a failure's report needs.
pub(super) struct Mapper {
    vertices: HashMap<String, Vertex>,
    masks: Masks,
}

#[derive(Default)]
struct Vertex {
    name: String,
    started: Option<Timestamp>,
    finished: bool,
    failed: bool,
    unfinished_lines: [Vec<u8>; 2],
    tail: Tail,
}

impl Mapper {
    pub(super) fn new(masks: Masks) -> Self {
        Self { vertices: HashMap::new(), masks }
    }

    /// The events that one status message is.
    pub(super) fn map(&mut self, status: api::StatusResponse) -> Vec<BuildProgress> {
        let mut events = Vec::new();
        for vertex in &status.vertexes {
            self.started(vertex, &mut events);
        }
        for log in &status.logs {
            self.log(log, &mut events);
        }
        events.extend(status.statuses.into_iter().map(|status| bytes(status, &self.masks)));
        for vertex in &status.vertexes {
            self.finished(vertex, &mut events);
        }
        events.extend(status.warnings.into_iter().map(|found| warning(found, &self.masks)));
        events
    }

    /// Lines that never ended, once there will be no more.
    pub(super) fn rest(&mut self) -> Vec<BuildProgress> {
        let mut events = Vec::new();
        let digests: Vec<String> = self.vertices.keys().cloned().collect();
        for digest in digests {
            self.flush(&digest, &mut events);
        }
        events
    }

    /// The step's name and the end of what it printed; the step that failed if `digest` is not known.
    pub(super) fn failure(&self, digest: Option<&str>) -> (Option<String>, Vec<String>) {
        let named = digest.and_then(|digest| self.vertices.get(digest)).filter(|vertex| !vertex.name.is_empty());
        let failed = || self.vertices.values().find(|vertex| vertex.failed);
        named.or_else(failed).map_or((None, Vec::new()), |vertex| (Some(vertex.name.clone()), vertex.tail.lines()))
    }

    fn started(&mut self, message: &api::Vertex, events: &mut Vec<BuildProgress>) {
        let vertex = self.vertices.entry(message.digest.clone()).or_default();
        vertex.name = self.masks.hide(&message.name);
        if message.started.is_some() && message.started != vertex.started {
            vertex.started = message.started;
            vertex.finished = false;
            events.push(BuildProgress::Started { vertex: message.digest.clone(), name: vertex.name.clone() });
        }
    }

    fn finished(&mut self, message: &api::Vertex, events: &mut Vec<BuildProgress>) {
        let known = self.vertices.get(&message.digest).is_some_and(|vertex| vertex.finished);
        let Some(completed) = message.completed.filter(|_| !known) else { return };
        self.flush(&message.digest, events);
        let Some(vertex) = self.vertices.get_mut(&message.digest) else { return };
        vertex.finished = true;
        vertex.failed = !message.error.is_empty();
        events.push(BuildProgress::Finished {
            vertex: message.digest.clone(),
            name: vertex.name.clone(),
            cached: message.cached,
            error: vertex.failed.then(|| self.masks.hide(&message.error)),
            milliseconds: vertex.started.map_or(0, |started| milliseconds(started, completed)),
        });
    }

    fn log(&mut self, message: &api::VertexLog, events: &mut Vec<BuildProgress>) {
        let stream = if message.stream == 2 { LogStream::Stderr } else { LogStream::Stdout };
        let vertex = self.vertices.entry(message.vertex.clone()).or_default();
        let pending = &mut vertex.unfinished_lines[stream as usize];
        pending.extend_from_slice(&message.msg);
        let Some(end) = pending.iter().rposition(|byte| *byte == b'\n') else { return };
        let rest = pending.split_off(end + 1);
        let whole = std::mem::replace(pending, rest);
        for line in whole[..end].split(|byte| *byte == b'\n') {
            events.push(vertex.line(&message.vertex, stream, line, &self.masks));
        }
    }

    fn flush(&mut self, digest: &str, events: &mut Vec<BuildProgress>) {
        let Some(vertex) = self.vertices.get_mut(digest) else { return };
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            let pending = std::mem::take(&mut vertex.unfinished_lines[stream as usize]);
            if !pending.is_empty() {
                events.push(vertex.line(digest, stream, &pending, &self.masks));
            }
        }
    }
}

impl Vertex {
    fn line(&mut self, digest: &str, stream: LogStream, line: &[u8], masks: &Masks) -> BuildProgress {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = masks.hide(&String::from_utf8_lossy(line));
        self.tail.push(stream, text.clone());
        BuildProgress::Log { vertex: digest.to_owned(), stream, text }
    }
}

/// The last lines of a step. The streams reach us in no certain order, so that what a command says of its failure may come before
/// what it printed earlier: stdout makes room first, while stderr has no more than half.
#[derive(Default)]
struct Tail(VecDeque<(LogStream, String)>);

impl Tail {
    fn push(&mut self, stream: LogStream, line: String) {
        if self.0.len() == TAIL {
            let of_stdout = |(stream, _): &(LogStream, String)| *stream == LogStream::Stdout;
            let errors = self.0.iter().filter(|entry| !of_stdout(entry)).count();
            let oldest = if errors > TAIL / 2 { 0 } else { self.0.iter().position(of_stdout).unwrap_or(0) };
            self.0.remove(oldest);
        }
        self.0.push_back((stream, line));
    }

    fn lines(&self) -> Vec<String> {
        self.0.iter().map(|(_, line)| line.clone()).collect()
    }
}

fn bytes(status: api::VertexStatus, masks: &Masks) -> BuildProgress {
    BuildProgress::Bytes {
        vertex: status.vertex,
        what: masks.hide(if status.name.is_empty() { &status.id } else { &status.name }),
        done: u64::try_from(status.current).unwrap_or(0),
        total: u64::try_from(status.total).ok().filter(|total| *total > 0),
        finished: status.completed.is_some(),
    }
}

fn warning(warning: api::VertexWarning, masks: &Masks) -> BuildProgress {
    let text = |bytes: &[u8]| masks.hide(&String::from_utf8_lossy(bytes));
    let line = |position: Option<bollard_buildkit_proto::pb::Position>| {
        position.and_then(|position| u32::try_from(position.line).ok()).filter(|line| *line > 0)
    };
    let first = warning.ranges.iter().filter_map(|range| line(range.start)).min();
    let last = warning.ranges.iter().filter_map(|range| line(range.end)).max();
    BuildProgress::Warning {
        message: text(&warning.short),
        detail: warning.detail.iter().map(|bytes| text(bytes)).collect(),
        url: Some(warning.url).filter(|url| !url.is_empty()),
        lines: first.map(|first| (first, last.unwrap_or(first).max(first))),
    }
}

fn milliseconds(from: Timestamp, to: Timestamp) -> u64 {
    let duration = |time: Timestamp| {
        let seconds = u64::try_from(time.seconds).unwrap_or(0);
        Duration::new(seconds, u32::try_from(time.nanos).unwrap_or(0))
    };
    let elapsed = duration(to).saturating_sub(duration(from));
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, nanos: i32) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos })
    }

    fn vertex(started: Option<Timestamp>, completed: Option<Timestamp>, error: &str) -> api::StatusResponse {
        let vertex = api::Vertex {
            digest: "d".to_owned(),
            name: "[1/2] RUN x".to_owned(),
            started,
            completed,
            error: error.to_owned(),
            ..api::Vertex::default()
        };
        api::StatusResponse { vertexes: vec![vertex], ..api::StatusResponse::default() }
    }

    #[test]
    fn what_stderr_says_first_outlives_what_stdout_says_later() {
        let mut tail = Tail::default();
        tail.push(LogStream::Stderr, "oops".to_owned());
        for line in 0..TAIL * 2 {
            tail.push(LogStream::Stdout, line.to_string());
        }
        assert_eq!(tail.lines().len(), TAIL);
        assert_eq!((tail.lines()[0].as_str(), tail.lines()[1].as_str()), ("oops", "41"));
        for line in 0..TAIL * 2 {
            tail.push(LogStream::Stderr, format!("e{line}"));
        }
        assert_eq!(tail.lines().last().unwrap(), "e79");
        assert!(tail.lines().iter().all(|line| line.starts_with('e')), "{:?}", tail.lines());
    }

    fn log(stream: i64, text: &str) -> api::StatusResponse {
        let log = api::VertexLog { vertex: "d".to_owned(), stream, msg: text.as_bytes().to_vec(), timestamp: None };
        api::StatusResponse { logs: vec![log], ..api::StatusResponse::default() }
    }

    fn lines(events: Vec<BuildProgress>) -> Vec<String> {
        let text = |event| match event {
            BuildProgress::Log { text, .. } => Some(text),
            _ => None,
        };
        events.into_iter().filter_map(text).collect()
    }

    #[test]
    fn a_step_begins_once_and_ends_once() {
        let mut mapper = Mapper::new(Masks::default());
        assert!(mapper.map(vertex(None, None, "")).is_empty());
        let started = BuildProgress::Started { vertex: "d".to_owned(), name: "[1/2] RUN x".to_owned() };
        assert_eq!(mapper.map(vertex(at(5, 0), None, "")), [started]);
        assert!(mapper.map(vertex(at(5, 0), None, "")).is_empty());
        let finished = BuildProgress::Finished {
            vertex: "d".to_owned(),
            name: "[1/2] RUN x".to_owned(),
            cached: false,
            error: Some("exit code: 3".to_owned()),
            milliseconds: 1_250,
        };
        assert_eq!(mapper.map(vertex(at(5, 0), at(6, 250_000_000), "exit code: 3")), [finished]);
        assert!(mapper.map(vertex(at(5, 0), at(6, 250_000_000), "exit code: 3")).is_empty());
        assert_eq!(mapper.failure(Some("unknown")).0.as_deref(), Some("[1/2] RUN x"));
    }

    #[test]
    fn lines_are_put_together_per_stream() {
        let mut mapper = Mapper::new(Masks::default());
        assert!(mapper.map(log(1, "one")).is_empty());
        assert_eq!(lines(mapper.map(log(2, "err\nor"))), ["err"]);
        assert_eq!(lines(mapper.map(log(1, " line\r\n\ntwo\nthr"))), ["one line", "", "two"]);
        let mut rest = lines(mapper.rest());
        rest.sort();
        assert_eq!(rest, ["or", "thr"]);
        assert!(mapper.rest().is_empty());
    }

    #[test]
    fn a_failing_step_keeps_its_last_lines_and_no_secret() {
        let masks = Masks::default();
        masks.add("hunter22");
        let mut mapper = Mapper::new(masks);
        for number in 0..60 {
            mapper.map(log(1, &format!("{number} hunter22\n")));
        }
        mapper.map(vertex(at(1, 0), at(2, 0), "x"));
        let (name, tail) = mapper.failure(Some("d"));
        assert_eq!(name.as_deref(), Some("[1/2] RUN x"));
        assert_eq!((tail.len(), tail[0].as_str(), tail[39].as_str()), (40, "20 ***", "59 ***"));
    }

    #[test]
    fn events_have_one_form_in_json() {
        let event = BuildProgress::Log { vertex: "d".to_owned(), stream: LogStream::Stderr, text: "x".to_owned() };
        let json = r#"{"type":"log","vertex":"d","stream":"stderr","text":"x"}"#;
        assert_eq!(serde_json::to_string(&event).unwrap(), json);
        assert_eq!(serde_json::from_str::<BuildProgress>(json).unwrap(), event);
    }
}
