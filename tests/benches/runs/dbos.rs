//! DBOS in a process of Python, on PostgreSQL where that is installed, else on SQLite. It is a library: its server is the
//! process whose workflows it keeps, and PostgreSQL. Clients are threads of that process, so that no HTTP lies between.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::chown;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mainstay_tests::measure::of_status;
use mainstay_tests::outside;
use mainstay_tests::signal;
use mainstay_tests::until;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::peers::{self, Process};
use super::system::{BACKLOG, Flow, MEASURED, Memory, Recovery, SLOW_STEP, System, WARM_UP};

/// Whose PostgreSQL is on Debian; root may not run it.
const OWNER: &str = "postgres";

pub struct Dbos {
    app: App,
    url: String,
    // Dropped in this order: the app, the database, its files.
    database: Option<Process>,
    directory: TempDir,
}

/// What it is, where it is installed.
pub fn versions() -> Option<String> {
    let versions = peers::versions("dbos")?;
    let database = match postgres() {
        Some(_) => "PostgreSQL",
        None => "SQLite",
    };
    Some(format!("{versions} on {database}"))
}

/// How programs of PostgreSQL are begun, if it is there and somebody may run it.
fn postgres() -> Option<(u32, u32)> {
    let says = |line: &str| {
        let output = Command::new("sh").args(["-c", line]).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    says("command -v postgres && command -v initdb && command -v setpriv")?;
    let of = |flag: &str, of: &str| says(&format!("id {flag} {of}"))?.parse().ok();
    match of("-u", "")? {
        0 => Some((of("-u", OWNER)?, of("-g", OWNER)?)),
        own => Some((own, of("-g", "")?)),
    }
}

impl Dbos {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (database, url) = match postgres() {
            Some(owner) => begin_postgres(&directory, owner),
            None => {
                let file = directory.path().join("dbos.sqlite");
                (None, format!("sqlite:///{}", file.display()))
            }
        };
        Self {
            app: App::start(&url),
            url,
            database,
            directory,
        }
    }
}

fn begin_postgres(directory: &TempDir, (user, group): (u32, u32)) -> (Option<Process>, String) {
    let at = directory.path();
    chown(at, Some(user), Some(group)).expect("it is ours");
    let as_owner = |program: &str| {
        let mut command = Command::new("setpriv");
        command
            .arg(format!("--reuid={user}"))
            .arg(format!("--regid={group}"))
            .args(["--clear-groups", program, "-D"])
            .arg(at.join("data"))
            .current_dir("/");
        command
    };
    let made = as_owner("initdb")
        .args(["-U", OWNER, "-A", "trust", "--no-locale", "-E", "UTF8"])
        .stdout(Stdio::null())
        .status();
    assert!(made.is_ok_and(|made| made.success()), "a database is made");
    let process = as_owner("postgres")
        .args(["-c", "listen_addresses="])
        .args(["-c", &format!("unix_socket_directories={}", at.display())])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it was there before");
    until(
        "PostgreSQL takes connections",
        || at.join(".s.PGSQL.5432").exists(),
        |there| *there,
    );
    let url = format!("postgresql://{OWNER}@/runs?host={}", at.display());
    (Some(Process(process)), url)
}

impl Drop for Dbos {
    fn drop(&mut self) {
        self.app.process.kill();
        if let Some(database) = &self.database {
            // Killed, it would leave those that serve its connections.
            signal(database.0.id(), Signal::QUIT);
        }
        until(
            "PostgreSQL has ended",
            || outside::processes_of(self.directory.path()).len(),
            |left| *left == 0,
        );
    }
}

/// The process of Python, asked line by line.
struct App {
    process: Process,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl App {
    fn start(url: &str) -> Self {
        let mut app = Self::begin(url);
        app.until_ready();
        app
    }

    /// Returns as soon as its process has begun.
    fn begin(url: &str) -> Self {
        let mut child: Child = Command::new(peers::installed("dbos").join("bin/python"))
            .arg(peers::program("dbos/app.py"))
            .arg(url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("scripts/setup bench installs it");
        let requests = child.stdin.take().expect("it is piped");
        let answers = child.stdout.take().expect("it is piped");
        Self {
            process: Process(child),
            requests,
            answers: BufReader::new(answers),
        }
    }

    fn until_ready(&mut self) {
        assert_eq!(self.answer(), json!("ready"));
    }

    fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.requests, "{request}").expect("it reads");
        self.answer()
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it answers");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("DBOS said: {line:?}"))
    }
}

impl System for Dbos {
    fn times(&mut self, flow: Flow, count: usize) -> Vec<Duration> {
        let request = json!({"do": "times", "flow": flow.as_str(), "count": count});
        let times = self.app.ask(&request);
        let times = times.as_array().expect("a list").iter();
        times
            .map(|time| Duration::from_secs_f64(time.as_f64().expect("seconds")))
            .collect()
    }

    fn rate(&mut self, clients: usize) -> f64 {
        let count = self.app.ask(&json!({
            "do": "count", "clients": clients,
            "warmUp": WARM_UP.as_secs_f64(), "measured": MEASURED.as_secs_f64(),
        }));
        count.as_f64().expect("a number") / MEASURED.as_secs_f64()
    }

    fn open(&mut self, count: usize) {
        self.app.ask(&json!({"do": "open_hours", "count": count}));
    }

    /// The worker is part of it. What PostgreSQL's processes share counts once.
    fn memory(&self) -> Memory {
        let app = u64::from(of_status(self.app.process.0.id(), "VmRSS"));
        let database = self.database.as_ref().map(|database| database.0.id());
        let of_database = outside::processes().into_iter().filter(|process| {
            database.is_some_and(|parent| process.pid == parent || process.parent == parent)
        });
        let database: u64 = of_database
            .map(|process| share_of_memory(process.pid))
            .sum();
        Memory {
            server: app + database,
            worker: 0,
        }
    }

    fn recover(&mut self) -> Recovery {
        let begun = Instant::now();
        let seconds = SLOW_STEP.as_secs_f64();
        self.app
            .ask(&json!({"do": "begin_slow", "count": BACKLOG, "seconds": seconds}));
        let took = begun.elapsed();
        assert!(took < 3 * SLOW_STEP, "some had ended: {took:?}");
        self.app.process.kill();
        let killed = SystemTime::now().duration_since(UNIX_EPOCH);
        let killed = killed.expect("a clock").as_secs_f64();
        self.app = App::start(&self.url);
        let ends = self
            .app
            .ask(&json!({"do": "ends_of_slow", "count": BACKLOG}));
        let ends = ends.as_array().expect("a list").iter();
        let since = |end: &Value| end.as_f64().expect("seconds") - killed;
        Recovery::of(
            ends.map(|end| Duration::from_secs_f64(since(end)))
                .collect(),
        )
    }
}

/// KiB, with what it shares with others divided among them.
fn share_of_memory(pid: u32) -> u64 {
    let path = format!("/proc/{pid}/smaps_rollup");
    // It may have ended.
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_default()
}
