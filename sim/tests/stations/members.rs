//! Stations are added and removed: who is in the group, and who has no part in it any more.

use mainstay_protocol::StationId;
use mainstay_resource_graph::{StationState, ViewExt};
use mainstay_sim::membership::Change;

use super::*;

/// One that comes and is wanted.
fn comes(world: &mut World) -> StationAt {
    let at = world.station_comes();
    world.wants(Change::Add(at.id()));
    at
}

fn is_made(world: &World, change: Change) -> bool {
    world.changes.made.contains(&change)
}

#[track_caller]
fn grows(world: &mut World) -> StationAt {
    let at = comes(world);
    comes_to(world, LONG_MS, "it is added", |world| {
        is_made(world, Change::Add(at.id()))
    });
    at
}

#[track_caller]
fn shrinks(world: &mut World, at: StationAt) {
    world.wants(Change::Remove(at.id()));
    comes_to(world, LONG_MS, "it is removed", |world| {
        is_made(world, Change::Remove(at.id()))
    });
}

fn voters(world: &World, at: StationAt) -> Vec<u64> {
    let group = world.station(at).member.disk.group();
    assert!(group.learners.is_empty());
    group.voters.iter().map(|id| id.0).collect()
}

/// Each of them says so, and so does the graph.
#[track_caller]
fn is_exactly(world: &World, wanted: &[u64]) {
    for id in wanted {
        assert_eq!(voters(world, StationAt::of(StationId(*id))), wanted);
    }
    for (id, station) in graph(world).stations() {
        let right = match wanted.contains(&id.0) {
            true => StationState::Running,
            false => StationState::Removed,
        };
        assert_eq!(station.state, right, "{id}");
    }
    let known = wanted.iter().map(|id| StationId(*id));
    assert!(
        known
            .into_iter()
            .all(|id| graph(world).station(id).is_some())
    );
}

// proves: S17
// case: services 7
#[test]
fn three_stations_become_four_and_lose_one_and_the_membership_is_exactly_that() {
    for removed in [StationAt(1), StationAt(3)] {
        let mut world = settled(3);
        runs(&mut world, "web");
        let added = [grows(&mut world), grows(&mut world)];
        assert_eq!(added, [StationAt(3), StationAt(4)]);
        shrinks(&mut world, removed);
        heals(&mut world);
        let left: Vec<u64> = (1..=5).filter(|id| *id != removed.id().0).collect();
        is_exactly(&world, &left);
        assert_eq!(lives(&world, "web@n1"), Some(1), "it ran all the while");
        runs(&mut world, "other");
    }
}

// proves: S17
#[test]
fn a_group_grows_from_one_to_three_to_five_and_shrinks_to_one_while_it_is_used() {
    let mut world = settled(1);
    runs(&mut world, "web");
    for (size, placement) in [(3, "at-three"), (5, "at-five")] {
        let both = [comes(&mut world), comes(&mut world)];
        let leader = world.decider().unwrap();
        asks(&mut world, leader, start(placement));
        panics(&mut world, "web@n1");
        comes_to(&mut world, LONG_MS, "both are added", |world| {
            let mut both = both.iter();
            both.all(|at| is_made(world, Change::Add(at.id())))
        });
        heals(&mut world);
        is_exactly(&world, &(1..=size).collect::<Vec<u64>>());
        assert!(lives(&world, &format!("{placement}@n1")).is_some());
    }
    for gone in 0..4 {
        world.wants(Change::Remove(StationAt(gone).id()));
        runs(&mut world, &format!("without-{gone}"));
        heals(&mut world);
        is_exactly(&world, &(gone as u64 + 2..=5).collect::<Vec<u64>>());
    }
    assert_eq!(world.decider(), Some(StationAt(4)));
    assert_eq!(incarnation(&world, "web@n1"), 3, "each panic counted once");
}

// proves: S17
#[test]
fn a_leader_that_is_removed_hands_over_and_takes_no_part_any_more() {
    let mut world = settled(3);
    runs(&mut world, "web");
    let old = world.decider().unwrap();
    let began = world.now_ms();
    world.wants(Change::Remove(old.id()));
    comes_to(&mut world, LONG_MS, "another leads", |world| {
        world.decider().is_some_and(|new| new != old)
    });
    // Nobody waited for an election.
    assert!(world.now_ms() < began + 1_000, "{}", world.now_ms() - began);
    comes_to(&mut world, LONG_MS, "it is removed", |world| {
        is_made(world, Change::Remove(old.id()))
    });
    heals(&mut world);
    let left: Vec<u64> = others(&world, old).iter().map(|at| at.id().0).collect();
    is_exactly(&world, &left);
    // Nobody leads where only one of the two is left, whatever the third would say.
    let last = world.decider().unwrap();
    let cut = others(&world, last);
    let cut: Vec<StationAt> = cut.into_iter().filter(|at| *at != old).collect();
    world.cuts_out(&places(&cut));
    let run = world.runs_for(OVER_MS);
    held(&world, run);
    let again = world.runs_until(LONG_MS, |world| !nobody_decides(world));
    assert!(!again.unwrap(), "a removed station counts for a majority");
    heals(&mut world);
    assert!(!world.station(old).member.leads());
    assert_eq!(lives(&world, "web@n1"), Some(1));
}

