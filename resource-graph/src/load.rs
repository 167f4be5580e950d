//! What the instances of a node take of it together, which of them wait there, and when the last began: kept beside the
//! graph, so that to look for a node is to look at nodes and not at all that runs on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mainstay_protocol::code;
use mainstay_protocol::room::Room;
use mainstay_protocol::{InstanceKey, NodeName, PlacementName, Timestamp};

use crate::key::Key;
use crate::marks::Marks;
use crate::vertex::{Desired, Instance, InstanceState, Record, Vertex};

/// What is on one node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    pub instances: usize,
    /// Starts that were decided and are not answered.
    pub starting: usize,
    pub taken: Room,
}

/// What an instance waits for that others on its node have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Waits {
    /// Fewer starts under way.
    Turn,
    /// More that is free.
    Room,
}

impl Instance {
    /// Whether it takes room of its node: what may be there does, and what is to be there, unless there was none for it. What
    /// failed for good keeps it, for somebody to look at.
    pub fn takes_room(&self) -> bool {
        if self.state.may_be_live() {
            return true;
        }
        self.desired == Desired::Running && self.has_room
    }

    /// It takes nothing, or begins, perhaps with less than it took: there may be room for others.
    pub fn may_free_room(&self) -> bool {
        !self.takes_room() || self.state == InstanceState::Starting
    }

    pub fn waits(&self) -> Option<Waits> {
        let reason = self.reason.as_ref()?;
        if self.state != InstanceState::Pending || self.desired != Desired::Running {
            return None;
        }
        if reason.code == code::NO_ROOM {
            return Some(Waits::Room);
        }
        (reason.code == code::STARTS_IN_TURN).then_some(Waits::Turn)
    }
}

impl Load {
    pub(crate) fn add(&mut self, instance: &Instance) {
        self.instances += 1;
        self.starting += usize::from(instance.state == InstanceState::Starting);
        if instance.takes_room() {
            self.taken = self.taken.plus(instance.needs.room);
        }
    }

    pub(crate) fn with(self, other: Self) -> Self {
        Self {
            instances: self.instances + other.instances,
            starting: self.starting + other.starting,
            taken: self.taken.plus(other.taken),
        }
    }

    pub(crate) fn without(self, other: Self) -> Self {
        Self {
            instances: self.instances - other.instances,
            starting: self.starting - other.starting,
            taken: self.taken.minus(other.taken),
        }
    }

    pub(crate) fn take_away(&mut self, instance: &Instance) {
        self.instances -= 1;
        self.starting -= usize::from(instance.state == InstanceState::Starting);
        if instance.takes_room() {
            self.taken = self.taken.minus(instance.needs.room);
        }
    }
}

/// A node that is there, with the numbers that tell whether to look at it closer.
#[derive(Debug, Clone, Copy)]
pub struct NodeLoad<'a> {
    pub record: &'a Arc<Record>,
    pub offers: Room,
    pub marks: Marks,
    pub load: Load,
}

/// A node, and what is on it.
#[derive(Debug, Clone)]
struct OnNode {
    name: NodeName,
    /// Instances may be of a node that is not there.
    node: Option<Arc<Record>>,
    /// Of its record; here as well, so that to look at thousands is no look at their records.
    offers: Room,
    marks: Marks,
    load: Load,
    /// How many instances began at which time.
    started: BTreeMap<Timestamp, usize>,
    /// Which instances take a port, in the order of their names.
    ports: BTreeSet<(u16, PlacementName)>,
}

