//! Room on nodes, as the graph knows it: what is asked of a node and what is known of it, as the broker's evaluator takes
//! them, and whether a start may begin there now. The node itself has the last word.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_broker::{
    Account, Asked, Change, Class, Company, Facts, Least, No, Objection, Size, Wants, evaluate,
    fits, least_size, size,
};
use mainstay_protocol::code::{self, Code, Reason};
use mainstay_protocol::room::{Needs, Room};
use mainstay_protocol::{InstanceKey, NodeName, PlacementName, SlotName, TypeName, limits};
use mainstay_resource_graph::{
    Beside, Instance, Key, Marks, NameKey, Node, NodeLoad, NodeState, Placement, Record, Vertex,
    View, ViewExt, Waits,
};

use crate::candidates;
use crate::verb;

/// What its placement says that it takes.
pub fn needs_of(view: &dyn View, key: &InstanceKey, instance: &Instance) -> Needs {
    match view.record(&Key::Placement(key.placement.clone())) {
        Some(record) => match &record.vertex {
            Vertex::Placement(placement) => placement.wish.needs.clone(),
            _ => instance.needs.clone(),
        },
        None => instance.needs.clone(),
    }
}

/// What of an instance's needs its node does not have, beside what the others there take; nothing: it may begin.
pub fn lacking(view: &dyn View, key: &InstanceKey, needs: &Needs) -> Vec<No> {
    let Some(node) = view.node(&key.node).filter(|_| !needs.is_nothing()) else {
        return Vec::new();
    };
    let ports = ports_on(view, key, &needs.ports);
    let facts = Facts {
        node: &key.node,
        has_type: true,
        labels: &node.labels,
        objections: &[],
        account: Account {
            offers: node.sysinfo.offers,
            taken: taken_by_others(view, key),
            ports: &ports,
        },
        holder: None,
    };
    let Some(instance) = view.instance(key) else {
        return Vec::new();
    };
    let asked = Asked {
        service_type: &instance.service_type,
        labels: &BTreeMap::new(),
        least: Room::NONE,
        company: &[],
        needs,
    };
    evaluate(&asked, &facts)
}

/// The same as a reason: it waits for room.
pub fn no_room(node: &NodeName, noes: &[No]) -> Option<Reason> {
    let texts: Vec<String> = noes.iter().map(|no| text(node, no)).collect();
    let node = Key::Node(node.clone());
    (!noes.is_empty()).then(|| Reason::new(code::NO_ROOM, texts.join("; ")).about(node))
}

/// A no with the node that it is of.
pub fn text(node: &NodeName, no: &No) -> String {
    match no.said {
        Some(_) => no.to_string(),
        None => format!("{node}: {no}"),
    }
}

/// Why it does not begin now, though nothing else is in its way: as many starts as may be are under way on its node, or
/// will be with those that wait longer.
pub fn not_its_turn(view: &dyn View, key: &InstanceKey) -> Option<Reason> {
    let most = limits::STARTS_PER_NODE_MAX;
    let starting = view.load_on(&key.node).starting;
    let line = view.waiting_on(&key.node, Waits::Turn, most);
    let before = line.iter().position(|one| one == key).unwrap_or(line.len());
    let text = format!(
        "{most} starts at a time are under way on {}; it begins in its turn",
        key.node
    );
    let node = Key::Node(key.node.clone());
    (starting + before >= most).then(|| Reason::new(code::STARTS_IN_TURN, text).about(node))
}

/// What is against it there now, and with what smaller needs it would begin.
pub fn lacks_now(view: &dyn View, key: &InstanceKey, instance: &Instance) -> Option<String> {
    let noes = lacking(view, key, &needs_of(view, key, instance));
    let now = no_room(&key.node, &noes)?.text;
    let helps = match Change::of(&key.node, &noes) {
        Some(change) => format!("with {change} it fits"),
        None => "nothing that needs any of that would fit there".to_owned(),
    };
    Some(format!("now: {now}; {helps}"))
}

