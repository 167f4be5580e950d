//! The station goes and comes back: the graph is what it was, and what happened meanwhile arrives once.

use std::path::PathBuf;
use std::process::{Child, Stdio};

use mainstay_tests::cluster::signal;
use mainstay_tests::daemons::Daemons;
use mainstay_tests::{Cluster, DevOptions, Witness, command, mainstay_binary, until};
use rustix::process::Signal;
use serde_json::{Value, json};

fn one_node() -> DevOptions {
    DevOptions {
        nodes: 1,
        ..DevOptions::default()
    }
}

fn events_of(cluster: &Cluster, reference: &str, kind: &str) -> Vec<Value> {
    cluster
        .list("events --since 1h")
        .into_iter()
        .filter(|event| event["subject"] == reference && event["type"] == kind)
        .collect()
}

fn until_answered(cluster: &Cluster) {
    until(
        "the station answers and its node is online",
        || cluster.sh("get nodes n1 -o json"),
        |run| run.code == Some(0) && run.json()["state"] == "Online",
    );
}

// case: services 41
// case: services 48
// proves: S12, S22
#[test]
fn a_report_made_while_the_station_was_down_arrives_once() {
    let cluster = Cluster::with(&one_node());
    let file = cluster.home().join("down.witness");
    cluster.sh("start greeter --on n1").ok();
    let count = cluster.greet("greeter@n1");
    let status = cluster.json("status");
    cluster
        .sh(&format!(
            "start flaky --name lonely --on n1 --no-wait --config start_ms=1500 'refuse=not-now: nobody listens' witness={}",
            file.display()
        ))
        .ok();
    cluster.until_state("lonely@n1", "Starting");
    // With its parent held, the station stays down.
    signal(cluster.parent_pid(), Signal::STOP);
    let station = cluster.station_pid();
    signal(station, Signal::KILL);
    until(
        "the start came to its end",
        || Witness::read(&file).lines.len(),
        |lines| *lines == 1,
    );
    cluster.sh("status").expect_code(6);
    signal(cluster.parent_pid(), Signal::CONT);
    until_answered(&cluster);

    let failed = until(
        "the failure is in the graph",
        || events_of(&cluster, "lonely@n1", "instance.failed"),
        |events| !events.is_empty(),
    );
    assert!(
        failed[0]["message"]
            .as_str()
            .is_some_and(|text| text.contains("nobody listens")),
        "{failed:#?}"
    );
    cluster.until_restarted_or_waiting("lonely@n1");
    cluster.sh("stop lonely@n1").ok();
    let failures = events_of(&cluster, "lonely@n1", "instance.failed");
    let incarnations: Vec<&Value> = failures
        .iter()
        .map(|event| &event["data"]["incarnation"])
        .collect();
    let mut once = incarnations.clone();
    once.dedup();
    assert_eq!(incarnations, once, "each incarnation failed once");
    for ((who, incarnation), starts) in Witness::read(&file).starts() {
        assert_eq!(starts, 1, "{who} {incarnation}");
    }
    assert_eq!(cluster.greet("greeter@n1"), count + 1, "what ran went on");
    assert_eq!(cluster.incarnation("greeter@n1"), 1);
    assert_eq!(
        cluster.json("status")["leader"],
        status["leader"],
        "the same leader"
    );
}

