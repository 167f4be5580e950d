//! What people say of nodes: that one takes nothing new, is to be empty, is worked on, is labelled so, is no part of the
//! cluster any more. What follows from it for instances, rules decide.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::label::{self, BadLabel};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{Bearer, InstanceKey, NodeName, PlacementName, limits};
use mainstay_resource_graph::{
    Care, Cordon, Desired, Key, Kind, NodeState, Said, StationState, Target, Txn, View, ViewExt,
};

use super::access::revoke;
use super::{Result_, hosts, known_nodes, recorded, wish};
use crate::candidates;
use crate::env::Env;
use crate::event::NodeAct;
use crate::lease;
use crate::rules::place;
use crate::verb;

pub fn act(txn: &mut Txn<'_>, node: &NodeName, act: &NodeAct, by: &str, env: &Env) -> Result_ {
    known_nodes(txn, &BTreeSet::from([node.clone()]))?;
    sensible(act)?;
    let said = |why: &str| Said {
        by: by.to_owned(),
        why: why.to_owned(),
        at: env.now,
    };
    match act {
        NodeAct::Cordon { why } => cordon(txn, node, said(why)),
        NodeAct::Drain { why, force } => drain(txn, node, (said(why), *force), env),
        NodeAct::Uncordon => uncordon(txn, node),
        NodeAct::Label { labels, force } => set_labels(txn, node, (labels, *force)),
        NodeAct::ConfirmDead { why } => confirm_dead(txn, node, said(why), env),
        NodeAct::Remove => remove(txn, node, by, env),
        NodeAct::Restart { why, force } => hosts::restart(txn, node, said(why), *force, env),
    }
}

fn sensible(act: &NodeAct) -> Result<(), Refusal> {
    let refused = |text: String| Err(Refusal::new(code::BAD_REQUEST, text));
    match act {
        NodeAct::Cordon { why }
        | NodeAct::Drain { why, .. }
        | NodeAct::ConfirmDead { why }
        | NodeAct::Restart { why, .. }
            if why.len() > limits::SAID_BYTES_MAX =>
        {
            let max = limits::SAID_BYTES_MAX;
            refused(format!(
                "a reason of {} bytes; at most {max} are kept",
                why.len()
            ))
        }
        NodeAct::Label { labels, .. } if labels.is_empty() => {
            refused("no label is said; write role=web, or role- to take one away".to_owned())
        }
        NodeAct::Label { labels, .. } => labels
            .iter()
            .try_for_each(is_label)
            .or_else(|bad| refused(bad.to_string())),
        NodeAct::Cordon { .. }
        | NodeAct::Drain { .. }
        | NodeAct::Uncordon
        | NodeAct::ConfirmDead { .. }
        | NodeAct::Restart { .. }
        | NodeAct::Remove => Ok(()),
    }
}

/// Any can be taken away.
fn is_label((name, value): (&String, &Option<String>)) -> Result<(), BadLabel> {
    let Some(value) = value else { return Ok(()) };
    label::pair(name, value)
}

fn care(txn: &Txn<'_>, node: &NodeName) -> Care {
    txn.node(node).expect("it is known").care
}

fn set_care(txn: &mut Txn<'_>, node: &NodeName, care: Care) {
    txn.update_node(node, |node| {
        node.labels = care.over(&node.sysinfo.labels);
        node.care = care;
    })
    .expect("every state of a node may follow itself");
}

fn cordon(txn: &mut Txn<'_>, node: &NodeName, said: Said) -> Result_ {
    let care = care(txn, node);
    if let Some(cordon) = &care.cordon {
        let how = if cordon.drains { "drained" } else { "cordoned" };
        let text = format!("{node} is {how} already, {}", cordon.said);
        return Ok(recorded(Vec::new(), text));
    }
    let cordon = Some(Cordon {
        said,
        drains: false,
        forced: false,
    });
    set_care(txn, node, Care { cordon, ..care });
    let text = format!("{node} takes no new instances; what is there stays");
    Ok(recorded(Vec::new(), text))
}

