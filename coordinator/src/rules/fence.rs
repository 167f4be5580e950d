//! `fence`: where one of a singleton is believed to be gone only when its machine was off, that is switched off.

use mainstay_protocol::{InstanceKey, NodeName, Timestamp, code};
use mainstay_resource_graph::{
    HostEnded, HostEnding, InstanceState, Key, Leased, Node, NodeState, Said, Txn, View, ViewExt,
};

use crate::env::Env;
use crate::lease;
use crate::rule::{Rule, Verdict, Watch};
use crate::rules::restart_host;
use crate::verb;

pub struct Fence;

impl Rule for Fence {
    const NAME: &'static str = "fence";
    const ABOUT: &'static str =
        "Switches a machine off where a singleton is to be gone for certain.";
    const SAFETY: Option<&'static str> =
        Some("a singleton that is to be fenced would not start elsewhere");
    type Subject = NodeName;

    fn watches() -> Watch {
        Watch::nodes(|node| node.state != NodeState::Online)
    }

    /// Its instances are given up one by one where it is isolated; somebody may have set the command at last, or brought
    /// back a station.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<NodeName> {
        match changed {
            Key::Instance(key) if is_lost(view, key) => vec![key.node.clone()],
            Key::Cluster | Key::Station(_) => away(view),
            // Whether it is back decides whether another may go.
            Key::Node(name) if has_station(view, name) => away(view),
            _ => Vec::new(),
        }
    }

    fn judge(subject: NodeName, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        if env.settings.host_fence.is_empty() {
            return Verdict::Nothing;
        }
        let Some(node) = txn.node(&subject) else {
            return Verdict::Nothing;
        };
        if node.state == NodeState::Online || !is_due(&node, env) {
            return Verdict::Nothing;
        }
        if verb::maintains(&subject, &node).is_some() {
            return Verdict::Nothing;
        }
        let mut waited_for = txn.instances_on(&subject);
        waited_for.retain(|key| is_lost(txn, key));
        let Some(first) = waited_for.first() else {
            return Verdict::Nothing;
        };
        let why = format!("{first} may still run, and is to be gone for certain");
        let said = Said {
            by: format!("the rule {}", Self::NAME),
            why: why.clone(),
            at: env.now,
        };
        if let Some(majority) = verb::leaves_no_majority(txn, &subject) {
            let text = format!(
                "{why}, and it is not switched off: {majority}; bring it back, or confirm that it is dead"
            );
            return left(txn, &node, &subject, said, text);
        }
        restart_host::wish(txn, &subject, said, true);
        Verdict::did(
            code::HOST_FENCED,
            format!("it is to be switched off: {why}"),
        )
    }
}

/// When a machine is to be switched off once more, since nothing that was tried did it.
pub fn tries_again(view: &dyn View, name: &NodeName) -> Option<Timestamp> {
    let node = view.node(name)?;
    let again = node.restart?.ended?.again?;
    let mut there = view.instances_on(name).into_iter();
    let is_wanted = node.state != NodeState::Online && there.any(|key| is_lost(view, &key));
    is_wanted.then_some(again)
}

fn away(view: &dyn View) -> Vec<NodeName> {
    let mut names = view.node_names();
    names.retain(|name| {
        view.node(name)
            .is_some_and(|node| node.state != NodeState::Online)
    });
    names
}

fn has_station(view: &dyn View, node: &NodeName) -> bool {
    let stations = view.stations();
    let mut nodes = stations.iter().map(|(_, station)| station.node.as_ref());
    nodes.any(|there| there == Some(node))
}

/// Said once: it is looked at again when anything changes.
fn left(txn: &mut Txn<'_>, node: &Node, name: &NodeName, said: Said, text: String) -> Verdict {
    let restart = node.restart.as_ref();
    if restart.is_some_and(|one| one.fence && one.ended_with(&text)) {
        return Verdict::Nothing;
    }
    let ended = HostEnded {
        at: said.at,
        how: HostEnding::Failed,
        text: text.clone(),
        again: None,
    };
    restart_host::leave(txn, name, said, ended);
    Verdict::did(code::HOST_NOT_RESTARTED, text)
}

/// Not while it is restarted, and not at once again.
fn is_due(node: &Node, env: &Env) -> bool {
    let Some(restart) = &node.restart else {
        return true;
    };
    let ended = restart.ended.as_ref();
    ended.is_some_and(|ended| ended.again.is_none_or(|again| again <= env.now))
}

/// Given up, and believed to be gone only when its machine was off.
fn is_lost(view: &dyn View, key: &InstanceKey) -> bool {
    let fenced = |lease: Option<Leased>| lease.is_some_and(|lease| lease.fenced);
    view.instance(key).is_some_and(|one| {
        matches!(one.state, InstanceState::Lost { .. })
            && fenced(one.lease)
            && lease::of(view, &key.placement).is_some()
    })
}
