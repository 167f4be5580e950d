//! The oracle: what must hold, one file per invariant, looked at after every happening that touched it.

mod bounds;
mod committed_commands;
mod converged;
mod deadlines;
mod done_once;
mod exactly_once;
mod full_pass;
mod membership;
mod old_leader;
mod one_holder;
mod one_log;
pub mod one_singleton;
mod promises;
mod reasons;
mod replay;
pub mod room;
mod unknown;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use mainstay_coordinator::{Entry, LeaderCore};
use mainstay_protocol::command::{Command, Order};
use mainstay_protocol::{
    CommandId, Incarnation, InstanceKey, Leadership, NodeName, StationId, Term, Timestamp, codec,
};
use mainstay_resource_graph::{Graph, Key, Kind, View};

use mainstay_supervisor::Identity;

use crate::count::Counts;
use crate::disk::{Point, Slot};
use crate::membership::Membership;
use crate::node::Node;
use crate::world::{Held, World};

use membership::Members;

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
    /// The one log, the first entry at 0, and its newest log time.
    log: Vec<Slot>,
    log_time: Timestamp,
    /// Up to where a leader counted that a majority keeps it.
    counted: Point,
    members: Members,
    /// Who led by which term.
    leaders: BTreeMap<Term, StationId>,
    /// The digest of the state at points of the log.
    states: BTreeMap<u64, u32>,
    /// The newest leadership that each agent has written that it knows.
    known: BTreeMap<Memory, Leadership>,
    committed: BTreeMap<CommandId, Order>,
    done: done_once::Done,
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
    /// Of a cluster that these stations founded.
    pub fn of(group: Membership) -> Self {
        Self {
            members: Members::of(group),
            ..Self::default()
        }
    }

    /// An entry is durable, and the core is about to be told.
    fn committed(&mut self, entry: &Arc<Entry>) {
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
        let newest = self.committed.keys().next_back().copied();
        self.done.entry(entry, newest.unwrap_or(CommandId(0)))?;
        bounds::entry(entry)?;
        reasons::graph(graph)?;
        unknown::graph(graph)?;
        deadlines::graph(graph)?;
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

    /// What every station comes to once it has applied all of the log.
    pub fn mirror(&self) -> &Graph {
        &self.mirror
    }

    /// How long the log is, the first of each term included.
    pub fn log_length(&self) -> u64 {
        self.log.len() as u64
    }

    /// The checksum of what was committed, and its bytes.
    pub fn log_crc(&self) -> (u32, u64) {
        let entries = self.log.iter().filter_map(|slot| slot.entry());
        entries.fold((0, 0), |(crc, bytes), entry| {
            let body = codec::encode(entry.as_ref());
            (crc32c::crc32c_append(crc, &body), bytes + body.len() as u64)
        })
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
    /// At the end: the whole log once more, and every station has the state of where it is in it.
    pub fn final_look(&mut self) -> Held {
        replay::log(&self.oracle.mirror, &self.oracle.log)?;
        for station in &self.stations {
            if let Some(core) = &station.core {
                let applied = station.member.applied;
                self.oracle.is_state(applied, core.graph(), "at the end")?;
            }
        }
        self.members_agree()
    }
}
