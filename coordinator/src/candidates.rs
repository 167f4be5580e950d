//! Which nodes can take an instance of a placement that wants so many: all are ranked by what is taken of them, the best are
//! asked, and more of them as long as they say no. Every no has its reason.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_broker::{Change, Hint, Load, No, Ranking, Size};
use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::room::Room;
use mainstay_protocol::{InstanceKey, NodeName, PlacementName, SlotName, TypeName};
use mainstay_resource_graph::{
    Count, Desired, Escalate, Instance, InstanceState, Key, Load as OnNode, Node, NodeLoad,
    NodeState, Placement, Standing, Vertex, View, ViewExt, Waits,
};

use crate::room::{self, Glance, Question, There, Weighed};
use crate::verb;

/// In one text, or a few more: all those of one node are said. What the others say is for `why`.
const NOES_SAID: usize = 8;
/// Of the ranked, those that are asked before others are.
const ASKED_FIRST: usize = 8;

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

/// Nobody waits for it any longer, whatever becomes of its node.
pub fn is_lost(one: &Instance) -> bool {
    matches!(one.state, InstanceState::Lost { .. })
}

/// It failed too often, and is to be tried elsewhere.
pub fn escalates(placement: &Placement, one: &Instance) -> bool {
    one.state == InstanceState::Quarantined && placement.wish.policy.escalate == Escalate::Move
}

/// It has not begun, and its node has no room for it.
fn waits_for_room(one: &Instance) -> bool {
    one.waits() == Some(Waits::Room)
}

/// An instance that counts. Of one that is moved and the one that is to take its place, that is the former as long as it can.
pub fn keeps(view: &dyn View, placement: &Placement, key: &InstanceKey, one: &Instance) -> bool {
    let comes_for = placement.moves_to(&key.node);
    let stays = |from: &NodeName| {
        let from = InstanceKey::new(from.clone(), key.placement.clone());
        view.instance(&from)
            .is_some_and(|one| counts(view, placement, &from, &one))
    };
    counts(view, placement, key, one) && !comes_for.is_some_and(stays)
}

/// Its node may have it, has not gone, and has room for it, and it has not failed there too often. What somebody stopped stays
/// where it is.
fn counts(view: &dyn View, placement: &Placement, key: &InstanceKey, one: &Instance) -> bool {
    let Some(node) = view.node(&key.node) else {
        return false;
    };
    placement.wish.target.includes(&key.node, &node.labels)
        && match one.desired {
            Desired::Absent => false,
            Desired::Stopped => true,
            Desired::Running => {
                !is_left(&node)
                    && !is_lost(one)
                    && !waits_for_room(one)
                    && !escalates(placement, one)
            }
        }
}

pub fn is_of_so_many(view: &dyn View, name: &PlacementName) -> bool {
    view.look_at_placement(name, |placement| placement.wish.target.count().is_some())
        .unwrap_or(false)
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

/// What every node says of a further instance, those that have one left out: all that is against it, nothing where it
/// fits.
pub fn answers(
    view: &dyn View,
    name: &PlacementName,
    placement: &Placement,
) -> BTreeMap<NodeName, Vec<No>> {
    let question = Question::of(view, name, placement);
    let mut answers = BTreeMap::new();
    let open = Open::of(view, name);
    view.each_node(&mut |one| {
        if let Some(there) = open.there(one) {
            answers.insert(there.key.clone(), question.noes(view, there));
        }
    });
    answers
}

/// The nodes that can be asked for one more instance of a placement.
struct Open {
    /// Those that have one of it, in order, and what it takes. None: it is to run there, so that no further one can. What
    /// is on its way out may be wanted again, and what waits for room may be better off elsewhere.
    own: BTreeMap<NodeName, Option<Room>>,
}

impl Open {
    fn of(view: &dyn View, name: &PlacementName) -> Self {
        let taken = |one: &Instance| {
            let is_open = one.desired == Desired::Absent || waits_for_room(one);
            let room = if one.takes_room() {
                one.needs.room
            } else {
                Room::NONE
            };
            is_open.then_some(room)
        };
        let keys = view.instances_of(name).into_iter();
        let own = keys.filter_map(|key| Some((taken(&view.instance(&key)?), key.node)));
        Self {
            own: own.map(|(taken, node)| (node, taken)).collect(),
        }
    }

    /// It is not asked any more.
    fn close(&mut self, node: NodeName) {
        self.own.insert(node, None);
    }

    /// What others take there; None where it is not to be asked. Most placings are of what has none anywhere, and then a
    /// node's record is not looked at.
    fn taken_by_others(&self, one: &NodeLoad<'_>) -> Option<Room> {
        let key = (!self.own.is_empty()).then_some(&one.record.key);
        let own = match key {
            Some(Key::Node(key)) => self.own.get(key),
            Some(_) | None => None,
        };
        let own = own.copied().unwrap_or(Some(Room::NONE))?;
        Some(one.load.taken.minus(own))
    }

    fn there<'n>(&self, one: NodeLoad<'n>) -> Option<There<'n>> {
        let taken = self.taken_by_others(&one)?;
        match (&one.record.key, &one.record.vertex) {
            (Key::Node(key), Vertex::Node(node)) => Some(There { key, node, taken }),
            (_, _) => None,
        }
    }
}

