//! Commands about machines, as verbs of scripts:
//!
//! ```text
//! host restart reboot | host fence power-off now | host fence
//! ran n2 done | ran n2 failed no such outlet | ran whoever failed
//! stations n1 n2 away:n3
//! ```
//! A command that was asked for waits until its node says what came of it. On each of these machines runs a station.

use mainstay_coordinator::{
    Apply, AskHost, Event, Operation, SettingsChange, StationLife, StationSeen,
};
use mainstay_protocol::host::HostCommandId;
use mainstay_protocol::{NodeName, StationId, StationRunId};
use mainstay_resource_graph::{HostAct, HostOutcome, Key, View, ViewExt};

use super::types::node_name;
use super::world::World;

pub fn verb(world: &mut World, words: &[&str]) -> bool {
    match words {
        ["host", what, words @ ..] => set(world, what, words),
        ["stations", nodes @ ..] => stations(world, nodes),
        ["ran", node, "done"] => ran(world, node, HostOutcome::Done),
        ["ran", node, "failed", why @ ..] => ran(world, node, HostOutcome::Failed(why.join(" "))),
        _ => return false,
    }
    true
}

pub fn set(world: &mut World, what: &str, words: &[&str]) {
    let mut settings = world.graph().cluster().expect("it is founded").settings;
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    match what {
        "restart" => settings.host_restart = words,
        "fence" => settings.host_fence = words,
        _ => panic!("no such command: {what}"),
    }
    let based_on = world
        .graph()
        .record(&Key::Cluster)
        .expect("it is founded")
        .rev;
    world.ask(Operation::Apply(Apply {
        changes: Vec::new(),
        settings: Some(SettingsChange { settings, based_on }),
    }));
    world.run();
}

fn stations(world: &mut World, nodes: &[&str]) {
    let seen = nodes.iter().zip(1..).map(|(node, number)| {
        let away = node.strip_prefix("away:");
        let life = StationLife {
            run: StationRunId(uuid::Uuid::from_u64_pair(9, number)),
            build: "1.0.0".to_owned(),
            node: Some(node_name(away.unwrap_or(node))),
        };
        let seen = StationSeen {
            address: format!("10.0.1.{number}:4400"),
            votes: true,
            heard: Some(away.is_none()),
            life: Some(life),
        };
        (StationId(number), seen)
    });
    world.tell(Event::Stations(seen.collect()));
}

/// What the node was asked for last has come to its end.
pub fn ran(world: &mut World, node: &str, outcome: HostOutcome) {
    let by = |ask: &AskHost| node == "whoever" || ask.on.as_str() == node;
    let asked = world.host_asks.iter().rposition(by);
    let ask = world
        .host_asks
        .remove(asked.expect("it was asked for something"));
    world.tell(Event::HostCommandRan {
        id: ask.command.id,
        outcome,
    });
}

pub fn line(ask: &AskHost) -> String {
    let HostCommandId { node, number, .. } = &ask.command.id;
    let words = ask.command.words.join(" ");
    format!(
        "{} is asked to run `{words}` about {node}, number {number}",
        ask.on
    )
}

/// Which command about this machine was asked for and is waited for: what, and on which node.
pub fn asked(world: &World, node: &str) -> Option<(HostAct, NodeName)> {
    let restart = world.graph().node(&node_name(node))?.restart?;
    let command = restart
        .command
        .filter(|command| command.outcome.is_none())?;
    let asked = world.host_asks.iter().any(|ask| {
        ask.command.id.number == command.number && ask.command.id.since == restart.said.at
    });
    (restart.ended.is_none() && asked).then_some((command.what, command.on))
}
