//! Everything that leads from one vertex to another, told alike: edges, and what keys and payloads say by themselves.
//! For people and programs that look at the graph; rules ask the indices.

use std::collections::BTreeSet;

use mainstay_protocol::TypeName;

use crate::key::{ConfigHash, Key, Kind};
use crate::vertex::{ParkedWhat, Relation, Vertex};
use crate::view::View;

/// One relation, with its name as people know it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Related {
    pub from: Key,
    pub relation: &'static str,
    pub to: Key,
}

/// A part of the graph: in key order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    pub vertices: BTreeSet<Key>,
    pub relations: BTreeSet<Related>,
    /// There was more than was wanted at once.
    pub is_cut: bool,
}

/// An instance or a supervisor on its node.
pub const RUNS_ON: &str = "RunsOn";
pub const PLACED_BY: &str = "PlacedBy";
pub const INSTANCE_OF: &str = "InstanceOf";
/// A name on its node.
pub const SLOT_OF: &str = "SlotOf";
pub const WATCHED_BY: &str = "WatchedBy";
/// A placement's type.
pub const OF_TYPE: &str = "OfType";
/// A placement's configuration: what its instances shall run with.
pub const CONFIGURES: &str = "Configures";
/// A command to its node.
pub const SENT_TO: &str = "SentTo";
/// A command, a question and a record about their instance; what is parked, and a procedure, about their subject.
pub const ABOUT: &str = "About";
/// A run's orchestration, whatever that is by now.
pub const RUN_OF: &str = "RunOf";
/// The service that a run was ordered of.
pub const ORDER_OF: &str = "OrderOf";
pub const STEP_OF: &str = "StepOf";
/// A step that is out, to the instance that has it.
pub const WORKED_BY: &str = "WorkedBy";

/// Whether a kind is for people: how far reports have taken effect is not.
pub fn is_shown(kind: Kind) -> bool {
    kind != Kind::Outbox
}

/// What leads out of a vertex, to what exists.
pub fn outgoing(view: &(impl View + ?Sized), key: &Key) -> Vec<Related> {
    let mut found = said(view, key);
    for relation in Relation::ALL {
        let edges = view.edges_from(key, relation).into_iter();
        found.extend(edges.map(|edge| Related {
            from: edge.from,
            relation: relation.as_str(),
            to: edge.to,
        }));
    }
    found.retain(|related| view.record(&related.to).is_some());
    found.sort_unstable();
    found
}

/// What the key and the payload of a vertex say without an edge.
fn said(view: &(impl View + ?Sized), key: &Key) -> Vec<Related> {
    let Some(record) = view.record(key) else {
        return Vec::new();
    };
    let to = |relation, to| Related {
        from: key.clone(),
        relation,
        to,
    };
    match (key, &record.vertex) {
        (Key::Instance(at), Vertex::Instance(instance)) => vec![
            to(RUNS_ON, Key::Node(at.node.clone())),
            to(PLACED_BY, Key::Placement(at.placement.clone())),
            to(INSTANCE_OF, Key::Type(instance.service_type.clone())),
            to(WATCHED_BY, Key::Supervisor(at.node.clone())),
        ],
        (Key::Name(name), _) => vec![to(SLOT_OF, Key::Node(name.node.clone()))],
        (Key::Supervisor(node), _) => vec![to(RUNS_ON, Key::Node(node.clone()))],
        (_, Vertex::Placement(placement)) => {
            let mut said = vec![to(OF_TYPE, Key::Type(placement.service_type.clone()))];
            let configs: BTreeSet<&ConfigHash> = placement.wish.configs().collect();
            for config in configs {
                said.push(to(CONFIGURES, Key::Configuration(config.clone())));
            }
            said
        }
        (_, Vertex::Command(command)) => vec![
            to(SENT_TO, Key::Node(command.node.clone())),
            to(ABOUT, Key::Instance(command.order.instance().0.clone())),
        ],
        (_, Vertex::Asked(asked)) => vec![to(ABOUT, Key::Instance(asked.instance.clone()))],
        (_, Vertex::Procedure(procedure)) => vec![to(ABOUT, procedure.subject.clone())],
        (_, Vertex::Collected(record)) => vec![to(ABOUT, Key::Instance(record.instance.clone()))],
        (_, Vertex::Run(run)) => vec![match &run.ordered {
            Some(order) => to(ORDER_OF, Key::Service(order.service.clone())),
            None => to(RUN_OF, Key::Orchestration(run.orchestration.clone())),
        }],
        (Key::Step(at), Vertex::Step(step)) => {
            let worker = step.at_work().cloned();
            let worker = worker.map(|worker| to(WORKED_BY, Key::Instance(worker)));
            let run = to(STEP_OF, Key::Run(at.run.clone()));
            worker.into_iter().chain([run]).collect()
        }
        (_, Vertex::Parked(parked)) => match &parked.what {
            ParkedWhat::Rule { subject, .. } => vec![to(ABOUT, subject.clone())],
            ParkedWhat::Event { .. } => Vec::new(),
        },
        (_, _) => Vec::new(),
    }
}

