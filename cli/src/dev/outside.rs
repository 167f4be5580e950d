//! Outside processes of a dev cluster: they outlive their agents, and must not outlive the cluster.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mainstay_hold::{Client, Request, Slot, Step, processes};
use rustix::process::Signal;

/// A process may end in order within this; then it is killed.
const END_WITHIN: Duration = Duration::from_secs(3);
/// After that, everything is gone within moments, unless the kernel cannot let it go.
const KILLED_WITHIN: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(10);

/// Ends what is held in any slot of any node of a cluster whose daemons have ended.
pub fn end_all(directory: &Path) {
    let slots = slots_of(directory);
    // All at once: each has its own time.
    for slot in &slots {
        if !is_free(slot) {
            // One that does not answer is killed below.
            let _ = Client::connect(slot, ANSWER).and_then(|mut hold| hold.ask(&stop()));
        }
    }
    let until = Instant::now() + END_WITHIN + KILLED_WITHIN;
    for slot in &slots {
        while !is_free(slot) && Instant::now() < until && lives(slot) {
            sleep(LOOK);
        }
        end(slot);
    }
}

/// What is in memory for the processes of a cluster that have ended.
pub fn take_away_secrets(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        mainstay_agent::take_away_secrets(&entry.path());
    }
}

/// Below each node's directory.
fn slots_of(directory: &Path) -> Vec<Slot> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .flatten()
        .flat_map(|entry| Slot::all(&entry.path().join("slots")).unwrap_or_default())
        .collect()
}

fn stop() -> Request {
    let step = |signal: &str, wait: Duration| Step {
        signal: signal.to_owned(),
        wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
    };
    Request::Stop(vec![step("TERM", END_WITHIN), step("KILL", Duration::ZERO)])
}

/// A lock that cannot be tried is one that nobody can have.
fn is_free(slot: &Slot) -> bool {
    !matches!(slot.lock(), Ok(None))
}

fn lives(slot: &Slot) -> bool {
    let state = slot.state().ok().flatten();
    state.is_some_and(|state| processes::lives(state.hold))
}

/// The hard way, where the hold did not do it: it was killed, or is stopped.
fn end(slot: &Slot) {
    let hold = slot.state().ok().flatten().map(|state| state.hold);
    if is_free(slot) && !hold.is_some_and(processes::lives) {
        return;
    }
    if let Some(hold) = hold {
        processes::signal(hold, Signal::KILL);
    }
    processes::clear(slot.path(), hold, KILLED_WITHIN);
}
