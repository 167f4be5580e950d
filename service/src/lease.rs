//! The lease of the only one in the cluster, as its node counts it.

use std::time::Duration;

use tokio::sync::watch;

/// Cheap to clone. Its time is that of CLOCK_BOOTTIME, in milliseconds: a machine that slept has used it up.
#[derive(Debug, Clone)]
pub struct HeldLease {
    fencing_token: u64,
    /// How long its stop may take when it has run out.
    stop: Duration,
    until_ms: watch::Receiver<u64>,
}

impl HeldLease {
    pub fn new(fencing_token: u64, stop: Duration, until_ms: watch::Receiver<u64>) -> Self {
        Self {
            fencing_token,
            stop,
            until_ms,
        }
    }

    pub fn fencing_token(&self) -> u64 {
        self.fencing_token
    }

    pub fn stop(&self) -> Duration {
        self.stop
    }

    pub fn until_ms(&self) -> u64 {
        *self.until_ms.borrow()
    }

    /// Waits for a renewal. None: it is renewed no more.
    pub async fn renewed(&mut self) -> Option<u64> {
        self.until_ms.changed().await.ok()?;
        Some(*self.until_ms.borrow_and_update())
    }
}
