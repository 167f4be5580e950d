//! An instance from outside: asking it, checking it, stopping it, breaking it.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mainstay_protocol::command::{Answered, StopManner};
use mainstay_protocol::health::{Evidence, FailureKind, Health, ProcessIdentity};
use mainstay_protocol::report::{Ending, Use};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::work::{Changes, Work, WorkAnswer};
use mainstay_protocol::{CommandId, QuestionId, code};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, oneshot, watch};
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use super::actor::{Answer, Letter, What};
use super::life::{BreakOff, Life, NotStarted, Phase, Running};
use super::panics::guarded;
use super::runtimes::Stage;
use super::words::Spoken;
use crate::context::{Context, Identity};
use crate::declared::Factory;
use crate::message_list::MessageError;
use crate::outcome::StopReason;
use crate::processor::{Activities, Call};
use mainstay_supervisor::{ExitFact, ExitHow};

/// After a kill, a task that yields at all is gone within this; one that is not will not end.
const KILL_CONFIRM: Duration = Duration::from_secs(1);
/// What it stands for outside may have many descendants, and a machine that is busy.
const KILL_CONFIRM_OUTSIDE: Duration = Duration::from_secs(10);

/// What a Check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub health: Health,
    pub detail: String,
    pub took: Duration,
}

/// What an instance's task has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkDone {
    /// Since it was launched.
    pub age: Duration,
    /// In its own code: messages, statuses; with what it is in the middle of.
    pub busy: Duration,
    pub served: u64,
}

/// How an instance is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopOrder {
    pub why: StopReason,
    pub manner: StopManner,
    /// From asking to killing.
    pub deadline: Duration,
}

/// What became of a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopOutcome {
    Gone(ExitFact),
    /// It never came to be: `start` had not returned.
    NotStarted(NotStarted),
    /// It was killed and is still there, since its task never yields.
    WillNotEnd,
}

/// A way to break an instance on purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Breakage {
    Kill,
    Panic(String),
    Hang,
    /// It ends cleanly, as if by itself.
    End,
}

/// One incarnation, whatever phase it is in. Clones speak of the same.
#[derive(Clone)]
pub struct Hosted {
    life: Arc<Life>,
    factory: Arc<dyn Factory>,
    activities: Activities,
    services: Handle,
    probes: Handle,
    /// At most one Check at a time.
    checking: Arc<Mutex<()>>,
}

impl Hosted {
    pub(crate) fn new(
        life: Arc<Life>,
        (factory, activities): (Arc<dyn Factory>, Activities),
        stage: &Stage,
    ) -> Self {
        Self {
            life,
            factory,
            activities,
            services: stage.services.clone(),
            probes: stage.probes.clone(),
            checking: Arc::new(Mutex::new(())),
        }
    }

    pub fn identity(&self) -> &Identity {
        self.life.identity()
    }

    /// The processes that it stands for; none if it lives in its agent's.
    pub fn processes(&self) -> Option<Vec<ProcessIdentity>> {
        self.life.outside().map(|outside| outside.processes())
    }

    /// What it listens on, by its ports' names.
    pub fn ports(&self) -> BTreeMap<String, u16> {
        self.life.ports().clone()
    }

    /// The process that what it stands for descends from, if it is known.
    pub fn root(&self) -> Option<ProcessIdentity> {
        self.life.outside().and_then(|outside| outside.root())
    }

    /// How long it lives, in this life of its agent, and for how long it has worked.
    pub fn work_done(&self) -> WorkDone {
        self.life.work_done()
    }

