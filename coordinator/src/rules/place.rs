//! `place`: a placement's wish becomes one instance on each node it names, or on so many as it asks for; a placement that
//! leaves goes last of all.

use std::collections::BTreeSet;

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::{Incarnation, InstanceKey, NodeName, PlacementName};
use mainstay_resource_graph::{
    Count, Desired, Instance, InstanceState, Key, Kind, NodeState, Placement, Standing, Target,
    Txn, Vertex, View, ViewExt, traverse,
};

use crate::candidates;
use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

pub struct Place;

impl Rule for Place {
    const NAME: &'static str = "place";
    const ABOUT: &'static str = "Makes one instance of a placement on each node that it names, or on so many as it asks for.";
    type Subject = PlacementName;

    fn watches() -> Watch {
        Watch::placements(|_| true)
    }

    /// A node concerns every placement that names it or labels; a vertex that is gone, whoever waits for it to be gone.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<PlacementName> {
        match changed {
            Key::Node(node) => placements(view, |_, placement| match &placement.wish.target {
                Target::All(_) | Target::Count(_) => true,
                // It may take instances again.
                Target::Nodes(nodes) => nodes.contains(node),
            }),
            Key::Instance(key) if view.record(changed).is_none() || is_moving(view, key) => {
                vec![key.placement.clone()]
            }
            Key::Placement(_) if view.record(changed).is_none() => {
                placements(view, |_, placement| placement.standing == Standing::Leaving)
            }
            // It is free for whoever found no node for want of it.
            Key::Name(_) if view.record(changed).is_none() => {
                placements(view, |name, placement| {
                    candidates::missing(view, name, placement) > 0
                })
            }
            _ => Vec::new(),
        }
    }

    fn judge(subject: PlacementName, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(placement) = txn.placement(&subject) else {
            return Verdict::Nothing;
        };
        match placement.standing {
            Standing::Wanted => match &placement.wish.target {
                Target::Count(count) => so_many(&subject, &placement, count, txn, env),
                Target::Nodes(_) | Target::All(_) => named(&subject, &placement, txn, env),
            },
            Standing::Leaving => leave(&subject, &placement, txn),
        }
    }
}

fn placements(
    view: &dyn View,
    test: impl Fn(&PlacementName, &Placement) -> bool,
) -> Vec<PlacementName> {
    let mut found = Vec::new();
    for key in view.keys(Kind::Placement) {
        let (Key::Placement(name), Some(record)) = (&key, view.record(&key)) else {
            continue;
        };
        if matches!(&record.vertex, Vertex::Placement(placement) if test(name, placement)) {
            found.push(name.clone());
        }
    }
    found
}

/// One of so many, on a node that it leaves.
fn is_moving(view: &dyn View, key: &InstanceKey) -> bool {
    let leaves = view.node(&key.node);
    leaves.is_some_and(|node| candidates::is_left(&node))
        && candidates::is_of_so_many(view, &key.placement)
}

fn named(subject: &PlacementName, placement: &Placement, txn: &mut Txn<'_>, env: &Env) -> Verdict {
    let wanted = targets(placement, txn);
    let have: BTreeSet<NodeName> = txn
        .instances_of(subject)
        .into_iter()
        .map(|key| key.node)
        .collect();
    let mut placed = Vec::new();
    let missing: Vec<InstanceKey> = wanted
        .difference(&have)
        .map(|node| InstanceKey::new(node.clone(), subject.clone()))
        .filter(|key| txn.cordon_against(key).is_none())
        .collect();
    for key in missing {
        make(txn, &key, placement, env);
        placed.push(key.to_string());
    }
    let mut done = Vec::new();
    if !placed.is_empty() {
        done.push(format!("placed {}", placed.join(", ")));
    }
    for node in &have {
        let key = InstanceKey::new(node.clone(), subject.clone());
        let is_absent = txn
            .instance(&key)
            .is_some_and(|instance| instance.desired == Desired::Absent);
        match (wanted.contains(node), is_absent) {
            (false, false) => {
                verb::change(txn, &key, |instance| instance.desired = Desired::Absent);
                done.push(format!("{key} is no longer wanted"));
            }
            // It was still on its way out.
            (true, true) => {
                want_again(txn, &key);
                done.push(format!("{key} is wanted again"));
            }
            (true, false) | (false, true) => {}
        }
    }
    if done.is_empty() {
        return Verdict::Nothing;
    }
    Verdict::did(code::WANTED, done.join("; "))
}

