//! The coordinator's driver: owns the leader core and carries out what it asks for. One `select!`, whose arms only
//! make an input; the core is called in one place, and effects follow each call.
//!
//! While a proposal is in flight the inbox is left alone: the next batch gathers there, and its bound is what
//! slows everybody else down.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_coordinator::{Answer, Effect, Entry, LeaderCore, Log, LogEvent, Monotonic, Ticket};
use mainstay_protocol::session::{HeartbeatSeen, StationMessage};
use mainstay_protocol::{StepKey, Term, Timestamp, limits};
use mainstay_resource_graph::{Change, InstanceState, Key, NodeState, Vertex, View};
use mainstay_store::LogHandle;
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::{Clock, wall_ms};
use crate::group;
use crate::hosts;
use crate::looks;
use crate::queue::Feeding;
use crate::shared::{Shared, Submitted};
use crate::watchdog::Watchdog;

/// A wake-up this late is no jitter: the process itself stood still.
const PAUSE_NOTICED: Duration = Duration::from_millis(500);

/// How often a disk that is almost full is looked at: that there is room again is no event.
const ROOM_LOOK_MS: u64 = limits::DISK_LOOK_MS;
/// For how long an entry waits for those who were just answered, where so many were.
const COMPANY_US: u64 = 1_000;
const COMPANY_MIN: usize = 16;
/// Between two tries to let a station lead that has room: the next may have none either.
const HAND_OVER_PAUSE_MS: u64 = 30_000;

/// Where the driver's inputs come from; they outlive it.
#[derive(Debug)]
pub struct Inputs {
    pub inbox: mpsc::Receiver<Submitted>,
    pub log: mpsc::Receiver<LogEvent>,
}

/// Why a driver ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Leadership was lost.
    Following,
    /// The station stops.
    Stopped,
    /// The log ended, and nobody had asked for it.
    LogClosed,
    /// The core panicked: its state cannot be trusted, and nobody else has one.
    CorePanicked,
}

pub struct Driver {
    pub core: LeaderCore,
    pub log: LogHandle,
    pub shared: Arc<Shared>,
    pub clock: Clock,
    pub watchdog: Watchdog,
    pub term: Term,
    /// The station ends, after everybody who could ask for something has.
    pub end: watch::Receiver<bool>,
}

/// A driver at work.
struct Drive {
    core: LeaderCore,
    log: Proposing,
    shared: Arc<Shared>,
    clock: Clock,
    watchdog: Watchdog,
    end: watch::Receiver<bool>,
    waiting: BTreeMap<Ticket, oneshot::Sender<Answer>>,
    tickets: u64,
    /// When another was last asked to lead in its place.
    handed_over: Option<Monotonic>,
    /// How many events the newest entry is of, and when it was committed.
    last_batch: usize,
    committed_at: Monotonic,
    /// Where an outside queue says whose turn it is.
    queue: Option<Feeding>,
}

/// The log, with when the entry in flight was proposed.
struct Proposing {
    log: LogHandle,
    since: Option<Instant>,
}

impl Log for Proposing {
    fn propose(&mut self, entry: Entry) {
        self.since = Some(Instant::now());
        self.log.propose(entry);
    }
}

/// What woke the driver.
enum Input {
    Log(Option<LogEvent>),
    Submitted(Option<Box<Submitted>>),
    Time,
    Renewals,
    Turn(StepKey, Timestamp),
    NoFeeder,
    End,
}

/// The core panicked within a call.
struct Panicked;

impl Driver {
    /// Drives until leadership is lost or the log ends.
    pub async fn run(self, inputs: &mut Inputs) -> Ended {
        let mut drive = Drive {
            core: self.core,
            log: Proposing {
                log: self.log,
                since: None,
            },
            shared: self.shared,
            clock: self.clock,
            watchdog: self.watchdog,
            end: self.end,
            waiting: BTreeMap::new(),
            tickets: 0,
            handed_over: None,
            last_batch: 0,
            committed_at: Monotonic(0),
            queue: None,
        };
        let Ok(()) = drive.log_event(LogEvent::Leading(self.term)) else {
            return Ended::CorePanicked;
        };
        drive.shared.set_leadership(drive.core.leadership());
        drive.shared.metrics.led();
        drive.queue = drive.shared.queue.as_ref().map(|queue| queue.feed());
        if let Some(queue) = &drive.queue {
            queue.began(&drive.core);
        }
        drive.until_ended(inputs).await
    }
}

