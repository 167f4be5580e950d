//! The calls of one instance: how many there are and were, and their end with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_service::Processed;
use tokio::sync::watch;

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

/// As long as somebody has it, the calls are not over.
#[derive(Debug)]
pub(super) struct Hold {
    _under_way: watch::Receiver<bool>,
}

/// One call. It has failed, unless it came to something else.
#[derive(Debug)]
pub(super) struct One {
    calls: Arc<Calls>,
    ending: watch::Receiver<bool>,
    failed: bool,
}

impl Calls {
    pub(super) fn begin(calls: Arc<Self>) -> One {
        calls.under_way.fetch_add(1, Ordering::Relaxed);
        One {
            ending: calls.ending.subscribe(),
            calls,
            failed: true,
        }
    }

    pub(super) fn hold(&self) -> Hold {
        Hold {
            _under_way: self.ending.subscribe(),
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
        self.failed = processed.error().is_some();
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.calls.under_way.fetch_sub(1, Ordering::Relaxed);
        let count = match self.failed {
            true => &self.calls.failed,
            false => &self.calls.done,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}
