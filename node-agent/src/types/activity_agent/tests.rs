//! Through the test kit, with real scripts and a real HTTP server.

mod builtin;
mod endpoint;
mod program;
mod workload;

use mainstay_protocol::health::RefusedStart;
use mainstay_service::testing::TestService;
use mainstay_service::{Value, json};

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
