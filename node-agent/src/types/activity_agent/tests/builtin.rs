//! What it does of its own.

use std::time::{Duration, Instant};

use mainstay_protocol::Json;

use super::*;

#[test]
fn echo_leaves_behind_what_it_was_given_as_it_was_written() {
    let agent = bare();
    let written = r#"{"big":123456789012345678901234567890,"text":"ü \"q\""}"#;
    let said = agent.does_work(("builtin", "echo"), json!({}), |work| {
        work.inputs = Json::parse(written).unwrap();
    });
    assert_eq!(said.output().unwrap().as_str(), written);
}

#[test]
fn a_short_sleep_is_slept_and_a_long_one_is_another_call() {
    let agent = bare();
    let sleep = ("builtin", "sleep");
    let began = Instant::now();
    let said = agent.does(sleep.0, sleep.1, json!({ "millis": 40 }));
    assert_eq!(said, Processed::complete(()));
    assert!(began.elapsed() >= Duration::from_millis(40));
    let day = json!({ "seconds": 86_400 });
    let said = agent.does(sleep.0, sleep.1, day.clone());
    let again = Processed::again_after(Duration::from_secs(86_400)).set_scratch("slept", true);
    assert_eq!(said, again);
    let said = agent.does_again(sleep, day, json!({ "slept": true }));
    assert_eq!(said, Processed::complete(()));
}

#[test]
fn a_sleep_that_is_none_is_fatal() {
    let agent = bare();
    for (inputs, word) in [
        (json!({}), "millis or seconds"),
        (json!({ "millis": 1, "seconds": 1 }), "not both"),
        (json!({ "millis": -1 }), "are not what it takes"),
        (json!({ "seconds": u64::MAX }), "the longest sleep"),
    ] {
        let said = agent.does("builtin", "sleep", inputs);
        let error = said.error().unwrap();
        assert!(error.contains(word), "{error}");
        assert_eq!(said, Processed::fatal(error));
    }
}

// case: orchestrations 44
#[test]
fn it_fails_as_it_is_told_and_as_often() {
    let agent = bare();
    let fail = |inputs: Value, attempt: u32| {
        agent.does_work(("builtin", "fail"), inputs, |work| work.attempt = attempt)
    };
    let error = "it fails, as it was told to";
    assert_eq!(fail(json!({}), 9), Processed::fatal(error));
    let no = json!({ "error": "no", "how": "retry", "times": 2 });
    assert_eq!(fail(no.clone(), 1), Processed::retry("no"));
    assert_eq!(fail(no.clone(), 2), Processed::retry("no"));
    assert_eq!(fail(no, 3), Processed::complete(()));
    let panic = json!({ "error": "no", "how": "panic", "times": 1 });
    let panicked = Processed::retry("it panicked: no");
    assert_eq!(fail(panic.clone(), 1), panicked);
    assert_eq!(fail(panic, 2), Processed::complete(()));
}
