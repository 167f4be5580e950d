//! What each kind of vertex holds. Every field is a fact or a wish; nothing derivable is stored.

use std::collections::BTreeMap;

use mainstay_protocol::code::{Code, Reason};
use mainstay_protocol::command::{Order, StopWhy};
use mainstay_protocol::health::{Evidence, FailureKind, Health, ProcessIdentity, RefusedStart};
use mainstay_protocol::report::{LiveState, Presence, TypeDeclaration};
use mainstay_protocol::room::Needs;
use mainstay_protocol::work::Skills;
use mainstay_protocol::{
    ClusterId, ClusterName, Epoch, Incarnation, InstanceKey, Leadership, NodeEpoch, NodeName,
    PeopleName, Revision, Sequence, SlotName, Timestamp, TypeName,
};
use serde::{Deserialize, Serialize};

use crate::key::{ConfigHash, Key, Kind, NameKey};
use crate::policy::Settings;
use crate::wish::Placement;

pub use crate::access::{Identity, People, Revoked, SealedAuthority, Secret, Token, TokenState};
pub use crate::artifact::{Artifact, ArtifactState, Chunk, Listing};
pub use crate::edge::{Edge, Relation};
pub use crate::lease::Leased;
pub use crate::node::{Away, Care, Cordon, Finding, Maintenance, Node, NodeState, Said, Sightings};
pub use crate::station::{Station, StationBegan, StationState};
pub use crate::supervisor::{Seen, SeenFrom, Supervisor, SupervisorState};
pub use crate::words::{Asked, Collected, Procedure, Resource, Stray};
pub use crate::work::{
    Activity, Orchestration, Ordered, Run, RunState, RunTexts, Service, Step, StepState, Text,
};

/// A vertex with its book-keeping, as it stands in the graph, in a delta and on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub key: Key,
    pub vertex: Vertex,
    /// Log time of the last change of *state* (not of every field).
    pub since: Timestamp,
    /// The revision that last changed it.
    pub rev: Revision,
    pub cause: Cause,
}

/// What brought a change about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// A report of the node, by its name: `failed`.
    Report(String),
    /// A rule, by its name: `restart`.
    Rule(String),
    /// A person's act: `stop`.
    Operator(String),
    /// A session opened, closed or fell silent.
    Session(String),
    /// The coordinator's own start.
    Start,
}

impl Cause {
    /// `report failed`, `rule restart`, `operator stop`.
    pub fn text(&self) -> String {
        match self {
            Self::Report(name) => format!("report {name}"),
            Self::Rule(name) => format!("rule {name}"),
            Self::Operator(name) => format!("operator {name}"),
            Self::Session(name) => format!("session {name}"),
            Self::Start => "coordinator start".to_owned(),
        }
    }

    pub fn rule(&self) -> Option<&str> {
        match self {
            Self::Rule(name) => Some(name),
            Self::Report(_) | Self::Operator(_) | Self::Session(_) | Self::Start => None,
        }
    }
}

/// One vertex. The order of the variants is the order on disk: append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Vertex {
    Cluster(Cluster),
    Station(Station),
    Node(Node),
    Outbox(Outbox),
    Type(ServiceType),
    Placement(Placement),
    Instance(Instance),
    Name(Name),
    Configuration(Configuration),
    Supervisor(Supervisor),
    Command(CommandVertex),
    Parked(Parked),
    Resource(Resource),
    Asked(Asked),
    Procedure(Procedure),
    Collected(Collected),
    Token(Token),
    Identity(Identity),
    Secret(Secret),
    Orchestration(Orchestration),
    Activity(Activity),
    Text(Text),
    Run(Run),
    Step(Step),
    Service(Service),
    Artifact(Artifact),
    Chunk(Chunk),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    pub id: ClusterId,
    pub epoch: Epoch,
    pub name: ClusterName,
    pub settings: Settings,
    /// Rules that somebody switched off, by their names.
    pub rules_off: BTreeMap<String, RuleOff>,
    /// None in a cluster that is on one machine only.
    pub authority: Option<SealedAuthority>,
    pub groups: BTreeMap<PeopleName, People>,
    /// So many nodes are away at once that none is given up.
    pub brake: Option<Brake>,
    /// When this epoch began, where it is not the first: what ran before it may not be known.
    pub epoch_began: Option<Timestamp>,
}

/// Since when no node is given up, and until when; from then on, few at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brake {
    pub since: Timestamp,
    pub until: Timestamp,
}

/// Who switched a rule off, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleOff {
    pub by: String,
    pub why: String,
    pub at: Timestamp,
}

