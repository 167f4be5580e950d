//! A placement.

use std::collections::BTreeMap;

use mainstay_protocol::code::Reason;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::room::NeedsSpec;
use super::shapes::ReasonShape;
use super::spec::{
    DependencySpec, PlacementSpec, PolicySpec, SingletonSpec, TargetSpec, UpdateSpec,
};
use crate::time::Time;

/// A wish: run this type, with this configuration, there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Placement {
    /// Its name.
    pub name: String,
    /// The service type it runs.
    #[serde(rename = "type")]
    pub service_type: String,
    /// The exclusive name, where it is not the type's or its own.
    pub holds: Option<String>,
    /// Where it wants its instances.
    pub target: TargetSpec,
    /// Number of this wish: it rises with every change of it, and the next change is based on it.
    pub generation: u64,
    /// Who made this wish: `operator reconfigure`.
    pub made_by: String,
    /// When.
    pub made_at: Time,
    /// It is being deleted.
    pub leaving: bool,
    /// Instances wanted running.
    pub want: u64,
    /// Instances that run, in whatever health.
    pub have: u64,
    /// Instances that run and whose last Check said ok.
    pub healthy: u64,
    /// How many of its instances somebody stopped.
    #[serde(default)]
    pub stopped: u64,
    /// The worst state among its instances; Stopped if none is wanted, Pending where none has found a node.
    pub state: String,
    /// The reason of that instance; null where nothing is to be said.
    #[schemars(with = "Option<ReasonShape>")]
    pub reason: Option<Reason>,
    /// The configuration it wants.
    pub config: Value,
    /// Other configurations that are wanted on some nodes.
    pub config_on: BTreeMap<String, Value>,
    /// How it is restarted.
    pub policy: PolicySpec,
    /// What must be there before its instances are started.
    pub depends_on: Vec<DependencySpec>,
    /// How a changed configuration reaches its instances.
    pub update: UpdateSpec,
    /// What restarts together on a node when one of it fails; null where it restarts alone.
    pub restart_group: Option<String>,
    /// That at most one runs in the whole cluster; null where several may.
    pub singleton: Option<SingletonSpec>,
    /// What each instance takes of its node.
    pub needs: NeedsSpec,
    /// So many must serve whatever anybody wants done.
    pub minimum: u32,
    /// Instances that somebody moves.
    pub moves: Vec<Move>,
    /// Whether it is in maintenance: whatever happens to its instances is left as it is.
    pub maintenance: bool,
    /// When that ends by itself; null where nothing was said of that.
    pub maintenance_until: Option<Time>,
    /// A changed configuration on its way to the instances.
    pub rollout: Option<Rollout>,
    /// Why the wish before this one was dropped, if it was no good.
    #[schemars(with = "Option<ReasonShape>")]
    pub rolled_back: Option<Reason>,
    /// What its blocked instances wait for, as references.
    pub waiting_on: Vec<String>,
}

/// An instance that ends on one node when another serves in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Move {
    /// The node that it leaves.
    pub from: String,
    /// The node that it is to run on.
    pub to: String,
    /// Who asked for it.
    pub by: String,
    /// If it does not serve there by then, it stays.
    pub until: Time,
}

/// Where an instance is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveRequest {
    /// A node.
    pub to: String,
}

/// How far a changed configuration is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rollout {
    /// `updating`, or `halted` where it is no good and there is nothing to go back to.
    pub state: String,
    /// Instances that were told of it.
    pub told: u64,
    /// All its instances.
    pub of: u64,
    /// The generation whose configuration comes back if this one is no good.
    pub back_to: Option<u64>,
    /// What is wrong with it, where it halted.
    #[schemars(with = "Option<ReasonShape>")]
    pub reason: Option<Reason>,
}

/// One wish of a placement's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlacementVersion {
    /// Its number.
    pub generation: u64,
    /// It is the wish that stands.
    pub current: bool,
    /// Who made it.
    pub made_by: String,
    /// When.
    pub made_at: Time,
    /// Where it wanted its instances.
    pub target: TargetSpec,
    /// The configuration it wanted.
    pub config: Value,
    /// Other configurations, on some nodes.
    pub config_on: BTreeMap<String, Value>,
    /// How it is restarted.
    pub policy: PolicySpec,
    /// What must be there before its instances are started.
    pub depends_on: Vec<DependencySpec>,
    /// How a changed configuration reaches its instances.
    pub update: UpdateSpec,
    /// What restarts together on a node when one of it fails; null where it restarts alone.
    pub restart_group: Option<String>,
    /// That at most one runs in the whole cluster; null where several may.
    pub singleton: Option<SingletonSpec>,
    /// What each instance takes of its node.
    pub needs: NeedsSpec,
    /// So many were to serve whatever anybody wanted done.
    pub minimum: u32,
    /// Why it was dropped, where it was no good.
    #[schemars(with = "Option<ReasonShape>")]
    pub dropped: Option<Reason>,
}

/// Another configuration: everywhere, or on some nodes first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReconfigureRequest {
    /// The whole configuration, a JSON object.
    pub config: Value,
    /// These nodes only.
    #[serde(default)]
    pub on: Option<Vec<String>>,
    /// What it is based on; null for whatever there is.
    #[serde(default)]
    pub generation: Option<u64>,
}

/// An earlier wish again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// The last good one before this where nothing is said.
    #[serde(default)]
    pub to: Option<u64>,
    /// What it is based on; null for whatever there is.
    #[serde(default)]
    pub generation: Option<u64>,
}

impl Placement {
    /// What would make it as it is.
    pub fn spec(&self) -> PlacementSpec {
        PlacementSpec {
            name: self.name.clone(),
            service_type: self.service_type.clone(),
            holds: self.holds.clone(),
            target: self.target.clone(),
            config: self.config.as_object().cloned().unwrap_or_default(),
            policy: self.policy.clone(),
            depends_on: self.depends_on.clone(),
            update: self.update.clone(),
            restart_group: self.restart_group.clone(),
            singleton: self.singleton.clone(),
            needs: self.needs.clone(),
            minimum: self.minimum,
        }
    }
}
