//! A registry that has nothing and, from some request on, answers nothing.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Answers HEAD and GET with 404 (and `/v2/` with 200); whatever would write is heard of, and never answered.
pub struct SilentRegistry {
    /// Where it listens.
    pub address: SocketAddr,
    /// The first line of each request that waits for its answer.
    pub waiting: Receiver<String>,
}

impl SilentRegistry {
    /// Starts it; it ends with the test's process.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, waiting) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, sender) = (stream.unwrap(), sender.clone());
                std::thread::spawn(move || serve(&stream, &sender));
            }
        });
        Self { address, waiting }
    }
}

fn serve(mut stream: &TcpStream, sender: &Sender<String>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(first)) = lines.next() {
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        if !first.starts_with("GET ") && !first.starts_with("HEAD ") {
            let _ = sender.send(first);
            loop {
                std::thread::park();
            }
        }
        let status = if first.contains(" /v2/ ") { "200 OK" } else { "404 Not Found" };
        if write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}
