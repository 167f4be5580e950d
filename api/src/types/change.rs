//! What is asked for, and what comes of it.

use std::fmt;
use std::str::FromStr;

use mainstay_protocol::StationRunId;
use mainstay_protocol::health::Health;
use mainstay_resource_graph::Kind;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::instance::Instance;

/// Makes a placement, or adds nodes to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRequest {
    #[serde(rename = "type")]
    pub service_type: String,
    /// The placement's name; the type's if null.
    #[serde(default)]
    pub name: Option<String>,
    /// The exclusive name, for generic types.
    #[serde(default)]
    pub holds: Option<String>,
    pub on: On,
    /// A JSON object; `{}` if null.
    #[serde(default)]
    pub config: Value,
}

/// `{"nodes": [..]}` or `"all"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    Nodes(Vec<String>),
    All,
}

/// A change that is committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    pub revision: u64,
    /// The instances it concerns.
    pub instances: Vec<String>,
    pub text: String,
    /// False where everything was already so.
    pub changed: bool,
}

/// The last words of one life of a station.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StationStops {
    pub run: StationRunId,
}

/// Adds a station to the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StationRequest {
    /// Where the others reach it: `unix:SOCKET`.
    pub address: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChaosRequest {
    /// An instance, `supervisor/NODE`, or `node/NODE` for its agent.
    #[serde(rename = "ref")]
    pub reference: String,
    pub act: ChaosAct,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChaosAct {
    Kill,
    Panic,
    Hang,
    Stop,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    #[serde(rename = "ref")]
    pub reference: String,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckAnswer {
    #[serde(rename = "ref")]
    pub reference: String,
    pub health: Health,
    /// In its own words; null where it had none.
    pub detail: Option<String>,
    pub took_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusAnswer {
    #[serde(rename = "ref")]
    pub reference: String,
    pub text: String,
}

/// A page of what an incarnation wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    #[serde(rename = "ref")]
    pub reference: String,
    pub incarnation: u64,
    /// Whole lines: time, stream, text.
    pub text: String,
    /// Goes on behind this page, as `after=`.
    pub next: String,
    /// Nothing more was there.
    pub end: bool,
    /// What was before this page is not kept any more.
    pub gap: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallAnswer {
    #[serde(rename = "ref")]
    pub reference: String,
    pub message: String,
    pub answer: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitRequest {
    #[serde(rename = "ref")]
    pub reference: String,
    #[serde(rename = "for")]
    pub until: Until,
    pub timeout_ms: u64,
    /// Ends at once where an instance waits for a name that is held, instead of waiting on.
    #[serde(default)]
    pub unless_blocked: bool,
    /// Only what was decided after this revision counts: so that a restart waits for the new incarnation.
    #[serde(default)]
    pub after_revision: u64,
}

/// What is waited for: `running`, `healthy`, `gone`, `settled`, `state=X`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Until {
    Running,
    Healthy,
    Gone,
    /// All that is wanted runs, with the configuration that is wanted; of a placement also in this generation.
    Settled(Option<u64>),
    State(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitAnswer {
    #[serde(rename = "ref")]
    pub reference: String,
    pub waited_ms: u64,
    /// What was waited for, as it is now; none when gone.
    pub instances: Vec<Instance>,
}

/// Why a text is nothing that can be waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadUntil(pub String);

impl fmt::Display for BadUntil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot wait for \"{}\": write running, healthy, gone, settled or state=X",
            self.0
        )
    }
}

impl std::error::Error for BadUntil {}

const OF_INSTANCES: [&str; 12] = [
    "Pending",
    "Blocked",
    "Starting",
    "Running",
    "Degraded",
    "Unresponsive",
    "Stopping",
    "Stopped",
    "Failed",
    "Backoff",
    "Quarantined",
    "Unknown",
];
const OF_NODES: [&str; 2] = ["Online", "AgentDown"];
const OF_SUPERVISORS: [&str; 2] = ["Running", "Unknown"];
const OF_STATIONS: [&str; 5] = ["Joining", "Running", "Stopped", "Away", "Removed"];

/// The states something of a kind can be waited into, as they are written; none where it has no state.
pub fn states_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Instance | Kind::Placement => &OF_INSTANCES,
        Kind::Node => &OF_NODES,
        Kind::Supervisor => &OF_SUPERVISORS,
        Kind::Station => &OF_STATIONS,
        Kind::Cluster
        | Kind::Outbox
        | Kind::Type
        | Kind::Name
        | Kind::Configuration
        | Kind::Command
        | Kind::Parked
        | Kind::Resource
        | Kind::Asked
        | Kind::Procedure
        | Kind::Collected
        | Kind::Token
        | Kind::Identity
        | Kind::Secret => &[],
    }
}

/// Every state that can be waited for.
pub fn states() -> impl Iterator<Item = &'static str> {
    let more = OF_STATIONS
        .into_iter()
        .filter(|state| !OF_INSTANCES.contains(state));
    OF_INSTANCES.into_iter().chain(OF_NODES).chain(more)
}

impl FromStr for Until {
    type Err = BadUntil;

    fn from_str(text: &str) -> Result<Self, BadUntil> {
        match text {
            "running" => Ok(Self::Running),
            "healthy" => Ok(Self::Healthy),
            "gone" => Ok(Self::Gone),
            "settled" => Ok(Self::Settled(None)),
            text if text.starts_with("settled=") => text["settled=".len()..]
                .parse()
                .map(|generation| Self::Settled(Some(generation)))
                .map_err(|_| BadUntil(text.to_owned())),
            text => text
                .strip_prefix("state=")
                .and_then(|state| states().find(|known| known.eq_ignore_ascii_case(state)))
                .map(|state| Self::State(state.to_owned()))
                .ok_or_else(|| BadUntil(text.to_owned())),
        }
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => f.write_str("running"),
            Self::Healthy => f.write_str("healthy"),
            Self::Gone => f.write_str("gone"),
            Self::Settled(None) => f.write_str("settled"),
            Self::Settled(Some(generation)) => write!(f, "settled={generation}"),
            Self::State(state) => write!(f, "state={state}"),
        }
    }
}

impl Serialize for Until {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Until {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(de::Error::custom)
    }
}
