//! Passes on what instances say of their own accord, no faster than a cluster can take it.

use std::time::Duration;

use mainstay_protocol::limits;
use mainstay_service::hosting::{Spoken, Word};
use mainstay_supervisor::Observation;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use crate::session::Pulse;

/// How often a full outbox is looked at.
const FULL_PAUSE: Duration = Duration::from_millis(100);
/// Half of it is for what nobody may hold back.
const DEPTH_MAX: u64 = limits::OUTBOX_REPORTS_MAX as u64 / 2;
/// Between two words, once the burst is used up.
const PACE: Duration = Duration::from_millis(1000 / limits::WORDS_PER_SECOND_MAX);

/// The words of one incarnation.
pub(crate) struct Speech {
    spoken: Option<Spoken>,
    observations: mpsc::Sender<Observation>,
    pulse: Pulse,
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
    ) -> Self {
        Self {
            spoken,
            observations,
            pulse,
            whole_at: Instant::now(),
            word: None,
        }
    }

    /// Until whoever speaks is gone. May be dropped and called again.
    pub(crate) async fn pass_on(&mut self) {
        let Some(spoken) = &mut self.spoken else {
            return;
        };
        loop {
            if self.word.is_none() {
                self.word = spoken.recv().await;
                if self.word.is_none() {
                    return;
                }
            }
            let burst = PACE * limits::WORDS_BURST as u32;
            sleep_until(self.whole_at.checked_sub(burst).unwrap_or(self.whole_at)).await;
            while self.pulse.depth() >= DEPTH_MAX {
                sleep(FULL_PAUSE).await;
            }
            // The driver is gone only when the agent ends.
            let Ok(room) = self.observations.reserve().await else {
                return;
            };
            if let Some(word) = self.word.take() {
                self.whole_at = self.whole_at.max(Instant::now()) + PACE;
                room.send(Observation::Seen(word.report));
                // It may not wait for it any more.
                let _ = word.passed_on.send(());
            }
        }
    }
}
