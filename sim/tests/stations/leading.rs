//! Who leads, and who does not any more.

use super::*;

// proves: S17
// case: services 2
#[test]
fn three_stations_with_no_state_have_one_leader_and_the_others_know_it() {
    for stations in [1, 3, 5] {
        let world = settled(stations);
        let leader = world.decider().unwrap();
        let deciding = world.places().filter(|at| world.station(*at).decides());
        assert_eq!(deciding.count(), 1);
        for at in world.places() {
            assert_eq!(world.leader_known_to(at), Some(leader));
        }
    }
}

// proves: S17
// case: services 42
#[test]
fn a_leader_that_is_cut_off_stops_deciding_and_another_leads() {
    let mut world = settled(5);
    runs(&mut world, "web");
    let old = world.decider().unwrap();
    world.cuts_out(&[Place::Station(old)]);
    comes_to(&mut world, LONG_MS, "another leads", |world| {
        !world.station(old).decides() && world.decider().is_some()
    });
    let new = world.decider().unwrap();
    assert_ne!(new, old);
    runs_while_one_is_away(&mut world, new);
    heals(&mut world);
    assert_eq!(incarnation(&world, "web@n1"), 1);
}

// proves: S17
// case: services 43
#[test]
fn where_every_station_is_alone_nobody_decides() {
    for stations in [3, 5] {
        let mut world = settled(stations);
        scatters(&mut world);
        let run = world.runs_for(OVER_MS);
        held(&world, run);
        assert!(nobody_decides(&world));
        let again = world.runs_until(LONG_MS, |world| !nobody_decides(world));
        assert!(!again.unwrap(), "one decides alone");
        heals(&mut world);
    }
}

// proves: S17
// case: services 44
#[test]
fn the_larger_part_of_five_leads_whether_the_leader_is_in_it_or_not() {
    let mut world = settled(5);
    let leader = world.decider().unwrap();
    let term = world.station(leader).told;
    let away = places(&others(&world, leader)[..2]);
    world.cuts_out(&away);
    let run = world.runs_for(LONG_MS);
    held(&world, run);
    assert_eq!(world.station(leader).told, term, "it stays where three are");
    heals(&mut world);

    let leader = world.decider().unwrap();
    let with_it = [leader, others(&world, leader)[0]];
    world.cuts_out(&places(&with_it));
    comes_to(&mut world, LONG_MS, "one of the three leads", |world| {
        let new = world.decider();
        !world.station(leader).decides() && new.is_some_and(|new| !with_it.contains(&new))
    });
    heals(&mut world);
}

// proves: S17
// case: services 47
#[test]
fn of_two_stations_none_decides_alone() {
    let mut world = settled(2);
    runs(&mut world, "web");
    let leader = world.decider().unwrap();
    let lost = others(&world, leader)[0];
    world.cuts_out(&[Place::Station(lost)]);
    let run = world.runs_for(OVER_MS);
    held(&world, run);
    let length = world.oracle.log_length();
    panics(&mut world, "web@n1");
    let run = world.runs_for(LONG_MS);
    held(&world, run);
    assert!(nobody_decides(&world));
    assert_eq!(world.oracle.log_length(), length, "nothing is decided");
    heals(&mut world);
    assert_eq!(incarnation(&world, "web@n1"), 2);
}

// proves: S17
// case: services 9
#[test]
fn everything_goes_out_at_once_and_comes_back_from_its_graph() {
    for stations in [1, 3, 5] {
        let mut world = settled(stations);
        runs(&mut world, "web");
        let cut = world.power_fails();
        held(&world, cut);
        assert_eq!(world.decider(), None);
        heals(&mut world);
        assert!(lives(&world, "web@n1").is_some());
    }
}

// proves: S17
// case: services 53
#[test]
fn the_log_is_bounded_on_every_station_and_one_that_was_away_is_given_a_snapshot() {
    let mut world = settled(3);
    let away = others(&world, world.decider().unwrap())[0];
    world.cuts_out(&[Place::Station(away)]);
    let behind = world.station(away).member.applied;
    while world.oracle.log_length() < behind + 4 * 64 {
        let leader = world.decider().unwrap();
        for operation in [start("web"), stop("web@n1")] {
            let order = asks(&mut world, leader, operation);
            comes_to(&mut world, LONG_MS, "it is answered", |world| {
                world.operators.answers.contains_key(&order)
            });
        }
        let run = world.runs_for(1_000);
        held(&world, run);
        for at in world.places() {
            assert!(world.station(at).member.disk.length() <= 2 * 64 + 1);
        }
    }
    heals(&mut world);
    assert!(world.counts.faults[&Fault::SnapshotInstalled] > 0);
}

