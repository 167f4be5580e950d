//! The rule alone, on an instance as it would find it: no cluster, no clock.

use mainstay_station::rule::{InstanceState, Verdict, testing};
use own_rule::RestartDegraded;

#[test]
fn what_is_degraded_is_restarted_once() {
    let degraded = testing::instance(InstanceState::Degraded);
    let (verdict, after) = testing::judged::<RestartDegraded>(degraded);
    assert!(matches!(verdict, Verdict::Did { .. }), "{verdict:?}");
    assert!(after.restart_asked);
    let (verdict, _) = testing::judged::<RestartDegraded>(after);
    assert_eq!(verdict, Verdict::Nothing);
}

#[test]
fn what_runs_well_is_left_alone() {
    let running = testing::instance(InstanceState::Running);
    let (verdict, after) = testing::judged::<RestartDegraded>(running.clone());
    assert_eq!((verdict, after), (Verdict::Nothing, running));
}
