//! What people ask for becomes wishes. A refusal changes nothing and says what is wrong.

pub(super) mod access;
pub(crate) mod artifacts;
mod definitions;
mod groups;
pub(super) mod hosts;
mod maintenance;
mod moving;
mod nodes;
mod services;
mod switch;
mod work;

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::words::nearest;
use mainstay_protocol::{InstanceKey, NodeName, PlacementName, Revision};
use mainstay_resource_graph::{
    Cluster, Configuration, Count, Desired, Instance, InstanceState, Key, Kind, Parked, ParkedId,
    ParkedWhat, Placement, Target, Txn, Vertex, View, ViewExt, Wish,
};

use super::{is_online, reconfigure, unknown, wish, word};
use crate::candidates;
use crate::config;
use crate::env::Env;
use crate::event::{Accepted, Operation, StartOn, StartPlacement};
use crate::unfit;
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

impl Recorded {
    /// Once it is committed.
    pub fn accepted(self, revision: Revision) -> Accepted {
        Accepted {
            revision,
            instances: self.instances,
            text: self.text,
            changed: self.changed,
        }
    }
}

pub(super) type Result_ = Result<Recorded, Refusal>;

pub fn operation(txn: &mut Txn<'_>, operation: &Operation, env: &Env) -> Result_ {
    let point = txn.savepoint();
    let mut recorded = match operation {
        Operation::Start(wish) => start(txn, wish, env),
        Operation::Stop { instance } => stop(txn, instance),
        Operation::Restart { instance } => restart(txn, instance),
        Operation::Clear { instance } => clear(txn, instance),
        Operation::Requeue { parked } => requeue(txn, parked),
        Operation::Drop { parked } => drop_parked(txn, parked),
        Operation::Answer { asked, answer } => word::answer_by_hand(txn, *asked, answer, env),
        Operation::DisableRule { rule, by, why } => switch::off(txn, rule, by, why, env),
        Operation::EnableRule { rule } => switch::on(txn, rule),
        Operation::Apply(apply) => wish::apply(txn, apply, env),
        Operation::Reconfigure(asked) => reconfigure::reconfigure(txn, asked),
        Operation::Rollback {
            placement,
            to,
            based_on,
        } => reconfigure::rollback(txn, placement, *to, *based_on),
        Operation::SafeStart { instance } => reconfigure::safe_start(txn, instance),
        Operation::CreateToken(new) => access::create(txn, new, env),
        Operation::RevokeToken { token, by } => access::revoke_token(txn, token, by),
        Operation::UseToken(used) => access::use_token(txn, used, env),
        Operation::RevokeIdentity { bearer, by, why } => access::revoke(txn, bearer, by, why),
        Operation::SetSecret { name, secret } => access::set_secret(txn, name, secret),
        Operation::SetGroup { name, group } => groups::set(txn, name, group),
        Operation::RemoveGroup { name } => groups::remove(txn, name),
        Operation::Node { node, act, by } => nodes::act(txn, node, act, by, env),
        Operation::Maintenance { of, on, by } => maintenance::act(txn, of, on.as_ref(), by, env),
        Operation::Move { instance, to, by } => moving::instance(txn, instance, to, by, env),
        Operation::Orchestrate { what, by } => work::orchestrate(txn, what, by, env),
    }?;
    recorded.changed = !txn.changed_since(point).is_empty();
    Ok(recorded)
}

pub(super) fn recorded(instances: Vec<InstanceKey>, text: impl Into<String>) -> Recorded {
    Recorded {
        instances,
        text: text.into(),
        changed: false,
        requeued: None,
    }
}

fn founded(txn: &Txn<'_>) -> Result<Cluster, Refusal> {
    txn.cluster()
        .ok_or_else(|| Refusal::new(code::NO_QUORUM, "the cluster is not founded yet"))
}

fn put_cluster(txn: &mut Txn<'_>, cluster: Cluster) {
    txn.put(Key::Cluster, Vertex::Cluster(cluster))
        .expect("a cluster has no transitions");
}