fn drain(txn: &mut Txn<'_>, node: &NodeName, (said, force): (Said, bool), env: &Env) -> Result_ {
    let care = care(txn, node);
    let running = running(txn, node);
    if let Some(cordon) = care.cordon.clone().filter(|cordon| cordon.drains) {
        let mut text = format!("{node} is drained already, {}", cordon.said);
        if force && !cordon.forced {
            text.push_str("; no minimum holds it up any more");
            let cordon = Some(Cordon {
                forced: true,
                ..cordon
            });
            set_care(txn, node, Care { cordon, ..care });
        }
        return Ok(recorded(running, text));
    }
    let mut broken = broken(txn, node, &running);
    let cordon = Some(Cordon {
        said,
        drains: true,
        forced: force,
    });
    let before = txn.savepoint();
    set_care(txn, node, Care { cordon, ..care });
    if !broken.is_empty() && !force {
        let moving = that_move(txn, &running, env);
        broken.retain(|name, _| !moving.contains(name));
    }
    if !broken.is_empty() && !force {
        txn.rollback(before);
        let broken: Vec<String> = broken.into_values().collect();
        let text = format!(
            "{}: start it on another node first, or end it all the same with --force",
            broken.join("; ")
        );
        return Err(Refusal::new(code::REFUSED_BY_SAFETY, text));
    }
    let text = match running.len() {
        0 => format!("{node} is empty, and takes no new instances"),
        1 => format!("{node} is to be empty: 1 instance ends"),
        many => format!("{node} is to be empty: {many} instances end"),
    };
    Ok(recorded(running, text))
}

/// Of what goes from a node: of which placements too few would serve.
fn broken(
    txn: &Txn<'_>,
    node: &NodeName,
    going: &[InstanceKey],
) -> BTreeMap<PlacementName, String> {
    let breaks = going.iter().filter_map(|key| {
        let breaks = breaks(txn, &key.placement, node)?;
        Some((key.placement.clone(), breaks))
    });
    breaks.collect()
}

/// What is wanted and may live there.
pub(super) fn running(txn: &Txn<'_>, node: &NodeName) -> Vec<InstanceKey> {
    let mut all = txn.instances_on(node);
    all.retain(|key| {
        txn.instance(key)
            .is_some_and(|one| one.desired == Desired::Running && one.state.may_be_live())
    });
    all
}

/// That too few of a placement would serve without the node.
fn breaks(txn: &Txn<'_>, name: &PlacementName, node: &NodeName) -> Option<String> {
    let minimum = txn.placement(name).map_or(0, |one| one.wish.minimum) as usize;
    match verb::serving_elsewhere(txn, name, node, minimum.max(1)) {
        0 if minimum <= 1 => Some(format!("nothing would be left of {name}")),
        left if left < minimum => Some(format!(
            "{left} of {name} would serve, and at least {minimum} are to (its minimum)"
        )),
        _ => None,
    }
}

/// Of a node that is to be empty: those of so many that find another one, each beside what those before it have found. One
/// place is one's.
fn that_move(txn: &mut Txn<'_>, running: &[InstanceKey], env: &Env) -> BTreeSet<PlacementName> {
    let before = txn.savepoint();
    let mut moving = BTreeSet::new();
    for key in running {
        let name = &key.placement;
        let placement = txn.placement(name).expect("it has instances");
        let Some(count) = placement.wish.target.count() else {
            continue;
        };
        let kept = candidates::kept(txn, name, &placement);
        let is_replaced = kept.len() >= count.count as usize;
        let best = candidates::best(txn, name, &placement, (count, &kept));
        if let Some(node) = best.first() {
            let other = InstanceKey::new(node.clone(), name.clone());
            place::have(txn, &other, &placement, env);
        }
        if is_replaced || !best.is_empty() {
            moving.insert(name.clone());
        }
    }
    txn.rollback(before);
    moving
}

fn uncordon(txn: &mut Txn<'_>, node: &NodeName) -> Result_ {
    let care = care(txn, node);
    if care.cordon.is_none() {
        let text = format!("{node} takes instances already");
        return Ok(recorded(Vec::new(), text));
    }
    set_care(
        txn,
        node,
        Care {
            cordon: None,
            ..care
        },
    );
    let text = format!("{node} takes instances again; what is wanted there starts");
    Ok(recorded(Vec::new(), text))
}

