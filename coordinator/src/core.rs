//! The leader core: takes what is queued as one bounded batch, steps, proposes one entry, and carries out its
//! effects once it is committed. One proposal is in flight; the next batch gathers meanwhile.
//!
//! ```text
//!  enqueue / heard --> inbox --poll--> step --propose--> Log
//!                                                         |
//!  effects (welcome, send, acknowledge, reply) <-- apply <-- log_event
//! ```
//! No clock: the shell says what time it is. Log time goes on from the last entry's while this station leads; with
//! deadlines ahead and nothing to write, it is written alone.

#[cfg(feature = "planted-bugs")]
mod early;
mod greeting;
mod hosts;
mod looks;
mod office;
mod refusals;
mod silence;
mod turns;
mod watches;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use mainstay_orchestrator::Models;
use mainstay_protocol::code;
use mainstay_protocol::command::Command;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{
    AgentRunId, Epoch, Leadership, NodeName, Revision, Term, Timestamp, limits,
};
use mainstay_resource_graph::{
    CommandVertex, Graph, Key, Kind, Settings, Sightings, View, ViewExt,
};

use crate::effect::Effect;
use crate::entry::{Entry, FORMAT, ProposalId};
use crate::env;
use crate::event::{Event, Found, Ticket};
use crate::log::{Log, LogEvent};
use crate::record::{self, Outcome};
use crate::rule::Rules;
use crate::step::{self, Stepped};

use self::greeting::Greeting;
use self::hosts::Hosts;
use self::looks::{LOOKED_WITHIN, Looks};
use self::office::{InFlight, Office, Session, commands_of, take_batch};
pub use self::refusals::outcome_unknown;
use self::refusals::{in_use, is_overtaken, no_quorum, overtaken, to_all_who_wait};
use self::silence::Slow;
pub(crate) use self::turns::Turns;
use self::watches::Watching;

/// Microseconds of any monotonic clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(pub u64);

