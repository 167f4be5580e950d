//! Why something is as it is: a tree of causes down to its roots.

use mainstay_protocol::code::Reason;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shapes::ReasonShape;
use crate::time::Time;

/// Why something is as it is: causes down to their roots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Why {
    #[serde(flatten)]
    pub tree: WhyNode,
    /// What depends on it.
    pub affects: Vec<String>,
    /// What will be done without anybody's help; null where nothing will.
    pub system_will: Option<SystemWill>,
    /// Commands that help.
    pub you_can: Vec<String>,
}

/// One fact and what is behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhyNode {
    /// What it is about.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What it is, or what happened to it.
    pub state: String,
    /// The reason in short; null where nothing is to be said.
    #[schemars(with = "Option<ReasonShape>")]
    pub reason: Option<Reason>,
    /// Since when, or when; null where that is not known.
    pub since: Option<Time>,
    /// What is behind it.
    pub because: Vec<WhyNode>,
    /// What was seen, in its own words; null where nothing was.
    pub evidence: Option<String>,
    /// Whether nothing known is behind it.
    pub root: bool,
}

/// What will be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SystemWill {
    /// What it is.
    pub action: String,
    /// When; null where it waits for something else.
    pub at: Option<Time>,
    /// The rule that does it.
    pub rule: Option<String>,
}
