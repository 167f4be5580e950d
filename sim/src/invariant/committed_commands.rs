//! Invariants 2 and 4: only what is committed is commanded, only what is commanded is done, floors hold, and no
//! incarnation runs twice.

use std::collections::BTreeMap;

use mainstay_coordinator::Entry;
use mainstay_protocol::CommandId;
use mainstay_protocol::command::{Command, Order, Start, Stop};
use mainstay_resource_graph::{Change, Key, Vertex};

use super::{Oracle, demand};
use crate::node::Node;
use crate::world::Held;

const NAME: &str = "committed commands";

pub(super) fn orders(entry: &Entry) -> Vec<(CommandId, Order)> {
    entry
        .delta
        .changes
        .iter()
        .filter_map(|change| match change {
            Change::Put(record) => match (&record.key, &record.vertex) {
                (Key::Command(id), Vertex::Command(command)) => Some((*id, command.order.clone())),
                _ => None,
            },
            Change::Remove(_) | Change::Link(_) | Change::Unlink { .. } => None,
        })
        .collect()
}

pub(super) fn is_committed(
    committed: &BTreeMap<CommandId, Order>,
    command: &Command,
    done: &str,
) -> Held {
    demand(
        NAME,
        committed.get(&command.id) == Some(&command.order),
        || {
            format!(
                "command {} ({} of {}) is {done} and not in the log",
                command.id,
                command.order.name(),
                command.order.instance().0
            )
        },
    )
}

impl Oracle {
    pub(super) fn note_command(&mut self, node: &Node, command: &Command) {
        let (instance, incarnation) = command.order.instance();
        self.taking = None;
        if matches!(command.order, Order::Stop(_)) {
            let key = ((node.name.clone(), node.memory), instance.clone());
            let stops = self.stops.entry(key).or_default();
            *stops = incarnation.max(*stops);
        }
        match &command.order {
            Order::Start(_) => {
                let received = (node.name.clone(), node.life, instance.clone(), incarnation);
                self.received.insert(received);
            }
            // A deposed coordinator's Stop raises nothing.
            Order::Stop(_) if command.leadership >= self.highest => {
                let memory = (node.name.clone(), node.memory);
                self.taking = Some((memory, instance.clone(), incarnation));
            }
            Order::Stop(_)
            | Order::Reconfigure(_)
            | Order::Answer(_)
            | Order::Adopt(_)
            | Order::Work(_)
            | Order::TakeBack(_) => {}
        }
    }

    pub(super) fn taken(&mut self) {
        if let Some((memory, instance, incarnation)) = self.taking.take() {
            let stopped = self.stopped.entry((memory, instance)).or_default();
            *stopped = incarnation.max(*stopped);
        }
    }

    /// What an agent was taking when it died was not written: it does not count.
    pub fn died(&mut self) {
        self.taking = None;
    }

    pub fn host_starts(&mut self, node: &Node, start: &Start) -> Held {
        let who = format!("{}#{} on {}", start.instance, start.incarnation, node.name);
        let received = (
            node.name.clone(),
            node.life,
            start.instance.clone(),
            start.incarnation,
        );
        demand(NAME, self.received.contains(&received), || {
            format!("{who} is started, and nobody commanded it")
        })?;
        let key = ((node.name.clone(), node.memory), start.instance.clone());
        let ran = self.ran.insert(key.clone(), start.incarnation);
        demand(NAME, ran < Some(start.incarnation), || {
            format!("{who} is started after {ran:?} ran")
        })?;
        let stopped = self.stopped.get(&key).copied();
        demand(NAME, stopped < Some(start.incarnation), || {
            format!("{who} is started after {stopped:?} was stopped")
        })
    }

    /// A Stop may name an older incarnation that lives; never one that nobody commanded to stop.
    pub fn host_stops(&mut self, node: &Node, stop: &Stop) -> Held {
        self.taken();
        let key = ((node.name.clone(), node.memory), stop.instance.clone());
        let commanded = self.stops.get(&key).copied();
        demand(NAME, commanded >= Some(stop.incarnation), || {
            format!(
                "{}#{} on {} is stopped, and nobody commanded it",
                stop.instance, stop.incarnation, node.name
            )
        })
    }
}