/// Those on its node whose turn it may be, or whose room, now that this instance is as it is. A node that is away is for
/// another change to tell.
pub fn next_on_its_node(view: &dyn View, key: &InstanceKey) -> Vec<InstanceKey> {
    let node = view.record(&Key::Node(key.node.clone()));
    let is_online = |record: &Record| match &record.vertex {
        Vertex::Node(node) => verb::node_is_online(node),
        _ => false,
    };
    if !node.is_some_and(|record| is_online(&record)) {
        return Vec::new();
    }
    let most = limits::STARTS_PER_NODE_MAX;
    let open = most.saturating_sub(view.load_on(&key.node).starting);
    let mut next = match open {
        0 => Vec::new(),
        open => view.waiting_on(&key.node, Waits::Turn, open),
    };
    let record = view.record(&Key::Instance(key.clone()));
    let may_free = record.is_none_or(|record| match &record.vertex {
        Vertex::Instance(one) => one.may_free_room(),
        _ => false,
    });
    if may_free {
        next.extend(view.waiting_on(&key.node, Waits::Room, limits::INSTANCES_PER_NODE_MAX));
    }
    next
}

pub fn taken_by_others(view: &dyn View, key: &InstanceKey) -> Room {
    let taken = view.load_on(&key.node).taken;
    let own = view.instance(key).filter(Instance::takes_room);
    taken.minus(own.map_or(Room::NONE, |own| own.needs.room))
}

/// Which of these ports others on its node have.
fn ports_on(
    view: &dyn View,
    key: &InstanceKey,
    wanted: &BTreeSet<u16>,
) -> BTreeMap<u16, InstanceKey> {
    let mut taken = BTreeMap::new();
    for port in wanted {
        let takers = view.port_takers(&key.node, *port).into_iter();
        let mut others = takers.filter(|other| other != key);
        if let Some(other) = others.next() {
            taken.insert(*port, other);
        }
    }
    taken
}

/// What is asked of every node for one more instance of a placement.
pub struct Question<'p> {
    name: &'p PlacementName,
    placement: &'p Placement,
    labels: BTreeMap<String, String>,
    least: Room,
    company: Vec<Company>,
    slot: SlotName,
    marks: Wanted,
}

/// A node that is asked, and what others take there.
#[derive(Clone, Copy)]
pub struct There<'n> {
    pub key: &'n NodeName,
    pub node: &'n Node,
    pub taken: Room,
}

/// What is to be said of a node at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glance {
    MayFit,
    /// It does not fit, and no change of it that is smaller than this helps.
    AtLeast(Size),
    /// It does not fit, and no change of it helps.
    Refused,
}

/// What a node that takes it is marked with.
struct Wanted {
    of_node: Marks,
    /// Of each of these one at least: a label, or being where somebody is.
    any_of_each: Vec<Vec<Marks>>,
}

impl Wanted {
    fn of(service_type: &TypeName, labels: &BTreeMap<String, String>, company: &[Company]) -> Self {
        let labels = labels.iter();
        let labels = labels.map(|(label, value)| vec![Marks::of_label(label, value)]);
        let beside = company.iter().filter(|one| one.wants == Wants::Beside);
        let beside = beside.filter_map(|one| {
            let label = one.label.as_ref()?;
            let places = one.at.iter().map(|at| Marks::of_label(label, at));
            Some(places.collect())
        });
        Self {
            of_node: Marks::of_type(service_type).with(Marks::of_open()),
            any_of_each: labels.chain(beside).collect(),
        }
    }
}

/// What is to be said of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weighed {
    Fits,
    Refused,
    /// It would fit with a change of this size.
    Smaller(Size),
}

/// What others there have of what only one can have.
#[derive(Default)]
struct Had {
    ports: BTreeMap<u16, InstanceKey>,
    /// Who has its name, and how that is called.
    holder: Option<(InstanceKey, String)>,
}