fn hint(offers: Room, load: OnNode) -> Hint {
    Hint {
        offers,
        taken: load.taken,
        instances: load.instances,
    }
}

/// What is asked, and of whom, when these have just been chosen.
fn beside<'p>(
    view: &dyn View,
    (name, placement): (&'p PlacementName, &'p Placement),
    chosen: &BTreeSet<NodeName>,
) -> (Question<'p>, Open) {
    let mut question = Question::of(view, name, placement);
    let mut open = Open::of(view, name);
    for node in chosen {
        if let Some(facts) = view.node(node) {
            question.chosen(node, &facts);
        }
        open.close(node.clone());
    }
    (question, open)
}

/// What is said of so many that have no node beside those that were just chosen, with what every node says: some of them in full, and how many the others are.
pub fn shortage(
    view: &dyn View,
    name: &PlacementName,
    placement: &Placement,
    (missing, chosen): (usize, &BTreeSet<NodeName>),
) -> Option<String> {
    if missing == 0 {
        return None;
    }
    let (question, open) = beside(view, (name, placement), chosen);
    let (mut said, mut others, mut fits) = (Vec::new(), 0, false);
    let mut smallest: Option<(Size, Change)> = None;
    view.each_node(&mut |one| {
        let is_smaller = |size: &Size| smallest.as_ref().is_none_or(|(least, _)| size < least);
        let are_said = said.len() >= NOES_SAID;
        let Some(taken) = open.taken_by_others(&one) else {
            return;
        };
        let tells_nothing_new = match question.glance(&one, taken) {
            Glance::MayFit => false,
            Glance::AtLeast(least) => !is_smaller(&least),
            Glance::Refused => true,
        };
        if are_said && tells_nothing_new {
            others += 1;
            return;
        }
        let Some(there) = open.there(one) else {
            return;
        };
        let weighed = question.weigh(view, there, is_smaller);
        fits |= weighed == Weighed::Fits;
        others += usize::from(are_said && weighed != Weighed::Fits);
        let noes = match (weighed, are_said) {
            (Weighed::Fits, _) | (Weighed::Refused, true) => return,
            (Weighed::Refused, false) | (Weighed::Smaller(_), _) => question.noes(view, there),
        };
        if let (Weighed::Smaller(size), Some(change)) = (weighed, Change::of(there.key, &noes)) {
            smallest = Some((size, change));
        }
        if !are_said {
            said.extend(noes.iter().map(|no| room::text(there.key, no)));
        }
    });
    match others {
        0 => {}
        1 => said.push("1 more node".to_owned()),
        many => said.push(format!("{many} more nodes")),
    }
    let said = match said.as_slice() {
        [] if fits => {
            "there is a node that fits, and the rule `place` has not chosen it".to_owned()
        }
        [] => "there is no further node".to_owned(),
        said => said.join(", "),
    };
    let finds = match missing {
        1 => "1 more finds no node".to_owned(),
        many => format!("{many} more find no node"),
    };
    let helps = smallest
        .map(|(_, change)| format!("; with {change} one fits on {}", change.node))
        .unwrap_or_default();
    Some(format!("{finds}: {said}{helps}"))
}

/// What a node has against it, each as a reason about the node.
pub fn reasons((node, noes): (&NodeName, &Vec<No>)) -> Vec<Reason> {
    let reason =
        |no: &No| Reason::new(no.code.clone(), room::text(node, no)).about(Key::Node(node.clone()));
    noes.iter().map(reason).collect()
}

/// The same of what is there.
pub fn shortage_of(view: &dyn View, name: &PlacementName, placement: &Placement) -> Option<String> {
    let missing = missing(view, name, placement);
    shortage(view, name, placement, (missing, &BTreeSet::new()))
}

/// So many of so many have no node.
pub fn missing(view: &dyn View, name: &PlacementName, placement: &Placement) -> usize {
    if placement.standing == Standing::Leaving {
        return 0;
    }
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
    let going = surplus(view, name, placement, (count, &kept));
    let staying = kept.iter().filter(|key| !going.contains(key));
    let staying: BTreeSet<NodeName> = staying.map(|key| key.node.clone()).collect();
    let more = best(view, name, placement, (count, &kept));
    staying.into_iter().chain(more).collect()
}

