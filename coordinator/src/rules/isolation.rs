//! `isolation`: what is on a node that is cut off, and not dead, is given up only where its placement says so, and when.

use std::time::Duration;

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::{InstanceKey, Timestamp};
use mainstay_resource_graph::{InstanceState, Key, NodeState, Txn, View, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

pub struct Isolation;

impl Rule for Isolation {
    const NAME: &'static str = "isolation";
    const ABOUT: &'static str =
        "Gives up what is on an isolated node, where its placement says after how long.";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| matches!(instance.state, InstanceState::Unknown { .. }))
    }

    /// The cluster has the brake, the placement the word.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<InstanceKey> {
        match changed {
            Key::Node(node) if view.node(node).is_some_and(|node| node.state.is_away()) => {
                view.instances_on(node)
            }
            Key::Placement(placement) => view.instances_of(placement),
            Key::Cluster => {
                let isolated = view.node_names().into_iter().filter(|name| {
                    view.node(name)
                        .is_some_and(|node| node.state == NodeState::Isolated)
                });
                isolated.flat_map(|node| view.instances_on(&node)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(instance) = txn.instance(&subject) else {
            return Verdict::Nothing;
        };
        let InstanceState::Unknown { was } = instance.state else {
            return Verdict::Nothing;
        };
        let due = given_up_at(txn, &subject);
        if due.is_some_and(|due| due <= env.now) {
            let text = match instance.lease {
                Some(_) => format!("{} is cut off, and its lease is over", subject.node),
                None => format!(
                    "{} is cut off, and was waited for long enough",
                    subject.node
                ),
            };
            let node = Key::Node(subject.node.clone());
            let reason = Reason::new(code::NODE_ISOLATED, text.clone()).about(node);
            verb::change(txn, &subject, |instance| {
                instance.state = InstanceState::Lost { was };
                instance.reason = Some(reason);
                instance.deadline = None;
            });
            return Verdict::did(code::NODE_ISOLATED, text);
        }
        if due == instance.deadline {
            return Verdict::Nothing;
        }
        verb::change(txn, &subject, |instance| instance.deadline = due);
        Verdict::Nothing
    }
}

/// None where it is left alone. Not while the brake is on, as nodes are not.
fn given_up_at(txn: &Txn<'_>, key: &InstanceKey) -> Option<Timestamp> {
    let node = txn.node(&key.node)?;
    let away = node.away.filter(|_| node.state == NodeState::Isolated)?;
    let in_peace = node.care.maintenance.is_none();
    let placement = txn.placement(&key.placement).filter(|_| in_peace)?;
    let asked = placement.wish.policy.replace_isolated_ms;
    let asked = asked.map(|ms| away.found + Duration::from_millis(ms));
    // Its own node ends a singleton whose lease nobody renews: from then on nothing is left there to be left alone.
    let lease = txn.instance(key).and_then(|instance| instance.lease);
    let ended = lease.filter(|lease| !lease.fenced);
    let ended = ended.and_then(|lease| lease.ends);
    let due = [asked, ended].into_iter().flatten().min()?;
    let brake = txn.cluster().and_then(|cluster| cluster.brake);
    Some(brake.map_or(due, |brake| brake.until.max(due)))
}
