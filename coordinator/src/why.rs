//! `why`: follows state, reason and relation until roots are reached. Pure, over any view.
//!
//! A node of the tree is one fact with its cause behind it; a root is a fact nothing known is behind: a failure's own
//! words, a person's wish, a machine that is away.

mod action;
mod instance;
mod node;
mod switched_off;
mod work;

pub use action::FENCES_AGAIN;
pub use node::reason as node_reason;
pub use work::{does, run_reason, step_reason};

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::{InstanceKey, PlacementName, Timestamp, limits};
use mainstay_resource_graph::{
    Asked, Cluster, Desired, Key, Kind, NodeState, Parked, ParkedWhat, Placement, Record, Station,
    StationBegan, StationState, Supervisor, SupervisorState, Vertex, View, ViewExt,
};

use crate::rules::rolling_update;
use crate::{candidates, describe, guarding};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    pub tree: Cause,
    /// What depends on it.
    pub affects: Vec<Key>,
    pub system_will: Option<SystemWill>,
    /// Runnable commands.
    pub you_can: Vec<String>,
}

/// One fact and what is behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    pub key: Key,
    pub state: String,
    pub reason: Option<Reason>,
    pub since: Timestamp,
    pub because: Vec<Cause>,
    pub evidence: Option<String>,
}

impl Cause {
    pub fn is_root(&self) -> bool {
        self.because.is_empty()
    }

    /// The first root behind it, itself if nothing is.
    pub fn root(&self) -> &Self {
        self.because.first().map_or(self, Self::root)
    }
}

/// What will be done without anybody's help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemWill {
    pub action: String,
    pub at: Option<Timestamp>,
    pub rule: String,
}

/// Why `key` is as it is; none if there is no such vertex.
pub fn why(view: &dyn View, key: &Key) -> Option<Why> {
    let tree = cause(view, key, 0)?;
    let off = switched_off::rules(view);
    let is_on = |will: &SystemWill| !off.contains_key(&will.rule);
    let system_will = match key {
        Key::Instance(instance) => action::system_will(view, instance).filter(is_on),
        _ => None,
    }
    .or_else(|| action::gives_up(view, key).filter(is_on))
    .or_else(|| action::fences(view, key).filter(is_on))
    .or_else(|| action::ends_later(view, key).filter(is_on))
    .or_else(|| action::of_placement(view, key).filter(is_on))
    .or_else(|| work::system_will(view, key).filter(is_on))
    .or_else(|| action::goes_on(view, key).into_iter().find(is_on));
    let mut you_can = action::you_can(view, key);
    you_can.extend(tree.because.iter().filter_map(|cause| match cause.key {
        Key::Asked(id) => Some(action::answer(id.0)),
        _ => None,
    }));
    you_can.extend(switched_off::remedies(&tree));
    you_can.extend(
        parked_on(view, key)
            .into_iter()
            .map(|(id, _)| format!("mainstay parked show {id}")),
    );
    Some(Why {
        affects: affects(view, key),
        tree,
        system_will,
        you_can,
    })
}

/// The root behind a vertex, for lists of problems.
pub fn root_of(view: &dyn View, key: &Key) -> Key {
    cause(view, key, 0).map_or_else(|| key.clone(), |cause| cause.root().key.clone())
}

