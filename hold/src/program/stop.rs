//! How a hold ends its process: signals, each at its time.

use std::io;

use mainstay_hold::Phase;
use rustix::process::{Signal, kill_process_group};

use super::alarm::Alarm;
use super::hold::Hold;
use super::ladder::{Ladder, Rung};

/// What is to end the process, and when.
pub struct Stop {
    pub alarm: Alarm,
    ladder: Option<Ladder>,
    /// Somebody wants it to end.
    pub asked: bool,
    /// It came to SIGKILL.
    pub killed: bool,
}

impl Stop {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            alarm: Alarm::new()?,
            ladder: None,
            asked: false,
            killed: false,
        })
    }

    /// When there is something to be done next.
    pub fn due_ms(&self) -> Option<u64> {
        self.ladder.as_ref().and_then(Ladder::due_ms)
    }
}

impl Hold {
    pub(super) fn begin_stop(&mut self, rungs: &[Rung]) {
        if self.status.is_some() {
            return;
        }
        self.stop.asked = true;
        self.stop.ladder = Some(Ladder::new(rungs, self.stop.alarm.now_ms()));
        self.climb();
        self.stopping();
    }

    /// What is due of a stop.
    pub(super) fn climb(&mut self) {
        if self.status.is_some() {
            return;
        }
        let now_ms = self.stop.alarm.now_ms();
        while let Some(signal) = self.stop.ladder.as_mut().and_then(|stop| stop.next(now_ms)) {
            self.send(signal);
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