/// So many, each where it was as long as it can be there; what its node has lost, or is to lose, is made elsewhere.
fn so_many(
    subject: &PlacementName,
    placement: &Placement,
    count: &Count,
    txn: &mut Txn<'_>,
    env: &Env,
) -> Verdict {
    let kept = candidates::kept(txn, subject, placement);
    let mut others = txn.instances_of(subject);
    others.retain(|key| !kept.contains(key));
    let mut done = Vec::new();
    for node in candidates::best(txn, subject, placement, (count, &kept)) {
        let key = InstanceKey::new(node, subject.clone());
        match txn.instance(&key) {
            Some(_) => {
                want_again(txn, &key);
                done.push(format!("{key} is wanted again"));
            }
            None => {
                make(txn, &key, placement, env);
                done.push(format!("placed {key}"));
            }
        }
    }
    let mut missing = (count.count as usize).saturating_sub(kept.len() + done.len());
    let mut going = candidates::surplus(txn, subject, (count, &kept));
    for key in others {
        let Some(one) = txn
            .instance(&key)
            .filter(|one| one.desired != Desired::Absent)
        else {
            continue;
        };
        let node = txn.node(&key.node);
        let is_meant = node
            .as_ref()
            .is_some_and(|node| placement.wish.target.includes(&key.node, &node.labels));
        let is_lost = node.is_some_and(|node| node.state == NodeState::Lost);
        if !is_meant {
            going.push(key);
        } else if missing > 0 {
            // Nobody takes its place: it is wanted where it was, should that come back.
            missing -= 1;
        } else if is_lost || !one.state.may_be_live() {
            going.push(key);
        }
        // What still runs on a node that is drained ends when the drain gets to it.
    }
    for key in going {
        verb::change(txn, &key, |instance| instance.desired = Desired::Absent);
        done.push(format!("{key} is no longer wanted"));
    }
    if done.is_empty() {
        return Verdict::Nothing;
    }
    Verdict::did(code::WANTED, done.join("; "))
}

fn want_again(txn: &mut Txn<'_>, key: &InstanceKey) {
    verb::change(txn, key, |instance| {
        instance.desired = Desired::Running;
        if let InstanceState::Stopping { stuck: false, .. } = instance.state {
            instance.reason = Some(verb::stopping(Desired::Running));
        }
    });
}

/// Whatever depends on it goes first; then its instances; then it.
fn leave(subject: &PlacementName, placement: &Placement, txn: &mut Txn<'_>) -> Verdict {
    if !traverse::standing_on(txn, subject).is_empty() {
        return Verdict::Nothing;
    }
    let left = txn.instances_of(subject);
    if left.is_empty() {
        txn.remove(&Key::Placement(subject.clone()));
        verb::forget_configs(txn, placement.configs().cloned().collect());
        return Verdict::did(code::NOT_WANTED, "deleted: its instances have ended");
    }
    let mut ending = Vec::new();
    for key in left {
        let wanted = txn
            .instance(&key)
            .is_some_and(|instance| instance.desired != Desired::Absent);
        if wanted {
            verb::change(txn, &key, |instance| instance.desired = Desired::Absent);
            ending.push(key.to_string());
        }
    }
    if ending.is_empty() {
        return Verdict::Nothing;
    }
    Verdict::did(
        code::NOT_WANTED,
        format!("to be deleted; first ends {}", ending.join(", ")),
    )
}

fn targets(placement: &Placement, txn: &Txn<'_>) -> BTreeSet<NodeName> {
    match &placement.wish.target {
        Target::Nodes(nodes) => nodes.clone(),
        Target::All(_) | Target::Count(_) => txn
            .keys(Kind::Node)
            .into_iter()
            .filter_map(|key| match key {
                Key::Node(name) => Some(name),
                _ => None,
            })
            .filter(|name| {
                txn.node(name)
                    .is_some_and(|node| placement.wish.target.includes(name, &node.labels))
            })
            .collect(),
    }
}

fn make(txn: &mut Txn<'_>, key: &InstanceKey, placement: &Placement, env: &Env) {
    let asked = (&placement.service_type, placement.holds.as_ref());
    let name = candidates::slot_name(txn, &key.placement, asked);
    let before_first = Incarnation {
        epoch: env.leadership.epoch,
        // Its own beginning: a node keeps the floor of a namesake that was here before.
        created: env.revision,
        count: 0,
    };
    let mut instance = Instance::wanted(placement.service_type.clone(), name, before_first);
    instance.reason = Some(Reason::new(code::WANTED, "waits for its first start"));
    txn.put(Key::Instance(key.clone()), Vertex::Instance(instance))
        .expect("the instance is new");
    verb::want_config(txn, key, placement.wish.config_on(&key.node));
}
