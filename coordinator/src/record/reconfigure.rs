//! Changes of what runs: another configuration, everywhere or on some nodes first; an earlier wish again; a start that
//! ignores what is wanted.

use std::collections::BTreeSet;

use mainstay_protocol::code;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{Generation, InstanceKey, NodeName, PlacementName};
use mainstay_resource_graph::{
    ConfigHash, Configuration, Desired, Key, Kind, Past, Placement, Txn, Vertex, View, ViewExt,
    Wish,
};

use super::operation::{Result_, on_its_way_out, recorded};
use super::wish::{depends, is_current, refuse_leaving, replace, valid_config};
use super::{room, unknown};
use crate::config;
use crate::event::{BasedOn, Reconfigure};
use crate::verb;

pub fn reconfigure(txn: &mut Txn<'_>, asked: &Reconfigure) -> Result_ {
    let name = &asked.placement;
    let placement = known(txn, name)?;
    refuse_leaving(name, &placement)?;
    let (hash, json) = valid_config(txn, &placement.service_type, &asked.config)?;
    let mut wish = placement.wish.clone();
    match &asked.on {
        None => {
            wish.config = hash.clone();
            wish.on_nodes.clear();
        }
        Some(nodes) => {
            have_it(txn, name, nodes)?;
            let on = nodes.iter().map(|node| (node.clone(), hash.clone()));
            wish.on_nodes.extend(on);
            gather(&mut wish, &txn.instances_of(name));
        }
    }
    if wish == placement.wish {
        let text = format!("{name} is so already (generation {})", placement.generation);
        return Ok(recorded(Vec::new(), text));
    }
    is_current(txn, name, Some(&placement), asked.based_on)?;
    txn.put(
        Key::Configuration(hash),
        Vertex::Configuration(Configuration { json }),
    )
    .expect("a configuration has no transitions");
    let generation = placement.generation.next();
    replace(txn, name, placement, wish, None);
    let mut instances = txn.instances_of(name);
    if let Some(nodes) = &asked.on {
        instances.retain(|key| nodes.contains(&key.node));
    }
    let text = format!("{name} is given another configuration (generation {generation})");
    Ok(recorded(instances, text))
}

fn known(txn: &Txn<'_>, name: &PlacementName) -> Result<Placement, Refusal> {
    txn.placement(name).ok_or_else(|| {
        let text = name.as_str();
        unknown(code::NOT_FOUND, "the placement", text, txn, Kind::Placement)
    })
}

fn have_it(txn: &Txn<'_>, name: &PlacementName, nodes: &BTreeSet<NodeName>) -> Result<(), Refusal> {
    let without = nodes.iter().find(|node| {
        txn.instance(&InstanceKey::new((*node).clone(), name.clone()))
            .is_none()
    });
    match without {
        None => Ok(()),
        Some(node) => Err(Refusal::new(
            code::NOT_FOUND,
            format!("{name} has no instance on {node}"),
        )),
    }
}

/// What every instance shall have is what the placement wants; what a node has of the placement's needs no saying.
fn gather(wish: &mut Wish, instances: &[InstanceKey]) {
    let configs: BTreeSet<ConfigHash> = instances
        .iter()
        .map(|key| wish.config_on(&key.node).clone())
        .collect();
    if configs.len() == 1 {
        wish.config = configs.into_iter().next().unwrap_or(wish.config.clone());
        wish.on_nodes.clear();
    }
    let config = wish.config.clone();
    wish.on_nodes.retain(|_, other| *other != config);
}

/// An earlier wish, whole; the one before this where nobody says which.
pub fn rollback(
    txn: &mut Txn<'_>,
    name: &PlacementName,
    to: Option<Generation>,
    based_on: BasedOn,
) -> Result_ {
    let placement = known(txn, name)?;
    refuse_leaving(name, &placement)?;
    let past = match to {
        Some(generation) => placement
            .history
            .iter()
            .find(|past| past.generation == generation),
        // What was no good, or was never seen to be good, is nothing to go back to.
        None => placement
            .history
            .iter()
            .rev()
            .find(|past| past.proven && past.wish != placement.wish),
    };
    let Some(past) = past.cloned() else {
        return Err(no_such_wish(name, &placement, to));
    };
    is_current(txn, name, Some(&placement), based_on)?;
    if past.wish == placement.wish {
        let text = format!("{name} is as in generation {} already", past.generation);
        return Ok(recorded(Vec::new(), text));
    }
    let generation = placement.generation.next();
    let target = past.wish.target.clone();
    replace(txn, name, placement, past.wish, None);
    depends(txn, name)?;
    room::keeps_company(txn, name, &target)?;
    let text = format!(
        "{name} is again as in generation {} (now generation {generation})",
        past.generation
    );
    Ok(recorded(txn.instances_of(name), text))
}

fn no_such_wish(name: &PlacementName, placement: &Placement, to: Option<Generation>) -> Refusal {
    let known = |past: &Past| past.generation.to_string();
    let kept: Vec<String> = placement.history.iter().map(known).collect();
    let kept = match kept.is_empty() {
        true => "none is kept".to_owned(),
        false => format!("kept are {}", kept.join(", ")),
    };
    let text = match to {
        Some(generation) => format!("{name} has no generation {generation} to go back to; {kept}"),
        None => format!(
            "{name} has no earlier wish that ran and had settled; {kept}, each by its number"
        ),
    };
    Refusal::new(code::NOT_FOUND, text)
}

/// The instance begins with the configuration it last ran with, whatever is wanted by now; without one, with the
/// defaults of its type. That is what is wanted on its node from now on.
pub fn safe_start(txn: &mut Txn<'_>, key: &InstanceKey) -> Result_ {
    let placement = known(txn, &key.placement)?;
    refuse_leaving(&key.placement, &placement)?;
    let Some(instance) = txn.instance(key) else {
        let text = key.to_string();
        return Err(unknown(
            code::NOT_FOUND,
            "the instance",
            &text,
            txn,
            Kind::Instance,
        ));
    };
    if instance.desired == Desired::Absent {
        return Err(on_its_way_out(key));
    }
    let proven = instance
        .ran_with
        .filter(|hash| txn.record(&Key::Configuration(hash.clone())).is_some());
    let hash = match proven {
        Some(hash) => hash,
        None => {
            let (hash, json) = config::canonical("").expect("nothing is an empty object");
            txn.put(
                Key::Configuration(hash.clone()),
                Vertex::Configuration(Configuration { json }),
            )
            .expect("a configuration has no transitions");
            hash
        }
    };
    let mut wish = placement.wish.clone();
    wish.on_nodes.insert(key.node.clone(), hash.clone());
    let config = wish.config.clone();
    wish.on_nodes.retain(|_, other| *other != config);
    if wish != placement.wish {
        replace(txn, &key.placement, placement, wish, None);
    }
    verb::want_config(txn, key, &hash);
    verb::change(txn, key, |instance| {
        instance.desired = Desired::Running;
        instance.restart_asked = true;
    });
    let text = format!(
        "{key} is to start with config/{}, whatever else is wanted",
        hash.0
    );
    Ok(recorded(vec![key.clone()], text))
}
