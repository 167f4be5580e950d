//! The demo of `mainstay dev`: three programs that need one another, broken as its page invites people to, and telling
//! the truth about it each time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use mainstay_tests::{Cluster, DevOptions, outside, signal, until};
use rustix::process::Signal;
use serde_json::Value;

const WORKERS: [&str; 3] = ["worker@n1", "worker@n2", "worker@n3"];

fn demo() -> Cluster {
    Cluster::with(&DevOptions {
        demo: true,
        ..DevOptions::default()
    })
}

/// What `mainstay dev` said behind this word.
fn told<'a>(cluster: &'a Cluster, word: &str) -> &'a str {
    let mut lines = cluster.said.lines();
    let line = lines
        .find_map(|line| line.strip_prefix(word))
        .map(str::trim);
    line.unwrap_or_else(|| panic!("no {word} in:\n{}", cluster.said))
}

/// The whole answer, head and body; empty where nobody answers.
fn page(cluster: &Cluster) -> String {
    let url = told(cluster, "page ");
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut answer = String::new();
    let asked = TcpStream::connect(address).and_then(|mut stream| {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: demo\r\n\r\n")?;
        stream.read_to_string(&mut answer)
    });
    match asked {
        Ok(_) => answer,
        Err(_) => String::new(),
    }
}

fn counted(page: &str) -> u64 {
    let behind = page.split("Counted so far: ").nth(1).unwrap_or_default();
    let number = behind.split('<').next().unwrap_or_default();
    number.parse().unwrap_or(0)
}

/// Waits until more was counted than this.
fn until_counted(cluster: &Cluster, before: u64) -> String {
    until(
        &format!("the page tells of more than {before}"),
        || page(cluster),
        |page| counted(page) > before,
    )
}

fn pid(cluster: &Cluster, reference: &str) -> u32 {
    let instance = cluster.instance(reference).expect("it is there");
    let pid = instance["process"][0]["pid"].as_u64();
    pid.and_then(|pid| pid.try_into().ok())
        .unwrap_or_else(|| panic!("no pid: {instance:#}"))
}

fn reason(instance: &Value) -> String {
    format!(
        "{}: {}",
        instance["reason"]["code"].as_str().unwrap_or_default(),
        instance["reason"]["text"].as_str().unwrap_or_default()
    )
}

// acceptance: 10
// proves: S3, U1
#[test]
fn the_demo_is_broken_tells_why_and_comes_back() {
    let mut cluster = demo();
    for reference in ["db@n1", "worker@n1", "worker@n2", "worker@n3", "web@n3"] {
        assert_eq!(cluster.state(reference), "Running", "ready means all of it");
    }
    let shown = until(
        "every worker is on the page",
        || page(&cluster),
        |page| {
            let mut rows = WORKERS
                .map(|worker| format!("<td>{worker}</td>"))
                .into_iter();
            rows.all(|row| page.contains(&row))
        },
    );
    assert!(shown.starts_with("HTTP/1.1 200 OK\r\n"), "{shown}");
    assert!(shown.contains("The database answers"), "{shown}");

    a_killed_database_costs_nobody_else_its_life(&cluster);
    a_killed_worker_is_started_again(&cluster);
    a_stopped_database_holds_back_its_workers(&cluster);

    let file = told(&cluster, "demo ");
    cluster.sh(&format!("plan --exit-code -f {file}")).ok();
    assert_eq!(cluster.interrupt(), Some(0), "{}", cluster.log());
    until(
        "no process of the demo is left",
        || outside::processes_of(cluster.home()),
        Vec::is_empty,
    );
    assert!(!Path::new(told(&cluster, "demo ")).exists());
}

fn a_killed_database_costs_nobody_else_its_life(cluster: &Cluster) {
    let before = until_counted(cluster, 0);
    let others = ["web@n3", "worker@n1", "worker@n2", "worker@n3"];
    let pids = others.map(|reference| pid(cluster, reference));
    signal(pid(cluster, "db@n1"), Signal::KILL);
    let web = cluster.until_state("web@n3", "Degraded");
    assert!(
        reason(&web).starts_with("MS-DEGRADED: db went away"),
        "{web:#}"
    );
    cluster.expect_root("web", "db went away");
    assert_eq!(cluster.json("status")["verdict"], "DEGRADED");
    cluster.until_restarted("db@n1", 1);
    cluster.expect_root("db@n1", "was ended by SIGKILL");
    until_counted(cluster, counted(&before));
    cluster.until_state("web@n3", "Running");
    assert_eq!(others.map(|reference| pid(cluster, reference)), pids);
}

fn a_killed_worker_is_started_again(cluster: &Cluster) {
    let before = cluster.incarnation("worker@n2");
    signal(pid(cluster, "worker@n2"), Signal::KILL);
    cluster.until_restarted("worker@n2", before);
    cluster.expect_root("worker@n2", "was ended by SIGKILL");
    cluster.expect_decision("worker@n2", "restart", "MS-RESTARTED-AT-ONCE");
}

fn a_stopped_database_holds_back_its_workers(cluster: &Cluster) {
    let web = pid(cluster, "web@n3");
    cluster.sh("stop db").ok();
    for worker in WORKERS {
        let blocked = cluster.until_state(worker, "Blocked");
        let waits = "MS-DEPENDENCY-NOT-READY: waits until db is healthy";
        assert_eq!(reason(&blocked), waits);
        let logs = cluster.sh(&format!("logs {worker}")).ok();
        let said = format!("{}{}", logs.stdout, logs.stderr);
        assert!(
            said.contains("gave up after 5 s: db at 127.0.0.1:"),
            "{said}"
        );
    }
    cluster.until_state("web@n3", "Degraded");
    let down = page(cluster);
    assert!(down.contains("Not now: db at 127.0.0.1:"), "{down}");

    cluster.sh("restart db").ok();
    for worker in WORKERS {
        cluster.until_state(worker, "Running");
    }
    until_counted(cluster, counted(&down));
    cluster.until_state("web@n3", "Running");
    assert_eq!(pid(cluster, "web@n3"), web, "it was left alone");
}

// acceptance: 10
// proves: U1
#[test]
fn two_demos_do_not_meet_and_a_kept_one_goes_on_where_it_was() {
    let other = demo();
    let home = tempfile::Builder::new()
        .prefix("ms")
        .tempdir()
        .expect("a temporary directory");
    let directory = home.path().join("d");
    let kept = || {
        Cluster::with(&DevOptions {
            demo: true,
            nodes: 1,
            extra: vec![
                "--keep".to_owned(),
                "--dir".to_owned(),
                directory.display().to_string(),
            ],
            ..DevOptions::default()
        })
    };
    let mut first = kept();
    assert_ne!(told(&first, "page "), told(&other, "page "));
    let counted_first = counted(&until_counted(&first, 3));
    until_counted(&other, 3);
    assert_eq!(first.interrupt(), Some(0), "{}", first.log());

    let second = kept();
    let web = second.until_state("web@n1", "Running");
    assert_eq!(web["incarnation"], 2, "{web:#}");
    let counts = directory.join("demo/db.counts");
    until(
        "the count goes on",
        || std::fs::read_to_string(&counts).unwrap_or_default(),
        |counts| {
            let total: Option<u64> = counts.split(' ').nth(1).and_then(|text| text.parse().ok());
            total > Some(counted_first)
        },
    );
    drop(second);
    until(
        "the kept cluster is gone",
        || outside::processes_of(&directory),
        Vec::is_empty,
    );
}
