//! Instances, and programs of any language, find each other and talk directly: from agent to agent, also while no station
//! answers.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use mainstay_tests::cluster::signal;
use mainstay_tests::{Cluster, DevOptions, Machines, outside, until};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Longer than any answer takes, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(30);
/// A refusal is one in time if it comes by then: the call itself would wait for a minute.
const CLEARLY: Duration = Duration::from_secs(15);

/// A program that is connected to an agent's socket.
struct Program(BufReader<UnixStream>);

impl Program {
    fn on_n1(cluster: &Cluster) -> Self {
        let mut all = outside::files_below(cluster.home()).into_iter();
        let path = all
            .find(|path| path.ends_with("n1/ask.sock"))
            .expect("the agent of n1 has a socket for programs");
        Self::at(&path)
    }

    fn at(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("its user is let in");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a time can be set");
        Self(BufReader::new(stream))
    }

    fn say(&mut self, question: &Value) {
        writeln!(self.0.get_mut(), "{question}").expect("the agent listens");
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("the agent answers");
        serde_json::from_str(&line).expect("a line is JSON")
    }

    fn ask(&mut self, question: &Value) -> Value {
        self.say(question);
        self.hear()
    }

    /// Has the instance caller@n1 call one of n2.
    fn greet_through_caller(&mut self) -> Value {
        let call = json!({
            "to": "greeter@n2", "message": "greet", "body": { "name": "Ada" }, "within_ms": 60_000,
        });
        self.ask(&json!({
            "call": "caller@n1", "message": "call", "body": call, "within_ms": 60_000,
        }))
    }
}

fn is(told: &Value, incarnation: u64, state: &str) -> bool {
    let one = &told["instances"][0];
    one["incarnation"] == incarnation && one["state"] == state
}

fn two_nodes() -> Cluster {
    Cluster::with(&DevOptions {
        nodes: 2,
        ..DevOptions::default()
    })
}