/// What leads into a vertex.
pub fn incoming(view: &(impl View + ?Sized), key: &Key) -> Vec<Related> {
    let mut near: Vec<Key> = view.keys(Kind::Parked);
    near.extend(view.keys(Kind::Procedure));
    match key {
        Key::Node(node) => {
            near.extend(view.instances_on(node).into_iter().map(Key::Instance));
            near.push(Key::Supervisor(node.clone()));
            near.extend(view.keys(Kind::Name));
            near.extend(view.commands_for(node));
        }
        Key::Supervisor(node) => {
            near.extend(view.instances_on(node).into_iter().map(Key::Instance));
        }
        Key::Placement(placement) => {
            near.extend(view.instances_of(placement).into_iter().map(Key::Instance));
        }
        Key::Instance(instance) => {
            near.extend(view.commands_for(&instance.node));
            near.extend(view.keys(Kind::Asked));
            near.extend(view.keys(Kind::Collected));
            near.extend(view.steps_at(instance).into_iter().map(Key::Step));
        }
        Key::Orchestration(_) | Key::Service(_) => near.extend(view.keys(Kind::Run)),
        Key::Run(run) => {
            let steps = view.keys(Kind::Step).into_iter();
            near.extend(steps.filter(|key| matches!(key, Key::Step(at) if at.run == *run)));
        }
        Key::Type(service_type) => near.extend(of_type(view, service_type)),
        Key::Configuration(hash) => near.extend(with_configuration(view, hash)),
        Key::Cluster
        | Key::Station(_)
        | Key::Outbox(_)
        | Key::Name(_)
        | Key::Command(_)
        | Key::Parked(_)
        | Key::Resource(_)
        | Key::Asked(_)
        | Key::Procedure(_)
        | Key::Collected(_)
        | Key::Token(_)
        | Key::Identity(_)
        | Key::Secret(_)
        | Key::Activity(_)
        | Key::Text(_)
        | Key::Artifact(_)
        | Key::Chunk(_)
        | Key::Step(_) => {}
    }
    let mut found: Vec<Related> = near
        .iter()
        .flat_map(|other| said(view, other))
        .filter(|related| related.to == *key)
        .collect();
    for relation in Relation::ALL {
        let edges = view.edges_to(key, relation).into_iter();
        found.extend(edges.map(|edge| Related {
            from: edge.from,
            relation: relation.as_str(),
            to: edge.to,
        }));
    }
    found.sort_unstable();
    found
}

/// The placements of a type and their instances.
fn of_type(view: &(impl View + ?Sized), service_type: &TypeName) -> Vec<Key> {
    let mut found = Vec::new();
    for key in view.keys(Kind::Placement) {
        if let Some(record) = view.record(&key)
            && let Vertex::Placement(placement) = &record.vertex
            && placement.service_type == *service_type
            && let Key::Placement(name) = &key
        {
            found.extend(view.instances_of(name).into_iter().map(Key::Instance));
            found.push(key);
        }
    }
    found
}

fn with_configuration(view: &(impl View + ?Sized), hash: &ConfigHash) -> Vec<Key> {
    let mut keys = view.keys(Kind::Placement);
    keys.retain(
        |key| match view.record(key).map(|record| record.vertex.clone()) {
            Some(Vertex::Placement(placement)) => {
                placement.wish.configs().any(|config| config == hash)
            }
            _ => false,
        },
    );
    keys
}

/// What lies within so many relations of a vertex, whichever way they lead; at most so many vertices.
pub fn around(view: &(impl View + ?Sized), key: &Key, depth: usize, vertices_max: usize) -> Part {
    let mut part = Part::default();
    part.vertices.insert(key.clone());
    let mut edge = vec![key.clone()];
    for _ in 0..depth {
        let mut next = Vec::new();
        for vertex in edge {
            let mut near = outgoing(view, &vertex);
            near.extend(incoming(view, &vertex));
            for related in near {
                let other = match related.from == vertex {
                    true => related.to.clone(),
                    false => related.from.clone(),
                };
                if !is_shown(other.kind()) {
                    continue;
                }
                if !part.vertices.contains(&other) {
                    if part.vertices.len() >= vertices_max {
                        part.is_cut = true;
                        continue;
                    }
                    part.vertices.insert(other.clone());
                    next.push(other);
                }
                part.relations.insert(related);
            }
        }
        edge = next;
    }
    part
}

/// The whole graph, as far as so many vertices reach.
pub fn whole(view: &(impl View + ?Sized), vertices_max: usize) -> Part {
    let mut part = Part::default();
    for kind in Kind::ALL.into_iter().filter(|kind| is_shown(*kind)) {
        for key in view.keys(kind) {
            if part.vertices.len() >= vertices_max {
                part.is_cut = true;
                break;
            }
            part.vertices.insert(key);
        }
    }
    let relations = part.vertices.iter().flat_map(|key| outgoing(view, key));
    part.relations = relations
        .filter(|related| part.vertices.contains(&related.to))
        .collect();
    part
}