/// The best of those that say yes, so many: those that have not refused lately, then where the label's value has the fewest,
/// then where the least is taken. The best few are asked, and more where they say no.
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
    let mut question = Question::of(view, name, placement);
    let mut open = Open::of(view, name);
    let mut spread: Spread = BTreeMap::new();
    for key in kept {
        *spread.entry(value(view, &key.node, count)).or_default() += 1;
    }
    let mut chosen = Vec::new();
    let mut in_vain = 0;
    while chosen.len() < wanted {
        // As many again as have said no, so that the last of them is found soon as well.
        let most = (wanted - chosen.len()).max(ASKED_FIRST) + in_vain;
        let ranked = ranked(view, (&question, &open), (count, &spread), most);
        if ranked.is_empty() {
            break;
        }
        for (node, taken) in ranked {
            open.close(node.clone());
            if !says_yes(view, &mut question, (&node, taken)) {
                in_vain += 1;
                continue;
            }
            in_vain = 0;
            *spread.entry(value(view, &node, count)).or_default() += 1;
            chosen.push(node);
            // Where they are spread, who comes next is found anew.
            if chosen.len() == wanted || count.spread.is_some() {
                break;
            }
        }
    }
    chosen
}

/// More than any value of a label has.
const BEHIND_ALL: usize = usize::MAX / 2;

/// How many are where the label over which they are spread has a value.
type Spread = BTreeMap<Option<String>, usize>;

/// Those that may take one more, the best first, with what others take there.
fn ranked(
    view: &dyn View,
    (question, open): (&Question<'_>, &Open),
    (count, spread): (&Count, &Spread),
    most: usize,
) -> Vec<(NodeName, Room)> {
    let mut ranking = Ranking::new(question.room(), most);
    view.each_node(&mut |one| {
        if !question.is_marked(&one) {
            return;
        }
        let asked_last = question.is_asked_last(&one);
        let as_many = match &count.spread {
            Some(label) if !spread.is_empty() => {
                let value = label_of(&one.record.vertex, label).cloned();
                spread.get(&value).copied().unwrap_or_default()
            }
            Some(_) | None => 0,
        };
        let first = as_many + if asked_last { BEHIND_ALL } else { 0 };
        ranking.offer(first, &hint(one.offers, one.load), || {
            let there = open.there(one).filter(|there| question.may_fit(*there))?;
            Some((there.key.clone(), there.taken))
        });
    });
    ranking.into_list()
}

fn says_yes(view: &dyn View, question: &mut Question<'_>, (key, taken): (&NodeName, Room)) -> bool {
    let Some(record) = view.record(&Key::Node(key.clone())) else {
        return false;
    };
    let Vertex::Node(node) = &record.vertex else {
        return false;
    };
    let fits = question.noes(view, There { key, node, taken }).is_empty();
    if fits {
        question.chosen(key, node);
    }
    fits
}

/// Those of more than are wanted that go: what does not run, then where the label's value has the most, then where the
/// most instances are.
pub fn surplus(
    view: &dyn View,
    name: &PlacementName,
    placement: &Placement,
    (count, kept): (&Count, &[InstanceKey]),
) -> Vec<InstanceKey> {
    let mut left: Vec<(bool, Candidate)> = kept
        .iter()
        .filter_map(|key| {
            let runs = view.instance(key).is_some_and(|one| one.state.is_serving());
            let candidate = Candidate::of(view, &key.node, &view.node(&key.node)?, placement);
            Some((runs, candidate))
        })
        .collect();
    left.sort_by(|one, other| one.1.order().cmp(&other.1.order()));
    let mut spread: Spread = BTreeMap::new();
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
    load: Load,
}

impl Candidate {
    fn of(view: &dyn View, node: &NodeName, facts: &Node, placement: &Placement) -> Self {
        let hint = hint(facts.sysinfo.offers, view.load_on(node));
        let count = placement.wish.target.count();
        let label = count.and_then(|count| count.spread.as_ref());
        Self {
            value: label.and_then(|label| facts.labels.get(label)).cloned(),
            load: hint.load(&placement.wish.needs.room),
            node: node.clone(),
        }
    }

    fn order(&self) -> (Load, &NodeName) {
        (self.load, &self.node)
    }
}

fn value(view: &dyn View, node: &NodeName, count: &Count) -> Option<String> {
    let label = count.spread.as_ref()?;
    label_of(&view.record(&Key::Node(node.clone()))?.vertex, label).cloned()
}

fn label_of<'n>(node: &'n Vertex, label: &str) -> Option<&'n String> {
    match node {
        Vertex::Node(node) => node.labels.get(label),
        _ => None,
    }
}