impl Drive {
    async fn until_ended(&mut self, inputs: &mut Inputs) -> Ended {
        loop {
            let Ok(wake_at) = self.step(inputs) else {
                return Ended::CorePanicked;
            };
            let gathering = self.log.since.is_some() || self.is_short_of_space();
            let input = tokio::select! {
                event = inputs.log.recv() => Input::Log(event),
                submitted = inputs.inbox.recv(), if !gathering => Input::Submitted(submitted.map(Box::new)),
                () = until(self.clock, wake_at) => Input::Time,
                () = self.shared.renewals_wanted() => Input::Renewals,
                turn = turn(&mut self.queue) => match turn {
                    Some((step, since)) => Input::Turn(step, since),
                    None => Input::NoFeeder,
                },
                _ = self.end.wait_for(|end| *end) => Input::End,
            };
            if self.excuse_own_pause(wake_at).is_err() {
                return Ended::CorePanicked;
            }
            let taken = match input {
                Input::Log(None) => return Ended::LogClosed,
                Input::End => return Ended::Stopped,
                Input::Log(Some(event)) => {
                    let follows = matches!(event, LogEvent::Following | LogEvent::Replaced { .. });
                    let taken = self.gather(inputs).and_then(|()| self.log_event(event));
                    if follows && taken.is_ok() {
                        return Ended::Following;
                    }
                    taken
                }
                // The shared state holds a sender for as long as there is a station.
                Input::Submitted(None) => return Ended::Stopped,
                Input::Submitted(Some(submitted)) => self.enqueue(*submitted),
                Input::Renewals => self.renew(),
                Input::Turn(step, since) => self.call(|core, _| _ = core.turn(&step, since)),
                Input::Time => Ok(()),
                // It panicked: nothing would be handed out any more. The next drive has another.
                Input::NoFeeder => return Ended::CorePanicked,
            };
            if taken.is_err() {
                return Ended::CorePanicked;
            }
        }
    }

    /// Woken far too late: this process was stopped or starved, and so heard nobody.
    fn excuse_own_pause(&mut self, wake_at: Option<Monotonic>) -> Result<(), Panicked> {
        let late = wake_at.map(|at| self.clock.now().0.saturating_sub(at.0));
        match late
            .map(Duration::from_micros)
            .filter(|late| *late > PAUSE_NOTICED)
        {
            Some(late) => {
                tracing::warn!(
                    late_ms = late.as_millis(),
                    "this station stood still for a while"
                );
                self.call(|core, now| core.stood_still(late, now))
            }
            None => Ok(()),
        }
    }

    /// Answers heartbeats that want leases renewed, beside the word that they were heard. Their moments are before the one
    /// in which this station looks whether it still leads, and whether their nodes are there: whoever decides later that a
    /// node is gone counts from later.
    fn renew(&mut self) -> Result<(), Panicked> {
        let wanted = self.shared.take_renewals();
        let sure = self.shared.store.surely_leads();
        let leadership = self.core.leadership().unwrap_or_default();
        for (node, (link, from)) in wanted {
            if self.call(|core, _| core.renews(&node, link.agent_run))? && sure {
                link.send(StationMessage::HeartbeatSeen(HeartbeatSeen {
                    leadership,
                    renewed: Some(from),
                }));
            }
        }
        Ok(())
    }

    /// Up to one batch from the sessions and the API. Also before a commit's effects: who introduced itself again
    /// meanwhile must not be given the welcome of its earlier session.
    fn gather(&mut self, inputs: &mut Inputs) -> Result<(), Panicked> {
        // What is over a batch waits in the inbox, which slows the sessions down instead of refusing them.
        while self.core.inbox_depth() < limits::BATCH_EVENTS_MAX {
            let Ok(submitted) = inputs.inbox.try_recv() else {
                break;
            };
            self.enqueue(submitted)?;
        }
        Ok(())
    }

    /// Everything that can be done now; when to come back.
    fn step(&mut self, inputs: &mut Inputs) -> Result<Option<Monotonic>, Panicked> {
        for (node, at) in self.shared.take_heard() {
            let at = self.clock.of(at);
            self.call(|core, _| core.heard(&node, at))?;
        }
        if self.is_short_of_space() {
            self.let_another_lead();
            // What waits keeps waiting, and agents keep what they report: there would be no room to write it down.
            let soon = self.clock.now().0 + 1000 * ROOM_LOOK_MS;
            return Ok(Some(Monotonic(soon)));
        }
        if self.log.since.is_none() {
            self.gather(inputs)?;
            if let Some(until) = self.waits_for_company() {
                return Ok(Some(until));
            }
            self.poll()?;
        }
        self.call(|core, now| core.wake_at(now))
    }

    /// Whoever was just answered comes again within a moment, all of them at once: with them in it, one entry does the work of
    /// two. Not where few came.
    fn waits_for_company(&self) -> Option<Monotonic> {
        let until = Monotonic(self.committed_at.0 + COMPANY_US);
        let missing = self.core.inbox_depth() < self.last_batch;
        let many = self.last_batch >= COMPANY_MIN;
        (many && missing && self.clock.now() < until).then_some(until)
    }

