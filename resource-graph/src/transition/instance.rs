//! An instance's life as observed.
//!
//! ```text
//! Pending -> Starting -> Running <-> Degraded <-> Unresponsive
//!    |          |           |   \-> Stopped (ended by itself)
//!    |          |           +-> Stopping -> Stopped
//!    |          +-> Failed (could not start)
//!    +-> Blocked
//! Running, Degraded, Unresponsive, Stopping -> Failed
//! Failed -> Starting | Backoff -> Starting | Quarantined | Stopping (what failed still lives)
//! Starting, Running, Degraded, Unresponsive, Stopping, Failed (living) -> Unknown -> back | Lost -> back
//! ```
//! A step from a state to itself is always legal: its fields may change (missed checks, a stuck stop, a retry).

use mainstay_protocol::report::Presence;

use super::IllegalTransition;
use crate::vertex::InstanceState as S;

pub fn instance(from: &S, to: &S) -> Result<(), IllegalTransition> {
    let legal = match from {
        S::Pending => pending(to),
        S::Blocked => blocked(to),
        S::Starting => starting(to),
        S::Running => live(to),
        S::Degraded => live(to),
        S::Unresponsive { .. } => live(to),
        S::Stopping { .. } => stopping(to),
        S::Stopped { .. } => stopped(to),
        S::Failed { presence } => failed(*presence, to),
        S::Backoff { .. } => backoff(to),
        S::Quarantined => quarantined(to),
        S::Unknown { .. } => unknown(to),
        S::Lost { .. } => lost(to),
    };
    if legal {
        Ok(())
    } else {
        Err(IllegalTransition {
            kind: "instance",
            from: from.as_str(),
            to: to.as_str(),
        })
    }
}

/// Wanted, nothing decided yet.
fn pending(to: &S) -> bool {
    match to {
        // Pending -> Pending: what it waits for changed.
        S::Pending => true,
        // Pending -> Blocked: it cannot be started.
        S::Blocked => true,
        // Pending -> Starting: a start was decided.
        S::Starting => true,
        // Pending -> Stopped: it is no longer wanted.
        S::Stopped { .. } => true,
        S::Running
        | S::Degraded
        | S::Unresponsive { .. }
        | S::Stopping { .. }
        | S::Failed { .. }
        | S::Backoff { .. }
        | S::Quarantined
        | S::Unknown { .. }
        | S::Lost { .. } => false,
    }
}

/// Cannot be started.
fn blocked(to: &S) -> bool {
    match to {
        // Blocked -> Blocked: by something else now.
        S::Blocked => true,
        // Blocked -> Pending: the obstacle is gone.
        S::Pending => true,
        // Blocked -> Starting: the name became free for it.
        S::Starting => true,
        // Blocked -> Stopped: it is no longer wanted.
        S::Stopped { .. } => true,
        S::Running
        | S::Degraded
        | S::Unresponsive { .. }
        | S::Stopping { .. }
        | S::Failed { .. }
        | S::Backoff { .. }
        | S::Quarantined
        | S::Unknown { .. }
        | S::Lost { .. } => false,
    }
}

/// A start was decided.
fn starting(to: &S) -> bool {
    match to {
        // Starting -> Starting: the next incarnation, or the start sent once more.
        S::Starting => true,
        // Starting -> Running: it said it is up.
        S::Running => true,
        // Starting -> Degraded: it is up, and its first Check says degraded.
        S::Degraded => true,
        // Starting -> Failed: refused for now, panicked, or overdue.
        S::Failed { .. } => true,
        // Starting -> Stopping: no longer wanted, or overdue.
        S::Stopping { .. } => true,
        // Starting -> Stopped: it ended by itself before it was up.
        S::Stopped { .. } => true,
        // Starting -> Blocked: its configuration is refused, or the node says its name is taken.
        S::Blocked => true,
        // Starting -> Pending: the start never reached the node.
        S::Pending => true,
        // Starting -> Unknown: its node is cut off.
        S::Unknown { .. } => true,
        S::Unresponsive { .. } | S::Backoff { .. } | S::Quarantined | S::Lost { .. } => false,
    }
}

