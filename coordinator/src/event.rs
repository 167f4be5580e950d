//! Events: everything that can touch the graph, as data. What cannot be recorded is parked, so events are stored too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use mainstay_protocol::host::HostCommandId;
use mainstay_protocol::report::{NodeUp, Reports};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::room::Needs;
use mainstay_protocol::{
    Admits, AgentRunId, Bearer, ClusterId, ClusterName, Generation, GroupName, InstanceKey, NodeId,
    NodeName, PeopleName, PlacementName, Revision, SecretName, SlotName, StationId, StationRunId,
    Timestamp, TypeName,
};
use mainstay_resource_graph::{
    AskedId, ConfigHash, Count, DependsUntil, Digest, HostOutcome, ParkedId, People, RestartPolicy,
    SealedAuthority, Secret, Settings, Sightings, Singleton, Target, TokenId, Update, Wish,
};
use serde::{Deserialize, Serialize};

use crate::orchestrate::Orchestrate;

/// One event. The order of the variants is the order on disk: append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The first event of a cluster, and of every start of a coordinator: idempotent.
    Found(Found),
    /// An agent introduced itself. `minted` is used if the node is new.
    NodeUp { up: Box<NodeUp>, minted: NodeId },
    /// Reports of one node.
    Reports { node: NodeName, reports: Reports },
    /// A session ended or fell silent; it was that of this agent run.
    AgentGone {
        node: NodeName,
        agent_run: Option<AgentRunId>,
        why: GoneWhy,
    },
    /// A person's act, and whose: `ada (admin)`.
    Operator { operation: Operation, by: String },
    /// A station's process ends in order.
    StationStops {
        station: StationId,
        run: StationRunId,
    },
    /// The group as this station, which leads, sees it.
    Stations(BTreeMap<StationId, StationSeen>),
    /// Somebody looked for a node that is away since then.
    Sighted {
        node: NodeName,
        since: Timestamp,
        seen: Sightings,
    },
    /// What came of a command about a machine.
    HostCommandRan {
        id: HostCommandId,
        outcome: HostOutcome,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    pub cluster: ClusterId,
    pub name: ClusterName,
    pub settings: Settings,
    pub station: StationId,
    pub address: String,
    pub life: StationLife,
    /// Of a cluster on several machines: the authority as it was founded, and the digest of this station's own key.
    pub authority: Option<(SealedAuthority, Digest)>,
}

/// One life of a station's process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StationLife {
    pub run: StationRunId,
    pub build: String,
    /// The node it runs on, if its machine is one.
    pub node: Option<NodeName>,
}

/// A station of the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StationSeen {
    pub address: String,
    /// It counts for a majority.
    pub votes: bool,
    /// None as long as it is too early to say.
    pub heard: Option<bool>,
    /// The newest that is known; none if it was never heard.
    pub life: Option<StationLife>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum GoneWhy {
    SessionClosed,
    Silent,
    /// Nothing was heard since the coordinator started, and the grace is over.
    NotHeard,
}

/// What a person asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    Start(StartPlacement),
    Stop {
        instance: InstanceKey,
    },
    Restart {
        instance: InstanceKey,
    },
    Clear {
        instance: InstanceKey,
    },
    Requeue {
        parked: ParkedId,
    },
    Drop {
        parked: ParkedId,
    },
    /// What an instance asked is answered by hand.
    Answer {
        asked: AskedId,
        /// JSON.
        answer: String,
    },
    DisableRule {
        rule: String,
        by: String,
        why: String,
    },
    EnableRule {
        rule: String,
    },
    /// Placements put and deleted as one: all of it, or nothing.
    Apply(Apply),
    Reconfigure(Reconfigure),
    /// An earlier wish again; the last good one where none is named.
    Rollback {
        placement: PlacementName,
        to: Option<Generation>,
        based_on: BasedOn,
    },
    /// A start with the configuration that last ran, whatever is wanted.
    SafeStart {
        instance: InstanceKey,
    },
    CreateToken(NewToken),
    RevokeToken {
        token: TokenId,
        by: String,
    },
    /// Somebody shows a token, to be let in.
    UseToken(UseToken),
    RevokeIdentity {
        bearer: Bearer,
        by: String,
        why: String,
    },
    SetSecret {
        name: SecretName,
        secret: Secret,
    },
    /// Whole; what it was before is past.
    SetGroup {
        name: PeopleName,
        group: People,
    },
    RemoveGroup {
        name: PeopleName,
    },
    /// What somebody says of a node.
    Node {
        node: NodeName,
        act: NodeAct,
        by: String,
    },
    /// What runs on its node is to run on this one.
    Move {
        instance: InstanceKey,
        to: NodeName,
        by: String,
    },
    /// Orchestrations and runs.
    Orchestrate {
        what: Orchestrate,
        by: String,
    },
    /// Whatever happens there is left as it is, as long as this says; none ends that.
    Maintenance {
        of: WorkedOn,
        on: Option<Maintain>,
        by: String,
    },
}

