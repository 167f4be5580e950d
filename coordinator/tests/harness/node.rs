//! A node that does nothing by itself: it keeps what a real agent keeps (outbox, open commands, digest) and says what
//! the test tells it to say.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::command::{Adopt, Command, Order, Reconfigure, Start, Stop, TakeBack};
use mainstay_protocol::health::Health;
use mainstay_protocol::report::{
    CommandOutcome, DigestEntry, LiveInstance, LiveState, NodeUp, Numbered, Presence, Report,
    Reports, SysInfo,
};
use mainstay_protocol::room::Room;
use mainstay_protocol::{
    AgentRunId, BootId, CommandId, Epoch, Incarnation, InstanceKey, NodeEpoch, NodeId, NodeName,
    Sequence, SlotName, TypeName, code,
};

use mainstay_protocol::work::Work;

use super::types::{TYPES, declaration};

#[derive(Debug, Clone)]
pub struct ScriptedNode {
    pub name: NodeName,
    pub run: u64,
    pub node_id: Option<NodeId>,
    pub epoch: Option<NodeEpoch>,
    pub types: BTreeSet<String>,
    pub labels: BTreeMap<String, String>,
    /// Where it can be called; nowhere, if it is empty.
    pub address: String,
    pub offers: Room,
    /// What those that start there say that they listen on.
    pub ports: BTreeMap<String, u16>,
    pub connected: bool,
    /// Its session is open, but nothing comes out of it.
    pub muted: bool,
    /// Commands do not reach it.
    pub deaf: bool,
    /// It answers by itself, as a real agent does, what is stale or speaks of nothing that lives.
    pub answers: bool,
    pub outbox: Vec<Numbered>,
    pub next: u64,
    /// Taken, and what came of it is still to be said.
    pub works: BTreeMap<CommandId, Work>,
    /// Received and not answered.
    pub open: BTreeMap<CommandId, Command>,
    pub digest: BTreeMap<InstanceKey, DigestEntry>,
    /// The names of what lives.
    pub names: BTreeMap<InstanceKey, SlotName>,
    pub supervisor: u64,
    /// Commands it was sent, in order.
    pub received: Vec<Command>,
    /// What lives there and was started by nobody here.
    pub strays: BTreeSet<InstanceKey>,
    /// What it says of what it is asked to adopt.
    pub adopted_type: TypeName,
    pub adopted_config: String,
}

fn uuid(high: u64, low: u64) -> uuid::Uuid {
    uuid::Uuid::from_u64_pair(high, low)
}

impl ScriptedNode {
    pub fn new(name: &NodeName) -> Self {
        Self {
            name: name.clone(),
            run: 1,
            node_id: None,
            epoch: None,
            types: TYPES.iter().map(|name| (*name).to_owned()).collect(),
            labels: BTreeMap::new(),
            address: String::new(),
            offers: Room::NONE,
            ports: BTreeMap::new(),
            connected: false,
            muted: false,
            deaf: false,
            answers: false,
            outbox: Vec::new(),
            next: 1,
            works: BTreeMap::new(),
            open: BTreeMap::new(),
            digest: BTreeMap::new(),
            names: BTreeMap::new(),
            supervisor: 1,
            received: Vec::new(),
            strays: BTreeSet::new(),
            adopted_type: TypeName::new("flaky").unwrap(),
            adopted_config: "{}".to_owned(),
        }
    }

    pub fn agent_run(&self) -> AgentRunId {
        let seed = self
            .name
            .as_str()
            .bytes()
            .fold(0u64, |sum, byte| sum * 131 + u64::from(byte));
        AgentRunId(uuid(seed, self.run))
    }

    /// The agent process ended and began again; everything it hosted is gone.
    pub fn restart(&mut self, keeps_file: bool) {
        self.run += 1;
        self.connected = false;
        self.open.clear();
        self.works.clear();
        self.names.clear();
        for entry in self.digest.values_mut() {
            entry.live = None;
        }
        if !keeps_file {
            self.epoch = None;
            self.outbox.clear();
            self.digest.clear();
            self.next = 1;
        }
    }

    pub fn node_up(&self) -> NodeUp {
        NodeUp {
            node: self.name.clone(),
            node_id: self.node_id,
            boot_id: BootId("boot-1".to_owned()),
            agent_run: self.agent_run(),
            node_epoch: self.epoch,
            build: "test".to_owned(),
            address: self.address.clone(),
            sysinfo: SysInfo {
                labels: self.labels.clone(),
                offers: self.offers,
                ..SysInfo::default()
            },
            provides: self.types.iter().map(|name| declaration(name)).collect(),
            digest: self.digest.clone(),
            supervisor: self.supervisor,
        }
    }

    pub fn minted(&self) -> NodeId {
        let seed = self
            .name
            .as_str()
            .bytes()
            .fold(7u64, |sum, byte| sum * 31 + u64::from(byte));
        NodeId(uuid(seed, 0))
    }