/// How far a node's reports have taken effect. Acknowledgement is this, committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbox {
    pub node_epoch: NodeEpoch,
    pub watermark: Sequence,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceType {
    pub declaration: TypeDeclaration,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub service_type: TypeName,
    /// The exclusive name it must hold on its node.
    pub name: SlotName,
    pub desired: Desired,
    pub state: InstanceState,
    pub reason: Option<Reason>,
    /// The latest start that was decided; count 0 before the first.
    pub incarnation: Incarnation,
    /// The running code's version, as reported.
    pub version: Option<String>,
    pub health: Health,
    pub health_detail: String,
    /// Restarts since sustained health, oldest first, bounded.
    pub attempts: Vec<Timestamp>,
    /// When it last became Running and ok without interruption.
    pub healthy_since: Option<Timestamp>,
    /// When a Backoff ends.
    pub next_try: Option<Timestamp>,
    /// When a Starting or Stopping is overdue.
    pub deadline: Option<Timestamp>,
    pub process: Vec<ProcessIdentity>,
    /// The last failure, kept until the next so that `why` can show its root.
    pub failure: Option<Failure>,
    /// An operator asked for a restart that has not been carried out.
    pub restart_asked: bool,
    /// What each rule declined, by the rule's name: recorded once while it stands.
    pub refusals: BTreeMap<String, Code>,
    /// When an incarnation of it last said that it runs.
    pub started: Option<Timestamp>,
    /// The configuration it shall run with and has not confirmed; the relation `Wants` leads to it.
    pub wanted: Option<ConfigHash>,
    /// The configuration it was last told to run with. What it says it uses may have defaults filled in.
    pub given: Option<ConfigHash>,
    /// The last one it was told of and then said it runs with. Both are kept for comparison; the configuration itself
    /// may be forgotten by then.
    pub ran_with: Option<ConfigHash>,
    /// A change of its configuration that it was asked to take while it runs.
    pub in_place: Option<InPlace>,
    /// With what its newest incarnation was started, where it is to be the only one in the cluster.
    pub lease: Option<Leased>,
    /// What it takes of its node, as long as it does: what its placement said when it was placed, or last started.
    pub needs: Needs,
    /// That is kept for it, whatever else it waits for. False where there was not so much.
    pub has_room: bool,
    /// What its newest incarnation said that it listens on, by its ports' names.
    pub ports: BTreeMap<String, u16>,
    /// What nodes that watch it from elsewhere saw last of its newest incarnation.
    pub seen_from: BTreeMap<NodeName, SeenFrom>,
    /// Steps of runs that its newest incarnation takes at once; none of most types.
    pub hands: u32,
    /// What its configuration says that it takes, beside what all of its type do.
    pub skills: Skills,
}

/// How far such a change is. Gone when the wish is fulfilled or another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum InPlace {
    /// Its word is awaited until then.
    Asked { until: Timestamp },
    /// It did not take it: a restart will do it.
    NeedsRestart,
    /// The configuration is no good, a restart would not help.
    Refused(Reason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Desired {
    Running,
    Stopped,
    Absent,
}

impl Desired {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Stopped => "Stopped",
            Self::Absent => "Absent",
        }
    }
}

/// An instance's life as observed. `transition::instance` says which step may follow which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum InstanceState {
    /// Wanted, nothing decided yet. Left by `start`, or to Blocked.
    Pending,
    /// Cannot be started; the reason says why. Left when the reason is gone.
    Blocked,
    /// A Start was decided. Left by Started, by a refusal, or by its deadline.
    Starting,
    /// Initialised and answering.
    Running,
    /// Running, and its own Check says degraded or failed once.
    Degraded,
    /// Checks miss their deadline; `missed` of `limit` in a row.
    Unresponsive { missed: u32, limit: u32 },
    /// A Stop was decided; `stuck` when its task cannot be ended.
    Stopping { why: StopWhy, stuck: bool },
    /// Not running, and that is right: wanted so, or ended by itself.
    Stopped { by_itself: bool },
    /// Ended against the wish, or lives but said it failed. Left by the restart rules at once.
    Failed { presence: Presence },
    /// Waits for `next_try`.
    Backoff { attempt: u32, of: u32 },
    /// The restart budget is used up. Left by an operator or a changed wish.
    Quarantined,
    /// The node is cut off; `was` is the last known state.
    Unknown { was: LiveState },
    /// The node was given up; `was` is the last known state. Left when it comes back after all.
    Lost { was: LiveState },
}

