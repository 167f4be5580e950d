//! Passes on what instances say of their own accord, no faster than a cluster can take it, and checks those that wish it.

use std::time::Duration;

use mainstay_protocol::InstanceKey;
use mainstay_protocol::limits;
use mainstay_service::hosting::{Said, Spoken, Word};
use mainstay_supervisor::{Observation, SupervisorHandle};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use crate::session::Pulse;

/// How often a full outbox is looked at.
const FULL_PAUSE: Duration = Duration::from_millis(100);
/// Half of it is for what nobody may hold back.
const DEPTH_MAX: u64 = limits::OUTBOX_REPORTS_MAX as u64 / 2;
/// Between two words, once the burst is used up.
const PACE: Duration = Duration::from_millis(1000 / limits::WORDS_PER_SECOND_MAX);

/// Who checks an instance that wishes it; one that has not started is not there to be checked, and is told so at once.
pub(crate) struct Checks {
    pub(crate) supervisor: SupervisorHandle,
    pub(crate) instance: InstanceKey,
    pub(crate) deadline: Duration,
}

/// The words of one incarnation.
pub(crate) struct Speech {
    spoken: Option<Spoken>,
    observations: mpsc::Sender<Observation>,
    pulse: Pulse,
    checks: Checks,
    /// When the burst is whole again.
    whole_at: Instant,
    /// Taken and not passed on: nothing is lost when `pass_on` is dropped.
    word: Option<Box<Word>>,
}

impl Speech {
    pub(crate) fn new(
        spoken: Option<Spoken>,
        observations: mpsc::Sender<Observation>,
        pulse: Pulse,
        checks: Checks,
    ) -> Self {
        Self {
            spoken,
            observations,
            pulse,
            checks,
            whole_at: Instant::now(),
            word: None,
        }
    }

    /// Until whoever speaks is gone. May be dropped and called again.
    pub(crate) async fn pass_on(&mut self) {
        loop {
            if self.word.is_none() {
                let Some(spoken) = &mut self.spoken else {
                    return;
                };
                self.word = spoken.recv().await;
                if self.word.is_none() {
                    return;
                }
            }
            if matches!(self.word.as_deref(), Some(word) if matches!(word.what, Said::CheckMe)) {
                let checks = &self.checks;
                checks
                    .supervisor
                    .check_now(&checks.instance, checks.deadline)
                    .await;
                self.passed_on(|_| {});
                continue;
            }
            let burst = PACE * limits::WORDS_BURST as u32;
            sleep_until(self.whole_at.checked_sub(burst).unwrap_or(self.whole_at)).await;
            while self.pulse.depth() >= DEPTH_MAX {
                sleep(FULL_PAUSE).await;
            }
            // The driver is gone only when the agent ends.
            let Ok(room) = self.observations.clone().reserve_owned().await else {
                return;
            };
            self.whole_at = self.whole_at.max(Instant::now()) + PACE;
            self.passed_on(|what| {
                if let Said::Report(report) = what {
                    room.send(Observation::Seen(*report));
                }
            });
        }
    }

    fn passed_on(&mut self, how: impl FnOnce(Said)) {
        if let Some(word) = self.word.take() {
            how(word.what);
            // It may not wait for it any more.
            let _ = word.passed_on.send(());
        }
    }
}
