//! The counter, run as an agent would run it, without a cluster.

#[allow(dead_code, reason = "the program's main is not called here")]
#[path = "../src/main.rs"]
mod agent;

use agent::Counter;
use mainstay_service::hosting::{ExitHow, StopOutcome};
use mainstay_service::json;
use mainstay_service::testing::TestService;

#[test]
fn a_counter_adds_in_its_steps() {
    // acceptance: 11
    let counter = TestService::<Counter>::start(json!({ "step": 2 })).unwrap();
    assert_eq!(
        counter.call("add", json!({ "times": 3 })).unwrap(),
        json!({ "sum": 6 })
    );
    assert_eq!(
        counter.call("add", json!({ "times": 1 })).unwrap(),
        json!({ "sum": 8 })
    );
}

#[test]
fn a_counter_without_a_step_does_not_start() {
    let why = TestService::<Counter>::start(json!({})).err().unwrap();
    assert!(why.text.contains("missing field `step`"), "{why:?}");
}

#[test]
fn a_counter_that_panics_leaves_its_words_and_one_that_is_stopped_is_gone() {
    let start = || TestService::<Counter>::start(json!({ "step": 1 })).unwrap();
    let ExitHow::Failed(_, evidence) = start().panic("out of fingers").how else {
        panic!("a panic is a failure")
    };
    assert_eq!(evidence.text, "out of fingers");
    assert!(matches!(start().stop(), StopOutcome::Gone(_)));
}