// case: services 29
// case: services 41
// proves: S22
#[test]
fn a_station_killed_amid_failures_restarts_each_instance_once() {
    const INSTANCES: usize = 6;
    let cluster = Cluster::with(&one_node());
    let file = cluster.home().join("amid.witness");
    for at in 0..INSTANCES {
        let line = format!(
            "start flaky --name amid{at} --on n1 --config witness={}",
            file.display()
        );
        cluster.sh(&line).ok();
    }
    for at in 0..INSTANCES {
        std::thread::scope(|scope| {
            let call = scope.spawn(|| {
                cluster.sh(&format!(
                    "call amid{at}@n1 panic '{{\"text\":\"amid {at}\"}}'"
                ))
            });
            signal(cluster.station_pid(), Signal::KILL);
            let _ = call.join();
        });
        until_answered(&cluster);
    }
    // Whichever calls came through: what failed once was started again once.
    let settled = until(
        "all run again",
        || cluster.list("get instances"),
        |all| all.len() == INSTANCES && all.iter().all(|one| one["state"] == "Running"),
    );
    let starts = Witness::read(&file).starts();
    for instance in &settled {
        let name = instance["name"].as_str().expect("a name");
        let count = instance["incarnation"].as_u64().expect("a number");
        let begun: usize = starts
            .iter()
            .filter(|((who, _), _)| who == name)
            .map(|(_, times)| times)
            .sum();
        assert_eq!(
            begun as u64, count,
            "{name}: one start for each incarnation"
        );
        assert!(count <= 2, "{name} failed at most once: {instance:#}");
    }
}

// case: services 35
// proves: S12, S17
#[test]
fn a_whole_cluster_killed_comes_back_from_its_graph() {
    let cluster = Cluster::with(&one_node());
    let file = cluster.home().join("whole.witness");
    cluster
        .sh(&format!(
            "start greeter --on n1 --config witness={} greeting=Moin",
            file.display()
        ))
        .ok();
    cluster.sh("start flaky --name resting --on n1").ok();
    cluster.sh("stop resting@n1").ok();
    let agent = cluster.agent_pid("n1");
    signal(cluster.parent_pid(), Signal::STOP);
    signal(cluster.station_pid(), Signal::KILL);
    signal(agent, Signal::KILL);
    signal(cluster.parent_pid(), Signal::CONT);
    let back = until(
        "the greeter runs in its next incarnation",
        || cluster.instance("greeter@n1"),
        |one| {
            one.as_ref()
                .is_some_and(|one| one["state"] == "Running" && one["incarnation"] == 2)
        },
    )
    .expect("the condition holds for something only");
    assert_eq!(back["config"]["greeting"], "Moin");
    assert_ne!(back["process"][0]["pid"], agent);
    assert_eq!(cluster.greet("greeter@n1"), 1, "its memory is new");
    assert_eq!(cluster.state("resting@n1"), "Stopped");
    assert_eq!(Witness::read(&file).starts().len(), 2);
}

// case: services 4
// proves: S16
#[test]
fn a_node_that_joins_again_is_there_once_and_its_services_do_not_notice() {
    const JOINS: u64 = 3;
    let mut cluster = Daemons::start(&mainstay_binary(), 1);
    cluster.sh("start greeter --on n1").ok();
    let greet = "call greeter@n1 greet '{\"name\":\"Ada\"}'";
    cluster.sh(greet).ok();
    let before = cluster.instance("greeter@n1").expect("it runs");
    for join in 1..=JOINS {
        cluster.kill_station();
        cluster.start_station(&mainstay_binary());
        until(
            "it is reached through the next session",
            || cluster.sh("check greeter@n1"),
            |run| run.code == Some(0),
        );
        let counted = cluster.sh(greet).ok().stdout;
        assert!(counted.contains(&(join + 1).to_string()), "{counted}");
    }
    let after = cluster.instance("greeter@n1").expect("it runs");
    for same in ["state", "incarnation", "process", "config"] {
        assert_eq!(after[same], before[same], "{same}: {after:#}");
    }
    assert_eq!(cluster.list("get nodes").len(), 1);
    let events = cluster.list("events --since 1h");
    let joined = events.iter().filter(|event| event["type"] == "node.joined");
    assert_eq!(joined.count(), 1, "{events:#?}");
}

