//! Waiting for a condition.

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

/// Far above what any condition needs; reached only when it will never hold.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// Asks until the answer is right; panics with the last answer when patience is over.
pub fn until<T: Debug>(what: &str, ask: impl FnMut() -> T, right: impl FnMut(&T) -> bool) -> T {
    until_within(PATIENCE, what, ask, right)
}

/// The same with a patience of its own, where policy itself takes long (back-off, quarantine).
pub fn until_within<T: Debug>(
    patience: Duration,
    what: &str,
    mut ask: impl FnMut() -> T,
    mut right: impl FnMut(&T) -> bool,
) -> T {
    let begun = Instant::now();
    loop {
        let answer = ask();
        if right(&answer) {
            return answer;
        }
        assert!(
            begun.elapsed() < patience,
            "waited {patience:?} for: {what}; the last answer was {answer:#?}"
        );
        // tidy: waits because the condition is asked again
        thread::sleep(PAUSE);
    }
}
