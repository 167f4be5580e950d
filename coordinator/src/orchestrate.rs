//! What people ask for of orchestrations and runs.

use mainstay_protocol::work::Outside;
use mainstay_protocol::{ArtifactId, Blob, CommandId, Json, RunId, ServiceId, Sha256, WorkName};
use mainstay_resource_graph::Listing;
use serde::{Deserialize, Serialize};

use crate::event::BasedOn;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Orchestrate {
    /// Makes a type of activity, or replaces it for runs that begin later.
    PutActivity {
        definition: Json,
        based_on: BasedOn,
    },
    DeleteActivity {
        name: WorkName,
    },
    /// Makes an orchestration, or replaces it for runs that begin later.
    PutOrchestration {
        definition: Json,
        based_on: BasedOn,
    },
    DeleteOrchestration {
        name: WorkName,
    },
    Start(StartRun),
    /// Registers a service, or replaces it for orders that follow.
    PutService {
        description: Json,
        based_on: BasedOn,
    },
    DeleteService {
        id: ServiceId,
    },
    /// Begins a run of what a service is for.
    Order(PlaceOrder),
    Act {
        run: RunId,
        act: RunAct,
    },
    /// A run that is over is removed, whatever it may have left behind.
    Forget {
        run: RunId,
    },
    Artifact(Box<Keep>),
}

/// An artifact comes in pieces, and is seen when all of them are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keep {
    /// Makes room for it. What else of this id has not come whole is given up.
    Begin(NewArtifact),
    Chunk {
        artifact: ArtifactId,
        /// Of the whole: what belongs to another content is refused.
        digest: Sha256,
        number: u32,
        bytes: Blob,
    },
    Finish {
        artifact: ArtifactId,
        digest: Sha256,
    },
    Delete {
        artifact: ArtifactId,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewArtifact {
    pub id: ArtifactId,
    /// None: as it was called before.
    pub name: Option<String>,
    pub media_type: Option<String>,
    pub size: u64,
    pub digest: Sha256,
    pub listing: Listing,
}

/// The same one again begins nothing: it is the run that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartRun {
    pub id: RunId,
    pub orchestration: WorkName,
    /// Of a definition with several; `deploy` where none is said.
    pub section: Option<String>,
    pub correlation: Option<String>,
    pub input: Json,
}

/// The same one again orders nothing more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceOrder {
    pub id: RunId,
    /// The service's id, or its name if no other has it.
    pub service: String,
    pub name: Option<String>,
    pub parameters: Vec<(String, Json)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunAct {
    Pause,
    Resume,
    Cancel,
    /// One that failed goes on where it failed.
    Retry,
    /// Somebody outside says what became of a step.
    Tell {
        activity: WorkName,
        token: CommandId,
        said: Outside,
    },
}

impl Orchestrate {
    /// As logs and events show it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PutActivity { .. } => "activity apply",
            Self::DeleteActivity { .. } => "activity delete",
            Self::PutOrchestration { .. } => "orchestration apply",
            Self::DeleteOrchestration { .. } => "orchestration delete",
            Self::PutService { .. } => "service register",
            Self::DeleteService { .. } => "service delete",
            Self::Start(_) => "run start",
            Self::Order(_) => "order",
            Self::Forget { .. } => "run forget",
            Self::Artifact(keep) => match &**keep {
                Keep::Begin(_) | Keep::Chunk { .. } | Keep::Finish { .. } => "artifact put",
                Keep::Delete { .. } => "artifact delete",
            },
            Self::Act { act, .. } => match act {
                RunAct::Pause => "run pause",
                RunAct::Resume => "run resume",
                RunAct::Cancel => "run cancel",
                RunAct::Retry => "run retry",
                RunAct::Tell { .. } => "run complete",
            },
        }
    }
}
