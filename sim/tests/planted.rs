//! Bugs planted on purpose, one for each family of invariants: each is found within a few seeds, and says which
//! invariant it broke.
#![cfg(feature = "planted-bugs")]

use mainstay_coordinator::planted::{self, Bug};
use mainstay_coordinator::{Operation, StartOn, StartPlacement};
use mainstay_sim::group::Place;
use mainstay_sim::membership::Change;
use mainstay_sim::station::StationAt;
use mainstay_sim::world::World;
use mainstay_sim::{Report, Violation, run};
use mainstay_supervisor::planted as planted_in_supervisor;

const SEEDS: u64 = 60;

/// The first seed that breaks something, and what it broke. Planting is per thread, like everything of a run.
fn first_broken() -> Option<(u64, String)> {
    (1..=SEEDS).find_map(|seed| {
        let Report { violation, .. } = run(seed);
        violation.map(|violation| (seed, violation.to_string()))
    })
}

#[track_caller]
fn is_found(found: Option<(u64, String)>, invariants: &[&str]) {
    let (seed, text) = found.unwrap_or_else(|| panic!("not found within {SEEDS} seeds"));
    println!("found by seed {seed}: {text}");
    assert!(
        invariants
            .iter()
            .any(|invariant| text.starts_with(invariant)),
        "seed {seed} broke something else: {text}"
    );
}

fn planted_in_coordinator(bug: Bug, invariants: &[&str]) {
    planted::set(Some(bug));
    let found = first_broken();
    planted::set(None);
    is_found(found, invariants);
}

fn planted_in_agent(bug: planted_in_supervisor::Bug, invariants: &[&str]) {
    planted_in_supervisor::set(Some(bug));
    let found = first_broken();
    planted_in_supervisor::set(None);
    is_found(found, invariants);
}

// acceptance: 9
#[test]
fn planted_name_freed_while_its_holder_lives_is_found() {
    let bug = planted_in_supervisor::Bug::FreesNameAtStop;
    planted_in_agent(bug, &["one holder"]);
}

// acceptance: 9
#[test]
fn planted_floor_that_is_ignored_is_found() {
    let bug = planted_in_supervisor::Bug::ForgetsFloors;
    planted_in_agent(bug, &["committed commands", "one holder"]);
}

// proves: S23
#[test]
fn planted_singleton_beside_another_is_found() {
    planted_in_coordinator(Bug::IgnoresLeases, &["one singleton"]);
}

// acceptance: 9
#[test]
fn planted_command_before_its_commit_is_found() {
    planted_in_coordinator(Bug::SendsBeforeCommit, &["committed commands"]);
}

// acceptance: 9
#[test]
fn planted_effect_without_its_watermark_is_found() {
    planted_in_coordinator(Bug::WatermarkStands, &["exactly once"]);
}

// acceptance: 9
#[test]
fn planted_backoff_without_a_reason_is_found() {
    planted_in_coordinator(Bug::BackoffWithoutReason, &["reasons"]);
}

// acceptance: 9
#[test]
fn planted_answer_before_its_commit_is_found() {
    planted_in_coordinator(Bug::AnswersBeforeCommit, &["promises"]);
}

// acceptance: 9
#[test]
fn planted_chance_in_a_decision_is_found() {
    planted::set(Some(Bug::JitterOfTheMachine));
    let differs = (1..=SEEDS).find(|seed| run(*seed).log_crc != run(*seed).log_crc);
    planted::set(None);
    let seed = differs.expect("the same seed gave the same log every time");
    println!("found by seed {seed}");
}

/// What the planted bugs would be blamed for is not there without them.
#[test]
fn planted_nothing_breaks_nothing() {
    assert_eq!(first_broken(), None);
}

fn planted_in_group(bug: mainstay_sim::planted::Bug) {
    mainstay_sim::planted::set(Some(bug));
    let found = first_broken();
    mainstay_sim::planted::set(None);
    is_found(found, &["one log", "membership"]);
}

