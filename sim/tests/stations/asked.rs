//! What is asked, reported and commanded while who leads changes.

use super::*;

// proves: S17
// case: services 45
#[test]
fn what_is_reported_while_no_station_hears_another_is_handled_once_two_of_three_do() {
    let mut world = settled(3);
    runs(&mut world, "web");
    runs(&mut world, "other");
    scatters(&mut world);
    let run = world.runs_for(OVER_MS);
    held(&world, run);
    let length = world.oracle.log_length();
    panics(&mut world, "web@n1");
    let run = world.runs_for(LONG_MS);
    held(&world, run);
    assert!(nobody_decides(&world));
    assert_eq!(world.oracle.log_length(), length, "nothing is decided");

    world.heals();
    world.cuts_out(&[Place::Station(StationAt(2))]);
    comes_to(
        &mut world,
        LONG_MS,
        "what was reported is handled",
        |world| lives(world, "web@n1") == Some(2),
    );
    panics(&mut world, "other@n1");
    comes_to(&mut world, LONG_MS, "and what is reported later", |world| {
        lives(world, "other@n1") == Some(2)
    });
    heals(&mut world);
    assert_eq!(incarnation(&world, "web@n1"), 2, "once");
}

// proves: S17, S22
// case: services 41, 48, 50, 51
#[test]
fn a_report_whose_leader_dies_goes_to_another_and_counts_once() {
    let mut world = settled(3);
    runs(&mut world, "web");
    let old = world.decider().unwrap();
    panics(&mut world, "web@n1");
    // It has taken the report, and what it came to is on its way to the others.
    comes_to(&mut world, LONG_MS, "it is put forward", |world| {
        world.station(old).member.disk.last().index > world.station(old).member.applied
    });
    let died = world.station_dies(old, 0);
    held(&world, died);
    comes_to(&mut world, LONG_MS, "another leads", |world| {
        world.decider().is_some_and(|new| new != old)
    });
    heals(&mut world);
    assert_ne!(world.nodes[N1.0].asks, old, "the agent has gone to another");
    assert_eq!(lives(&world, "web@n1"), Some(2));
    assert_eq!(incarnation(&world, "web@n1"), 2, "once");
}

// proves: S17
// case: services 13
#[test]
fn the_same_start_is_already_done_under_the_next_leader_too() {
    let mut world = settled(3);
    runs(&mut world, "web");
    let old = world.decider().unwrap();
    let died = world.station_dies(old, 0);
    held(&world, died);
    heals(&mut world);
    let leader = world.decider().unwrap();
    for station in [leader, others(&world, leader)[0]] {
        let order = asks(&mut world, station, start("web"));
        comes_to(&mut world, LONG_MS, "it is answered", |world| {
            world.operators.answers.contains_key(&order)
        });
        let accepted = world.operators.answers[&order].clone().unwrap();
        assert!(!accepted.changed, "{}", accepted.text);
        assert!(
            accepted.text.contains("already running"),
            "{}",
            accepted.text
        );
    }
    assert_eq!(lives(&world, "web@n1"), Some(1));
}

// proves: S17
// case: services 15
#[test]
fn two_people_who_start_one_name_at_two_stations_make_one_instance() {
    let mut world = settled(3);
    let orders = [0, 1].map(|at| asks(&mut world, StationAt(at), start("web")));
    comes_to(&mut world, LONG_MS, "both are answered", |world| {
        let answers = &world.operators.answers;
        orders.iter().all(|order| answers.contains_key(order))
    });
    let changed = orders.map(|order| world.operators.answers[&order].clone().unwrap().changed);
    assert_eq!(changed.iter().filter(|changed| **changed).count(), 1);
    heals(&mut world);
    assert_eq!(lives(&world, "web@n1"), Some(1));
}

