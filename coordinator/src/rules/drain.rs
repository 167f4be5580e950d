//! `drain`: what runs on a node that is to be empty ends, what depends on others first; it waits until somebody lifts that.

use mainstay_protocol::command::StopWhy;
use mainstay_protocol::{InstanceKey, NodeName, code};
use mainstay_resource_graph::{
    Desired, InstanceState, Key, Marks, NodeState, Placement, Txn, Vertex, View, ViewExt, traverse,
};

use crate::candidates;
use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;
use crate::watching;

/// Of a full node; the others follow when these have ended.
const AT_ONCE_MAX: usize = 200;

pub struct Drain;

impl Rule for Drain {
    const NAME: &'static str = "drain";
    const ABOUT: &'static str = "Ends what runs on a node that somebody drained.";
    type Subject = NodeName;

    fn watches() -> Watch {
        Watch::nodes(|node| node.care.drains().is_some())
    }

    /// What has ended may have been waited for; what was on its way is up now, or does not come: its node has changed.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<NodeName> {
        match changed {
            Key::Instance(key) => siblings(view, key),
            // Nobody takes its place while it is worked on.
            Key::Placement(name) => {
                let instances = view.instances_of(name).into_iter();
                instances.map(|key| key.node).collect()
            }
            Key::Node(node) => {
                let mut drained = drained(view);
                // It does not come there, or has gone there.
                let waits = |drained: &NodeName| {
                    let on_it = view.instances_on(drained).into_iter();
                    let mut there = on_it
                        .map(|key| InstanceKey::new(node.clone(), key.placement))
                        .filter(|key| candidates::is_of_so_many(view, &key.placement));
                    there.any(|key| view.instance(&key).is_some())
                };
                drained.retain(waits);
                drained
            }
            _ => Vec::new(),
        }
    }

    fn judge(subject: NodeName, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let online = txn
            .node(&subject)
            .is_some_and(|node| node.state == NodeState::Online);
        if !online {
            return Verdict::Nothing;
        }
        let mut ending = txn.instances_on(&subject);
        ending.retain(|key| {
            runs(txn, key) && !is_stood_on(txn, key) && !candidates::awaits_successor(txn, key)
        });
        let mut kept = None;
        ending.retain(|key| match needed(txn, key) {
            Some(text) => {
                kept.get_or_insert(text);
                false
            }
            None => true,
        });
        ending.truncate(AT_ONCE_MAX);
        for key in &ending {
            if let Some(reason) = verb::drained(txn, key) {
                verb::begin_stop(txn, key, StopWhy::Restart, reason, env);
            }
        }
        if !ending.is_empty() {
            let names: Vec<String> = ending.iter().map(ToString::to_string).collect();
            return Verdict::did(code::NODE_DRAINED, format!("ends {}", names.join(", ")));
        }
        match kept {
            Some(text) => Verdict::declined(code::MINIMUM_KEPT, text),
            None => Verdict::Nothing,
        }
    }
}

/// Why one that serves there stays: without it fewer than its minimum would. Who said that it is to end all the same has
/// seen that.
pub fn needed(view: &dyn View, key: &InstanceKey) -> Option<String> {
    let minimum = view.placement(&key.placement)?.wish.minimum as usize;
    let cordon = view.node(&key.node)?.care.cordon?;
    if minimum == 0 || cordon.forced || !cordon.drains {
        return None;
    }
    let serves = |key: &InstanceKey| {
        let one = view.instance(key);
        one.is_some_and(|one| watching::serves(&one) && one.desired == Desired::Running)
    };
    let all = view.instances_of(&key.placement);
    let others = all.iter().filter(|other| *other != key && serves(other));
    let left = others.take(minimum).count();
    (left < minimum && serves(key)).then(|| {
        format!("{key} stays until more serve: {left} of {} would, and at least {minimum} are to (its minimum)", key.placement)
    })
}

fn drained(view: &dyn View) -> Vec<NodeName> {
    let mut drained = Vec::new();
    view.each_node(&mut |one| {
        if !one.marks.may_have(&Marks::of_drained()) {
            return;
        }
        if let (Key::Node(name), Vertex::Node(node)) = (&one.record.key, &one.record.vertex) {
            drained.extend(node.care.drains().map(|_| name.clone()));
        }
    });
    drained
}

/// Its own node, and the nodes where another may take its place, or where one may be needed less.
fn siblings(view: &dyn View, key: &InstanceKey) -> Vec<NodeName> {
    let counts = |placement: &Placement| {
        placement.wish.target.count().is_some() || placement.wish.minimum > 0
    };
    if view.look_at_placement(&key.placement, counts) != Some(true) {
        return vec![key.node.clone()];
    }
    let siblings = view.instances_of(&key.placement).into_iter();
    siblings.map(|sibling| sibling.node).collect()
}

/// What is not wanted is `stop`'s.
fn runs(txn: &Txn<'_>, key: &InstanceKey) -> bool {
    txn.instance(key).is_some_and(|instance| {
        let begun = instance.state.is_up() || instance.state == InstanceState::Starting;
        begun && instance.desired == Desired::Running
    })
}

/// Something on the same node that depends on it has not ended.
fn is_stood_on(txn: &Txn<'_>, key: &InstanceKey) -> bool {
    traverse::standing_on(txn, &key.placement)
        .into_iter()
        .map(|placement| InstanceKey::new(key.node.clone(), placement))
        .any(|other| {
            let state = txn.instance(&other).map(|instance| instance.state);
            state.is_some_and(|state| match state {
                // It would be waited for in vain.
                InstanceState::Stopping { stuck, .. } => !stuck,
                state => state.may_be_live(),
            })
        })
}