/// Running, Degraded, Unresponsive: one life, three judgements of its Checks.
fn live(to: &S) -> bool {
    match to {
        // -> Running: its Check says ok.
        S::Running => true,
        // -> Degraded: its Check says degraded, or failed once.
        S::Degraded => true,
        // -> Unresponsive: its Check missed the deadline.
        S::Unresponsive { .. } => true,
        // -> Stopping: a stop was decided.
        S::Stopping { .. } => true,
        // -> Stopped: it ended by itself.
        S::Stopped { .. } => true,
        // -> Failed: it ended against the wish, or said that it failed.
        S::Failed { .. } => true,
        // -> Unknown: its node is cut off.
        S::Unknown { .. } => true,
        S::Pending
        | S::Blocked
        | S::Starting
        | S::Backoff { .. }
        | S::Quarantined
        | S::Lost { .. } => false,
    }
}

/// A stop was decided.
fn stopping(to: &S) -> bool {
    match to {
        // Stopping -> Stopping: for another reason, or it will not end.
        S::Stopping { .. } => true,
        // Stopping -> Stopped: it is gone.
        S::Stopped { .. } => true,
        // Stopping -> Failed: it is gone, and the stop was for a failure.
        S::Failed { .. } => true,
        // Stopping -> Pending: it is gone, and was stopped to be started again.
        S::Pending => true,
        // Stopping -> Unknown: its node is cut off.
        S::Unknown { .. } => true,
        S::Blocked
        | S::Starting
        | S::Running
        | S::Degraded
        | S::Unresponsive { .. }
        | S::Backoff { .. }
        | S::Quarantined
        | S::Lost { .. } => false,
    }
}

/// Not running, and that is right.
fn stopped(to: &S) -> bool {
    match to {
        // Stopped -> Stopped: by itself then, by wish now.
        S::Stopped { .. } => true,
        // Stopped -> Pending: it is wanted again.
        S::Pending => true,
        // Stopped -> Blocked: it is wanted again, and cannot be started.
        S::Blocked => true,
        // Stopped -> Backoff: it ended by itself once more, and is always restarted.
        S::Backoff { .. } => true,
        S::Starting
        | S::Running
        | S::Degraded
        | S::Unresponsive { .. }
        | S::Stopping { .. }
        | S::Failed { .. }
        | S::Quarantined
        | S::Unknown { .. }
        | S::Lost { .. } => false,
    }
}

/// Ended against the wish, or lives but said it failed.
fn failed(presence: Presence, to: &S) -> bool {
    match to {
        // Failed -> Failed: what lived is gone now, or more is known.
        S::Failed { .. } => true,
        // Failed -> Starting: the first failure since sustained health starts again at once.
        S::Starting => presence == Presence::Gone,
        // Failed -> Backoff: another failure waits.
        S::Backoff { .. } => presence == Presence::Gone,
        // Failed -> Quarantined: the restart budget is used up.
        S::Quarantined => presence == Presence::Gone,
        // Failed -> Stopped: its policy asks for no restart, or it is not wanted.
        S::Stopped { .. } => true,
        // Failed -> Pending: an operator asked for another start.
        S::Pending => presence == Presence::Gone,
        // Failed -> Blocked: its configuration is refused, or its name is not to be had.
        S::Blocked => presence == Presence::Gone,
        // Failed -> Stopping: what failed must go before the next incarnation comes.
        S::Stopping { .. } => presence == Presence::Living,
        // Failed -> Unknown: its node is cut off while it lives.
        S::Unknown { .. } => presence == Presence::Living,
        S::Running | S::Degraded | S::Unresponsive { .. } | S::Lost { .. } => false,
    }
}

/// Waits for its next try.
fn backoff(to: &S) -> bool {
    match to {
        // Backoff -> Backoff: another wait.
        S::Backoff { .. } => true,
        // Backoff -> Starting: the time has come.
        S::Starting => true,
        // Backoff -> Stopped: it is no longer wanted.
        S::Stopped { .. } => true,
        // Backoff -> Pending: an operator cleared it, or its node cannot take a start now.
        S::Pending => true,
        // Backoff -> Blocked: it cannot be started any more.
        S::Blocked => true,
        S::Running
        | S::Degraded
        | S::Unresponsive { .. }
        | S::Stopping { .. }
        | S::Failed { .. }
        | S::Quarantined
        | S::Unknown { .. }
        | S::Lost { .. } => false,
    }
}

