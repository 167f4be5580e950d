//! Events: what happened, in words, derived when a delta is applied from the images before and after it.
//! Nothing is stored to say it twice; bookkeeping (watermarks, a health that was merely refreshed) says nothing.

mod access;
mod instance;
mod parts;
mod work;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::delta::{Change, Delta};
use crate::key::Key;
use crate::vertex::{Cause, Record, Relation, Vertex};

/// One thing that happened to one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub subject: Key,
    /// Kind of the subject and what became of it: `instance.failed`, `node.agent_down`, `name.held`.
    pub kind: String,
    /// `report failed`, `rule restart`, `operator stop`.
    pub cause: String,
    pub rule: Option<String>,
    /// A sentence for people.
    pub message: String,
    pub data: BTreeMap<String, String>,
}

/// The events of one delta: first what vertices became, then names freed and held, then what was removed; within
/// each in key order. `before` answers for the graph the delta was made for.
pub fn derive(before: impl Fn(&Key) -> Option<Arc<Record>>, delta: &Delta) -> Vec<Event> {
    let causes = Causes::of(delta);
    let mut became = Vec::new();
    let mut freed = Vec::new();
    let mut linked = Vec::new();
    let mut removed = Vec::new();
    for change in &delta.changes {
        match change {
            Change::Put(record) => put(before(&record.key).as_deref(), record, &mut became),
            Change::Unlink { from, relation, to } => {
                freed.extend(unlink(from, *relation, to, &causes));
            }
            Change::Link(edge) => linked.extend(link(&edge.from, edge.relation, &edge.to, &causes)),
            Change::Remove(key) => {
                if let Some(old) = before(key) {
                    removed.extend(remove(&old, &causes));
                }
            }
        }
    }
    became.append(&mut freed);
    became.append(&mut linked);
    became.append(&mut removed);
    became
}

/// Edges and removals carry no cause of their own: theirs is that of what was written with them.
struct Causes<'a> {
    by_key: BTreeMap<&'a Key, &'a Cause>,
    first: Option<&'a Cause>,
}

impl<'a> Causes<'a> {
    fn of(delta: &'a Delta) -> Self {
        let by_key: BTreeMap<&Key, &Cause> = delta
            .changes
            .iter()
            .filter_map(|change| match change {
                Change::Put(record) => Some((&record.key, &record.cause)),
                Change::Remove(_) | Change::Link(_) | Change::Unlink { .. } => None,
            })
            .collect();
        let first = by_key.values().next().copied();
        Self { by_key, first }
    }

    fn near(&self, key: &Key) -> Option<&'a Cause> {
        self.by_key.get(key).copied().or(self.first)
    }
}

/// An event in the making.
struct Told {
    event: Event,
}

