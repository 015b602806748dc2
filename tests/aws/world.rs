//! A project, the AWS that tests/support/aws/server.py plays, and the program between them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

/// The secret key of the credentials: it must not be seen anywhere.
pub const SECRET_KEY: &str = "do-not-print-this-secret-key";

/// What a run of the program gave.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Both streams.
    pub fn text(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn says(self, part: &str) -> Self {
        assert!(self.text().contains(part), "`{part}` is not in\nstdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
}

/// How a server is started.
#[derive(Default)]
struct Way<'a> {
    /// A folder with its certificate.
    tls: Option<&'a Path>,
    /// The file that takes the place of `/etc/hosts`.
    hosts: Option<&'a Path>,
    /// Who plays what it does not.
    pass: Option<&'a str>,
}

/// A folder with an authority (`ca.crt`) and the certificate of a server for these names.
fn certificates(names: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(folder.path()).output();
        let output = output.expect("openssl makes certificates: scripts/install-test-tools aws installs it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let authority = ["req", "-x509", "-days", "2", "-subj", "/CN=test", "-keyout", "ca.key", "-out", "ca.crt"];
    openssl(&[&authority[..], &key[..]].concat());
    let server = ["req", "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr"];
    openssl(&[&server[..], &key[..]].concat());
    std::fs::write(folder.path().join("names"), format!("subjectAltName={names}")).unwrap();
    let sign =
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt";
    openssl(&sign.split(' ').collect::<Vec<_>>());
    folder
}

/// A project in a folder of its own, and an AWS of its own.
pub struct World {
    folder: tempfile::TempDir,
    server: Child,
    addresses: Value,
    /// Whether the names of AWS mean the server: to the processes that [`process`](Self::process) starts, and to nobody else.
    named: bool,
    /// Environment variables of the program; `None` takes one away.
    pub environment: BTreeMap<String, Option<String>>,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl World {
    /// With the registry of the first account in us-east-1, and the public one.
    pub fn new() -> Self {
        Self::with_registries(&["123456789012/us-east-1"])
    }

    /// With registries of `ACCOUNT/REGION`.
    pub fn with_registries(registries: &[&str]) -> Self {
        Self::started(registries, &Way::default())
    }

    /// The same; what the server does not play itself is passed to the one at this address.
    pub fn passing(registries: &[&str], url: &str) -> Self {
        Self::started(registries, &Way { pass: Some(url), ..Way::default() })
    }

    /// Its registries speak TLS, with an authority of their own that the program is told about.
    pub fn with_tls() -> Self {
        let folder = certificates("IP:127.0.0.1");
        let mut world = Self::started(&["123456789012/us-east-1"], &Way { tls: Some(folder.path()), ..Way::default() });
        world.trust(folder.path());
        world
    }

    /// AWS at its own names, with TLS: nothing but the authority of its certificates is told to anybody. Needs root.
    pub fn at_its_own_names(pass: &str) -> Self {
        let folder = certificates(
            "DNS:public.ecr.aws,DNS:*.amazonaws.com,DNS:*.us-east-1.amazonaws.com,DNS:*.ecr.us-east-1.amazonaws.com,\
             DNS:api.ecr-public.us-east-1.amazonaws.com,DNS:*.dkr.ecr.us-east-1.amazonaws.com,DNS:*.s3.us-east-1.amazonaws.com",
        );
        let hosts = folder.path().join("hosts");
        std::fs::write(&hosts, "127.0.0.1 localhost\n").unwrap();
        let way = Way { tls: Some(folder.path()), hosts: Some(&hosts), pass: Some(pass) };
        let mut world = Self::started(&["123456789012/us-east-1"], &way);
        let names = world.addresses["hosts"].as_object().unwrap().iter();
        let lines: String = names.map(|(name, address)| format!("{} {name}\n", address.as_str().unwrap())).collect();
        // In place: the file is mounted by now.
        std::fs::OpenOptions::new().append(true).open(&hosts).unwrap().write_all(lines.as_bytes()).unwrap();
        world.trust(folder.path());
        world.environment.insert("AWS_ENDPOINT_URL".to_owned(), None);
        let authority = world.environment["SSL_CERT_FILE"].clone();
        world.environment.insert("AWS_CA_BUNDLE".to_owned(), authority);
        world
    }

    /// The program is told of the authority in this folder.
    fn trust(&mut self, folder: &Path) {
        let authority = std::fs::read_to_string(folder.join("ca.crt")).unwrap();
        self.write("home/ca.crt", &authority);
        let path = self.root().join("home/ca.crt").display().to_string();
        self.environment.insert("SSL_CERT_FILE".to_owned(), Some(path));
    }

    /// A process in the project's folder, which knows the names of AWS as this world does.
    pub fn process(&self, program: &str) -> Command {
        let mut command = if self.named {
            // A mount namespace begins in its own root: `env` goes where we are.
            let mut command = Command::new("nsenter");
            command
                .args(["--mount", "--target", &self.server.id().to_string(), "env", "--chdir"])
                .arg(self.root())
                .arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.root());
        command
    }

    /// A token for a login at the private registries, or at the public one.
    pub fn token(&self, public: bool) -> String {
        let answer = self.http("POST", "token", &json!({ "public": public }).to_string());
        answer["token"].as_str().unwrap().to_owned()
    }

    fn started(registries: &[&str], way: &Way<'_>) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/aws/server.py");
        let mut command = match way.hosts {
            None => Command::new("python3"),
            Some(hosts) => {
                // The names are of this process and of those that join it; each becomes the next, so that it is the one we know.
                let mut command = Command::new("unshare");
                let mount = "mount --bind \"$1\" /etc/hosts && exec python3 \"${@:2}\"";
                command.args(["--mount", "--propagation", "private", "bash", "-c", mount, "bash"]).arg(hosts);
                command
            }
        };
        command.arg(script).args(registries.iter().flat_map(|registry| ["--private", *registry]));
        if let Some(folder) = way.tls {
            command.arg("--tls").arg(folder);
        }
        if way.hosts.is_some() {
            // Addresses that no other test has: of those that run at once, each has a process or a number of its own.
            static STARTED: AtomicU32 = AtomicU32::new(0);
            let id = std::process::id() * 4 + STARTED.fetch_add(1, Ordering::Relaxed);
            command.arg("--hosts").arg(format!("127.{}.{}", 64 + (id >> 8) % 128, id % 256));
        }
        command.args(way.pass.into_iter().flat_map(|url| ["--pass", url]));
        let mut server = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 plays AWS: scripts/install-test-tools aws installs it");
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addresses = serde_json::from_str(&line).expect("the server says where it is");
        let folder = tempfile::tempdir().unwrap();
        let world = Self { folder, server, addresses, named: way.hosts.is_some(), environment: BTreeMap::new() };
        world.write("Dockerfile", "FROM scratch\nARG WHO=nobody\nCOPY a.txt /\n");
        world.write("a.txt", "one");
        world.write(".gitignore", ".orchestrate\nhome\n");
        world.git(&["init", "-q", "-b", "main"]);
        world
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn git(&self, arguments: &[&str]) {
        let fixed = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"];
        let output = Command::new("git").args(fixed).args(arguments).current_dir(self.root()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
    }

    /// Where the data plane of a registry is.
    pub fn private(&self, registry: &str) -> String {
        self.addresses["private"][registry].as_str().unwrap().to_owned()
    }

    pub fn public(&self) -> String {
        self.addresses["public"].as_str().unwrap().to_owned()
    }

    /// A registry of the first account in us-east-1 with these further keys, and the public one.
    pub fn registries(&self, more: &str) -> String {
        format!(
            "registries:\n  private: {{ kind: ecr, region: us-east-1, url: \"{}\"{more} }}\n  \
             public: {{ kind: ecr-public, alias: a1b2c3d4, url: \"{}\", create: {{ description: ours }} }}\n",
            self.private("123456789012/us-east-1"),
            self.public()
        )
    }

    /// A manifest of these registries and of one image, commited.
    pub fn manifest(&self, registries: &str, image: &str) {
        self.write("deploy.yaml", &format!("version: 1\nproject: shop\n{registries}images:\n{image}"));
        self.commit("manifest");
    }

    /// Where the services are asked.
    pub fn control(&self) -> &str {
        self.addresses["control"].as_str().unwrap()
    }

    /// The program in this world, not yet running.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.process(env!("CARGO_BIN_EXE_orchestrate"));
        command.args(arguments).env_clear();
        for name in ["PATH", "TMPDIR"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        let home = self.root().join("home");
        command
            .env("HOME", &home)
            .env("AWS_ACCESS_KEY_ID", "AKIDORCHESTRATE")
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_ENDPOINT_URL", self.control())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_MAX_ATTEMPTS", "4")
            .env("NO_PROXY", "127.0.0.1");
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Runs the program.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ran =
            Ran { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) };
        self.no_secret(&ran);
        ran
    }

    /// Without credentials of any kind.
    pub fn nobody(&mut self) {
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            self.environment.insert(name.to_owned(), None);
        }
    }

    /// No token and no key is in what a run printed or wrote.
    fn no_secret(&self, ran: &Ran) {
        let mut secrets: Vec<String> = serde_json::from_value(self.ask("secrets")).unwrap();
        secrets.push(SECRET_KEY.to_owned());
        let mut places = vec![("output".to_owned(), ran.text().into_bytes())];
        files(&self.root().join(".orchestrate"), &mut places);
        for (place, bytes) in places {
            let text = String::from_utf8_lossy(&bytes);
            for secret in &secrets {
                assert!(!text.contains(secret.as_str()), "{place} holds a secret");
            }
        }
    }

    /// What the server tells below `/_test/`.
    pub fn ask(&self, what: &str) -> Value {
        self.http("GET", what, "")
    }

    /// Changes how the server behaves.
    pub fn set(&self, what: &Value) {
        self.http("POST", "set", &what.to_string());
    }

    pub fn post(&self, what: &str, body: &Value) {
        self.http("POST", what, &body.to_string());
    }

    fn http(&self, method: &str, what: &str, body: &str) -> Value {
        let address = self.control().trim_start_matches("http://").to_owned();
        let mut stream = TcpStream::connect(&address).unwrap();
        let length = body.len();
        let head = format!("{method} /_test/{what} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        stream.write_all(format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    /// Forgets the calls so far.
    pub fn clear(&self) {
        self.set(&json!({ "clear_log": true }));
    }

    /// The calls to AWS's APIs since [`clear`](Self::clear).
    pub fn calls(&self) -> Vec<String> {
        let log = self.ask("log");
        let of_control = log.as_array().unwrap().iter().filter(|entry| entry["plane"] == "control");
        of_control.map(|entry| entry["what"].as_str().unwrap().to_owned()).collect()
    }

    /// The requests to the registries since [`clear`](Self::clear): registry, method and path.
    pub fn requests(&self) -> Vec<(String, String)> {
        let log = self.ask("log");
        let of_data = log.as_array().unwrap().iter().filter(|entry| entry["plane"] != "control");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        of_data.map(|entry| (text(&entry["plane"]), text(&entry["what"]))).collect()
    }

    /// A repository as the server has it: `123456789012/us-east-1:app`.
    pub fn repository(&self, name: &str) -> Value {
        self.ask("state")[name].clone()
    }
}

fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}
