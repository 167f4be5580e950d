//! Why something is as it is: a tree of causes down to its roots.

use mainstay_protocol::code::Reason;
use serde::{Deserialize, Serialize};

use crate::time::Time;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    #[serde(flatten)]
    pub tree: WhyNode,
    /// References of what depends on it.
    pub affects: Vec<String>,
    /// What will be done without anybody's help.
    pub system_will: Option<SystemWill>,
    /// Runnable commands.
    pub you_can: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyNode {
    #[serde(rename = "ref")]
    pub reference: String,
    pub state: String,
    pub reason: Option<Reason>,
    pub since: Option<Time>,
    pub because: Vec<WhyNode>,
    /// What was seen, in its own words.
    pub evidence: Option<String>,
    /// Nothing known is behind it.
    pub root: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemWill {
    pub action: String,
    pub at: Option<Time>,
    pub rule: Option<String>,
}