impl Told {
    fn new(
        subject: &Key,
        kind: impl Into<String>,
        cause: Option<&Cause>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            event: Event {
                subject: subject.clone(),
                kind: kind.into(),
                cause: cause.map(Cause::text).unwrap_or_default(),
                rule: cause.and_then(Cause::rule).map(str::to_owned),
                message: message.into(),
                data: BTreeMap::new(),
            },
        }
    }

    fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.event.data.insert(name.to_owned(), value.to_string());
        self
    }

    fn with_some(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

fn put(old: Option<&Record>, new: &Record, events: &mut Vec<Event>) {
    let told = match &new.vertex {
        Vertex::Instance(vertex) => {
            instance::became(old, new, vertex, events);
            return;
        }
        Vertex::Cluster(vertex) => parts::cluster(old, new, vertex),
        Vertex::Station(vertex) => parts::station(old, new, vertex),
        Vertex::Node(vertex) => parts::node(old, new, vertex),
        Vertex::Type(vertex) => parts::service_type(old, new, vertex),
        Vertex::Placement(vertex) => parts::placement(old, new, vertex),
        Vertex::Supervisor(vertex) => parts::supervisor(old, new, vertex),
        Vertex::Command(vertex) => parts::command(old, new, vertex),
        Vertex::Parked(vertex) => parts::parked(old, new, vertex),
        Vertex::Asked(vertex) => parts::asked(old, new, vertex),
        Vertex::Procedure(vertex) => parts::procedure(old, new, vertex),
        Vertex::Collected(vertex) => parts::collected(old, new, vertex),
        Vertex::Token(vertex) => access::token(old, new, vertex),
        Vertex::Identity(vertex) => access::identity(old, new, vertex),
        Vertex::Secret(vertex) => access::secret(old, new, vertex),
        Vertex::Orchestration(vertex) => work::orchestration(old, new, vertex),
        Vertex::Activity(vertex) => work::activity(old, new, vertex),
        Vertex::Service(vertex) => work::service(old, new, vertex),
        Vertex::Artifact(vertex) => work::artifact(old, new, vertex),
        Vertex::Run(vertex) => work::run(old, new, vertex),
        Vertex::Step(vertex) => work::step(old, new, vertex),
        // Bookkeeping; names, resources and configurations are told of by their edges, texts by the runs that read them, chunks
        // by their artifacts.
        Vertex::Outbox(_)
        | Vertex::Name(_)
        | Vertex::Resource(_)
        | Vertex::Configuration(_)
        | Vertex::Text(_)
        | Vertex::Chunk(_) => None,
    };
    events.extend(told.map(|told| told.event));
}

fn link(from: &Key, relation: Relation, to: &Key, causes: &Causes<'_>) -> Option<Event> {
    let told = match relation {
        Relation::Holds => Told::new(
            to,
            "name.held",
            causes.near(from),
            format!("{to} is held by {from}"),
        )
        .with("holder", from),
        Relation::Waits => Told::new(
            to,
            "name.awaited",
            causes.near(from),
            format!("{from} waits for {to}"),
        )
        .with("waiter", from),
        Relation::Configured => Told::new(
            from,
            "instance.configured",
            causes.near(from),
            format!("{from} runs with {to}"),
        )
        .with("configuration", to),
        Relation::Uses => Told::new(
            to,
            "resource.acquired",
            causes.near(to),
            format!("{from} uses {to}"),
        )
        .with("user", from),
        // Wishes and dependencies are told of by the placement, provided types by the node. Who guards whom, and watches
        // what from elsewhere, follows from who is there.
        Relation::Wants
        | Relation::Provides
        | Relation::DependsOn
        | Relation::Guards
        | Relation::Watches
        | Relation::Reads => return None,
    };
    Some(told.event)
}

fn unlink(from: &Key, relation: Relation, to: &Key, causes: &Causes<'_>) -> Option<Event> {
    match relation {
        Relation::Holds => {
            let cause = causes.near(from);
            let told = Told::new(to, "name.freed", cause, format!("{to} is free of {from}"));
            Some(told.with("holder", from).event)
        }
        Relation::Uses => {
            let cause = causes.near(from);
            let message = format!("{from} no longer uses {to}");
            let told = Told::new(to, "resource.released", cause, message);
            Some(told.with("user", from).event)
        }
        Relation::Waits
        | Relation::Configured
        | Relation::Wants
        | Relation::Provides
        | Relation::DependsOn
        | Relation::Guards
        | Relation::Watches
        | Relation::Reads => None,
    }
}

fn remove(old: &Record, causes: &Causes<'_>) -> Option<Event> {
    let key = &old.key;
    let told = match &old.vertex {
        Vertex::Command(command) => {
            let (about, incarnation) = command.order.instance();
            let about = Key::Instance(about.clone());
            let order = command.order.name();
            let cause = causes.near(&about);
            Told::new(
                key,
                "command.answered",
                cause,
                format!("{order} of {about} is settled"),
            )
            .with("order", order)
            .with("instance", about)
            .with("incarnation", incarnation)
        }
        Vertex::Cluster(_)
        | Vertex::Station(_)
        | Vertex::Node(_)
        | Vertex::Type(_)
        | Vertex::Placement(_)
        | Vertex::Instance(_)
        | Vertex::Supervisor(_)
        | Vertex::Parked(_)
        | Vertex::Procedure(_)
        | Vertex::Token(_)
        | Vertex::Identity(_)
        | Vertex::Secret(_)
        | Vertex::Orchestration(_)
        | Vertex::Activity(_)
        | Vertex::Service(_) => {
            let kind = format!("{}.removed", key.kind().as_str());
            Told::new(key, kind, causes.near(key), format!("{key} is removed"))
        }
        // One of which not all had come was nowhere to be seen.
        Vertex::Artifact(artifact) => {
            if !artifact.is_there() {
                return None;
            }
            let message = format!("{key} is removed");
            Told::new(key, "artifact.removed", causes.near(key), message)
        }
        Vertex::Asked(asked) => {
            let about = Key::Instance(asked.instance.clone());
            let name = &asked.failure.name;
            let message = format!("{name} of {about} is settled");
            Told::new(key, "asked.settled", causes.near(&about), message)
                .with("failure", name)
                .with("instance", about)
        }
        // A record and a run go when their time is up; that was known when they came, or came to their end.
        Vertex::Outbox(_)
        | Vertex::Name(_)
        | Vertex::Resource(_)
        | Vertex::Collected(_)
        | Vertex::Configuration(_)
        | Vertex::Text(_)
        | Vertex::Chunk(_)
        | Vertex::Run(_)
        | Vertex::Step(_) => return None,
    };
    Some(told.event)
}
