//! The world itself: events in, time on, entries committed, invariants looked at after each.

mod acts;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mainstay_coordinator::{
    Answer, AskHost, CoreConfig, Decision, Effect, Entry, Event, Found, LeaderCore, LogEvent, Look,
    Monotonic, ProposalId, Rules, StationLife, Ticket,
};
use mainstay_protocol::command::Command;
use mainstay_protocol::sight::Sight;
use mainstay_protocol::{
    ClusterId, ClusterName, Epoch, Incarnation, Leadership, NodeName, Revision, StationId,
    StationRunId, Term, Timestamp, codec, limits,
};
use mainstay_resource_graph::{
    CommandVertex, Graph, Instance, InstanceState, Key, Kind, Settings, Sightings, View, ViewExt,
};

use super::judge;
use super::log::{Mode, TestLog};
use super::node::ScriptedNode;
use super::print;
use super::types::{at, node_name};

pub use acts::{is_change, is_start, is_stop, start};

pub struct World {
    pub core: LeaderCore,
    pub log: TestLog,
    pub now: Monotonic,
    pub nodes: BTreeMap<NodeName, ScriptedNode>,
    /// Every entry that was applied.
    pub entries: Vec<Arc<Entry>>,
    /// What happened since it was last taken.
    pub seen: Vec<Effect>,
    pub answers: BTreeMap<Ticket, Answer>,
    /// What scripts show: of effects, and of verbs that look.
    pub said: Vec<String>,
    /// Checks after each entry; off for graphs that are broken on purpose.
    pub checks: bool,
    /// A full pass after each entry; off where a bounded step leaves work to the next.
    pub full_passes: bool,
    config: CoreConfig,
    /// What the next leader judges by.
    pub rules: Rules,
    term: u64,
    tickets: u64,
    last_frame: BTreeMap<NodeName, Event>,
    /// Follows by applying alone.
    replica: Graph,
    /// What is seen of a node that is looked for; else its machine, unless it is mute.
    pub sights: BTreeMap<NodeName, Sightings>,
    /// Commands about machines that are under way.
    pub host_asks: Vec<AskHost>,
    /// As it was when a backup was taken.
    kept: Option<Graph>,
    /// The leader dies at so many commits from now.
    death: Option<(usize, Death)>,
}

/// When a leader dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// What it proposed is nowhere.
    BeforeCommit,
    /// It is committed, and nobody was told.
    AfterCommit,
}

pub fn config() -> CoreConfig {
    let found = Found {
        authority: None,
        cluster: ClusterId(uuid::Uuid::from_u64_pair(1, 1)),
        name: ClusterName::new("test").unwrap(),
        settings: Settings::LAN,
        station: StationId(1),
        address: "/run/station.sock".to_owned(),
        life: StationLife {
            run: StationRunId(uuid::Uuid::from_u64_pair(2, 1)),
            build: "test".to_owned(),
            node: None,
        },
    };
    CoreConfig::new(found, Epoch(1))
}

const HEARTBEAT: Duration = Duration::from_secs(1);

impl World {
    pub fn new() -> Self {
        Self::with(Rules::shipped())
    }

    /// A cluster just founded.
    pub fn with(rules: Rules) -> Self {
        let mut world = Self::before_office(Graph::new(), rules);
        world.lead();
        world
    }

    /// On a graph that is broken on purpose.
    pub fn broken(graph: Graph) -> Self {
        let mut world = Self::before_office(graph, Rules::shipped());
        world.checks = false;
        world.lead();
        world
    }

    fn before_office(graph: Graph, rules: Rules) -> Self {
        let config = config();
        let core = LeaderCore::new(
            config.clone(),
            graph.clone(),
            rules.clone(),
            Timestamp::ZERO,
        );
        Self {
            core,
            log: TestLog::default(),
            now: Monotonic(0),
            nodes: BTreeMap::new(),
            entries: Vec::new(),
            seen: Vec::new(),
            answers: BTreeMap::new(),
            said: Vec::new(),
            checks: true,
            full_passes: true,
            config,
            rules,
            term: 0,
            tickets: 0,
            last_frame: BTreeMap::new(),
            replica: graph,
            sights: BTreeMap::new(),
            host_asks: Vec::new(),
            kept: None,
            death: None,
        }
    }

