//! Restarts and how long recoveries take, read off committed entries, in log time. An instance is followed from
//! where its failure (or the wish to restart it) became known until it runs again or is given up.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_coordinator::{Entry, Outcome};
use mainstay_protocol::health::FailureKind;
use mainstay_protocol::{Incarnation, InstanceKey, Timestamp, code, limits};
use mainstay_resource_graph::{
    Change, Desired, FailureCause, Instance, InstanceState, Key, Vertex,
};

/// What is under way. Lost with the process, like every counter here.
#[derive(Debug, Default)]
pub struct Recoveries {
    under_way: BTreeMap<InstanceKey, Recovery>,
}

#[derive(Debug, Clone, Copy)]
struct Recovery {
    reason: &'static str,
    known_at: Timestamp,
    started: Option<(Incarnation, Timestamp)>,
}

/// What an entry came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Restarted(&'static str),
    Took(Stage, Duration),
}

/// A part of a recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Until the next start is decided: back-off, and waiting for the node or the name.
    Decide,
    /// From there until it is reported running.
    Start,
    /// Both together.
    Total,
}

impl Stage {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::Start => "start",
            Self::Total => "total",
        }
    }
}

impl Recoveries {
    /// Each committed entry once, in order.
    pub fn take(&mut self, entry: &Entry) -> Vec<Step> {
        for decision in &entry.decisions {
            if let (Key::Instance(key), Outcome::Did { code, .. }) =
                (&decision.subject, &decision.outcome)
            {
                self.decided(
                    key,
                    &decision.rule,
                    *code == code::RESTART_ASKED,
                    entry.log_time,
                );
            }
        }
        let mut steps = Vec::new();
        for change in &entry.delta.changes {
            match change {
                Change::Put(record) => {
                    if let (Key::Instance(key), Vertex::Instance(now)) =
                        (&record.key, &record.vertex)
                    {
                        self.became(key, now, entry.log_time, &mut steps);
                    }
                }
                Change::Remove(Key::Instance(key)) => drop(self.under_way.remove(key)),
                Change::Remove(_) | Change::Link(_) | Change::Unlink { .. } => {}
            }
        }
        steps
    }

    /// A restart that no failure explains: somebody asked for it, or a clean end is not to stand.
    fn decided(&mut self, key: &InstanceKey, rule: &str, asked: bool, at: Timestamp) {
        if asked {
            self.under_way.remove(key);
            self.follow(key, "asked", at);
        } else if rule == "restart" && !self.under_way.contains_key(key) {
            self.follow(key, "ended", at);
        }
    }

    fn follow(&mut self, key: &InstanceKey, reason: &'static str, known_at: Timestamp) {
        if self.under_way.len() < limits::RECOVERIES_FOLLOWED_MAX {
            let recovery = Recovery {
                reason,
                known_at,
                started: None,
            };
            self.under_way.insert(key.clone(), recovery);
        }
    }

    fn became(&mut self, key: &InstanceKey, now: &Instance, at: Timestamp, steps: &mut Vec<Step>) {
        self.failed(key, now);
        let Some(recovery) = self.under_way.get_mut(key) else {
            return;
        };
        match now.state {
            InstanceState::Starting => {
                let known = recovery.started.map(|(incarnation, _)| incarnation);
                if known != Some(now.incarnation) {
                    recovery.started = Some((now.incarnation, at));
                    steps.push(Step::Restarted(recovery.reason));
                }
            }
            InstanceState::Running | InstanceState::Degraded => {
                // Without a start it is the incarnation that still runs: its stop is yet to come.
                let Some((_, started)) = recovery.started else {
                    return;
                };
                let known_at = recovery.known_at;
                steps.extend([
                    Step::Took(Stage::Decide, started.since(known_at)),
                    Step::Took(Stage::Start, at.since(started)),
                    Step::Took(Stage::Total, at.since(known_at)),
                ]);
                self.under_way.remove(key);
            }
            InstanceState::Quarantined => drop(self.under_way.remove(key)),
            InstanceState::Stopped { .. } if now.desired != Desired::Running => {
                self.under_way.remove(key);
            }
            InstanceState::Pending
            | InstanceState::Blocked
            | InstanceState::Unresponsive { .. }
            | InstanceState::Stopping { .. }
            | InstanceState::Stopped { .. }
            | InstanceState::Failed { .. }
            | InstanceState::Backoff { .. }
            | InstanceState::Unknown { .. }
            | InstanceState::Lost { .. } => {}
        }
    }

    /// A failure of the newest incarnation, or of the one before it where the next is decided in the same entry.
    fn failed(&mut self, key: &InstanceKey, now: &Instance) {
        let Some(failure) = &now.failure else { return };
        let of_newest = failure.incarnation == now.incarnation;
        let restarted =
            now.state == InstanceState::Starting && failure.incarnation.next() == now.incarnation;
        if !restarted && (!of_newest || now.state.is_up()) {
            return;
        }
        let reason = label(failure.cause);
        match self.under_way.get(key) {
            // Wanted by somebody: the failure that may have come before is not why.
            Some(known) if known.reason == "asked" && known.started.is_none() => {}
            // Known, and the same failure still.
            Some(known) if known.reason == reason && known.known_at == failure.at => {}
            Some(_) | None => {
                self.under_way.remove(key);
                self.follow(key, reason, failure.at);
            }
        }
    }
}

/// Few, and never the failure's own words.
fn label(cause: FailureCause) -> &'static str {
    match cause {
        FailureCause::Failed(FailureKind::Panic) => "panic",
        FailureCause::Failed(FailureKind::Reported) => "reported",
        FailureCause::Failed(FailureKind::Vanished) => "vanished",
        FailureCause::Failed(FailureKind::AgentEnded) => "agent_ended",
        FailureCause::Failed(FailureKind::Killed) => "killed",
        FailureCause::Failed(FailureKind::Exit) => "exit",
        FailureCause::Failed(FailureKind::Signal) => "signal",
        FailureCause::Failed(FailureKind::OutOfMemory) => "out_of_memory",
        FailureCause::Failed(FailureKind::AgentStopped) => "agent_stopped",
        FailureCause::Failed(FailureKind::LeaseRanOut) => "lease_ran_out",
        FailureCause::CouldNotStart(_) => "could_not_start",
        FailureCause::NameTaken => "name_taken",
        FailureCause::Unresponsive => "unresponsive",
        FailureCause::StartDeadline => "start_deadline",
    }
}
