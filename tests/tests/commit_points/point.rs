//! Where runs stand when somebody is killed: one run for each point at which something of it is committed.

use serde_json::{Value, json};

/// Provides what no instance does before somebody starts one that does.
pub const LATE: &str = "late.example.com";
pub const SHOP: &str = "shop.example.com";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// It is recorded, and nobody does what it begins with.
    Begun,
    /// Its first call is given out to an agent that has not taken it.
    HandedOut,
    /// A script has begun.
    Taken,
    /// A script has done it, and has not said so.
    Done,
    /// The second of three is complete, the third has begun.
    Middle,
    Waiting,
    Scheduled,
    Retrying,
    Failed,
    Compensating,
    /// The last is complete.
    LastDone,
}

impl Point {
    pub const ALL: [Self; 11] = [
        Self::Begun,
        Self::Taken,
        Self::Done,
        Self::Middle,
        Self::Waiting,
        Self::Scheduled,
        Self::Retrying,
        Self::Failed,
        Self::Compensating,
        Self::LastDone,
        // The agents stand still for it: last.
        Self::HandedOut,
    ];

    /// The run's, and that of its orchestration.
    pub fn id(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::HandedOut => "handed-out",
            Self::Taken => "taken",
            Self::Done => "done",
            Self::Middle => "middle",
            Self::Waiting => "waiting",
            Self::Scheduled => "scheduled",
            Self::Retrying => "retrying",
            Self::Failed => "failed",
            Self::Compensating => "compensating",
            Self::LastDone => "last-done",
        }
    }

    /// The types of its activities, one after the other.
    fn types(self) -> &'static [&'static str] {
        match self {
            Self::Begun => &["late"],
            Self::HandedOut | Self::LastDone => &["plain", "plain"],
            Self::Taken => &["before"],
            Self::Done => &["after"],
            Self::Middle => &["plain", "plain", "before"],
            Self::Waiting => &["plain", "waits", "plain"],
            Self::Scheduled => &["plain", "schedules"],
            Self::Retrying => &["plain", "retries"],
            Self::Failed => &["plain", "mended"],
            Self::Compensating => &["plain", "refuses"],
        }
    }

    pub fn definition(self) -> Value {
        let ids = ["a", "b", "c"];
        let activities: Vec<Value> = self
            .types()
            .iter()
            .enumerate()
            .map(|(at, of)| json!({"id": ids[at], "type": of, "dependsOn": ids[..at].last()}))
            .map(|mut activity| {
                let fields = activity.as_object_mut().expect("an object");
                fields.retain(|_, value| !value.is_null());
                activity
            })
            .collect();
        match self {
            Self::Compensating => json!({
                "type": self.id(), "onFatal": "compensate",
                "activities": {"deploy": activities, "dispose": [{"id": "a", "type": "plain"}, {"id": "b", "type": "refuses"}]},
            }),
            _ => json!({"type": self.id(), "activities": activities}),
        }
    }

    /// What `run show` says of it there: of the run, and of its last step that is no longer pending.
    pub fn shown(self) -> (&'static str, &'static str) {
        match self {
            Self::Begun => ("Running", "Queued"),
            Self::HandedOut | Self::Taken | Self::Done | Self::Middle => ("Running", "Running"),
            Self::Waiting => ("Running", "Waiting"),
            Self::Scheduled => ("Running", "Scheduled"),
            Self::Retrying => ("Running", "Retrying"),
            Self::Failed => ("Errored", "Failed"),
            Self::Compensating => ("Compensating", "Failed"),
            Self::LastDone => ("Completed", "Completed"),
        }
    }

    /// It stays there until somebody does something about it, whoever is killed.
    pub fn stays(self) -> bool {
        match self {
            Self::Begun | Self::Waiting | Self::Failed | Self::Compensating | Self::LastDone => {
                true
            }
            // A worker that is killed makes another attempt of it; time brings it on; the agents go on.
            Self::HandedOut
            | Self::Taken
            | Self::Done
            | Self::Middle
            | Self::Scheduled
            | Self::Retrying => false,
        }
    }

    pub fn end(self) -> &'static str {
        match self {
            Self::Compensating => "Compensated",
            _ => "Completed",
        }
    }

    /// The keys of all that is to be done by its end.
    pub fn effects(self) -> Vec<String> {
        let id = self.id();
        match self {
            Self::Compensating => ["/a/deploy", "~dispose/b/dispose", "~dispose/a/dispose"]
                .map(|rest| format!("{id}{rest}"))
                .to_vec(),
            _ => ["a", "b", "c"][..self.types().len()]
                .iter()
                .map(|activity| format!("{id}/{activity}"))
                .collect(),
        }
    }

    /// A script that has begun and stands still says so in the ledger.
    pub fn begun(self) -> Option<String> {
        match self {
            Self::Taken => Some("taken/a".to_owned()),
            Self::Done => Some("done/a".to_owned()),
            Self::Middle => Some("middle/c".to_owned()),
            Self::Compensating => Some("compensating~dispose/b/dispose".to_owned()),
            _ => None,
        }
    }
}
