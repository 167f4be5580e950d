//! What people ask for becomes wishes. A refusal changes nothing and says what is wrong.

mod switch;

use std::collections::BTreeSet;

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::words::nearest;
use mainstay_protocol::{Generation, InstanceKey, NodeName, SlotName};
use mainstay_resource_graph::{
    Configuration, Desired, Instance, InstanceState, Key, Kind, Parked, ParkedId, ParkedWhat,
    Placement, Relation, Target, Txn, Vertex, View, ViewExt,
};

use super::{is_online, unknown};
use crate::config;
use crate::env::Env;
use crate::event::{Operation, StartOn, StartPlacement};
use crate::verb;

/// An operation that was taken, before its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub instances: Vec<InstanceKey>,
    pub text: String,
    /// Whether it changed anything itself; what follows from it is not looked at.
    pub changed: bool,
    /// An event taken out of the parking place, to be recorded once more.
    pub requeued: Option<Vec<u8>>,
}

type Result_ = Result<Recorded, Refusal>;

pub fn operation(txn: &mut Txn<'_>, operation: &Operation, env: &Env) -> Result_ {
    let point = txn.savepoint();
    let mut recorded = match operation {
        Operation::Start(wish) => start(txn, wish, env),
        Operation::Stop { instance } => stop(txn, instance),
        Operation::Restart { instance } => restart(txn, instance),
        Operation::Clear { instance } => clear(txn, instance),
        Operation::Requeue { parked } => requeue(txn, parked),
        Operation::Drop { parked } => drop_parked(txn, parked),
        Operation::DisableRule { rule, by, why } => switch::off(txn, rule, by, why, env),
        Operation::EnableRule { rule } => switch::on(txn, rule),
    }?;
    recorded.changed = !txn.changed_since(point).is_empty();
    Ok(recorded)
}

fn recorded(instances: Vec<InstanceKey>, text: impl Into<String>) -> Recorded {
    Recorded {
        instances,
        text: text.into(),
        changed: false,
        requeued: None,
    }
}

fn start(txn: &mut Txn<'_>, wish: &StartPlacement, env: &Env) -> Result_ {
    let declaration = txn
        .service_type(&wish.service_type)
        .ok_or_else(|| {
            unknown(
                code::UNKNOWN_TYPE,
                "the type",
                wish.service_type.as_str(),
                txn,
                Kind::Type,
            )
        })?
        .declaration;
    fits_type(wish, declaration.holds.as_ref())?;
    if let StartOn::Nodes(nodes) = &wish.on {
        known_nodes(txn, nodes)?;
    }
    let (hash, json) = config::canonical(&wish.config)
        .map_err(|bad| Refusal::new(code::BAD_CONFIG, bad.to_string()))?;
    let configuration = Key::Configuration(hash.clone());
    let json = Configuration { json };
    let existing = txn.placement(&wish.name);
    let mut placement = existing.clone().unwrap_or_else(|| Placement {
        service_type: wish.service_type.clone(),
        holds: wish.holds.clone(),
        target: Target::Nodes(BTreeSet::new()),
        config: hash.clone(),
        generation: Generation(0),
        created: env.revision,
    });
    if let Some(differs) = difference(&placement, wish) {
        return Err(differs_from(wish, &differs));
    }
    if placement.config != hash && !is_at_rest(txn, wish) {
        let have = txn
            .configuration(&Key::Configuration(placement.config))
            .unwrap_or_default();
        let differs = config::difference(&have, &json.json);
        return Err(differs_from(wish, &format!("configuration: {differs}")));
    }
    txn.put(configuration.clone(), Vertex::Configuration(json))
        .expect("a configuration has no transitions");
    if placement.config != hash {
        placement.config = hash;
        for instance in txn.instances_of(&wish.name) {
            txn.relink(
                Key::Instance(instance),
                Relation::Wants,
                configuration.clone(),
            )
            .expect("both ends exist");
        }
    }
    placement.target = match (placement.target, &wish.on) {
        (_, StartOn::All) | (Target::All, StartOn::Nodes(_)) => Target::All,
        (Target::Nodes(have), StartOn::Nodes(more)) => {
            Target::Nodes(have.union(more).cloned().collect())
        }
    };
    if existing.as_ref() != Some(&placement) {
        placement.generation = placement.generation.next();
        txn.put(
            Key::Placement(wish.name.clone()),
            Vertex::Placement(placement),
        )
        .expect("a placement has no transitions");
    }
    Ok(wake(txn, wish))
}

