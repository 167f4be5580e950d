//! What is known of one incarnation, shared by its task, its context and those who ask about it.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use mainstay_protocol::health::{Evidence, FailureKind, RefusedStart};
use mainstay_protocol::limits;
use mainstay_protocol::report::Ending;
use ractor::{ActorCell, ActorRef};
use tokio::sync::watch;
use tracing::Span;

use super::actor::Letter;
use super::hosted::WorkDone;
use super::launch::AnyProbe;
use super::panics::cut;
use super::words::Words;
use crate::context::Identity;
use crate::others::Others;
use crate::outcome::StopReason;
use crate::outside::{Beginning, BoxFuture, Outside, Place};
use crate::probe::{Activity, Work};
use mainstay_supervisor::{ExitFact, ExitHow};

/// How far an incarnation has come. Only ever moves down this list.
#[derive(Clone)]
pub enum Phase {
    /// From launch until `start` returned.
    Starting,
    /// `start` returned: it is initialised and answers.
    Running(Running),
    /// It did not come to be, and nothing is left of it.
    NotStarted(NotStarted),
    /// Its task has finished, and nothing is left of it.
    Gone(ExitFact),
}

/// A running instance, as its askers need it.
#[derive(Clone)]
pub struct Running {
    /// The configuration in use, canonical JSON.
    pub config: String,
    pub(crate) actor: ActorRef<Letter>,
    pub(crate) probe: Arc<dyn AnyProbe>,
}

impl Running {
    pub fn cell(&self) -> ActorCell {
        self.actor.get_cell()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotStarted {
    pub refused: RefusedStart,
    pub text: String,
}

impl fmt::Debug for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("Starting"),
            Self::Running(_) => f.write_str("Running"),
            Self::NotStarted(why) => why.fmt(f),
            Self::Gone(fact) => fact.fmt(f),
        }
    }
}

/// Why a start is broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BreakOff {
    Deadline(Duration),
    Stop,
}

/// What an instance was told or has said of its own end. Each is said once: the first counts.
#[derive(Debug, Default)]
struct Signs {
    stop: Option<StopReason>,
    break_off: Option<BreakOff>,
    failure: Option<String>,
}

impl Signs {
    /// Whether this was the first word.
    fn first<T>(sign: &mut Option<T>, word: T) -> bool {
        let first = sign.is_none();
        if first {
            *sign = Some(word);
        }
        first
    }
}

/// A wait of an instance for somebody else.
pub(crate) struct Waits<'a>(&'a Life);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0
            .activity
            .send_modify(|activity| activity.waiting = activity.waiting.saturating_sub(1));
    }
}

pub(crate) struct Life {
    identity: Identity,
    beginning: Beginning,
    place: Place,
    others: Arc<dyn Others>,
    ports: Mutex<BTreeMap<String, u16>>,
    span: Span,
    began: Instant,
    phase: watch::Sender<Phase>,
    activity: watch::Sender<Activity>,
    /// One for all: each costs an instance some hundred bytes.
    signs: watch::Sender<Signs>,
    /// Known before the task has finished; the first word counts, since it is the cause of the rest.
    exit: Mutex<Option<ExitHow>>,
    /// Why it did not come to be; told when nothing is left of what it had begun.
    refusal: Mutex<Option<NotStarted>>,
    outside: OnceLock<Arc<dyn Outside>>,
    kept: OnceLock<Arc<dyn Any + Send + Sync>>,
    /// What is waited for before it is told to be over; none inside, once it is.
    ending: OnceLock<Mutex<Option<BoxFuture<()>>>>,
    /// The agent ends: what is outside goes on without it.
    left: AtomicBool,
    cell: OnceLock<ActorCell>,
    queued: AtomicUsize,
    words: Words,
    may_use: &'static [&'static str],
}

