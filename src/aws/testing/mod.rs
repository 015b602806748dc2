//! AWS in this process, over real HTTP on 127.0.0.1, as far as deploying needs it: Lambda, AgentCore, CloudFormation, IAM, STS, and ECR's
//! bulk questions in front of a [`TestRegistry`](crate::registry::testing::TestRegistry). It can be told to misbehave.

mod lambda;
mod others;
mod state;

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::client::Aws;

pub(crate) use state::{ACCOUNT, FakeFunction, State};

/// The access key of every client of the fake; no output may show its secret.
pub(crate) const SECRET_KEY: &str = "fake-secret-access-key";

/// A running fake. Dropped, it is gone.
pub(crate) struct TestAws {
    /// `http://127.0.0.1:port`.
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    server: tokio::task::JoinHandle<()>,
}

impl TestAws {
    /// Starts one on a free port.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(BufReader::new(stream), Arc::clone(&shared)));
            }
        });
        Self { url, state, server }
    }

    /// What it holds and has seen.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Clients of it, with credentials that work.
    pub(crate) fn clients(&self) -> Aws {
        Aws::at(&self.url, SECRET_KEY)
    }

    /// The calls so far whose line contains `what`.
    pub(crate) fn seen(&self, what: &str) -> Vec<String> {
        self.state().log.iter().filter(|line| line.contains(what)).cloned().collect()
    }

    /// The calls so far that may change something, dry runs left out.
    pub(crate) fn writes(&self) -> Vec<String> {
        let reads = |line: &&String| {
            ["GET ", "iam GetRole", "sts ", "cloudformation ", "ecr ", "ecr-public ", "POST /runtimes/"]
                .iter()
                .any(|read| line.starts_with(read))
                || line.ends_with("(dry run)")
        };
        self.state().log.iter().filter(|line| !reads(line)).cloned().collect()
    }
}

impl Drop for TestAws {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A request.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) target: String,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// A field of a form.
    pub(super) fn form(&self, name: &str) -> String {
        let mut pairs = url::form_urlencoded::parse(&self.body);
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// An answer: status, the type of an error if it is one, body.
pub(super) struct Answer {
    status: u16,
    error: Option<String>,
    body: String,
}

impl Answer {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self { status, error: None, body: body.to_string() }
    }

    pub(super) fn xml(body: String) -> Self {
        Self { status: 200, error: None, body }
    }

    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({ "__type": code, "message": message, "Message": message }).to_string();
        Self { status, error: Some(code.to_owned()), body }
    }

    /// An error of the services that speak XML.
    pub(super) fn xml_error(status: u16, code: &str, message: &str) -> Self {
        let body = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
             <RequestId>1</RequestId></ErrorResponse>"
        );
        Self { status, error: None, body }
    }
}

async fn connection(mut stream: BufReader<TcpStream>, state: Arc<Mutex<State>>) {
    while let Some(request) = read(&mut stream).await {
        let answer = respond(&request, &state).await;
        let mut head = format!("HTTP/1.1 {} X\r\nContent-Length: {}\r\n", answer.status, answer.body.len());
        head.push_str("Content-Type: application/json\r\nx-amzn-requestid: request-1\r\n");
        if let Some(code) = &answer.error {
            head.push_str(&format!("x-amzn-errortype: {code}\r\n"));
        }
        head.push_str("\r\n");
        if stream.write_all(head.as_bytes()).await.is_err() || stream.write_all(answer.body.as_bytes()).await.is_err() {
            return;
        }
        if stream.flush().await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let mut parts = line.split_whitespace();
    let (method, target) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let (mut length, mut called) = (0, String::new());
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "x-amz-target" => called = value.trim().to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let path = path.split('/').filter(|part| !part.is_empty());
    let path = path
        .map(|part| url::form_urlencoded::parse(format!("x={part}").as_bytes()).next().map(|(_, v)| v.into_owned()));
    let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    Some(Request { method, path: path.flatten().collect(), query, target: called, body })
}

/// A line for the log: `PUT functions/Api/code`, `iam CreateRole`, `ecr BatchGetImage`.
fn line_of(request: &Request) -> String {
    if let Some((service, operation)) = request.target.split_once('.') {
        let service = if service.starts_with("SpencerFrontend") { "ecr-public" } else { "ecr" };
        return format!("{service} {operation}");
    }
    if request.path.is_empty() {
        let service = match request.form("Version").as_str() {
            "2010-05-08" => "iam",
            "2010-05-15" => "cloudformation",
            _ => "sts",
        };
        return format!("{service} {}", request.form("Action"));
    }
    let versioned = request.path[0].starts_with("20");
    let path = if versioned { request.path[1..].join("/") } else { format!("/{}/", request.path.join("/")) };
    let dry = request.json()["DryRun"] == true;
    let qualifier = request.parameter("Qualifier").map(|one| format!("?{one}")).unwrap_or_default();
    format!("{} {path}{qualifier}{}", request.method, if dry { " (dry run)" } else { "" })
}

async fn respond(request: &Request, state: &Arc<Mutex<State>>) -> Answer {
    let line = line_of(request);
    let (registry, fault) = {
        let mut state = state.lock().unwrap();
        state.log.push(line.clone());
        (state.registry.clone(), state.fault(&line))
    };
    if let Some(fault) = fault {
        let xml = request.path.is_empty() && request.target.is_empty();
        let make = if xml { Answer::xml_error } else { Answer::error };
        return make(fault.status, &fault.code, &fault.message);
    }
    if line.starts_with("ecr") {
        return others::ecr(request, registry.as_deref()).await;
    }
    let mut state = state.lock().unwrap();
    match line.split_once(' ') {
        Some(("sts", _)) => others::sts(),
        Some(("iam", _)) => others::iam(request, &mut state),
        Some(("cloudformation", _)) => others::cloudformation(request, &state),
        _ if request.path[0] == "v2" => others::api_gateway(request, &mut state),
        _ if request.path[0] == "runtimes" => others::agentcore(request, &mut state),
        _ => lambda::answer(request, &mut state),
    }
}
