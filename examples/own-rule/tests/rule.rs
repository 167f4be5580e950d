//! The rules alone, on an instance as they would find it: no cluster, and a clock that goes only when it is told to.

use std::time::Duration;

use mainstay_station::rule::testing::Course;
use mainstay_station::rule::{InstanceState, Verdict, testing};
use own_rule::{RestartDegraded, SecondChance};

#[test]
fn what_is_degraded_is_restarted_once() {
    let degraded = testing::instance(InstanceState::Degraded);
    let (verdict, after) = testing::judged::<RestartDegraded>(degraded);
    assert!(matches!(verdict, Verdict::Did { .. }), "{verdict:?}");
    assert!(matches!(after.state, InstanceState::Failed { .. }));
    let (verdict, _) = testing::judged::<RestartDegraded>(after);
    assert_eq!(verdict, Verdict::Nothing);
}

#[test]
fn what_runs_well_is_left_alone() {
    let running = testing::instance(InstanceState::Running);
    let (verdict, after) = testing::judged::<RestartDegraded>(running.clone());
    assert_eq!((verdict, after), (Verdict::Nothing, running));
}

fn quarantined() -> Course {
    Course::of::<SecondChance>(testing::instance(InstanceState::Quarantined))
}

#[test]
fn what_cooled_down_and_stays_up_has_taken_its_second_chance() {
    let mut course = quarantined();
    assert_eq!(course.waits_for().as_deref(), Some("it cools down"));
    course.wait(Duration::from_secs(9));
    assert_eq!(course.instance().state, InstanceState::Quarantined);
    course.wait(Duration::from_secs(1));
    assert_eq!(course.instance().state, InstanceState::Pending);
    course.changes(|instance| instance.state = InstanceState::Starting);
    course.changes(|instance| instance.state = InstanceState::Running);
    assert_eq!(
        course.waits_for().as_deref(),
        Some("it must stay up for 20 s")
    );
    course.wait(Duration::from_secs(20));
    assert_eq!(course.waits_for(), None);
    assert_eq!(course.decisions().len(), 4);
}

#[test]
fn what_does_not_run_within_its_time_is_left_as_it_is() {
    let mut course = quarantined();
    course.wait(Duration::from_secs(10));
    course.wait(Duration::from_secs(30));
    assert_eq!(course.waits_for(), None);
    assert_eq!(course.instance().state, InstanceState::Pending);
}

#[test]
fn one_that_was_cleared_by_hand_needs_none() {
    let mut course = quarantined();
    course.changes(|instance| instance.state = InstanceState::Pending);
    assert_eq!(course.waits_for(), None);
    // Quarantined again, it begins again.
    course.changes(|instance| instance.state = InstanceState::Starting);
    course.changes(|instance| {
        instance.state = InstanceState::Failed {
            presence: mainstay_station::rule::Presence::Gone,
        };
    });
    course.changes(|instance| instance.state = InstanceState::Quarantined);
    assert_eq!(course.waits_for().as_deref(), Some("it cools down"));
}
