//! An agent that knows of a newer leadership carries out nothing that an older one commands.

use mainstay_protocol::Leadership;
use mainstay_supervisor::{Action, Output};

use super::{Oracle, demand};
use crate::node::Node;
use crate::world::Held;

impl Oracle {
    /// What an agent has written that it knows.
    pub fn knows(&mut self, node: &Node, leadership: Leadership) {
        let memory = (node.name.clone(), node.memory);
        let known = self.known.entry(memory).or_default();
        *known = leadership.max(*known);
    }

    pub fn is_older(&self, node: &Node, leadership: Leadership) -> bool {
        let known = self.known.get(&(node.name.clone(), node.memory));
        known.is_some_and(|known| *known > leadership)
    }

    pub fn refused(&self, node: &Node, output: &Output) -> Held {
        let obeys = output.actions.iter().find(|action| match action {
            Action::Start(_)
            | Action::Stop(_)
            | Action::Reconfigure { .. }
            | Action::Answer(_)
            | Action::Work { .. }
            | Action::TakeBack(_) => true,
            Action::Adopt { .. }
            | Action::TellAgain { .. }
            | Action::Renew
            | Action::Renewed { .. }
            | Action::Send(_)
            | Action::CloseSession { .. } => false,
        });
        demand("old leader", obeys.is_none(), || {
            format!("{} obeys a leadership that is over: {obeys:?}", node.name)
        })
    }
}