// proves: S17
#[test]
fn planted_learner_that_counts_for_a_majority_is_found() {
    planted_in_group(mainstay_sim::planted::Bug::LearnersCount);
}

// proves: S17
#[test]
fn planted_second_change_before_the_first_is_committed_is_found() {
    planted_in_group(mainstay_sim::planted::Bug::ChangesOverAChange);
}

// proves: S17
#[test]
fn planted_vote_of_a_removed_station_is_found() {
    planted_in_group(mainstay_sim::planted::Bug::RemovedVote);
}

// proves: S17
#[test]
fn planted_change_before_anything_of_the_term_is_committed_is_found() {
    mainstay_sim::planted::set(Some(mainstay_sim::planted::Bug::ChangesBeforeItsTerm));
    let found = changes_before_its_term();
    mainstay_sim::planted::set(None);
    is_found(
        Some((0, found.expect_err("it is found").to_string())),
        &["membership"],
    );
    assert_eq!(changes_before_its_term(), Ok(()));
}

/// Of four the leader is cut off. The next one is heard by too few to commit anything, and is to remove the old one: those that
/// would be left are enough.
fn changes_before_its_term() -> Result<(), Violation> {
    let mut world = World::settled(4)?;
    let old = world.decider().expect("it is settled");
    world.runs_for(5_000)?;
    world.cuts_out(&[Place::Station(old)]);
    let leads = |world: &World, at: StationAt| at != old && world.station(at).member.leads();
    world.runs_until(30_000, |world| world.places().any(|at| leads(world, at)))?;
    let new = world.places().find(|at| leads(&world, *at));
    let new = new.expect("another leads");
    let deaf = world.places().find(|at| *at != old && *at != new);
    world.cuts_out(&[Place::Station(deaf.expect("there are four"))]);
    let change = Change::Remove(old.id());
    world.wants(change);
    world.asked_to_change(new, change)?;
    world.runs_for(1_000)?;
    world.heals();
    world.runs_for(30_000)
}

// proves: S17
#[test]
fn planted_word_of_what_is_not_synced_is_found() {
    planted_in_group(mainstay_sim::planted::Bug::AcknowledgesUnsynced);
}

// proves: S17
#[test]
fn planted_second_vote_of_a_term_is_found() {
    planted_in_group(mainstay_sim::planted::Bug::VotesTwice);
}

// proves: S17
#[test]
fn planted_entry_applied_before_its_commit_is_found() {
    planted_in_group(mainstay_sim::planted::Bug::AppliesUncommitted);
}

// proves: S17
#[test]
fn planted_leader_that_decides_over_its_own_proposals_is_found() {
    mainstay_sim::planted::set(Some(mainstay_sim::planted::Bug::DecidesOverItsOwn));
    let found = heard_again_in_its_term();
    mainstay_sim::planted::set(None);
    is_found(
        Some((0, found.expect_err("it is found").to_string())),
        &["one log"],
    );
    assert_eq!(heard_again_in_its_term(), Ok(()));
}

/// Every station alone, while the leader has something in flight that nobody else has; then all hear each other.
fn heard_again_in_its_term() -> Result<(), Violation> {
    let mut world = World::settled(3)?;
    let leader = world.decider().expect("it is settled");
    world.runs_for(5_000)?;
    for at in world.places() {
        world.cuts_out(&[Place::Station(at)]);
    }
    world.order_of(leader, start("web"))?;
    world.runs_until(30_000, |world| !world.station(leader).decides())?;
    world.heals();
    world.runs_until(30_000, |world| world.station(leader).decides())?;
    world.order_of(leader, start("other"))?;
    world.runs_for(10_000)
}

fn start(placement: &str) -> Operation {
    Operation::Start(StartPlacement {
        service_type: "flaky".parse().expect("a name"),
        name: placement.parse().expect("a name"),
        holds: None,
        on: StartOn::All,
        config: String::new(),
    })
}
