//! The world: a virtual clock, one queue of happenings, and everything they happen to.

use std::collections::{BTreeMap, VecDeque};

use mainstay_protocol::InstanceKey;

use crate::care::Carers;
use crate::changes::Changes;
use crate::clients::Clients;
use crate::count::Counts;
use crate::dice::Dice;
use crate::group::Cuts;
use crate::happening::{Happening, NodeAt};
use crate::invariant::{Oracle, Violation};
use crate::link::{Link, LinkId};
use crate::matrix::{Kill, Moment, Victim, Writes};
use crate::node::Node;
use crate::operators::Operators;
use crate::plan::Plan;
use crate::station::{self, Station};

/// Ordered by time, then by the order in which it was put.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: BTreeMap<(u64, u64), Happening>,
    count: u64,
}

impl Queue {
    pub fn put(&mut self, at: u64, happening: Happening) {
        self.count += 1;
        self.waiting.insert((at, self.count), happening);
    }

    pub fn next_at(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }

    pub fn take(&mut self) -> Option<(u64, Happening)> {
        self.waiting
            .pop_first()
            .map(|((at, _), happening)| (at, happening))
    }
}

/// What came last, for a violation's report.
const TRACE_LINES_MAX: usize = 50_000;

#[derive(Debug, Default)]
pub struct Trace {
    pub wanted: bool,
    pub lines: VecDeque<String>,
}

impl Trace {
    pub fn add(&mut self, now: u64, line: String) {
        if self.lines.len() == TRACE_LINES_MAX {
            self.lines.pop_front();
        }
        let seconds = now as f64 / 1_000_000.0;
        self.lines.push_back(format!("{seconds:>11.6} {line}"));
    }
}

/// Adds a line to the trace; its text is made only if somebody wants it.
#[macro_export]
macro_rules! trace {
    ($world:expr, $($text:tt)*) => {
        if $world.trace.wanted {
            let now = $world.now;
            $world.trace.add(now, format!($($text)*));
        }
    };
}

pub type Held = Result<(), Violation>;

pub struct World {
    pub plan: Plan,
    pub dice: Dice,
    /// Microseconds.
    pub now: u64,
    pub queue: Queue,
    pub counts: Counts,
    pub trace: Trace,
    /// The storm is over: nothing breaks any more.
    pub calm: bool,
    pub stations: Vec<Station>,
    pub cuts: Cuts,
    pub nodes: Vec<Node>,
    pub links: BTreeMap<LinkId, Link>,
    pub links_made: u64,
    pub operators: Operators,
    pub changes: Changes,
    pub carers: Carers,
    pub clients: Clients,
    pub oracle: Oracle,
    /// What was written so far, and the one death that is to come of it.
    pub writes: Writes,
    pub kill: Option<Kill>,
    pub killed: bool,
}

impl World {
    pub fn new(seed: u64, traced: bool) -> Self {
        let mut dice = Dice::new(seed);
        let plan = Plan::of(seed, &mut dice);
        Self::with(plan, dice, traced)
    }

    /// Two nodes, and no fault but those that are asked for.
    pub fn kind(stations: usize, traced: bool) -> Self {
        let mut dice = Dice::new(1);
        let plan = Plan::of(1, &mut dice).kind(stations);
        Self {
            calm: true,
            ..Self::with(plan, dice, traced)
        }
    }

    fn with(plan: Plan, mut dice: Dice, traced: bool) -> Self {
        let nodes = (0..plan.nodes)
            .map(|at| Node::new(at, plan.stations, &mut dice))
            .collect();
        let stations = station::group(&plan, dice.uuid());
        let changes = Changes::new(plan.seed);
        let carers = Carers::new(plan.seed);
        let clients = Clients::new(plan.seed);
        let oracle = Oracle::of(stations[0].member.disk.group().clone());
        Self {
            plan,
            dice,
            now: 0,
            queue: Queue::default(),
            counts: Counts::default(),
            trace: Trace {
                wanted: traced,
                ..Trace::default()
            },
            calm: false,
            stations,
            cuts: Cuts::new(),
            nodes,
            links: BTreeMap::new(),
            links_made: 0,
            operators: Operators::default(),
            changes,
            carers,
            clients,
            oracle,
            writes: Writes::default(),
            kill: None,
            killed: false,
        }
    }

