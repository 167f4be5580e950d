//! The oracle: what must hold, one file per invariant, looked at after every happening that touched it.

mod bounds;
mod committed_commands;
mod converged;
mod deadlines;
mod exactly_once;
mod full_pass;
mod one_holder;
mod promises;
mod reasons;
mod replay;
mod unknown;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use mainstay_coordinator::{Entry, LeaderCore};
use mainstay_protocol::command::{Command, Order};
use mainstay_protocol::{CommandId, Incarnation, InstanceKey, Leadership, NodeName};
use mainstay_resource_graph::{Graph, Key, Kind, View};

use mainstay_supervisor::Identity;

use crate::count::Counts;
use crate::disk::Disk;
use crate::node::Node;
use crate::world::{Held, World};

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub invariant: &'static str,
    pub text: String,
}

impl Violation {
    pub fn of(invariant: &'static str, text: impl Into<String>) -> Self {
        Self {
            invariant,
            text: text.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.text)
    }
}

/// A violation unless it holds.
fn demand(invariant: &'static str, holds: bool, text: impl FnOnce() -> String) -> Held {
    if holds {
        Ok(())
    } else {
        Err(Violation::of(invariant, text()))
    }
}

/// A node as long as it rightly remembers its floors.
type Memory = (NodeName, u64);

/// What the oracle knows by itself, beside the cores.
#[derive(Debug, Default)]
pub struct Oracle {
    /// Every committed entry, applied once.
    mirror: Graph,
    entries: u64,
    committed: BTreeMap<CommandId, Order>,
    highest: Leadership,
    /// Starts that reached a life of an agent.
    received: BTreeSet<(NodeName, u64, InstanceKey, Incarnation)>,
    /// The newest incarnation that ran, and what was stopped.
    ran: BTreeMap<(Memory, InstanceKey), Incarnation>,
    stopped: BTreeMap<(Memory, InstanceKey), Incarnation>,
    /// The newest incarnation that any Stop named.
    stops: BTreeMap<(Memory, InstanceKey), Incarnation>,
    /// A Stop that an agent is just taking: it counts once it is written.
    taking: Option<(Memory, InstanceKey, Incarnation)>,
}

impl Oracle {
    /// An entry is durable, and the core is about to be told.
    pub fn committed(&mut self, entry: &Arc<Entry>) {
        self.entries += 1;
        let applied = self.mirror.apply(&entry.delta);
        if applied.changed {
            self.learn_orders(entry);
        }
    }

    fn learn_orders(&mut self, entry: &Entry) {
        for (id, order) in committed_commands::orders(entry) {
            self.committed.insert(id, order);
        }
    }

    pub fn applied(&mut self, core: &LeaderCore, entry: &Entry, counts: &mut Counts) -> Held {
        let graph = core.graph();
        exactly_once::entry(entry)?;
        bounds::entry(entry)?;
        reasons::graph(graph)?;
        unknown::graph(graph)?;
        deadlines::graph(graph)?;
        if self.entries.is_multiple_of(16) {
            replay::same(graph, &self.mirror, "after an entry")?;
        }
        if self.entries.is_multiple_of(4) {
            counts.full_passes += 1;
            full_pass::writes_nothing(core, entry)?;
        }
        Ok(())
    }

    pub fn proposed(&self, entry: &Entry) -> Held {
        bounds::entry(entry)
    }

    pub fn inbox(&self, core: &LeaderCore) -> Held {
        bounds::inbox(core)
    }

    /// At a crash the graph in memory is what its log says.
    pub fn replays(&self, graph: &Graph, disk: &Disk, when: &str) -> Held {
        replay::same(graph, &self.mirror, when)?;
        replay::log(graph, disk, when)
    }

    /// At a start, from a snapshot or not, the graph is what the whole log says.
    pub fn station_opened(&mut self, graph: &Graph, disk: &Disk) -> Held {
        let mut mirror = Graph::new();
        for entry in disk.told_entries() {
            if mirror.apply(&entry.delta).changed {
                self.learn_orders(&entry);
            }
        }
        demand(
            "replay",
            mirror.revision() >= self.mirror.revision(),
            || "committed entries are missing after a crash".to_owned(),
        )?;
        self.mirror = mirror;
        replay::same(graph, &self.mirror, "at a start")
    }

    pub fn acknowledges(
        &self,
        node: &NodeName,
        epoch: mainstay_protocol::NodeEpoch,
        up_to: mainstay_protocol::Sequence,
    ) -> Held {
        exactly_once::acknowledged(&self.mirror, node, epoch, up_to)
    }

    pub fn sends(&mut self, command: &Command) -> Held {
        self.highest = self.highest.max(command.leadership);
        committed_commands::is_committed(&self.committed, command, "sent")
    }

    pub fn commanded(&mut self, node: &Node, command: &Command) -> Held {
        committed_commands::is_committed(&self.committed, command, "taken")?;
        self.note_command(node, command);
        Ok(())
    }

    /// After an agent wrote and acted.
    pub fn node(&mut self, node: &Node) -> Held {
        self.taken();
        one_holder::node(node)?;
        bounds::node(node)
    }

    pub fn compacted(&self, node: &Identity, long: &[u8], short: &[u8]) -> Held {
        replay::file(node, long, short)
    }

    pub fn nodes_of(&self, graph: &Graph) -> Vec<NodeName> {
        graph
            .keys(Kind::Node)
            .into_iter()
            .filter_map(|key| match key {
                Key::Node(name) => Some(name),
                _ => None,
            })
            .collect()
    }
}

impl World {
    /// At the end: the whole log once more.
    pub fn final_look(&self) -> Held {
        match self.station.core.as_ref() {
            Some(core) => self
                .oracle
                .replays(core.graph(), &self.station.disk, "at the end"),
            None => Ok(()),
        }
    }
}
