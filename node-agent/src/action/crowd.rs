//! The processes of one action, wherever they went: those in its group, and those that carry its mark.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mainstay_hold::processes::{self, ProcessId, Seen};
use rustix::process::Signal;

/// In the environment of everything that an action starts.
pub(super) const VARIABLE: &str = "MAINSTAY_ACTION";
/// A process that is killed is gone long before, unless it hangs in the kernel.
const CLEARING: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(2);

#[derive(Debug, Clone)]
pub(super) struct Crowd {
    mark: String,
    leader: Option<ProcessId>,
}

/// What clearing came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cleared {
    pub(super) killed: usize,
    /// They hang in the kernel.
    pub(super) stuck: usize,
}

impl Crowd {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // With the agent's start, because a pid alone comes again.
        let agent = processes::look(std::process::id());
        let agent = agent.map(|seen| seen.id.to_string()).unwrap_or_default();
        Self {
            mark: format!("{agent}:{count}"),
            leader: None,
        }
    }

    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    pub(super) fn led_by(self, pid: Option<u32>) -> Self {
        let leader = pid.and_then(processes::look).map(|seen| seen.id);
        Self { leader, ..self }
    }

    pub(super) fn count(&self) -> usize {
        self.members().len()
    }

    /// Kills it all and waits until nothing is left.
    pub(super) fn clear(&self) -> Cleared {
        let began = Instant::now();
        let mut killed: Vec<ProcessId> = Vec::new();
        loop {
            let left = self.members();
            if left.is_empty() || began.elapsed() > CLEARING {
                return Cleared {
                    killed: killed.len(),
                    stuck: left.len(),
                };
            }
            for id in left {
                processes::signal(id, Signal::KILL);
                if !killed.contains(&id) {
                    killed.push(id);
                }
            }
            sleep(PAUSE);
        }
    }

    fn members(&self) -> Vec<ProcessId> {
        let mark = format!("{VARIABLE}={}", self.mark);
        let since = self.leader.map_or(0, |leader| leader.started);
        let is_ours = |seen: &Seen| {
            let in_group = self.leader.is_some_and(|leader| seen.group == leader.pid);
            in_group || processes::is_marked(seen.id.pid, mark.as_bytes())
        };
        processes::all()
            .into_iter()
            // Reading environments costs; nothing of it is older than its first process.
            .filter(|seen| seen.state != 'Z' && seen.id.started >= since)
            .filter(is_ours)
            .map(|seen| seen.id)
            .collect()
    }
}

/// Clears when it is dropped: then the threads that would have done so in order are gone.
pub(super) struct Guard(Option<Crowd>);

impl Guard {
    pub(super) fn over(crowd: &Crowd) -> Self {
        Self(Some(crowd.clone()))
    }

    pub(super) fn let_go(mut self) {
        self.0 = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(crowd) = self.0.take() {
            crowd.clear();
        }
    }
}