/// The restart budget is used up.
fn quarantined(to: &S) -> bool {
    match to {
        // Quarantined -> Quarantined: more is known about it.
        S::Quarantined => true,
        // Quarantined -> Pending: an operator cleared it, or the wish changed.
        S::Pending => true,
        // Quarantined -> Stopped: it is no longer wanted.
        S::Stopped { .. } => true,
        S::Blocked
        | S::Starting
        | S::Running
        | S::Degraded
        | S::Unresponsive { .. }
        | S::Stopping { .. }
        | S::Failed { .. }
        | S::Backoff { .. }
        | S::Unknown { .. }
        | S::Lost { .. } => false,
    }
}

/// The node is cut off.
fn unknown(to: &S) -> bool {
    match to {
        // Unknown -> Unknown: still cut off.
        S::Unknown { .. } => true,
        // Unknown -> Lost: its node was given up.
        S::Lost { .. } => true,
        // Unknown -> what the returning node says of it.
        S::Starting | S::Running | S::Degraded | S::Unresponsive { .. } | S::Stopping { .. } => {
            true
        }
        // Unknown -> Stopped: it had ended, and that is right.
        S::Stopped { .. } => true,
        // Unknown -> Failed: the returning node does not have it.
        S::Failed { .. } => true,
        // Unknown -> Pending: its start had never reached the node, or it was stopped to be started again.
        S::Pending => true,
        S::Blocked | S::Backoff { .. } | S::Quarantined => false,
    }
}

/// The node was given up. If it comes back after all, it is as if it had been cut off.
fn lost(to: &S) -> bool {
    unknown(to)
}

#[cfg(test)]
mod tests {
    use mainstay_protocol::command::StopWhy;
    use mainstay_protocol::report::LiveState;

    use super::*;

    const STATES: [S; 14] = [
        S::Pending,
        S::Blocked,
        S::Starting,
        S::Running,
        S::Degraded,
        S::Unresponsive {
            missed: 1,
            limit: 3,
        },
        S::Stopping {
            why: StopWhy::NotWanted,
            stuck: false,
        },
        S::Stopped { by_itself: false },
        S::Failed {
            presence: Presence::Gone,
        },
        S::Failed {
            presence: Presence::Living,
        },
        S::Backoff { attempt: 1, of: 5 },
        S::Quarantined,
        S::Unknown {
            was: LiveState::Running,
        },
        S::Lost {
            was: LiveState::Running,
        },
    ];

    /// Rows: from, columns: to, both in the order of `STATES`.
    const TABLE: [&str; 14] = [
        //P B S R D U s . G L b Q ? X
        "x x x - - - - x - - - - - -", // Pending
        "x x x - - - - x - - - - - -", // Blocked
        "x x x x x - x x x x - - x -", // Starting
        "- - - x x x x x x x - - x -", // Running
        "- - - x x x x x x x - - x -", // Degraded
        "- - - x x x x x x x - - x -", // Unresponsive
        "x - - - - - x x x x - - x -", // Stopping
        "x x - - - - - x - - x - - -", // Stopped
        "x x x - - - - x x x x x - -", // Failed, gone
        "- - - - - - x x x x - - x -", // Failed, living
        "x x x - - - - x - - x - - -", // Backoff
        "x - - - - - - x - - - x - -", // Quarantined
        "x - x x x x x x x x - - x x", // Unknown
        "x - x x x x x x x x - - x x", // Lost
    ];

    #[test]
    fn steps_are_those_of_the_picture() {
        for (from, row) in STATES.iter().zip(TABLE) {
            for (to, mark) in STATES.iter().zip(row.split(' ')) {
                let step = instance(from, to);
                assert_eq!(step.is_ok(), mark == "x", "{from:?} -> {to:?}");
                if let Err(error) = step {
                    let text = error.to_string();
                    assert!(text.contains(from.as_str()), "{text}");
                    assert!(text.contains(to.as_str()), "{text}");
                }
            }
        }
    }

    #[test]
    fn every_state_may_follow_itself() {
        for state in &STATES {
            assert_eq!(instance(state, state), Ok(()), "{state:?}");
        }
    }
}
