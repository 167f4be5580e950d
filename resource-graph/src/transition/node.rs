//! A node's life: `Online <-> AgentDown -> Lost -> Online`. The word of peers (suspect, isolated) comes with the guards.

use super::IllegalTransition;
use crate::vertex::NodeState;

pub fn node(from: NodeState, to: NodeState) -> Result<(), IllegalTransition> {
    let legal = match (from, to) {
        // Online -> Online: a fresh session took the place of the old one.
        (NodeState::Online, NodeState::Online) => true,
        // Online -> AgentDown: its session closed or fell silent.
        (NodeState::Online, NodeState::AgentDown) => true,
        // AgentDown -> Online: its agent introduced itself again.
        (NodeState::AgentDown, NodeState::Online) => true,
        // AgentDown -> AgentDown: another reason for the same.
        (NodeState::AgentDown, NodeState::AgentDown) => true,
        // AgentDown -> Lost: nobody waits for it any longer.
        (NodeState::AgentDown, NodeState::Lost) => true,
        // Lost -> Online: it comes back after all.
        (NodeState::Lost, NodeState::Online) => true,
        // Lost -> Lost: something is said of it.
        (NodeState::Lost, NodeState::Lost) => true,
        // What has a session is not lost: that ends first. What was given up is not given another time.
        (NodeState::Online, NodeState::Lost) | (NodeState::Lost, NodeState::AgentDown) => false,
    };
    if legal {
        Ok(())
    } else {
        Err(IllegalTransition {
            kind: "node",
            from: from.as_str(),
            to: to.as_str(),
        })
    }
}
