//! `place`: a placement's wish becomes one instance on each node it names; a placement that leaves goes last of all.

use std::collections::BTreeSet;

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::{Incarnation, InstanceKey, NodeName, PlacementName, SlotName};
use mainstay_resource_graph::{
    Desired, Instance, InstanceState, Key, Kind, Placement, Standing, Target, Txn, Vertex, View,
    ViewExt, traverse,
};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

pub struct Place;

impl Rule for Place {
    const NAME: &'static str = "place";
    const ABOUT: &'static str = "Makes one instance of a placement on each node that it names.";
    type Subject = PlacementName;

    fn watches() -> Watch {
        Watch::placements(|_| true)
    }

    /// A node concerns every placement that names it or labels; a vertex that is gone, whoever waits for it to be gone.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<PlacementName> {
        match changed {
            Key::Node(node) => placements(view, |placement| match &placement.wish.target {
                Target::All(_) => true,
                // It may take instances again.
                Target::Nodes(nodes) => nodes.contains(node),
            }),
            Key::Instance(key) if view.record(changed).is_none() => vec![key.placement.clone()],
            Key::Placement(_) if view.record(changed).is_none() => {
                placements(view, |placement| placement.standing == Standing::Leaving)
            }
            _ => Vec::new(),
        }
    }

    fn judge(subject: PlacementName, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(placement) = txn.placement(&subject) else {
            return Verdict::Nothing;
        };
        match placement.standing {
            Standing::Wanted => spread(&subject, &placement, txn, env),
            Standing::Leaving => leave(&subject, &placement, txn),
        }
    }
}

fn placements(view: &dyn View, test: impl Fn(&Placement) -> bool) -> Vec<PlacementName> {
    view.keys(Kind::Placement)
        .into_iter()
        .filter_map(|key| match key {
            Key::Placement(name) => Some(name),
            _ => None,
        })
        .filter(|name| {
            view.placement(name)
                .is_some_and(|placement| test(&placement))
        })
        .collect()
}

fn spread(subject: &PlacementName, placement: &Placement, txn: &mut Txn<'_>, env: &Env) -> Verdict {
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
        Target::All(_) => txn
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
    let name = name_of(key, placement, txn);
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

/// Its type's one name, else the one the placement asks for, else the placement's own.
fn name_of(key: &InstanceKey, placement: &Placement, txn: &Txn<'_>) -> SlotName {
    txn.service_type(&placement.service_type)
        .and_then(|found| found.declaration.holds)
        .or_else(|| placement.holds.clone())
        .unwrap_or_else(|| SlotName::new(key.placement.as_str()).expect("one grammar of names"))
}