impl InstanceState {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Blocked => "Blocked",
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Degraded => "Degraded",
            Self::Unresponsive { .. } => "Unresponsive",
            Self::Stopping { .. } => "Stopping",
            Self::Stopped { .. } => "Stopped",
            Self::Failed { .. } => "Failed",
            Self::Backoff { .. } => "Backoff",
            Self::Quarantined => "Quarantined",
            Self::Unknown { .. } => "Unknown",
            Self::Lost { .. } => "Lost",
        }
    }
}

/// A failure with its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub at: Timestamp,
    pub incarnation: Incarnation,
    pub cause: FailureCause,
    pub evidence: Evidence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FailureCause {
    Failed(FailureKind),
    CouldNotStart(RefusedStart),
    NameTaken,
    Unresponsive,
    StartDeadline,
}

impl FailureCause {
    /// As messages say it, before the failure's own words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Failed(FailureKind::Panic) => "panic",
            Self::Failed(FailureKind::Reported) => "reported by itself",
            Self::Failed(FailureKind::Vanished) => "ended unasked",
            Self::Failed(FailureKind::AgentEnded) => "its agent ended",
            Self::Failed(FailureKind::Killed) => "killed from outside",
            Self::Failed(FailureKind::Exit) => "its process ended",
            Self::Failed(FailureKind::Signal) => "its process was ended by a signal",
            Self::Failed(FailureKind::OutOfMemory) => "out of memory",
            Self::Failed(FailureKind::AgentStopped) => "stopped with its agent",
            Self::Failed(FailureKind::LeaseRanOut) => "its lease ran out",
            Self::CouldNotStart(RefusedStart::Config) => "its configuration was refused",
            Self::CouldNotStart(RefusedStart::NotNow) => "the start was refused for now",
            Self::CouldNotStart(RefusedStart::Deadline) => "the start took too long",
            Self::CouldNotStart(RefusedStart::Panic) => "panic while starting",
            Self::CouldNotStart(RefusedStart::NoSuchType) => "the agent does not have the type",
            Self::CouldNotStart(RefusedStart::NotHere) => "it cannot run on this node",
            Self::NameTaken => "the node says the name is taken",
            Self::Unresponsive => "it missed its Checks",
            Self::StartDeadline => "the start is overdue",
        }
    }
}

/// Exists while it is held or waited for; `Holds` and `Waits` say by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Canonical JSON.
    pub json: String,
}

/// A command that has not been answered; removed with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandVertex {
    pub node: NodeName,
    pub leadership: Leadership,
    pub order: Order,
    /// How often it was sent; each time is committed before it goes out.
    pub sends: u32,
    /// When it is sent again.
    pub deadline: Option<Timestamp>,
}

/// Something set aside because recording or judging it came to no end that could be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    pub what: ParkedWhat,
    /// What went wrong: a panic with its words, rules that undo each other, more than fits an entry.
    pub why: Reason,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParkedWhat {
    /// A rule on a subject: skipped until the subject changes or it is requeued.
    Rule {
        rule: String,
        subject: Key,
        rev: Revision,
    },
    /// An event that could not be recorded, with its encoded payload for a requeue.
    Event { name: String, payload: Vec<u8> },
}

