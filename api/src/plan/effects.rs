//! What a changed wish means for instances: which start, which are given another configuration, which stop.

use std::collections::BTreeSet;

use mainstay_coordinator::{PlacementWish, candidates, config};
use mainstay_protocol::{InstanceKey, NodeName, PlacementName, Timestamp};
use mainstay_resource_graph::{
    Desired, Instance, InstanceState, Key, Kind, Made, NameKey, Node, NodeState, Placement,
    Strategy, Target, Update, View, ViewExt,
};

use crate::types::{InstanceAct, InstanceChange};

#[derive(Default)]
pub struct Effects {
    pub instances: Vec<InstanceChange>,
    /// Of so many, those that would find no node, with what the nodes say.
    pub unplaced: Option<String>,
}

/// A wish that is put, beside what there is.
pub fn of_put(view: &dyn View, wish: &PlacementWish, have: Option<&Placement>) -> Effects {
    let mut changes = Vec::new();
    let (chosen, unplaced) = chosen(view, wish, have).unzip();
    for (name, node) in nodes(view) {
        let key = InstanceKey::new(name.clone(), wish.name.clone());
        let wanted = match &chosen {
            Some(chosen) => chosen.contains(&name),
            None => wish.target.includes(&name, &node.labels),
        };
        let instance = view.instance(&key);
        let there = instance
            .as_ref()
            .filter(|instance| instance.desired != Desired::Absent);
        let change = match (there, wanted) {
            (None, false) => None,
            (None, true) if chosen.is_some() => Some(change(
                &key,
                InstanceAct::Start,
                "as things are; its node is chosen when it is applied",
            )),
            (None, true) => Some(started(view, wish, &name, &node, &key)),
            (Some(instance), false) if chosen.is_some() => {
                stopped(&key, instance, "there are enough elsewhere")
            }
            (Some(instance), false) => stopped(&key, instance, "its node is no longer a target"),
            (Some(instance), true) => reconfigured(view, wish, have, &key, instance),
        };
        changes.extend(change.map(|change| when_back(change, &name, &node)));
    }
    Effects {
        instances: changes,
        unplaced: unplaced.flatten(),
    }
}

/// A placement that is deleted.
pub fn of_delete(view: &dyn View, placement: &PlacementName) -> Vec<InstanceChange> {
    view.instances_of(placement)
        .iter()
        .filter_map(|key| stopped(key, &view.instance(key)?, "its placement is deleted"))
        .collect()
}

/// In which steps a change reaches the instances.
pub fn steps(update: &Update) -> String {
    let how = match update.strategy {
        Strategy::All => "all at once".to_owned(),
        Strategy::Rolling { at_once: 1 } => "one at a time".to_owned(),
        Strategy::Rolling { at_once } => format!("{at_once} at a time"),
        Strategy::Canary => "one first, then the rest".to_owned(),
    };
    let wait = match update.wait_ms {
        0 => String::new(),
        ms => format!(", each {} healthy", crate::shapes::duration_text(ms)),
    };
    match update.rollback {
        true => format!("{how}{wait}, taken back if one fails"),
        false => format!("{how}{wait}, stays as it is if one fails"),
    }
}

fn nodes(view: &dyn View) -> Vec<(NodeName, Node)> {
    let names = view.keys(Kind::Node).into_iter();
    names
        .filter_map(|key| match key {
            Key::Node(name) => view.node(&name).map(|node| (name, node)),
            _ => None,
        })
        .collect()
}

/// Where so many would be, as things are; and what is against the others.
fn chosen(
    view: &dyn View,
    wish: &PlacementWish,
    have: Option<&Placement>,
) -> Option<(BTreeSet<NodeName>, Option<String>)> {
    let Target::Count(count) = &wish.target else {
        return None;
    };
    let (hash, _) = config::canonical(&wish.config).ok()?;
    let as_wish = wish.with(hash);
    let made = Made::new(Timestamp(0), "a plan");
    let placement = match have {
        Some(have) => {
            let mut placement = have.clone();
            placement.change(as_wish, made, None, false);
            placement
        }
        None => {
            let name = wish.service_type.clone();
            let holds = wish.holds.clone();
            Placement {
                holds,
                ..Placement::new(name, as_wish, made, view.revision())
            }
        }
    };
    let chosen = candidates::nodes(view, &wish.name, &placement, count);
    let missing = (count.count as usize).saturating_sub(chosen.len());
    let unplaced = candidates::shortage(view, &wish.name, &placement, (missing, &chosen));
    Some((chosen, unplaced))
}

fn change(key: &InstanceKey, act: InstanceAct, text: impl Into<String>) -> InstanceChange {
    InstanceChange {
        reference: key.to_string(),
        act,
        text: text.into(),
    }
}

fn started(
    view: &dyn View,
    wish: &PlacementWish,
    name: &NodeName,
    node: &Node,
    key: &InstanceKey,
) -> InstanceChange {
    if !node.provides.contains_key(&wish.service_type) {
        let text = format!("stays Blocked: {name} does not have the type");
        return change(key, InstanceAct::Start, text);
    }
    let asked = (&wish.service_type, wish.holds.as_ref());
    let slot = candidates::slot_name(view, &wish.name, asked);
    let holder = view.holder(&NameKey::new(name.clone(), slot.clone()));
    let waits = holder
        .filter(|holder| holder != key)
        .map(|holder| format!("waits for the name {slot}, which {holder} holds"));
    change(key, InstanceAct::Start, waits.unwrap_or_default())
}

fn reconfigured(
    view: &dyn View,
    wish: &PlacementWish,
    have: Option<&Placement>,
    key: &InstanceKey,
    instance: &Instance,
) -> Option<InstanceChange> {
    let hash = have?.wish.config_on(&key.node).clone();
    let now = view.configuration(&Key::Configuration(hash))?;
    let (_, then) = mainstay_coordinator::config::canonical(&wish.config).ok()?;
    if now == then {
        return None;
    }
    let text = match instance.state {
        _ if instance.desired == Desired::Stopped => {
            "stays stopped, and takes it up when it is started"
        }
        InstanceState::Quarantined
        | InstanceState::Backoff { .. }
        | InstanceState::Failed { .. } => "is tried again with a clean sheet",
        InstanceState::Running
        | InstanceState::Degraded
        | InstanceState::Unresponsive { .. }
        | InstanceState::Unknown { .. }
        | InstanceState::Lost { .. } => "in place if the service can, else by a restart",
        InstanceState::Pending
        | InstanceState::Blocked
        | InstanceState::Starting
        | InstanceState::Stopping { .. }
        | InstanceState::Stopped { .. } => "takes it up with its next start",
    };
    Some(change(key, InstanceAct::Reconfigure, text))
}

fn stopped(key: &InstanceKey, instance: &Instance, why: &str) -> Option<InstanceChange> {
    let over = matches!(instance.state, InstanceState::Stopped { .. })
        && instance.desired != Desired::Running;
    (!over).then(|| change(key, InstanceAct::Stop, why))
}

/// Of a node that is away everything waits.
fn when_back(change: InstanceChange, name: &NodeName, node: &Node) -> InstanceChange {
    if node.state == NodeState::Online {
        return change;
    }
    let when = format!("when {name} is back");
    let text = match change.text.is_empty() {
        true => when,
        false => format!("{}; {when}", change.text),
    };
    InstanceChange { text, ..change }
}
