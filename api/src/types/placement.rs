//! A placement.

use std::collections::BTreeMap;

use mainstay_protocol::code::Reason;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    pub name: String,
    #[serde(rename = "type")]
    pub service_type: String,
    pub target: Target,
    pub generation: u64,
    /// Instances wanted running.
    pub want: u64,
    /// Instances that run, in whatever health.
    pub have: u64,
    pub healthy: u64,
    /// The worst state among its instances; `Stopped` if none is wanted.
    pub state: String,
    pub reason: Option<Reason>,
    pub config: Value,
    /// What its blocked instances wait for, as references.
    pub waiting_on: Vec<String>,
}

/// `{"nodes": [..]}` or `{"all": {labels}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Nodes(Vec<String>),
    All(BTreeMap<String, String>),
}
