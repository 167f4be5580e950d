//! Plans: what files wish for, what would follow, and what is wrong with them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::shapes::Flaw;

/// The format of a saved plan; one of another format is refused.
pub const PLAN_FORMAT: u32 = 1;

/// Wishes, and what they are for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// What shall be, or shall not.
    pub wishes: Vec<WishBody>,
    /// What the wishes are for.
    #[serde(default)]
    pub mode: PlanMode,
}

/// One document: its kind, and its fields without `kind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WishBody {
    /// Placement or Settings.
    pub kind: String,
    /// The fields of that kind.
    pub spec: Value,
}

/// What the wishes are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanMode {
    /// They shall be so; everything else stays as it is.
    #[default]
    Apply,
    /// They shall be so, and be all there is: every other placement is deleted.
    Prune,
    /// What they name shall not be.
    Delete,
}

/// What would be done, in the order of what depends on what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The format of a saved plan.
    pub format: u32,
    /// The id of the cluster it was made for.
    pub cluster: String,
    /// What of the graph it saw.
    pub revision: u64,
    /// What the wishes were for.
    pub mode: PlanMode,
    /// In the order in which they take effect.
    pub changes: Vec<PlanChange>,
}

/// What would be done to one thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanChange {
    /// `placement/web`, `settings`.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What is done to it.
    pub act: Act,
    /// The generation that was seen, 0 where there was none. Of settings the revision of their last change.
    pub based_on: u64,
    /// The fields that differ.
    pub fields: Vec<FieldChange>,
    /// What follows for instances; none of those that go on as they are.
    pub instances: Vec<InstanceChange>,
    /// Of a placement of so many, those that would find no node, and why; null where all find one.
    #[serde(default)]
    pub unplaced: Option<String>,
    /// The changes of this plan that take effect before.
    pub after: Vec<String>,
    /// In which steps it reaches the instances: "one at a time"; null where that says nothing.
    pub steps: Option<String>,
    /// What is wished for; null for what is deleted because no wish names it.
    pub wish: Option<WishBody>,
}

impl PlanChange {
    /// The cluster chooses its nodes.
    pub fn is_of_so_many(&self) -> bool {
        let wished = self.wish.as_ref();
        wished.is_some_and(|wish| wish.spec.pointer("/target/count").is_some())
    }
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// It is made.
    Create,
    /// It is changed.
    Change,
    /// It is deleted.
    Delete,
    /// Nothing: it is as it shall be.
    Unchanged,
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldChange {
    /// `config.greeting`.
    pub path: String,
    /// Null where there was none.
    pub old: Value,
    /// Null where there is none any more.
    pub new: Value,
}

/// What becomes of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InstanceChange {
    /// Which instance.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What becomes of it.
    pub act: InstanceAct,
    /// In words: what it waits for, or how it is done.
    pub text: String,
}

/// What is done to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InstanceAct {
    /// It is started.
    Start,
    /// Given another configuration: in place where the service can, else by a restart.
    Reconfigure,
    /// It is stopped.
    Stop,
}

/// Something wrong with one of the wishes that were sent, by its number from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WishFlaw {
    /// The number of the wish, from 0.
    pub wish: usize,
    #[serde(flatten)]
    pub flaw: Flaw,
}

impl Plan {
    /// What is not as it should be.
    pub fn pending(&self) -> impl Iterator<Item = &PlanChange> {
        self.changes
            .iter()
            .filter(|change| change.act != Act::Unchanged)
    }

    pub fn count(&self, act: Act) -> usize {
        self.changes
            .iter()
            .filter(|change| change.act == act)
            .count()
    }
}

impl Act {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Delete => "delete",
            Self::Unchanged => "unchanged",
        }
    }
}

impl InstanceAct {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Reconfigure => "reconfigure",
            Self::Stop => "stop",
        }
    }
}

/// The settings as they are, in the shape of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// By their names, in groups.
    pub settings: Value,
    /// Of their last change: what the next one is based on.
    pub revision: u64,
}

/// Settings that shall change; those that are not named stay as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsRequest {
    /// By their names, in groups.
    pub settings: Value,
    /// The revision they were seen at; null for whatever they are by now.
    #[serde(default)]
    pub based_on: Option<u64>,
}