    /// Whether the victim dies at the write that was counted last. Once.
    pub fn dies(&mut self, victim: Victim, write: u64, moment: Moment) -> bool {
        let now = Kill {
            victim,
            write,
            moment,
        };
        let dies = !self.killed && self.kill == Some(now);
        self.killed |= dies;
        dies
    }

    /// Every process starts: stations at once, agents when they like.
    pub fn begins(&mut self, agents_ms: (u64, u64)) {
        for station in self.places() {
            self.queue.put(0, Happening::StationStarts(station));
        }
        for (at_ms, wish) in self.plan.changes.clone() {
            self.queue.put(at_ms * 1000, Happening::ChangeWanted(wish));
        }
        for node in (0..self.nodes.len()).map(NodeAt) {
            let after = self.dice.between(agents_ms.0, agents_ms.1) * 1000;
            self.queue
                .put(after, Happening::AgentStarts { node, life: 0 });
        }
    }

    pub fn now_ms(&self) -> u64 {
        self.now / 1000
    }

    pub fn node_named(&self, instance: &InstanceKey) -> Option<NodeAt> {
        self.nodes
            .iter()
            .position(|node| node.name == instance.node)
            .map(NodeAt)
    }

    /// Something happens. Each handler has the oracle look at what it touched.
    pub fn happen(&mut self, happening: Happening) -> Held {
        self.counts.happenings += 1;
        match happening {
            Happening::ToStation { link, message } => self.station_hears(link, message)?,
            Happening::ToAgent { link, message } => self.agent_hears(link, message)?,
            Happening::CommandStrays { node, command } => self.command_strays(node, *command)?,
            Happening::StationSeesEnd(link) => self.station_sees_end(link)?,
            Happening::AgentSeesEnd(link) => self.agent_sees_end(link)?,
            Happening::Synced {
                station,
                life,
                file,
                up_to,
            } => self.synced(station, life, (file, up_to))?,
            Happening::LogSaysLost {
                station,
                life,
                proposal,
            } => self.log_says_lost(station, life, proposal)?,
            Happening::StationSays {
                station,
                from,
                word,
            } => self.station_hears_word(station, from, *word)?,
            Happening::Ticks { station, life } => self.ticks(station, life)?,
            Happening::StationWakes { station, life } => self.station_wakes(station, life)?,
            Happening::StationStarts(station) => self.station_starts(station)?,
            Happening::AgentStarts { node, life } => self.agent_starts(node, life)?,
            Happening::AgentConnects { node, life } => self.agent_connects(node, life),
            Happening::HostCommandEnds { station, life, ask } => {
                self.host_command_ends(station, life, *ask)?;
            }
            Happening::Looked {
                station,
                life,
                look,
            } => self.looked(station, life, *look)?,
            Happening::LeaseEnds { node, boot, actor } => self.lease_ends(node, boot, actor),
            Happening::Heartbeat { node, life, link } => self.heartbeat(node, life, link)?,
            Happening::Host {
                node,
                life,
                actor,
                act,
            } => self.host_acts(node, life, actor, act)?,
            Happening::ChecksDue { node, life } => self.checks_due(node, life),
            Happening::Checked {
                node,
                life,
                actor,
                answer,
            } => self.checked(node, life, actor, answer)?,
            Happening::SupervisorStarts { node, life } => self.supervisor_starts(node, life)?,
            Happening::OperatorActs => self.operator_acts()?,
            Happening::CarerActs => self.carer_acts()?,
            Happening::ClientActs => self.client_acts()?,
            Happening::OperatorTriesAgain { order } => self.operator_tries_again(order)?,
            Happening::OrderPassedOn {
                station,
                order,
                ticket,
            } => self.order_arrives(station, order, ticket)?,
            Happening::ChangeWanted(wish) => self.change_is_wanted(wish)?,
            Happening::ChangeAsked { number } => self.change_is_asked(number)?,
            Happening::Mischief => self.mischief()?,
            Happening::Calm => self.becomes_calm(),
            Happening::Look => self.carers_finish()?,
        }
        Ok(())
    }
}
