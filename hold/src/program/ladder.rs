//! A stop as a schedule: which signal when, by the clock of the hold's alarm.

use std::collections::VecDeque;

use mainstay_hold::Step;
use rustix::process::Signal;

const SIGNALS: [(&str, Signal); 10] = [
    ("TERM", Signal::TERM),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("HUP", Signal::HUP),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("WINCH", Signal::WINCH),
    ("ABRT", Signal::ABORT),
    ("CONT", Signal::CONT),
    ("KILL", Signal::KILL),
];

/// One step: a signal, and how many milliseconds it is given.
pub type Rung = (Signal, u64);

/// What is left of a stop under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ladder(VecDeque<(u64, Signal)>);

/// In the kernel's signals; or why not, in words.
pub fn rungs(steps: &[Step]) -> Result<Vec<Rung>, String> {
    let rung = |step: &Step| {
        let known = SIGNALS.iter().find(|(known, _)| *known == step.signal);
        let (_, signal) =
            known.ok_or_else(|| format!("\"{}\" is no signal: TERM is one", step.signal))?;
        Ok((*signal, step.wait_ms))
    };
    steps.iter().map(rung).collect()
}

impl Ladder {
    /// All of it counts from its beginning: what is late with one signal is not later with the next.
    pub fn new(rungs: &[Rung], began_ms: u64) -> Self {
        let mut due_ms = began_ms;
        let due = |(signal, wait_ms): &Rung| {
            let due = (due_ms, *signal);
            due_ms = due_ms.saturating_add(*wait_ms);
            due
        };
        Self(rungs.iter().map(due).collect())
    }

    pub fn due_ms(&self) -> Option<u64> {
        self.0.front().map(|(due_ms, _)| *due_ms)
    }

    /// When it comes to SIGKILL; never is the latest of all times. So is one that was sent: nothing comes after it.
    pub fn kill_ms(&self) -> u64 {
        let mut kills = self.0.iter().filter(|(_, signal)| *signal == Signal::KILL);
        kills.next().map_or(u64::MAX, |(due_ms, _)| *due_ms)
    }

    /// The next signal, when it is due.
    pub fn next(&mut self, now_ms: u64) -> Option<Signal> {
        let (_, signal) = self.0.pop_front_if(|(due_ms, _)| *due_ms <= now_ms)?;
        Some(signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(signal: &str, wait_ms: u64) -> Step {
        Step {
            signal: signal.to_owned(),
            wait_ms,
        }
    }

    #[test]
    fn each_signal_is_due_when_those_before_it_have_had_their_time() {
        let steps = [step("TERM", 50), step("INT", 20), step("KILL", 0)];
        let mut ladder = Ladder::new(&rungs(&steps).unwrap(), 100);
        assert_eq!((ladder.next(99), ladder.kill_ms()), (None, 170));
        assert_eq!(ladder.next(100), Some(Signal::TERM));
        assert_eq!((ladder.due_ms(), ladder.next(149)), (Some(150), None));
        // Late: both are.
        assert_eq!(ladder.next(170), Some(Signal::INT));
        assert_eq!(ladder.next(170), Some(Signal::KILL));
        assert_eq!((ladder.due_ms(), ladder.next(u64::MAX)), (None, None));
        assert_eq!(ladder.kill_ms(), u64::MAX);
    }

    #[test]
    fn a_wait_without_end_is_none_and_an_unknown_signal_is_told() {
        let endless = rungs(&[step("TERM", u64::MAX), step("KILL", 0)]).unwrap();
        let mut ladder = Ladder::new(&endless, 100);
        assert_eq!(ladder.next(100), Some(Signal::TERM));
        assert_eq!(ladder.due_ms(), Some(u64::MAX));
        let error = rungs(&[step("SIGTERM", 1)]).unwrap_err();
        assert!(error.contains("\"SIGTERM\" is no signal"), "{error}");
    }
}