fn cause(view: &dyn View, key: &Key, depth: usize) -> Option<Cause> {
    let record = view.record(key)?;
    let mut found = match &record.vertex {
        Vertex::Instance(facts) => {
            let Key::Instance(instance) = key else {
                return None;
            };
            instance::cause(view, instance, facts, &record, depth)
        }
        Vertex::Placement(_) => placement(view, key, &record, depth),
        Vertex::Node(node) => node::cause(view, node, &record),
        Vertex::Name(_) => name(view, key, &record),
        Vertex::Supervisor(supervisor) => supervisor_cause(view, key, &record, supervisor, depth),
        Vertex::Parked(parked) => Cause {
            reason: Some(parked_reason(parked)),
            evidence: Some(parked.why.text.clone()),
            ..plain(&record, "Parked")
        },
        Vertex::Station(station) => Cause {
            reason: station_reason(station),
            ..plain(&record, &describe::record(&record))
        },
        Vertex::Cluster(cluster) => Cause {
            reason: brake_reason(cluster),
            since: cluster
                .brake
                .as_ref()
                .map_or(record.since, |brake| brake.since),
            ..plain(&record, &describe::record(&record))
        },
        Vertex::Outbox(_)
        | Vertex::Type(_)
        | Vertex::Configuration(_)
        | Vertex::Command(_)
        | Vertex::Resource(_)
        | Vertex::Procedure(_)
        | Vertex::Collected(_)
        | Vertex::Token(_)
        | Vertex::Identity(_)
        | Vertex::Secret(_)
        | Vertex::Orchestration(_)
        | Vertex::Activity(_)
        | Vertex::Service(_)
        | Vertex::Artifact(_)
        | Vertex::Chunk(_)
        | Vertex::Text(_) => plain(&record, &describe::record(&record)),
        Vertex::Run(_) | Vertex::Step(_) => work::cause(view, &record, depth)?,
        Vertex::Asked(asked) => Cause {
            reason: Some(question(asked)),
            ..plain(&record, &describe::record(&record))
        },
    };
    if let Key::Instance(instance) = key {
        found.because.extend(questions(view, instance));
    }
    found.because.extend(switched_off::causes(view, &record));
    for (id, parked) in parked_on(view, key) {
        found.because.push(Cause {
            key: Key::Parked(mainstay_resource_graph::ParkedId(id)),
            state: "Parked".to_owned(),
            reason: Some(parked_reason(&parked)),
            since: parked.at,
            because: Vec::new(),
            evidence: Some(parked.why.text),
        });
    }
    Some(found)
}

/// What an instance asked and nobody has answered yet.
fn questions(view: &dyn View, instance: &InstanceKey) -> Vec<Cause> {
    let asked = view.keys(Kind::Asked).into_iter().filter_map(|key| {
        let record = view.record(&key)?;
        match &record.vertex {
            Vertex::Asked(asked) if asked.instance == *instance => Some(Cause {
                reason: Some(question(asked)),
                ..plain(&record, "open")
            }),
            _ => None,
        }
    });
    asked.collect()
}

fn question(asked: &Asked) -> Reason {
    let failure = &asked.failure;
    Reason::new(
        code::ASKED,
        format!(
            "it failed by {} {} and waits for an answer",
            failure.name, failure.body
        ),
    )
}

fn plain(record: &Record, state: &str) -> Cause {
    Cause {
        key: record.key.clone(),
        state: state.to_owned(),
        reason: None,
        since: record.since,
        because: Vec::new(),
        evidence: None,
    }
}

/// What people have said of a placement, and is not done yet.
fn placement_reason(
    view: &dyn View,
    key: &Key,
    name: &PlacementName,
    placement: &Placement,
) -> Option<Reason> {
    let maintained = placement.maintenance.as_ref().map(|on| {
        let text = format!("{key} is in maintenance, {}", on.said);
        Reason::new(code::IN_MAINTENANCE, text)
    });
    let moving = placement.moves.iter().next().map(|(from, one)| {
        let text = format!("{key}@{from} moves to {}, as {} asked", one.to, one.by);
        Reason::new(code::MOVING, text)
    });
    let updating = placement
        .rollout
        .as_ref()
        .filter(|under_way| under_way.halted.is_none());
    let updating = updating.map(|_| {
        let text = format!(
            "generation {} is on its way to its instances",
            placement.generation
        );
        Reason::new(code::UPDATING, text)
    });
    let held = rolling_update::held_by_minimum(view, name, placement);
    let held = held.or_else(|| below_minimum(view, name, placement));
    maintained.or(moving).or(held).or(updating)
}

/// It can never have as many as are to serve whatever happens. That those that are there do not serve is theirs to say.
pub fn below_minimum(
    view: &dyn View,
    name: &PlacementName,
    placement: &Placement,
) -> Option<Reason> {
    let minimum = placement.wish.minimum as usize;
    if minimum == 0 || placement.wish.target.count().is_some() {
        return None;
    }
    let instances = view.instances_of(name);
    let wanted = instances
        .iter()
        .filter_map(|key| view.instance(key))
        .filter(|one| one.desired == Desired::Running)
        .count();
    let text = format!(
        "at least {minimum} are to serve (its minimum), and it has {wanted} on the nodes of its target"
    );
    (wanted < minimum).then(|| Reason::new(code::BELOW_MINIMUM, text))
}

/// What stands behind another vertex, unless the tree is deep enough.
fn behind(view: &dyn View, key: &Key, depth: usize) -> Vec<Cause> {
    if depth + 1 >= limits::WHY_DEPTH_MAX {
        return Vec::new();
    }
    cause(view, key, depth + 1).into_iter().collect()
}

