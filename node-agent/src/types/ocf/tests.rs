//! The type with real scripts: Debian's own, and ones that do whatever a script can do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use mainstay_protocol::health::{Health as State, RefusedStart};
use mainstay_service::hosting::{ExitHow, NotStarted, StopOutcome};
use mainstay_service::testing::TestService;
use tempfile::TempDir;

use super::*;

mod misbehaviour;

/// A script that keeps its state in a file, and says what it does in another. What is written to `code.ACTION` is
/// how its next such action exits.
const SCRIPT: &str = r#"#!/bin/sh
echo "$1 $OCF_CHECK_LEVEL $OCF_RESKEY_word" >>"$D/log"
if [ "$1" = meta-data ]; then cat "$D/meta"; exit 0; fi
if [ -x "$D/do.$1" ]; then "$D/do.$1"; fi
if [ -f "$D/code.$1" ]; then
    echo "ocf-exit-reason:told to" >&2
    exit "$(cat "$D/code.$1")"
fi
case "$1" in
start) echo "$OCF_RESKEY_word" >"$D/state" ;;
stop) if [ -f "$D/state" ] && [ "$(cat "$D/state")" = "$OCF_RESKEY_word" ]; then rm "$D/state"; fi ;;
monitor) if [ -f "$D/state" ] && [ "$(cat "$D/state")" = "$OCF_RESKEY_word" ]; then exit 0; else exit 7; fi ;;
validate-all) ;;
*) exit 3 ;;
esac
"#;

const META: &str = r#"<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="Obedient" version="1.0">
<parameters>
<parameter name="word"><shortdesc>A word</shortdesc><content type="string"/></parameter>
<parameter name="size"><content type="integer"/></parameter>
</parameters>
<actions><action name="start" timeout="10s"/><action name="stop" timeout="10s"/>
<action name="monitor" timeout="10s" interval="10s"/><action name="validate-all" timeout="10s"/></actions>
</resource-agent>"#;

struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let d = bench.dir.path().display().to_string();
        bench.executable("Obedient", &SCRIPT.replace("$D", &d));
        bench.write("meta", META);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn executable(&self, name: &str, text: &str) {
        self.write(name, text);
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn forget(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// The actions so far, `meta-data` left out.
    fn log(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("log")).unwrap_or_default();
        let words = text.lines().filter_map(|line| line.split(' ').next());
        words
            .filter(|word| *word != "meta-data")
            .map(str::to_owned)
            .collect()
    }

    fn config(&self, more: &Value) -> Value {
        let mut config = json!({
            "agent": self.path("Obedient"),
            "params": { "word": "a" },
            "monitor_every_ms": 100,
        });
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        config
    }

    fn start(&self, more: &Value) -> Result<TestService<Ocf>, NotStarted> {
        TestService::start_in(&self.path("own"), self.config(more))
    }

    #[track_caller]
    fn refused(&self, more: &Value) -> NotStarted {
        match self.start(more) {
            Ok(_) => panic!("it was not refused"),
            Err(why) => why,
        }
    }
}

fn debian(agent: &str, params: Value) -> Value {
    let name = agent.strip_prefix("ocf:").unwrap_or(agent);
    let script = PathBuf::from("/usr/lib/ocf/resource.d").join(name.replace(':', "/"));
    assert!(
        script.exists(),
        "Debian's resource-agents are not installed: run scripts/setup"
    );
    json!({ "agent": agent, "params": params, "monitor_every_ms": 100 })
}

// proves: S13
// acceptance: 6
#[test]
fn debians_dummy_runs_unchanged() {
    let dummy = TestService::<Ocf>::start(debian("heartbeat:Dummy", json!({}))).unwrap();
    assert_eq!(dummy.check().health, State::Ok);
    let monitored = dummy.call("monitor", json!({})).unwrap();
    assert_eq!(
        (&monitored["code"], &monitored["health"]),
        (&json!(0), &json!("ok"))
    );
    let meta = dummy.call("meta-data", json!({})).unwrap();
    assert_eq!(meta["name"], "Dummy");
    assert_eq!(meta["params"]["properties"]["fake"]["default"], "dummy");
    assert_eq!(dummy.call("validate-all", json!({})).unwrap()["code"], 0);
    let status = dummy.status().unwrap();
    assert!(
        status.contains("heartbeat:Dummy; started by this incarnation"),
        "{status}"
    );
    let StopOutcome::Gone(fact) = dummy.stop() else {
        panic!("it did not stop");
    };
    assert!(matches!(fact.how, ExitHow::Ended(_)), "{fact:?}");
}

// proves: S13
// acceptance: 6
#[test]
fn debians_dummy_that_somebody_stopped_is_failed_in_its_own_words() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let config = debian("heartbeat:Dummy", json!({ "state": state }));
    let dummy = TestService::<Ocf>::start(config).unwrap();
    fs::remove_file(&state).unwrap();
    let checked = dummy.check_until(State::Failed);
    assert!(
        checked.detail.contains("not running (OCF code 7)"),
        "{}",
        checked.detail
    );
    assert!(
        checked.detail.contains("No process state file found"),
        "{}",
        checked.detail
    );
}

