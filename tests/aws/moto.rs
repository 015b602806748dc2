//! moto, which plays Lambda, IAM and CloudFormation.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A running moto. Dropped, it is gone.
pub struct Moto {
    /// `http://127.0.0.1:port`.
    pub url: String,
    address: String,
    server: Child,
}

/// A program of the virtual environment that `scripts/install-test-tools aws` makes.
fn program(name: &str) -> PathBuf {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-tools/moto/bin")).join(name);
    assert!(path.exists(), "{} is not there: scripts/install-test-tools aws installs it", path.display());
    path
}

impl Moto {
    /// Starts one on a free port, and waits until it answers.
    pub fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let server = Command::new(program("moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Self { url: format!("http://{address}"), address, server };
        let until = Instant::now() + Duration::from_secs(120);
        while TcpStream::connect(&moto.address).is_err() {
            assert!(Instant::now() < until, "moto does not come up");
            std::thread::sleep(Duration::from_millis(100));
        }
        moto
    }

    /// What GetFunction says of a function in us-east-1.
    pub fn function(&self, name: &str) -> Value {
        self.function_of("123456789012", name)
    }

    /// The same of a function of an account.
    pub fn function_of(&self, account: &str, name: &str) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let credential = "AWS4-HMAC-SHA256 Credential=AKIDORCHESTRATE/20260101/us-east-1/lambda/aws4_request";
        let head = format!(
            "GET /2015-03-31/functions/{name} HTTP/1.1\r\nHost: lambda.us-east-1.amazonaws.com\r\nAuthorization: {credential}, \
             SignedHeaders=host, Signature=0\r\nx-moto-account-id: {account}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
    }

    /// Runs a script with boto3 against it; gives what it prints.
    pub fn python(&self, script: &str) -> String {
        let output = Command::new(program("python"))
            .args(["-c", script])
            .env("AWS_ENDPOINT_URL", &self.url)
            .env("AWS_ACCESS_KEY_ID", "AKIDORCHESTRATE")
            .env("AWS_SECRET_ACCESS_KEY", "x")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("NO_PROXY", "127.0.0.1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
