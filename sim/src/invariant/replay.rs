//! Invariant 3, its other half: the same log gives the same graph, byte for byte; so does an agent's file.

use mainstay_coordinator::Entry;
use mainstay_protocol::{codec, limits};
use mainstay_resource_graph::Graph;
use mainstay_supervisor::{AgentCore, Identity, replay as read};

use super::demand;
use crate::disk::Slot;
use crate::world::Held;

const NAME: &str = "replay";

/// From the bytes.
pub(super) fn log(graph: &Graph, log: &[Slot]) -> Held {
    let mut replayed = Graph::new();
    for entry in log.iter().filter_map(|slot| slot.entry()) {
        let entry: Entry = codec::decode(&codec::encode(entry.as_ref()), limits::DECODE_BYTES_MAX)
            .expect("this build reads what it writes");
        replayed.apply(&entry.delta);
    }
    demand(NAME, replayed.snapshot() == graph.snapshot(), || {
        let difference = graph.first_difference(&replayed).unwrap_or_default();
        format!("the bytes of the log give another graph: {difference}")
    })
}

/// A life of the agent that begins on the file written anew says and does what it would have on the old one.
pub(super) fn file(identity: &Identity, long: &[u8], short: &[u8]) -> Held {
    let (long, short) = (read(long), read(short));
    let torn = short.torn || short.damaged;
    let (before, told_before) = AgentCore::new(identity.clone(), long);
    let (after, told_after) = AgentCore::new(identity.clone(), short);
    let same = before.node_up() == after.node_up() && told_before == told_after;
    demand(NAME, same && !torn, || {
        format!(
            "the file of {} written anew says {told_after:?}, before it {told_before:?}",
            identity.node
        )
    })
}
