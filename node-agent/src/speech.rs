//! Passes on what instances say of their own accord, no faster than a cluster can take it, and checks those that wish it.

use std::time::Duration;

use mainstay_protocol::limits;
use mainstay_service::Identity;
use mainstay_service::hosting::{Said, Spoken, Word};
use mainstay_supervisor::{Observation, SupervisorHandle};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use crate::artifacts::Artifacts;
use crate::secrets::Secrets;
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
    pub(crate) identity: Identity,
    pub(crate) deadline: Duration,
}

/// The words of one incarnation.
pub(crate) struct Speech {
    spoken: Option<Spoken>,
    observations: mpsc::Sender<Observation>,
    pulse: Pulse,
    checks: Checks,
    secrets: Secrets,
    artifacts: Artifacts,
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
        (secrets, artifacts): (Secrets, Artifacts),
    ) -> Self {
        Self {
            spoken,
            observations,
            pulse,
            checks,
            secrets,
            artifacts,
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
            match self.word.as_deref().map(|word| &word.what) {
                Some(Said::CheckMe) => {
                    let checks = &self.checks;
                    checks
                        .supervisor
                        .check_now(&checks.identity.instance, checks.deadline)
                        .await;
                    self.passed_on(|_| {});
                    continue;
                }
                Some(Said::Secret(..)) => {
                    self.secret_is_wanted();
                    continue;
                }
                Some(Said::Artifact(..)) => {
                    self.artifact_is_wanted();
                    continue;
                }
                Some(Said::Report(_)) | None => {}
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

    /// In a task of its own: what else is said does not wait for a station.
    fn secret_is_wanted(&mut self) {
        let (secrets, identity) = (self.secrets.clone(), self.checks.identity.clone());
        self.passed_on(|what| {
            if let Said::Secret(reference, mut answer) = what {
                tokio::spawn(async move {
                    tokio::select! {
                        given = secrets.get(&identity, &reference) => drop(answer.send(given)),
                        () = answer.closed() => {}
                    }
                });
            }
        });
    }

    /// As with a secret.
    fn artifact_is_wanted(&mut self) {
        let (artifacts, identity) = (self.artifacts.clone(), self.checks.identity.clone());
        self.passed_on(|what| {
            if let Said::Artifact(id, purpose, mut answer) = what {
                tokio::spawn(async move {
                    tokio::select! {
                        given = artifacts.get(&identity, &id, purpose) => drop(answer.send(given)),
                        () = answer.closed() => {}
                    }
                });
            }
        });
    }

    fn passed_on(&mut self, how: impl FnOnce(Said)) {
        if let Some(word) = self.word.take() {
            how(word.what);
            // It may not wait for it any more.
            let _ = word.passed_on.send(());
        }
    }
}
