//! What a coordinator that cannot take something says.

use mainstay_protocol::request::Refusal;
use mainstay_protocol::{NodeName, code};
use mainstay_resource_graph::{Graph, ViewExt};

use super::Session;

pub(super) fn no_quorum() -> Refusal {
    Refusal::new(
        code::NO_QUORUM,
        "this station has no leader now; nothing was changed; try again",
    )
}

pub(super) fn outcome_unknown() -> Refusal {
    Refusal::new(
        code::NO_QUORUM,
        "this station lost its lead before it was known whether this took effect; trying again is safe",
    )
}

pub(super) fn in_use(node: &NodeName, other: &Session, graph: &Graph) -> Refusal {
    let address = graph
        .node(node)
        .map_or_else(String::new, |node| format!(" at {}", node.address));
    Refusal::new(
        code::NODE_ID_IN_USE,
        format!(
            "another agent (run {}) has a session as {node}{address}",
            other.agent_run
        ),
    )
}