// proves: S13
// acceptance: 6
#[test]
fn debians_delay_runs_unchanged_and_takes_its_time() {
    let delays = json!({ "startdelay": 1, "stopdelay": 1, "mondelay": 0 });
    let began = Instant::now();
    let delay = TestService::<Ocf>::start(debian("ocf:heartbeat:Delay", delays)).unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(delay.check().health, State::Ok);
    let began = Instant::now();
    assert!(matches!(delay.stop(), StopOutcome::Gone(_)));
    assert!(began.elapsed() >= Duration::from_secs(1));
    let bad = debian(
        "heartbeat:Delay",
        json!({ "startdelay": "soon", "mondelai": 1 }),
    );
    let why = TestService::<Ocf>::start(bad).err().expect("it is refused");
    assert_eq!(why.refused, RefusedStart::Config);
    assert!(
        why.text
            .contains("params.startdelay: \"soon\" is no whole number"),
        "{}",
        why.text
    );
    assert!(why.text.contains("did you mean mondelay"), "{}", why.text);
}

// proves: S13
// acceptance: 6
#[test]
fn every_exit_code_of_a_start_means_what_is_documented() {
    for (code, expected) in [
        (0, None),
        (1, Some(RefusedStart::NotNow)),
        (2, Some(RefusedStart::NotHere)),
        (3, Some(RefusedStart::NotHere)),
        (4, Some(RefusedStart::NotHere)),
        (5, Some(RefusedStart::NotHere)),
        (6, Some(RefusedStart::Config)),
        (7, Some(RefusedStart::NotNow)),
        (8, None),
        (9, Some(RefusedStart::NotNow)),
        (190, None),
        (191, None),
        (42, Some(RefusedStart::NotNow)),
    ] {
        let bench = Bench::new();
        // It starts, and says that.
        bench.executable(
            "do.start",
            &format!("#!/bin/sh\necho a >{}\n", bench.path("state").display()),
        );
        bench.write("code.start", &code.to_string());
        match (bench.start(&json!({})), expected) {
            (Ok(service), None) => assert_eq!(service.check().health, State::Ok),
            (Err(why), Some(refused)) => {
                assert_eq!(why.refused, refused, "{code}: {}", why.text);
                assert!(
                    why.text.contains(&format!("OCF code {code})")),
                    "{}",
                    why.text
                );
                assert!(why.text.contains("told to"), "{}", why.text);
                // What it may have begun was stopped.
                assert_eq!(bench.log().last().map(String::as_str), Some("stop"));
                assert!(!bench.path("state").exists());
            }
            (Ok(_), Some(refused)) => panic!("{code} started; {refused:?} was expected"),
            (Err(why), None) => panic!("{code} did not start: {}", why.text),
        }
    }
}

// proves: S13
// acceptance: 6
#[test]
fn every_exit_code_of_a_monitor_means_what_is_documented() {
    let bench = Bench::new();
    let service = bench.start(&json!({})).unwrap();
    for (code, health) in [
        (1, State::Failed),
        (190, State::Degraded),
        (2, State::Failed),
        (191, State::Degraded),
        (3, State::Failed),
        (8, State::Degraded),
        (4, State::Failed),
        (0, State::Ok),
        (5, State::Failed),
        (190, State::Degraded),
        (6, State::Failed),
        (0, State::Ok),
        (7, State::Failed),
        (0, State::Ok),
        (9, State::Failed),
        (0, State::Ok),
        (42, State::Failed),
    ] {
        bench.write("code.monitor", &code.to_string());
        let checked = service.check_until(health);
        if code != 0 {
            assert!(
                checked.detail.contains(&format!("OCF code {code})")),
                "{}",
                checked.detail
            );
            assert!(checked.detail.contains("told to"), "{}", checked.detail);
        }
    }
}

// acceptance: 6
#[test]
fn every_exit_code_of_the_first_look_decides_what_is_done() {
    let started: &[&str] = &["monitor", "validate-all", "start", "monitor"];
    for (code, refused, log) in [
        // Running already: taken as it is.
        (0, None, &["monitor"][..]),
        (8, None, &["monitor"]),
        (190, None, &["monitor"]),
        (191, None, &["monitor"]),
        (7, None, started),
        // Broken: stopped first.
        (
            1,
            None,
            &["monitor", "stop", "validate-all", "start", "monitor"],
        ),
        (
            9,
            None,
            &["monitor", "stop", "validate-all", "start", "monitor"],
        ),
        (2, Some(RefusedStart::NotHere), &["monitor"]),
        (3, Some(RefusedStart::NotHere), &["monitor"]),
        (4, Some(RefusedStart::NotHere), &["monitor"]),
        (5, Some(RefusedStart::NotHere), &["monitor"]),
        (6, Some(RefusedStart::Config), &["monitor"]),
    ] {
        let bench = Bench::new();
        bench.write("code.monitor", &code.to_string());
        // Once it was started, its monitor is its own again.
        let forget = format!("#!/bin/sh\nrm {}\n", bench.path("code.monitor").display());
        bench.executable("do.start", &forget);
        let outcome = bench.start(&json!({ "monitor_every_ms": 3_600_000 }));
        assert_eq!(
            outcome.as_ref().err().map(|why| why.refused),
            refused,
            "{code}"
        );
        assert_eq!(bench.log(), log, "{code}");
    }
}

