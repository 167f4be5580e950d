//! Reports: facts from a node to the coordinator. Each takes effect exactly once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::health::{Evidence, FailureKind, Health, ProcessIdentity, RefusedStart};
use crate::ids::CommandId;
use crate::ids::{
    AgentRunId, BootId, InstanceKey, NodeId, NodeName, QuestionId, ResourceKey, SlotName, TypeName,
};
use crate::numbers::{Epoch, Incarnation, NodeEpoch, Sequence};
use crate::room::Room;
use crate::sight::{InstanceSight, Sight};
use crate::versioned::{Evolving, nested, nested_list};
use crate::work::{Serves, StepKey, WorkAnswer};

/// A report as it travels: numbered within its node's outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbered {
    pub sequence: Sequence,
    #[serde(with = "nested")]
    pub report: Report,
}

/// A batch of reports from one node; the numbers rise, gaps are allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reports {
    pub epoch: Epoch,
    pub node_epoch: NodeEpoch,
    pub reports: Vec<Numbered>,
}

/// A fact about an instance, or about the node's own parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// Initialised and answering, with the configuration in use.
    Started {
        instance: InstanceKey,
        incarnation: Incarnation,
        version: String,
        /// Canonical JSON.
        config: String,
        process: Vec<ProcessIdentity>,
        /// What it listens on, by its ports' names, as far as its type says.
        ports: BTreeMap<String, u16>,
    },
    CouldNotStart {
        instance: InstanceKey,
        incarnation: Incarnation,
        refused: RefusedStart,
        text: String,
    },
    /// The node's own lock on the name is taken.
    NameTaken {
        instance: InstanceKey,
        incarnation: Incarnation,
        name: SlotName,
        holder: Option<InstanceKey>,
    },
    /// The instance is gone and did not fail.
    Ended {
        instance: InstanceKey,
        incarnation: Incarnation,
        ending: Ending,
    },
    Failed {
        instance: InstanceKey,
        incarnation: Incarnation,
        kind: FailureKind,
        /// `Gone` frees the name; `Living` must be stopped first.
        presence: Presence,
        evidence: Evidence,
    },
    HealthChanged {
        instance: InstanceKey,
        incarnation: Incarnation,
        health: Health,
        detail: String,
    },
    /// Checks missed their deadline: said at the first miss, and again when the limit is reached.
    Unresponsive {
        instance: InstanceKey,
        incarnation: Incarnation,
        missed: u32,
        limit: u32,
        detail: String,
    },
    /// It goes on with another configuration than it began with.
    ConfigChanged {
        instance: InstanceKey,
        incarnation: Incarnation,
        /// Canonical JSON.
        config: String,
    },
    SupervisorChanged {
        incarnation: u64,
        watches: u32,
        why: String,
    },
    CommandDone {
        command: CommandId,
        outcome: CommandOutcome,
    },
    /// An Adopt was obeyed: this runs, began like this, and is like this now.
    Adopted {
        instance: InstanceKey,
        incarnation: Incarnation,
        service_type: TypeName,
        version: String,
        /// What it was told to run with, canonical JSON.
        given: String,
        /// What it says it runs with.
        config: String,
        process: Vec<ProcessIdentity>,
        ports: BTreeMap<String, u16>,
        health: Health,
        /// What it was granted and has not released.
        uses: Vec<Use>,
    },
    /// It wants to hold or share a resource, and waits for the Answer that says whether it does.
    Acquired {
        instance: InstanceKey,
        incarnation: Incarnation,
        question: QuestionId,
        resource: ResourceKey,
        manner: Manner,
    },
    Released {
        instance: InstanceKey,
        incarnation: Incarnation,
        resource: ResourceKey,
    },
    /// It failed in a way of its own, and waits for an Answer that says what to do.
    Asked {
        instance: InstanceKey,
        incarnation: Incarnation,
        question: QuestionId,
        failure: TypedFailure,
        deadline_ms: u64,
    },
    /// It is about to stop by itself.
    Announced {
        instance: InstanceKey,
        incarnation: Incarnation,
        why: String,
    },
    /// Something it follows for others has a new record.
    Recorded {
        instance: InstanceKey,
        incarnation: Incarnation,
        name: String,
        /// JSON.
        body: String,
    },
    /// A node that this one guards looks otherwise than before.
    GuardSaw { guarded: NodeName, sight: Sight },
    /// An instance of another node that this one watches looks otherwise than before.
    WatcherSaw {
        instance: InstanceKey,
        incarnation: Incarnation,
        sight: InstanceSight,
    },
    /// What came of an activity that it was given.
    Worked {
        instance: InstanceKey,
        incarnation: Incarnation,
        step: StepKey,
        /// That brought it.
        command: CommandId,
        answer: WorkAnswer,
    },
}

/// Whether others may use a resource beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    Alone,
    Shared,
}

impl Manner {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Shared => "shared",
        }
    }
}

/// A resource that an instance has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    pub resource: ResourceKey,
    pub manner: Manner,
}

/// A failure that a type has a name for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypedFailure {
    /// Kebab case: `disk-full`.
    pub name: String,
    /// What it says of itself, JSON.
    pub body: String,
}

/// Whether what failed is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    Gone,
    Living,
}

/// How an instance came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It ended cleanly, unasked.
    ByItself,
    /// It was asked to stop and did.
    Asked,
    /// It was asked, did not within the deadline, and was killed.
    Killed,
}

/// What became of a command. A repeat gets the first answer again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandOutcome {
    Done,
    /// The instance was not there to be stopped.
    NotRunning,
    /// Older than what this node knows (incarnation floor, or a deposed leader).
    Stale,
    /// The task never yields: it could be neither stopped nor aborted; it is still there.
    WillNotEnd,
    Refused {
        code: Code,
        text: String,
    },
}

