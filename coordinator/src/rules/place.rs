//! `place`: a placement's wish becomes one instance on each node it names.

use std::collections::BTreeSet;

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::{Incarnation, InstanceKey, NodeName, PlacementName, SlotName};
use mainstay_resource_graph::{
    Desired, Instance, Key, Kind, Placement, Relation, Target, Txn, Vertex, View, ViewExt,
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

    /// A new node concerns every placement that wants to be everywhere.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<PlacementName> {
        if !matches!(changed, Key::Node(_)) {
            return Vec::new();
        }
        view.keys(Kind::Placement)
            .into_iter()
            .filter_map(|key| match key {
                Key::Placement(name) => Some(name),
                _ => None,
            })
            .filter(|name| {
                view.placement(name)
                    .is_some_and(|placement| placement.target == Target::All)
            })
            .collect()
    }

    fn judge(subject: PlacementName, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(placement) = txn.placement(&subject) else {
            return Verdict::Nothing;
        };
        let wanted = targets(&placement, txn);
        let have: BTreeSet<NodeName> = txn
            .instances_of(&subject)
            .into_iter()
            .map(|key| key.node)
            .collect();
        let mut done = Vec::new();
        for node in wanted.difference(&have) {
            let key = InstanceKey::new(node.clone(), subject.clone());
            make(txn, &key, &placement, env);
            done.push(key.to_string());
        }
        for node in have.difference(&wanted) {
            let key = InstanceKey::new(node.clone(), subject.clone());
            if txn
                .instance(&key)
                .is_some_and(|instance| instance.desired != Desired::Absent)
            {
                verb::change(txn, &key, |instance| instance.desired = Desired::Absent);
                done.push(format!("{key} no longer wanted"));
            }
        }
        if done.is_empty() {
            return Verdict::Nothing;
        }
        Verdict::did(code::WANTED, format!("placed {}", done.join(", ")))
    }
}

fn targets(placement: &Placement, txn: &Txn<'_>) -> BTreeSet<NodeName> {
    match &placement.target {
        Target::Nodes(nodes) => nodes.clone(),
        Target::All => txn
            .keys(Kind::Node)
            .into_iter()
            .filter_map(|key| match key {
                Key::Node(name) => Some(name),
                _ => None,
            })
            .collect(),
    }
}

fn make(txn: &mut Txn<'_>, key: &InstanceKey, placement: &Placement, env: &Env) {
    let name = name_of(key, placement, txn);
    let before_first = Incarnation {
        epoch: env.leadership.epoch,
        created: placement.created,
        count: 0,
    };
    let mut instance = Instance::wanted(placement.service_type.clone(), name, before_first);
    instance.reason = Some(Reason::new(code::WANTED, "waits for its first start"));
    txn.put(Key::Instance(key.clone()), Vertex::Instance(instance))
        .expect("the instance is new");
    txn.link(
        Key::Instance(key.clone()),
        Relation::Wants,
        Key::Configuration(placement.config.clone()),
    )
    .expect("a placement's configuration exists, and a new instance wants none yet");
}

/// Its type's one name, else the one the placement asks for, else the placement's own.
fn name_of(key: &InstanceKey, placement: &Placement, txn: &Txn<'_>) -> SlotName {
    txn.service_type(&placement.service_type)
        .and_then(|found| found.declaration.holds)
        .or_else(|| placement.holds.clone())
        .unwrap_or_else(|| SlotName::new(key.placement.as_str()).expect("one grammar of names"))
}