impl Life {
    pub(crate) fn new(
        identity: Identity,
        beginning: Beginning,
        (place, others): (Place, Arc<dyn Others>),
        span: Span,
        may_use: &'static [&'static str],
    ) -> Arc<Self> {
        Arc::new(Self {
            identity,
            beginning,
            place,
            others,
            ports: Mutex::default(),
            span,
            began: Instant::now(),
            phase: watch::Sender::new(Phase::Starting),
            activity: watch::Sender::new(Activity::default()),
            signs: watch::Sender::new(Signs::default()),
            exit: Mutex::new(None),
            refusal: Mutex::new(None),
            outside: OnceLock::new(),
            kept: OnceLock::new(),
            ending: OnceLock::new(),
            left: AtomicBool::new(false),
            cell: OnceLock::new(),
            queued: AtomicUsize::new(0),
            words: Words::new(),
            may_use,
        })
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn beginning(&self) -> Beginning {
        self.beginning
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn others(&self) -> &dyn Others {
        &*self.others
    }

    pub(crate) fn listens_on(&self, name: String, port: u16) {
        self.ports().insert(name, port);
    }

    /// What it listens on, as far as it said.
    pub(crate) fn ports(&self) -> MutexGuard<'_, BTreeMap<String, u16>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    pub(crate) fn stands_for(&self, outside: Arc<dyn Outside>) {
        // The first word counts: two would leave one that nobody clears.
        let _ = self.outside.set(outside);
    }

    pub(crate) fn outside(&self) -> Option<&Arc<dyn Outside>> {
        self.outside.get()
    }

    pub(crate) fn keep(&self, what: Arc<dyn Any + Send + Sync>) {
        let _ = self.kept.set(what);
    }

    pub(crate) fn kept(&self) -> Option<&Arc<dyn Any + Send + Sync>> {
        self.kept.get()
    }

    /// The first word counts, as with what it keeps.
    pub(crate) fn ends_with(&self, ending: BoxFuture<()>) {
        let _ = self.ending.set(Mutex::new(Some(ending)));
    }

    pub(crate) fn has_ending(&self) -> bool {
        self.ending.get().is_some()
    }

    pub(crate) fn take_ending(&self) -> Option<BoxFuture<()>> {
        let ending = self.ending.get()?.lock();
        ending.unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn leave(&self) {
        self.left.store(true, Ordering::Release);
    }

    pub(crate) fn is_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.place.directory
    }

    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub(crate) fn activity(&self) -> watch::Receiver<Activity> {
        self.activity.subscribe()
    }

    /// What it reported as its failure, once it does.
    pub(crate) async fn reported_failure(&self) -> String {
        self.sign(|signs| signs.failure.clone()).await
    }

    /// Waits for a sign.
    async fn sign<T>(&self, of: impl Fn(&Signs) -> Option<T>) -> T {
        let mut signs = self.signs.subscribe();
        let seen = signs.wait_for(|signs| of(signs).is_some()).await;
        let sign = seen.ok().and_then(|signs| of(&signs));
        sign.expect("the sender is ours, and lives as long as we do")
    }

    pub(crate) fn begins(&self, work: Work) {
        let now = tokio::time::Instant::now();
        self.activity
            .send_modify(|activity| activity.running = Some((work, now)));
    }

    pub(crate) fn finished(&self) {
        self.activity.send_modify(|activity| {
            if let Some((_, since)) = activity.running.take() {
                activity.busy += since.elapsed();
            }
            activity.finished += 1;
        });
    }

    /// It waits for somebody else until this is dropped.
    pub(crate) fn waits(&self) -> Waits<'_> {
        self.activity.send_modify(|activity| activity.waiting += 1);
        Waits(self)
    }

    pub(crate) fn work_done(&self) -> WorkDone {
        let activity = *self.activity.borrow();
        let running = activity.running.map(|(_, since)| since.elapsed());
        WorkDone {
            age: self.began.elapsed(),
            busy: activity.busy + running.unwrap_or_default(),
            served: activity.finished,
        }
    }

    /// The first report counts; the rest would be about the same failure.
    pub(crate) fn report_failure(&self, text: String) {
        self.signs
            .send_if_modified(|signs| Signs::first(&mut signs.failure, cut(text)));
    }

    pub(crate) fn words(&self) -> &Words {
        &self.words
    }

    /// The kinds of resources its type may use.
    pub(crate) fn may_use(&self) -> &'static [&'static str] {
        self.may_use
    }

    pub(crate) fn stop_reason(&self) -> Option<StopReason> {
        self.signs.borrow().stop
    }

    pub(crate) async fn asked_to_stop(&self) -> StopReason {
        self.sign(|signs| signs.stop).await
    }

    /// Asks; the reason of the first asker stays.
    pub(crate) fn ask_to_stop(&self, reason: StopReason) {
        self.signs
            .send_if_modified(|signs| Signs::first(&mut signs.stop, reason));
        if let Some(cell) = self.cell.get() {
            cell.stop(None);
        }
    }

    pub(crate) fn break_off(&self, why: BreakOff) {
        self.signs
            .send_if_modified(|signs| Signs::first(&mut signs.break_off, why));
    }

    pub(crate) async fn broken_off(&self) -> BreakOff {
        self.sign(|signs| signs.break_off).await
    }

    /// From the instance's task: `start` returned and its actor is there.
    pub(crate) fn runs(&self, running: Running) {
        let cell = running.cell();
        // Whoever asks from now on finds the cell; whoever asked before is seen below.
        let _ = self.cell.set(cell.clone());
        self.phase.send_replace(Phase::Running(running));
        if self.exit().is_some() {
            cell.kill();
        } else if self.stop_reason().is_some() {
            cell.stop(None);
        }
    }

    pub(crate) fn exit_is(&self, how: ExitHow) {
        self.exit().get_or_insert(how);
    }

    fn exit(&self) -> MutexGuard<'_, Option<ExitHow>> {
        self.exit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn failed(&self, kind: FailureKind, evidence: Evidence) {
        self.exit_is(ExitHow::Failed(kind, evidence));
    }

    /// What ended it came from outside: `Ending::Killed` by a stop, `FailureKind::Killed` by an accident.
    pub(crate) fn kill(&self, how: ExitHow) {
        self.exit_is(how);
        if let Some(cell) = self.cell.get() {
            cell.kill();
        }
    }

    /// The first word counts, and is told by `over`.
    pub(crate) fn not_started(&self, refused: RefusedStart, text: impl Into<String>) {
        let text = cut(text.into());
        self.refusal().get_or_insert(NotStarted { refused, text });
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.refusal().is_some()
    }

    fn refusal(&self) -> MutexGuard<'_, Option<NotStarted>> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// At the very end: nothing is left of it, here or outside.
    pub(crate) fn over(&self) {
        let refusal = self.refusal().take();
        match refusal {
            Some(why) => {
                self.phase.send_replace(Phase::NotStarted(why));
            }
            None => self.gone(),
        }
    }

    fn gone(&self) {
        let how = self.exit().take();
        let mut ran_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut how = how.unwrap_or_else(|| {
            let text = "it ended unasked and without a word";
            ExitHow::Failed(FailureKind::Vanished, Evidence::text(text))
        });
        match &mut how {
            // What stands for something older than this agent knows better how long that ran.
            ExitHow::Failed(_, evidence) if evidence.ran_ms > 0 => ran_ms = evidence.ran_ms,
            ExitHow::Failed(_, evidence) => evidence.ran_ms = ran_ms,
            ExitHow::Ended(Ending::Asked | Ending::ByItself | Ending::Killed) => {}
        }
        self.phase
            .send_replace(Phase::Gone(ExitFact { how, ran_ms }));
    }

    /// A place in the mailbox, given back when the letter is taken out; none when it is full.
    pub(crate) fn slot(self: &Arc<Self>) -> Option<Slot> {
        let admit = |queued| (queued < limits::INSTANCE_MAILBOX_MAX).then_some(queued + 1);
        self.queued
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, admit)
            .ok()
            .map(|_| Slot(Arc::clone(self)))
    }
}

pub(crate) struct Slot(Arc<Life>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Ordering::AcqRel);
    }
}
