//! Durable work: what there is to be done, runs of it, and their steps.
//!
//! ```text
//!                       all complete              +-> Compensated
//!  Running ---------------> Completed             |
//!   ^  |  \--fatal--> Errored --compensate--> Compensating --> CompensationFailed
//!   |  |                 |
//!  Paused                +--retried by hand--> Running
//!   (any that is not over) --cancel--> Cancelled
//!
//!  Pending --last dependency--> Queued --taken--> Running --complete--> Completed
//!                                 ^                 |  \--fatal--> Failed
//!                                 +-- Scheduled <---+
//!                                 +-- Retrying  <---+
//!                                       Waiting <---+ --from outside--> Completed, Failed
//!  what had not begun when the run ended: Skipped, or Cancelled
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_protocol::work::{Outside, Skill};
use mainstay_protocol::{
    CommandId, Generation, Incarnation, InstanceKey, Json, ServiceId, Timestamp, WorkName, limits,
};
use serde::{Deserialize, Serialize};

use crate::key::TextHash;

/// The definition that counts for runs that begin from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orchestration {
    pub definition: Json,
    pub generation: Generation,
    pub by: String,
}

/// A type of activity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    pub definition: Json,
    pub generation: Generation,
    pub by: String,
}

/// A service as it was registered. What its description means its model says, whenever it is ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// As it was written.
    pub description: Json,
    pub name: String,
    /// The schema of its controller, in the one spelling.
    pub model: String,
    /// Somebody can order it; else it is placed.
    pub is_ordered: bool,
    pub generation: Generation,
    pub by: String,
}

/// What somebody ordered, of which a run is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    pub service: ServiceId,
    /// What the service was called then.
    pub called: String,
    /// In the words of who ordered it.
    pub name: Option<String>,
    /// Each parameter of the service as it is for this order: an object.
    pub parameters: Json,
}

/// What runs go by, and were given: kept once by its hash, as long as a run reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    pub json: Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RunState {
    Running,
    /// Nothing is handed out until somebody says so; what is out may come back.
    Paused,
    Completed,
    Errored,
    /// What was done is being undone, by another run.
    Compensating,
    Compensated,
    CompensationFailed,
    Cancelled,
}

impl RunState {
    /// Steps go on in it.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Paused => "Paused",
            Self::Completed => "Completed",
            Self::Errored => "Errored",
            Self::Compensating => "Compensating",
            Self::Compensated => "Compensated",
            Self::CompensationFailed => "CompensationFailed",
            Self::Cancelled => "Cancelled",
        }
    }
}

/// One execution. Its steps are vertices of their own, so that what one completion writes does not grow with their number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub orchestration: WorkName,
    /// Of a definition with several: `deploy`.
    pub section: Option<String>,
    pub correlation: Option<String>,
    /// What it goes by, whatever becomes of the orchestration: the definition, and the types of its activities.
    pub plan: TextHash,
    pub input: TextHash,
    /// What was asked for when it began: the same again is the same run.
    pub asked: TextHash,
    /// It undoes another run: these, one after the other.
    pub line: Option<Vec<WorkName>>,
    pub state: RunState,
    /// An object that its activities share; changed by deltas alone.
    pub context: Json,
    /// Of each activity that failed for good: what it said.
    pub errors: BTreeMap<WorkName, String>,
    /// Steps that are complete.
    pub done: u32,
    /// Steps that are not.
    pub left: u32,
    pub began: Timestamp,
    pub ended: Option<Timestamp>,
    /// What its definition maps out of a run that is complete.
    pub response: Option<Json>,
    pub by: String,
    /// None of one that an orchestration began.
    pub ordered: Option<Ordered>,
}

/// What a run goes by and was given, and what was asked for.
#[derive(Debug, Clone)]
pub struct RunTexts {
    pub plan: TextHash,
    pub input: TextHash,
    pub asked: TextHash,
}

impl Run {
    /// One that begins: nothing has happened to it.
    pub fn new(orchestration: WorkName, texts: RunTexts, by: &str, began: Timestamp) -> Self {
        let RunTexts { plan, input, asked } = texts;
        Self {
            orchestration,
            section: None,
            correlation: None,
            plan,
            input,
            asked,
            line: None,
            state: RunState::Running,
            context: Json::empty_object(),
            errors: BTreeMap::new(),
            done: 0,
            left: 0,
            began,
            ended: None,
            response: None,
            by: by.to_owned(),
            ordered: None,
        }
    }