    /// Who has no room can change nothing, and another may have some.
    fn let_another_lead(&mut self) {
        let now = self.clock.now();
        let lately = |at: Monotonic| now.0.saturating_sub(at.0) < 1000 * HAND_OVER_PAUSE_MS;
        if self.handed_over.is_some_and(lately) {
            return;
        }
        self.handed_over = Some(now);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move { group::hand_over(&shared).await });
    }

    fn is_short_of_space(&self) -> bool {
        self.shared.store.short_of_space().is_some()
    }

    fn poll(&mut self) -> Result<(), Panicked> {
        let now = self.clock.now();
        let queued = self.core.inbox_depth();
        let watched = self.watchdog.enter();
        let (core, log) = (&mut self.core, &mut self.log);
        let effects = catch_unwind(AssertUnwindSafe(|| core.poll(now, wall_ms(), log)));
        drop(watched);
        let effects = effects.map_err(|_panic| Panicked)?;
        if self.log.since.is_some() {
            self.last_batch = queued.saturating_sub(self.core.inbox_depth());
            self.shared.metrics.batch(self.last_batch);
        }
        self.carry_out(effects);
        Ok(())
    }

    fn enqueue(&mut self, submitted: Submitted) -> Result<(), Panicked> {
        let Submitted { event, answer } = submitted;
        let wants_outcome = matches!(event, mainstay_coordinator::Event::Operator { .. });
        let ticket = wants_outcome.then(|| {
            self.tickets += 1;
            Ticket(self.tickets)
        });
        let taken = self.call(|core, _| core.enqueue(event, ticket))?;
        match (taken, answer, ticket) {
            (Ok(()), Some(answer), Some(ticket)) => {
                self.waiting.insert(ticket, answer);
            }
            // Whoever asked may be gone; the refusal is then nobody's.
            (Err(refusal), Some(answer), _) => drop(answer.send(Err(refusal))),
            (Err(refusal), None, _) => tracing::warn!(why = %refusal.text, "an event was refused"),
            (Ok(()), _, _) => {}
        }
        Ok(())
    }

    fn log_event(&mut self, event: LogEvent) -> Result<(), Panicked> {
        let settles = !matches!(event, LogEvent::Leading(_));
        let effects = self.call(|core, now| core.log_event(event, now))?;
        self.carry_out(effects);
        if settles {
            self.log.since = None;
            self.committed_at = self.clock.now();
        }
        Ok(())
    }

    fn call<T>(
        &mut self,
        call: impl FnOnce(&mut LeaderCore, Monotonic) -> T,
    ) -> Result<T, Panicked> {
        let now = self.clock.now();
        let _watched = self.watchdog.enter();
        let core = &mut self.core;
        catch_unwind(AssertUnwindSafe(|| call(core, now))).map_err(|_panic| Panicked)
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match self.shared.sessions.carry_out(effect) {
                Some(Effect::Applied(entry)) => self.applied(&entry),
                Some(Effect::Reply { ticket, answer }) => {
                    if let Some(waiting) = self.waiting.remove(&ticket) {
                        // Whoever asked may be gone; what was asked for is done all the same.
                        drop(waiting.send(answer));
                    }
                }
                Some(Effect::Look(look)) => {
                    let shared = Arc::clone(&self.shared);
                    tokio::spawn(looks::look(shared, look));
                }
                Some(Effect::AskHost(ask)) => {
                    let shared = Arc::clone(&self.shared);
                    tokio::spawn(hosts::ask(shared, ask));
                }
                Some(
                    Effect::Welcome { .. }
                    | Effect::Deny { .. }
                    | Effect::Acknowledge { .. }
                    | Effect::Send { .. }
                    | Effect::Guard { .. }
                    | Effect::Watch { .. },
                )
                | None => {}
            }
        }
    }

    fn applied(&mut self, entry: &Entry) {
        let took = self.log.since.map(|since| since.elapsed());
        self.shared.metrics.committed(entry, took);
        self.shared.pin_wall(entry.log_time, entry.wall_ms);
        for change in &entry.delta.changes {
            match change {
                Change::Put(record) => {
                    if let (Key::Node(name), Vertex::Node(node)) = (&record.key, &record.vertex)
                        && node.state != NodeState::Online
                    {
                        let why = "the coordinator gave it up; it has to come again";
                        self.shared.sessions.close_run(name, node.agent_run, why);
                    }
                    if let (Key::Instance(instance), Vertex::Instance(found)) =
                        (&record.key, &record.vertex)
                        && found.state == InstanceState::Starting
                    {
                        // What was checked was the incarnation before.
                        self.shared.forget_instance(instance);
                    }
                }
                Change::Remove(Key::Instance(instance)) => self.shared.forget_instance(instance),
                Change::Remove(_) | Change::Link(_) | Change::Unlink { .. } => {}
            }
        }
        self.shared.sessions.applied(entry, self.core.graph());
        self.shared.ways.of_epoch(entry.leadership.epoch);
        if let Some(queue) = &self.queue {
            queue.applied(&entry.delta.changes, &self.core);
        }
        self.shared.applied(self.core.graph().revision());
    }
}

/// None: whoever feeds the queue is gone.
async fn turn(queue: &mut Option<Feeding>) -> Option<(StepKey, Timestamp)> {
    match queue {
        Some(queue) => queue.turn().await,
        None => std::future::pending().await,
    }
}

async fn until(clock: Clock, at: Option<Monotonic>) {
    match at {
        Some(at) => tokio::time::sleep_until(clock.instant(at).into()).await,
        None => std::future::pending().await,
    }
}
