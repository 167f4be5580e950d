//! How a hold ends its process: stops that are asked for, and the end of its lease. There is one ladder at a time.
//!
//! ```text
//!   no lease, or it goes on: the later ladder takes the place of the earlier one
//!   the lease has run out:   the ladder that comes to SIGKILL sooner is the one, whoever wants the other
//! ```

use std::io;

use mainstay_hold::{Event, Phase};
use rustix::process::{Signal, kill_process_group};

use super::alarm::{Alarm, Sleep};
use super::hold::Hold;
use super::ladder::{Ladder, Rung};
use super::lease::Lease;

/// What is to end the process, and when.
pub struct Stop {
    pub alarm: Alarm,
    pub lease: Option<Lease>,
    ladder: Option<Ladder>,
    /// Somebody wants it to end.
    pub asked: bool,
    /// It came to SIGKILL.
    pub killed: bool,
}

impl Stop {
    pub fn new(lease: Option<Lease>) -> io::Result<Self> {
        let sleep = match lease {
            Some(_) => Sleep::Counts,
            None => Sleep::DoesNotCount,
        };
        Ok(Self {
            alarm: Alarm::new(sleep)?,
            lease,
            ladder: None,
            asked: false,
            killed: false,
        })
    }

    /// When there is something to be done next.
    pub fn due_ms(&self) -> Option<u64> {
        let lease = self.lease.as_ref().filter(|lease| !lease.ran_out());
        let step = self.ladder.as_ref().and_then(Ladder::due_ms);
        lease.map(Lease::until_ms).into_iter().chain(step).min()
    }

    pub fn lease_ran_out(&self) -> bool {
        self.lease.as_ref().is_some_and(Lease::ran_out)
    }

    fn take(&mut self, ladder: Ladder) {
        let present_ms = self.ladder.as_ref().map(Ladder::kill_ms);
        if !self.lease_ran_out() || present_ms.is_none_or(|present| ladder.kill_ms() < present) {
            self.ladder = Some(ladder);
        }
    }

    /// True: just now.
    fn runs_out(&mut self, now_ms: u64) -> bool {
        let ladder = self.lease.as_mut().and_then(|lease| lease.run_out(now_ms));
        ladder.map(|ladder| self.take(ladder)).is_some()
    }
}

impl Hold {
    pub(super) fn begin_stop(&mut self, rungs: &[Rung]) {
        if self.status.is_some() {
            return;
        }
        // Before the lease that has run out meanwhile can be mistaken for one that goes on.
        self.climb();
        self.stop.asked = true;
        self.stop.take(Ladder::new(rungs, self.stop.alarm.now_ms()));
        self.climb();
        self.stopping();
    }

    /// What is due of the lease and of a stop.
    pub(super) fn climb(&mut self) {
        if self.status.is_some() {
            return;
        }
        let now_ms = self.stop.alarm.now_ms();
        let ran_out = self.stop.runs_out(now_ms);
        while let Some(signal) = self.stop.ladder.as_mut().and_then(|stop| stop.next(now_ms)) {
            self.send(signal);
        }
        if ran_out {
            self.stopping();
        }
    }

    pub(super) fn prolong(&mut self, until_ms: u64) -> Event {
        let now_ms = self.stop.alarm.now_ms();
        // No news: whoever prolongs does so all the time, and a disk has better things to do.
        match &mut self.stop.lease {
            Some(lease) => match lease.prolong(until_ms, now_ms) {
                Ok(()) => Event::Ok,
                Err(text) => Event::Error(text),
            },
            None => Event::Error("the process has no lease".to_owned()),
        }
    }

    /// Told after the signals are sent: the disk may be slow.
    fn stopping(&mut self) {
        if self.state.phase < Phase::Stopping {
            self.state.phase = Phase::Stopping;
            self.news();
        }
    }

    fn send(&mut self, signal: Signal) {
        if signal == Signal::KILL {
            self.stop.killed = true;
            self.kill_all();
            return;
        }
        // Gone already: then its end is about to be seen.
        let _ = kill_process_group(self.process.pid, signal);
        // A stopped process takes its signal when it goes on.
        let _ = kill_process_group(self.process.pid, Signal::CONT);
    }

    pub(super) fn kill_all(&self) {
        if let Some(group) = &self.group {
            group.kill();
        }
        let _ = kill_process_group(self.process.pid, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(lease: &str) -> Stop {
        let wanted = mainstay_hold::Lease {
            until_ms: 1_000,
            steps: vec![lease.parse().unwrap()],
        };
        Stop::new(Some(Lease::new(&wanted).unwrap())).unwrap()
    }

    fn ladder(began_ms: u64, wait_ms: u64) -> Ladder {
        Ladder::new(&[(Signal::TERM, wait_ms), (Signal::KILL, 0)], began_ms)
    }

    fn kill_ms(stop: &Stop) -> Option<u64> {
        stop.ladder.as_ref().map(Ladder::kill_ms)
    }

    #[test]
    fn the_later_ladder_is_the_one_until_the_lease_has_run_out() {
        let mut stop = stop("TERM:500");
        for wait_ms in [10, 300, 20] {
            stop.take(ladder(0, wait_ms));
            assert_eq!(kill_ms(&stop), Some(wait_ms));
        }
        assert!(!stop.runs_out(999));
    }

    #[test]
    fn whatever_kills_sooner_is_the_one_after_the_lease_has_run_out() {
        for (began_ms, wait_ms, expected_ms) in [(900, 200, 1_100), (900, 9_000, 1_500)] {
            // A stop before; the same stop after.
            let (mut before, mut after) = (stop("TERM:500"), stop("TERM:500"));
            before.take(ladder(began_ms, wait_ms));
            assert!(before.runs_out(1_000) && after.runs_out(1_000));
            after.take(ladder(began_ms, wait_ms));
            for stop in [&mut before, &mut after] {
                assert_eq!(kill_ms(stop), Some(expected_ms));
                stop.take(ladder(1_000, 9_000));
                // One that never comes to it.
                stop.take(Ladder::new(&[(Signal::TERM, 0)], 1_000));
                assert_eq!(kill_ms(stop), Some(expected_ms));
                stop.take(ladder(1_000, 0));
                assert_eq!(kill_ms(stop), Some(1_000));
            }
        }
    }

    #[test]
    fn what_is_due_next_is_the_lease_or_a_step() {
        let mut stop = stop("TERM:500");
        assert_eq!(stop.due_ms(), Some(1_000));
        stop.take(ladder(900, 10));
        assert_eq!(stop.due_ms(), Some(900));
        stop.take(ladder(2_000, 10));
        assert_eq!(stop.due_ms(), Some(1_000));
        assert!(stop.runs_out(1_000) && !stop.runs_out(1_000));
        assert_eq!(stop.due_ms(), Some(1_000), "the lease's first step");
        assert_eq!(Stop::new(None).unwrap().due_ms(), None);
    }
}