#[test]
fn a_script_that_says_it_started_and_does_not_run_did_not_start() {
    let bench = Bench::new();
    bench.executable(
        "do.monitor",
        &format!("#!/bin/sh\nrm -f {}\n", bench.path("state").display()),
    );
    let why = bench.refused(&json!({}));
    assert_eq!(why.refused, RefusedStart::NotNow);
    assert!(
        why.text.contains("start went well, but then: monitor of"),
        "{}",
        why.text
    );
}

#[test]
fn a_validation_that_fails_keeps_it_from_starting_unless_there_is_none() {
    let bench = Bench::new();
    bench.write("code.validate-all", "6");
    let why = bench.refused(&json!({}));
    assert_eq!(why.refused, RefusedStart::Config);
    assert!(!bench.log().contains(&"start".to_owned()));
    bench.write("code.validate-all", "3");
    bench.start(&json!({})).unwrap();
}

// proves: S26
#[test]
fn a_resource_outlives_its_agent_and_is_taken_as_it_is() {
    let bench = Bench::new();
    let first = bench.start(&json!({})).unwrap();
    // As when the agent is killed: nothing is stopped in order.
    drop(first.kill());
    drop(first);
    let second = bench.start(&json!({})).unwrap();
    assert_eq!(
        bench.log().iter().filter(|word| *word == "start").count(),
        1
    );
    let status = second.status().unwrap();
    assert!(status.contains("it ran already"), "{status}");
    assert!(matches!(second.stop(), StopOutcome::Gone(_)));
    assert!(!bench.path("state").exists());
}

#[test]
fn what_ran_with_other_parameters_is_stopped_with_those_before_the_new_start() {
    let bench = Bench::new();
    let first = bench.start(&json!({})).unwrap();
    drop(first.kill());
    drop(first);
    let second = bench.start(&json!({ "params": { "word": "b" } })).unwrap();
    let text = fs::read_to_string(bench.path("log")).unwrap();
    assert!(text.contains("stop 0 a\n"), "{text}");
    assert_eq!(fs::read_to_string(bench.path("state")).unwrap(), "b\n");
    assert!(matches!(second.stop(), StopOutcome::Gone(_)));
    assert!(!bench.path("state").exists());
    // Nothing is remembered of what was stopped.
    assert!(!bench.path("own/resource.json").exists());
}

#[test]
fn a_stop_that_fails_is_tried_again_and_told_when_it_keeps_failing() {
    let bench = Bench::new();
    let service = bench.start(&json!({})).unwrap();
    let forget = format!(
        "#!/bin/sh\n[ $(grep -c ^stop {}) -lt 2 ] || rm -f {}\n",
        bench.path("log").display(),
        bench.path("code.stop").display()
    );
    bench.executable("do.stop", &forget);
    bench.write("code.stop", "1");
    let StopOutcome::Gone(fact) = service.stop() else {
        panic!("it did not stop");
    };
    assert!(matches!(fact.how, ExitHow::Ended(_)), "{fact:?}");

    bench.forget("do.stop");
    let service = bench.start(&json!({})).unwrap();
    // Not to be tried again: a program is missing.
    bench.write("code.stop", "5");
    let StopOutcome::Gone(fact) = service.stop() else {
        panic!("it did not stop");
    };
    let ExitHow::Failed(_, evidence) = fact.how else {
        panic!("the failed stop is not told: {fact:?}");
    };
    assert!(evidence.text.contains("OCF code 5"), "{}", evidence.text);
    assert!(
        bench.path("own/resource.json").exists(),
        "the next start knows of it"
    );
}

#[test]
fn messages_ask_the_script_and_change_nothing() {
    let bench = Bench::new();
    let service = bench
        .start(&json!({ "monitor_every_ms": 3_600_000 }))
        .unwrap();
    service.call("monitor", json!({ "level": 20 })).unwrap();
    let text = fs::read_to_string(bench.path("log")).unwrap();
    assert!(text.ends_with("monitor 20 a\n"), "{text}");
    bench.write("code.monitor", "190");
    let told = service.call("monitor", json!({})).unwrap();
    assert_eq!(
        (&told["code"], &told["health"]),
        (&json!(190), &json!("degraded"))
    );
    assert_eq!(
        service.check().health,
        State::Degraded,
        "the usual look counts"
    );
    assert_eq!(service.config()["ocf_root"], "/usr/lib/ocf");
}