fn set_labels(
    txn: &mut Txn<'_>,
    name: &NodeName,
    (labels, force): (&BTreeMap<String, Option<String>>, bool),
) -> Result_ {
    let node = txn.node(name).expect("it is known");
    let mut care = node.care;
    for (label, value) in labels {
        // What its agent says anyway need not be said over it.
        let brought = node.sysinfo.labels.get(label);
        match brought == value.as_ref() {
            true => care.labels.remove(label),
            false => care.labels.insert(label.clone(), value.clone()),
        };
    }
    let now = care.over(&node.sysinfo.labels);
    if now.len() > limits::NODE_LABELS_MAX {
        let text = format!(
            "{name} would have {} labels; at most {} are kept",
            now.len(),
            limits::NODE_LABELS_MAX
        );
        return Err(Refusal::new(code::BAD_REQUEST, text));
    }
    if now == node.labels {
        let text = format!("{name} has these labels already");
        return Ok(recorded(Vec::new(), text));
    }
    let mut leaving = running(txn, name);
    leaving.retain(|key| {
        let placement = txn.placement(&key.placement);
        placement.is_some_and(|one| !one.wish.target.includes(name, &now))
    });
    // What is not meant to be there any more ends at once, whether or not it is to begin elsewhere.
    let broken = broken(txn, name, &leaving);
    if !force && !broken.is_empty() {
        let broken: Vec<String> = broken.into_values().collect();
        let text = format!(
            "{}: have it on another node first, or label {name} all the same with --force",
            broken.join("; ")
        );
        return Err(Refusal::new(code::REFUSED_BY_SAFETY, text));
    }
    set_care(txn, name, care);
    let text = match leaving.is_empty() {
        true => format!("{name} is labelled; placements follow their labels"),
        false => format!("{name} is labelled; what leaves it: {}", names(&leaving)),
    };
    Ok(recorded(leaving, text))
}

/// Somebody has seen that it is off: nobody need wait any longer.
fn confirm_dead(txn: &mut Txn<'_>, name: &NodeName, said: Said, env: &Env) -> Result_ {
    match txn.node(name).map(|node| node.state) {
        Some(NodeState::Online) | None => {
            let text = format!(
                "the agent of {name} is connected, so it is not dead: drain {name} to take it out of service"
            );
            Err(Refusal::new(code::REFUSED_BY_SAFETY, text))
        }
        Some(NodeState::Lost) => {
            let ended = verb::end_leases(txn, name, env);
            let text = match ended.is_empty() {
                true => format!("{name} is given up already"),
                false => format!(
                    "{name} is given up already; nobody waits any longer for {}",
                    names(&ended)
                ),
            };
            Ok(recorded(ended, text))
        }
        Some(NodeState::Isolated) => {
            let text = format!(
                "the station does not see {name}, and others see its agent at work, so it is not dead: look at the way there, or switch it off first"
            );
            Err(Refusal::new(code::REFUSED_BY_SAFETY, text))
        }
        Some(NodeState::Suspect | NodeState::AgentDown) => {
            let given_up = verb::is_off(txn, name, format!("it is dead, {said}"), env);
            let text = match given_up.len() {
                0 => format!("{name} is given up; nothing was there"),
                1 => format!("{name} is given up, and 1 instance with it"),
                many => format!("{name} is given up, and {many} instances with it"),
            };
            Ok(recorded(given_up, text))
        }
    }
}

