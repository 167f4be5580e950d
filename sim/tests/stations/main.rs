//! Groups of stations, as told beforehand: who leads when something is cut, stands still or dies, and what becomes of
//! what was asked and reported meanwhile.

#![allow(clippy::unwrap_used)]

mod asked;
mod leading;
mod members;

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
use mainstay_sim::member::Role;
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
        let mut group = world.oracle.group().members().map(StationAt::of);
        group.all(|at| world.station(at).member.applied == length)
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
    graph(world)
        .instance(&at(reference))
        .unwrap()
        .incarnation
        .count
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

/// The rest goes on: what is asked there comes about.
#[track_caller]
fn runs_while_one_is_away(world: &mut World, leader: StationAt) {
    let order = asks(world, leader, start("meanwhile"));
    comes_to(world, LONG_MS, "the rest goes on", |world| {
        world.operators.answers.contains_key(&order) && lives(world, "meanwhile@n1").is_some()
    });
}
