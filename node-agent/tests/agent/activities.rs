//! `activity-agent` on a real agent: what only that has, which is secrets as files, logs, and its own death.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use mainstay_hold::processes;
use mainstay_protocol::command::Order;
use mainstay_protocol::health::RefusedStart;
use mainstay_protocol::report::{CommandOutcome, Report};
use mainstay_protocol::work::{Changes, Skill, Work, WorkAnswer};
use mainstay_protocol::{CommandId, Json, RunId, StepKey, WorkName};
use serde_json::{Value, json};

use crate::station::{Cluster, PATIENCE, incarnation, instance};

const WHO: &str = "example.com";
/// Where the agent that is to be killed leaves what it has begun: this test, started again, is that agent.
const NOTES: &str = "MAINSTAY_TEST_NOTES";

pub fn agent(way: &Value) -> Cluster {
    let cluster = Cluster::new();
    let config = json!({ "activities": { WHO: { "x": way } } }).to_string();
    cluster.start_as("activity-agent", "w", 1, &config, "w", 20_000);
    cluster.started("w", 1);
    cluster
}

fn does(cluster: &Cluster) -> CommandId {
    does_with(cluster, &json!({}))
}

pub fn does_with(cluster: &Cluster, inputs: &Value) -> CommandId {
    let name = |text: &str| WorkName::new(text).unwrap();
    let id = cluster.command(Order::Work(Box::new(Work {
        instance: instance("w"),
        incarnation: incarnation(1),
        step: StepKey::new(RunId::new("r1").unwrap(), name("a")),
        skill: Skill {
            provider: WHO.to_owned(),
            activity: name("x"),
        },
        discriminator: None,
        attempt: 1,
        call: 1,
        inputs: Json::parse(&inputs.to_string()).unwrap(),
        scratch: Json::empty_object(),
        context: Json::empty_object(),
        time_ms: None,
    })));
    assert_eq!(cluster.outcome(id), CommandOutcome::Done);
    id
}

pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited for {what}");
        // tidy: waits because the condition is asked again
        std::thread::sleep(Duration::from_millis(5));
    }
}

// proves: O4, U1
#[test]
fn a_program_is_given_its_secrets_as_files() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    fs::write(&key, "hunter2").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let reference = format!("file://{}", key.display());
    let script =
        r#"printf '{"env":"%s","word":"%s","name":"%s"}' "$(cat "$KEY")" "$(cat "$1")" "$KEY""#;
    let cluster = agent(&json!({ "process": {
        "command": ["/bin/sh", "-c", script, "zero", &reference],
        "env": { "KEY": &reference },
    } }));
    let told = cluster.wait("the introduction", |heard| heard.node_ups.last().cloned());
    let mut types = told.provides.iter();
    let ours = types
        .find(|one| one.name.as_str() == "activity-agent")
        .unwrap();
    assert!(ours.serves.by_config && ours.serves.hands == 8, "{ours:?}");
    let id = does(&cluster);
    let worked =
        |report: &Report| matches!(report, Report::Worked { command, .. } if *command == id);
    let Report::Worked { answer, .. } = cluster.report("what came of it", worked) else {
        unreachable!("it was looked for")
    };
    let WorkAnswer::Complete { output, context } = answer else {
        panic!("it is not complete: {answer:?}")
    };
    assert_eq!(context, Changes::default());
    assert_eq!(output.member("env"), Some(Json::text("hunter2")));
    assert_eq!(output.member("word"), Some(Json::text("hunter2")));
    let file = output.member("name").unwrap().as_text().unwrap();
    assert!(
        !file.starts_with("file:") && Path::new(&file).exists(),
        "{file}"
    );
    let stop = cluster.stop("w", 1, 10_000);
    assert_eq!(cluster.outcome(stop), CommandOutcome::Done);
    assert!(!Path::new(&file).exists(), "it is gone with its instance");
}

// proves: O7
#[test]
fn an_agent_that_may_not_be_broken_injects_no_faults() {
    let cluster = Cluster::agent_alone(false).with_station();
    let config = json!({ "inject": { "error": 0.5 } }).to_string();
    cluster.start_as("activity-agent", "w", 1, &config, "w", 20_000);
    let refused = cluster.report("its refusal", |report| {
        matches!(report, Report::CouldNotStart { .. })
    });
    let Report::CouldNotStart { refused, text, .. } = refused else {
        unreachable!("it was looked for")
    };
    assert_eq!(refused, RefusedStart::Config);
    assert!(
        text.contains("inject: ") && text.contains("--chaos"),
        "{text}"
    );
}

/// Killed when it is dropped, also by an assertion.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The agent that is killed: it gives a call to a script that does not let itself be ended, and waits.
fn begin_and_wait(notes: &Path) -> ! {
    // Its logs of instances, for this process.
    mainstay_agent::log_to_stderr(Some("off"));
    let script = "trap '' TERM HUP; echo it begins >&2
        setsid sh -c 'trap \"\" TERM HUP; echo $$ >>$D/pids; while :; do sleep 1000; done' &
        echo $$ >>$D/pids; while :; do sleep 1000; done";
    let cluster = agent(&json!({ "process": {
        "command": ["/bin/sh", "-c", script], "env": { "D": notes },
    } }));
    does(&cluster);
    let log = until("its log", || log_of(&cluster.path("agent")));
    fs::write(notes.join("log"), log).unwrap();
    loop {
        std::thread::park();
    }
}

/// Once something is in it.
fn log_of(agent: &Path) -> Option<String> {
    let logs = fs::read_dir(agent.join("slots/w/log")).ok()?;
    let texts = logs
        .flatten()
        .filter_map(|file| fs::read_to_string(file.path()).ok());
    Some(texts.collect::<String>()).filter(|text| text.contains("it begins"))
}

// proves: O7
#[test]
fn no_program_outlives_an_agent_that_is_killed() {
    if let Some(notes) = std::env::var_os(NOTES) {
        begin_and_wait(Path::new(&notes));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut again = Command::new(std::env::current_exe().unwrap());
    again
        .args([
            "--exact",
            "activities::no_program_outlives_an_agent_that_is_killed",
        ])
        .env(NOTES, dir.path())
        .env("TMPDIR", dir.path());
    let killed = Killed(again.spawn().unwrap());
    let pids = until("its script", || {
        let text = fs::read_to_string(dir.path().join("pids")).ok()?;
        let pids = text.lines().map(|line| line.parse().ok());
        let pids: Vec<u32> = pids.collect::<Option<_>>()?;
        (pids.len() == 2 && text.ends_with('\n')).then_some(pids)
    });
    let log = until("its log", || {
        let log = fs::read_to_string(dir.path().join("log")).ok()?;
        log.ends_with('\n').then_some(log)
    });
    assert!(log.contains("info it begins by=r1/a"), "{log}");
    let began: Vec<_> = pids
        .iter()
        .map(|pid| processes::look(*pid).unwrap().id)
        .collect();
    assert!(began.iter().all(|id| processes::lives(*id)));
    drop(killed);
    for id in began {
        until("its end", || (!processes::lives(id)).then_some(()));
    }
}
