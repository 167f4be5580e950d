//! Which nodes can take an instance of a placement that wants so many: every node is asked, and every no has its reason.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::words::several;
use mainstay_protocol::{InstanceKey, NodeName, PlacementName, SlotName, TypeName};
use mainstay_resource_graph::{
    Count, Desired, Instance, InstanceState, Key, Kind, NameKey, Node, NodeState, Placement,
    Vertex, View, ViewExt,
};

use crate::verb;

/// In one text; the others are said one by one by `why`.
const NOES_SAID: usize = 8;

/// Its type's one name, else the one the placement asks for, else the placement's own.
pub fn slot_name(
    view: &dyn View,
    name: &PlacementName,
    (of, asked): (&TypeName, Option<&SlotName>),
) -> SlotName {
    view.service_type(of)
        .and_then(|found| found.declaration.holds)
        .or_else(|| asked.cloned())
        .unwrap_or_else(|| SlotName::new(name.as_str()).expect("one grammar of names"))
}

/// What is one of so many there goes elsewhere.
pub fn is_left(node: &Node) -> bool {
    node.state == NodeState::Lost || node.care.drains().is_some()
}

/// An instance that counts: its node may have it, and has not gone. What somebody stopped stays where it is.
pub fn keeps(view: &dyn View, placement: &Placement, key: &InstanceKey, one: &Instance) -> bool {
    let Some(node) = view.node(&key.node) else {
        return false;
    };
    placement.wish.target.includes(&key.node, &node.labels)
        && match one.desired {
            Desired::Absent => false,
            Desired::Stopped => true,
            Desired::Running => !is_left(&node),
        }
}

pub fn is_of_so_many(view: &dyn View, name: &PlacementName) -> bool {
    view.placement(name)
        .is_some_and(|placement| placement.wish.target.count().is_some())
}

/// One of so many, on a node that is to be empty: what takes its place elsewhere is not up yet, and on its way.
pub fn awaits_successor(view: &dyn View, key: &InstanceKey) -> bool {
    let Some(placement) = view.placement(&key.placement) else {
        return false;
    };
    let is_on_its_way = |other: &InstanceKey| {
        let (Some(one), Some(node)) = (view.instance(other), view.node(&other.node)) else {
            return false;
        };
        let waits = one.reason.as_ref().map(|reason| &reason.code);
        // What it depends on may be moving as well.
        let gated =
            one.state == InstanceState::Blocked && waits == Some(&code::DEPENDENCY_NOT_READY);
        let begins = matches!(one.state, InstanceState::Pending | InstanceState::Starting);
        (begins || gated)
            && node.state == NodeState::Online
            && verb::kept_down(view, other).is_none()
            && keeps(view, &placement, other, &one)
    };
    // The only one ends before the next begins.
    placement.wish.target.count().is_some()
        && placement.wish.singleton.is_none()
        && view.instances_of(&key.placement).iter().any(is_on_its_way)
}

/// Why this node takes no further instance of a placement.
pub fn against(
    view: &dyn View,
    name: &PlacementName,
    placement: &Placement,
    (key, node): (&NodeName, &Node),
) -> Option<Reason> {
    let no = |code, text: String| Some(Reason::new(code, text).about(Key::Node(key.clone())));
    if !placement.wish.target.includes(key, &node.labels) {
        let target = &placement.wish.target;
        return no(
            code::NODE_NOT_MEANT,
            format!("{key} has other labels: {target}"),
        );
    }
    match node.state {
        NodeState::Online => {}
        NodeState::AgentDown => return no(code::NODE_AWAY, format!("{key} is away")),
        NodeState::Lost => return no(code::NODE_LOST, format!("{key} is lost")),
    }
    let there = InstanceKey::new(key.clone(), name.clone());
    if let Some(no) = verb::kept_down(view, &there) {
        return Some(no);
    }
    if let Some(cordon) = &node.care.cordon {
        let text = format!("{key} takes no new instances, {}", cordon.said);
        return no(code::NODE_CORDONED, text);
    }
    if !node.provides.contains_key(&placement.service_type) {
        let text = format!("{key} does not have the type {}", placement.service_type);
        return no(code::TYPE_NOT_PROVIDED, text);
    }
    let (of, asked) = (&placement.service_type, placement.holds.as_ref());
    let slot = NameKey::new(key.clone(), slot_name(view, name, (of, asked)));
    let holder = view
        .holder(&slot)
        .filter(|holder| holder.placement != *name);
    if let Some(holder) = holder {
        return no(code::NAME_HELD, format!("{holder} holds {slot}"));
    }
    None
}

/// What every node says of a further instance, those that have one left out.
pub fn answers(
    view: &dyn View,
    name: &PlacementName,
    placement: &Placement,
) -> BTreeMap<NodeName, Option<Reason>> {
    let mut answers = BTreeMap::new();
    for key in view.keys(Kind::Node) {
        let (Key::Node(node), Some(record)) = (&key, view.record(&key)) else {
            continue;
        };
        let Vertex::Node(facts) = &record.vertex else {
            continue;
        };
        let there = InstanceKey::new(node.clone(), name.clone());
        // What is on its way out may be wanted again.
        let has_one = view
            .instance(&there)
            .is_some_and(|one| one.desired != Desired::Absent);
        if !has_one {
            let no = against(view, name, placement, (node, facts));
            answers.insert(node.clone(), no);
        }
    }
    answers
}

