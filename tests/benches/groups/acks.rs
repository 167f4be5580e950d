//! What writers were acknowledged, and the longest time in which none of them was.

use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::{PATIENCE, WRITERS};

/// A group is watched for so long after a kill, in case its writers are interrupted a second time.
const WATCHED: Duration = Duration::from_secs(3);
/// Who was acknowledged something within this is not interrupted now.
const FLOWS: Duration = Duration::from_millis(300);
const LOOK: Duration = Duration::from_millis(1);

pub struct Acks(Mutex<State>);

struct State {
    count: u64,
    last: Instant,
    longest: Duration,
    /// When the longest silence ended.
    ended: Instant,
    /// The last of each writer.
    of: Vec<Instant>,
}

/// What a kill meant to the writers.
#[derive(Debug, Clone, Copy)]
pub struct Interruption {
    /// The longest time in which no writer was acknowledged anything.
    pub silence: Duration,
    /// From the kill until every writer was acknowledged something after that.
    pub all: Duration,
}

impl Acks {
    pub fn new() -> Self {
        let now = Instant::now();
        Self(Mutex::new(State {
            count: 0,
            last: now,
            longest: Duration::ZERO,
            ended: now,
            of: vec![now; WRITERS],
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics with it")
    }

    pub fn note(&self, writer: usize, writes: usize) {
        let now = Instant::now();
        let mut state = self.state();
        let silence = now.saturating_duration_since(state.last);
        if silence > state.longest {
            (state.longest, state.ended) = (silence, now);
        }
        state.count += writes as u64;
        state.last = now;
        state.of[writer] = now;
    }

    pub fn count(&self) -> u64 {
        self.state().count
    }

    /// Silences before do not count.
    pub fn begin_anew(&self) {
        let mut state = self.state();
        (state.longest, state.ended) = (Duration::ZERO, Instant::now());
    }

    /// Waits until it is over.
    pub fn interruption(&self, killed: Instant) -> Interruption {
        let mut all = None;
        loop {
            let (longest, flows, ended) = {
                let state = self.state();
                if state.of.iter().any(|last| *last < state.ended) {
                    all = None;
                } else {
                    all = all.or(Some(killed.elapsed()));
                }
                (state.longest, state.last.elapsed() < FLOWS, state.ended)
            };
            if let Some(all) = all
                && flows
                && ended > killed
                && killed.elapsed() > WATCHED
            {
                return Interruption {
                    silence: longest,
                    all,
                };
            }
            assert!(
                killed.elapsed() < PATIENCE,
                "the writers were not acknowledged anything again"
            );
            // tidy: waits because it is looked at again
            thread::sleep(LOOK);
        }
    }
}
