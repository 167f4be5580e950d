//! What people say of nodes: that one takes nothing new, is to be empty, is worked on, is labelled so, is no part of the
//! cluster any more. What follows from it for instances, rules decide.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{Bearer, InstanceKey, NodeName, PlacementName, limits};
use mainstay_resource_graph::{
    Care, Cordon, Desired, Key, Kind, Leased, Maintenance, NodeState, Said, StationState, Target,
    Txn, View, ViewExt,
};

use super::access::revoke;
use super::{Result_, known_nodes, recorded, wish};
use crate::candidates;
use crate::env::Env;
use crate::event::NodeAct;
use crate::lease;
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
        NodeAct::Drain { why, force } => drain(txn, node, said(why), *force),
        NodeAct::Uncordon => uncordon(txn, node),
        NodeAct::Maintain { why, within } => {
            let until = within.map(|within| env.now + within);
            maintain(
                txn,
                node,
                Maintenance {
                    said: said(why),
                    until,
                },
            )
        }
        NodeAct::EndMaintenance => end_maintenance(txn, node, env),
        NodeAct::Label(labels) => label(txn, node, labels),
        NodeAct::ConfirmDead { why } => confirm_dead(txn, node, said(why), env),
        NodeAct::Remove => remove(txn, node, by, env),
    }
}

fn sensible(act: &NodeAct) -> Result<(), Refusal> {
    let refused = |text: String| Err(Refusal::new(code::BAD_REQUEST, text));
    match act {
        NodeAct::Cordon { why }
        | NodeAct::Drain { why, .. }
        | NodeAct::Maintain { why, .. }
        | NodeAct::ConfirmDead { why }
            if why.len() > limits::SAID_BYTES_MAX =>
        {
            let max = limits::SAID_BYTES_MAX;
            refused(format!(
                "a reason of {} bytes; at most {max} are kept",
                why.len()
            ))
        }
        NodeAct::Maintain { within, .. } if within.is_some_and(|within| within.is_zero()) => {
            refused("it would be over at once; say how long it takes, as in 30m".to_owned())
        }
        NodeAct::Label(labels) if labels.is_empty() => {
            refused("no label is said; write role=web, or role- to take one away".to_owned())
        }
        NodeAct::Label(labels) if !labels.iter().all(is_label) => {
            let max = limits::NODE_LABEL_BYTES_MAX;
            refused(format!(
                "a label has a name, and name and value have at most {max} bytes each"
            ))
        }
        NodeAct::Cordon { .. }
        | NodeAct::Drain { .. }
        | NodeAct::Uncordon
        | NodeAct::Maintain { .. }
        | NodeAct::EndMaintenance
        | NodeAct::Label(_)
        | NodeAct::ConfirmDead { .. }
        | NodeAct::Remove => Ok(()),
    }
}

fn is_label((name, value): (&String, &Option<String>)) -> bool {
    let max = limits::NODE_LABEL_BYTES_MAX;
    let value_bytes = value.as_ref().map_or(0, String::len);
    !name.is_empty() && name.len() <= max && value_bytes <= max
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
    });
    set_care(txn, node, Care { cordon, ..care });
    let text = format!("{node} takes no new instances; what is there stays");
    Ok(recorded(Vec::new(), text))
}

fn drain(txn: &mut Txn<'_>, node: &NodeName, said: Said, force: bool) -> Result_ {
    let care = care(txn, node);
    if let Some(said) = care.drains() {
        let text = format!("{node} is drained already, {said}");
        return Ok(recorded(running(txn, node), text));
    }
    let running = running(txn, node);
    let last: Vec<String> = running
        .iter()
        .filter(|key| !runs_elsewhere(txn, &key.placement, node) && !moves(txn, &key.placement))
        .map(|key| key.placement.to_string())
        .collect();
    if !last.is_empty() && !force {
        let text = format!(
            "nothing would be left of {}: start it on another node first, or end it all the same with --force",
            last.join(", ")
        );
        return Err(Refusal::new(code::REFUSED_BY_SAFETY, text));
    }
    let cordon = Some(Cordon { said, drains: true });
    set_care(txn, node, Care { cordon, ..care });
    let text = match running.len() {
        0 => format!("{node} is empty, and takes no new instances"),
        1 => format!("{node} is to be empty: 1 instance ends"),
        many => format!("{node} is to be empty: {many} instances end"),
    };
    Ok(recorded(running, text))
}

/// What is wanted and may live there.
fn running(txn: &Txn<'_>, node: &NodeName) -> Vec<InstanceKey> {
    let mut all = txn.instances_on(node);
    all.retain(|key| {
        txn.instance(key)
            .is_some_and(|one| one.desired == Desired::Running && one.state.may_be_live())
    });
    all
}

fn runs_elsewhere(txn: &Txn<'_>, placement: &PlacementName, node: &NodeName) -> bool {
    txn.instances_of(placement).iter().any(|key| {
        let serves = txn
            .instance(key)
            .is_some_and(|one| one.state.is_serving() && one.desired == Desired::Running);
        let stays = txn
            .node(&key.node)
            .is_some_and(|there| there.care.drains().is_none());
        key.node != *node && serves && stays
    })
}

