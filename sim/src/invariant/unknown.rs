//! Invariant 7: what may live on a node that is away is Unknown, never healthy and never dead; and nothing else is.

use mainstay_protocol::code;
use mainstay_resource_graph::{Graph, Key, Kind, NodeState, Vertex, View};

use super::demand;
use crate::world::Held;

const NAME: &str = "unknown";

pub(super) fn graph(graph: &Graph) -> Held {
    for key in graph.keys(Kind::Node) {
        let Key::Node(node) = &key else { continue };
        let online = graph
            .record(&key)
            .is_some_and(|record| match &record.vertex {
                Vertex::Node(node) => node.state == NodeState::Online,
                _ => false,
            });
        for instance in graph.instances_on(node) {
            let Some(record) = graph.record(&Key::Instance(instance.clone())) else {
                continue;
            };
            let Vertex::Instance(found) = &record.vertex else {
                continue;
            };
            let unknown = found.state.out_of_sight().is_some();
            demand(
                NAME,
                online || unknown || !found.state.may_be_live(),
                || {
                    format!(
                        "{instance} is {} while {node} is away",
                        found.state.as_str()
                    )
                },
            )?;
            // The node is back, and its own reports are about to tell what became of it.
            let about_to_tell = found
                .reason
                .as_ref()
                .is_some_and(|reason| reason.code == code::NODE_RETURNED);
            demand(NAME, !online || !unknown || about_to_tell, || {
                format!("{instance} is Unknown while {node} is online")
            })?;
        }
    }
    Ok(())
}