/// What somebody works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkedOn {
    Node(NodeName),
    EveryNode,
    Placement(PlacementName),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintain {
    pub why: String,
    /// It ends by itself after so long; else when somebody says so.
    pub within: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeAct {
    /// It takes no new instance.
    Cordon { why: String },
    /// What is there ends as well. `force`: also what runs nowhere else.
    Drain { why: String, force: bool },
    /// It takes instances again.
    Uncordon,
    /// These are set; those without a value are taken away.
    Label {
        labels: BTreeMap<String, Option<String>>,
        /// Also where too little is left of what leaves it.
        force: bool,
    },
    /// It is no part of the cluster any more.
    Remove,
    /// It is off, somebody says who has seen it.
    ConfirmDead { why: String },
    /// Its machine is to be restarted. `force`: also where too little is left meanwhile.
    Restart { why: String, force: bool },
}

impl NodeAct {
    fn name(&self) -> &'static str {
        match self {
            Self::Cordon { .. } => "node cordon",
            Self::Drain { .. } => "node drain",
            Self::Uncordon => "node uncordon",
            Self::Label { .. } => "node label",
            Self::ConfirmDead { .. } => "node confirm-dead",
            Self::Remove => "node remove",
            Self::Restart { .. } => "node restart",
        }
    }
}

impl Operation {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Start(_) => "start",
            Self::Stop { .. } => "stop",
            Self::Restart { .. } => "restart",
            Self::Clear { .. } => "clear",
            Self::Requeue { .. } => "parked requeue",
            Self::Drop { .. } => "parked drop",
            Self::Answer { .. } => "answer",
            Self::DisableRule { .. } => "rule disable",
            Self::EnableRule { .. } => "rule enable",
            Self::Reconfigure(_) => "reconfigure",
            Self::Rollback { .. } => "rollback",
            Self::SafeStart { .. } => "safe-mode start",
            Self::CreateToken(_) => "token create",
            Self::RevokeToken { .. } => "token revoke",
            Self::UseToken(_) => "join",
            Self::RevokeIdentity { .. } => "identity revoke",
            Self::SetSecret { .. } => "secret set",
            Self::SetGroup { .. } => "group set",
            Self::RemoveGroup { .. } => "group remove",
            Self::Node { act, .. } => act.name(),
            Self::Move { .. } => "move",
            Self::Orchestrate { what, .. } => what.name(),
            Self::Maintenance { on: Some(_), .. } => "maintenance on",
            Self::Maintenance { on: None, .. } => "maintenance off",
            Self::Apply(apply) => match apply.changes.as_slice() {
                [Change::Put { .. }] => "put",
                [Change::Delete { .. }] => "delete",
                [] if apply.settings.is_some() => "settings set",
                _ => "apply",
            },
        }
    }
}

/// A token to be; its secret stays with who asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewToken {
    pub id: TokenId,
    pub hash: Digest,
    pub admits: Admits,
    pub valid: Duration,
    pub by: String,
}

/// Somebody shows a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseToken {
    pub token: TokenId,
    /// Of the secret that was said.
    pub hash: Digest,
    /// Of the public key that certificates will be issued to.
    pub key: Digest,
    pub asks: Asks,
}