/// A node's agent introduces itself; outside the sequence, once per session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeUp {
    pub node: NodeName,
    pub node_id: Option<NodeId>,
    pub boot_id: BootId,
    pub agent_run: AgentRunId,
    /// The epoch its outbox file carries; none when the file is new.
    pub node_epoch: Option<NodeEpoch>,
    pub build: String,
    pub address: String,
    #[serde(with = "nested")]
    pub sysinfo: SysInfo,
    #[serde(with = "nested_list")]
    pub provides: Vec<TypeDeclaration>,
    /// Every instance of which this node has a floor or a living incarnation.
    pub digest: BTreeMap<InstanceKey, DigestEntry>,
    pub supervisor: u64,
}

/// What a node knows of one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestEntry {
    /// Nothing below this is started any more.
    pub floor: Incarnation,
    pub live: Option<LiveInstance>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveInstance {
    pub incarnation: Incarnation,
    pub state: LiveState,
    pub health: Health,
    /// None: the node does not remember.
    pub service_type: Option<TypeName>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LiveState {
    Starting,
    Running,
    Stopping,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SysInfo {
    pub hostname: String,
    pub cores: u32,
    pub memory_bytes: u64,
    pub labels: BTreeMap<String, String>,
    /// Wall time of its boot; 0 if that is not known. Only for showing when processes started.
    pub booted_ms: u64,
    /// What instances may take of it together: all there is, or what its agent was told to offer.
    pub offers: Room,
}

/// A service type as its code declares it: the one declaration everybody learns it from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TypeDeclaration {
    pub name: TypeName,
    pub version: String,
    /// The fixed name, or none for a type that takes it from its placement (`--holds`).
    pub holds: Option<SlotName>,
    /// JSON Schema of the configuration, canonical JSON.
    pub schema: String,
    /// JSON of `{"message-name": schema}`.
    pub messages: Vec<MessageDeclaration>,
    pub restart: RestartWhen,
    pub start_deadline_ms: u64,
    pub stop_deadline_ms: u64,
    pub may_use: Vec<String>,
    /// A running instance may be given another configuration.
    pub in_place: bool,
    /// What it starts ends with the agent, or can be ended without it when its lease runs out.
    pub keeps_lease: bool,
    /// Activities of runs that its instances do; none of most types.
    pub serves: Serves,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MessageDeclaration {
    /// Kebab case, as typed on the command line.
    pub name: String,
    /// JSON Schema of the message's body, canonical JSON.
    pub schema: String,
}

/// When an instance that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartWhen {
    Always,
    OnFailure,
    Never,
}

impl Evolving for Report {
    const NAME: &'static str = "report";
    const VERSION: u16 = 1;
    const COMPAT: u16 = 1;
}

impl Evolving for SysInfo {
    const NAME: &'static str = "sysinfo";
    const VERSION: u16 = 1;
    const COMPAT: u16 = 1;
}

impl Evolving for TypeDeclaration {
    const NAME: &'static str = "type-declaration";
    const VERSION: u16 = 1;
    const COMPAT: u16 = 1;
}

impl Report {
    /// The instance and incarnation of its own node that it speaks of, where it has one.
    pub fn about(&self) -> Option<(&InstanceKey, Incarnation)> {
        macro_rules! of_one_instance {
            ($($variant:ident)*) => {
                match self {
                    $(Self::$variant { instance, incarnation, .. })|* => {
                        Some((instance, *incarnation))
                    }
                    Self::SupervisorChanged { .. }
                    | Self::CommandDone { .. }
                    | Self::GuardSaw { .. }
                    | Self::WatcherSaw { .. } => None,
                }
            };
        }
        of_one_instance! {
            Started CouldNotStart NameTaken Ended Failed HealthChanged Unresponsive ConfigChanged
            Adopted Acquired Released Asked Announced Recorded Worked
        }
    }

    /// Health reports, and what a guard or a watcher saw, may be dropped for a newer one while unsent; life-cycle reports never.
    pub fn coalesces_with(&self, older: &Self) -> bool {
        if let (Self::GuardSaw { guarded, .. }, Self::GuardSaw { guarded: other, .. }) =
            (self, older)
        {
            return guarded == other;
        }
        if let (
            Self::WatcherSaw { instance, .. },
            Self::WatcherSaw {
                instance: other, ..
            },
        ) = (self, older)
        {
            return instance == other;
        }
        let health = |report: &Self| {
            matches!(
                report,
                Self::HealthChanged { .. } | Self::Unresponsive { .. }
            )
        };
        health(self) && health(older) && self.about() == older.about()
    }

    /// Its name, as events and decisions show it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::CouldNotStart { .. } => "could_not_start",
            Self::NameTaken { .. } => "name_taken",
            Self::Ended { .. } => "ended",
            Self::Failed { .. } => "failed",
            Self::HealthChanged { .. } => "health_changed",
            Self::Unresponsive { .. } => "unresponsive",
            Self::ConfigChanged { .. } => "config_changed",
            Self::SupervisorChanged { .. } => "supervisor_changed",
            Self::CommandDone { .. } => "command_done",
            Self::Adopted { .. } => "adopted",
            Self::Acquired { .. } => "acquired",
            Self::Released { .. } => "released",
            Self::Asked { .. } => "asked",
            Self::Announced { .. } => "announced",
            Self::Recorded { .. } => "recorded",
            Self::Worked { .. } => "worked",
            Self::GuardSaw { .. } => "guard_saw",
            Self::WatcherSaw { .. } => "watcher_saw",
        }
    }
}