impl OnNode {
    fn named(name: NodeName) -> Self {
        Self {
            name,
            node: None,
            offers: Room::NONE,
            marks: Marks::default(),
            load: Load::default(),
            started: BTreeMap::new(),
            ports: BTreeSet::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.node.is_none() && self.load.instances == 0
    }

    fn tell(&self, load: Load, then: &mut dyn FnMut(NodeLoad<'_>)) {
        if let Some(record) = &self.node {
            then(NodeLoad {
                record,
                offers: self.offers,
                marks: self.marks,
                load,
            });
        }
    }
}

/// The loads of all nodes, and who waits on them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Loads {
    /// In the order of names, side by side: nodes come and go seldom, and are walked over with each placing.
    nodes: Vec<OnNode>,
    /// Who waits longer comes first.
    waiting: BTreeSet<(NodeName, Waits, Timestamp, PlacementName)>,
    short: BTreeSet<PlacementName>,
}

impl Loads {
    pub(crate) fn enter(&mut self, record: &Arc<Record>) {
        self.short.extend(short(record).cloned());
        if let (Key::Node(name), Vertex::Node(node)) = (&record.key, &record.vertex) {
            let on = self.on(name);
            on.offers = node.sysinfo.offers;
            on.marks = Marks::of_node(node);
            on.node = Some(Arc::clone(record));
        }
        let Some((key, instance)) = instance(record) else {
            return;
        };
        let on = self.on(&key.node);
        on.load.add(instance);
        for port in ports(instance) {
            on.ports.insert((*port, key.placement.clone()));
        }
        if let Some(at) = instance.started {
            *on.started.entry(at).or_default() += 1;
        }
        self.waiting.extend(waiting(record));
    }

    pub(crate) fn leave(&mut self, record: &Record) {
        if let Some(name) = short(record) {
            self.short.remove(name);
        }
        if let Key::Node(name) = &record.key {
            self.change(name, |on| on.node = None);
        }
        let Some((key, instance)) = instance(record) else {
            return;
        };
        self.change(&key.node, |on| {
            on.load.take_away(instance);
            for port in ports(instance) {
                on.ports.remove(&(*port, key.placement.clone()));
            }
            let began = instance.started;
            if let Some((at, count)) = began.and_then(|at| Some((at, on.started.get_mut(&at)?))) {
                *count -= 1;
                if *count == 0 {
                    on.started.remove(&at);
                }
            }
        });
        if let Some(entry) = waiting(record) {
            self.waiting.remove(&entry);
        }
    }

    fn place(&self, node: &NodeName) -> Result<usize, usize> {
        self.nodes.binary_search_by(|on| on.name.cmp(node))
    }

    fn get(&self, node: &NodeName) -> Option<&OnNode> {
        self.place(node).ok().map(|at| &self.nodes[at])
    }

    fn on(&mut self, node: &NodeName) -> &mut OnNode {
        let at = self.place(node).unwrap_or_else(|at| {
            self.nodes.insert(at, OnNode::named(node.clone()));
            at
        });
        &mut self.nodes[at]
    }

    fn change(&mut self, node: &NodeName, change: impl FnOnce(&mut OnNode)) {
        let Ok(at) = self.place(node) else {
            return;
        };
        change(&mut self.nodes[at]);
        if self.nodes[at].is_empty() {
            self.nodes.remove(at);
        }
    }

    pub(crate) fn of(&self, node: &NodeName) -> Load {
        self.get(node).map(|on| on.load).unwrap_or_default()
    }

