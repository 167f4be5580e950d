//! Outside processes, as the station hears of them: begun, ready, ended, broken, taken over.

use mainstay_hold::processes;
use mainstay_protocol::code;
use mainstay_protocol::command::{Order, Stop, StopManner, StopWhy};
use mainstay_protocol::health::{Evidence, FailureKind, Health, ProcessIdentity, RefusedStart};
use mainstay_protocol::report::{CommandOutcome, Ending, LiveState, Report};
use mainstay_protocol::request::{Answer, Ask, ChaosAct, ChaosTarget, Refusal};
use serde_json::{Value, json};

use crate::station::{Cluster, incarnation, instance};

fn sh(script: &str) -> Value {
    json!({ "command": ["/bin/sh", "-c", script] })
}

fn start(cluster: &Cluster, placement: &str, count: u64, config: &Value) {
    let config = config.to_string();
    cluster.start_as("process", placement, count, &config, placement, 10_000);
}

fn process(cluster: &Cluster, placement: &str, count: u64) -> ProcessIdentity {
    let Report::Started { process, .. } = cluster.started(placement, count) else {
        unreachable!("`started` waits for that")
    };
    assert_eq!(process.len(), 1, "{process:?}");
    process[0].clone()
}

fn lives(process: &ProcessIdentity) -> bool {
    processes::lives(processes::ProcessId {
        pid: process.pid,
        started: process.started,
    })
}

fn failed(cluster: &Cluster, placement: &str) -> (FailureKind, Evidence) {
    let report = cluster.report(&format!("the failure of {placement}"), |report| {
        matches!(report, Report::Failed { instance: of, .. } if *of == instance(placement))
    });
    match report {
        Report::Failed { kind, evidence, .. } => (kind, evidence),
        other => unreachable!("{other:?}"),
    }
}

fn ended(cluster: &Cluster, placement: &str) -> Ending {
    let report = cluster.report(
        &format!("the end of {placement}"),
        |report| matches!(report, Report::Ended { instance: of, .. } if *of == instance(placement)),
    );
    match report {
        Report::Ended { ending, .. } => ending,
        other => unreachable!("{other:?}"),
    }
}

fn refused(cluster: &Cluster, placement: &str) -> (RefusedStart, String) {
    let report = cluster.report(&format!("the refusal of {placement}"), |report| {
        matches!(report, Report::CouldNotStart { instance: of, .. } if *of == instance(placement))
    });
    match report {
        Report::CouldNotStart { refused, text, .. } => (refused, text),
        other => unreachable!("{other:?}"),
    }
}

fn chaos(cluster: &Cluster, placement: &str, act: ChaosAct) -> Answer {
    cluster.chaos(ChaosTarget::Instance(instance(placement)), act)
}

// proves: S4, S10
// acceptance: 1
#[test]
fn an_end_is_told_by_its_kind_with_its_evidence() {
    let cluster = Cluster::new();
    start(
        &cluster,
        "exits",
        1,
        &sh("echo 'no space left' >&2; exit 3"),
    );
    let (kind, evidence) = failed(&cluster, "exits");
    assert_eq!((kind, evidence.exit_code), (FailureKind::Exit, Some(3)));
    assert_eq!(evidence.stderr_tail, "no space left\n");
    assert!(
        evidence.text.starts_with("exited with code 3 after "),
        "{evidence:?}"
    );

    start(&cluster, "struck", 1, &sh("exec sleep 1000"));
    let struck = process(&cluster, "struck", 1);
    assert!(lives(&struck) && struck.pid != std::process::id());
    chaos(&cluster, "struck", ChaosAct::Kill);
    let (kind, evidence) = failed(&cluster, "struck");
    assert_eq!((kind, evidence.signal), (FailureKind::Signal, Some(9)));
    assert!(!lives(&struck));

    start(&cluster, "done", 1, &sh("exit 0"));
    assert_eq!(ended(&cluster, "done"), Ending::ByItself);

    start(&cluster, "calm", 1, &sh("exec sleep 1000"));
    cluster.started("calm", 1);
    let answer = chaos(&cluster, "calm", ChaosAct::Panic);
    assert!(
        matches!(&answer, Answer::Refused(why) if why.text.contains("does not panic")),
        "{answer:?}"
    );
    let stop = cluster.stop("calm", 1, 5_000);
    assert_eq!(cluster.outcome(stop), CommandOutcome::Done);
    assert_eq!(ended(&cluster, "calm"), Ending::Asked);
}

// proves: S8
// acceptance: 1
#[test]
fn started_means_ready_in_each_of_its_ways() {
    let cluster = Cluster::new();
    let line = "sleep 0.2; echo now listening on 80; exec sleep 1000";
    let mut config = sh(line);
    config["ready"] = json!({ "line": "listening on" });
    start(&cluster, "line", 1, &config);

    let notify = "import os, socket, time\n\
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
        s.connect('\\0' + os.environ['NOTIFY_SOCKET'][1:])\n\
        s.send(b'READY=1\\nSTATUS=at your service')\n\
        while True: s.send(b'WATCHDOG=1'); time.sleep(0.05)";
    let notify = json!({
        "command": ["python3", "-c", notify],
        "ready": "notify",
        "check": { "watchdog_ms": 2000 },
    });
    start(&cluster, "notify", 1, &notify);

    let http = "import http.server, os\n\
        class H(http.server.BaseHTTPRequestHandler):\n\
        \x20   def do_GET(self): self.send_response(200 if self.path == '/health' else 404); self.end_headers()\n\
        http.server.HTTPServer(('127.0.0.1', int(os.environ['MAINSTAY_PORT_web'])), H).serve_forever()";
    let http = json!({
        "command": ["python3", "-c", http],
        "ports": ["web"],
        "ready": { "http": "/health" },
        "check": { "http": "/health" },
    });
    start(&cluster, "http", 1, &http);
    for placement in ["line", "notify", "http"] {
        cluster.started(placement, 1);
        let checked = cluster.ask(Ask::Check {
            instance: instance(placement),
        });
        assert!(
            matches!(
                checked,
                Answer::Health {
                    health: Health::Ok,
                    ..
                }
            ),
            "{placement}: {checked:?}"
        );
    }
    let status = cluster.ask(Ask::Status {
        instance: instance("notify"),
    });
    assert!(
        matches!(&status, Answer::Status { text } if text.contains("at your service")),
        "{status:?}"
    );
}