impl<'p> Question<'p> {
    pub fn of(view: &dyn View, name: &'p PlacementName, placement: &'p Placement) -> Self {
        let count = placement.wish.target.count().cloned().unwrap_or_default();
        let company = |wants: Wants, field: &str, others: &[Beside]| -> Vec<Company> {
            let of_one = |(at, other): (usize, &Beside)| Company {
                wants,
                path: format!("target.{field}.{at}"),
                placement: other.placement.clone(),
                label: other.label.clone(),
                at: whereabouts(view, other),
            };
            others.iter().enumerate().map(of_one).collect()
        };
        let mut all = company(Wants::Beside, "affinity", &count.affinity);
        all.extend(company(Wants::Apart, "anti_affinity", &count.anti_affinity));
        let asked = (&placement.service_type, placement.holds.as_ref());
        Self {
            name,
            placement,
            marks: Wanted::of(&placement.service_type, &count.on, &all),
            labels: count.on,
            least: count.least,
            company: all,
            slot: candidates::slot_name(view, name, asked),
        }
    }

    /// What one takes.
    pub fn room(&self) -> Room {
        self.placement.wish.needs.room
    }

    /// False only where `noes` is sure to have one: what others have there is not looked up.
    pub fn may_fit(&self, there: There<'_>) -> bool {
        self.put(there, &Had::default(), fits)
    }

    /// Nothing is against it there.
    pub fn takes(&self, view: &dyn View, there: There<'_>) -> bool {
        self.put(there, &self.had(view, there), fits)
    }

    /// All that is against it there.
    pub fn noes(&self, view: &dyn View, there: There<'_>) -> Vec<No> {
        self.put(there, &self.had(view, there), evaluate)
    }

    /// What it comes to there, where only a change smaller than those so far counts: what others have there is not looked up
    /// where that cannot tell anything new.
    pub fn weigh(
        &self,
        view: &dyn View,
        there: There<'_>,
        is_smaller: impl Fn(&Size) -> bool,
    ) -> Weighed {
        match self.put(there, &Had::default(), size) {
            Some(size) if !is_smaller(&size) => return Weighed::Refused,
            None if !self.may_fit(there) => return Weighed::Refused,
            Some(_) | None => {}
        }
        let had = self.had(view, there);
        match self.put(there, &had, size) {
            Some(size) if is_smaller(&size) => Weighed::Smaller(size),
            None if self.put(there, &had, fits) => Weighed::Fits,
            Some(_) | None => Weighed::Refused,
        }
    }

    /// False only where something is sure to be against it there: nothing but its marks is looked at.
    pub fn is_marked(&self, one: &NodeLoad<'_>) -> bool {
        let has = |any: &Vec<Marks>| any.iter().any(|marks| one.marks.may_have(marks));
        one.marks.may_have(&self.marks.of_node) && self.marks.any_of_each.iter().all(has)
    }

    /// It took none when it was asked, and others come first.
    pub fn is_asked_last(&self, one: &NodeLoad<'_>) -> bool {
        let asked_last = &self.placement.asked_last;
        match &one.record.key {
            // Most placements have none, and no record is looked at.
            _ if asked_last.is_empty() => false,
            Key::Node(node) => asked_last.contains_key(node),
            _ => false,
        }
    }

    /// What its numbers and marks tell of a node, without a look at its record.
    pub fn glance(&self, one: &NodeLoad<'_>, taken: Room) -> Glance {
        if !one.marks.may_have(&self.marks.of_node) {
            return Glance::Refused;
        }
        let lacks = |any: &&Vec<Marks>| !any.iter().any(|marks| one.marks.may_have(marks));
        let others = self.marks.any_of_each.iter().filter(lacks).count();
        match least_size(&self.asked(), (one.offers, taken), others) {
            Least::Size(least) => Glance::AtLeast(least),
            Least::Nothing => Glance::MayFit,
            Least::NoChange => Glance::Refused,
        }
    }

