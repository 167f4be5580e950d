//! The provider `process`, with shell scripts.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use mainstay_hold::processes;
use mainstay_protocol::work::Work;
use mainstay_protocol::{Json, RunId, StepKey, WorkName};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn sh(script: &str) -> Value {
    json!({ "process": { "command": ["/bin/sh", "-c", script] } })
}

/// What comes of one call that a script does.
fn did(script: &str) -> Processed {
    agent(&[("x", sh(script))]).does(WHO, "x", json!({}))
}

/// A script that finds this directory in `$D`.
fn in_directory(dir: &TempDir, script: &str) -> Value {
    let mut way = sh(script);
    way["process"]["env"] = json!({ "D": dir.path() });
    way
}

fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain");
        // tidy: waits because the condition is asked again
        thread::sleep(Duration::from_millis(5));
    }
}

/// Pids that a script wrote down, one a line.
fn pids(file: &Path, count: usize) -> Vec<u32> {
    until(|| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let pids: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        (pids.len() >= count && text.ends_with('\n')).then_some(pids)
    })
}

fn lives(pid: u32) -> bool {
    processes::look(pid).is_some_and(|seen| seen.state != 'Z')
}

fn comes_to(cases: &[(&str, Processed)]) {
    for (script, wanted) in cases {
        assert_eq!(did(script), *wanted, "{script}");
    }
}

