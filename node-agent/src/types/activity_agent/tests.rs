//! Through the test kit, with real scripts and a real HTTP server.

mod builtin;
mod endpoint;
mod program;
mod workload;

use mainstay_protocol::health::RefusedStart;
use mainstay_service::testing::TestService;
use mainstay_service::{Value, json};
use tempfile::TempDir;

use super::*;

type Agent = TestService<ActivityAgent>;

/// Who provides what the tests are about.
const WHO: &str = "example.com";

/// Each type of activity, and how it is done.
fn agent(ways: &[(&str, Value)]) -> Agent {
    let ways: serde_json::Map<String, Value> = ways
        .iter()
        .map(|(activity, way)| ((*activity).to_owned(), way.clone()))
        .collect();
    Agent::start(json!({ "activities": { WHO: ways } })).unwrap()
}

/// One that does only what all of them do.
fn bare() -> Agent {
    Agent::start(json!({})).unwrap()
}

#[test]
fn a_configuration_that_could_never_work_is_refused() {
    for (config, word) in [
        (json!({ "hands": 0 }), "hands: can be 1 to"),
        (
            json!({ "activities": { WHO: { "copy": {} } } }),
            "copy of example.com: it has none of process, http and workload",
        ),
        (json!({ "activitys": {} }), "activitys"),
        (
            json!({ "inject": { "error": 2 } }),
            "inject: error: 2 is no likelihood",
        ),
        (json!({ "inject": { "crash": { "amid": 1 } } }), "amid"),
    ] {
        let why = Agent::start(config).err().expect("it is refused");
        assert_eq!(why.refused, RefusedStart::Config);
        assert!(why.text.contains(word), "{}", why.text);
    }
}

#[test]
fn a_type_that_is_not_named_is_done_by_the_star_and_else_by_nobody() {
    let says = |word: &str| {
        let script = format!(r#"echo '{{"said":"{word}"}}'"#);
        json!({ "process": { "command": ["/bin/sh", "-c", script] } })
    };
    let named = agent(&[("copy", says("copy")), ("*", says("any"))]);
    let said = |activity: &str| named.does(WHO, activity, json!({}));
    assert_eq!(said("copy"), Processed::complete(json!({ "said": "copy" })));
    assert_eq!(said("move"), Processed::complete(json!({ "said": "any" })));
    let alone = agent(&[("copy", says("copy"))]);
    let none = alone.does(WHO, "move", json!({}));
    let none = none.error().expect("nobody does it");
    assert!(none.contains("how to do move of example.com"), "{none}");
}

/// Counts what it does.
fn counting(dir: &TempDir, inject: Value) -> Agent {
    let script = "echo done >>$0/did";
    let way = json!({ "process": { "command": ["/bin/sh", "-c", script, dir.path()] } });
    Agent::start(json!({ "activities": { WHO: { "x": way } }, "inject": inject })).unwrap()
}

// proves: O7
#[test]
fn each_fault_is_injected_as_it_was_asked_for() {
    for (inject, did, error) in [
        (
            json!({ "error": 1 }),
            0,
            Some("injected: an error, and nothing was done"),
        ),
        (
            json!({ "lost": 1 }),
            1,
            Some("injected: it was done, and what came of it was lost"),
        ),
        (json!({ "repeat": 1 }), 2, None),
        (
            json!({ "crash": { "before": 1 } }),
            0,
            Some("its instance ended"),
        ),
        (
            json!({ "crash": { "after": 1 } }),
            1,
            Some("its instance ended"),
        ),
        (json!({}), 1, None),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let agent = counting(&dir, inject.clone());
        let said = agent.does(WHO, "x", json!({}));
        assert_eq!(said.error(), error, "{inject}");
        if error.is_none() {
            assert_eq!(said, Processed::complete(()), "{inject}");
        }
        let file = std::fs::read_to_string(dir.path().join("did")).unwrap_or_default();
        assert_eq!(file.lines().count(), did, "{inject}");
        if inject.get("crash").is_some() {
            let end = format!("{:?}", agent.ended());
            assert!(end.contains("injected: a crash"), "{end}");
        } else {
            let status = agent.status().unwrap();
            assert!(status.ends_with("faults are injected"), "{status}");
        }
    }
}

#[test]
fn about_as_many_calls_have_a_fault_as_was_asked_for_and_each_attempt_has_its_own() {
    let inject = json!({ "error": 0.25, "lost": 0.25 });
    let agent = Agent::start(json!({ "inject": inject })).unwrap();
    let failed = |attempt: u32| {
        let said = agent.does_work(("builtin", "echo"), json!({}), |work| {
            work.attempt = attempt
        });
        said.error().is_some()
    };
    let all: Vec<bool> = (1..=400).map(failed).collect();
    let count = all.iter().filter(|failed| **failed).count();
    assert!((120..=280).contains(&count), "{count} of 400");
    // The same call is the same whoever asks.
    assert_eq!(all, (1..=400).map(failed).collect::<Vec<_>>());
}

#[test]
fn a_status_says_what_its_calls_came_to() {
    let agent = bare();
    let said = |how: &str| agent.does("builtin", "fail", json!({ "how": how }));
    agent.does("builtin", "echo", json!({}));
    said("fatal");
    said("panic");
    // It is not done yet, and nothing failed.
    agent.does("builtin", "sleep", json!({ "seconds": 5 }));
    let status = agent.status().unwrap();
    assert_eq!(
        status,
        "0 calls under way; 1 done and 2 failed since it started"
    );
}
