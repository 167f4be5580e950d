//! What is asked for, and what comes of it.

use std::fmt;
use std::str::FromStr;

use mainstay_protocol::StationRunId;
use mainstay_protocol::health::Health;
use mainstay_resource_graph::Kind;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::instance::Instance;
use super::shapes::HealthShape;

/// Makes a placement, or adds nodes to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRequest {
    /// The service type it runs.
    #[serde(rename = "type")]
    pub service_type: String,
    /// The placement's name; the type's if null.
    #[serde(default)]
    pub name: Option<String>,
    /// The exclusive name, for generic types.
    #[serde(default)]
    pub holds: Option<String>,
    /// Where.
    pub on: On,
    /// A JSON object; `{}` if null.
    #[serde(default)]
    pub config: Value,
}

/// `{"nodes": [..]}`, `"all"` or `{"count": {"count": 3, "spread": "rack"}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// These nodes.
    Nodes(Vec<String>),
    /// Every node there is, and every one that comes.
    All,
    /// So many, on nodes that the cluster chooses.
    Count {
        /// So many.
        count: u32,
        /// The label over whose values they are spread.
        #[serde(default)]
        spread: Option<String>,
    },
}

/// A change that is committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// What of the graph has it in.
    pub revision: u64,
    /// The instances it concerns.
    pub instances: Vec<String>,
    /// What was done, in words.
    pub text: String,
    /// False where everything was already so.
    pub changed: bool,
}

/// The last words of one life of a station.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StationStops {
    /// Which life of it.
    #[schemars(with = "String")]
    pub run: StationRunId,
}

/// Adds a station to the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StationRequest {
    /// Where the others reach it: `unix:SOCKET`.
    pub address: String,
}

/// Breaks something on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChaosRequest {
    /// An instance, `supervisor/NODE`, or `node/NODE` for its agent.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What is done to it.
    pub act: ChaosAct,
    /// `delay`, `slow_disk`, `skew`: by so many milliseconds; a clock may also be slow.
    #[serde(default)]
    pub by_ms: Option<i64>,
    /// `partition`: from the station alone; others still see it.
    #[serde(default)]
    pub from_station: bool,
}

/// How something is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChaosAct {
    /// It is killed.
    Kill,
    /// Its code panics.
    Panic,
    /// It answers nothing any more.
    Hang,
    /// It is told to end.
    Stop,
    /// Nothing from it arrives any more, and nobody sees it.
    Partition,
    /// Everything between it and the station takes longer.
    Delay,
    /// Its disk takes longer for each sync.
    SlowDisk,
    /// Its clock is wrong.
    Skew,
    /// What was done to its way, its disk or its clock is over; `cluster` for all of it.
    Heal,
}

impl ChaosAct {
    /// As commands call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Panic => "panic",
            Self::Hang => "hang",
            Self::Stop => "stop",
            Self::Partition => "partition",
            Self::Delay => "delay",
            Self::SlowDisk => "slow-disk",
            Self::Skew => "skew",
            Self::Heal => "heal",
        }
    }
}

/// What was done at once, and is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// To what.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What, in words.
    pub text: String,
}

/// What a Check said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckAnswer {
    /// What was checked.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What it says.
    #[schemars(with = "HealthShape")]
    pub health: Health,
    /// In its own words; null where it had none.
    pub detail: Option<String>,
    /// Milliseconds it took.
    pub took_ms: u64,
}

/// How something is, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusAnswer {
    /// What was asked.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What it said.
    pub text: String,
}

/// A page of what an incarnation wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogPage {
    /// Which instance.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Which start of it.
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

/// What an instance answered to a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallAnswer {
    /// Which instance.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The message that was sent.
    pub message: String,
    /// Its answer.
    pub answer: Value,
}

/// Waits for a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitRequest {
    /// An instance, a placement, a node, a supervisor or a station.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What is waited for: `running`, `healthy`, `gone`, `settled`, `state=X`.
    #[serde(rename = "for")]
    #[schemars(with = "String")]
    pub until: Until,
    /// Milliseconds after which the wait has failed.
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

/// What was waited for has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitAnswer {
    /// What it was waited of.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Milliseconds that were waited.
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

const OF_INSTANCES: [&str; 13] = [
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
    "Lost",
];
const OF_NODES: [&str; 3] = ["Online", "AgentDown", "Lost"];
const OF_SUPERVISORS: [&str; 2] = ["Running", "Unknown"];
const OF_RUNS: [&str; 8] = [
    "Running",
    "Paused",
    "Completed",
    "Errored",
    "Compensating",
    "Compensated",
    "CompensationFailed",
    "Cancelled",
];
const OF_STATIONS: [&str; 5] = ["Joining", "Running", "Stopped", "Away", "Removed"];

/// The states something of a kind can be waited into, as they are written; none where it has no state.
pub fn states_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Instance | Kind::Placement => &OF_INSTANCES,
        Kind::Node => &OF_NODES,
        Kind::Supervisor => &OF_SUPERVISORS,
        Kind::Station => &OF_STATIONS,
        Kind::Run => &OF_RUNS,
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
        | Kind::Secret
        | Kind::Orchestration
        | Kind::Activity
        | Kind::Service
        | Kind::Artifact
        | Kind::Chunk
        | Kind::Text
        | Kind::Step => &[],
    }
}

/// Every state that can be waited for.
pub fn states() -> impl Iterator<Item = &'static str> {
    let more = OF_STATIONS
        .into_iter()
        .chain(OF_RUNS)
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
