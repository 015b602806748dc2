//! As much of HTTP/1.1 as a registry's client speaks.

use std::collections::BTreeMap;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A request without its body.
pub(super) struct Head {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: BTreeMap<String, String>,
    pairs: Vec<(String, String)>,
    pub(super) headers: BTreeMap<String, String>,
}

impl Head {
    pub(super) async fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let mut parts = line.split_whitespace();
        let (method, target) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        // As a proxy it is asked with the whole address.
        let target = match target.strip_prefix("http://").and_then(|rest| rest.find('/').map(|at| &rest[at..])) {
            Some(path) => path.to_owned(),
            None => target,
        };
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Some(Self { method, path: path.to_owned(), query: pairs.iter().cloned().collect(), pairs, headers })
    }

    /// Every value of a parameter that may stand several times.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        self.pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(super) fn length(&self) -> usize {
        self.header("content-length").parse().unwrap_or(0)
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub(super) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({"errors": [{"code": code, "message": message}]});
        Self::new(status).with("Content-Type", "application/json").body(body.to_string())
    }

    pub(super) fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Writes it; with `cut`, only so many bytes of the body.
    pub(super) async fn write(
        self,
        stream: &mut BufReader<TcpStream>,
        head_only: bool,
        cut: Option<usize>,
    ) -> Option<()> {
        let mut head = format!("HTTP/1.1 {} X\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        stream.write_all(head.as_bytes()).await.ok()?;
        if !head_only {
            let end = cut.unwrap_or(self.body.len()).min(self.body.len());
            stream.write_all(&self.body[..end]).await.ok()?;
        }
        stream.flush().await.ok()
    }
}

/// Reads at most `length` bytes of a body; slowly, if told to.
pub(super) async fn body(stream: &mut BufReader<TcpStream>, length: usize, slowly: bool) -> Vec<u8> {
    let mut body = vec![0; length];
    let mut filled = 0;
    while filled < length {
        let end = if slowly { (filled + 64 * 1024).min(length) } else { length };
        match stream.read(&mut body[filled..end]).await {
            Ok(read) if read > 0 => filled += read,
            _ => break,
        }
        if slowly {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    body.truncate(filled);
    body
}

/// Breaks a connection off as a crash does: with RST instead of FIN.
pub(super) fn reset(stream: BufReader<TcpStream>) {
    let stream = stream.into_inner();
    let _ = stream.set_zero_linger();
    drop(stream);
}