/// `--holds` is for types whose name is not fixed.
fn fits_type(wish: &StartPlacement, fixed: Option<&SlotName>) -> Result<(), Refusal> {
    let (Some(asked), Some(fixed)) = (&wish.holds, fixed) else {
        return Ok(());
    };
    Err(Refusal::new(
        code::NAME_IS_FIXED,
        format!(
            "the type {} has the one name {fixed}; --holds {asked} is for generic types only",
            wish.service_type
        ),
    ))
}

/// Nothing of the placement lives or is being tried: only then does another configuration take its place here.
fn is_at_rest(txn: &Txn<'_>, wish: &StartPlacement) -> bool {
    txn.instances_of(&wish.name)
        .iter()
        .filter_map(|key| txn.instance(key))
        .all(|instance| instance.state.needs_waking())
}

fn differs_from(wish: &StartPlacement, differs: &str) -> Refusal {
    Refusal::new(
        code::PLACEMENT_DIFFERS,
        format!("the placement {} exists and differs: {differs}", wish.name),
    )
}

fn known_nodes(txn: &Txn<'_>, nodes: &BTreeSet<NodeName>) -> Result<(), Refusal> {
    if nodes.is_empty() {
        return Err(Refusal::new(
            code::BAD_REQUEST,
            "no node is named; say --on NODE or --all",
        ));
    }
    match nodes.iter().find(|node| txn.node(node).is_none()) {
        Some(wrong) => Err(unknown(
            code::UNKNOWN_NODE,
            "the node",
            wrong.as_str(),
            txn,
            Kind::Node,
        )),
        None => Ok(()),
    }
}

fn difference(have: &Placement, wish: &StartPlacement) -> Option<String> {
    if have.service_type != wish.service_type {
        return Some(format!(
            "its type is {}, not {}",
            have.service_type, wish.service_type
        ));
    }
    if have.holds != wish.holds && wish.holds.is_some() {
        let held = have
            .holds
            .as_ref()
            .map_or("its own name".to_owned(), ToString::to_string);
        return Some(format!("it holds {held}"));
    }
    None
}

/// Instances that exist and do not run are wanted again; the placement's rule makes those that do not exist.
fn wake(txn: &mut Txn<'_>, wish: &StartPlacement) -> Recorded {
    let nodes: Vec<NodeName> = match &wish.on {
        StartOn::Nodes(nodes) => nodes.iter().cloned().collect(),
        StartOn::All => txn
            .keys(Kind::Node)
            .into_iter()
            .filter_map(|key| match key {
                Key::Node(name) => Some(name),
                _ => None,
            })
            .collect(),
    };
    let keys: Vec<InstanceKey> = nodes
        .into_iter()
        .map(|node| InstanceKey::new(node, wish.name.clone()))
        .collect();
    let mut said = Vec::new();
    for key in &keys {
        match txn.instance(key) {
            None => said.push(format!("{key} is to start")),
            Some(instance) => {
                let right = instance.desired == Desired::Running && !instance.state.needs_waking();
                if right {
                    let state = instance.state.as_str().to_lowercase();
                    said.push(format!("{key} is already {state}"));
                    continue;
                }
                verb::change(txn, key, |instance| {
                    instance.desired = Desired::Running;
                    tell_stopping(instance);
                });
                if instance.state.needs_waking() {
                    // What failed in this same step still holds its name.
                    verb::free_name(txn, key);
                    let reason = Reason::new(code::WANTED, "a start was asked for");
                    verb::renew(txn, key, InstanceState::Pending, reason);
                }
                said.push(format!("{key} is to start again"));
            }
        }
    }
    recorded(keys, said.join("; "))
}

fn known(txn: &Txn<'_>, key: &InstanceKey) -> Result<Instance, Refusal> {
    txn.instance(key).ok_or_else(|| {
        let text = key.to_string();
        let names: Vec<String> = txn
            .keys(Kind::Instance)
            .iter()
            .map(ToString::to_string)
            .collect();
        let mut refusal = Refusal::new(
            code::NOT_FOUND,
            format!("the instance \"{text}\" is not known"),
        );
        refusal.nearest = nearest(&text, names.iter().map(String::as_str));
        refusal
    })
}

