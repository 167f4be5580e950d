//! When whoever decides was heard here, and as of when what is applied here is all that it had committed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[derive(Debug, Default)]
pub(super) struct Heard {
    leader: Option<Instant>,
    /// What it had committed then is not all applied yet.
    pending: Option<(Instant, u64)>,
    current_at: Option<Instant>,
}

/// Every write under the lock is one step that leaves it whole.
pub(super) fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Heard {
    /// Whoever decides says how far it has committed.
    pub(super) fn leader(&mut self, committed: u64, applied: u64) {
        let now = Instant::now();
        self.leader = Some(now);
        self.settle(applied);
        self.pending.get_or_insert((now, committed));
        self.settle(applied);
    }

    fn settle(&mut self, applied: u64) {
        if let Some((at, committed)) = self.pending
            && committed <= applied
        {
            self.current_at = Some(at);
            self.pending = None;
        }
    }

    pub(super) fn leader_heard(&self) -> Option<Instant> {
        self.leader
    }

    pub(super) fn current_at(&mut self, applied: u64) -> Option<Instant> {
        self.settle(applied);
        self.current_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_catches_up_hears_its_leader_and_is_not_current() {
        let mut heard = Heard::default();
        heard.leader(100, 3);
        assert!(heard.leader_heard().is_some() && heard.current_at(50).is_none());
        let first = heard.current_at(100).unwrap();
        heard.leader(200, 100);
        assert_eq!(heard.current_at(199), Some(first));
        assert!(heard.current_at(200).unwrap() >= first);
    }
}