    pub fn graph(&self) -> &Graph {
        self.core.graph()
    }

    /// Runs the core until it rests.
    pub fn run(&mut self) {
        for _ in 0..10_000 {
            let effects = self.core.poll(self.now, self.now.0 / 1000, &mut self.log);
            self.take(effects);
            if self.log.mode == Mode::CommitAtOnce
                && let Some(entry) = self.log.held.pop_front()
            {
                match self.dies_now() {
                    None => self.commit(entry),
                    Some(death) => self.die(death, entry),
                }
                continue;
            }
            if self.core.wake_at(self.now).is_none_or(|at| at > self.now) {
                return;
            }
        }
        panic!("the core does not come to rest");
    }

    /// At the commit after so many, the leader dies; another takes over, and the nodes come to it.
    pub fn dies(&mut self, death: Option<(usize, Death)>) {
        self.death = death;
    }

    fn dies_now(&mut self) -> Option<Death> {
        let (left, death) = self.death?;
        match left.checked_sub(1) {
            Some(left) => {
                self.death = Some((left, death));
                None
            }
            None => {
                self.death = None;
                Some(death)
            }
        }
    }

    fn die(&mut self, death: Death, entry: Entry) {
        if death == Death::AfterCommit {
            let entry = Arc::new(entry);
            let committed = LogEvent::Committed(Arc::clone(&entry));
            // What would have followed is not done.
            let _effects = self.core.log_event(committed, self.now);
            self.replica.apply(&entry.delta);
            self.entries.push(entry);
        }
        self.fail_over_with_sessions();
    }

    fn commit(&mut self, entry: Entry) {
        let bytes = codec::encoded_len(&entry);
        assert!(
            bytes <= limits::ENTRY_BYTES_MAX,
            "an entry of {bytes} bytes"
        );
        let entry = Arc::new(entry);
        let effects = self
            .core
            .log_event(LogEvent::Committed(Arc::clone(&entry)), self.now);
        let applied = self.replica.apply(&entry.delta);
        self.take(effects);
        if !applied.changed {
            return;
        }
        if self.checks {
            judge::sound(self.graph());
            entry.decisions.iter().for_each(judge::bounded);
        }
        if self.checks && self.full_passes {
            let late = judge::full_pass(self.graph(), &self.rules, &entry);
            let revision = self.graph().revision();
            assert_eq!(
                late,
                None,
                "a full pass after the entry of revision {revision} writes; it was {:#?}",
                entry
                    .decisions
                    .iter()
                    .map(print::decision_line)
                    .collect::<Vec<_>>()
            );
        }
        if self.checks {
            self.replica_is_equal();
        }
    }