fn stop(txn: &mut Txn<'_>, key: &InstanceKey) -> Result_ {
    let instance = known(txn, key)?;
    let at_rest = !instance.state.may_be_live();
    verb::change(txn, key, |instance| {
        instance.desired = Desired::Stopped;
        instance.restart_asked = false;
        tell_stopping(instance);
    });
    let text = if matches!(instance.state, InstanceState::Stopped { .. }) {
        format!("{key} is not running")
    } else if at_rest {
        format!("{key} was {} and is stopped", instance.state.as_str())
    } else if is_online(txn, key) {
        format!("{key} is to stop")
    } else {
        format!("{key} is to stop when {} is back", key.node)
    };
    Ok(recorded(vec![key.clone()], text))
}

/// A stop that is under way ends as is wanted by now, and says so.
fn tell_stopping(instance: &mut Instance) {
    if let InstanceState::Stopping { stuck: false, .. } = instance.state {
        instance.reason = Some(verb::stopping(instance.desired));
    }
}

fn restart(txn: &mut Txn<'_>, key: &InstanceKey) -> Result_ {
    let instance = known(txn, key)?;
    let stuck = matches!(instance.state, InstanceState::Stopping { stuck: true, .. });
    if stuck {
        return Err(Refusal::new(
            code::WILL_NOT_END,
            format!(
                "{key} cannot be ended; restart the agent of {} instead",
                key.node
            ),
        ));
    }
    verb::change(txn, key, |instance| {
        instance.desired = Desired::Running;
        instance.restart_asked = true;
        tell_stopping(instance);
    });
    Ok(recorded(vec![key.clone()], format!("{key} is to restart")))
}

fn clear(txn: &mut Txn<'_>, key: &InstanceKey) -> Result_ {
    let instance = known(txn, key)?;
    let clearable = match instance.state {
        InstanceState::Quarantined
        | InstanceState::Backoff { .. }
        | InstanceState::Failed { .. } => !instance.state.may_be_live(),
        InstanceState::Pending
        | InstanceState::Blocked
        | InstanceState::Starting
        | InstanceState::Running
        | InstanceState::Degraded
        | InstanceState::Unresponsive { .. }
        | InstanceState::Stopping { .. }
        | InstanceState::Stopped { .. }
        | InstanceState::Unknown { .. } => false,
    };
    if !clearable {
        verb::change(txn, key, |instance| instance.attempts.clear());
        let state = instance.state.as_str();
        // Nothing starts for it: there is nobody to wait for.
        return Ok(recorded(
            Vec::new(),
            format!("{key} is {state}; nothing had to be cleared"),
        ));
    }
    verb::free_name(txn, key);
    let reason = Reason::new(code::CLEARED, "its failures were cleared");
    verb::renew(txn, key, InstanceState::Pending, reason);
    Ok(recorded(
        vec![key.clone()],
        format!("{key} starts with a clean sheet"),
    ))
}

fn parked(txn: &Txn<'_>, id: &ParkedId) -> Result<Parked, Refusal> {
    match txn
        .record(&Key::Parked(id.clone()))
        .map(|record| record.vertex.clone())
    {
        Some(Vertex::Parked(parked)) => Ok(parked),
        _ => Err(unknown(
            code::NOT_FOUND,
            "the parked item",
            &id.0,
            txn,
            Kind::Parked,
        )),
    }
}

fn requeue(txn: &mut Txn<'_>, id: &ParkedId) -> Result_ {
    let parked = parked(txn, id)?;
    txn.remove(&Key::Parked(id.clone()));
    Ok(match parked.what {
        ParkedWhat::Rule { rule, subject, .. } => {
            let instances = match &subject {
                Key::Instance(key) => vec![key.clone()],
                _ => Vec::new(),
            };
            recorded(instances, format!("the rule {rule} judges {subject} again"))
        }
        ParkedWhat::Event { name, payload } => Recorded {
            requeued: Some(payload),
            ..recorded(Vec::new(), format!("the event {name} is recorded again"))
        },
    })
}

fn drop_parked(txn: &mut Txn<'_>, id: &ParkedId) -> Result_ {
    let parked = parked(txn, id)?;
    txn.remove(&Key::Parked(id.clone()));
    let what = match parked.what {
        ParkedWhat::Rule { rule, subject, .. } => format!("{rule} on {subject}"),
        ParkedWhat::Event { name, .. } => format!("the event {name}"),
    };
    Ok(recorded(Vec::new(), format!("{what} is dropped")))
}
