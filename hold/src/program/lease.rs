//! How long a process may live: prolonged while it is not over, and over for ever once it is.

use rustix::process::Signal;

use super::ladder::{Ladder, Rung, rungs};

pub struct Lease {
    until_ms: u64,
    /// The last one is SIGKILL.
    rungs: Vec<Rung>,
    ran_out: bool,
}

impl Lease {
    /// Or what is wrong with its steps.
    pub fn new(wanted: &mainstay_hold::Lease) -> Result<Self, String> {
        let mut rungs = rungs(&wanted.steps)?;
        if rungs.last().is_none_or(|(last, _)| *last != Signal::KILL) {
            rungs.push((Signal::KILL, 0));
        }
        Ok(Self {
            until_ms: wanted.until_ms,
            rungs,
            ran_out: false,
        })
    }

    pub fn until_ms(&self) -> u64 {
        self.until_ms
    }

    /// The process lived to see it.
    pub fn ran_out(&self) -> bool {
        self.ran_out
    }

    /// Once, when it has run out: how the process is ended. It counts from when the lease ran out and not from when that
    /// was seen, since elsewhere nobody waits for a machine that sleeps.
    pub fn run_out(&mut self, now_ms: u64) -> Option<Ladder> {
        if self.ran_out || now_ms < self.until_ms {
            return None;
        }
        self.ran_out = true;
        Some(Ladder::new(&self.rungs, self.until_ms))
    }

    /// What would shorten it changes nothing: an older wish may come later. What comes too late is refused, also if
    /// nobody has seen yet that it is.
    pub fn prolong(&mut self, until_ms: u64, now_ms: u64) -> Result<(), String> {
        if self.ran_out || now_ms >= self.until_ms {
            let ago_ms = now_ms.saturating_sub(self.until_ms);
            return Err(format!("the lease has run out {ago_ms} ms ago"));
        }
        self.until_ms = self.until_ms.max(until_ms);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(until_ms: u64, steps: &[&str]) -> Lease {
        let steps = steps.iter().map(|step| step.parse().unwrap()).collect();
        Lease::new(&mainstay_hold::Lease { until_ms, steps }).unwrap()
    }

    #[test]
    fn a_lease_runs_out_once_and_its_ladder_counts_from_then() {
        let mut lease = lease(100, &["TERM:50"]);
        assert_eq!(lease.run_out(99), None);
        assert!(!lease.ran_out());
        // Seen late.
        let ladder = lease.run_out(130).unwrap();
        assert_eq!((ladder.due_ms(), ladder.kill_ms()), (Some(100), 150));
        assert!(lease.ran_out() && lease.run_out(131).is_none());
    }

    #[test]
    fn a_ladder_ends_with_kill_and_has_no_second_one() {
        for (steps, kill_ms) in [
            (&["TERM:50", "KILL:7"][..], 150),
            (&["KILL:0"], 100),
            (&["TERM:20", "INT:30"], 150),
        ] {
            let mut lease = lease(100, steps);
            let mut ladder = lease.run_out(100).unwrap();
            assert_eq!(ladder.kill_ms(), kill_ms);
            let signals: Vec<Signal> = std::iter::from_fn(|| ladder.next(u64::MAX)).collect();
            let kills = signals.iter().filter(|signal| **signal == Signal::KILL);
            assert_eq!((kills.count(), signals.last()), (1, Some(&Signal::KILL)));
        }
        let steps = vec!["SIGTERM:1".parse().unwrap()];
        let unknown = mainstay_hold::Lease { until_ms: 1, steps };
        assert!(Lease::new(&unknown).is_err());
    }

    #[test]
    fn a_lease_is_prolonged_before_it_runs_out_and_never_shortened() {
        let mut lease = lease(100, &["KILL:0"]);
        assert_eq!(lease.prolong(200, 99), Ok(()));
        assert_eq!(lease.prolong(150, 199), Ok(()));
        assert_eq!(lease.until_ms(), 200);
        // At its very end it is over, whether or not that was acted upon.
        let late = "the lease has run out 0 ms ago".to_owned();
        assert_eq!(lease.prolong(300, 200), Err(late.clone()));
        assert!(lease.run_out(200).is_some());
        assert_eq!(lease.prolong(300, 200), Err(late));
        assert_eq!(lease.until_ms(), 200);
    }
}
