//! What a person can ask of a real cluster: every look in every format, looks that go on, the graph and what would
//! be affected if a part of it failed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use mainstay_tests::cluster::signal;
use mainstay_tests::{Cluster, DevOptions, command, mainstay_binary, until};
use rustix::process::Signal;
use serde_json::Value;

fn cluster(nodes: usize) -> Cluster {
    let cluster = Cluster::with(&DevOptions {
        nodes,
        ..DevOptions::default()
    });
    cluster.sh("start greeter --all").ok();
    cluster.sh("wait greeter --for healthy").ok();
    cluster
}

const LOOKS: [&str; 19] = [
    "status",
    "get nodes",
    "get stations",
    "get types",
    "get placements",
    "get instances",
    "get names",
    "get supervisors",
    "get configurations",
    "get instances greeter@n1",
    "describe greeter@n1",
    "describe type/greeter",
    "why",
    "why greeter@n1",
    "events",
    "decisions",
    "graph greeter@n1",
    "impact node/n1",
    "rule list",
];

// proves: U3
#[test]
fn every_look_comes_as_table_wide_json_yaml_and_names() {
    let cluster = cluster(1);
    for look in LOOKS {
        let json = cluster.sh(&format!("{look} -o json")).ok();
        json.json();
        for format in ["table", "wide", "yaml", "name"] {
            cluster.sh(&format!("{look} -o {format}")).ok();
        }
    }
    // In YAML nothing is lost or taken for something else; keys stand as in JSON.
    let configured = "start greeter --name odd --holds odd --on n1";
    cluster.sh(configured).expect_code(2);
    let as_json = cluster.json("get types");
    let as_yaml = cluster.sh("get types -o yaml").ok().stdout;
    let count = |text: &str| text.matches("start_deadline_ms").count();
    assert_eq!(
        count(&as_yaml),
        as_json.as_array().map_or(0, Vec::len),
        "{as_yaml}"
    );
    let described = cluster.sh("describe greeter@n1 -o json").ok().stdout;
    let at = |key: &str| {
        let key = format!("\"{key}\":");
        described
            .find(&key)
            .unwrap_or_else(|| panic!("{key} is missing in {described}"))
    };
    let order = [
        "kind",
        "ref",
        "node",
        "type",
        "incarnation",
        "desired",
        "state",
        "events",
    ]
    .map(at);
    assert!(
        order.is_sorted(),
        "keys stand in the order of their types: {described}"
    );

    // Names go into the next command as they are.
    for look in [
        "get nodes",
        "get types",
        "get names",
        "get configurations",
        "get supervisors",
        "get stations",
    ] {
        let names = cluster.sh(&format!("{look} -o name")).ok().stdout;
        assert!(!names.is_empty(), "{look}");
        for name in names.lines() {
            let described = cluster.json(&format!("describe {name}"));
            assert_eq!(described["ref"], name, "{look}");
        }
    }
    let wide = cluster.sh("get instances -o wide").ok().stdout;
    let narrow = cluster.sh("get instances").ok().stdout;
    assert!(
        wide.contains("PIDS") && !narrow.contains("PIDS"),
        "{wide}\n{narrow}"
    );
    let refused = cluster.sh("version -o name").expect_code(2);
    assert!(refused.stderr.contains("references"), "{refused:#?}");
}

/// A look that goes on, into a pipe.
struct Watching {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    talk: Option<std::thread::JoinHandle<String>>,
}

impl Watching {
    fn begin(cluster: &Cluster, line: &str) -> Self {
        let mut child = command::command(&mainstay_binary(), cluster.home())
            .args(line.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a look can be started");
        let output = child.stdout.take().expect("it is piped");
        let talk = BufReader::new(child.stderr.take().expect("it is piped"));
        Self {
            child,
            lines: BufReader::new(output).lines(),
            talk: Some(std::thread::spawn(move || {
                std::io::read_to_string(talk).unwrap_or_default()
            })),
        }
    }

    /// The next change for which this holds.
    fn until(&mut self, what: &str, right: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self
                .lines
                .next()
                .unwrap_or_else(|| panic!("it ended before: {what}"));
            let change: Value = serde_json::from_str(&line.expect("text")).expect("a JSON line");
            if right(&change) {
                return change;
            }
        }
    }

    /// Ctrl-C; what it said on stderr.
    fn interrupt(mut self) -> (Option<i32>, String) {
        signal(self.child.id(), Signal::INT);
        let code = self.child.wait().expect("it can be waited for").code();
        let talk = self.talk.take().and_then(|talk| talk.join().ok());
        (code, talk.unwrap_or_default())
    }
}

