//! A registry in this process, over real HTTP on 127.0.0.1, that can be told to misbehave.

mod http;
mod serve;
mod state;

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(crate) use state::{Action, Auth, Fault, Logged, Mounts, Options, State, Untag};

/// A running registry. Dropped, it is gone, with all connections.
pub(crate) struct TestRegistry {
    /// `127.0.0.1:port`.
    pub(crate) host: String,
    state: Arc<Mutex<State>>,
    server: Option<tokio::task::JoinHandle<()>>,
}

impl TestRegistry {
    /// Starts one on a free port.
    pub(crate) async fn start(options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State::new(options)));
        let server = Some(tokio::spawn(accept(listener, Arc::clone(&state))));
        Self { host, state, server }
    }

    /// What it holds and has seen.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// From now on `fault` happens.
    pub(crate) fn fail(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// The requests so far whose method and path contain `what`: `PUT /v2/a/manifests/`.
    pub(crate) fn seen(&self, what: &str) -> Vec<Logged> {
        self.state().log.iter().filter(|logged| logged.line.contains(what)).cloned().collect()
    }

    /// Goes away: connections are refused and those that are open break.
    pub(crate) async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            let _ = server.await;
        }
    }

    /// Comes back at the same address with all that it holds.
    pub(crate) async fn come_back(&mut self) {
        let listener = TcpListener::bind(&self.host).await.unwrap();
        self.server = Some(tokio::spawn(accept(listener, Arc::clone(&self.state))));
    }
}

impl Drop for TestRegistry {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve::connection(stream, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

/// The registry that the environment names, or `None` after a line that says so.
pub(crate) fn real_registry(test: &str) -> Option<String> {
    let wanted = std::env::var("ORCHESTRATE_TEST_REAL").is_ok_and(|value| value == "1");
    if let (true, Ok(host)) = (wanted, std::env::var("ORCHESTRATE_TEST_REGISTRY")) {
        return Some(host);
    }
    skipped(test, "ORCHESTRATE_TEST_REAL=1 and ORCHESTRATE_TEST_REGISTRY=host:port are not set");
    None
}

pub(crate) fn skipped(test: &str, why: &str) {
    let line = format!("SKIPPED: {test}: {why}");
    eprintln!("{line}");
    if let Ok(path) = std::env::var("ORCHESTRATE_SKIP_LOG") {
        use std::io::Write as _;
        let mut log = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(log, "{line}").unwrap();
    }
}