    /// The session begins: what is committed goes, and the rest is to be sent.
    pub fn welcomed(&mut self, id: NodeId, epoch: NodeEpoch, watermark: Sequence) {
        self.node_id = Some(id);
        self.connected = true;
        if self.epoch == Some(epoch) {
            self.outbox.retain(|one| one.sequence > watermark);
        } else {
            self.epoch = Some(epoch);
            for (number, one) in self.outbox.iter_mut().enumerate() {
                one.sequence = Sequence(watermark.0 + 1 + number as u64);
            }
            self.next = watermark.0 + 1 + self.outbox.len() as u64;
        }
    }

    pub fn acknowledged(&mut self, epoch: NodeEpoch, up_to: Sequence) {
        if self.epoch == Some(epoch) {
            self.outbox.retain(|one| one.sequence > up_to);
        }
    }

    /// Everything not acknowledged, as one frame.
    pub fn unacknowledged(&self) -> Option<Reports> {
        let (false, Some(node_epoch)) = (self.outbox.is_empty(), self.epoch) else {
            return None;
        };
        Some(Reports {
            epoch: Epoch(1),
            node_epoch,
            reports: self.outbox.clone(),
        })
    }

    /// Writes a report down; what it says becomes true of the digest.
    pub fn note(&mut self, report: Report) {
        self.believe(&report);
        self.outbox.push(Numbered {
            sequence: Sequence(self.next),
            report,
        });
        self.next += 1;
    }

    fn believe(&mut self, report: &Report) {
        match report {
            Report::Started {
                instance,
                incarnation,
                ..
            } => {
                self.set_live(instance, *incarnation, Some(LiveState::Running));
            }
            Report::CouldNotStart {
                instance,
                incarnation,
                ..
            }
            | Report::NameTaken {
                instance,
                incarnation,
                ..
            }
            | Report::Ended {
                instance,
                incarnation,
                ..
            }
            | Report::Failed {
                instance,
                incarnation,
                presence: Presence::Gone,
                ..
            } => {
                self.set_live(instance, *incarnation, None);
            }
            Report::HealthChanged {
                instance, health, ..
            } => self.set_health(instance, *health),
            Report::Unresponsive { instance, .. } => {
                self.set_health(instance, Health::Unresponsive)
            }
            Report::CommandDone { command, outcome } => {
                let done = self.open.remove(command);
                let gone = match outcome {
                    CommandOutcome::NotRunning
                    | CommandOutcome::Stale
                    | CommandOutcome::Refused { .. } => done,
                    CommandOutcome::Done | CommandOutcome::WillNotEnd => None,
                };
                if let Some(command) = gone
                    && matches!(command.order, Order::Start(_) | Order::Stop(_))
                {
                    let (key, incarnation) = command.order.instance();
                    self.set_live(&key.clone(), incarnation, None);
                }
            }
            Report::Failed {
                presence: Presence::Living,
                ..
            }
            | Report::ConfigChanged { .. }
            | Report::Adopted { .. }
            | Report::Acquired { .. }
            | Report::Released { .. }
            | Report::Asked { .. }
            | Report::Announced { .. }
            | Report::Recorded { .. }
            | Report::GuardSaw { .. }
            | Report::WatcherSaw { .. }
            | Report::SupervisorChanged { .. } => {}
            Report::Worked { command, .. } => _ = self.works.remove(command),
        }
    }

    pub fn set_live(
        &mut self,
        key: &InstanceKey,
        incarnation: Incarnation,
        state: Option<LiveState>,
    ) {
        let entry = self.digest.entry(key.clone()).or_insert(DigestEntry {
            floor: incarnation,
            live: None,
        });
        // What an older incarnation does is past.
        if incarnation < entry.floor {
            return;
        }
        entry.floor = incarnation;
        let health = entry
            .live
            .as_ref()
            .map_or(Health::Unknown, |live| live.health);
        entry.live = state.map(|state| LiveInstance {
            incarnation,
            state,
            health,
            service_type: None,
        });
        if state.is_none() {
            self.strays.remove(key);
            self.works.retain(|_, work| work.instance != *key);
            self.names.remove(key);
        }
    }

    fn set_health(&mut self, key: &InstanceKey, health: Health) {
        if let Some(live) = self
            .digest
            .get_mut(key)
            .and_then(|entry| entry.live.as_mut())
        {
            live.health = health;
        }
    }

    pub fn live(&self, key: &InstanceKey) -> Option<&LiveInstance> {
        self.digest.get(key)?.live.as_ref()
    }