// proves: S8
// acceptance: 1
#[test]
fn what_does_not_become_ready_is_told_with_what_was_waited_for_and_its_last_words() {
    let cluster = Cluster::new();
    let mut never = sh("echo 'waiting for the database' >&2; exec sleep 1000");
    never["ready"] = json!({ "tcp": "1" });
    never["ready_within_ms"] = json!(300);
    start(&cluster, "never", 1, &never);
    let (why, text) = refused(&cluster, "never");
    assert_eq!(why, RefusedStart::NotNow, "{text}");
    for words in [
        "not ready within 300 ms",
        "127.0.0.1:1",
        "waiting for the database",
    ] {
        assert!(text.contains(words), "{text}");
    }
    let mut dies = sh("echo 'bad option' >&2; exit 2");
    dies["ready"] = json!("notify");
    start(&cluster, "dies", 1, &dies);
    let (why, text) = refused(&cluster, "dies");
    assert_eq!(why, RefusedStart::NotNow, "{text}");
    assert!(
        text.contains("exited with code 2") && text.contains("bad option"),
        "{text}"
    );
}

// acceptance: 1
#[test]
fn a_kill_or_a_missed_start_deadline_leaves_nothing() {
    let cluster = Cluster::new();
    let mut config = sh("trap '' TERM; echo $$; while :; do sleep 0.1; done");
    config["ready"] = json!({ "line": "never" });
    // The agent's own deadline comes first: 500 ms.
    let text = config.to_string();
    cluster.start_as("process", "slow", 1, &text, "slow", 500);
    let (why, _) = refused(&cluster, "slow");
    assert_eq!(why, RefusedStart::Deadline);
    assert_eq!(marked(&cluster, "slow"), []);

    start(
        &cluster,
        "deaf",
        1,
        &sh("trap '' TERM; while :; do sleep 0.1; done"),
    );
    let deaf = process(&cluster, "deaf", 1);
    let kill = cluster.command(Order::Stop(Stop {
        instance: instance("deaf"),
        incarnation: incarnation(1),
        deadline_ms: 1,
        why: StopWhy::NotWanted,
        manner: StopManner::Kill,
    }));
    assert_eq!(cluster.outcome(kill), CommandOutcome::Done);
    assert_eq!(ended(&cluster, "deaf"), Ending::Killed);
    assert!(!lives(&deaf));
    assert_eq!(marked(&cluster, "deaf"), []);
}

fn marked(cluster: &Cluster, name: &str) -> Vec<processes::ProcessId> {
    let slot = cluster
        .path("agent/slots")
        .join(name)
        .canonicalize()
        .unwrap();
    processes::marked("MAINSTAY_SLOT", &slot)
}

// proves: S26
// acceptance: 2
#[test]
fn an_agent_that_ends_in_order_leaves_processes_to_its_next_life() {
    let mut cluster = Cluster::new();
    start(&cluster, "web", 1, &sh("exec sleep 1000"));
    let web = process(&cluster, "web", 1);
    cluster.start("greeter", "greeter", 1, "{}");
    cluster.started("greeter", 1);
    cluster.end_agent();
    assert!(lives(&web));
    cluster.run_agent(true);
    let node_up = cluster.wait("the next introduction", |heard| {
        heard.node_ups.get(1).cloned()
    });
    let live: Vec<_> = node_up
        .digest
        .iter()
        .filter_map(|(key, entry)| Some((key.clone(), entry.live.as_ref()?.state)))
        .collect();
    assert_eq!(live, [(instance("web"), LiveState::Running)]);
    // It is introduced before it is taken up again.
    let mut checked = Answer::Refused(Refusal::new(code::NOT_RUNNING, "not asked"));
    while matches!(&checked, Answer::Refused(refusal) if refusal.code == code::NOT_RUNNING) {
        checked = cluster.ask(Ask::Check {
            instance: instance("web"),
        });
    }
    assert!(
        matches!(
            checked,
            Answer::Health {
                health: Health::Ok,
                ..
            }
        ),
        "{checked:?}"
    );
    let stop = cluster.stop("web", 1, 5_000);
    assert_eq!(cluster.outcome(stop), CommandOutcome::Done);
    assert_eq!(ended(&cluster, "web"), Ending::Asked);
    assert!(!lives(&web));
    let starts = cluster.wait("reports", |heard| {
        let web = |report: &Report| {
            matches!(report, Report::Started { instance: of, .. } if *of == instance("web"))
        };
        Some(heard.reports.iter().filter(|(_, report)| web(report)).count())
    });
    assert_eq!(starts, 1, "it was started once");
}