// proves: U3
#[test]
fn a_look_that_goes_on_tells_each_change_also_over_the_stations_death() {
    let cluster = cluster(1);
    let mut instances = Watching::begin(&cluster, "get instances -w -o json");
    let mut status = Watching::begin(&cluster, "status -w -o json");
    let of = |change: &Value, reference: &str, state: &str| {
        change["ref"] == reference && change["value"]["state"] == state
    };
    let first = instances.until("what is there", |change| change["ref"] == "greeter@n1");
    assert_eq!(first["change"], "is", "{first:#}");
    status.until("all is well", |change| {
        change["value"]["verdict"] == "HEALTHY"
    });
    cluster.sh("start flaky --on n1").ok();
    let new = instances.until("something new", |change| change["ref"] == "flaky@n1");
    assert_eq!(new["change"], "new", "{new:#}");
    // It may run before the look was told that it is there.
    if !of(&new, "flaky@n1", "Running") {
        instances.until("it runs", |change| of(change, "flaky@n1", "Running"));
    }

    signal(cluster.station_pid(), Signal::KILL);
    until(
        "the station is back",
        || cluster.sh("status").code,
        |code| *code == Some(0),
    );
    cluster.sh("stop flaky@n1").ok();
    let stopped = instances.until("what happened after it", |change| {
        of(change, "flaky@n1", "Stopped")
    });
    assert_eq!(stopped["change"], "changed", "{stopped:#}");
    let (code, talk) = instances.interrupt();
    assert_eq!(code, Some(130), "{talk}");
    assert!(
        talk.contains("the station went away") && talk.contains("the station is back"),
        "{talk}"
    );
    cluster
        .sh("start rival --name never --on n1")
        .expect_code(3);
    assert_eq!(status.interrupt().0, Some(130));

    // What is watched for people are lines, and decisions come as they are made.
    let mut decisions = Watching::begin(&cluster, "decisions flaky@n1 -w -o json");
    decisions.until("the past", |change| change["change"] == "is");
    cluster.sh("start flaky --on n1").ok();
    let decided = decisions.until("a new decision", |change| change["change"] == "new");
    assert_eq!(decided["value"]["subject"], "flaky@n1", "{decided:#}");
    assert_eq!(decisions.interrupt().0, Some(130));
    let nobody = cluster.sh("get instances nobody@n1 -w").expect_code(3);
    assert!(nobody.stderr.contains("MS-NOT-FOUND"), "{nobody:#?}");
}

// proves: U3, S6
#[test]
fn the_graph_shows_every_relation_and_an_impact_names_what_would_end() {
    let cluster = cluster(2);
    cluster
        .sh("start flaky --name single --holds single --on n2")
        .ok();
    let graph = cluster.json("graph greeter@n1 --depth 1");
    let relations = graph["relations"].as_array().expect("a list");
    for (relation, to) in [
        ("RunsOn", "node/n1"),
        ("PlacedBy", "greeter"),
        ("InstanceOf", "type/greeter"),
        ("WatchedBy", "supervisor/n1"),
        ("Holds", "name/n1/greeter"),
    ] {
        let there = relations.iter().any(|one| {
            one["from"] == "greeter@n1" && one["relation"] == relation && one["to"] == to
        });
        assert!(there, "{relation} {to} in {graph:#}");
    }
    let tree = cluster.sh("graph greeter@n1").ok().stdout;
    assert!(tree.starts_with("greeter@n1  Running\n"), "{tree}");
    assert!(
        tree.contains("← greeter@n2") || tree.contains("greeter@n2  Running"),
        "{tree}"
    );
    let dot = cluster.sh("graph --format dot").ok().stdout;
    assert!(
        dot.starts_with("digraph ") && dot.contains("\"greeter@n1\" -> \"node/n1\""),
        "{dot}"
    );
    let svg = cluster.sh("graph --format svg").expect_code(2);
    assert!(svg.stderr.contains("dot -Tsvg"), "{svg:#?}");
    assert_eq!(cluster.json("graph check"), Value::Array(Vec::new()));
    cluster.sh("graph nobody@n1").expect_code(3);

    let impact = cluster.json("impact node/n2");
    let listed = |key: &str| {
        let list = impact[key].as_array().expect("a list");
        list.iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert!(
        listed("instances").contains("greeter@n2") && listed("instances").contains("single@n2"),
        "{impact:#}"
    );
    assert!(listed("names").contains("name/n2/single"), "{impact:#}");
    let left = |reference: &str| {
        let losses = impact["placements"].as_array().expect("a list");
        let loss = losses.iter().find(|loss| loss["ref"] == reference);
        loss.map(|loss| loss["left"].clone())
    };
    assert_eq!(left("greeter"), Some(1.into()), "{impact:#}");
    assert_eq!(left("single"), Some(0.into()), "{impact:#}");

    // What was foretold is what happens: the agent's end ends exactly these.
    let before: Vec<Value> = cluster.list("get instances node/n1");
    signal(cluster.agent_pid("n2"), Signal::KILL);
    cluster.until_restarted("single@n2", 1);
    let after: Vec<Value> = cluster.list("get instances node/n1");
    assert_eq!(before[0]["incarnation"], after[0]["incarnation"]);
}