// proves: S17
#[test]
fn an_addition_under_a_cut_holds_nobody_up_and_is_finished_after_it() {
    let mut world = settled(3);
    let new = world.station_comes();
    world.cuts_out(&[Place::Station(new)]);
    let change = Change::Add(new.id());
    world.wants(change);
    let run = world.runs_for(LONG_MS);
    held(&world, run);
    assert!(!is_made(&world, change));
    let leader = world.decider().unwrap();
    runs_while_one_is_away(&mut world, leader);
    assert_eq!(world.station(leader).member.majority(), 2, "it has no vote");
    heals(&mut world);
    assert!(is_made(&world, change));
    is_exactly(&world, &[1, 2, 3, 4]);
}

/// A cut-off leader and the station that learns are two, of three.
// proves: S17
#[test]
fn what_a_learner_keeps_counts_for_no_majority() {
    let mut world = settled(3);
    let new = world.station_comes();
    world.cuts_out(&[Place::Station(new)]);
    world.wants(Change::Add(new.id()));
    comes_to(&mut world, LONG_MS, "it is to learn", |world| {
        !world.oracle.group().learners.is_empty()
    });
    let leader = world.decider().unwrap();
    world.heals();
    for other in others(&world, leader) {
        if other != new {
            world.cuts_out(&[Place::Station(other)]);
        }
    }
    let length = world.oracle.log_length();
    asks(&mut world, leader, start("web"));
    comes_to(&mut world, LONG_MS, "the learner has it", |world| {
        world.station(new).member.disk.last_synced() > length
    });
    let run = world.runs_for(OVER_MS);
    held(&world, run);
    assert_eq!(world.oracle.log_length(), length, "nothing is decided");
    assert!(nobody_decides(&world));
    heals(&mut world);
    is_exactly(&world, &[1, 2, 3, 4]);
}

// proves: S17
#[test]
fn a_change_that_only_a_cut_off_leader_has_falls_back_and_the_next_leader_makes_it() {
    let mut world = settled(3);
    let new = grows(&mut world);
    let old = world.decider().unwrap();
    let away = others(&world, old).into_iter().find(|at| *at != new);
    let change = Change::Remove(away.unwrap().id());
    world.cuts_out(&[Place::Station(old)]);
    world.wants(change);
    assert!(!world.asked_to_change(old, change).unwrap());
    let in_one_log = world.station(old).member.disk.group();
    assert_eq!(in_one_log.voters.len(), 3);
    assert_eq!(world.oracle.group().voters.len(), 4);
    comes_to(&mut world, LONG_MS, "another makes it", |world| {
        is_made(world, change)
    });
    assert!(world.decider().is_some_and(|new| new != old));
    heals(&mut world);
    assert!(world.counts.faults[&Fault::ChangeFellBack] > 0);
}

// proves: S17
#[test]
fn a_station_whose_removal_would_stop_the_group_stays_until_it_would_not() {
    let mut world = settled(3);
    let leader = world.decider().unwrap();
    let [dead, needed] = others(&world, leader)[..] else {
        panic!("there are two others");
    };
    world.cuts_out(&[Place::Station(dead)]);
    let run = world.runs_for(OVER_MS);
    held(&world, run);
    let change = Change::Remove(needed.id());
    world.wants(change);
    let run = world.runs_for(LONG_MS);
    held(&world, run);
    assert!(world.counts.faults[&Fault::RemovalRefused] > 0);
    assert!(world.oracle.group().voters.contains(&needed.id()));
    runs_while_one_is_away(&mut world, leader);
    heals(&mut world);
    assert!(is_made(&world, change));
}

// proves: S17
#[test]
fn a_station_that_was_removed_while_it_was_cut_off_asks_for_votes_in_vain() {
    let mut world = settled(3);
    let leader = world.decider().unwrap();
    let gone = others(&world, leader)[0];
    world.cuts_out(&[Place::Station(gone)]);
    let run = world.runs_for(OVER_MS);
    held(&world, run);
    shrinks(&mut world, gone);
    let term = world.station(leader).told;
    heals(&mut world);
    let run = world.runs_for(LONG_MS);
    held(&world, run);
    assert!(world.counts.faults[&Fault::RemovedAsks] > 0);
    assert_eq!(world.station(leader).told, term, "it unseats nobody");
    // Nor when there is nobody to unseat.
    let died = world.station_dies(leader, 0);
    held(&world, died);
    heals(&mut world);
    assert_ne!(world.decider(), Some(gone));
    let left: Vec<u64> = others(&world, gone).iter().map(|at| at.id().0).collect();
    is_exactly(&world, &left);
}

// proves: S17
#[test]
fn a_station_that_comes_when_the_log_is_cut_off_is_given_a_snapshot() {
    let mut world = settled(1);
    while world.station(StationAt(0)).member.disk.first() == 1 {
        for operation in [start("web"), stop("web@n1")] {
            let order = asks(&mut world, StationAt(0), operation);
            comes_to(&mut world, LONG_MS, "it is answered", |world| {
                world.operators.answers.contains_key(&order)
            });
        }
    }
    grows(&mut world);
    heals(&mut world);
    assert!(world.counts.faults[&Fault::LearnerGivenSnapshot] > 0);
    is_exactly(&world, &[1, 2]);
}
