//! The linter: what must hold in every committed graph, looked at from outside. Run after every step in tests and
//! simulation, and by `mainstay graph check`. It repeats on purpose what the writes already enforce.

mod edges;
mod instances;
mod placements;
mod work;

use std::fmt;
use std::sync::Arc;

use mainstay_protocol::limits;
use mainstay_protocol::report::Manner;

use crate::key::{Key, Kind};
use crate::vertex::{CommandVertex, Node, NodeState, Record, Relation, Vertex};
use crate::view::{View, ViewExt};

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub key: Key,
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.text)
    }
}

/// Everything wrong with a whole graph, in key order; nothing when it is sound.
pub fn check(view: &(impl View + ?Sized)) -> Vec<Problem> {
    let mut problems = Problems::default();
    for kind in Kind::ALL {
        for key in view.keys(kind) {
            match view.record(&key) {
                Some(record) => vertex(view, &record, &mut problems),
                None => problems.add(&key, "is listed and not there"),
            }
            edges::check(view, &key, &mut problems);
        }
    }
    problems.found
}

#[derive(Default)]
struct Problems {
    found: Vec<Problem>,
}

impl Problems {
    fn add(&mut self, key: &Key, text: impl Into<String>) {
        self.found.push(Problem {
            key: key.clone(),
            text: text.into(),
        });
    }

    fn demand(&mut self, holds: bool, key: &Key, text: impl FnOnce() -> String) {
        if !holds {
            self.add(key, text());
        }
    }
}

fn vertex(view: &(impl View + ?Sized), record: &Arc<Record>, problems: &mut Problems) {
    let key = &record.key;
    problems.demand(record.vertex.kind() == key.kind(), key, || {
        format!("holds a vertex of kind {}", record.vertex.kind().as_str())
    });
    problems.demand(record.rev <= view.revision(), key, || {
        format!("is of revision {}, which is still to come", record.rev)
    });
    match (key, &record.vertex) {
        (Key::Instance(at), Vertex::Instance(instance)) => {
            instances::check(view, at, instance, problems);
        }
        (Key::Node(_), Vertex::Node(vertex)) => node(view, key, vertex, problems),
        (Key::Placement(name), Vertex::Placement(vertex)) => {
            placements::check(view, name, vertex, problems);
        }
        (Key::Command(_), Vertex::Command(vertex)) => {
            command(view, key, vertex, problems);
            work::command(view, key, vertex, problems);
        }
        (Key::Run(_), Vertex::Run(vertex)) => work::run(view, key, vertex, problems),
        (Key::Step(at), Vertex::Step(vertex)) => work::step(view, at, vertex, problems),
        (Key::Text(_), _) => {
            let is_read = !view.edges_to(key, Relation::Reads).is_empty();
            problems.demand(is_read, key, || "is read by nobody".to_owned());
        }
        (Key::Outbox(name) | Key::Supervisor(name), _) => {
            exists(view, key, &Key::Node(name.clone()), problems);
        }
        (Key::Name(name), _) => {
            exists(view, key, &Key::Node(name.node.clone()), problems);
            let needed = !view.edges_to(key, Relation::Holds).is_empty()
                || !view.edges_to(key, Relation::Waits).is_empty();
            problems.demand(needed, key, || "is neither held nor waited for".to_owned());
        }
        (Key::Resource(_), Vertex::Resource(resource)) => {
            let users = view.edges_to(key, Relation::Uses).len();
            problems.demand(users > 0, key, || "is used by nobody".to_owned());
            let alone = users == 1 || resource.manner == Manner::Shared;
            problems.demand(alone, key, || {
                format!("is not shared and used by {users} instances")
            });
        }
        (Key::Configuration(_), Vertex::Configuration(vertex)) => {
            bounded(
                key,
                "configuration",
                vertex.json.len(),
                limits::JSON_BYTES_MAX,
                problems,
            );
        }
        (_, _) => {}
    }
}

fn node(view: &(impl View + ?Sized), key: &Key, node: &Node, problems: &mut Problems) {
    let explained = node.state == NodeState::Online || node.reason.is_some();
    problems.demand(explained, key, || {
        format!("is {} without a reason", node.state.as_str())
    });
    // Invariant 5: what will happen has a time, and a time left over would fire for ever.
    problems.demand(node.away.is_some() == node.state.is_away(), key, || {
        let known = if node.away.is_some() { "" } else { "not " };
        format!("is {} and {known}known as away", node.state.as_str())
    });
    // An isolated one is waited for as long as it takes.
    let waited_for = node.state.is_away()
        && node.state != NodeState::Isolated
        && node.care.maintenance.is_none();
    problems.demand(node.lost_at.is_some() == waited_for, key, || {
        let state = node.state.as_str();
        match node.lost_at {
            Some(at) => format!("is {state} and given up at {at}"),
            None => format!("is {state} and never given up"),
        }
    });
    if let Key::Node(name) = key {
        let instances = view.instances_on(name).len();
        bounded(
            key,
            "instances",
            instances,
            limits::INSTANCES_PER_NODE_MAX,
            problems,
        );
    }
}

/// A command may outlive its instance (a stray is stopped), but never runs ahead of it.
fn command(
    view: &(impl View + ?Sized),
    key: &Key,
    command: &CommandVertex,
    problems: &mut Problems,
) {
    exists(view, key, &Key::Node(command.node.clone()), problems);
    let (at, incarnation) = command.order.instance();
    problems.demand(at.node == command.node, key, || {
        format!("goes to {} and is about {at}", command.node)
    });
    if let Some(instance) = view.instance(at) {
        problems.demand(incarnation <= instance.incarnation, key, || {
            format!(
                "names incarnation {incarnation} of {at}, which is at {}",
                instance.incarnation
            )
        });
    }
}

fn exists(view: &(impl View + ?Sized), key: &Key, wanted: &Key, problems: &mut Problems) {
    problems.demand(view.record(wanted).is_some(), key, || {
        format!("needs {wanted}, which does not exist")
    });
}

fn bounded(key: &Key, what: &str, size: usize, limit: usize, problems: &mut Problems) {
    problems.demand(size <= limit, key, || {
        format!("{what}: {size} is more than {limit}")
    });
}
