//! Ends the process when a call of the leader core does not come back: an endless loop in a rule must not leave a
//! station that looks alive. The log keeps what was committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_protocol::limits;

use crate::clock::Clock;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Knows since when a call is under way; zero is none.
#[derive(Debug, Clone)]
pub struct Watchdog {
    since: Arc<AtomicU64>,
    clock: Clock,
}

/// A call under way; ends with it.
pub struct Watched<'a>(&'a AtomicU64);

impl Watchdog {
    /// Watches until the last clone is gone.
    pub fn start(clock: Clock) -> std::io::Result<Self> {
        let since = Arc::new(AtomicU64::new(0));
        let watched = Arc::downgrade(&since);
        std::thread::Builder::new()
            .name("core-watchdog".to_owned())
            .spawn(move || {
                while let Some(since) = watched.upgrade() {
                    look(&since, clock);
                    drop(since);
                    std::thread::sleep(LOOK_EVERY);
                }
            })?;
        Ok(Self { since, clock })
    }

    pub fn enter(&self) -> Watched<'_> {
        self.since
            .store(self.clock.now().0.max(1), Ordering::Relaxed);
        Watched(&self.since)
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

fn look(since: &AtomicU64, clock: Clock) {
    let since = since.load(Ordering::Relaxed);
    let micros = clock.now().0.saturating_sub(since);
    if since != 0 && micros > limits::CORE_CALL_MS_MAX * 1000 {
        tracing::error!(
            seconds = micros / 1_000_000,
            "a call of the leader core does not come back: a rule loops without end; the process ends"
        );
        std::process::abort();
    }
}