    /// A command arrives. No order may make two incarnations, or two holders of one name, live at once.
    pub fn receive(&mut self, command: Command) {
        self.received.push(command.clone());
        if self.open.contains_key(&command.id) {
            return;
        }
        match command.order.clone() {
            Order::Start(start) => self.receive_start(command, &start),
            Order::Stop(stop) => self.receive_stop(command, &stop),
            Order::Reconfigure(change) => self.receive_change(command, &change),
            Order::Answer(_) => self.answer(command.id, CommandOutcome::Done),
            Order::Adopt(adopt) => self.receive_adopt(&command, &adopt),
            Order::Work(work) => self.receive_work(command, &work),
            Order::TakeBack(back) => self.receive_take_back(command, &back),
        }
    }

    /// Taken at once; the test says what comes of it.
    fn receive_work(&mut self, command: Command, work: &Work) {
        let live = self.live(&work.instance);
        let takes = live.is_some_and(|live| live.incarnation == work.incarnation);
        // One that comes again was taken, and perhaps answered.
        let is_new = self
            .received
            .iter()
            .filter(|one| one.id == command.id)
            .count()
            == 1;
        if takes && is_new {
            self.works.insert(command.id, work.clone());
        }
        let outcome = match takes {
            true => CommandOutcome::Done,
            false => CommandOutcome::NotRunning,
        };
        self.answer(command.id, outcome);
    }

    /// A node of a script lets go when that says so.
    fn receive_take_back(&mut self, command: Command, back: &TakeBack) {
        match self.answers {
            true => {
                self.works.remove(&back.work);
                self.answer(command.id, CommandOutcome::Done);
            }
            false => _ = self.open.insert(command.id, command),
        }
    }

    /// Nobody can know of a stray's name but the node.
    fn refuse_name(&mut self, command: &Command, start: &Start, holder: InstanceKey) {
        self.note(Report::NameTaken {
            instance: start.instance.clone(),
            incarnation: start.incarnation,
            name: start.name.clone(),
            holder: Some(holder),
        });
        self.answer(
            command.id,
            CommandOutcome::Refused {
                code: code::NAME_HELD_ON_NODE,
                text: "a stray has it".to_owned(),
            },
        );
    }

    /// What it has is told with the configuration `adopted` of the scripts.
    fn receive_adopt(&mut self, command: &Command, adopt: &Adopt) {
        let live = self
            .live(&adopt.instance)
            .filter(|live| live.incarnation == adopt.incarnation)
            .cloned();
        let Some(live) = live else {
            return self.answer(command.id, CommandOutcome::NotRunning);
        };
        self.note(Report::Adopted {
            instance: adopt.instance.clone(),
            incarnation: adopt.incarnation,
            service_type: self.adopted_type.clone(),
            version: "1.0.0".to_owned(),
            given: self.adopted_config.clone(),
            config: self.adopted_config.clone(),
            process: Vec::new(),
            ports: Default::default(),
            health: live.health,
            uses: Vec::new(),
        });
        self.answer(command.id, CommandOutcome::Done);
    }

    fn receive_start(&mut self, command: Command, start: &Start) {
        let floor = self.digest.get(&start.instance).map(|entry| entry.floor);
        if floor.is_some_and(|floor| start.incarnation <= floor) {
            self.answer(command.id, CommandOutcome::Stale);
            return;
        }
        if let Some(live) = self.live(&start.instance) {
            panic!(
                "{} incarnation {} is ordered while {} lives",
                start.instance, start.incarnation, live.incarnation
            );
        }
        let named = self.names.iter().find(|(_, name)| **name == start.name);
        if let Some(other) = named.map(|(other, _)| other.clone()) {
            assert!(
                self.strays.contains(&other),
                "{} is ordered while {other} has its name",
                start.instance
            );
            return self.refuse_name(&command, start, other);
        }
        self.names
            .insert(start.instance.clone(), start.name.clone());
        self.open.insert(command.id, command);
        self.set_live(
            &start.instance,
            start.incarnation,
            Some(LiveState::Starting),
        );
    }

    fn receive_stop(&mut self, command: Command, stop: &Stop) {
        let live = self
            .digest
            .get_mut(&stop.instance)
            .and_then(|entry| entry.live.as_mut());
        match live.filter(|live| live.incarnation <= stop.incarnation) {
            Some(live) => {
                live.state = LiveState::Stopping;
                self.open.insert(command.id, command);
            }
            None if self.answers => {
                if self.live(&stop.instance).is_none() {
                    self.set_live(&stop.instance, stop.incarnation, None);
                }
                self.answer(command.id, CommandOutcome::NotRunning);
            }
            None => {
                self.open.insert(command.id, command);
            }
        }
    }

    fn receive_change(&mut self, command: Command, change: &Reconfigure) {
        let takes = self.live(&change.instance).is_some_and(|live| {
            live.incarnation == change.incarnation && live.state == LiveState::Running
        });
        if takes || !self.answers {
            self.open.insert(command.id, command);
        } else {
            self.answer(command.id, CommandOutcome::NotRunning);
        }
    }

    fn answer(&mut self, command: CommandId, outcome: CommandOutcome) {
        if self.answers {
            self.note(Report::CommandDone { command, outcome });
        }
    }
}