impl Monotonic {
    fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    fn after(self, span: Duration) -> Self {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

#[derive(Debug, Clone)]
pub struct CoreConfig {
    pub found: Found,
    pub epoch: Epoch,
    /// What services may be.
    pub models: Arc<Models>,
    /// Whose turn it is says a queue outside: nothing is handed out without its word.
    pub outside_queue: bool,
}

impl CoreConfig {
    /// With the models that come along.
    pub fn new(found: Found, epoch: Epoch) -> Self {
        Self {
            found,
            epoch,
            models: env::shipped(),
            outside_queue: false,
        }
    }
}

/// The state of one coordinator.
#[derive(Debug)]
pub struct LeaderCore {
    config: CoreConfig,
    graph: Graph,
    rules: Rules,
    /// The newest entry's time: log time never goes back.
    log_time: Timestamp,
    office: Option<Office>,
}

impl LeaderCore {
    pub fn new(config: CoreConfig, graph: Graph, rules: Rules, log_time: Timestamp) -> Self {
        Self {
            config,
            graph,
            rules,
            log_time,
            office: None,
        }
    }

    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The newest entry's log time.
    pub fn log_time(&self) -> Timestamp {
        self.log_time
    }

    pub fn leadership(&self) -> Option<Leadership> {
        self.office.as_ref().map(|office| office.leadership)
    }

    /// Events that wait, for metrics and for the sessions' slow-down.
    pub fn inbox_depth(&self) -> usize {
        self.office.as_ref().map_or(0, |office| office.inbox.len())
    }

    /// Puts an event in line. An agent that introduces itself or is gone is never refused for load.
    pub fn enqueue(&mut self, event: Event, ticket: Option<Ticket>) -> Result<(), Refusal> {
        let Some(office) = &mut self.office else {
            return Err(no_quorum());
        };
        match &event {
            Event::NodeUp { up, .. } => {
                if let Some(other) = office
                    .sessions
                    .get(&up.node)
                    .filter(|one| one.agent_run != up.agent_run)
                {
                    return Err(in_use(&up.node, other, &self.graph));
                }
                if is_overtaken(up, &self.graph) {
                    return Err(overtaken(&up.node));
                }
                let session = Session {
                    agent_run: up.agent_run,
                    heard: None,
                };
                office.sessions.insert(up.node.clone(), session);
            }
            Event::AgentGone {
                node, agent_run, ..
            } => {
                let same = office.sessions.get(node).map(|session| session.agent_run) == *agent_run;
                if same {
                    office.sessions.remove(node);
                }
            }
            Event::Sighted { node, since, seen } => {
                office.looks.answered(node);
                if is_known(&self.graph, node, *since, seen) {
                    return Ok(());
                }
            }
            // Its step has a time, and waits for it.
            Event::HostCommandRan { .. } => {}
            Event::Reports { .. }
            | Event::Operator { .. }
            | Event::Found(_)
            | Event::Stations(_)
            | Event::StationStops { .. } => {
                if office.inbox.len() >= limits::INBOX_EVENTS_MAX {
                    let why = "the coordinator's inbox is full; try again";
                    return Err(Refusal::new(code::OVERLOADED, why));
                }
            }
        }
        office.inbox.push_back((event, ticket));
        Ok(())
    }

    /// Something arrived on a node's session.
    pub fn heard(&mut self, node: &NodeName, now: Monotonic) {
        if let Some(office) = &mut self.office {
            office.heard(node, now);
        }
    }

    /// How long ago a node with a session was heard.
    pub fn heard_age(&self, node: &NodeName, now: Monotonic) -> Option<Duration> {
        let session = self.office.as_ref()?.sessions.get(node)?;
        Some(now.since(session.heard?))
    }

    /// Whether leases on this node may go on: it has a session, and nothing says that it is gone. Whoever leads asks the
    /// group first whether it still does.
    pub fn renews(&self, node: &NodeName, agent_run: AgentRunId) -> bool {
        let office = self.office.as_ref();
        let session = office.and_then(|office| office.sessions.get(node));
        session.is_some_and(|session| session.agent_run == agent_run && session.heard.is_some())
    }

    /// This process itself stood still for so long: the silence meanwhile is nobody's. And whoever stood still once may do so
    /// again: for a while it waits longer for everybody.
    pub fn stood_still(&mut self, span: Duration, now: Monotonic) {
        let Some(office) = &mut self.office else {
            return;
        };
        let sessions = office.sessions.values_mut();
        for heard in sessions.filter_map(|session| session.heard.as_mut()) {
            *heard = heard.after(span);
        }
        office.slow.stood_still(span, now);
    }

    pub fn log_event(&mut self, event: LogEvent, now: Monotonic) -> Vec<Effect> {
        match event {
            LogEvent::Leading(term) => {
                let mut effects = self.leave_office();
                self.take_office(term, now);
                effects.shrink_to_fit();
                effects
            }
            LogEvent::Following => self.leave_office(),
            LogEvent::Committed(entry) => self.committed(&entry, now),
            LogEvent::Lost(proposal) => {
                if self.is_in_flight(proposal) {
                    self.doubt();
                    self.put_back();
                }
                Vec::new()
            }
            LogEvent::Replaced { graph, log_time } => {
                let effects = self.leave_office();
                self.graph = *graph;
                self.log_time = log_time;
                effects
            }
        }
    }

    /// The whole graph is dirty at first: what an earlier coordinator left undone is found again.
    fn take_office(&mut self, term: Term, now: Monotonic) {
        let mut dirty = BTreeSet::new();
        for kind in [
            Kind::Node,
            Kind::Placement,
            Kind::Instance,
            Kind::Name,
            Kind::Command,
            Kind::Run,
            Kind::Step,
            Kind::Artifact,
        ] {
            dirty.extend(self.graph.keys(kind));
        }
        let grace = Duration::from_millis(self.settings().grace_ms);
        let mut office = Office {
            leadership: Leadership {
                epoch: self.config.epoch,
                term,
            },
            began: now,
            anchor: now,
            anchor_log: self.log_time,
            proposed: self.log_time,
            inbox: VecDeque::new(),
            dirty,
            judged_until: self.log_time,
            in_flight: None,
            in_doubt: BTreeSet::new(),
            sessions: BTreeMap::new(),
            grace_over: false,
            slow: Slow::default(),
            watching: Watching::default(),
            looks: Looks::found(&self.graph, now.after(grace.saturating_sub(LOOKED_WITHIN))),
            hosts: Hosts::found(&self.graph, now.after(grace)),
            turns: Arc::default(),
        };
        office
            .inbox
            .push_back((Event::Found(self.config.found.clone()), None));
        self.office = Some(office);
    }

    /// Whoever waits is told to ask again; agents send their reports again by themselves.
    fn leave_office(&mut self) -> Vec<Effect> {
        self.doubt();
        self.office.take().map_or_else(Vec::new, to_all_who_wait)
    }

    /// Of what is in flight nobody knows any more what becomes of it.
    fn doubt(&mut self) {
        if let Some(office) = &mut self.office {
            let events = office.in_flight.iter().flat_map(|flight| &flight.events);
            office
                .in_doubt
                .extend(events.filter_map(|(_, ticket)| *ticket));
        }
    }

    fn is_in_flight(&self, proposal: ProposalId) -> bool {
        self.office.as_ref().is_some_and(|office| {
            office.leadership == proposal.leadership
                && office
                    .in_flight
                    .as_ref()
                    .is_some_and(|flight| flight.log_time == proposal.log_time)
        })
    }

    /// The proposal is lost: the same events are stepped again. If it is committed after all, watermarks and
    /// existing wishes make the repeat change nothing.
    fn put_back(&mut self) {
        let Some(office) = &mut self.office else {
            return;
        };
        if let Some(flight) = office.in_flight.take() {
            for event in flight.events.into_iter().rev() {
                office.inbox.push_front(event);
            }
            office.dirty.extend(flight.dirty);
        }
    }

    /// Looks for whoever is away; takes one bounded batch, if no proposal is in flight, and proposes what it comes to.
    pub fn poll(&mut self, now: Monotonic, wall_ms: u64, log: &mut impl Log) -> Vec<Effect> {
        self.watch_silence(now);
        let mut effects = match &mut self.office {
            Some(office) => {
                let mut effects = office.looks.due(&self.graph, now);
                effects.extend(office.hosts.due(&self.graph, now));
                effects
            }
            None => return Vec::new(),
        };
        effects.extend(self.take_next(now, wall_ms, log));
        effects
    }

    fn take_next(&mut self, now: Monotonic, wall_ms: u64, log: &mut impl Log) -> Vec<Effect> {
        let settings = self.settings();
        let Some(office) = &mut self.office else {
            return Vec::new();
        };
        if office.in_flight.is_some() {
            return Vec::new();
        }
        let log_now = office
            .log_now(now)
            .max(self.log_time)
            .max(Timestamp(office.proposed.0 + 1));
        let marks = office
            .mark_at(&self.graph, self.log_time)
            .is_some_and(|mark| mark <= log_now);
        let dirty = office.take_dirty(&self.graph, log_now);
        if office.inbox.is_empty() && dirty.is_empty() && !marks {
            return Vec::new();
        }
        office.judged_until = log_now;
        // Hands may become free with this entry.
        let dirty: BTreeSet<Key> = dirty
            .into_iter()
            .chain(turns::of_keys(&office.turns))
            .collect();
        let mut tickets = take_batch(&mut office.inbox);
        let events: Vec<Event> = tickets.iter().map(|(event, _)| event.clone()).collect();
        let env = office.env(log_now, settings, &self.graph, &self.config);
        let stepped = step::step(&self.graph, &self.rules, &events, dirty.clone(), &env);
        let Stepped {
            delta,
            decisions,
            outcomes,
            rest,
        } = stepped;
        // What did not fit this entry is for the next.
        for event in tickets.drain(outcomes.len()..).rev() {
            office.inbox.push_front(event);
        }
        let flight = InFlight {
            log_time: log_now,
            events: tickets,
            dirty,
            outcomes,
            rest,
        };
        if delta.is_empty() && decisions.is_empty() && !marks {
            let revision = self.graph.revision();
            return self.carry_out(flight, revision, &BTreeSet::new(), now);
        }
        let entry = Entry {
            format: FORMAT,
            leadership: office.leadership,
            log_time: log_now,
            wall_ms,
            delta,
            decisions,
        };
        #[cfg(feature = "planted-bugs")]
        let too_early = early::effects(&flight, &entry);
        office.in_flight = Some(flight);
        office.proposed = log_now;
        log.propose(entry);
        #[cfg(feature = "planted-bugs")]
        return too_early;
        #[cfg(not(feature = "planted-bugs"))]
        Vec::new()
    }

    fn settings(&self) -> Settings {
        self.graph.cluster().map_or_else(
            || self.config.found.settings.clone(),
            |cluster| cluster.settings,
        )
    }

    /// Applies an entry, whoever proposed it; if it is ours, its effects follow.
    fn committed(&mut self, entry: &Arc<Entry>, now: Monotonic) -> Vec<Effect> {
        let applied = self.graph.apply(&entry.delta);
        self.log_time = self.log_time.max(entry.log_time);
        let mut effects = Vec::new();
        let mine = self.is_in_flight(entry.proposal());
        let ours = self
            .office
            .as_mut()
            .filter(|_| mine)
            .and_then(|office| office.in_flight.take());
        if !applied.changed {
            if let (Some(flight), Some(office)) = (ours, &mut self.office) {
                office.in_flight = Some(flight);
                self.put_back();
            }
            return effects;
        }
        effects.push(Effect::Applied(Arc::clone(entry)));
        if let Some(office) = &mut self.office {
            // One that turned up late brings deadlines that nobody looked at.
            office.judged_until = office.judged_until.min(entry.log_time);
            effects.extend(office.looks.follow(entry, &self.graph, now));
            office.hosts.follow(entry, now);
            effects.extend(office.watching.follow(entry, &self.graph));
            turns::follow(&mut office.turns, entry);
            // Log time is at least what was committed, even by somebody with a faster clock.
            if office.log_now(now) < entry.log_time {
                office.anchor = now;
                office.anchor_log = entry.log_time;
            }
        }
        let commands = commands_of(entry);
        match ours {
            Some(flight) => {
                let revision = self.graph.revision();
                effects.extend(self.carry_out(flight, revision, &commands, now));
            }
            // One that was lost and turned up: its events are stepped again and answered then.
            None => effects.extend(self.send_late(&commands)),
        }
        effects
    }

    /// Welcomes first, then commands, then acknowledgements and answers.
    fn carry_out(
        &mut self,
        flight: InFlight,
        revision: Revision,
        commands: &BTreeSet<Key>,
        now: Monotonic,
    ) -> Vec<Effect> {
        let Some(office) = &mut self.office else {
            return Vec::new();
        };
        office.dirty.extend(flight.rest);
        let leadership = office.leadership;
        let mut greeting = Greeting::new(&office.inbox, &flight.events);
        let (mut effects, mut answers) = (Vec::new(), Vec::new());
        let (mut reporters, mut to_send) = (BTreeSet::new(), commands.clone());
        for ((event, ticket), outcome) in flight.events.into_iter().zip(flight.outcomes) {
            ticket.inspect(|ticket| _ = office.in_doubt.remove(ticket));
            if let Event::Reports { node, .. } = &event {
                reporters.insert(node.clone());
            }
            match outcome {
                Outcome::Nothing => {}
                Outcome::Welcome {
                    node,
                    agent_run,
                    node_id,
                    node_epoch,
                    watermark,
                } => {
                    if !greeting.is_newest(&node) {
                        continue;
                    }
                    to_send.extend(self.graph.commands_for(&node));
                    office.heard(&node, now);
                    let guards = office.looks.welcome(&node, &self.graph);
                    let watches = office.watching.welcome(&node, &self.graph);
                    effects.push(Effect::Welcome {
                        node,
                        agent_run,
                        node_id,
                        node_epoch,
                        watermark,
                        leadership,
                    });
                    effects.push(guards);
                    effects.push(watches);
                }
                Outcome::Answer(answer) => {
                    let answer = answer.map(|recorded| recorded.accepted(revision));
                    if let (Event::NodeUp { up, .. }, Err(refusal)) = (&event, &answer) {
                        // It could not be recorded: the session ends, and the agent tries again.
                        office.sessions.remove(&up.node);
                        effects.push(Effect::Deny {
                            node: up.node.clone(),
                            agent_run: up.agent_run,
                            refusal: refusal.clone(),
                        });
                    }
                    answers.extend(ticket.map(|ticket| Effect::Reply { ticket, answer }));
                }
            }
        }
        let sends = to_send.iter().filter_map(|key| self.send(key));
        effects.extend(sends.filter(|effect| greeting.lets_pass(effect)));
        let acknowledged = reporters.into_iter();
        effects.extend(acknowledged.filter_map(|node| self.acknowledge(node)));
        effects.extend(answers);
        effects
    }

    fn send_late(&self, commands: &BTreeSet<Key>) -> Vec<Effect> {
        let Some(office) = &self.office else {
            return Vec::new();
        };
        let greeting = Greeting::new(&office.inbox, &[]);
        let sends = commands.iter().filter_map(|key| self.send(key));
        sends.filter(|effect| greeting.lets_pass(effect)).collect()
    }

    /// Under the leadership of today: an agent that saw it no longer obeys the one that decided the command.
    fn send(&self, key: &Key) -> Option<Effect> {
        let Key::Command(id) = key else {
            return None;
        };
        let CommandVertex { node, order, .. } = self.graph.command(key)?;
        let command = Command {
            id: *id,
            leadership: self.leadership()?,
            order,
        };
        Some(Effect::Send { node, command })
    }

    fn acknowledge(&self, node: NodeName) -> Option<Effect> {
        let txn = self
            .graph
            .begin(self.log_time, mainstay_resource_graph::Cause::Start);
        let outbox = record::outbox(&txn, &node)?;
        Some(Effect::Acknowledge {
            node,
            node_epoch: outbox.node_epoch,
            up_to: outbox.watermark,
        })
    }
}

/// What was seen is what was seen before, or it was another absence.
fn is_known(graph: &Graph, node: &NodeName, since: Timestamp, seen: &Sightings) -> bool {
    let away = graph.node(node).and_then(|node| node.away);
    away.is_none_or(|away| away.since != since || away.seen.as_ref() == Some(seen))
}
