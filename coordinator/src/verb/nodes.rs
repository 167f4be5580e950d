//! What a decision about a node writes.

use std::time::Duration;

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::{InstanceKey, NodeName, PlacementName, Timestamp};
use mainstay_resource_graph::{
    HostEnding, InstanceState, Key, Leased, Node, NodeState, Station, StationState, Txn, View,
    ViewExt,
};

use super::change;
use crate::env::Env;
use crate::lease;
use crate::record;

/// What happened there meanwhile is judged now.
pub fn end_maintenance(txn: &mut Txn<'_>, node: &NodeName, env: &Env) {
    let wait = Duration::from_millis(env.settings.lost_closed_ms);
    txn.update_node(node, |node| {
        node.care.maintenance = None;
        // Whoever worked on it may not have started it again yet.
        let waited_for = node.state.is_away() && node.state != NodeState::Isolated;
        node.lost_at = waited_for.then(|| env.now + wait);
        if let Some(away) = &mut node.away {
            away.found = env.now;
        }
    })
    .expect("every state of a node may follow itself");
}

/// Of a placement: what became of its instances is judged now, and what was told of an update has its time from now on.
pub fn end_placement_maintenance(txn: &mut Txn<'_>, name: &PlacementName, env: &Env) {
    let mut placement = txn.placement(name).expect("the caller read it");
    placement.maintenance = None;
    if let Some(rollout) = &mut placement.rollout {
        rollout.told = env.now;
    }
    record::write(txn, name, placement);
}

/// When a node that is away is given up; not before the brake says so.
pub fn given_up_at(view: &dyn View, node: &Node) -> Option<Timestamp> {
    let brake = view.cluster().and_then(|cluster| cluster.brake);
    node.lost_at
        .max(node.lost_at.and(brake.map(|brake| brake.until)))
}

/// Nobody waits for this node any longer, nor for what may live there.
pub fn give_up(txn: &mut Txn<'_>, node: &NodeName, why: Reason) -> Vec<InstanceKey> {
    let text = format!("its node is lost: {}", why.text);
    let reason = Reason::new(code::NODE_LOST, text).about(Key::Node(node.clone()));
    txn.update_node(node, |node| {
        node.state = NodeState::Lost;
        node.reason = Some(why);
        node.away = None;
        node.lost_at = None;
    })
    .expect("it is away");
    let mut given_up = txn.instances_on(node);
    given_up.retain(|key| {
        let state = txn.instance(key).map(|instance| instance.state);
        let was = state.and_then(|state| state.out_of_sight());
        if let Some(was) = was {
            change(txn, key, |instance| {
                instance.state = InstanceState::Lost { was };
                instance.reason = Some(reason.clone());
                instance.deadline = None;
            });
        }
        was.is_some()
    });
    given_up
}

/// Somebody has switched it off, or has seen that it is: nobody need wait any longer, also not for a lease.
pub fn is_off(txn: &mut Txn<'_>, node: &NodeName, why: String, env: &Env) -> Vec<InstanceKey> {
    let given_up = give_up(txn, node, Reason::new(code::NODE_LOST, why));
    end_leases(txn, node, env);
    given_up
}

/// Whoever says that a node is off says it of every singleton on it, however long its lease.
pub fn end_leases(txn: &mut Txn<'_>, node: &NodeName, env: &Env) -> Vec<InstanceKey> {
    let mut held = may_run_alone(txn, node, env);
    for key in &held {
        change(txn, key, |instance| {
            let lease = instance.lease.unwrap_or(Leased {
                lease_ms: 0,
                stop_ms: 0,
                ends: None,
                fenced: false,
            });
            instance.lease = Some(Leased {
                ends: Some(env.now),
                fenced: false,
                ..lease
            });
        });
    }
    held.sort();
    held
}

/// Singletons that may still run on a node that is away: their leases are not over.
pub fn may_run_alone(view: &dyn View, node: &NodeName, env: &Env) -> Vec<InstanceKey> {
    let mut held = view.instances_on(node);
    held.retain(|key| {
        lease::of(view, &key.placement).is_some()
            && view
                .instance(key)
                .is_some_and(|one| lease::may_run(key, &one, env.now).is_some())
    });
    held
}

/// A station that is heard there would be away for a while.
pub fn leaves_no_majority(txn: &Txn<'_>, node: &NodeName) -> Option<String> {
    let mut stations = txn.stations();
    stations.retain(|(_, station)| {
        !matches!(station.state, StationState::Removed | StationState::Joining)
    });
    let (there, elsewhere): (Vec<_>, Vec<_>) = stations
        .iter()
        .partition(|(_, station)| station.node.as_ref() == Some(node));
    let left = elsewhere.iter().filter(|(_, station)| {
        let goes = |on: &NodeName| txn.node(on).as_ref().is_some_and(is_going);
        station.state == StationState::Running && !station.node.as_ref().is_some_and(goes)
    });
    let (left, all) = (left.count(), stations.len());
    let is_running = |(_, station): &&(_, Station)| station.state == StationState::Running;
    let (station, _) = there.into_iter().find(is_running)?;
    (left * 2 <= all).then(|| {
        format!("station {station} runs on {node}, and {left} of {all} stations would be left: nothing is decided until it is back")
    })
}

/// It is about to be off, or was switched off: that its station was heard a moment ago says nothing.
fn is_going(node: &Node) -> bool {
    node.restart.as_ref().is_some_and(|restart| {
        let ended = restart.ended.as_ref().map(|ended| ended.how);
        let is_off = ended == Some(HostEnding::Off) && node.state != NodeState::Online;
        restart.is_under_way() || is_off
    })
}
