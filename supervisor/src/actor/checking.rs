//! Carries out the check schedule for one supervisor: a task beside its actor, because supervision events would
//! starve the answers. Probes run on a runtime of their own, so that busy is not dead.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use mainstay_protocol::health::Health;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::{sleep_until, timeout};

use super::table::Shared;
use super::watch::Watched;
use crate::checks::DueCheck;
use crate::core::Observation;

/// What the probe said, or why it missed its deadline, as far as that is known.
type Answer = Result<(Health, String), Option<String>>;

/// One answer says at most so much: a change of health, and a failure.
const WORDS_MAX: usize = 2;

/// Checks what is due until another supervisor takes over.
pub(super) async fn run(shared: Arc<Shared>, incarnation: u64) {
    let mut asking: JoinSet<(DueCheck, Answer)> = JoinSet::new();
    let mut ending: JoinSet<()> = JoinSet::new();
    while let Some(due) = shared.due(incarnation) {
        for (check, watched) in due.checks {
            if watched.exit.borrow().is_some() {
                // Gone, should its monitor have said nothing.
                let shared = Arc::clone(&shared);
                ending.spawn(async move { shared.conclude(watched).await });
            } else {
                asking.spawn(carry_out(Arc::clone(&shared), check, watched));
            }
        }
        let next = async {
            match due.next_ms {
                Some(at_ms) => sleep_until(shared.instant(at_ms)).await,
                None => pending().await,
            }
        };
        tokio::select! {
            Some(done) = asking.join_next() => {
                if let Ok((check, answer)) = done
                    && !settle(&shared, incarnation, check, answer).await
                {
                    return;
                }
            }
            Some(_concluded) = ending.join_next() => {}
            () = shared.schedule_changed.notified() => {}
            () = next => {}
        }
    }
    // The word that woke this one may have been meant for its successor.
    shared.schedule_changed.notify_one();
}

async fn carry_out(shared: Arc<Shared>, check: DueCheck, watched: Watched) -> (DueCheck, Answer) {
    let deadline = Duration::from_millis(check.deadline_ms);
    let answer = ask(&shared, &watched, deadline).await;
    (check, answer)
}

/// Notes the answer and says what changed, in one step behind the wait for room. False: nobody listens.
async fn settle(shared: &Shared, incarnation: u64, check: DueCheck, answer: Answer) -> bool {
    let Ok(room) = shared.observations.reserve_many(WORDS_MAX).await else {
        return false;
    };
    let seen = shared.settle(incarnation, |checks, now_ms| match answer {
        Ok((health, detail)) => {
            checks.answered(&check.instance, check.incarnation, health, detail, now_ms)
        }
        Err(excuse) => {
            let mut seen = checks.missed(&check.instance, check.incarnation, now_ms);
            for observation in &mut seen {
                if let (Observation::Unresponsive { detail, .. }, Some(excuse)) =
                    (observation, &excuse)
                {
                    *detail = format!("{excuse}; {detail}");
                }
            }
            seen
        }
    });
    for (permit, observation) in room.zip(seen) {
        permit.send(observation);
    }
    true
}

/// Asks the probe. One that is still at the question before last is not asked again: that is a miss.
pub(super) async fn ask(shared: &Shared, watched: &Watched, deadline: Duration) -> Answer {
    if shared.is_overdue(watched) {
        return Err(watched.probe.excuse(deadline));
    }
    let probe = Arc::clone(&watched.probe);
    let mut task = Ended(shared.probes.spawn(async move { probe.check().await }));
    match timeout(deadline, &mut task.0).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Ok((Health::Failed, panic_text(error))),
        Err(_elapsed) => {
            task.0.abort();
            shared.note_overdue(watched, task.0.abort_handle());
            Err(watched.probe.excuse(deadline))
        }
    }
}

/// Says what a Check on request found, if it is news. It counts neither as a Check of the schedule nor as a miss.
pub(super) async fn note(shared: &Shared, watched: &Watched, health: Health, detail: &str) {
    // Room first: between the change of the table and saying it there is no await.
    let Ok(room) = shared.observations.reserve().await else {
        return;
    };
    let seen = shared.noted(watched, health, detail);
    if let Some(observation) = seen {
        room.send(observation);
    }
}

/// What a Check on request says when the deadline passes.
pub(super) fn no_answer(deadline: Duration, excuse: Option<String>) -> (Health, String) {
    let text = format!(
        "the probe gave no answer within {} ms",
        deadline.as_millis()
    );
    (Health::Unresponsive, excuse.unwrap_or(text))
}

/// A question nobody waits for any more is taken back.
struct Ended(JoinHandle<(Health, String)>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn panic_text(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "the runtime of the probes has ended".to_owned();
    };
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a text".to_owned());
    format!("the probe panicked: {text}")
}
