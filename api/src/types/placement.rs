//! A placement.

use std::collections::BTreeMap;

use mainstay_protocol::code::Reason;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::shapes::ReasonShape;

/// A wish: run this type, with this configuration, there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Placement {
    /// Its name.
    pub name: String,
    /// The service type it runs.
    #[serde(rename = "type")]
    pub service_type: String,
    /// Where it wants its instances.
    pub target: Target,
    /// Number of this wish: it rises with every change of it.
    pub generation: u64,
    /// Instances wanted running.
    pub want: u64,
    /// Instances that run, in whatever health.
    pub have: u64,
    /// Instances that run and whose last Check said ok.
    pub healthy: u64,
    /// The worst state among its instances; Stopped if none is wanted.
    pub state: String,
    /// The reason of that instance; null where nothing is to be said.
    #[schemars(with = "Option<ReasonShape>")]
    pub reason: Option<Reason>,
    /// The configuration it wants.
    pub config: Value,
    /// What its blocked instances wait for.
    pub waiting_on: Vec<String>,
}

/// Where instances are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// On these nodes.
    Nodes(Vec<String>),
    /// On every node with these labels.
    All(BTreeMap<String, String>),
}
