//! Carries out the check schedule for one supervisor: a task beside its actor, because supervision events would
//! starve the answers. Probes run on a runtime of their own, so that busy is not dead.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mainstay_protocol::health::Health;
use mainstay_protocol::report::Report;
use mainstay_protocol::words;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::table::Shared;
use super::watch::Watched;
use crate::checks::{CheckTable, DueCheck};
use crate::core::Observation;

/// What the probe said, or why it missed its deadline, as far as that is known.
type Answer = Result<(Health, String), Option<String>>;

/// One answer says at most so much: a change of health, and a failure.
const WORDS_MAX: usize = 2;
/// So many answers are settled in one step; there is room for what they say in `limits::OBSERVATIONS_MAX`.
const SETTLED_AT_ONCE: usize = 64;
/// Probes that have nothing to wait for have answered within this; each of the others is waited for by itself.
const GRACE: Duration = Duration::from_millis(10);

/// Checks what is due until another supervisor takes over.
pub(super) async fn run(shared: Arc<Shared>, incarnation: u64) {
    let mut asking: JoinSet<Round> = JoinSet::new();
    let mut ending: JoinSet<()> = JoinSet::new();
    while let Some(due) = shared.due(incarnation) {
        // Gone, should its monitor have said nothing.
        let (gone, living): (Vec<_>, Vec<_>) = due
            .checks
            .into_iter()
            .partition(|(_, watched)| watched.exit.borrow().is_some());
        for (_, watched) in gone {
            let shared = Arc::clone(&shared);
            ending.spawn(async move { shared.conclude(watched).await });
        }
        if !living.is_empty() {
            asking.spawn(ask_all(Arc::clone(&shared), living));
        }
        let next = async {
            match due.next_ms {
                Some(at_ms) => sleep_until(shared.instant(at_ms)).await,
                None => pending().await,
            }
        };
        tokio::select! {
            Some(done) = asking.join_next() => {
                let Ok(Round { answers, late }) = done else {
                    continue;
                };
                for asked in late {
                    asking.spawn(wait_for(Arc::clone(&shared), asked));
                }
                if !settle(&shared, incarnation, answers).await {
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

/// What became of the Checks that were due together.
struct Round {
    answers: Vec<(DueCheck, Answer)>,
    /// Asked, and still to answer.
    late: Vec<(DueCheck, Asked)>,
}

/// Asks all that is due, and is woken once for all that answer at once: a wake for each is what an idle node would
/// otherwise spend its time with.
async fn ask_all(shared: Arc<Shared>, due: Vec<(DueCheck, Watched)>) -> Round {
    let answering = Arc::new(Answering::default());
    let mut answers = Vec::with_capacity(due.len());
    let mut asked = Vec::with_capacity(due.len());
    for (check, watched) in due {
        let deadline = Duration::from_millis(check.deadline_ms);
        match Asked::begin(&shared, watched, deadline, &answering) {
            Ok(one) => asked.push((check, one)),
            Err(excuse) => answers.push((check, Err(excuse))),
        }
    }
    let all = timeout(GRACE, answering.all()).await.is_ok();
    let mut late = Vec::new();
    for (check, one) in asked {
        if all || one.task.0.is_finished() {
            answers.push((check, one.answer(&shared).await));
        } else {
            late.push((check, one));
        }
    }
    Round { answers, late }
}

async fn wait_for(shared: Arc<Shared>, (check, asked): (DueCheck, Asked)) -> Round {
    let answer = asked.answer(&shared).await;
    Round {
        answers: vec![(check, answer)],
        late: Vec::new(),
    }
}

/// Notes the answers and says what changed, in one step behind the wait for room. False: nobody listens.
async fn settle(shared: &Shared, incarnation: u64, answers: Vec<(DueCheck, Answer)>) -> bool {
    let mut answers = answers.into_iter();
    while answers.len() > 0 {
        let few = answers.len().min(SETTLED_AT_ONCE);
        let Ok(room) = shared.observations.reserve_many(few * WORDS_MAX).await else {
            return false;
        };
        let seen = shared.settle(incarnation, |checks, now_ms| {
            let few = answers.by_ref().take(few);
            few.flat_map(|(check, answer)| noted(checks, &check, answer, now_ms))
                .collect()
        });
        for (permit, observation) in room.zip(seen) {
            permit.send(observation);
        }
    }
    true
}

fn noted(
    checks: &mut CheckTable,
    check: &DueCheck,
    answer: Answer,
    now_ms: u64,
) -> Vec<Observation> {
    let (instance, incarnation) = (&check.instance, check.incarnation);
    match answer {
        Ok((health, detail)) => checks.answered(instance, incarnation, health, detail, now_ms),
        Err(excuse) => {
            let mut seen = checks.missed(instance, incarnation, now_ms);
            for observation in &mut seen {
                if let (Observation::Seen(Report::Unresponsive { detail, .. }), Some(excuse)) =
                    (observation, &excuse)
                {
                    *detail = format!("{excuse}; {detail}");
                }
            }
            seen
        }
    }
}

/// Asks one probe, out of turn.
pub(super) async fn ask(shared: &Shared, watched: &Watched, deadline: Duration) -> Answer {
    let answering = Arc::default();
    let asked = Asked::begin(shared, watched.clone(), deadline, &answering)?;
    asked.answer(shared).await
}

/// A probe that was asked and has until then to answer.
struct Asked {
    watched: Watched,
    deadline: Duration,
    until: Instant,
    task: Ended,
}

impl Asked {
    /// One that is still at the question before last is not asked again: that is a miss, with its excuse.
    fn begin(
        shared: &Shared,
        watched: Watched,
        deadline: Duration,
        answering: &Arc<Answering>,
    ) -> Result<Self, Option<String>> {
        if shared.is_overdue(&watched) {
            return Err(watched.probe.excuse(deadline));
        }
        let probe = Arc::clone(&watched.probe);
        let turn = answering.turn();
        let task = shared.probes.spawn(async move {
            let _turn = turn;
            probe.check().await
        });
        Ok(Self {
            watched,
            deadline,
            until: Instant::now() + deadline,
            task: Ended(task),
        })
    }

    async fn answer(mut self, shared: &Shared) -> Answer {
        match timeout_at(self.until, &mut self.task.0).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Ok((Health::Failed, panic_text(error))),
            Err(_elapsed) => {
                self.task.0.abort();
                shared.note_overdue(&self.watched, self.task.0.abort_handle());
                Err(self.watched.probe.excuse(self.deadline))
            }
        }
    }
}

/// How many of those asked together are still at it; whoever waits is woken by the last.
#[derive(Default)]
struct Answering {
    left: AtomicUsize,
    over: Notify,
}

/// One probe's part in it; over when dropped, also by a panic.
struct Turn(Arc<Answering>);

impl Answering {
    fn turn(self: &Arc<Self>) -> Turn {
        self.left.fetch_add(1, Ordering::Relaxed);
        Turn(Arc::clone(self))
    }

    /// Those quick enough to end before the next was asked have left a permit behind each: so it is looked again.
    async fn all(&self) {
        while self.left.load(Ordering::Acquire) > 0 {
            self.over.notified().await;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.0.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.over.notify_one();
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
    format!("the probe panicked: {}", words::of_panic(panic.as_ref()))
}