    /// One that is over is there until then to be looked at, and longer where somebody may want it undone.
    pub fn may_be_forgotten_at(&self) -> Option<Timestamp> {
        let kept = Duration::from_millis(limits::RUN_KEPT_MS);
        let is_over = !self.state.is_open() && self.state != RunState::Compensating;
        self.ended.filter(|_| is_over).map(|ended| ended + kept)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub skill: Skill,
    pub state: StepState,
    /// Of the current attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// How often it was handed out: another call of the same attempt follows a Schedule.
    pub calls: u32,
    pub first_try: Option<Timestamp>,
    /// Who had it last.
    pub worker: Option<InstanceKey>,
    /// Written once, with the completion.
    pub output: Option<Json>,
    /// Its own, over attempts; gone with the completion.
    pub scratch: Json,
    pub last_error: Option<String>,
    /// What came from outside before the activity said that it waits for it.
    pub early: Option<Outside>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepState {
    /// So many that it depends on are not complete. None of a run that is paused: it is due when the run goes on.
    Pending {
        left: u32,
    },
    /// Entered when the last dependency is complete, a wait is over, an attempt is to follow; left when a worker takes it.
    Queued {
        since: Timestamp,
    },
    /// Handed out. The attempt fails at `until`, if it has a time.
    Running {
        token: CommandId,
        incarnation: Incarnation,
        until: Option<Timestamp>,
    },
    /// Somebody outside says when it is done.
    Waiting {
        token: CommandId,
        until: Option<Timestamp>,
    },
    /// Asked for another call.
    Scheduled {
        at: Timestamp,
    },
    /// The next attempt.
    Retrying {
        at: Timestamp,
    },
    /// As which of the run's.
    Completed {
        place: u32,
    },
    Failed,
    /// It had not begun when the run failed.
    Skipped,
    Cancelled,
}

impl StepState {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "Pending",
            Self::Queued { .. } => "Queued",
            Self::Running { .. } => "Running",
            Self::Waiting { .. } => "Waiting",
            Self::Scheduled { .. } => "Scheduled",
            Self::Retrying { .. } => "Retrying",
            Self::Completed { .. } => "Completed",
            Self::Failed => "Failed",
            Self::Skipped => "Skipped",
            Self::Cancelled => "Cancelled",
        }
    }
}

impl Step {
    pub fn new(skill: Skill) -> Self {
        Self {
            skill,
            state: StepState::Pending { left: 0 },
            attempt: 0,
            calls: 0,
            first_try: None,
            worker: None,
            output: None,
            scratch: Json::empty_object(),
            last_error: None,
            early: None,
        }
    }

    /// It may have done something.
    pub fn may_have_run(&self) -> bool {
        self.calls > 0
    }

    /// Who may say what becomes of it: whatever names another token changes nothing.
    pub fn token(&self) -> Option<CommandId> {
        match &self.state {
            StepState::Running { token, .. } | StepState::Waiting { token, .. } => Some(*token),
            StepState::Pending { .. }
            | StepState::Queued { .. }
            | StepState::Scheduled { .. }
            | StepState::Retrying { .. }
            | StepState::Completed { .. }
            | StepState::Failed
            | StepState::Skipped
            | StepState::Cancelled => None,
        }
    }

    /// When its time brings it on, whatever else happens.
    pub fn due(&self) -> Option<Timestamp> {
        match &self.state {
            StepState::Running { until, .. } | StepState::Waiting { until, .. } => *until,
            StepState::Scheduled { at } | StepState::Retrying { at } => Some(*at),
            StepState::Pending { .. }
            | StepState::Queued { .. }
            | StepState::Completed { .. }
            | StepState::Failed
            | StepState::Skipped
            | StepState::Cancelled => None,
        }
    }

    /// Who works on it.
    pub fn at_work(&self) -> Option<&InstanceKey> {
        match &self.state {
            StepState::Running { .. } => self.worker.as_ref(),
            _ => None,
        }
    }
}
