//! Invariant 9: every step of a recovery has a deadline and ends: what is under way on an online node has a time
//! at which somebody looks again.

use mainstay_resource_graph::{Graph, InstanceState, Kind, NodeState, Vertex, View, ViewExt};

use super::demand;
use crate::world::Held;

const NAME: &str = "deadlines";

pub(super) fn graph(graph: &Graph) -> Held {
    for key in graph.keys(Kind::Instance) {
        let Some(record) = graph.record(&key) else {
            continue;
        };
        let Vertex::Instance(instance) = &record.vertex else {
            continue;
        };
        let needs_deadline = matches!(
            instance.state,
            InstanceState::Starting | InstanceState::Stopping { stuck: false, .. }
        );
        demand(NAME, !needs_deadline || instance.deadline.is_some(), || {
            format!("{key} is {} without a deadline", instance.state.as_str())
        })?;
        let settled = !matches!(
            instance.state,
            InstanceState::Failed {
                presence: mainstay_protocol::report::Presence::Living
            }
        );
        demand(NAME, settled, || {
            format!("{key} failed, lives, and nobody stops it")
        })?;
    }
    for key in graph.keys(Kind::Command) {
        let Some(command) = graph.command(&key) else {
            continue;
        };
        let online = graph
            .node(&command.node)
            .is_some_and(|node| node.state == NodeState::Online);
        demand(NAME, !online || command.deadline.is_some(), || {
            format!("{key} is open on an online node, and never sent again")
        })?;
    }
    Ok(())
}