fn start(txn: &mut Txn<'_>, wish: &StartPlacement, env: &Env) -> Result_ {
    let declaration = txn
        .service_type(&wish.service_type)
        .ok_or_else(|| {
            let name = wish.service_type.as_str();
            unknown(code::UNKNOWN_TYPE, "the type", name, txn, Kind::Type)
        })?
        .declaration;
    wish::fits_type(
        &wish.service_type,
        wish.holds.as_ref(),
        declaration.holds.as_ref(),
    )?;
    match &wish.on {
        StartOn::Nodes(nodes) => {
            known_nodes(txn, nodes)?;
            take_new(txn, &wish.name, nodes)?;
        }
        StartOn::Count(count) => unfit::count(count)?,
        StartOn::All => {}
    }
    let (hash, json) = wish::valid_config(txn, &wish.service_type, &wish.config)?;
    let configuration = Key::Configuration(hash.clone());
    let json = Configuration { json };
    let made = wish::made(txn);
    let Some(placement) = txn.placement(&wish.name) else {
        txn.put(configuration, Vertex::Configuration(json))
            .expect("a configuration has no transitions");
        let target = match &wish.on {
            StartOn::All => Target::All(BTreeMap::new()),
            StartOn::Nodes(nodes) => Target::Nodes(nodes.clone()),
            StartOn::Count(count) => Target::Count(count.clone()),
        };
        let first = Wish::new(target, hash);
        let mut placement = Placement::new(wish.service_type.clone(), first, made, env.revision);
        placement.holds = wish.holds.clone();
        wish::write(txn, &wish.name, placement);
        return Ok(wake(txn, wish));
    };
    wish::refuse_leaving(&wish.name, &placement)?;
    if let Some(differs) = difference(&placement, wish) {
        return Err(differs_from(wish, &differs));
    }
    if placement.wish.config != hash && !is_at_rest(txn, wish) {
        let have = txn
            .configuration(&Key::Configuration(placement.wish.config))
            .unwrap_or_default();
        let differs = config::difference(&have, &json.json);
        return Err(differs_from(wish, &format!("configuration: {differs}")));
    }
    txn.put(configuration, Vertex::Configuration(json))
        .expect("a configuration has no transitions");
    let mut next = placement.wish.clone();
    next.target = widened(&placement.wish.target, wish)?;
    if next.config != hash {
        next.config = hash.clone();
        next.on_nodes.clear();
        for instance in txn.instances_of(&wish.name) {
            verb::want_config(txn, &instance, &hash);
        }
    }
    unfit::minimum(&next.target, next.minimum)?;
    if placement.wish != next {
        wish::replace(txn, &wish.name, placement, next, None);
    }
    Ok(wake(txn, wish))
}