// proves: S14, S2
#[test]
fn an_instance_calls_one_of_another_node_while_the_station_stands_still() {
    let cluster = two_nodes();
    cluster.sh("start greeter --on n2").ok();
    cluster.sh("start flaky --name caller --on n1").ok();
    let mut program = Program::on_n1(&cluster);
    let mut watching = Program::on_n1(&cluster);
    let mut told = watching.ask(&json!({ "watch": "greeter@n2" }));
    while !is(&told, 1, "Running") {
        told = watching.hear();
    }
    let found = program.ask(&json!({ "lookup": "type/greeter" }));
    assert!(is(&found, 1, "Running"), "{found:#}");
    assert_eq!(found["instances"][0]["instance"], "greeter@n2", "{found:#}");
    assert_eq!(found["instances"][0]["name"], "greeter", "{found:#}");

    let station = cluster.station_pid();
    signal(station, Signal::STOP);
    let answer = program.greet_through_caller();
    assert!(
        answer["answer"]["text"]
            .as_str()
            .is_some_and(|text| text.contains("Ada")),
        "{answer:#}"
    );
    // What was looked up is there, and says how old it is.
    let age = until(
        "what was found grows old",
        || program.ask(&json!({ "lookup": "greeter@n2" })),
        |found| is(found, 1, "Running") && found["age_ms"].as_u64() > Some(1_500),
    );
    assert!(age["error"].is_null(), "{age:#}");
    let unknown = program.ask(&json!({ "lookup": "nobody", "within_ms": 100 }));
    assert_eq!(unknown["error"]["code"], "MS-NO-SERVER", "{unknown:#}");

    // Its agent dies, and what that hosted: nobody can tell, and whoever calls is told all the same.
    signal(cluster.agent_pid("n2"), Signal::KILL);
    let began = Instant::now();
    let refused = program.greet_through_caller();
    let text = refused["error"]["text"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let clear = ["MS-NOT-REACHED", "MS-NOT-RUNNING", "MS-ANSWER-LOST"];
    assert!(clear.iter().any(|code| text.contains(code)), "{refused:#}");
    assert!(began.elapsed() < CLEARLY, "{:?}", began.elapsed());

    signal(station, Signal::CONT);
    while !is(&told, 2, "Running") {
        told = watching.hear();
        assert!(told["error"].is_null(), "{told:#}");
    }
    let past = program.ask(&json!({
        "call": "greeter@n2", "message": "greet", "body": { "name": "Ada" }, "incarnation": 1,
    }));
    assert_eq!(past["error"]["code"], "MS-OTHER-INCARNATION", "{past:#}");
    let answer = program.greet_through_caller();
    assert_eq!(answer["answer"]["count"], 1, "{answer:#}");
}

// proves: S14
#[test]
fn a_call_crosses_machines_over_tls_while_the_station_is_cut_off_from_both() {
    let mut machines = Machines::new(3);
    machines.init(1, "prod");
    for machine in 2..=3 {
        machines.add_agent(machine);
    }
    machines.until_online(1, 2);
    machines.sh(1, "start greeter --on n3").ok();
    let mut program = Program::at(&machines.dir(2).join("agent/ask.sock"));
    let found = until(
        "it is found",
        || program.ask(&json!({ "lookup": "greeter" })),
        |found| is(found, 1, "Running"),
    );
    let agent = found["instances"][0]["agent"].as_str().unwrap_or_default();
    assert!(agent.starts_with(&machines.address(3)), "{found:#}");

    machines.cut(1);
    let greet = json!({ "call": "greeter@n3", "message": "greet", "body": { "name": "Ada" } });
    for count in 1..=2 {
        let answer = program.ask(&greet);
        assert_eq!(answer["answer"]["count"], count, "{answer:#}");
    }
    // Now the two are cut off from each other: it is said, and not waited for longer than it has to be.
    machines.cut(3);
    let began = Instant::now();
    let refused = program.ask(&greet);
    let code = refused["error"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let clear = ["MS-NOT-REACHED", "MS-ANSWER-LOST", "MS-TIMEOUT"];
    assert!(clear.contains(&code.as_str()), "{refused:#}");
    assert!(began.elapsed() < CLEARLY, "{:?}", began.elapsed());
    machines.heal(3);
    until(
        "it is reached again",
        || program.ask(&greet),
        |answer| answer["answer"]["count"].is_number(),
    );
}

/// Reaches what it depends on by the address it was started with; then finds and calls others through the socket.
const SCRIPT: &str = r#"
import json, os, socket, time, urllib.request
address = os.environ["MAINSTAY_ADDR_MY_DB"]
print("page", urllib.request.urlopen("http://" + address + "/", timeout=30).status, flush=True)
lines = socket.socket(socket.AF_UNIX)
lines.connect(os.environ["MAINSTAY_SOCKET"])
lines = lines.makefile("rw")
def ask(question):
    print(json.dumps(question), file=lines, flush=True)
    return json.loads(lines.readline())
found = ask({"lookup": "my-db"})["instances"][0]
print("found", found["instance"], found["address"] == address, flush=True)
answer = ask({"call": "greeter@n2", "message": "greet", "body": {"name": "Bo"}})
print("answer", answer["answer"]["text"], flush=True)
time.sleep(100000)
"#;

// proves: S14, S2
#[test]
fn a_script_reaches_what_it_depends_on_and_calls_others_through_the_socket() {
    let cluster = two_nodes();
    let process = |name: &str, node: &str, config: Value, depends_on: Value| {
        json!({
            "kind": "Placement", "name": name, "type": "process", "target": { "nodes": [node] },
            "config": config, "depends_on": depends_on,
        })
    };
    let database = json!({
        "command": ["python3", "-m", "http.server", "${port:http}"],
        "ports": ["http"],
        "ready": { "http": "/" },
    });
    let files = json!([
        process("my-db", "n2", database, json!([])),
        process(
            "web",
            "n1",
            json!({ "command": ["python3", "-c", SCRIPT] }),
            json!([{ "placement": "my-db", "until": "started" }]),
        ),
        {
            "kind": "Placement", "name": "greeter", "type": "greeter", "target": { "nodes": ["n2"] },
            "config": { "greeting": "Hi" },
        },
    ]);
    let file = cluster.home().join("web.json");
    std::fs::write(&file, files.to_string()).expect("the file can be written");
    cluster.sh(&format!("apply -f {}", file.display())).ok();
    let log = until(
        "the script has its answer",
        || cluster.sh("logs web@n1").stdout,
        |log| log.contains("answer"),
    );
    for line in ["page 200", "found my-db@n2 True", "answer Hi, Bo!"] {
        assert!(log.contains(line), "{line}: {log}");
    }
}
