//! Groups of stations, as told beforehand: who leads when something is cut, stands still or dies, and what becomes of
//! what was asked and reported meanwhile.

#![allow(clippy::unwrap_used)]

use mainstay_coordinator::{Operation, StartOn, StartPlacement};
use mainstay_protocol::command::{Command, Order, Stop, StopManner};
use mainstay_protocol::health::{Evidence, FailureKind};
use mainstay_protocol::report::{Presence, Report};
use mainstay_protocol::{CommandId, InstanceKey, Leadership, code, limits};
use mainstay_resource_graph::{Graph, InstanceState, ViewExt};
use mainstay_sim::fault::Fault;
use mainstay_sim::group::Place;
use mainstay_sim::happening::{Act, Happening, NodeAt};
use mainstay_sim::host::Phase;
use mainstay_sim::station::StationAt;
use mainstay_sim::world::{Held, World};
use mainstay_supervisor::{Input, Observation};

const N1: NodeAt = NodeAt(0);
/// Far longer than an election, a silence and an agent's way to another station take together.
const LONG_MS: u64 = 30_000;
/// Longer than a leader that hears nobody goes on deciding.
const OVER_MS: u64 = limits::STATION_SILENCE_MS + 500;

/// Shows how it came to it, if it did not hold.
#[track_caller]
fn held(world: &World, held: Held) {
    if let Err(violation) = held {
        show(world);
        panic!("{violation}");
    }
}

fn show(world: &World) {
    for line in world.trace.lines.iter().rev().take(200).rev() {
        println!("{line}");
    }
}

#[track_caller]
fn settled(stations: usize) -> World {
    World::settled(stations).unwrap_or_else(|violation| panic!("{violation}"))
}

#[track_caller]
fn comes_to(world: &mut World, most_ms: u64, what: &str, so: impl Fn(&World) -> bool) {
    let ran = world.runs_until(most_ms, so);
    let came = ran.unwrap_or_else(|violation| {
        show(world);
        panic!("{violation}")
    });
    if !came {
        show(world);
        panic!("not so: {what}; {}", world.not_converged().join("; "));
    }
}

/// Nothing is cut any more: everything comes about, and every station says the same.
#[track_caller]
fn heals(world: &mut World) {
    world.heals();
    comes_to(world, 60_000, "all is well again", |world| {
        world.not_converged().is_empty()
    });
    comes_to(world, 60_000, "every station has all of the log", |world| {
        let length = world.oracle.log_length();
        let mut stations = world.stations.iter();
        stations.all(|station| station.member.applied == length)
    });
    let look = world.final_look();
    held(world, look);
}

fn at(reference: &str) -> InstanceKey {
    let (placement, node) = reference.split_once('@').unwrap();
    InstanceKey::new(node.parse().unwrap(), placement.parse().unwrap())
}

fn start(placement: &str) -> Operation {
    Operation::Start(StartPlacement {
        service_type: "flaky".parse().unwrap(),
        name: placement.parse().unwrap(),
        holds: None,
        on: StartOn::Nodes(["n1".parse().unwrap()].into()),
        config: String::new(),
    })
}

fn stop(reference: &str) -> Operation {
    Operation::Stop {
        instance: at(reference),
    }
}

#[track_caller]
fn asks(world: &mut World, station: StationAt, operation: Operation) -> u64 {
    world.order_of(station, operation).unwrap()
}

/// Asked of the one that leads, and come about.
#[track_caller]
fn runs(world: &mut World, placement: &str) {
    let leader = world.decider().unwrap();
    let order = asks(world, leader, start(placement));
    comes_to(world, LONG_MS, "it runs", |world| {
        world.operators.answers.contains_key(&order) && world.not_converged().is_empty()
    });
    assert!(world.operators.answers[&order].is_ok());
}

fn graph(world: &World) -> &Graph {
    world.oracle.mirror()
}

fn incarnation(world: &World, reference: &str) -> u64 {
    graph(world).instance(&at(reference)).unwrap().incarnation.count
}

fn lives(world: &World, reference: &str) -> Option<u64> {
    let actors = world.nodes[N1.0].host.actors.values();
    let mut running = actors.filter(|actor| actor.phase == Phase::Running);
    let actor = running.find(|actor| actor.start.instance == at(reference))?;
    Some(actor.start.incarnation.count)
}

/// An instance panics now.
fn panics(world: &mut World, reference: &str) {
    let node = &world.nodes[N1.0];
    let found = node.host.actors.iter();
    let mut found = found.filter(|(_, actor)| actor.start.instance == at(reference));
    let (id, actor) = found.next().unwrap();
    let failed = Report::Failed {
        instance: at(reference),
        incarnation: actor.start.incarnation,
        kind: FailureKind::Panic,
        presence: Presence::Gone,
        evidence: Evidence::text("a panic"),
    };
    let happening = Happening::Host {
        node: N1,
        life: node.life,
        actor: *id,
        act: Act::Gone(Observation::Seen(failed)),
    };
    let now = world.now;
    world.queue.put(now, happening);
}

fn others(world: &World, than: StationAt) -> Vec<StationAt> {
    world.places().filter(|at| *at != than).collect()
}

fn places(stations: &[StationAt]) -> Vec<Place> {
    stations.iter().copied().map(Place::Station).collect()
}

fn nobody_decides(world: &World) -> bool {
    world.places().all(|at| !world.station(at).decides())
}

/// Every station alone.
fn scatters(world: &mut World) {
    for at in world.places() {
        world.cuts_out(&[Place::Station(at)]);
    }
}

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

/// The rest goes on: what is asked there comes about.
#[track_caller]
fn runs_while_one_is_away(world: &mut World, leader: StationAt) {
    let order = asks(world, leader, start("meanwhile"));
    comes_to(world, LONG_MS, "the rest goes on", |world| {
        world.operators.answers.contains_key(&order) && lives(world, "meanwhile@n1").is_some()
    });
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
    comes_to(&mut world, LONG_MS, "what was reported is handled", |world| {
        lives(world, "web@n1") == Some(2)
    });
    panics(&mut world, "other@n1");
    comes_to(&mut world, LONG_MS, "and what is reported later", |world| {
        lives(world, "other@n1") == Some(2)
    });
    heals(&mut world);
    assert_eq!(incarnation(&world, "web@n1"), 2, "once");
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
        assert!(accepted.text.contains("already running"), "{}", accepted.text);
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
    assert!(world.station(deaf).member.term() > term.unwrap(), "it has tried");
    runs_while_one_is_away(&mut world, leader);
    heals(&mut world);
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
    let event = mainstay_coordinator::Event::Operator(start("web"));
    let refusal = world.enqueue(StationAt(0), event, None).unwrap_err();
    assert_eq!(refusal.code, code::NO_QUORUM);
    heals(&mut world);
    assert_eq!(graph(&world).instance(&at("web@n1")), None);
}
