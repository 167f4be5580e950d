//! A node's life: `Online <-> AgentDown`. Its verdicts (suspect, isolated, lost) come with the guards.

use super::IllegalTransition;
use crate::vertex::NodeState;

pub fn node(from: NodeState, to: NodeState) -> Result<(), IllegalTransition> {
    match (from, to) {
        // Online -> Online: a fresh session took the place of the old one.
        (NodeState::Online, NodeState::Online) => Ok(()),
        // Online -> AgentDown: its session closed or fell silent.
        (NodeState::Online, NodeState::AgentDown) => Ok(()),
        // AgentDown -> Online: its agent introduced itself again.
        (NodeState::AgentDown, NodeState::Online) => Ok(()),
        // AgentDown -> AgentDown: another reason for the same.
        (NodeState::AgentDown, NodeState::AgentDown) => Ok(()),
    }
}