// proves: S17, S22
// case: services 52
#[test]
fn a_burst_of_reports_over_two_leaders_counts_each_of_them() {
    let mut world = settled(3);
    for incarnation in 2..=501 {
        let changed = Report::SupervisorChanged {
            incarnation,
            watches: 0,
            why: "a burst".to_owned(),
        };
        let seen = Input::Observed(Observation::Seen(changed));
        let step = world.agent_step(N1, seen);
        held(&world, step);
    }
    let old = world.decider().unwrap();
    let length = world.oracle.log_length();
    comes_to(&mut world, LONG_MS, "some are handled", |world| {
        world.oracle.log_length() > length
    });
    let died = world.station_dies(old, 0);
    held(&world, died);
    heals(&mut world);
    let node = &world.nodes[N1.0];
    assert_eq!(node.core.as_ref().unwrap().outbox_depth(), 0);
}

// proves: S17
#[test]
fn a_command_delayed_across_two_terms_is_refused_by_the_agent() {
    let mut world = settled(3);
    runs(&mut world, "web");
    let leader = world.decider().unwrap();
    let old: Leadership = world.coordinator().unwrap().leadership().unwrap();
    let delayed = Command {
        id: CommandId(u64::MAX),
        leadership: old,
        order: Order::Stop(Stop {
            instance: at("web@n1"),
            incarnation: graph(&world).instance(&at("web@n1")).unwrap().incarnation,
            manner: StopManner::AskThenKill,
            deadline_ms: 1_000,
            why: mainstay_protocol::command::StopWhy::NotWanted,
        }),
    };
    let died = world.station_dies(leader, 0);
    held(&world, died);
    heals(&mut world);
    let given_up = world.leadership_is_given_up(world.decider().unwrap());
    held(&world, given_up);
    heals(&mut world);
    let new = world.coordinator().unwrap().leadership().unwrap();
    assert!(new.term.0 >= old.term.0 + 2);
    let taken = world.agent_takes(N1, delayed);
    held(&world, taken);
    assert_eq!(world.counts.faults[&Fault::OldCommand], 1);
    heals(&mut world);
    assert_eq!(lives(&world, "web@n1"), Some(1));
}

// proves: S17
#[test]
fn an_agent_that_one_way_is_cut_to_its_leader_is_unknown_and_comes_back() {
    for from_the_agent in [true, false] {
        let mut world = settled(3);
        runs(&mut world, "web");
        let leader = Place::Station(world.decider().unwrap());
        let (from, to) = match from_the_agent {
            true => (Place::Node(N1), leader),
            false => (leader, Place::Node(N1)),
        };
        world.cuts_one_way(from, to, u64::MAX);
        comes_to(&mut world, LONG_MS, "nobody knows", |world| {
            let instance = graph(world).instance(&at("web@n1")).unwrap();
            matches!(instance.state, InstanceState::Unknown { .. })
        });
        heals(&mut world);
        assert_eq!(lives(&world, "web@n1"), Some(1), "it ran all the while");
    }
}

// proves: S17
#[test]
fn who_is_not_answered_may_assume_neither_outcome() {
    let mut world = settled(3);
    let leader = world.decider().unwrap();
    let other = others(&world, leader)[0];
    // The order arrives, and the answer does not find its way back.
    let order = asks(&mut world, other, start("web"));
    let ends = (Place::Station(leader), Place::Station(other));
    world.cuts_one_way(ends.0, ends.1, u64::MAX);
    comes_to(&mut world, LONG_MS, "it came about", |world| {
        lives(world, "web@n1").is_some()
    });
    assert!(!world.operators.answers.contains_key(&order));
    assert!(world.operators.orders[&order].in_doubt);
    // Asked again, it is told what there is.
    heals(&mut world);
    let answer = world.operators.answers[&order].clone().unwrap();
    assert!(!answer.changed, "{}", answer.text);
    assert_eq!(lives(&world, "web@n1"), Some(1));
}

// proves: S17
#[test]
fn who_asks_where_nobody_leads_is_refused_and_nothing_comes_of_it() {
    let mut world = settled(3);
    scatters(&mut world);
    let run = world.runs_for(OVER_MS);
    held(&world, run);
    let event = mainstay_coordinator::Event::operator(start("web"), "ada");
    let refusal = world.enqueue(StationAt(0), event, None).unwrap_err();
    assert_eq!(refusal.code, code::NO_QUORUM);
    heals(&mut world);
    assert_eq!(graph(&world).instance(&at("web@n1")), None);
}
