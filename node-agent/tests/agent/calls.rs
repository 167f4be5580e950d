//! Instances call each other, from agent to agent; and programs do, through the agent's socket. What a station would tell
//! of the graph, the test says.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use mainstay_protocol::code;
use mainstay_protocol::command::Order;
use mainstay_protocol::health::Health;
use mainstay_protocol::limits;
use mainstay_protocol::lookup::{Found, FoundInstance, Sought};
use mainstay_protocol::request::{Answer, Ask, Called};
use mainstay_protocol::session::StationMessage;
use serde_json::{Value, json};

use crate::guards::Peer;
use crate::station::{Cluster, PATIENCE, incarnation};

/// A program that is connected to an agent's socket.
struct Program(BufReader<UnixStream>);

impl Program {
    fn of(agent: &Cluster) -> Self {
        // The agent may be starting.
        agent.wait("an agent that runs", |heard| {
            heard.node_ups.last().map(|_| ())
        });
        let path = agent.path("agent").join("ask.sock");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    fn say(&mut self, question: &Value) {
        writeln!(self.0.get_mut(), "{question}").unwrap();
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    fn ask(&mut self, question: Value) -> Value {
        self.say(&question);
        self.hear()
    }

    fn refused(&mut self, question: Value) -> String {
        let answer = self.ask(question);
        let code = answer["error"]["code"].as_str();
        code.unwrap_or_else(|| panic!("{answer} is no refusal"))
            .to_owned()
    }
}

fn greet(callee: &str) -> Value {
    json!({ "call": callee, "message": "greet", "body": { "name": "Ada" } })
}

/// With a greeter in its first incarnation.
fn greeter_on_n2() -> Cluster {
    let there = Cluster::on("n2");
    there.start("greeter", "greeter", 1, r#"{"greeting":"Hi"}"#);
    there.started("greeter", 1);
    there
}

/// The station of `here` says this of an instance on `there`, once it is asked.
fn tell(here: &Cluster, there: &Cluster, count: u64, state: &str) {
    let sought: Sought = "greeter@n2".parse().unwrap();
    here.wait("that greeter@n2 is followed", |heard| {
        let follows = heard.follows.last()?;
        follows.sought.contains(&sought).then_some(())
    });
    let socket = there.path("agent").join("agent.sock");
    let instance = FoundInstance {
        instance: there.instance("greeter"),
        service_type: "greeter".parse().unwrap(),
        name: "greeter".parse().unwrap(),
        incarnation: incarnation(count),
        state: state.to_owned(),
        health: Health::Ok,
        address: format!("unix:{}", socket.display()),
        ports: [("http".to_owned(), 8080)].into(),
    };
    here.say(&StationMessage::Found(Found {
        sought,
        instances: vec![instance],
        left_out: 0,
    }));
}

/// Starts a `flaky` that calls greeter@n2, and has found it.
fn caller_on_n1(there: &Cluster) -> (Cluster, Program) {
    let here = Cluster::new();
    here.start("flaky", "caller", 1, "{}");
    here.started("caller", 1);
    let mut program = Program::of(&here);
    program.say(&json!({ "lookup": "greeter@n2" }));
    tell(&here, there, 1, "Running");
    let found = program.hear();
    assert_eq!(found["instances"][0]["incarnation"], 1, "{found}");
    assert_eq!(found["instances"][0]["address"], "127.0.0.1:8080");
    (here, program)
}

/// As one instance calls another.
fn through_caller(message: &str, within_ms: u64) -> Value {
    let body = json!({
        "to": "greeter@n2", "message": message, "body": { "name": "Ada" }, "within_ms": within_ms,
    });
    json!({ "call": "caller@n1", "message": "call", "body": body })
}

// proves: S14
#[test]
fn an_instance_calls_one_of_another_node_and_only_the_incarnation_that_it_found_answers() {
    let mut there = greeter_on_n2();
    let (here, mut program) = caller_on_n1(&there);
    let answer = program.ask(through_caller("greet", 5_000));
    assert_eq!(answer["answer"]["text"], "Hi, Ada!", "{answer}");
    let unknown = program.ask(through_caller("gret", 5_000));
    let text = unknown["error"]["text"].as_str().unwrap();
    assert!(text.contains(code::UNKNOWN_MESSAGE.as_str()), "{unknown}");

    // What it found goes on being there without the station; a call needs none.
    here.hang_up();
    let answer = program.ask(greet("greeter@n2"));
    assert_eq!(answer["answer"]["count"], 2, "{answer}");
    let named = json!({ "call": "greeter@n2", "message": "greet", "body": { "name": "Bo" }, "incarnation": 1 });
    assert_eq!(program.ask(named)["answer"]["count"], 3);

    let outcome = there.stop("greeter", 1, 5_000);
    there.outcome(outcome);
    assert_eq!(
        program.refused(greet("greeter@n2")),
        code::NOT_RUNNING.as_str()
    );
    there.start("greeter", "greeter", 2, "{}");
    there.started("greeter", 2);
    let past = program.ask(through_caller("greet", 5_000));
    let text = past["error"]["text"].as_str().unwrap();
    assert!(
        text.contains("incarnation 1 of greeter@n2 is called, and incarnation 2 runs"),
        "{past}"
    );

    there.end_agent();
    let began = Instant::now();
    let mut refused = program.refused(greet("greeter@n2"));
    // It was on its way when the connection ended; the next one finds none.
    if refused == code::ANSWER_LOST.as_str() {
        refused = program.refused(greet("greeter@n2"));
    }
    assert_eq!(refused, code::NOT_REACHED.as_str());
    assert!(began.elapsed() < PATIENCE / 4, "{:?}", began.elapsed());
}

// proves: S14
#[test]
fn a_call_that_is_not_answered_is_late_or_lost_and_holds_no_other_up() {
    let mut there = Cluster::on("n2");
    there.start("flaky", "greeter", 1, "{}");
    there.started("greeter", 1);
    let (_here, mut program) = caller_on_n1(&there);
    let slow = json!({ "call": "greeter@n2", "message": "hang", "body": { "how": "wait" }, "within_ms": 300 });
    assert_eq!(program.refused(slow.clone()), code::TIMEOUT.as_str());

    // It hangs; what it does not do by itself is answered all the same.
    let mut other = Peer::of(&there.path("agent").join("agent.sock"));
    let check = Ask::Call {
        instance: there.instance("greeter"),
        incarnation: Some(incarnation(1)),
        what: Called::Check,
    };
    let Answer::Health { health, .. } = other.ask(check) else {
        panic!("no health");
    };
    assert_ne!(health, Health::Unknown);

    program.say(&json!({ "call": "greeter@n2", "message": "slow", "body": { "ms": 1 }, "within_ms": 600_000 }));
    // It waits behind what hangs, for as long as the agent lives.
    there.wait("that its agent was asked", |heard| {
        (!heard.heartbeats.is_empty()).then_some(())
    });
    there.end_agent();
    let lost = program.hear();
    let code = lost["error"]["code"].as_str().unwrap();
    assert!(
        [code::ANSWER_LOST, code::NOT_RUNNING, code::NOT_REACHED]
            .iter()
            .any(|known| known.as_str() == code),
        "{lost}"
    );
}

// proves: S14
#[test]
fn whoever_is_called_more_often_than_it_can_take_refuses_the_rest_at_once() {
    let there = Cluster::on("n2");
    there.start("flaky", "greeter", 1, "{}");
    there.started("greeter", 1);
    let mut peer = Peer::of(&there.path("agent").join("agent.sock"));
    let hang = || Ask::Call {
        instance: there.instance("greeter"),
        incarnation: None,
        what: Called::Message {
            message: "hang".to_owned(),
            body: r#"{"how":"wait"}"#.to_owned(),
        },
    };
    // One is at work, and so many wait; those beyond are told.
    let more = 5;
    for _ in 0..=limits::INSTANCE_MAILBOX_MAX + more {
        peer.put(hang(), 600_000);
    }
    for _ in 0..more {
        let Answer::Refused(refusal) = peer.hear() else {
            panic!("it is not refused");
        };
        assert_eq!(refusal.code, code::OVERLOADED, "{}", refusal.text);
    }
    // Others of the node are answered meanwhile.
    assert!(matches!(peer.ask(Ask::Look), Answer::Sight(_)));
}

// proves: S14
#[test]
fn what_is_watched_is_told_when_it_changes_and_a_monitor_when_its_incarnation_is_over() {
    let there = greeter_on_n2();
    let (here, mut program) = caller_on_n1(&there);
    let mut watching = Program::of(&here);
    let first = watching.ask(json!({ "watch": "greeter@n2" }));
    assert_eq!(first["instances"][0]["state"], "Running", "{first}");
    program.say(&json!({
        "call": "caller@n1", "message": "await", "body": { "end_of": "greeter@n2" }, "within_ms": 600_000,
    }));
    // Whoever watches is told each time, whatever the monitor has seen by then.
    for state in ["Unresponsive", "Running", "Backoff"] {
        tell(&here, &there, 1, state);
        let told = watching.hear();
        assert_eq!(told["instances"][0]["state"], state, "{told}");
    }
    let over = program.hear();
    let text = over["answer"]["incarnation"].as_u64().map_or_else(
        || over["error"]["text"].to_string(),
        |count| count.to_string(),
    );
    assert!(text == "1" || text.contains("does not run"), "{over}");
    tell(&here, &there, 2, "Running");
    let told = watching.hear();
    assert_eq!(told["instances"][0]["incarnation"], 2, "{told}");
}

// proves: S14
#[test]
fn a_program_that_asks_what_is_none_is_told_so_and_goes_on() {
    let here = Cluster::new();
    let mut program = Program::of(&here);
    for wrong in [
        json!({}),
        json!("web"),
        json!({ "lookup": "web", "watch": "web" }),
        json!({ "lookup": "Web" }),
        json!({ "watch": "node/n1" }),
        json!({ "call": "web@n1" }),
        json!({ "call": "web", "message": "greet" }),
        json!({ "lookup": "web", "colour": "red" }),
    ] {
        assert_eq!(
            program.refused(wrong.clone()),
            code::BAD_REQUEST.as_str(),
            "{wrong}"
        );
    }
    assert_eq!(program.refused(greet("web@n1")), code::NOT_RUNNING.as_str());
    // What no station has answered yet is not known to be nothing.
    let unanswered = json!({ "lookup": "web", "within_ms": 50 });
    assert_eq!(program.refused(unanswered), code::NO_SERVER.as_str());
    let long = "x".repeat(limits::LOCAL_LINE_BYTES_MAX);
    assert_eq!(
        program.refused(json!({ "lookup": long })),
        code::OVERLOADED.as_str()
    );
}

// proves: S14
#[test]
fn a_process_is_told_where_to_ask_and_where_it_was_what_it_depends_on() {
    let here = Cluster::new();
    let config = json!({
        "command": ["/bin/sh", "-c", "echo $MAINSTAY_SOCKET $MAINSTAY_ADDR_MY_DB $MAINSTAY_PORT_http; exec sleep 100000"],
        "ports": ["http"],
        "ready": { "line": "127.0.0.1:5432" },
    });
    let mut start = here.start_order("process", "web", 1, &config.to_string(), "web", 20_000);
    start.addresses = [("my-db".parse().unwrap(), "127.0.0.1:5432".to_owned())].into();
    here.command(Order::Start(start));
    let started = here.started("web", 1);
    let mainstay_protocol::report::Report::Started { ports, .. } = started else {
        panic!("{started:?}");
    };
    let log = here.path("agent/slots/web/log");
    let written = std::fs::read_dir(log).unwrap();
    let written: String = written
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    let socket = here.path("agent").join("ask.sock");
    let line = format!("{} 127.0.0.1:5432 {}", socket.display(), ports["http"]);
    assert!(written.contains(&line), "{line} is not in {written}");
    let outcome = here.stop("web", 1, 5_000);
    here.outcome(outcome);
}