    pub(crate) fn each_node(&self, then: &mut dyn FnMut(NodeLoad<'_>)) {
        self.nodes.iter().for_each(|on| on.tell(on.load, then));
    }

    /// As `each_node`, with some of it hidden and some of it written over that.
    pub(crate) fn each_node_under(
        &self,
        (hidden, over): (&Self, &Self),
        then: &mut dyn FnMut(NodeLoad<'_>),
    ) {
        let mut rest = &self.nodes[..];
        let touched = hidden.nodes.iter().chain(&over.nodes);
        let touched: BTreeSet<&NodeName> = touched.map(|on| &on.name).collect();
        for name in touched {
            let as_they_are;
            (as_they_are, rest) = rest.split_at(rest.partition_point(|on| on.name < *name));
            as_they_are.iter().for_each(|on| on.tell(on.load, then));
            let as_committed = rest.first().filter(|on| on.name == *name);
            rest = &rest[usize::from(as_committed.is_some())..];
            let (hides, made) = (hidden.get(name), over.get(name));
            let is_written = [hides, made].iter().flatten().any(|on| on.node.is_some());
            let load = |on: Option<&OnNode>| on.map(|on| on.load).unwrap_or_default();
            let load_now = load(as_committed).without(load(hides)).with(load(made));
            let on = if is_written { made } else { as_committed };
            on.into_iter().for_each(|on| on.tell(load_now, then));
        }
        rest.iter().for_each(|on| on.tell(on.load, then));
    }

    /// When the instances of a node began, the last first, and how many at each time.
    pub(crate) fn started(&self, node: &NodeName) -> impl Iterator<Item = (Timestamp, usize)> {
        let on = self.get(node).into_iter();
        on.flat_map(|on| on.started.iter().rev().map(|(at, count)| (*at, *count)))
    }

    fn started_at(&self, node: &NodeName, at: Timestamp) -> usize {
        let on = self.get(node);
        on.and_then(|on| on.started.get(&at))
            .copied()
            .unwrap_or_default()
    }

    /// As `started().next()`, with some of it hidden and some of it written over that.
    pub(crate) fn last_start_under(
        &self,
        (hidden, over): (&Self, &Self),
        node: &NodeName,
    ) -> Option<Timestamp> {
        let stays = |(at, count): &(Timestamp, usize)| *count > hidden.started_at(node, *at);
        let stays = self.started(node).find(stays);
        stays.max(over.started(node).next()).map(|(at, _)| at)
    }

    /// Who on a node takes a port, in the order of names.
    pub(crate) fn takers(&self, node: &NodeName, port: u16) -> impl Iterator<Item = InstanceKey> {
        let first = PlacementName::new(crate::graph::FIRST_NAME).expect("the first name is a name");
        let on = self.get(node).into_iter();
        let entries = on.flat_map(move |on| on.ports.range((port, first.clone())..));
        let of_port = entries.take_while(move |entry| entry.0 == port);
        of_port.map(|(_, placement)| InstanceKey::new(node.clone(), placement.clone()))
    }

    pub(crate) fn short(&self) -> impl Iterator<Item = &PlacementName> {
        self.short.iter()
    }

    pub(crate) fn waiting(&self, node: &NodeName, what: Waits) -> impl Iterator<Item = InLine> {
        let first = PlacementName::new(crate::graph::FIRST_NAME).expect("the first name is a name");
        let first = (node.clone(), what, Timestamp::ZERO, first);
        let here = move |entry: &&(NodeName, Waits, Timestamp, PlacementName)| {
            (&entry.0, entry.1) == (node, what)
        };
        let entries = self.waiting.range(first..).take_while(here);
        entries.map(|(node, _, since, placement)| {
            let key = InstanceKey::new(node.clone(), placement.clone());
            (*since, key)
        })
    }
}

/// A placement of which some found no node.
pub(crate) fn short(record: &Record) -> Option<&PlacementName> {
    match (&record.key, &record.vertex) {
        (Key::Placement(name), Vertex::Placement(placement)) if placement.short > 0 => Some(name),
        _ => None,
    }
}

/// The ports that an instance takes of its node.
pub(crate) fn ports(instance: &Instance) -> impl Iterator<Item = &u16> {
    let takes = instance.takes_room();
    instance.needs.ports.iter().filter(move |_| takes)
}

/// Since when, and who.
pub(crate) type InLine = (Timestamp, InstanceKey);

pub(crate) fn in_line(record: &Record, what: Waits) -> Option<InLine> {
    let (key, facts) = instance(record)?;
    (facts.waits() == Some(what)).then(|| (record.since, key.clone()))
}

pub(crate) fn instance(record: &Record) -> Option<(&InstanceKey, &Instance)> {
    match (&record.key, &record.vertex) {
        (Key::Instance(key), Vertex::Instance(instance)) => Some((key, instance)),
        _ => None,
    }
}

fn waiting(record: &Record) -> Option<(NodeName, Waits, Timestamp, PlacementName)> {
    let (key, facts) = instance(record)?;
    let what = facts.waits()?;
    Some((key.node.clone(), what, record.since, key.placement.clone()))
}
