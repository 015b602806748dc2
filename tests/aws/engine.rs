//! A Docker Engine for which the names of AWS mean the servers of a test.

use std::fs::{self, File};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::world::World;

/// A running engine. Dropped, it is gone.
pub struct Engine {
    folder: tempfile::TempDir,
    daemon: Child,
}

impl Engine {
    /// Starts one in the world of `world`, with its own folders, and tells the program of that world.
    pub fn start(world: &mut World) -> Self {
        let folder = tempfile::Builder::new().prefix("orchestrate-engine.").tempdir_in("/tmp").unwrap();
        fs::create_dir(folder.path().join("config")).unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let host = format!("unix://{}", at("sock"));
        let settings = serde_json::json!({
            "features": { "containerd-snapshotter": true },
            "data-root": at("data"), "exec-root": at("exec"), "pidfile": at("pid"), "hosts": [&host],
            "iptables": false, "ip6tables": false, "ip-forward": false,
        });
        fs::write(folder.path().join("daemon.json"), settings.to_string()).unwrap();
        let environment = [("DOCKER_HOST", host), ("DOCKER_CONFIG", at("config"))];
        world.environment.extend(environment.map(|(name, value)| (name.to_owned(), Some(value))));
        let mut engine = Self { daemon: Self::spawn(world, &folder), folder };
        // It gives its containerd 15 s; a cold disk can need longer.
        for attempt in 1.. {
            if engine.comes_up(world) {
                break;
            }
            let log = fs::read_to_string(engine.folder.path().join("log")).unwrap_or_default();
            assert!(attempt < 3, "the engine does not come up: {log}");
            engine.stop();
            engine.daemon = Self::spawn(world, &engine.folder);
        }
        engine
    }

    fn spawn(world: &World, folder: &tempfile::TempDir) -> Child {
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = world.process("dockerd");
        for name in ["DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT"] {
            command.env_remove(name);
        }
        command
            .arg("--config-file")
            .arg(folder.path().join("daemon.json"))
            .env("PATH", path())
            .env("SSL_CERT_FILE", world.environment["SSL_CERT_FILE"].as_deref().unwrap())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("nsenter is there: it comes with util-linux")
    }

    fn comes_up(&mut self, world: &World) -> bool {
        let until = Instant::now() + Duration::from_secs(120);
        while Instant::now() < until && self.daemon.try_wait().unwrap().is_none() {
            if self.docker(world, &["info"]).status.success() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        false
    }

    /// Docker's own client, in the project's folder.
    pub fn docker(&self, world: &World, arguments: &[&str]) -> Output {
        self.client(world).args(arguments).output().unwrap()
    }

    /// The client, to be told what to do.
    pub fn client(&self, world: &World) -> Command {
        let mut command = world.process("docker");
        for name in ["DOCKER_HOST", "DOCKER_CONFIG", "SSL_CERT_FILE"] {
            command.env(name, world.environment[name].as_deref().unwrap());
        }
        command.env("PATH", path()).env_remove("DOCKER_CONTEXT");
        command
    }

    fn stop(&mut self) {
        // Asked, it stops its containerd too and unmounts what it mounted.
        let _ = Command::new("kill").arg(self.daemon.id().to_string()).status();
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if !matches!(self.daemon.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The client that belongs to the installed engine may not be the first of PATH.
fn path() -> String {
    format!("/usr/bin:/usr/sbin:/sbin:{}", std::env::var("PATH").unwrap_or_default())
}
