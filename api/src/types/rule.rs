//! A rule of the station.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Time;

/// A rule of the station: it judges what it watches, and writes decisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    /// What it is switched off and on by.
    pub name: String,
    /// What it does; null where it says nothing, or is not part of this station.
    pub about: Option<String>,
    /// The kind of what it judges; null for a rule that is not part of this station.
    pub watches: Option<String>,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Why it is not run, though nobody switched it off; null for one that is.
    pub suspended: Option<String>,
    /// Who switched it off, and why; null for one that is not.
    pub off: Option<RuleOff>,
    /// What goes wrong without it; null for one that anybody may switch off.
    pub safety: Option<String>,
    /// Decisions in which it did something, since `counted_since`.
    pub did: u64,
    /// Decisions in which it declined to, since then.
    pub declined: u64,
    /// When this station began to count.
    pub counted_since: Time,
}

/// Who switched a rule off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleOff {
    /// Who did it.
    pub by: String,
    /// Null where nobody said.
    pub why: Option<String>,
    /// When it was.
    pub since: Time,
}

/// Who switches a rule off, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSwitch {
    /// Who; taken from whoever asks over the network.
    pub by: String,
    /// The reason.
    #[serde(default)]
    pub why: String,
    /// Also a rule that safety needs.
    #[serde(default)]
    pub i_mean_it: bool,
}