impl Vertex {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Cluster(_) => Kind::Cluster,
            Self::Station(_) => Kind::Station,
            Self::Node(_) => Kind::Node,
            Self::Outbox(_) => Kind::Outbox,
            Self::Type(_) => Kind::Type,
            Self::Placement(_) => Kind::Placement,
            Self::Instance(_) => Kind::Instance,
            Self::Name(_) => Kind::Name,
            Self::Configuration(_) => Kind::Configuration,
            Self::Supervisor(_) => Kind::Supervisor,
            Self::Command(_) => Kind::Command,
            Self::Parked(_) => Kind::Parked,
            Self::Resource(_) => Kind::Resource,
            Self::Asked(_) => Kind::Asked,
            Self::Procedure(_) => Kind::Procedure,
            Self::Collected(_) => Kind::Collected,
            Self::Token(_) => Kind::Token,
            Self::Identity(_) => Kind::Identity,
            Self::Secret(_) => Kind::Secret,
            Self::Orchestration(_) => Kind::Orchestration,
            Self::Activity(_) => Kind::Activity,
            Self::Text(_) => Kind::Text,
            Self::Run(_) => Kind::Run,
            Self::Step(_) => Kind::Step,
            Self::Service(_) => Kind::Service,
            Self::Artifact(_) => Kind::Artifact,
            Self::Chunk(_) => Kind::Chunk,
        }
    }

    /// The times at which this vertex wants to be judged again, if nothing changes before.
    pub fn deadlines(&self) -> Vec<Timestamp> {
        match self {
            Self::Instance(instance) => {
                let asked = match instance.in_place {
                    Some(InPlace::Asked { until }) => Some(until),
                    Some(InPlace::NeedsRestart | InPlace::Refused(_)) | None => None,
                };
                let times = [instance.deadline, instance.next_try, asked];
                times.into_iter().flatten().collect()
            }
            Self::Command(command) => command.deadline.into_iter().collect(),
            Self::Placement(placement) => placement.deadlines(),
            Self::Asked(asked) => vec![asked.deadline],
            Self::Procedure(procedure) => procedure.deadline.into_iter().collect(),
            Self::Collected(collected) => vec![collected.until],
            Self::Step(step) => step.due().into_iter().collect(),
            Self::Run(run) => run.may_be_forgotten_at().into_iter().collect(),
            Self::Artifact(artifact) => artifact.arrives_until().into_iter().collect(),
            Self::Node(node) => {
                let maintenance = node.care.maintenance.as_ref();
                let restarted = node.restart.as_ref().and_then(|on| on.ended.as_ref());
                // One that came back by itself keeps what was said of it.
                let restarted = restarted.filter(|_| node.state != NodeState::Online);
                let times = [
                    node.lost_at,
                    maintenance.and_then(|on| on.until),
                    restarted.and_then(|ended| ended.again),
                ];
                times.into_iter().flatten().collect()
            }
            Self::Cluster(_)
            | Self::Station(_)
            | Self::Outbox(_)
            | Self::Type(_)
            | Self::Name(_)
            | Self::Configuration(_)
            | Self::Supervisor(_)
            | Self::Parked(_)
            | Self::Resource(_)
            | Self::Token(_)
            | Self::Identity(_)
            | Self::Secret(_)
            | Self::Orchestration(_)
            | Self::Activity(_)
            | Self::Text(_)
            | Self::Service(_)
            | Self::Chunk(_) => Vec::new(),
        }
    }

    /// Whether going from `self` to `next` is a change of state (which moves `since`).
    pub fn same_state(&self, next: &Self) -> bool {
        match (self, next) {
            (Self::Instance(a), Self::Instance(b)) => {
                a.state.as_str() == b.state.as_str() && a.incarnation == b.incarnation
            }
            (Self::Node(a), Self::Node(b)) => a.state == b.state,
            (Self::Station(a), Self::Station(b)) => (a.state, a.run) == (b.state, b.run),
            (Self::Supervisor(a), Self::Supervisor(b)) => {
                a.state == b.state && a.incarnation == b.incarnation
            }
            (Self::Procedure(a), Self::Procedure(b)) => a.count == b.count,
            (Self::Resource(a), Self::Resource(b)) => a.manner == b.manner,
            (Self::Token(a), Self::Token(b)) => a.state == b.state,
            (Self::Identity(a), Self::Identity(b)) => a == b,
            (Self::Secret(a), Self::Secret(b)) => a == b,
            (Self::Orchestration(a), Self::Orchestration(b)) => a.generation == b.generation,
            (Self::Activity(a), Self::Activity(b)) => a == b,
            (Self::Service(a), Self::Service(b)) => a == b,
            (Self::Artifact(a), Self::Artifact(b)) => a.state == b.state,
            (Self::Run(a), Self::Run(b)) => a.state == b.state,
            (Self::Step(a), Self::Step(b)) => a.state == b.state,
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }
}

/// An instance that was never started.
impl Instance {
    pub fn wanted(service_type: TypeName, name: SlotName, incarnation: Incarnation) -> Self {
        Self {
            service_type,
            name,
            desired: Desired::Running,
            state: InstanceState::Pending,
            reason: None,
            incarnation,
            version: None,
            health: Health::Unknown,
            health_detail: String::new(),
            attempts: Vec::new(),
            healthy_since: None,
            next_try: None,
            deadline: None,
            process: Vec::new(),
            failure: None,
            restart_asked: false,
            refusals: BTreeMap::new(),
            started: None,
            wanted: None,
            given: None,
            ran_with: None,
            in_place: None,
            lease: None,
            needs: Needs::default(),
            has_room: true,
            ports: BTreeMap::new(),
            seen_from: BTreeMap::new(),
            hands: 0,
            skills: Skills::default(),
        }
    }

    /// It takes steps of runs, and could do so now.
    pub fn has_hands(&self) -> bool {
        self.hands > 0 && self.state.is_serving()
    }
}

/// The keys an instance stands next to without an edge.
pub fn slot_of(key: &InstanceKey, instance: &Instance) -> NameKey {
    NameKey::new(key.node.clone(), instance.name.clone())
}