    pub fn replica_is_equal(&self) {
        let difference = self.replica.first_difference(self.graph());
        assert_eq!(difference, None, "a replica that only applies differs");
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.said.extend(print::effect_lines(&effect));
            self.seen.push(effect.clone());
            match effect {
                Effect::Welcome {
                    node,
                    agent_run,
                    node_id,
                    node_epoch,
                    watermark,
                    ..
                } => {
                    let scripted = self.node(&node);
                    // The session of an agent that has ended meanwhile is none.
                    if scripted.agent_run() == agent_run {
                        scripted.welcomed(node_id, node_epoch, watermark);
                        self.send_unacknowledged(&node);
                    }
                }
                Effect::Acknowledge {
                    node,
                    node_epoch,
                    up_to,
                } => self.node(&node).acknowledged(node_epoch, up_to),
                Effect::Send { node, command } => self.send(&node, command),
                Effect::Reply { ticket, answer } => {
                    let twice = self.answers.insert(ticket, answer);
                    assert!(twice.is_none(), "{ticket:?} is answered twice");
                }
                Effect::Applied(entry) => self.entries.push(entry),
                Effect::Look(look) => self.look(look),
                Effect::AskHost(ask) => self.host_asks.push(ask),
                Effect::Deny { .. } | Effect::Guard { .. } | Effect::Watch { .. } => {}
            }
        }
    }

    /// An event that is nobody's word.
    pub fn tell(&mut self, event: Event) {
        self.core.enqueue(event, None).unwrap();
        self.run();
    }

    fn look(&mut self, look: Look) {
        let knock = match self.node(&look.node).muted {
            true => Sight::Nothing,
            false => Sight::Machine,
        };
        let silent = look.guards.iter().map(|guard| (guard.clone(), None));
        let seen = self.sights.get(&look.node).cloned().unwrap_or(Sightings {
            knock,
            guards: silent.collect(),
        });
        let sighted = Event::Sighted {
            node: look.node,
            since: look.since,
            seen,
        };
        self.core.enqueue(sighted, None).unwrap();
    }

    fn send(&mut self, node: &NodeName, command: Command) {
        let committed = self.graph().command(&Key::Command(command.id));
        let order = committed.map(|committed| committed.order);
        assert_eq!(
            order.as_ref(),
            Some(&command.order),
            "it is committed before it is sent"
        );
        assert_eq!(
            command.leadership,
            self.leadership(),
            "an agent obeys the newest leader alone"
        );
        let scripted = self.node(node);
        if scripted.connected && !scripted.deaf {
            scripted.receive(command);
            if scripted.answers {
                self.send_unacknowledged(node);
            }
        }
    }

    fn node(&mut self, name: &NodeName) -> &mut ScriptedNode {
        self.nodes
            .entry(name.clone())
            .or_insert_with(|| ScriptedNode::new(name))
    }

    pub fn scripted(&mut self, node: &str) -> &mut ScriptedNode {
        self.node(&node_name(node))
    }

    fn send_unacknowledged(&mut self, node: &NodeName) {
        let scripted = self.node(node);
        if !scripted.connected || scripted.muted {
            return;
        }
        if let Some(reports) = scripted.unacknowledged() {
            let now = self.now;
            self.core.heard(node, now);
            let frame = Event::Reports {
                node: node.clone(),
                reports,
            };
            self.last_frame.insert(node.clone(), frame.clone());
            // A refused frame stays in the outbox.
            let _ = self.core.enqueue(frame, None);
        }
    }

    // Time.

    /// Lets time pass; nodes with a session that are not muted are heard every second.
    pub fn wait(&mut self, span: Duration) {
        let end = Monotonic(self.now.0 + span.as_micros() as u64);
        let beat = HEARTBEAT.as_micros() as u64;
        while self.now < end {
            let next_beat = Monotonic((self.now.0 / beat + 1) * beat);
            let wake = self
                .core
                .wake_at(self.now)
                .unwrap_or(end)
                .max(Monotonic(self.now.0 + 1));
            self.now = end.min(next_beat).min(wake);
            let heard: Vec<NodeName> = self
                .nodes
                .values()
                .filter(|node| node.connected && !node.muted)
                .map(|node| node.name.clone())
                .collect();
            for node in heard {
                self.core.heard(&node, self.now);
            }
            self.run();
        }
    }

    pub fn wait_ms(&mut self, ms: u64) {
        self.wait(Duration::from_millis(ms));
    }

    // The log and who leads.

    pub fn hold(&mut self) {
        self.log.mode = Mode::Hold;
    }

    /// Commits what was held, in order.
    pub fn release(&mut self) {
        self.log.mode = Mode::CommitAtOnce;
        while let Some(entry) = self.log.held.pop_front() {
            self.commit(entry);
        }
        self.run();
    }

    /// The proposal in flight is said to be lost. It may still turn up: `arrive_late`.
    pub fn lose(&mut self) {
        let entry = self.log.held.pop_front().expect("a proposal is held");
        let proposal = entry.proposal();
        self.log.lost.push_back(entry);
        self.say_lost(proposal);
    }

    pub fn say_lost(&mut self, proposal: ProposalId) {
        let effects = self.core.log_event(LogEvent::Lost(proposal), self.now);
        self.take(effects);
    }

    pub fn arrive_late(&mut self) {
        let entry = self.log.lost.pop_back().expect("a proposal was lost");
        self.commit(entry);
    }

    /// Another station takes over with what was committed; sessions have to be opened anew.
    pub fn fail_over(&mut self) {
        let effects = self.core.log_event(LogEvent::Following, self.now);
        self.take(effects);
        self.log = TestLog::default();
        for node in self.nodes.values_mut() {
            node.connected = false;
        }
        let bytes = self.replica.snapshot();
        assert_eq!(bytes, self.core.graph().snapshot(), "replay is byte-equal");
        let graph = Graph::from_snapshot(&bytes).unwrap();
        let log_time = self.core.log_time();
        self.core = LeaderCore::new(self.config.clone(), graph, self.rules.clone(), log_time);
        self.lead();
    }

    /// From now on a queue outside says whose turn it is.
    pub fn with_outside_queue(&mut self) {
        self.config.outside_queue = true;
        // A full pass knows nothing of turns.
        self.full_passes = false;
        self.fail_over();
    }

    fn lead(&mut self) {
        self.term += 1;
        let effects = self
            .core
            .log_event(LogEvent::Leading(Term(self.term)), self.now);
        self.take(effects);
        self.run();
    }

    pub fn leadership(&self) -> Leadership {
        Leadership {
            epoch: self.config.epoch,
            term: Term(self.term),
        }
    }

    pub fn keep(&mut self) {
        self.kept = Some(self.graph().clone());
    }

    /// The graph is again what it was when it was kept, in a new epoch; nodes live on and have to come again.
    pub fn restore(&mut self) {
        let kept = self.kept.as_ref().expect("it was kept before");
        let records = kept.records().map(|record| (**record).clone());
        // Above all that was, as a directory that is made anew has it.
        let revision = Revision(self.graph().revision().0 + 1000);
        let graph = Graph::from_parts(revision, records, kept.edges()).unwrap();
        let effects = self.core.log_event(LogEvent::Following, self.now);
        self.take(effects);
        self.log = TestLog::default();
        for node in self.nodes.values_mut() {
            node.connected = false;
        }
        self.config.epoch = self.config.epoch.next();
        self.term = 0;
        self.replica = graph.clone();
        let log_time = self.core.log_time();
        self.core = LeaderCore::new(self.config.clone(), graph, self.rules.clone(), log_time);
        self.lead();
    }

    /// The graph is replaced as by a snapshot, and this station leads on.
    pub fn replace(&mut self, graph: Graph) {
        self.replica = graph.clone();
        let log_time = self.core.log_time();
        let effects = self.core.log_event(
            LogEvent::Replaced {
                graph: Box::new(graph),
                log_time,
            },
            self.now,
        );
        self.take(effects);
        self.lead();
    }

    // Looking.

    pub fn instance(&self, reference: &str) -> Instance {
        self.graph()
            .instance(&at(reference))
            .unwrap_or_else(|| panic!("no {reference}"))
    }

    pub fn state(&self, reference: &str) -> InstanceState {
        self.instance(reference).state
    }

    pub fn incarnation(&self, reference: &str) -> Incarnation {
        self.instance(reference).incarnation
    }

    pub fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.entries.iter().flat_map(|entry| &entry.decisions)
    }

    /// How often a rule decided about a subject.
    pub fn times(&self, rule: &str, subject: &Key) -> usize {
        self.decisions()
            .filter(|decision| decision.rule == rule && decision.subject == *subject)
            .count()
    }

    pub fn open_commands(&self) -> Vec<(Key, CommandVertex)> {
        let keys = self.graph().keys(Kind::Command);
        keys.into_iter()
            .filter_map(|key| self.graph().command(&key).map(|command| (key, command)))
            .collect()
    }

    /// Commands that a node received about an instance, as "start 1", "stop 1".
    pub fn received(&mut self, instance: &str) -> Vec<String> {
        let instance = at(instance);
        let about = |command: &&Command| *command.order.instance().0 == instance;
        self.node(&instance.node)
            .received
            .iter()
            .filter(about)
            .map(|command| format!("{} {}", command.order.name(), command.order.instance().1))
            .collect()
    }

    pub fn parked(&self) -> Vec<Key> {
        self.graph().keys(Kind::Parked)
    }

    pub fn log_now(&self) -> Timestamp {
        Timestamp(self.now.0)
    }

    pub fn take_said(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }
}
