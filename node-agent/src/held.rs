//! Outside processes as an agent has them: each behind its hold, in the slot of its exclusive name.
//!
//! ```text
//!   begin --> hold run --slot .. --up--> follow (a task) --> state, news of it
//!   attach (adoption) ------------------^      |  the hold's last word, or its death
//!                                              v
//!                            nothing of it is left, the slot's lock is free --> over
//! ```
//!
//! What must hold:
//! - `over` is said once nothing descends from the process and whoever had the slot's lock has let go of it.
//! - Whoever drops a start half way leaves nothing: `clear` waits until the hold is up, then kills.
//! - A process that nobody here began is neither signalled nor cleared.

mod begin;
mod evidence;
mod follow;
mod line;
mod record;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mainstay_hold::{Event, Exit, Phase, ProcessId, Request, Slot, State, Step, processes};
use mainstay_protocol::Incarnation;
use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::timeout;

pub(crate) use begin::{NotBegun, hold_program};
pub(crate) use evidence::{exit_how, exit_words};
pub(crate) use record::{read_start, write_start};

/// A hold answers within moments; one that does not is stopped, or its machine is.
const ANSWER: Duration = Duration::from_secs(2);
/// From asking the hold to kill to killing the hold itself, with which the kernel takes the process.
const KILLED_WITHIN: Duration = Duration::from_secs(3);

/// In the environment of what a Check runs: the path of the slot whose process is checked.
pub(crate) const CHECK_VARIABLE: &str = "MAINSTAY_CHECK";

/// How it was over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Over {
    /// There never was a hold.
    NotBegun,
    Exit(Box<Exit>),
    /// Its hold was killed, and could not say how the process ended; what it left was cleared.
    HoldLost,
}

/// One incarnation's outside process.
#[derive(Debug)]
pub(crate) struct Held {
    slot: Slot,
    /// As the slot's files name it.
    incarnation: String,
    /// What the hold said last.
    state: watch::Sender<Option<State>>,
    over: watch::Sender<Option<Over>>,
    /// Somebody asked for a hold, or found one.
    begun: AtomicBool,
}

/// As a slot's files name an incarnation.
pub(crate) fn file_name(incarnation: Incarnation) -> String {
    let Incarnation {
        epoch,
        created,
        count,
    } = incarnation;
    format!("{epoch}-{created}-{count}")
}

impl Held {
    pub(crate) fn new(slot: &Path, incarnation: Incarnation) -> Arc<Self> {
        Arc::new(Self {
            slot: Slot::at(slot),
            incarnation: file_name(incarnation),
            state: watch::Sender::new(None),
            over: watch::Sender::new(None),
            begun: AtomicBool::new(false),
        })
    }

    pub(crate) fn slot(&self) -> &Slot {
        &self.slot
    }

    pub(crate) fn incarnation(&self) -> &str {
        &self.incarnation
    }

    pub(crate) fn state(&self) -> watch::Receiver<Option<State>> {
        self.state.subscribe()
    }

    pub(crate) fn process(&self) -> Option<ProcessId> {
        self.state.borrow().as_ref()?.process
    }

    pub(crate) fn hold(&self) -> Option<ProcessId> {
        Some(self.state.borrow().as_ref()?.hold)
    }

    pub(crate) fn has_ended(&self) -> Option<Over> {
        self.over.borrow().clone()
    }

    /// Waits until nothing is left.
    pub(crate) async fn ended(&self) -> Over {
        let mut over = self.over.subscribe();
        let ended = over.wait_for(Option::is_some).await;
        ended
            .ok()
            .and_then(|over| over.clone())
            .expect("the sender is ours, and lives as long as we do")
    }

    /// What the hold says now.
    pub(crate) async fn ask(&self, request: &Request) -> std::io::Result<Event> {
        let answer = timeout(ANSWER, line::ask(&self.slot, request)).await;
        answer.unwrap_or_else(|_| {
            let text = format!("its hold did not answer within {} ms", ANSWER.as_millis());
            Err(std::io::Error::new(std::io::ErrorKind::TimedOut, text))
        })
    }

    /// The ladder is the hold's from here on, also if this agent dies.
    pub(crate) async fn stop(&self, steps: Vec<Step>) -> Over {
        if self.has_ended().is_none()
            && let Err(error) = self.ask(&Request::Stop(steps)).await
        {
            // Ended meanwhile, or stuck: then nothing but its end will do.
            tracing::warn!(slot = %self.slot.path().display(), %error, "its hold takes no stop");
            self.kill().await;
        }
        self.ended().await
    }

    /// Kills what there is, and returns when nothing is left.
    pub(crate) async fn clear(&self) {
        if !self.begun.load(Ordering::Acquire) {
            return;
        }
        if self.has_ended().is_none() {
            // A hold that is about to be there is waited for, so that it is not missed.
            let mut state = self.state.subscribe();
            let mut over = self.over.subscribe();
            tokio::select! {
                _ = state.wait_for(Option::is_some) => {}
                _ = over.wait_for(Option::is_some) => {}
            }
            self.kill().await;
        }
        self.ended().await;
    }

    async fn kill(&self) {
        let asked = self.ask(&Request::Kill).await;
        if asked.is_ok() && timeout(KILLED_WITHIN, self.ended()).await.is_ok() {
            return;
        }
        if self.has_ended().is_none()
            && let Some(hold) = self.hold()
        {
            processes::signal(hold, Signal::KILL);
        }
    }

    /// To the process itself, as by a person's hand.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        self.process()
            .is_some_and(|process| processes::signal(process, signal))
    }

    fn runs(state: &State) -> bool {
        match state.phase {
            Phase::Running | Phase::Stopping => true,
            // What is being cleared may never have run: its exit tells.
            Phase::Starting | Phase::Clearing | Phase::Ended => false,
        }
    }

    /// Waits until the program runs; or how it came not to.
    pub(crate) async fn executed(&self) -> Result<(), Over> {
        let mut state = self.state.subscribe();
        let mut over = self.over.subscribe();
        tokio::select! {
            biased;
            ended = over.wait_for(Option::is_some) => {
                Err(ended.ok().and_then(|over| over.clone()).unwrap_or(Over::HoldLost))
            }
            _ = state.wait_for(|state| state.as_ref().is_some_and(Self::runs)) => Ok(()),
        }
    }
}