    fn had(&self, view: &dyn View, there: There<'_>) -> Had {
        let key = InstanceKey::new(there.key.clone(), self.name.clone());
        let slot = NameKey::new(there.key.clone(), self.slot.clone());
        let holder = view.holder(&slot);
        let holder = holder.filter(|holder| holder.placement != *self.name);
        Had {
            ports: ports_on(view, &key, &self.placement.wish.needs.ports),
            holder: holder.map(|holder| (holder, slot.to_string())),
        }
    }

    /// One goes there: who wants to be apart from it knows.
    pub fn chosen(&mut self, key: &NodeName, node: &Node) {
        for company in &mut self.company {
            if company.placement == *self.name {
                company.at.extend(place(key, node, company.label.as_ref()));
            }
        }
    }

    fn put<T>(
        &self,
        there: There<'_>,
        had: &Had,
        judge: impl FnOnce(&Asked<'_>, &Facts<'_>) -> T,
    ) -> T {
        let node = there.node;
        let holder = had.holder.as_ref();
        let facts = Facts {
            node: there.key,
            has_type: node.provides.contains_key(&self.placement.service_type),
            labels: &node.labels,
            objections: &self.objections(there.key, node),
            account: Account {
                offers: node.sysinfo.offers,
                taken: there.taken,
                ports: &had.ports,
            },
            holder: holder.map(|(holder, slot)| (holder, slot.as_str())),
        };
        judge(&self.asked(), &facts)
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            service_type: &self.placement.service_type,
            labels: &self.labels,
            least: self.least,
            company: &self.company,
            needs: &self.placement.wish.needs,
        }
    }

    /// What speaks against a node whatever is asked.
    fn objections(&self, key: &NodeName, node: &Node) -> Vec<Objection> {
        let mut all = Vec::new();
        let mut add = |class, code: Code, text: String| {
            all.push(Objection { code, class, text });
        };
        match node.state {
            NodeState::Online => {}
            NodeState::Isolated => {
                add(
                    Class::Unknown,
                    code::NODE_ISOLATED,
                    format!("{key} is cut off"),
                );
            }
            NodeState::Suspect | NodeState::AgentDown => {
                add(Class::Unknown, code::NODE_AWAY, format!("{key} is away"));
            }
            NodeState::Lost => add(Class::Unknown, code::NODE_LOST, format!("{key} is lost")),
        }
        let said = [verb::drains(key, node), verb::maintains(key, node)];
        for Reason { code, text, .. } in said.into_iter().flatten() {
            add(Class::Policy, code, text);
        }
        if let Some(cordon) = node.care.cordon.as_ref().filter(|cordon| !cordon.drains) {
            let text = format!("{key} takes no new instances, {}", cordon.said);
            add(Class::Policy, code::NODE_CORDONED, text);
        }
        let refused = &self.placement.refused_by;
        if let Some(refusal) = refused.get(key) {
            add(Class::NotNow, refusal.code.clone(), refusal.said.clone());
        } else if refused.len() >= limits::NODES_ASKED_MAX {
            let text = format!("{key} is asked later: {} have refused", refused.len());
            add(Class::NotNow, code::NODE_NOT_ASKED, text);
        }
        all
    }
}

/// Where instances of a placement are, or are about to be. One that was given up is nowhere, and on a node that is to be
/// empty is none.
fn whereabouts(view: &dyn View, other: &Beside) -> BTreeSet<String> {
    let mut places = BTreeSet::new();
    for key in view.instances_of(&other.placement) {
        let one = view.instance(&key);
        let is_there = one.is_some_and(|one| one.takes_room() && !candidates::is_lost(&one));
        let Some(node) = view.node(&key.node).filter(|_| is_there) else {
            continue;
        };
        if !candidates::is_left(&node) {
            places.extend(place(&key.node, &node, other.label.as_ref()));
        }
    }
    places
}

fn place(key: &NodeName, node: &Node, label: Option<&String>) -> Option<String> {
    match label {
        Some(label) => node.labels.get(label).cloned(),
        None => Some(key.to_string()),
    }
}
