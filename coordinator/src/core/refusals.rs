//! What a coordinator that cannot take something says.

use mainstay_protocol::report::NodeUp;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{NodeName, Sequence, code};
use mainstay_resource_graph::{Graph, Key, Vertex, View, ViewExt};

use super::{Office, Session};
use crate::effect::Effect;

pub(super) fn no_quorum() -> Refusal {
    Refusal::new(
        code::NO_QUORUM,
        "this station has no leader now; nothing was changed; try again",
    )
}

/// Of what was taken: it may be in the log, or be nowhere.
pub fn outcome_unknown() -> Refusal {
    Refusal::new(
        code::ANSWER_LOST,
        "this station lost its lead before it was known whether this takes effect: it may yet",
    )
}

/// Nobody decides here any more.
pub(super) fn to_all_who_wait(office: Office) -> Vec<Effect> {
    let in_flight = office
        .in_flight
        .into_iter()
        .flat_map(|flight| flight.events);
    let waiting = in_flight.chain(office.inbox);
    let tickets = waiting.filter_map(|(_, ticket)| ticket);
    let reply = |ticket| Effect::Reply {
        ticket,
        answer: Err(match office.in_doubt.contains(&ticket) {
            true => outcome_unknown(),
            false => no_quorum(),
        }),
    };
    tickets.map(reply).collect()
}

pub(super) fn in_use(node: &NodeName, other: &Session, graph: &Graph) -> Refusal {
    let known = graph.node(node).filter(|node| !node.address.is_empty());
    let address = known.map_or_else(String::new, |node| format!(" at {}", node.address));
    Refusal::new(
        code::NODE_ID_IN_USE,
        format!(
            "another agent (run {}) has a session as {node}{address}",
            other.agent_run
        ),
    )
}

/// An introduction that was under way while a later one of the same agent was welcomed: that agent has reported under
/// an epoch this one does not know. What it says of the node's file and of what lives there is past.
pub(super) fn is_overtaken(up: &NodeUp, graph: &Graph) -> bool {
    let same_run = graph
        .node(&up.node)
        .is_some_and(|node| node.agent_run == up.agent_run);
    let reported_since = graph
        .record(&Key::Outbox(up.node.clone()))
        .is_some_and(|record| match &record.vertex {
            Vertex::Outbox(outbox) => {
                up.node_epoch < Some(outbox.node_epoch) && outbox.watermark > Sequence(0)
            }
            _ => false,
        });
    same_run && reported_since
}

pub(super) fn overtaken(node: &NodeName) -> Refusal {
    Refusal::new(
        code::NODE_ID_IN_USE,
        format!("a later introduction of the same agent of {node} has been taken already"),
    )
}
