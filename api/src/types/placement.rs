//! A placement.

use std::collections::BTreeMap;

use mainstay_protocol::code::Reason;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::spec::{DependencySpec, PlacementSpec, PolicySpec, TargetSpec, UpdateSpec};
use crate::time::Time;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    pub name: String,
    #[serde(rename = "type")]
    pub service_type: String,
    /// The exclusive name, where it is not the type's or its own.
    pub holds: Option<String>,
    pub target: Target,
    /// The number of this wish: what the next change is based on.
    pub generation: u64,
    /// Who made this wish: `operator reconfigure`.
    pub made_by: String,
    pub made_at: Time,
    /// It is being deleted.
    pub leaving: bool,
    /// Instances wanted running.
    pub want: u64,
    /// Instances that run, in whatever health.
    pub have: u64,
    pub healthy: u64,
    /// The worst state among its instances; `Stopped` if none is wanted.
    pub state: String,
    pub reason: Option<Reason>,
    pub config: Value,
    /// Other configurations that are wanted on some nodes.
    pub config_on: BTreeMap<String, Value>,
    pub policy: PolicySpec,
    pub depends_on: Vec<DependencySpec>,
    pub update: UpdateSpec,
    /// A changed configuration on its way to the instances.
    pub rollout: Option<Rollout>,
    /// Why the wish before this one was dropped, if it was no good.
    pub rolled_back: Option<Reason>,
    /// What its blocked instances wait for, as references.
    pub waiting_on: Vec<String>,
}

/// How far a changed configuration is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// `updating`, or `halted` where it is no good and there is nothing to go back to.
    pub state: String,
    /// Instances that were told of it, of all.
    pub told: u64,
    pub of: u64,
    /// The generation whose configuration comes back if this one is no good.
    pub back_to: Option<u64>,
    pub reason: Option<Reason>,
}

/// One wish of a placement's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementVersion {
    pub generation: u64,
    /// It is the wish that stands.
    pub current: bool,
    pub made_by: String,
    pub made_at: Time,
    pub target: Target,
    pub config: Value,
    pub config_on: BTreeMap<String, Value>,
    pub policy: PolicySpec,
    pub depends_on: Vec<DependencySpec>,
    pub update: UpdateSpec,
    /// Why it was dropped, where it was no good.
    pub dropped: Option<Reason>,
}

/// Another configuration: everywhere, or on some nodes first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReconfigureRequest {
    /// The whole configuration, a JSON object.
    pub config: Value,
    #[serde(default)]
    pub on: Option<Vec<String>>,
    /// What it is based on; null for whatever there is.
    #[serde(default)]
    pub generation: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// The last good one before this where nothing is said.
    #[serde(default)]
    pub to: Option<u64>,
    #[serde(default)]
    pub generation: Option<u64>,
}

/// `{"nodes": [..]}` or `{"all": {labels}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Nodes(Vec<String>),
    All(BTreeMap<String, String>),
}

impl Placement {
    /// What would make it as it is.
    pub fn spec(&self) -> PlacementSpec {
        let target = match &self.target {
            Target::Nodes(nodes) => TargetSpec {
                nodes: Some(nodes.clone()),
                ..TargetSpec::default()
            },
            Target::All(labels) => TargetSpec {
                all: Some(labels.clone()),
                ..TargetSpec::default()
            },
        };
        PlacementSpec {
            name: self.name.clone(),
            service_type: self.service_type.clone(),
            holds: self.holds.clone(),
            target,
            config: self.config.as_object().cloned().unwrap_or_default(),
            policy: self.policy.clone(),
            depends_on: self.depends_on.clone(),
            update: self.update.clone(),
            singleton: None,
        }
    }
}