// case: services 9
// proves: S17
#[test]
fn a_kept_cluster_is_found_again_by_its_next_start() {
    let directory = tempfile::Builder::new()
        .prefix("kept")
        .tempdir()
        .expect("a directory");
    let kept = |extra: &[&str]| {
        let mut words = vec![
            "--dir".to_owned(),
            directory.path().join("c").to_string_lossy().into_owned(),
        ];
        words.extend(extra.iter().map(|word| (*word).to_owned()));
        Cluster::with(&DevOptions {
            extra: words,
            ..one_node()
        })
    };
    let mut first = kept(&["--keep"]);
    first
        .sh("start greeter --on n1 --config greeting=Servus")
        .ok();
    first.sh("start flaky --name a --holds x --on n1").ok();
    first
        .sh("start noisy --name b --holds x --on n1")
        .expect_code(4);
    first.sh("start flaky --name resting --on n1").ok();
    first.sh("stop resting@n1").ok();
    let id = first.json("version")["station"]["cluster_id"].clone();
    assert_eq!(first.interrupt(), Some(0));

    let second = kept(&[]);
    let greeter = second.until_restarted("greeter@n1", 1);
    assert_eq!(greeter["config"]["greeting"], "Servus");
    second.until_restarted("a@n1", 1);
    assert_eq!(second.state("b@n1"), "Blocked");
    assert_eq!(second.state("resting@n1"), "Stopped");
    assert_eq!(
        second.json("version")["station"]["cluster_id"],
        id,
        "the same cluster"
    );
    let events = second.list("events --since 1h");
    assert!(
        events
            .iter()
            .any(|event| event["subject"] == "a@n1" && event["type"] == "instance.created")
    );
}

/// A daemon of its own, without a parent of the dev cluster; killed when the test ends.
struct Daemon(Child);

impl Daemon {
    fn run(home: &std::path::Path, words: &[&str]) -> Self {
        let log =
            std::fs::File::create(home.join(format!("{}.log", words[0]))).expect("a log file");
        let child = command::command(&mainstay_binary(), home)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("a daemon can be started");
        Self(child)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A context for a station that no `dev` made.
fn write_context(home: &std::path::Path, socket: &std::path::Path) {
    let contexts = home.join("home/contexts");
    std::fs::create_dir_all(&contexts).expect("a directory");
    let context = json!({ "name": "bare", "socket": socket, "dev": null });
    std::fs::write(contexts.join("bare.json"), context.to_string()).expect("a context");
}

// case: services 5
// proves: S16
#[test]
fn an_agent_that_came_before_its_station_joins_when_it_is_there() {
    let home = tempfile::Builder::new()
        .prefix("ms")
        .tempdir()
        .expect("a directory");
    let at = |name: &str| -> PathBuf { home.path().join(name) };
    let (api, agents) = (at("api.sock"), at("agents.sock"));
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    write_context(home.path(), &api);
    let agent_words = [
        "agent",
        "run",
        "--node",
        "n1",
        "--dir",
        &text(&at("n1")),
        "--station",
        &text(&agents),
    ];
    let mut agent = Daemon::run(home.path(), &agent_words);
    until(
        "the agent has tried and says so",
        || std::fs::read_to_string(at("agent.log")).unwrap_or_default(),
        |log| !log.is_empty(),
    );
    let status = ["status", "--context", "bare"];
    assert_eq!(command::run(home.path(), &status).code, Some(6));

    let station_words = [
        "station",
        "run",
        "--cluster",
        "bare",
        "--profile",
        "dev",
        "--dir",
        &text(&at("s1")),
        "--api",
        &text(&api),
        "--agents",
        &text(&agents),
    ];
    let _station = Daemon::run(home.path(), &station_words);
    let nodes = ["get", "nodes", "-o", "json", "--context", "bare"];
    let seen = until(
        "the node is online",
        || command::run(home.path(), &nodes),
        |run| run.code == Some(0) && run.json()[0]["state"] == "Online",
    );
    assert_eq!(
        seen.json().as_array().map(Vec::len),
        Some(1),
        "once: {seen:#?}"
    );
    let start = ["start", "greeter", "--on", "n1", "--context", "bare"];
    command::run(home.path(), &start).ok();
    let gone = agent.0.try_wait().expect("it can be asked");
    assert!(gone.is_none(), "the same agent process: {gone:?}");
}
