//! Whom to welcome: an agent may have opened another session while its introduction was on its way. The welcome of the
//! older session must not reach the newer one, whose digest is still to be judged: what is ordered before that would
//! seem to be lost, and be ordered again beside itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mainstay_protocol::NodeName;

use crate::effect::Effect;
use crate::event::{Event, Ticket};

pub(super) struct Greeting {
    /// Nodes with a NodeUp still in line.
    in_line: BTreeSet<NodeName>,
    /// NodeUps of each node that are still to come in the batch that is carried out.
    to_come: BTreeMap<NodeName, usize>,
}

impl Greeting {
    pub(super) fn new(
        in_line: &VecDeque<(Event, Option<Ticket>)>,
        batch: &[(Event, Option<Ticket>)],
    ) -> Self {
        let mut to_come = BTreeMap::new();
        for node in introductions(batch) {
            *to_come.entry(node).or_default() += 1;
        }
        Self {
            in_line: introductions(in_line).collect(),
            to_come,
        }
    }

    /// Takes the next introduction of a node in the batch; says whether no newer one is known.
    pub(super) fn is_newest(&mut self, node: &NodeName) -> bool {
        let to_come = self.to_come.entry(node.clone()).or_default();
        *to_come = to_come.saturating_sub(1);
        *to_come == 0 && !self.in_line.contains(node)
    }

    /// A command waits for the welcome of the newest session.
    pub(super) fn lets_pass(&self, effect: &Effect) -> bool {
        match effect {
            Effect::Send { node, .. } => !self.in_line.contains(node),
            Effect::Welcome { .. }
            | Effect::Deny { .. }
            | Effect::Acknowledge { .. }
            | Effect::Reply { .. }
            | Effect::Guard { .. }
            | Effect::Watch { .. }
            | Effect::Look(_)
            | Effect::AskHost(_)
            | Effect::Applied(_) => true,
        }
    }
}

/// The nodes whose agents introduce themselves in these events.
fn introductions<'a>(
    events: impl IntoIterator<Item = &'a (Event, Option<Ticket>)>,
) -> impl Iterator<Item = NodeName> {
    events.into_iter().filter_map(|(event, _)| match event {
        Event::NodeUp { up, .. } => Some(up.node.clone()),
        Event::Found(_)
        | Event::Reports { .. }
        | Event::AgentGone { .. }
        | Event::Stations(_)
        | Event::Sighted { .. }
        | Event::HostCommandRan { .. }
        | Event::StationStops { .. }
        | Event::Operator { .. } => None,
    })
}
