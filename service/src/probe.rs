//! Probes: what answers Check while the service itself works.

use std::future::Future;
use std::time::Duration;

use mainstay_protocol::health::Health as State;
use tokio::sync::watch;
use tokio::time::Instant;

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    state: State,
    detail: String,
}

impl Health {
    pub fn ok() -> Self {
        Self {
            state: State::Ok,
            detail: String::new(),
        }
    }

    /// It works, with a limitation that an operator should know.
    pub fn degraded(why: impl Into<String>) -> Self {
        Self {
            state: State::Degraded,
            detail: why.into(),
        }
    }

    /// It does not work. Said twice in a row, it is a failure.
    pub fn failed(why: impl Into<String>) -> Self {
        Self {
            state: State::Failed,
            detail: why.into(),
        }
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }
}

/// Answers Check. Runs on threads of its own, with at most one Check at a time for one instance; when it does
/// not answer within the deadline, the instance is unresponsive.
pub trait Probe: Clone + Send + Sync + 'static {
    fn check(&self) -> impl Future<Output = Health> + Send;
}

/// The probe for services with nothing special to say: well while idle, and as soon as a message is done. One
/// that stays in a single message for longer than a Check's deadline (waiting or spinning) is unresponsive.
#[derive(Debug, Clone)]
pub struct Busy {
    activity: watch::Receiver<Activity>,
}

impl Busy {
    pub(crate) fn watching(activity: watch::Receiver<Activity>) -> Self {
        Self { activity }
    }
}

impl Probe for Busy {
    async fn check(&self) -> Health {
        let mut activity = self.activity.clone();
        // By count and not by idleness alone: one that goes from message to message is not stuck.
        let finished = activity.borrow().finished;
        let moved =
            |now: &Activity| now.running.is_none() || now.waiting > 0 || now.finished != finished;
        match activity.wait_for(moved).await {
            Ok(_) => Health::ok(),
            Err(_) => Health::failed("the instance has ended"),
        }
    }
}

/// What an instance's task is doing: written by the task, read by whoever checks it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Activity {
    pub(crate) finished: u64,
    pub(crate) running: Option<(Work, Instant)>,
    /// In all that is finished.
    pub(crate) busy: Duration,
    /// Words of its own that it waits for to be passed on or answered: that is not being stuck.
    pub(crate) waiting: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Handle,
    Reconfigure,
    Status,
    Stop,
}

impl Activity {
    /// Why a Check was not answered, as far as the task's work tells.
    pub(crate) fn excuse(&self, deadline: Duration) -> String {
        let Some((work, since)) = self.running else {
            return format!("the probe did not answer within {}", seconds(deadline));
        };
        let work = match work {
            Work::Handle => "handle",
            Work::Reconfigure => "reconfigure",
            Work::Status => "status",
            Work::Stop => "stop",
        };
        format!("busy in {work} for {}", seconds(since.elapsed()))
    }
}

/// Whole seconds, or tenths below ten: `3 s`, `0.4 s`.
fn seconds(span: Duration) -> String {
    let tenths = (span.as_millis() + 50) / 100;
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} s"),
        (whole, _) if whole >= 10 => format!("{whole} s"),
        (whole, tenth) => format!("{whole}.{tenth} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_people_say_them() {
        for (ms, text) in [
            (3000, "3 s"),
            (400, "0.4 s"),
            (2960, "3 s"),
            (12_345, "12 s"),
            (0, "0 s"),
        ] {
            assert_eq!(seconds(Duration::from_millis(ms)), text);
        }
    }
}
