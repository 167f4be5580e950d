//! A NATS server of a test's own: the one that Debian has, with its JetStream in a directory of its own.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::until::until;

#[derive(Debug)]
pub struct NatsServer {
    home: TempDir,
    port: u16,
    child: Option<Child>,
    /// More words for its command line.
    more: Vec<String>,
}

impl NatsServer {
    pub fn start() -> Self {
        Self::with(&[])
    }

    pub fn with(more: &[&str]) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("its address").port();
        drop(free);
        let mut server = Self {
            home: tempfile::Builder::new()
                .prefix("msn")
                .tempdir()
                .expect("a temporary directory"),
            port,
            child: None,
            more: more.iter().map(|word| (*word).to_owned()).collect(),
        };
        server.start_again();
        server
    }

    pub fn servers(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    fn storage(&self) -> PathBuf {
        self.home.path().join("jetstream")
    }

    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = self.home.path().join("nats.log");
        let path = std::env::var("PATH").unwrap_or_default();
        let child = Command::new("nats-server")
            // Where Debian puts it, which is not everybody's to look in.
            .env("PATH", format!("{path}:/usr/sbin"))
            .args([
                "--jetstream",
                "--addr",
                "127.0.0.1",
                "--port",
                &self.port.to_string(),
            ])
            .arg("--store_dir")
            .arg(self.storage())
            .arg("--log")
            .arg(&log)
            .args(&self.more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server can be started; scripts/setup installs it");
        self.child = Some(child);
        let listens = || TcpStream::connect(("127.0.0.1", self.port));
        let _listens = until(
            &format!("the NATS server to listen; see {}", log.display()),
            listens,
            |found| found.is_ok(),
        );
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
        }
    }

    /// Everything that lay in its streams is gone. Only while it does not run.
    pub fn wipe(&self) {
        assert!(self.child.is_none(), "it runs");
        std::fs::remove_dir_all(self.storage()).expect("its storage");
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}