// proves: O4, O5
#[test]
fn each_way_to_end_is_a_result() {
    let ms = Duration::from_millis;
    comes_to(&[
        ("exit 0", Processed::complete(())),
        ("echo all is done", Processed::complete(())),
        (
            r#"echo '{"x":[1]}'"#,
            Processed::complete(json!({ "x": [1] })),
        ),
        (
            r#"echo '{"result":"complete","outputs":{"x":1},"delta":{"set":{"k":2},"delete":["d"]}}'"#,
            Processed::complete(json!({ "x": 1 }))
                .set_context("k", 2)
                .delete_context("d"),
        ),
        (r#"echo '{"result":"wait"}'"#, Processed::wait()),
        (r#"echo '{"result":2}'"#, Processed::again_after(ms(1_000))),
        (
            r#"echo '{"result":"schedule","waitMillis":70,"delta":{"set":{"n":1}}}'"#,
            Processed::again_after(ms(70)).set_scratch("n", 1),
        ),
        (
            r#"echo '{"result":"retry","waitMillis":70,"error":"busy","delta":{"set":{"n":1}}}'"#,
            Processed::retry_after("busy", ms(70)).set_scratch("n", 1),
        ),
        (
            r#"echo '{"result":"fatal","error":"never"}'"#,
            Processed::fatal("never"),
        ),
        (
            r#"echo no way >&2; echo '{"result":-2}'"#,
            Processed::fatal("no way"),
        ),
    ]);
}

// proves: O5
#[test]
fn each_way_to_fail_is_one_for_good_or_for_now() {
    let retry = |why: &str| Processed::retry(format!("/bin/sh: {why}"));
    let fatal = |why: &str| Processed::fatal(format!("/bin/sh: {why}"));
    comes_to(&[
        (
            "echo a >&2; echo bad words >&2; exit 64",
            fatal("exit code 64: a | bad words"),
        ),
        ("exit 65", fatal("exit code 65")),
        ("exit 78", fatal("exit code 78")),
        ("echo no disk >&2; exit 1", retry("exit code 1: no disk")),
        ("exit 127", retry("exit code 127")),
        ("kill -9 $$", retry("was ended by signal 9")),
        (
            r#"echo '{"result":"retry","error":"e"}'; exit 3"#,
            Processed::retry("e"),
        ),
        (
            r#"echo '{"result":"fatal","error":"e"}'; exit 3"#,
            Processed::fatal("e"),
        ),
        (r#"echo '{"result":"fatal"}'; exit 3"#, fatal("exit code 3")),
        (
            r#"echo '{"result":"complete"}'; echo oh >&2; exit 3"#,
            retry("exit code 3: and yet it said complete: oh"),
        ),
        (
            r#"echo '{"result":"wait"}'; exit 64"#,
            retry("exit code 64: and yet it said wait"),
        ),
        (
            r#"echo '{"result":2}'; exit 3"#,
            retry("exit code 3: and yet it said schedule"),
        ),
        (
            r#"echo '{"x":1}'; exit 3"#,
            retry("exit code 3: and yet it said complete"),
        ),
        (
            r#"echo '{"x":1}'; kill -15 $$"#,
            retry("was ended by signal 15: and yet it said complete"),
        ),
    ]);
}

// case: orchestrations 44
#[test]
fn what_nobody_understands_is_an_attempt() {
    for (script, word) in [
        (
            r#"echo '{"result":"done"}'"#,
            "the result \"done\", which is none of",
        ),
        (
            r#"echo '{"result":7}'; exit 65"#,
            "the result 7, which is none of",
        ),
        (
            r#"echo '{"result":1,"outputs":5}'"#,
            "5 as outputs, which is an object",
        ),
        (r#"printf '{"result":"comp'"#, "no JSON"),
        ("yes", "wrote more than 1048576 bytes and was killed"),
    ] {
        let said = did(script);
        let error = said.error().unwrap();
        assert_eq!(said, Processed::retry(error), "it is an attempt: {script}");
        assert!(error.contains(word), "{script}: {error}");
    }
}

// proves: O4
#[test]
fn a_program_is_told_all_of_its_call() {
    let agent = agent(&[("copy", sh("cat"))]);
    let skill = (WHO, "copy");
    let said = agent.does_work(skill, json!({ "a": 1 }), |work| {
        let activity = WorkName::new("first").unwrap();
        work.step = StepKey::new(RunId::new("r1").unwrap(), activity);
        work.discriminator = Some("deploy".to_owned());
        work.attempt = 3;
        work.scratch = Json::parse(r#"{"s":1}"#).unwrap();
        work.context = Json::parse(r#"{"c":1}"#).unwrap();
        work.time_ms = Some(60_000);
    });
    let whole = json!({
        "run": "r1", "activity": "first", "type": "copy", "provider": WHO,
        "discriminator": "deploy", "attempt": 3, "idempotencyKey": "r1/first/deploy", "token": "1",
        "inputs": { "a": 1 }, "scratch": { "s": 1 }, "context": { "c": 1 }, "timeMillis": 60_000,
    });
    assert_eq!(said, Processed::complete(whole));
    let said = agent.does(WHO, "copy", json!({}));
    let least = json!({
        "run": "test", "activity": "copy", "type": "copy", "provider": WHO,
        "discriminator": null, "attempt": 1, "idempotencyKey": "test/copy", "token": "1",
        "inputs": {}, "scratch": {}, "context": {}, "timeMillis": null,
    });
    assert_eq!(said, Processed::complete(least));
}

// proves: O8
#[test]
fn a_script_needs_no_reader_of_json_and_what_it_is_told_stays_data() {
    let dir = tempfile::tempdir().unwrap();
    let script = r#"
        printf '%s\n' "$MAINSTAY_RUN" "$MAINSTAY_ACTIVITY" "$MAINSTAY_TYPE" "$MAINSTAY_ATTEMPT" \
            "$MAINSTAY_IDEMPOTENCY_KEY" "$MAINSTAY_TOKEN" "$1" >"$D/told"
        printf '%s' "$MAINSTAY_DISCRIMINATOR" >"$D/discriminator"
        cd "$D"; pwd >place; env >environment; cat"#;
    let hostile = "'\"; touch pwned\n$(touch pwned) `touch pwned` ü";
    let mut way = in_directory(&dir, script);
    let command = way["process"]["command"].as_array_mut().unwrap();
    command.extend([json!("zero"), json!(hostile)]);
    let agent = agent(&[("x", way)]);
    let said = agent.does_work((WHO, "x"), json!({ "h": hostile }), |work: &mut Work| {
        work.discriminator = Some(hostile.to_owned());
    });
    let output = said.output().expect("it is complete");
    let inputs = output.at(["inputs", "h"]).and_then(|value| value.as_text());
    assert_eq!(inputs.as_deref(), Some(hostile));
    let read = |file: &str| fs::read_to_string(dir.path().join(file)).unwrap();
    assert_eq!(read("discriminator"), hostile);
    assert_eq!(
        read("told"),
        format!("test\nx\nx\n1\ntest/x/{hostile}\n1\n{hostile}\n")
    );
    assert!(!dir.path().join("pwned").exists());
    // Of the agent's own environment nothing is there.
    assert!(
        !read("environment").contains("CARGO"),
        "{}",
        read("environment")
    );
}

/// What stands in the documents, with this directory for its cells.
fn documented(cells: &Path) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/types.md");
    let page = fs::read_to_string(page).unwrap();
    let scripts = page.split("```sh\n").skip(1);
    let mut scripts = scripts.filter_map(|behind| behind.split("```").next());
    let script = scripts.find(|script| script.contains("# make-cell.sh"));
    let script = script.expect("it is there").to_owned();
    assert!(script.contains("/var/lib/cells/"), "{script}");
    script.replace("/var/lib/cells", cells.to_str().unwrap())
}

// case: orchestrations 43, 55
// proves: O8
#[test]
fn the_documented_script_makes_takes_away_and_refuses_what_it_does_not_know() {
    let dir = tempfile::tempdir().unwrap();
    let agent = agent(&[("x", sh(&documented(dir.path())))]);
    let does = |run: &str, discriminator: Option<&str>| {
        agent.does_work((WHO, "x"), json!({}), |work| {
            work.step = StepKey::new(RunId::new(run).unwrap(), WorkName::new("cell").unwrap());
            work.discriminator = discriminator.map(str::to_owned);
        })
    };
    // None and an empty one are the same to a script.
    for (run, discriminator) in [("r1", None), ("r2", Some("")), ("r3", Some("deploy"))] {
        let cell = dir.path().join(format!("cell-{run}"));
        let not_yet = Processed::again_after(Duration::from_millis(500));
        assert_eq!(does(run, discriminator), not_yet);
        let made = Processed::complete(json!({ "path": cell }));
        assert_eq!(does(run, discriminator), made);
        let undoing = format!("{run}~dispose");
        for _ in 0..2 {
            assert_eq!(does(&undoing, Some("dispose")), Processed::complete(()));
            assert!(!cell.exists());
        }
    }
    let unknown = does("r1", Some("frob"));
    let error = unknown.error().unwrap();
    assert!(
        error.contains("unsupported discriminator") && error.contains("frob"),
        "{error}"
    );
    assert_eq!(unknown, Processed::fatal(error));
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
}

// case: orchestrations 30
#[test]
fn numbers_and_letters_come_back_as_they_went() {
    let written = r#"{"big":18446744073709551617,"exact":9007199254740993,"small":-0.10,"text":"日本 \"🌍\"\n"}"#;
    let agent = agent(&[("x", sh("cat"))]);
    let said = agent.does_work((WHO, "x"), json!({}), |work| {
        work.inputs = Json::parse(written).unwrap();
    });
    let back = said.output().and_then(|output| output.member("inputs"));
    assert_eq!(back.unwrap().as_str(), written);
}

// proves: O5
#[test]
fn scratch_is_there_for_the_next_call_and_attempt() {
    let script = r#"
        case $(cat) in
            *'"scratch":{"n":2}'*) echo '{}' ;;
            *'"scratch":{"n":1}'*) echo '{"result":"retry","error":"e","delta":{"set":{"n":2}}}' ;;
            *) echo '{"result":"schedule","waitMillis":1,"delta":{"set":{"n":1}}}' ;;
        esac"#;
    let agent = agent(&[("x", sh(script))]);
    let does = |scratch: Value| agent.does_again((WHO, "x"), json!({}), scratch);
    let once = Processed::again_after(Duration::from_millis(1)).set_scratch("n", 1);
    assert_eq!(does(json!({})), once);
    let twice = Processed::retry("e").set_scratch("n", 2);
    assert_eq!(does(json!({ "n": 1 })), twice);
    assert_eq!(does(json!({ "n": 2 })), Processed::complete(()));
}

#[test]
fn a_program_that_takes_too_long_is_ended_with_all_that_it_began() {
    let dir = tempfile::tempdir().unwrap();
    let script = "echo $$ >>$D/pids; setsid sleep 1000 & echo $! >>$D/pids; wait";
    let agent = agent(&[("x", in_directory(&dir, script))]);
    // Time enough for both to be there on any machine.
    let in_time = |work: &mut Work| work.time_ms = Some(5_000);
    thread::scope(|scope| {
        let call = scope.spawn(|| agent.does_work((WHO, "x"), json!({}), in_time));
        let begun = pids(&dir.path().join("pids"), 2);
        let said = call.join().unwrap();
        let error = said.error().unwrap();
        // A second before the coordinator would give it up.
        let (late, killed) = ("/bin/sh: did not finish within ", " ms and was killed");
        let ms = error
            .strip_prefix(late)
            .and_then(|rest| rest.strip_suffix(killed));
        let ms: u64 = ms.expect(error).parse().unwrap();
        assert!((2_500..=4_000).contains(&ms), "{error}");
        assert_eq!(said, Processed::retry(error));
        for pid in begun {
            assert!(!lives(pid), "{pid} goes on");
        }
    });
}

// proves: O11
// case: orchestrations 61
#[test]
fn a_program_that_is_taken_back_is_ended_with_all_that_it_began() {
    let dir = tempfile::tempdir().unwrap();
    let script = "trap '' TERM; echo $$ >>$D/pids; setsid sleep 1000 & echo $! >>$D/pids; wait";
    let agent = agent(&[("x", in_directory(&dir, script))]);
    let (take_back, taken_back) = oneshot::channel::<()>();
    thread::scope(|scope| {
        let call = scope.spawn(|| {
            agent.does_work_until((WHO, "x"), json!({}), async {
                taken_back.await.unwrap();
            })
        });
        let begun = pids(&dir.path().join("pids"), 2);
        take_back.send(()).unwrap();
        assert_eq!(call.join().unwrap(), Processed::retry("it was taken back"));
        for pid in begun {
            assert!(!lives(pid), "{pid} goes on");
        }
    });
}

#[test]
fn what_cannot_be_run_is_an_attempt_that_says_why() {
    let way = |command: &str, directory: &str| json!({ "process": { "command": [command], "directory": directory } });
    let dir = tempfile::tempdir().unwrap();
    let here = fs::canonicalize(dir.path()).unwrap();
    let missing = here.join("missing");
    let nowhere = missing.to_str().unwrap();
    let agent = agent(&[
        ("no-program", way(nowhere, "/")),
        ("no-directory", way("pwd", nowhere)),
        ("directory", way("pwd", here.to_str().unwrap())),
    ]);
    for (activity, word) in [
        ("no-program", "cannot be run"),
        ("no-directory", "missing is not there"),
    ] {
        let said = agent.does(WHO, activity, json!({}));
        let error = said.error().unwrap();
        assert!(error.contains(word), "{error}");
        assert_eq!(said, Processed::retry(error));
    }
    let said = agent.does(WHO, "directory", json!({}));
    assert_eq!(said, Processed::complete(()));
}

/// Begins a script that does not let itself be ended, and does this to its instance: when that is told to be over, nothing
/// of the script is left.
fn ends_amid_a_call(end: impl FnOnce(&Agent)) {
    let dir = tempfile::tempdir().unwrap();
    let script = "trap '' TERM; setsid sleep 1000 & echo $! >>$D/pids; echo $$ >>$D/pids
        while :; do sleep 1000; done";
    let agent = agent(&[("x", in_directory(&dir, script))]);
    let file: PathBuf = dir.path().join("pids");
    thread::scope(|scope| {
        let call = scope.spawn(|| agent.does(WHO, "x", json!({})));
        let begun = pids(&file, 2);
        assert!(begun.iter().all(|pid| lives(*pid)));
        assert!(agent.status().unwrap().starts_with("1 calls under way"));
        end(&agent);
        // At this moment, and not some time later: the run gives the activity to another.
        for pid in begun {
            assert!(!lives(pid), "{pid} outlived its instance");
        }
        // It is over when the instance is, and the instance answers for it.
        let said = call.join().unwrap();
        assert_eq!(said, Processed::retry("its instance ended"));
    });
}

// proves: O7
#[test]
fn an_instance_has_stopped_when_nothing_of_its_programs_is_left() {
    ends_amid_a_call(|agent| {
        agent.stop();
    });
}

// proves: O7
#[test]
fn a_killed_instance_is_over_when_nothing_of_its_programs_is_left() {
    ends_amid_a_call(|agent| {
        agent.kill();
    });
}

// proves: O7
#[test]
fn a_failed_instance_is_over_when_nothing_of_its_programs_is_left() {
    ends_amid_a_call(|agent| {
        agent.panic("as it was told to");
    });
}
