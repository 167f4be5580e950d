//! Leases of singletons.

use std::time::Duration;

use mainstay_protocol::{Timestamp, limits};
use serde::{Deserialize, Serialize};

/// A lease as the coordinator counts it: the node's own end of it comes earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leased {
    pub lease_ms: u64,
    /// How long it may take to end when the lease is over.
    pub stop_ms: u64,
    /// When nothing of it is left for certain. None as long as its node is there and renews it.
    pub ends: Option<Timestamp>,
    /// No time says that nothing of it is left where its node is out of sight; whoever switches that off says so.
    pub fenced: bool,
}

impl Leased {
    /// When nothing is left of what was renewed up to this time, and not later.
    pub fn ends_after(&self, renewed: Timestamp) -> Timestamp {
        let span_ms = self.lease_ms + self.stop_ms;
        let drift_ms = (span_ms * limits::LEASE_DRIFT_PER_MILLE).div_ceil(1000);
        renewed + Duration::from_millis(span_ms + drift_ms + limits::LEASE_MARGIN_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_after_its_stop_the_drift_of_clocks_and_a_margin() {
        let lease = Leased {
            lease_ms: 5_000,
            stop_ms: 1_000,
            ends: None,
            fenced: false,
        };
        let ends = lease.ends_after(Timestamp(7));
        assert_eq!(ends, Timestamp(7 + (6_000 + 60 + 500) * 1_000));
    }
}