// proves: S17
#[test]
fn a_leader_that_stood_still_comes_back_to_another_and_decides_nothing() {
    let mut world = settled(3);
    runs(&mut world, "web");
    let old = world.decider().unwrap();
    let term = world.station(old).told;
    // In the middle of something.
    panics(&mut world, "web@n1");
    comes_to(&mut world, LONG_MS, "it is put forward", |world| {
        world.station(old).member.disk.last().index > world.station(old).member.applied
    });
    let until = world.now + 8_000_000;
    world.station_mut(old).paused_until = until;
    comes_to(&mut world, 7_900, "another leads", |world| {
        world.decider().is_some_and(|new| new != old)
    });
    assert_eq!(world.station(old).told, term, "it does not know yet");
    comes_to(&mut world, LONG_MS, "it learns of it", |world| {
        world.now > until && !world.station(old).decides()
    });
    heals(&mut world);
    assert_eq!(incarnation(&world, "web@n1"), 2, "once");
}

// proves: S17
#[test]
fn a_station_that_hears_no_leader_but_is_heard_unseats_nobody() {
    let mut world = settled(3);
    let leader = world.decider().unwrap();
    let term = world.station(leader).told;
    let deaf = others(&world, leader)[0];
    let ends = (Place::Station(leader), Place::Station(deaf));
    world.cuts_one_way(ends.0, ends.1, u64::MAX);
    let run = world.runs_for(LONG_MS);
    held(&world, run);
    assert_eq!(world.station(leader).told, term);
    let tries = matches!(world.station(deaf).member.role, Role::Asks(..));
    assert!(tries, "it asks for votes");
    runs_while_one_is_away(&mut world, leader);
    heals(&mut world);
    assert_eq!(world.station(leader).told, term);
}

/// It put something forward that nobody else has: what it decides next comes behind it.
// proves: S17
#[test]
fn a_leader_that_is_heard_again_in_its_term_goes_on_behind_what_it_had_put_forward() {
    let mut world = settled(3);
    let leader = world.decider().unwrap();
    let term = world.station(leader).told;
    let run = world.runs_for(5_000);
    held(&world, run);
    scatters(&mut world);
    asks(&mut world, leader, start("web"));
    comes_to(&mut world, LONG_MS, "it decides no longer", |world| {
        nobody_decides(world)
    });
    heals(&mut world);
    assert_eq!(world.station(leader).told, term, "the same term");
    assert_eq!(lives(&world, "web@n1"), Some(1));
}

// proves: S17
#[test]
fn a_leader_that_hears_nobody_but_is_heard_decides_nothing() {
    let mut world = settled(3);
    let leader = world.decider().unwrap();
    for other in others(&world, leader) {
        world.cuts_one_way(Place::Station(other), Place::Station(leader), u64::MAX);
    }
    let run = world.runs_for(OVER_MS);
    held(&world, run);
    assert!(!world.station(leader).decides());
    let order = asks(&mut world, leader, start("web"));
    let run = world.runs_for(LONG_MS);
    held(&world, run);
    assert!(!world.operators.answers.contains_key(&order));
    assert_eq!(graph(&world).instance(&at("web@n1")), None);
    heals(&mut world);
    assert_eq!(lives(&world, "web@n1"), Some(1));
}

// proves: S17
#[test]
fn a_slow_disk_takes_no_lead_away_and_holds_nobody_up() {
    let mut world = settled(3);
    let leader = world.decider().unwrap();
    let term = world.station(leader).told;
    world.station_mut(leader).slow_until = u64::MAX;
    let order = asks(&mut world, leader, start("web"));
    comes_to(&mut world, 100, "the two others are a majority", |world| {
        world.operators.answers.contains_key(&order)
    });
    let run = world.runs_for(LONG_MS);
    held(&world, run);
    assert_eq!(world.station(leader).told, term);
    world.station_mut(leader).slow_until = 0;
    heals(&mut world);
}

// proves: S17
#[test]
fn a_wall_clock_that_jumps_changes_no_decision() {
    let decided = |jump_ms: u64| {
        let mut world = settled(3);
        for at in world.places() {
            world.station_mut(at).wall_offset_ms = jump_ms;
        }
        runs(&mut world, "web");
        panics(&mut world, "web@n1");
        heals(&mut world);
        (graph(&world).digest(), world.oracle.log_length())
    };
    assert_eq!(decided(0), decided(3_600_000_000));
}
