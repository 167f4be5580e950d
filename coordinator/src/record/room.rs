//! What is said of room: what a placement may ask for, and that a node has none for what was to start there.

use std::collections::BTreeSet;
use std::time::Duration;

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::health::{Evidence, RefusedStart};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{InstanceKey, PlacementName, limits};
use mainstay_resource_graph::{
    Beside, Desired, FailureCause, Instance, InstanceState, Key, Kind, NodeRefusal, Standing,
    Target, Txn, Vertex, View, ViewExt,
};

use super::report::start_failed;
use super::unknown;
use crate::env::Env;
use crate::verb;

/// Who it is to be near, or apart from, is there, and what it is to be near can be there before it.
pub(super) fn keeps_company(
    txn: &Txn<'_>,
    name: &PlacementName,
    target: &Target,
) -> Result<(), Refusal> {
    let Some(count) = target.count() else {
        return Ok(());
    };
    for (field, others) in [
        ("affinity", &count.affinity),
        ("anti_affinity", &count.anti_affinity),
    ] {
        let missing = |other: &&Beside| txn.placement(&other.placement).is_none();
        if let Some(other) = others.iter().find(missing) {
            let name = other.placement.as_str();
            let mut refusal = unknown(code::NOT_FOUND, "the placement", name, txn, Kind::Placement);
            refusal.text = format!("target.{field}: {}", refusal.text);
            return Err(refusal);
        }
    }
    let wrong = |text: String| Err(Refusal::new(code::BAD_REQUEST, text));
    if count.affinity.iter().any(|other| other.placement == *name) {
        return wrong("target.affinity: a placement cannot wait for itself; to keep its instances together, use target.all".to_owned());
    }
    let leaves = |other: &&Beside| {
        let other = txn.placement(&other.placement);
        other.is_some_and(|other| other.standing == Standing::Leaving)
    };
    if let Some(other) = count.affinity.iter().find(leaves) {
        let other = &other.placement;
        return wrong(format!(
            "target.affinity: {other} is being deleted, and nothing can be placed beside it"
        ));
    }
    match circle(txn, name) {
        Some(circle) => {
            let names: Vec<&str> = circle.iter().map(PlacementName::as_str).collect();
            wrong(format!(
                "target.affinity: {} would wait for one another, and none could be the first; leave out one of these",
                names.join(" -> ")
            ))
        }
        None => Ok(()),
    }
}

/// The way from a placement back to itself, over those that each is to be near.
fn circle(txn: &Txn<'_>, start: &PlacementName) -> Option<Vec<PlacementName>> {
    let near = |name: &PlacementName| -> Vec<PlacementName> {
        let target = txn.placement(name).map(|placement| placement.wish.target);
        let count = target.as_ref().and_then(Target::count);
        let others = count.into_iter().flat_map(|count| &count.affinity);
        others.map(|other| other.placement.clone()).collect()
    };
    let mut seen = BTreeSet::new();
    let mut open = vec![vec![start.clone()]];
    while let Some(way) = open.pop() {
        for next in near(way.last().expect("a way begins somewhere")) {
            let mut way = way.clone();
            way.push(next.clone());
            if next == *start {
                return Some(way);
            }
            if seen.insert(next) {
                open.push(way);
            }
        }
    }
    None
}

/// Nobody that stays is to be near what goes: it could never be placed again.
pub(super) fn nobody_is_near(
    txn: &Txn<'_>,
    gone: &BTreeSet<&PlacementName>,
) -> Vec<(PlacementName, Refusal)> {
    let mut refusals = Vec::new();
    if gone.is_empty() {
        return refusals;
    }
    for key in txn.keys(Kind::Placement) {
        let (Key::Placement(name), Some(record)) = (&key, txn.record(&key)) else {
            continue;
        };
        let Vertex::Placement(placement) = &record.vertex else {
            continue;
        };
        let count = placement.wish.target.count();
        let Some(count) = count.filter(|_| placement.standing == Standing::Wanted) else {
            continue;
        };
        let near = |other: &&Beside| gone.contains(&other.placement);
        if let Some(other) = count.affinity.iter().find(near) {
            let other = other.placement.clone();
            let text = format!(
                "{name} is to be near {other} (target.affinity); delete {name} too, or leave that out first"
            );
            refusals.push((other, Refusal::new(code::DEPENDED_ON, text)));
        }
    }
    refusals
}

/// Its node knows better what is free there. That is no failure of the service: one of so many is tried elsewhere, any other
/// waits and is tried again.
pub(super) fn refused(
    txn: &mut Txn<'_>,
    key: &InstanceKey,
    instance: &Instance,
    said: &str,
    env: &Env,
) {
    if !instance.state.awaits_started() || instance.desired != Desired::Running {
        let cause = FailureCause::CouldNotStart(RefusedStart::NotNow);
        return start_failed(txn, key, instance, cause, Evidence::text(said), env);
    }
    let until = env.now + Duration::from_millis(limits::ROOM_ASKED_AGAIN_MS);
    let said = format!("{} refused it: {said}", key.node);
    let reason = Reason::new(code::NO_ROOM, said.clone()).about(Key::Node(key.node.clone()));
    verb::free_name(txn, key);
    verb::change(txn, key, |instance| {
        instance.state = InstanceState::Pending;
        instance.has_room = false;
        instance.reason = Some(reason);
        verb::quiet(instance);
        instance.next_try = Some(until);
    });
    let Some(mut placement) = txn.placement(&key.placement) else {
        return;
    };
    if placement.wish.target.count().is_some() {
        let refused = &mut placement.refused_by;
        let code = code::NO_ROOM;
        refused.insert(key.node.clone(), NodeRefusal { code, said, until });
        if refused.len() > limits::NODES_ASKED_MAX {
            let oldest = refused.iter().min_by_key(|(_, refusal)| refusal.until);
            let oldest = oldest.map(|(node, refusal)| (node.clone(), refusal.until));
            if let Some((node, until)) = oldest {
                refused.remove(&node);
                placement.ask_last(node, until);
            }
        }
        txn.put(
            Key::Placement(key.placement.clone()),
            Vertex::Placement(placement),
        )
        .expect("a placement has no transitions");
    }
}
