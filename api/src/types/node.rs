//! A node.

use std::collections::BTreeMap;

use mainstay_protocol::code::Reason;
use serde::{Deserialize, Serialize};

use crate::time::Time;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub name: String,
    pub id: String,
    pub state: String,
    /// `agent`, or `agent+station` where a station runs too.
    pub role: String,
    pub build: String,
    /// Null where its agent has said none.
    pub address: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub schedulable: bool,
    pub maintenance: bool,
    /// How long ago something was heard from it; null if nothing since the coordinator started.
    pub heard_ms: Option<u64>,
    pub instances: Counts,
    pub reason: Option<Reason>,
    pub since: Time,
}

/// How many there are, and how many of them are as they should be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub total: u64,
    pub ok: u64,
}
