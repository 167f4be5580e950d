//! The calls of one instance: how many there are and were, and their end with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_service::{Call, Processed};
use tokio::sync::watch;

use crate::action::GRACE;

/// Before the time of a call is over: to end what does it, and for the answer to arrive.
const MARGIN: Duration = GRACE.saturating_add(Duration::from_millis(500));

/// Shared by an instance with its processors.
#[derive(Debug)]
pub(super) struct Calls {
    /// Whether they are to end. Each that is under way, and each program of theirs, has a receiver.
    ending: watch::Sender<bool>,
    under_way: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            ending: watch::Sender::new(false),
            under_way: AtomicU64::new(0),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }
}

/// As long as somebody has it, the calls of the instance are not over, nor is this one.
#[derive(Debug)]
pub(super) struct Hold {
    _under_way: watch::Receiver<bool>,
    _call: Call,
}

/// What became of a call.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Done,
    Failed,
    /// It waits, or comes again: the activity is not done.
    Neither,
}

/// One call. It has failed, unless it came to something else.
#[derive(Debug)]
pub(super) struct One {
    calls: Arc<Calls>,
    ending: watch::Receiver<bool>,
    outcome: Outcome,
}

/// How long a call may take here. The coordinator counts from when it gave it out, and hears of what comes of it later still:
/// who took all the time would never be heard.
pub(super) fn own_time(call: &Call) -> Option<Duration> {
    call.time().map(of_time)
}

fn of_time(time: Duration) -> Duration {
    time.saturating_sub(MARGIN).max(time / 2)
}

impl Calls {
    pub(super) fn begin(calls: Arc<Self>) -> One {
        calls.under_way.fetch_add(1, Ordering::Relaxed);
        One {
            ending: calls.ending.subscribe(),
            calls,
            outcome: Outcome::Failed,
        }
    }

    pub(super) fn hold(&self, call: &Call) -> Hold {
        Hold {
            _under_way: self.ending.subscribe(),
            _call: call.clone(),
        }
    }

    /// Returns when none is left, and nothing of their programs.
    pub(super) async fn end(&self) {
        self.end_soon();
        self.ending.closed().await;
    }

    pub(super) fn end_soon(&self) {
        self.ending.send_replace(true);
    }

    pub(super) fn in_words(&self) -> String {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        format!(
            "{} calls under way; {} done and {} failed since it started",
            count(&self.under_way),
            count(&self.done),
            count(&self.failed),
        )
    }
}

impl One {
    pub(super) async fn is_to_end(&mut self) {
        // Its calls have the sender.
        let _ = self.ending.wait_for(|ending| *ending).await;
    }

    pub(super) fn came_to(&mut self, processed: &Processed) {
        self.outcome = match (processed.error(), processed.output()) {
            (Some(_), _) => Outcome::Failed,
            (None, Some(_)) => Outcome::Done,
            (None, None) => Outcome::Neither,
        };
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.calls.under_way.fetch_sub(1, Ordering::Relaxed);
        let count = match self.outcome {
            Outcome::Failed => &self.calls.failed,
            Outcome::Done => &self.calls.done,
            Outcome::Neither => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_ends_before_the_coordinator_gives_it_up_and_has_half_of_its_time_at_least() {
        let ms = Duration::from_millis;
        for (time, own) in [
            (0, 0),
            (200, 100),
            (2_000, 1_000),
            (2_001, 1_001),
            (60_000, 59_000),
        ] {
            assert_eq!(of_time(ms(time)).as_millis(), own, "{time}");
        }
    }
}
