//! What others see of a node and of what runs there, and what comes of commands about its machine.

use mainstay_coordinator::{Event, watching};
use mainstay_protocol::InstanceKey;
use mainstay_protocol::health::Health;
use mainstay_protocol::report::Report;
use mainstay_protocol::sight::{InstanceSight, Sight};
use mainstay_resource_graph::{HostOutcome, Key, Kind, Sightings, View, ViewExt};

use super::acts::{NODES, pick};
use crate::harness::{World, node_name};

/// One that is done has ended what ran there, and another run of the agent comes.
pub fn host_ran(world: &mut World, which: usize, done: bool) {
    if world.host_asks.is_empty() {
        return;
    }
    let which = which % world.host_asks.len();
    let id = world.host_asks.remove(which).command.id;
    let outcome = match done {
        true => HostOutcome::Done,
        false => HostOutcome::Failed("exit code 1".to_owned()),
    };
    let node = id.node.clone();
    if done {
        world.gone(node.as_str());
    }
    world.tell(Event::HostCommandRan { id, outcome });
    if done {
        world.agent_restarts(node.as_str(), false);
    }
}

pub const SIGHTS: [Sight; 5] = [
    Sight::Watching { supervisor: 1 },
    Sight::Unwatched { supervisor: 1 },
    Sight::Unwatched { supervisor: 2 },
    Sight::Machine,
    Sight::Nothing,
];

pub fn seen(world: &mut World, node: &str, what: usize) {
    let guard = NODES[usize::from(node == NODES[0])];
    let sight = SIGHTS.get(what % 8).copied();
    let knock = match what % 16 {
        0..=3 => Sight::Machine,
        _ => Sight::Nothing,
    };
    let guards = [(node_name(guard), sight)].into();
    world
        .sights
        .insert(node_name(node), Sightings { knock, guards });
}

pub fn guard_saw(world: &mut World, guard: usize, sight: Sight) {
    let (guard, guarded) = (pick(&NODES, guard), node_name(pick(&NODES, guard + 1)));
    if world.scripted(guard).connected {
        world.report(Report::GuardSaw { guarded, sight }, guard);
    }
}

pub const SEEN: [InstanceSight; 4] = [
    InstanceSight::NotReached,
    InstanceSight::Answers { health: Health::Ok },
    InstanceSight::NoAnswer,
    InstanceSight::NotThere,
];

/// Of what it was told to watch, or of anything; now and then of an incarnation before.
pub fn watcher_saw(world: &mut World, watcher: &str, which: usize, sight: InstanceSight) {
    let watched = watching::watched_from(world.graph(), &node_name(watcher));
    let all = world.graph().keys(Kind::Instance).into_iter();
    let all = all.filter_map(|key| match key {
        Key::Instance(key) => Some(key),
        _ => None,
    });
    let any: Vec<InstanceKey> = match watched.is_empty() {
        true => all.collect(),
        false => watched,
    };
    let Some(instance) = any.get(which % any.len().max(1)).cloned() else {
        return;
    };
    let mut incarnation = world.graph().instance(&instance).unwrap().incarnation;
    incarnation.count = incarnation.count.saturating_sub(u64::from(which % 8 == 7));
    if world.scripted(watcher).connected {
        let saw = Report::WatcherSaw {
            instance,
            incarnation,
            sight,
        };
        world.report(saw, watcher);
    }
}
