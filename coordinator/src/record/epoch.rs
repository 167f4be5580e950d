//! A new epoch: the graph was restored from a backup, or recovered from what one station had. What it says of nodes is of an
//! earlier time, and what they reported meanwhile may be lost; so nothing on them is taken for granted until they say it
//! again.
//!
//! - Every node is out of sight, and whatever may live on it Unknown.
//! - No outbox is known: each agent is given a new epoch of its file, and sends again what nobody has confirmed.
//! - No command is open: what was asked for in the old epoch is asked again by whatever rule wants it.
//! - No token lets anybody in: it may have been used, or taken back, in what is lost.
//! - What a node says it has, and the graph wants there, is taken in as it is, and asked what it runs with. What the graph
//!   does not know is a stray.

use mainstay_protocol::InstanceKey;
use mainstay_protocol::report::{LiveState, NodeUp};
use mainstay_resource_graph::{
    Cluster, InPlace, Instance, Key, Kind, NodeState, Txn, Vertex, View, ViewExt,
};

use super::operation::access;
use super::session;
use crate::env::Env;
use crate::event::GoneWhy;
use crate::lease;
use crate::rules::stray;
use crate::verb;

/// The leader's epoch is above the graph's: it stands from now on.
pub fn raise(txn: &mut Txn<'_>, cluster: Cluster, env: &Env) {
    let epoch = env.leadership.epoch;
    let cluster = Cluster {
        epoch,
        epoch_began: Some(env.now),
        ..cluster
    };
    txn.put(Key::Cluster, Vertex::Cluster(cluster))
        .expect("a cluster has no transitions");
    for key in txn.keys(Kind::Node) {
        let Key::Node(name) = key else { continue };
        if txn
            .node(&name)
            .is_some_and(|node| node.state == NodeState::Online)
        {
            session::agent_gone(txn, &name, None, GoneWhy::NotHeard, env);
        }
    }
    access::take_back_tokens(txn, "a new epoch", |_| true);
    for key in txn
        .keys(Kind::Outbox)
        .into_iter()
        .chain(txn.keys(Kind::Command))
    {
        txn.remove(&key);
    }
    for key in txn.keys(Kind::Instance) {
        let Key::Instance(key) = key else { continue };
        let out_of_sight = |instance: &Instance| instance.state.out_of_sight().is_some();
        if txn.instance(&key).as_ref().is_some_and(out_of_sight) {
            // It may have been there again since this graph was saved.
            verb::change(txn, &key, |instance| {
                lease::renewed_until_now(instance, env);
            });
        }
        let asked = |in_place: &Option<InPlace>| matches!(in_place, Some(InPlace::Asked { .. }));
        if txn
            .instance(&key)
            .is_some_and(|instance| asked(&instance.in_place))
        {
            // Nobody will answer; what it runs with it is asked anyhow.
            verb::change(txn, &key, |instance| instance.in_place = None);
        }
    }
}

/// Takes in what the node has of this instance, if it is wanted there as it is. False: whatever else is known of it
/// decides.
pub(super) fn taken_in(txn: &mut Txn<'_>, key: &InstanceKey, up: &NodeUp, env: &Env) -> bool {
    let entry = up.digest.get(key);
    let Some((live, entry)) = entry.and_then(|entry| Some((entry.live.as_ref()?, entry))) else {
        return false;
    };
    let stray = session::stray_of(live, entry);
    if live.state == LiveState::Stopping || stray::in_its_way(txn, key, &stray).is_some() {
        return false;
    }
    stray::take_in(txn, key, &stray, env);
    true
}