/// What is said of so many that have no node, with what every node says.
pub fn shortage(
    view: &dyn View,
    name: &PlacementName,
    placement: &Placement,
    missing: usize,
) -> Option<String> {
    if missing == 0 {
        return None;
    }
    let noes: Vec<Reason> = answers(view, name, placement)
        .into_values()
        .flatten()
        .collect();
    let noes = several(noes.iter().map(|no| no.text.as_str()), NOES_SAID);
    let noes = match noes.as_str() {
        "" => "there is no further node",
        noes => noes,
    };
    Some(match missing {
        1 => format!("1 more finds no node: {noes}"),
        many => format!("{many} more find no node: {noes}"),
    })
}

/// The same of what is there.
pub fn shortage_of(view: &dyn View, name: &PlacementName, placement: &Placement) -> Option<String> {
    shortage(view, name, placement, missing(view, name, placement))
}

/// So many of so many have no node.
pub fn missing(view: &dyn View, name: &PlacementName, placement: &Placement) -> usize {
    placement.wish.target.count().map_or(0, |count| {
        let kept = kept(view, name, placement).len();
        (count.count as usize).saturating_sub(kept)
    })
}

pub fn kept(view: &dyn View, name: &PlacementName, placement: &Placement) -> Vec<InstanceKey> {
    let mut kept = view.instances_of(name);
    kept.retain(|key| {
        view.instance(key)
            .is_some_and(|one| keeps(view, placement, key, &one))
    });
    kept
}

/// Where so many are to be: those that stay, and the best for the others.
pub fn nodes(
    view: &dyn View,
    name: &PlacementName,
    placement: &Placement,
    count: &Count,
) -> BTreeSet<NodeName> {
    let kept = kept(view, name, placement);
    let going = surplus(view, name, (count, &kept));
    let staying = kept.iter().filter(|key| !going.contains(key));
    let staying: BTreeSet<NodeName> = staying.map(|key| key.node.clone()).collect();
    let more = best(view, name, placement, (count, &kept));
    staying.into_iter().chain(more).collect()
}

/// The best of those that say yes, so many: where the label's value has the fewest, then where the fewest instances are.
pub fn best(
    view: &dyn View,
    name: &PlacementName,
    placement: &Placement,
    (count, kept): (&Count, &[InstanceKey]),
) -> Vec<NodeName> {
    let wanted = (count.count as usize).saturating_sub(kept.len());
    if wanted == 0 {
        return Vec::new();
    }
    let yes = answers(view, name, placement);
    let mut open: Vec<Candidate> = yes
        .into_iter()
        .filter(|(_, no)| no.is_none())
        .map(|(node, _)| Candidate::of(view, node, count))
        .collect();
    open.sort_by(|one, other| one.order().cmp(&other.order()));
    let mut spread: BTreeMap<Option<String>, usize> = BTreeMap::new();
    for key in kept {
        *spread.entry(value(view, &key.node, count)).or_default() += 1;
    }
    let mut chosen = Vec::new();
    while chosen.len() < wanted && !open.is_empty() {
        let taken = |one: &Candidate| spread.get(&one.value).copied().unwrap_or_default();
        // The first of the least: they are in their order.
        let at = (0..open.len())
            .min_by_key(|at| taken(&open[*at]))
            .expect("it is not empty");
        let best = open.remove(at);
        *spread.entry(best.value).or_default() += 1;
        chosen.push(best.node);
    }
    chosen
}

/// Those of more than are wanted that go: what does not run, then where the label's value has the most, then where the
/// most instances are.
pub fn surplus(
    view: &dyn View,
    name: &PlacementName,
    (count, kept): (&Count, &[InstanceKey]),
) -> Vec<InstanceKey> {
    let mut left: Vec<(bool, Candidate)> = kept
        .iter()
        .map(|key| {
            let runs = view.instance(key).is_some_and(|one| one.state.is_serving());
            let candidate = Candidate::of(view, key.node.clone(), count);
            (runs, candidate)
        })
        .collect();
    left.sort_by(|one, other| one.1.order().cmp(&other.1.order()));
    let mut spread: BTreeMap<Option<String>, usize> = BTreeMap::new();
    for (_, one) in &left {
        *spread.entry(one.value.clone()).or_default() += 1;
    }
    let mut going = Vec::new();
    while left.len() > count.count as usize {
        let most = |(runs, one): &(bool, Candidate)| (!runs, spread[&one.value]);
        // The last of the most.
        let at = (0..left.len())
            .max_by_key(|at| most(&left[*at]))
            .expect("it is not empty");
        let (_, one) = left.remove(at);
        *spread.entry(one.value).or_default() -= 1;
        going.push(InstanceKey::new(one.node, name.clone()));
    }
    going
}

struct Candidate {
    node: NodeName,
    /// Of the label over which they are spread.
    value: Option<String>,
    instances: usize,
}

impl Candidate {
    fn of(view: &dyn View, node: NodeName, count: &Count) -> Self {
        Self {
            value: value(view, &node, count),
            instances: view.instances_on(&node).len(),
            node,
        }
    }

    fn order(&self) -> (usize, &NodeName) {
        (self.instances, &self.node)
    }
}

fn value(view: &dyn View, node: &NodeName, count: &Count) -> Option<String> {
    let label = count.spread.as_ref()?;
    view.node(node)?.labels.get(label).cloned()
}
