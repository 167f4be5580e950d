//! How a view becomes what the API says: pure functions over any `View`, one file per kind. What is never logged
//! (when a node was heard, when an instance was checked) is laid over it through `Live`.

mod access;
mod artifacts;
mod certificate;
mod configuration;
mod decision;
mod event;
pub mod find;
mod graph;
mod instance;
mod list;
mod name;
mod node;
mod parked;
mod placement;
mod service_type;
mod services;
mod station;
mod status;
mod supervisor;
mod why;
mod words;
mod work;

#[cfg(test)]
pub(crate) mod sample;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use mainstay_protocol::{InstanceKey, NodeName, SecretName, StationId, Timestamp, WorkName};
use mainstay_resource_graph::{Key, Record, View};

use crate::time::Time;

pub use certificate::{PERSON_DUE, certificate};
pub use decision::decision;
pub use event::{event, place_of, seq};
pub use list::{ListQuery, Page};
pub use status::Standing;

/// What is wrong with something since somebody broke it on purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub key: Key,
    /// "is cut off from everybody".
    pub how: String,
}

/// What the leader remembers and the log does not.
pub trait Live {
    /// Wall time of a log time.
    fn time(&self, at: Timestamp) -> Time;
    /// Since something was heard of the node.
    fn heard_ms(&self, node: &NodeName) -> Option<u64>;
    /// Since the instance was last checked.
    fn checked_ms(&self, instance: &InstanceKey) -> Option<u64>;
    fn leader(&self) -> Option<StationId>;
    /// What the clock on the wall says.
    fn now(&self) -> Time;
    /// None where that is not known: another station leads.
    fn broken(&self) -> Option<Vec<Broken>>;
}

/// A view with what lies over it.
#[derive(Clone)]
pub struct Present<'a> {
    pub view: &'a dyn View,
    pub live: &'a dyn Live,
    secret_users: OnceLock<BTreeMap<SecretName, BTreeSet<InstanceKey>>>,
    activity_users: OnceLock<BTreeMap<WorkName, Vec<String>>>,
}

impl<'a> Present<'a> {
    pub fn new(view: &'a dyn View, live: &'a dyn Live) -> Self {
        Self {
            view,
            live,
            secret_users: OnceLock::new(),
            activity_users: OnceLock::new(),
        }
    }

    fn record(&self, key: &Key) -> Option<Arc<Record>> {
        self.view.record(key)
    }
}

/// A text that is kept as empty where it is not known.
pub fn known(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// A configuration as it is written; as text, should it be no JSON.
fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}