/// The nodes it had, and those asked for.
fn widened(have: &Target, wish: &StartPlacement) -> Result<Target, Refusal> {
    match (have, &wish.on) {
        (_, StartOn::All) => Ok(Target::All(BTreeMap::new())),
        // Another number; what else was said of where they may be stands.
        (Target::Count(have), StartOn::Count(count)) => Ok(Target::Count(Count {
            count: count.count,
            spread: count.spread.clone().or_else(|| have.spread.clone()),
            ..have.clone()
        })),
        (Target::All(labels), StartOn::Nodes(_)) if labels.is_empty() => Ok(have.clone()),
        (Target::All(_) | Target::Count(_), StartOn::Nodes(_))
        | (Target::All(_) | Target::Nodes(_), StartOn::Count(_)) => {
            Err(differs_from(wish, &format!("it is on {have}")))
        }
        (Target::Nodes(have), StartOn::Nodes(more)) => {
            Ok(Target::Nodes(have.union(more).cloned().collect()))
        }
    }
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

pub(super) fn known_nodes(txn: &Txn<'_>, nodes: &BTreeSet<NodeName>) -> Result<(), Refusal> {
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

/// Nodes that somebody cordoned take nothing that is not there yet.
pub(super) fn take_new(
    txn: &Txn<'_>,
    placement: &PlacementName,
    nodes: &BTreeSet<NodeName>,
) -> Result<(), Refusal> {
    for node in nodes {
        let key = InstanceKey::new(node.clone(), placement.clone());
        if let Some(cordon) = txn.cordon_against(&key) {
            let text = format!(
                "{node} takes no new instances, {}; lift that with: mainstay node uncordon {node}",
                cordon.said
            );
            return Err(Refusal::new(code::NODE_CORDONED, text));
        }
    }
    Ok(())
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
        StartOn::Count(count) => return wake_so_many(txn, wish, count),
        StartOn::Nodes(nodes) => nodes.iter().cloned().collect(),
        StartOn::All => txn.node_names(),
    };
    let keys: Vec<InstanceKey> = nodes
        .into_iter()
        .map(|node| InstanceKey::new(node, wish.name.clone()))
        .collect();
    let said = keys
        .iter()
        .map(|key| wake_one(txn, key))
        .collect::<Vec<_>>();
    recorded(keys, said.join("; "))
}

fn wake_one(txn: &mut Txn<'_>, key: &InstanceKey) -> String {
    let Some(instance) = txn.instance(key) else {
        return format!("{key} is to start");
    };
    if instance.desired == Desired::Running && !instance.state.needs_waking() {
        let state = instance.state.as_str().to_lowercase();
        return format!("{key} is already {state}");
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
    format!("{key} is to start again")
}

/// Those that stay, and those that `place` is about to make; and whoever says no to the others.
fn wake_so_many(txn: &mut Txn<'_>, wish: &StartPlacement, count: &Count) -> Recorded {
    let placement = txn.placement(&wish.name).expect("it was just written");
    // Woken first: what somebody stopped stays on a node that it leaves as soon as it is wanted to run.
    let mut woken = BTreeMap::new();
    for key in candidates::kept(txn, &wish.name, &placement) {
        let text = wake_one(txn, &key);
        woken.insert(key, text);
    }
    let kept = candidates::kept(txn, &wish.name, &placement);
    let going = candidates::surplus(txn, &wish.name, &placement, (count, &kept));
    let mut said = Vec::new();
    let mut keys = Vec::new();
    for key in kept.iter().filter(|key| !going.contains(key)) {
        said.extend(woken.remove(key));
        keys.push(key.clone());
    }
    for node in candidates::best(txn, &wish.name, &placement, (count, &kept)) {
        let key = InstanceKey::new(node, wish.name.clone());
        said.push(format!("{key} is to start"));
        keys.push(key);
    }
    said.extend(going.iter().map(|key| format!("{key} is to stop")));
    let missing = (count.count as usize).saturating_sub(keys.len());
    let chosen = keys.iter().map(|key| key.node.clone()).collect();
    said.extend(candidates::shortage(
        txn,
        &wish.name,
        &placement,
        (missing, &chosen),
    ));
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
    if instance.desired == Desired::Absent {
        let text = format!("{key} is on its way out already");
        return Ok(recorded(vec![key.clone()], text));
    }
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

pub(super) fn on_its_way_out(key: &InstanceKey) -> Refusal {
    Refusal::new(
        code::LEAVING,
        format!("{key} is on its way out: no placement asks for it any more"),
    )
}

fn restart(txn: &mut Txn<'_>, key: &InstanceKey) -> Result_ {
    let instance = known(txn, key)?;
    if instance.desired == Desired::Absent {
        return Err(on_its_way_out(key));
    }
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
    // It would end, and not begin.
    if instance.state.may_be_live()
        && let Some(kept) = verb::kept_down(txn, key)
    {
        let text = format!(
            "{}: {key} would end and not start; end that first",
            kept.text
        );
        return Err(Refusal::new(code::REFUSED_BY_SAFETY, text));
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
    if !instance.state.rests_failed() {
        verb::change(txn, key, |instance| instance.attempts.clear());
        let state = instance.state.as_str();
        // Nothing starts for it: there is nobody to wait for.
        return Ok(recorded(
            Vec::new(),
            format!("{key} is {state}; nothing had to be cleared"),
        ));
    }
    verb::clear(txn, key, "its failures were cleared");
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