/// One of so many, and another node takes it.
fn moves(txn: &Txn<'_>, name: &PlacementName) -> bool {
    let placement = txn.placement(name).expect("it has instances");
    let takes_it = || candidates::answers(txn, name, &placement);
    placement.wish.target.count().is_some() && takes_it().values().any(Option::is_none)
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

fn maintain(txn: &mut Txn<'_>, node: &NodeName, maintenance: Maintenance) -> Result_ {
    let care = care(txn, node);
    let text = match (&care.maintenance, maintenance.until) {
        (None, None) => format!(
            "{node} is in maintenance until somebody ends it: whatever happens there is left as it is"
        ),
        (None, Some(_)) => {
            format!("{node} is in maintenance: whatever happens there is left as it is")
        }
        // The newest word counts: it may be needed for longer.
        (Some(_), _) => format!("{node} stays in maintenance, as was said now"),
    };
    txn.update_node(node, |node| {
        node.care.maintenance = Some(maintenance);
        node.lost_at = None;
    })
    .expect("every state of a node may follow itself");
    Ok(recorded(Vec::new(), text))
}

fn end_maintenance(txn: &mut Txn<'_>, node: &NodeName, env: &Env) -> Result_ {
    let care = care(txn, node);
    if care.maintenance.is_none() {
        let text = format!("{node} is not in maintenance");
        return Ok(recorded(Vec::new(), text));
    }
    verb::end_maintenance(txn, node, env);
    let text = format!("the maintenance of {node} is over; what is there is judged again");
    Ok(recorded(Vec::new(), text))
}

fn label(txn: &mut Txn<'_>, name: &NodeName, labels: &BTreeMap<String, Option<String>>) -> Result_ {
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
    set_care(txn, name, care);
    Ok(recorded(
        Vec::new(),
        format!("{name} is labelled; placements follow their labels"),
    ))
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
            let ended = end_leases(txn, name, env);
            let text = match ended.is_empty() {
                true => format!("{name} is given up already"),
                false => format!(
                    "{name} is given up already; nobody waits any longer for {}",
                    names(&ended)
                ),
            };
            Ok(recorded(ended, text))
        }
        Some(NodeState::AgentDown) => {
            let why = Reason::new(code::NODE_LOST, format!("it is dead, {said}"));
            let given_up = verb::give_up(txn, name, why);
            end_leases(txn, name, env);
            let text = match given_up.len() {
                0 => format!("{name} is given up; nothing was there"),
                1 => format!("{name} is given up, and 1 instance with it"),
                many => format!("{name} is given up, and {many} instances with it"),
            };
            Ok(recorded(given_up, text))
        }
    }
}

/// Whoever says that a node is off says it of every singleton on it, however long its lease.
fn end_leases(txn: &mut Txn<'_>, node: &NodeName, env: &Env) -> Vec<InstanceKey> {
    let mut held = may_run_alone(txn, node, env);
    for key in &held {
        verb::change(txn, key, |instance| {
            let lease = instance.lease.unwrap_or(Leased {
                lease_ms: 0,
                stop_ms: 0,
                ends: None,
            });
            instance.lease = Some(Leased {
                ends: Some(env.now),
                ..lease
            });
        });
    }
    held.sort();
    held
}

/// Singletons that may still run on a node that is away: their leases are not over.
fn may_run_alone(txn: &Txn<'_>, node: &NodeName, env: &Env) -> Vec<InstanceKey> {
    let mut held = txn.instances_on(node);
    held.retain(|key| {
        lease::of(txn, &key.placement).is_some()
            && txn
                .instance(key)
                .is_some_and(|one| lease::may_run(key, &one, env.now).is_some())
    });
    held
}

fn names(keys: &[InstanceKey]) -> String {
    let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// It is no part of the cluster any more. What may still run on it is nobody's; it comes back by a new token only.
fn remove(txn: &mut Txn<'_>, node: &NodeName, by: &str, env: &Env) -> Result_ {
    may_go(txn, node)?;
    let mut held = may_run_alone(txn, node, env);
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
    let alone = narrowed(txn, node);
    if !alone.is_empty() {
        let text = format!(
            "{} is wanted on {node} alone: delete it, or name other nodes for it first",
            alone.join(", ")
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
    if txn.record(&Key::Identity(bearer.clone())).is_some() {
        revoke(txn, &bearer, by, "its node was removed")?;
    }
    let text =
        format!("{node} is no part of the cluster any more; it comes back with a new token only");
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
        Some(NodeState::AgentDown | NodeState::Lost) | None => Ok(()),
    }
}

/// Placements that name it go on without it; those that it is the only one of are told, and nothing is changed.
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
    let is_alone = |target: &Target| matches!(target, Target::Nodes(nodes) if nodes.len() == 1);
    let alone: Vec<String> = naming
        .iter()
        .filter(|(_, placement)| is_alone(&placement.wish.target))
        .map(|(name, _)| name.to_string())
        .collect();
    if !alone.is_empty() {
        return alone;
    }
    for (name, placement) in naming {
        let mut next = placement.wish.clone();
        if let Target::Nodes(nodes) = &mut next.target {
            nodes.remove(node);
        }
        next.on_nodes.remove(node);
        wish::replace(txn, &name, placement, next, None);
    }
    Vec::new()
}
