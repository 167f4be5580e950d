//! What instances use and ask, what rules are in the middle of, and what collectors brought.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Time;

/// Something passive that instances hold or share. It exists while it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resource {
    /// What sort of thing it is; types say which kinds they may use.
    pub kind: String,
    /// Its name among those of its kind.
    pub name: String,
    /// `alone`, or `shared` where others may use it beside.
    pub state: String,
    /// The instances that use it.
    pub used_by: Vec<String>,
    /// Since when it is in this state.
    pub since: Time,
}

/// A failure with a name of its own that waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Asked {
    /// What it is found by.
    pub id: String,
    /// Who asks.
    pub instance: String,
    /// The start of it that asks.
    pub incarnation: u64,
    /// The failure's name.
    pub failure: String,
    /// What it says of itself.
    pub body: Value,
    /// When it asked.
    pub since: Time,
    /// Without an answer until then, it is a failure like any other.
    pub deadline: Time,
}

/// A rule's work on a subject that goes over several steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Procedure {
    /// What it is found by.
    pub id: String,
    /// The rule whose work it is.
    pub rule: String,
    /// What it works on.
    pub subject: String,
    /// `open`, or `over` until its subject has left the state in which it began.
    pub state: String,
    /// What it waits for, or how it ended.
    pub text: String,
    /// What the rule remembers.
    pub step: Value,
    /// Steps so far.
    pub steps: u32,
    /// Since when it is at this step.
    pub since: Time,
    /// When this step is over, whatever happens; null when it came to its end.
    pub deadline: Option<Time>,
}

/// A record of something an instance follows; kept for some seconds, so that rules can take note of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Collected {
    /// What it is found by.
    pub id: String,
    /// Who brought it.
    pub instance: String,
    /// What it is called.
    pub name: String,
    /// What it says.
    pub body: Value,
    /// The rules that took note of it.
    pub taken_by: Vec<String>,
    /// When it came.
    pub since: Time,
}

/// Something that runs on a node, and that no command started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stray {
    /// The instance that it says it is of.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The start of it.
    pub incarnation: u64,
    /// Starting, Running or Stopping.
    pub state: String,
    /// Why it is left as it is; null before that was judged.
    pub why: Option<String>,
}
