//! The station's clocks: a monotonic one for the leader core, the wall for people.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mainstay_coordinator::Monotonic;

/// Counts from when it was made.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    pub fn now(&self) -> Monotonic {
        self.of(Instant::now())
    }

    pub fn of(&self, instant: Instant) -> Monotonic {
        Monotonic(instant.saturating_duration_since(self.start).as_micros() as u64)
    }

    /// The instant of a time of the core's.
    pub fn instant(&self, at: Monotonic) -> Instant {
        self.start + Duration::from_micros(at.0)
    }
}

/// By how much the wall's clock is wrong on purpose.
static SKEW_MS: AtomicI64 = AtomicI64::new(0);

pub fn skew(by_ms: i64) {
    SKEW_MS.store(by_ms, Ordering::Relaxed);
}

pub fn wall_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
        .saturating_add_signed(SKEW_MS.load(Ordering::Relaxed))
}
