//! Against distribution's own registry, started here with TLS and a password. Skipped loudly where its parts are missing.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::super::testing::skipped;
use super::super::{Client, DockerCredentials, DockerEnvironment, RepositoryName, Settings};
use super::operations::all_operations;

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(folder: &Path, command: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new(command[0]).args(&command[1..]).current_dir(folder).output().ok()?;
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

/// A certificate signed by an authority of its own, or one that signs itself as Docker's manual makes it. `ca.crt` is what to trust.
fn certificates(folder: &Path, self_signed: bool) -> Option<()> {
    let name = ["-subj", "/CN=registry", "-nodes", "-newkey", "rsa:2048", "-keyout"];
    let address = ["-addext", "subjectAltName=IP:127.0.0.1"];
    if self_signed {
        let request =
            [&["openssl", "req", "-x509", "-days", "2"][..], &name, &["key", "-out", "crt"], &address].concat();
        run(folder, &request)?;
        std::fs::copy(folder.join("crt"), folder.join("ca.crt")).unwrap();
        return Some(());
    }
    let authority =
        ["openssl", "req", "-x509", "-days", "2", "-subj", "/CN=authority", "-nodes", "-newkey", "rsa:2048"];
    run(folder, &[&authority[..], &["-keyout", "ca.key", "-out", "ca.crt"]].concat())?;
    run(folder, &[&["openssl", "req"][..], &name, &["key", "-out", "csr"]].concat())?;
    std::fs::write(folder.join("extensions"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    let sign = ["openssl", "x509", "-req", "-in", "csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"];
    run(folder, &[&sign[..], &["-days", "2", "-out", "crt", "-extfile", "extensions"]].concat())?;
    Some(())
}

/// A registry at a free port of 127.0.0.1.
fn serve(folder: &Path) -> Option<(Server, String)> {
    let passwords = run(folder, &["htpasswd", "-Bbn", "ada", "hunter2"])?;
    std::fs::write(folder.join("passwords"), passwords).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: data}}, delete: {{enabled: true}}}}\n\
         auth: {{htpasswd: {{realm: test, path: passwords}}}}\nhttp: {{addr: '127.0.0.1:{port}', tls: {{certificate: crt, key: key}}}}\n"
    );
    std::fs::write(folder.join("config.yml"), config).unwrap();
    let log = std::fs::File::create(folder.join("access.log")).unwrap();
    let mut command = Command::new("docker-registry");
    command.args(["serve", "config.yml"]).current_dir(folder).stdout(log).stderr(Stdio::null());
    Some((Server(command.spawn().ok()?), format!("127.0.0.1:{port}")))
}

async fn everything_over_tls(self_signed: bool) {
    let test = format!("registry::a_real_registry_over_tls (self-signed: {self_signed})");
    if std::env::var("ORCHESTRATE_TEST_REAL").as_deref() != Ok("1") {
        return skipped(&test, "ORCHESTRATE_TEST_REAL=1 is not set");
    }
    let folder = tempfile::tempdir().unwrap();
    let Some((_server, host)) = certificates(folder.path(), self_signed).and_then(|()| serve(folder.path())) else {
        return skipped(&test, "openssl, htpasswd or docker-registry is not installed");
    };
    let trusted = folder.path().join("certs.d").join(&host);
    std::fs::create_dir_all(&trusted).unwrap();
    std::fs::copy(folder.path().join("ca.crt"), trusted.join("ca.crt")).unwrap();
    let config = format!(r#"{{"auths": {{"{host}": {{"username": "ada", "password": "hunter2"}}}}}}"#);
    let environment = DockerEnvironment { auth_config: Some(config), ..DockerEnvironment::default() };
    let credentials = Arc::new(DockerCredentials::load(environment).unwrap());
    let settings = Settings { certificates: Some(folder.path().join("certs.d")), ..Settings::default() };
    let client = Client::new(Settings { first_contact: Duration::from_secs(10), ..settings }, credentials);
    all_operations(&client, &RepositoryName::new(&host, "team/app"), true).await;

    let log = std::fs::read_to_string(folder.path().join("access.log")).unwrap();
    assert!(log.contains("HTTP/2.0") && !log.contains("HTTP/1.1"), "{log}");

    let endpoints = [(host.clone(), format!("https://{host}"))].into();
    let stranger = Settings { certificates: None, endpoints, ..Settings::default() };
    let client = Client::new(stranger, Arc::new(super::super::Anonymous));
    let started = std::time::Instant::now();
    let error = client.tags(&RepositoryName::new(&host, "team/app")).await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(2), "a certificate that is not trusted is not tried again");
}

#[tokio::test]
async fn a_real_registry_over_tls_with_an_authority_and_a_password() {
    everything_over_tls(false).await;
}

#[tokio::test]
async fn a_real_registry_over_tls_with_its_own_signature_and_a_password() {
    everything_over_tls(true).await;
}

/// The registry of go-containerregistry, which `scripts/install-test-tools second` builds: another maker's, with the referrers API.
#[tokio::test]
async fn a_second_real_registry_can_do_everything() {
    let test = "registry::a_second_real_registry_can_do_everything";
    if std::env::var("ORCHESTRATE_TEST_REAL").as_deref() != Ok("1") {
        return skipped(test, "ORCHESTRATE_TEST_REAL=1 is not set");
    }
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/bin/second-registry");
    let mut command = Command::new(built);
    let Ok(mut child) = command.arg("127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn() else {
        return skipped(test, "second-registry is not built");
    };
    let mut line = String::new();
    let mut said = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    let _server = Server(child);
    let host = line.trim().trim_start_matches("listening on ").to_owned();
    // It answers the wish to mount a blob with an upload.
    all_operations(&super::anonymous(), &RepositoryName::new(&host, "team/app"), false).await;
    let (client, resets) = super::soak::soak(host, "team/soak-", 15).await;
    eprintln!("{resets} resets, {:?}", client.counters().counts());
}