/// Who somebody wants to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asks {
    Agent(NodeName),
    /// Its number is chosen for it.
    Station,
    /// Name and role are the token's.
    Person,
}

impl fmt::Display for Asks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(node) => write!(f, "agent/{node}"),
            Self::Station => f.write_str("a station"),
            Self::Person => f.write_str("a person"),
        }
    }
}

/// Makes a placement, or adds nodes to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartPlacement {
    pub service_type: TypeName,
    pub name: PlacementName,
    /// Generic types only.
    pub holds: Option<SlotName>,
    pub on: StartOn,
    /// JSON object as given; made canonical by `record`. An empty text is `{}`.
    pub config: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartOn {
    Nodes(BTreeSet<NodeName>),
    All,
    Count(Count),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apply {
    pub changes: Vec<Change>,
    pub settings: Option<SettingsChange>,
}

/// The cluster's settings as they shall be, whole, and the revision of their last change that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsChange {
    pub settings: Settings,
    pub based_on: Revision,
}

/// Another configuration, whole: everywhere, or on some nodes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconfigure {
    pub placement: PlacementName,
    /// JSON object as given.
    pub config: String,
    pub on: Option<BTreeSet<NodeName>>,
    pub based_on: BasedOn,
}

/// What one placement shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Makes it, or replaces its whole wish.
    Put {
        wish: Box<PlacementWish>,
        based_on: BasedOn,
    },
    /// Its instances end, then it is removed; whatever depends on it ends before.
    Delete {
        placement: PlacementName,
        based_on: BasedOn,
    },
}

/// What whoever asks for a change knew of the placement: two changes of one generation do not both take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BasedOn {
    /// Whatever there is by now.
    Anything,
    /// There was none.
    Nothing,
    Generation(Generation),
}

/// A whole placement, as people describe it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementWish {
    pub name: PlacementName,
    pub service_type: TypeName,
    /// Generic types only.
    pub holds: Option<SlotName>,
    pub target: Target,
    /// JSON object as given; made canonical by `record`. An empty text is `{}`.
    pub config: String,
    pub policy: RestartPolicy,
    pub depends_on: BTreeMap<PlacementName, DependsUntil>,
    pub update: Update,
    pub restart_group: Option<GroupName>,
    pub singleton: Option<Singleton>,
    /// What each instance takes of its node.
    pub needs: Needs,
    /// So many must serve whatever anybody wants done.
    pub minimum: u32,
}

impl PlacementWish {
    /// As the graph keeps it, with its configuration there.
    pub fn with(&self, config: ConfigHash) -> Wish {
        Wish {
            target: self.target.clone(),
            config,
            on_nodes: BTreeMap::new(),
            policy: self.policy.clone(),
            depends_on: self.depends_on.clone(),
            update: self.update.clone(),
            restart_group: self.restart_group.clone(),
            singleton: self.singleton,
            needs: self.needs.clone(),
            minimum: self.minimum,
        }
    }
}

impl Change {
    pub fn placement(&self) -> &PlacementName {
        match self {
            Self::Put { wish, .. } => &wish.name,
            Self::Delete { placement, .. } => placement,
        }
    }
}

/// Who waits for an operation's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What an operation came to, once committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub revision: Revision,
    /// The instances it concerns, in key order.
    pub instances: Vec<InstanceKey>,
    /// In words: "web is already running on n1".
    pub text: String,
    /// Whether anything was changed.
    pub changed: bool,
}

/// An operation's answer.
pub type Answer = Result<Accepted, Refusal>;

impl Event {
    pub fn operator(operation: Operation, by: &str) -> Self {
        let by = by.to_owned();
        Self::Operator { operation, by }
    }

    /// Its name, as logs and the parking place show it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Found(_) => "found",
            Self::NodeUp { .. } => "node_up",
            Self::Reports { .. } => "reports",
            Self::AgentGone { .. } => "agent_gone",
            Self::Operator { operation, .. } => operation.name(),
            Self::Stations(_) => "stations",
            Self::StationStops { .. } => "station_stops",
            Self::Sighted { .. } => "sighted",
            Self::HostCommandRan { .. } => "host_command_ran",
        }
    }
}