    /// The agent ends. What this stands for outside goes on, whatever becomes of its actor.
    pub fn leave(&self) {
        self.life.leave();
    }

    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.life.phase()
    }

    /// What a living instance reports as its failure, once it does.
    pub async fn reported_failure(&self) -> String {
        self.life.reported_failure().await
    }

    /// What the instance says of its own accord, and its wishes to be checked; for whoever passes it on, once. Dropped,
    /// such wishes are answered at once.
    pub fn take_words(&self) -> Option<Spoken> {
        self.life.words().take()
    }

    /// The resources that it was granted and has not released.
    pub fn uses(&self) -> Vec<Use> {
        self.life.words().uses()
    }

    /// Hands over the answer to what it asked. False: it does not wait for it any more.
    pub fn answer_question(&self, question: QuestionId, answered: Answered) -> bool {
        self.life.words().answer(question, answered)
    }

    /// Waits until it runs, or never will.
    pub async fn started(&self) -> Phase {
        let mut phase = self.life.phase();
        let left = phase
            .wait_for(|phase| !matches!(phase, Phase::Starting))
            .await;
        left.map_or(Phase::Starting, |phase| phase.clone())
    }

    /// Waits until nothing is left of it.
    pub async fn gone(&self) -> StopOutcome {
        let mut phase = self.life.phase();
        let over = |phase: &Phase| matches!(phase, Phase::Gone(_) | Phase::NotStarted(_));
        let phase = phase.wait_for(over).await.map(|phase| phase.clone());
        match phase {
            Ok(Phase::Gone(fact)) => StopOutcome::Gone(fact),
            Ok(Phase::NotStarted(why)) => StopOutcome::NotStarted(why),
            Ok(Phase::Starting | Phase::Running(_)) | Err(_) => StopOutcome::WillNotEnd,
        }
    }

    fn running(&self) -> Result<Running, Refusal> {
        let not_running = |text: String| Err(Refusal::new(code::NOT_RUNNING, text));
        match &*self.life.phase().borrow() {
            Phase::Running(running) => Ok(running.clone()),
            Phase::Starting => not_running(format!("{} is still starting", self.identity())),
            Phase::NotStarted(why) => {
                not_running(format!("{} did not start: {}", self.identity(), why.text))
            }
            Phase::Gone(_) => not_running(format!("{} has ended", self.identity())),
        }
    }

    /// Sends a message of the type's own and waits for the answer, as JSON.
    pub async fn message(&self, name: &str, body: &str) -> Answer {
        self.running()?;
        let message = self.decoded(name, body).await?;
        let (answer, answered) = oneshot::channel();
        self.post(What::Message { message, answer })?;
        self.answer(answered).await
    }

    /// On the threads of services: how a message is read is the service's own code.
    async fn decoded(&self, name: &str, body: &str) -> Result<Box<dyn Any + Send>, Refusal> {
        let (factory, name, body) = (Arc::clone(&self.factory), name.to_owned(), body.to_owned());
        let decoding = self
            .services
            .spawn(async move { factory.decode(&name, &body) });
        let decoded = decoding.await.map_err(|error| {
            let text = format!("reading the message went wrong: {error}");
            Refusal::new(code::BAD_REQUEST, text)
        })?;
        decoded.map_err(|error| {
            let text = error.to_string();
            match error {
                MessageError::Unknown { nearest, .. } => Refusal {
                    nearest,
                    ..Refusal::new(code::UNKNOWN_MESSAGE, text)
                },
                MessageError::Body { .. } => Refusal::new(code::BAD_REQUEST, text),
            }
        })
    }

    /// Gives it another configuration. The answer is what it uses from now on, or why it goes on as it was:
    /// `NEEDS_RESTART`, or that the configuration is no good.
    pub async fn reconfigure(&self, config: &str, deadline: Duration) -> Answer {
        let restart = |text: String| Err(Refusal::new(code::NEEDS_RESTART, text));
        // What outlives the agent is taken over with the configuration it was begun with.
        if self.life.outside().is_some() {
            return restart("processes take another configuration with a restart only".to_owned());
        }
        let changing = async {
            let (config, in_use) = self.decoded_config(config).await?;
            let (answer, answered) = oneshot::channel();
            self.post(What::Reconfigure {
                config,
                in_use,
                answer,
            })?;
            self.answer(answered).await
        };
        match timeout(deadline, changing).await {
            Ok(answer) => answer,
            Err(_) => restart(format!(
                "it did not say within {} ms whether it takes it",
                deadline.as_millis()
            )),
        }
    }

    /// On the threads of services, like messages.
    async fn decoded_config(&self, config: &str) -> Result<(Box<dyn Any + Send>, String), Refusal> {
        let (factory, config) = (Arc::clone(&self.factory), config.to_owned());
        let decoding = self
            .services
            .spawn(async move { factory.decode_config(&config) });
        let decoded = decoding
            .await
            .map_err(|error| Refusal::new(code::BAD_CONFIG, format!("reading it: {error}")))?;
        decoded.map_err(|why| Refusal::new(code::BAD_CONFIG, why))
    }

    /// Does an activity of a run, beside its messages, on the threads of services. None: the instance ended meanwhile, and
    /// that answers for it. As soon as `taken_back` says that nobody wants it any more it is broken off, and answers when
    /// nothing of it is at work.
    pub async fn work(
        &self,
        token: CommandId,
        work: Work,
        taken_back: impl Future<Output = ()>,
    ) -> Option<WorkAnswer> {
        let lost = |error: String| WorkAnswer::Retry {
            error,
            after: None,
            scratch: Changes::default(),
        };
        if let Err(refusal) = self.running() {
            return Some(lost(refusal.text));
        }
        let skill = work.skill.clone();
        let under_way = watch::Sender::new(());
        let context = Context::new(Arc::clone(&self.life));
        let call = Call::new(token, work, context, under_way.subscribe());
        let Some(doing) = self.activities.process(call) else {
            return Some(lost(format!("{} does not do {skill}", self.identity())));
        };
        let span = self.life.span().clone();
        let mut doing = self.services.spawn(guarded(doing).instrument(span));
        tokio::select! {
            done = &mut doing => Some(match done {
                Ok(Ok(processed)) => processed.into_answer(),
                Ok(Err(panic)) => lost(format!("it panicked: {}", panic.text)),
                Err(error) => lost(format!("it was broken off: {error}")),
            }),
            () = taken_back => {
                doing.abort();
                tokio::select! {
                    () = under_way.closed() => Some(lost("it was taken back".to_owned())),
                    _ = self.gone() => None,
                }
            }
            _ = self.gone() => {
                doing.abort();
                None
            }
        }
    }

    /// Asks for the status; the instance also writes it to the log.
    pub async fn status(&self) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.post(What::Status { answer })?;
        self.answer(answered).await
    }

    async fn answer(&self, answered: oneshot::Receiver<Answer>) -> Answer {
        answered.await.unwrap_or_else(|_| {
            let text = format!("{} ended before it answered", self.identity());
            Err(Refusal::new(code::NOT_RUNNING, text))
        })
    }

    /// Into the mailbox, if there is room.
    fn post(&self, what: What) -> Result<(), Refusal> {
        let running = self.running()?;
        let Some(slot) = self.life.slot() else {
            let text = format!("{} has too many messages waiting", self.identity());
            return Err(Refusal::new(code::OVERLOADED, text));
        };
        running
            .actor
            .send_message(Letter { what, slot })
            .map_err(|_| {
                Refusal::new(
                    code::NOT_RUNNING,
                    format!("{} is stopping", self.identity()),
                )
            })
    }

    /// Asks the probe. One that does not answer in time makes the instance unresponsive. Must be called on
    /// another runtime than the probes': a probe that spins would hold up its own deadline.
    pub async fn check(&self, deadline: Duration) -> Result<Checked, Refusal> {
        let running = self.running()?;
        let began = Instant::now();
        let checking = Arc::clone(&self.checking);
        let mut asked = self.probes.spawn(async move {
            let _one_at_a_time = checking.lock_owned().await;
            running.probe.check().await
        });
        let (health, detail) = match timeout(deadline, &mut asked).await {
            Ok(Ok(health)) => (health.state(), health.detail().to_owned()),
            Ok(Err(error)) => (Health::Failed, format!("the probe broke: {error}")),
            Err(_) => {
                asked.abort();
                (Health::Unresponsive, self.excuse(deadline))
            }
        };
        let took = began.elapsed();
        Ok(Checked {
            health,
            detail,
            took,
        })
    }

    /// Asks the probe, without deadline and without waiting for other Checks: for a supervisor that keeps both.
    pub async fn probe(&self) -> (Health, String) {
        match self.running() {
            Ok(running) => {
                let health = running.probe.check().await;
                (health.state(), health.detail().to_owned())
            }
            Err(refusal) => (Health::Failed, refusal.text),
        }
    }

    /// Why a Check was not answered within its deadline.
    pub fn excuse(&self, deadline: Duration) -> String {
        self.life.activity().borrow().excuse(deadline)
    }

    /// Asks, waits for the deadline, kills, and makes sure. Asked again while it is under way, the harder counts.
    pub async fn stop(&self, order: StopOrder) -> StopOutcome {
        match order.manner {
            StopManner::AskThenKill => {
                self.life.ask_to_stop(order.why);
                self.life.break_off(BreakOff::Stop);
                if let Ok(outcome) = timeout(order.deadline, self.gone()).await {
                    return outcome;
                }
            }
            StopManner::Kill => self.life.break_off(BreakOff::Stop),
        }
        self.life.kill(ExitHow::Ended(Ending::Killed));
        let confirm = match self.life.outside().is_some() || self.life.has_ending() {
            true => KILL_CONFIRM_OUTSIDE,
            false => KILL_CONFIRM,
        };
        timeout(confirm, self.gone())
            .await
            .unwrap_or(StopOutcome::WillNotEnd)
    }

    /// It was not heard of for as long as it may go on without that. Who does not end of its own is killed.
    pub async fn end_with_lease(&self, stop: Duration) -> StopOutcome {
        let evidence = Evidence::text("its lease was not renewed in time");
        self.life.failed(FailureKind::LeaseRanOut, evidence);
        self.stop(StopOrder {
            why: StopReason::LeaseRanOut,
            manner: StopManner::AskThenKill,
            // That it is gone is to be known by then.
            deadline: stop.saturating_sub(KILL_CONFIRM),
        })
        .await
    }

    /// Breaks it on purpose; what comes of it is seen like any other failure.
    pub fn break_it(&self, breakage: Breakage) -> Result<(), Refusal> {
        if let Some(outside) = self.life.outside() {
            self.running()?;
            return outside.break_it(&breakage);
        }
        match breakage {
            Breakage::Kill => {
                self.running()?;
                let evidence = Evidence::text("killed on purpose");
                self.life
                    .kill(ExitHow::Failed(FailureKind::Killed, evidence));
                Ok(())
            }
            Breakage::Panic(text) => self.post(What::Panic(text)),
            Breakage::Hang => self.post(What::Hang),
            Breakage::End => {
                self.running()?;
                self.life.ask_to_stop(StopReason::Ended);
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Hosted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosted")
            .field("identity", self.identity())
            .field("phase", &*self.life.phase().borrow())
            .finish_non_exhaustive()
    }
}
