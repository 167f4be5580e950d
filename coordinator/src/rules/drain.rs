//! `drain`: what runs on a node that is to be empty ends, what depends on others first; it waits until somebody lifts that.

use mainstay_protocol::command::StopWhy;
use mainstay_protocol::{InstanceKey, NodeName, code};
use mainstay_resource_graph::{
    Desired, InstanceState, Key, NodeState, Txn, View, ViewExt, traverse,
};

use crate::candidates;
use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

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

    /// What has ended may have been waited for; what was on its way is up now.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<NodeName> {
        match changed {
            Key::Instance(key) if candidates::is_of_so_many(view, &key.placement) => {
                let siblings = view.instances_of(&key.placement).into_iter();
                siblings.map(|sibling| sibling.node).collect()
            }
            Key::Instance(key) => vec![key.node.clone()],
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
        ending.truncate(AT_ONCE_MAX);
        for key in &ending {
            if let Some(reason) = verb::drained(txn, key) {
                verb::begin_stop(txn, key, StopWhy::Restart, reason, env);
            }
        }
        if ending.is_empty() {
            return Verdict::Nothing;
        }
        let names: Vec<String> = ending.iter().map(ToString::to_string).collect();
        Verdict::did(code::NODE_DRAINED, format!("ends {}", names.join(", ")))
    }
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
