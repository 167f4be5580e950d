//! A node's life: `Online -> Suspect -> {Online | AgentDown | Isolated | Lost}`, and back whenever its agent comes again.

use super::IllegalTransition;
use crate::vertex::NodeState;

pub fn node(from: NodeState, to: NodeState) -> Result<(), IllegalTransition> {
    use NodeState::{AgentDown, Isolated, Lost, Online, Suspect};
    let legal = match (from, to) {
        // From wherever: its agent introduced itself. Online -> Online: a fresh session took the place of the old one.
        (Online | Suspect | AgentDown | Isolated | Lost, Online) => true,
        // Online -> Suspect: its session closed or fell silent.
        (Online, Suspect) => true,
        // What is away is found to be so by what others see of it, and otherwise when they see it otherwise.
        (Suspect | AgentDown | Isolated, Suspect | AgentDown | Isolated) => true,
        // Nobody waits for it any longer; of an isolated one somebody has to say so.
        (Suspect | AgentDown | Isolated, Lost) => true,
        // Lost -> Lost: something is said of it.
        (Lost, Lost) => true,
        // What has a session is away first, and Suspect before anybody knows more.
        (Online, AgentDown | Isolated | Lost) => false,
        // What was given up is not waited for again.
        (Lost, Suspect | AgentDown | Isolated) => false,
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
