//! A placement as people describe it: in files, on the command line, in requests. One type for all three.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

use super::plan::SettingsRequest;
use super::room::{BesideSpec, ConstraintsSpec, NeedsSpec};

/// A whole wish. What is left out has its default; a field that is not here is an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlacementSpec {
    /// Its name.
    pub name: String,
    /// The service type it runs.
    #[serde(rename = "type")]
    pub service_type: String,
    /// Generic types only; the placement's own name where nothing is said.
    #[serde(default)]
    pub holds: Option<String>,
    /// Where its instances shall run; one, wherever it can be, where a singleton says nothing.
    #[serde(default)]
    pub target: TargetSpec,
    /// The configuration of its instances.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// How it is restarted.
    #[serde(default)]
    pub policy: PolicySpec,
    /// What must be there before its instances are started.
    #[serde(default)]
    pub depends_on: Vec<DependencySpec>,
    /// How a changed configuration reaches its instances.
    #[serde(default)]
    pub update: UpdateSpec,
    /// When one fails that is in the same group on the same node, it restarts with it.
    #[serde(default)]
    pub restart_group: Option<String>,
    /// That at most one runs in the whole cluster.
    #[serde(default)]
    pub singleton: Option<SingletonSpec>,
    /// What each instance takes of its node.
    #[serde(default)]
    pub needs: NeedsSpec,
    /// So many must serve whatever anybody wants done.
    #[serde(default)]
    pub minimum: u32,
}

/// Exactly one of `nodes`, `all`, `count`; `all` may stand beside `count`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetSpec {
    /// On these nodes.
    #[serde(default)]
    pub nodes: Option<Vec<String>>,
    /// Labels a node must have; `{}` for every node. With `count`: those that may have one.
    #[serde(default)]
    pub all: Option<BTreeMap<String, String>>,
    /// So many, on nodes the cluster chooses.
    #[serde(default)]
    pub count: Option<u32>,
    /// With `count`: the label whose values they are spread over.
    #[serde(default)]
    pub spread: Option<String>,
    /// With `count`: what a node offers at least.
    #[serde(default)]
    pub constraints: Option<ConstraintsSpec>,
    /// With `count`: only where an instance of each of these is.
    #[serde(default)]
    pub affinity: Vec<BesideSpec>,
    /// With `count`: only where an instance of none of these is.
    #[serde(default)]
    pub anti_affinity: Vec<BesideSpec>,
}

/// What is null is as the type and the cluster's settings say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySpec {
    /// `always`, `on-failure` or `never`.
    #[serde(default)]
    pub restart: Option<String>,
    /// Failures within the window after which it escalates.
    #[serde(default)]
    pub attempts: Option<u32>,
    /// How long a failure counts.
    #[serde(default)]
    pub window: Option<Span>,
    /// The waits between tries.
    #[serde(default)]
    pub backoff: BackoffSpec,
    /// What follows when the attempts are used up: `quarantine`, or `move` to another node.
    #[serde(default)]
    pub escalate: Option<String>,
    /// What becomes of it on a node that lives and is cut off.
    #[serde(default)]
    pub on_isolation: IsolationSpec,
    /// So many other nodes Check each of its instances as well: 0 to 2; null is 0.
    #[serde(default)]
    pub watched_from: Option<u32>,
}

/// On a node that lives and is cut off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IsolationSpec {
    /// After so long it is given up, and replaced where so many are wanted; null: it is left alone.
    #[serde(default)]
    pub replace: Option<Span>,
}

/// The waits between tries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackoffSpec {
    /// The longest.
    #[serde(default)]
    pub max: Option<Span>,
}

/// Another placement that must be there first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DependencySpec {
    /// Its name.
    pub placement: String,
    /// `healthy`, unless `started` is said.
    #[serde(default)]
    pub until: Option<String>,
}

/// How a changed configuration reaches the instances.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateSpec {
    /// `rolling`, `all` or `canary`.
    #[serde(default)]
    pub strategy: Option<String>,
    /// With `rolling`: so many instances are changed at a time; 1 where nothing is said.
    #[serde(default)]
    pub at_once: Option<u32>,
    /// Whether a bad change is taken back; it is.
    #[serde(default)]
    pub rollback: Option<bool>,
    /// So long an instance must be healthy before the next is changed.
    #[serde(default)]
    pub wait: Option<Span>,
}

/// At most one in the whole cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SingletonSpec {
    /// How long the one that runs may go on without being heard; 5 s where nothing is said.
    #[serde(default)]
    pub lease: Option<Span>,
    /// Whether another starts elsewhere only when the machine of a lost one was switched off (the setting `host.fence`).
    #[serde(default)]
    pub fenced: bool,
}

/// Changes that take effect together or not at all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyRequest {
    /// In any order.
    pub changes: Vec<ChangeRequest>,
    /// Settings that shall change with them.
    #[serde(default)]
    pub settings: Option<SettingsRequest>,
}

/// What one placement shall be. `generation` is what the change is based on: 0 where there was none, null for whatever
/// there is by now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ChangeRequest {
    /// As it shall be.
    Put {
        /// The whole wish.
        placement: Box<PlacementSpec>,
        /// What it is based on.
        #[serde(default)]
        generation: Option<u64>,
    },
    /// That it shall be gone.
    Delete {
        /// Its name.
        placement: String,
        /// What it is based on.
        #[serde(default)]
        generation: Option<u64>,
    },
}

/// A time as people write it: `500ms`, `60s`, `10m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(with = "String")]
pub struct Span(pub Duration);

impl Span {
    pub fn from_ms(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    pub fn ms(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&humantime::format_duration(self.0).to_string())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        humantime::parse_duration(&text).map(Self).map_err(|bad| {
            de::Error::custom(format!(
                "\"{text}\" is no time: {bad}; write 500ms, 60s or 10m"
            ))
        })
    }
}