/// A placement is as its instances are: those that are not as wanted stand behind it.
fn placement(view: &dyn View, key: &Key, record: &Record, depth: usize) -> Cause {
    let Key::Placement(name) = key else {
        return plain(record, "");
    };
    let mut instances = view.instances_of(name);
    // Another has taken its place.
    let is_replaced = |instance: &InstanceKey| {
        let one = view.instance(instance);
        one.is_some_and(|one| one.desired == Desired::Absent && candidates::is_lost(&one))
    };
    instances.retain(|instance| !is_replaced(instance));
    let because: Vec<Cause> = instances
        .iter()
        .filter(|instance| {
            view.instance(instance)
                .is_some_and(|facts| !facts.is_as_wanted())
        })
        .flat_map(|instance| behind(view, &Key::Instance(instance.clone()), depth))
        .collect();
    let right = instances.len() - because.len().min(instances.len());
    let is_stopped = |instance: &&InstanceKey| {
        let one = view.instance(instance);
        one.is_some_and(|one| one.desired == Desired::Stopped)
    };
    let stopped = instances.iter().filter(is_stopped).count();
    let mut all = instances.len();
    let mut because = because;
    let mut reason = None;
    if let Vertex::Placement(placement) = &record.vertex {
        reason = placement_reason(view, key, name, placement);
        because.extend(no_good(key, placement));
        because.extend(too_few(view, name, placement, record));
        let count = placement.wish.target.count();
        all = all.max(count.map_or(0, |count| count.count as usize));
    }
    let mut state = format!("{right} of {all} instances as wanted");
    if stopped > 0 {
        state.push_str(&format!(", {stopped} of them stopped"));
    }
    Cause {
        reason,
        because,
        ..plain(record, &state)
    }
}

/// Of so many, some have no node: what every node says.
fn too_few(
    view: &dyn View,
    name: &PlacementName,
    placement: &Placement,
    record: &Record,
) -> Option<Cause> {
    let text = candidates::shortage_of(view, name, placement)?;
    let answers = candidates::answers(view, name, placement);
    let noes = answers.iter().filter(|(_, noes)| !noes.is_empty());
    let said = noes.take(limits::WHY_NODES_MAX).flat_map(|(node, noes)| {
        let record = view.record(&Key::Node(node.clone()));
        let reasons = candidates::reasons((node, noes)).into_iter();
        reasons.filter_map(move |reason| {
            let node = record.as_ref()?;
            Some(Cause {
                reason: Some(reason),
                ..plain(node, &describe::record(node))
            })
        })
    });
    Some(Cause {
        reason: Some(Reason::new(code::TOO_FEW_NODES, text)),
        because: said.collect(),
        ..plain(record, "too few nodes")
    })
}

/// A change that was dropped, or that halted, with what was wrong with it.
fn no_good(key: &Key, placement: &Placement) -> Option<Cause> {
    let halted = placement
        .rollout
        .as_ref()
        .and_then(|rollout| Some((placement.generation, rollout.halted.clone()?, "has halted")));
    let dropped = placement
        .history
        .last()
        .and_then(|past| Some((past.generation, past.dropped.clone()?, "was taken back")));
    let (generation, reason, what) = halted.or(dropped)?;
    Some(Cause {
        key: key.clone(),
        state: format!("generation {generation} {what}"),
        evidence: Some(reason.text.clone()),
        reason: Some(reason),
        since: placement.made.at,
        because: Vec::new(),
    })
}

fn name(view: &dyn View, key: &Key, record: &Record) -> Cause {
    let Key::Name(slot) = key else {
        return plain(record, "");
    };
    let state = view.holder(slot).map_or_else(
        || "free, and waited for".to_owned(),
        |holder| format!("held by {holder}"),
    );
    plain(record, &state)
}

fn supervisor_cause(
    view: &dyn View,
    key: &Key,
    record: &Record,
    supervisor: &Supervisor,
    depth: usize,
) -> Cause {
    let because = match key {
        Key::Supervisor(node)
            if view
                .node(node)
                .is_some_and(|node| node.state != NodeState::Online) =>
        {
            behind(view, &Key::Node(node.clone()), depth)
        }
        _ => Vec::new(),
    };
    let is_silent = supervisor.state == SupervisorState::Silent;
    Cause {
        because,
        reason: is_silent.then(nobody_at_work),
        evidence: guards_say(view, key, supervisor),
        ..plain(record, supervisor.state.as_str())
    }
}

/// Of a supervisor that is Silent.
pub fn nobody_at_work() -> Reason {
    let text = "its agent answers, and those who guard it find nobody at work";
    Reason::new(code::SUPERVISOR_SILENT, text)
}