fn names(keys: &[InstanceKey]) -> String {
    let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// It is no part of the cluster any more. What may still run on it is nobody's; it comes back by a new token only.
fn remove(txn: &mut Txn<'_>, node: &NodeName, by: &str, env: &Env) -> Result_ {
    may_go(txn, node)?;
    let mut held = verb::may_run_alone(txn, node, env);
    let strays = txn.node(node).map(|found| found.strays).unwrap_or_default();
    let strays = strays
        .into_keys()
        .filter(|name| lease::of(txn, name).is_some());
    held.extend(strays.map(|name| InstanceKey::new(node.clone(), name)));
    if !held.is_empty() {
        let text = format!(
            "{} may still run on {node}, and at most one of it may run: when {node} is off, confirm that it is dead, and then remove it",
            names(&held)
        );
        return Err(Refusal::new(code::REFUSED_BY_SAFETY, text));
    }
    let broken = narrowed(txn, node);
    if !broken.is_empty() {
        let text = format!(
            "{}: delete it, or name other nodes for it first",
            broken.join("; ")
        );
        return Err(Refusal::new(code::REFUSED_BY_SAFETY, text));
    }
    // They leave as all others do: whoever waits for their end is told.
    for key in txn.instances_on(node) {
        verb::change(txn, &key, |instance| instance.desired = Desired::Absent);
        let text = format!("{node} is no part of the cluster any more");
        verb::settle_stopped(txn, &key, Reason::new(code::NOT_WANTED, text));
    }
    let of_node = |key: &Key| match key {
        Key::Asked(id) => txn
            .asked(*id)
            .is_some_and(|asked| asked.instance.node == *node),
        _ => false,
    };
    let mut parts: Vec<Key> = txn.keys(Kind::Asked).into_iter().filter(of_node).collect();
    parts.extend(txn.commands_for(node));
    parts.push(Key::Supervisor(node.clone()));
    parts.push(Key::Outbox(node.clone()));
    parts.push(Key::Node(node.clone()));
    for part in parts {
        txn.remove(&part);
    }
    let bearer = Bearer::Agent(node.clone());
    // On one machine only nobody has an identity, and whoever finds the station's socket is let in.
    let back = match txn.record(&Key::Identity(bearer.clone())) {
        Some(_) => {
            revoke(txn, &bearer, by, "its node was removed")?;
            "it comes back with a new token only"
        }
        None => "should its agent still live, it comes back as a new node: end that as well",
    };
    let text = format!("{node} is no part of the cluster any more; {back}");
    Ok(recorded(Vec::new(), text))
}

fn may_go(txn: &Txn<'_>, node: &NodeName) -> Result<(), Refusal> {
    let refused = |text| Err(Refusal::new(code::REFUSED_BY_SAFETY, text));
    let station = txn.stations().into_iter().find(|(_, station)| {
        station.node.as_ref() == Some(node) && station.state != StationState::Removed
    });
    if let Some((station, _)) = station {
        return refused(format!(
            "station {station} runs on {node}: remove that first, or the group loses a vote"
        ));
    }
    match txn.node(node).map(|node| node.state) {
        Some(NodeState::Online) => refused(format!(
            "the agent of {node} is connected: drain {node}, and end its agent first"
        )),
        Some(NodeState::Isolated) => refused(format!(
            "{node} lives, and is cut off from the station: mend that first, or say `node confirm-dead {node}` if it is off by now"
        )),
        Some(NodeState::Suspect | NodeState::AgentDown | NodeState::Lost) | None => Ok(()),
    }
}

/// Placements that name it go on without it; what would be left with too few is told, and nothing is changed.
fn narrowed(txn: &mut Txn<'_>, node: &NodeName) -> Vec<String> {
    let mut naming = Vec::new();
    for key in txn.keys(Kind::Placement) {
        let Key::Placement(name) = key else { continue };
        let placement = txn.placement(&name).expect("it was listed");
        match &placement.wish.target {
            Target::Nodes(nodes) if nodes.contains(node) => naming.push((name, placement)),
            Target::Nodes(_) | Target::All(_) | Target::Count(_) => {}
        }
    }
    let broken = naming.iter().filter_map(|(name, placement)| {
        let Target::Nodes(nodes) = &placement.wish.target else {
            return None;
        };
        if let Some(from) = placement.moves_to(node) {
            return Some(format!("{name}@{from} moves to {node}, and that is not over"));
        }
        let minimum = placement.wish.minimum as usize;
        match nodes.len() - 1 {
            0 => Some(format!("{name} is wanted on {node} alone")),
            // As few as that may never be down: nobody could update it any more.
            left if minimum > 0 && left <= minimum => Some(format!(
                "{name} would be wanted on {left} nodes, and at least {minimum} of it are to serve (its minimum)"
            )),
            _ => None,
        }
    });
    let broken: Vec<String> = broken.collect();
    if !broken.is_empty() {
        return broken;
    }
    for (name, placement) in naming {
        let mut next = placement.wish.clone();
        if let Target::Nodes(nodes) = &mut next.target {
            nodes.remove(node);
        }
        next.on_nodes.remove(node);
        wish::retarget(txn, &name, placement, next, None);
    }
    Vec::new()
}
