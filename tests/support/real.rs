//! The servers of `scripts/with-servers`, for tests that need a real Docker Engine and registry.
//!
//! ```ignore
//! let Some(real) = real("apply_twice") else { return };
//! ```
//!
//! Without `ORCHESTRATE_TEST_REAL` such a test is skipped, and says so. With it, a server that does not
//! answer fails the test: no test passes because something was missing.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A Docker Engine and a registry that answered when the test began.
#[derive(Debug)]
pub struct Real {
    /// The engine's address; `None` is the one that `docker` finds by itself.
    pub docker_host: Option<String>,
    /// `127.0.0.1:PORT`, plain HTTP.
    pub registry: String,
    /// The registry's access log, one request a line.
    pub registry_log: PathBuf,
}

/// What an image may be; distribution 2.8 answers 404 to who does not name them.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, */*";

/// A request that the registry answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `HEAD`, `PUT`, `POST`, `PATCH` or `DELETE`.
    pub method: String,
    /// With its query.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
}

/// The servers, or `None` when `test` is to be skipped.
///
/// # Panics
///
/// If `ORCHESTRATE_TEST_REAL` is set and a server does not answer.
pub fn real(test: &str) -> Option<Real> {
    if std::env::var("ORCHESTRATE_TEST_REAL").as_deref() != Ok("1") {
        let reason = std::env::var("ORCHESTRATE_SKIP_REASON");
        skip(test, reason.as_deref().unwrap_or("ORCHESTRATE_TEST_REAL is not set; run scripts/test"));
        return None;
    }
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let real = Real {
        docker_host: std::env::var("DOCKER_HOST").ok(),
        registry: variable("ORCHESTRATE_TEST_REGISTRY"),
        registry_log: variable("ORCHESTRATE_TEST_REGISTRY_LOG").into(),
    };
    real.get("/v2/");
    let engine = Command::new("docker")
        .args(["version", "--format", "{{.Server.Version}}"])
        .output()
        .unwrap_or_else(|error| panic!("docker cannot be run: {error}"));
    assert!(engine.status.success(), "the docker engine does not answer: {}", String::from_utf8_lossy(&engine.stderr));
    Some(real)
}

/// Says that `test` is skipped, on stderr and in the file that `ORCHESTRATE_SKIP_LOG` names.
///
/// # Panics
///
/// If that file cannot be written: a skipped test must not go unseen.
pub fn skip(test: &str, reason: &str) {
    let line = format!("SKIPPED: {test}: {reason}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("write to stderr");
    if let Some(log) = std::env::var_os("ORCHESTRATE_SKIP_LOG") {
        let mut log = OpenOptions::new().append(true).create(true).open(log).expect("open ORCHESTRATE_SKIP_LOG");
        log.write_all(line.as_bytes()).expect("write ORCHESTRATE_SKIP_LOG");
    }
}

impl Real {
    /// A repository name that no other test and no other run uses.
    pub fn repository(&self, prefix: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("the clock is after 1970").as_nanos();
        format!("{prefix}-{:x}-{now:x}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
    }

    /// How far the access log reaches now; for [`Real::requests_since`].
    pub fn mark(&self) -> usize {
        self.settle();
        self.log().len()
    }

    /// The requests after `mark` whose path has `part` in it, which keeps other tests' requests apart.
    pub fn requests_since(&self, mark: usize, part: &str) -> Vec<Request> {
        self.settle();
        self.log()[mark..].lines().filter_map(request).filter(|request| request.path.contains(part)).collect()
    }

    /// Empties nothing, waits only: the registry writes its log after it has answered.
    fn settle(&self) {
        let sentinel = format!("/v2/{}/tags/list", self.repository("settle"));
        self.get(&sentinel);
        let start = Instant::now();
        while !self.log().contains(&sentinel) {
            assert!(start.elapsed() < Duration::from_secs(5), "the registry's log does not grow");
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(20));
    }

    fn log(&self) -> String {
        read(&self.registry_log)
    }

    /// The status and body of a GET, as text.
    ///
    /// # Panics
    ///
    /// If the registry does not answer.
    pub fn get(&self, path: &str) -> (u16, String) {
        let (status, body) = self.fetch(path);
        (status, String::from_utf8(body).expect("the registry's answer is text"))
    }

    /// The status and body of a GET; an image of any kind is taken.
    ///
    /// # Panics
    ///
    /// If the registry does not answer.
    pub fn fetch(&self, path: &str) -> (u16, Vec<u8>) {
        let address: SocketAddr = self.registry.parse().expect("ORCHESTRATE_TEST_REGISTRY is ADDRESS:PORT");
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))
            .unwrap_or_else(|error| panic!("the registry at {address} does not answer: {error}"));
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set a timeout");
        let head = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: {MANIFESTS}\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("send a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("read the registry's answer");
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("an HTTP answer has a head");
        let body = answer.split_off(end + 4);
        let head = String::from_utf8_lossy(&answer);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, body)
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads a line of the combined log format: `host - - [time] "GET /v2/ HTTP/1.1" 200 2 ...`.
fn request(line: &str) -> Option<Request> {
    let mut quoted = line.split('"').skip(1);
    let mut words = quoted.next()?.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let status = quoted.next()?.split_whitespace().next()?.parse().ok()?;
    Some(Request { method, path, status })
}
