//! What a container of Mainstay does: the entry point of the image, with real daemons and without an image; and whether what
//! makes such containers fits together.

mod manifests;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use mainstay_tests::{mainstay_binary, signal, until};
use rustix::process::Signal;
use tempfile::TempDir;

/// One container's variables.
struct Pod {
    role: &'static str,
    data: TempDir,
    listen: String,
}

impl Pod {
    fn new(role: &'static str, listen: &str) -> Self {
        Self {
            role,
            data: tempfile::tempdir().expect("a directory can be made"),
            listen: listen.to_owned(),
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let entry = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/mainstay-container");
        let programs: PathBuf = mainstay_binary().parent().expect("a folder").into();
        let search = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(entry);
        command
            .args(words)
            .env("PATH", format!("{}:{search}", programs.display()))
            .env("MAINSTAY_DATA", self.data.path())
            .env("MAINSTAY_HOME", self.data.path().join("home"))
            .env("ROLE", self.role)
            .env("NODE", "pod-0")
            .env("LISTEN", &self.listen)
            .stdin(Stdio::null());
        command
    }

    fn runs(&self) -> Daemon {
        let mut command = self.command(&[self.role]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Daemon(command.spawn().expect("sh, perl and flock are installed"))
    }

    fn does(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("it can be run")
    }

    fn said(&self, words: &[&str]) -> String {
        let output = self.does(words);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {error}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn is_ready(&self) {
        let ready = || self.does(&["ready", self.role]).status.success();
        until(&format!("the {} is ready", self.role), ready, |is| *is);
        self.said(&["alive", self.role]);
    }
}

/// Ended with the test, whatever becomes of it.
struct Daemon(Child);

impl Daemon {
    /// As whoever stops a container asks it to.
    fn ends(mut self) {
        signal(self.0.id(), Signal::TERM);
        let ended = until(
            "it ends",
            || self.0.try_wait().ok().flatten(),
            Option::is_some,
        );
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            signal(self.0.id(), Signal::TERM);
            let _ = self.0.wait();
        }
    }
}

fn free_address() -> String {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    free.expect("a port is free").to_string()
}

// proves: O10
#[test]
fn a_container_waits_until_it_is_let_in_and_ends_what_it_runs() {
    let address = free_address();
    let station = Pod::new("station", &address);
    let agent = Pod::new("agent", &address);
    let (station_runs, agent_runs) = (station.runs(), agent.runs());
    assert!(!station.does(&["alive", "station"]).status.success());
    station.said(&["found", "prod"]);
    station.is_ready();

    let token = station.said(&["token", "agent", "pod-0"]);
    let mut join = agent.command(&["join", &address]);
    let mut join = join.stdin(Stdio::piped()).spawn().expect("it can be run");
    let mut given = join.stdin.take().expect("it was asked for");
    std::io::Write::write_all(&mut given, format!("{token}\n").as_bytes()).expect("it reads");
    drop(given);
    assert!(join.wait().expect("it ends").success());
    agent.is_ready();

    let start = [
        "mainstay", "start", "process", "--name", "sleeper", "--on", "pod-0", "--config",
    ];
    let config = r#"command=["/bin/sleep","600"]"#;
    station.said(&[&start[..], &[config]].concat());
    let pid = || {
        let shown = station.said(&["mainstay", "get", "instances", "-o", "json"]);
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap_or_default();
        shown[0]["process"][0]["pid"].as_u64()
    };
    let pid = until("it runs", pid, Option::is_some).unwrap_or_default();
    let is_there = || Path::new("/proc").join(pid.to_string()).exists();
    assert!(is_there());
    agent_runs.ends();
    assert!(!is_there(), "what it ran is still there");
    station_runs.ends();
}
