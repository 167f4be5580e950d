//! A run of a definition, and its steps: what is true of them between two entries of the log.
//!
//! ```text
//!            all complete                      +-> Compensated
//!  Running ---------------> Completed          |
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

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mainstay_protocol::Timestamp;

use crate::definition::{Activity, OnFatal};
use crate::json::Json;
use crate::name::WorkName;
use crate::retry::RetryPolicy;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub state: RunState,
    pub input: Json,
    /// An object that its activities share; changed by deltas alone.
    pub context: Json,
    /// Of each activity that failed for good: what it said.
    pub errors: BTreeMap<WorkName, String>,
    /// Activities in the order in which they were complete.
    pub completed: Vec<WorkName>,
    pub left: usize,
    pub ended: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub state: StepState,
    /// Of the current attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// How often it was handed out: another call of the same attempt follows a Schedule.
    pub calls: u32,
    pub first_try: Option<Timestamp>,
    /// Written once, with the completion.
    pub output: Option<Json>,
    /// Its own, over attempts; gone with the completion.
    pub scratch: Json,
    pub last_error: Option<String>,
    /// What came from outside before the activity said that it waits for it.
    pub early: Option<Outside>,
}

/// Who may say what becomes of a step: whatever names another token changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(pub String);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepState {
    /// So many that it depends on are not complete.
    Pending {
        left: usize,
    },
    /// Entered when the last dependency is complete, a wait is over, an attempt is to follow; left when a worker takes it.
    Queued {
        since: Timestamp,
    },
    /// Handed out. The attempt fails at `until`, if it has a time.
    Running {
        token: Token,
        worker: String,
        until: Option<Timestamp>,
    },
    /// Somebody outside says when it is done.
    Waiting {
        token: Token,
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
    Completed,
    Failed,
    /// It had not begun when the run failed.
    Skipped,
    Cancelled,
}

impl Step {
    pub fn new(left: usize, now: Timestamp) -> Self {
        Self {
            state: match left {
                0 => StepState::Queued { since: now },
                left => StepState::Pending { left },
            },
            attempt: 0,
            calls: 0,
            first_try: None,
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

    pub fn token(&self) -> Option<&Token> {
        match &self.state {
            StepState::Running { token, .. } | StepState::Waiting { token, .. } => Some(token),
            StepState::Pending { .. }
            | StepState::Queued { .. }
            | StepState::Scheduled { .. }
            | StepState::Retrying { .. }
            | StepState::Completed
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
            | StepState::Completed
            | StepState::Failed
            | StepState::Skipped
            | StepState::Cancelled => None,
        }
    }
}

/// What a processor says at the end of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Complete {
        output: Json,
        context: Changes,
    },
    Wait,
    /// Another call after this time.
    Schedule {
        after: Duration,
        scratch: Changes,
    },
    /// The attempt failed; another may not.
    Retry {
        error: String,
        /// The processor knows better than the policy.
        after: Option<Duration>,
        scratch: Changes,
    },
    /// No attempt will do, and no effect is left.
    Fatal {
        error: String,
    },
}

/// What somebody outside says of a step that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outside {
    Complete { output: Json },
    Fail { error: String },
}

/// To an object: members that are set, and members that are gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    pub set: BTreeMap<String, Json>,
    pub delete: BTreeSet<String>,
}

impl Changes {
    pub fn of(&self, object: &Json) -> Json {
        if self.set.is_empty() && self.delete.is_empty() {
            return object.clone();
        }
        let mut members = object.members();
        members.retain(|key, _| !self.delete.contains(key));
        members.extend(self.set.clone());
        Json::object(&members)
    }
}

/// What a run goes by: one section of a definition that was found to be right.
#[derive(Debug, Clone)]
pub struct Plan {
    pub steps: BTreeMap<WorkName, Planned>,
    pub on_fatal: OnFatal,
}

#[derive(Debug, Clone)]
pub struct Planned {
    pub waits_for: Vec<WorkName>,
    /// Who waits for it.
    pub before: Vec<WorkName>,
    pub retry: RetryPolicy,
    pub attempt_timeout: Option<Duration>,
    pub wait_timeout: Option<Duration>,
}

impl Plan {
    pub fn of(
        activities: &[Activity],
        on_fatal: OnFatal,
        retry: impl Fn(&Activity) -> RetryPolicy,
    ) -> Self {
        let mut before: BTreeMap<&WorkName, Vec<WorkName>> = BTreeMap::new();
        for activity in activities {
            for on in &activity.depends_on {
                before.entry(on).or_default().push(activity.id.clone());
            }
        }
        let planned = |activity: &Activity| Planned {
            waits_for: activity.depends_on.clone(),
            before: before.get(&activity.id).cloned().unwrap_or_default(),
            retry: retry(activity),
            attempt_timeout: activity.attempt_timeout,
            wait_timeout: activity.wait_timeout,
        };
        let steps = activities.iter();
        Self {
            steps: steps.map(|one| (one.id.clone(), planned(one))).collect(),
            on_fatal,
        }
    }

    /// Those that are left of it, one after the other, whatever they depended on: how things are undone.
    pub fn in_line(&self, order: &[WorkName]) -> Self {
        let line: Vec<&WorkName> = order
            .iter()
            .filter(|id| self.steps.contains_key(*id))
            .collect();
        let steps = line.iter().enumerate().map(|(place, id)| {
            let neighbour = |at: Option<usize>| {
                let found = at.and_then(|at| line.get(at));
                found.map(|id| (*id).clone()).into_iter().collect()
            };
            let planned = Planned {
                waits_for: neighbour(place.checked_sub(1)),
                before: neighbour(Some(place + 1)),
                ..self.steps[*id].clone()
            };
            ((*id).clone(), planned)
        });
        Self {
            steps: steps.collect(),
            on_fatal: OnFatal::Stop,
        }
    }
}