/// "guarded from n2 (it sees its agent) and n3".
fn guards_say(view: &dyn View, key: &Key, supervisor: &Supervisor) -> Option<String> {
    let Key::Supervisor(node) = key else {
        return None;
    };
    let guards = guarding::guards_of(view, node);
    let said = guards.iter().map(|guard| match supervisor.seen.get(guard) {
        Some(seen) => format!("{guard} (it sees {})", seen.sight),
        None => guard.to_string(),
    });
    let said: Vec<String> = said.collect();
    (!said.is_empty()).then(|| format!("guarded from {}", said.join(" and ")))
}

fn affects(view: &dyn View, key: &Key) -> Vec<Key> {
    let instances: Vec<_> = match key {
        Key::Node(node) | Key::Supervisor(node) => view.instances_on(node),
        Key::Placement(name) => view.instances_of(name),
        Key::Name(name) => view
            .holder(name)
            .into_iter()
            .chain(view.waiters(name))
            .collect(),
        Key::Instance(instance) => match view.instance(instance) {
            Some(facts) => {
                let name = mainstay_resource_graph::slot_of(instance, &facts);
                if view.holder(&name).as_ref() == Some(instance) {
                    view.waiters(&name)
                } else {
                    Vec::new()
                }
            }
            None => Vec::new(),
        },
        Key::Cluster
        | Key::Station(_)
        | Key::Outbox(_)
        | Key::Type(_)
        | Key::Configuration(_)
        | Key::Command(_)
        | Key::Parked(_)
        | Key::Asked(_)
        | Key::Procedure(_)
        | Key::Collected(_)
        | Key::Token(_)
        | Key::Identity(_)
        | Key::Secret(_)
        | Key::Orchestration(_)
        | Key::Activity(_)
        | Key::Service(_)
        | Key::Artifact(_)
        | Key::Chunk(_)
        | Key::Text(_)
        | Key::Run(_)
        | Key::Step(_) => Vec::new(),
        Key::Resource(resource) => view.users(resource),
    };
    instances.into_iter().map(Key::Instance).collect()
}

/// Why no node is given up.
pub fn brake_reason(cluster: &Cluster) -> Option<Reason> {
    cluster.brake.as_ref()?;
    Some(Reason::new(
        code::NODES_HELD,
        "so many nodes are away at once that it is probably the network, or the station itself; none is given up for now, and then a few at a time",
    ))
}

/// What there is to say of how a station's life began.
pub fn station_reason(station: &Station) -> Option<Reason> {
    match station.state {
        StationState::Away => {
            return Some(Reason::new(
                code::STATION_AWAY,
                "the station that leads does not hear it",
            ));
        }
        StationState::Joining => {
            return Some(Reason::new(
                code::STATION_JOINING,
                "it takes the log over, and votes once it has caught up",
            ));
        }
        StationState::Removed => return None,
        StationState::Running | StationState::Stopped => {}
    }
    match station.began {
        StationBegan::First | StationBegan::AfterOrderlyEnd => None,
        StationBegan::AfterNoWord => Some(Reason::new(
            code::STATION_RESTARTED,
            "it was started again; its last life did not end in order: it was killed, or its machine failed",
        )),
    }
}

/// Names what is set aside, for whom, and what went wrong.
pub fn parked_reason(parked: &Parked) -> Reason {
    let what = match &parked.what {
        ParkedWhat::Rule { rule, subject, .. } => {
            format!("the rule {rule} is set aside for {subject}")
        }
        ParkedWhat::Event { name, .. } => format!("the event {name} is set aside"),
    };
    Reason::new(
        parked.why.code.clone(),
        format!("{what}: {}", parked.why.text),
    )
}

/// Rules that are parked for this subject.
fn parked_on(view: &dyn View, key: &Key) -> Vec<(String, Parked)> {
    let mut found = Vec::new();
    for parked in view.keys(Kind::Parked) {
        let Some(record) = view.record(&parked) else {
            continue;
        };
        if let (Key::Parked(id), Vertex::Parked(facts)) = (&record.key, &record.vertex) {
            match &facts.what {
                ParkedWhat::Rule { subject, .. } if subject == key => {
                    found.push((id.0.clone(), facts.clone()));
                }
                ParkedWhat::Rule { .. } | ParkedWhat::Event { .. } => {}
            }
        }
    }
    found
}

fn wants_running(instance: &mainstay_resource_graph::Instance) -> bool {
    instance.desired == Desired::Running
}
