//! A node: the real agent core between a simulated file, a link and a host of services. Its process dies at any
//! byte it writes; its actors die with it, its file does not.

use mainstay_protocol::command::Command;
use mainstay_protocol::report::SysInfo;
use mainstay_protocol::room::Room;
use mainstay_protocol::session::{AgentMessage, Heartbeat, StationMessage};
use mainstay_protocol::{AgentRunId, BootId, Epoch, NodeName};
use mainstay_supervisor::{Action, AgentCore, Identity, Input, Output, encode_record, replay};

use crate::dice::Dice;
use crate::fault::Fault;
use crate::group::Place;
use crate::happening::{Happening, NodeAt};
use crate::host::Host;
use crate::link::{Link, LinkId};
use crate::matrix::{Moment, Victim};
use crate::peers::{Guarding, Watching};
use crate::plan::{self, MEMORY, MEMORY_CHANGES};
use crate::station::StationAt;
use crate::trace;
use crate::world::{Held, World};

const MS: u64 = 1000;

#[derive(Debug)]
pub struct Node {
    pub name: NodeName,
    pub boot: u64,
    /// Rises whenever the node's floors are rightly forgotten: another boot, a lost file.
    pub memory: u64,
    /// One life of the agent's process.
    pub life: u64,
    pub agent_run: AgentRunId,
    pub core: Option<AgentCore>,
    pub file: Vec<u8>,
    pub link: Option<LinkId>,
    pub welcomed: bool,
    /// Which station is asked next, of those that it was told of.
    pub asks: StationAt,
    pub known: Vec<StationAt>,
    /// Said to lead, and not asked since.
    pub told: Option<StationAt>,
    /// The last step was one without a pause.
    pub jumped: bool,
    /// When a station was last heard.
    pub heard: u64,
    pub paused_until: u64,
    /// Whom it guards, as it was told last.
    pub guarding: Guarding,
    /// What it watches of other nodes, as it was told last.
    pub watching: Watching,
    /// The newest renewal of its leases.
    pub renewed: Option<(u64, Epoch)>,
    /// Not among what this life of the agent provides.
    pub missing_type: Option<&'static str>,
    /// What this life of the agent was told to offer.
    pub offers: Room,
    /// What that will be in its next lives: by dice of its own.
    offered: Dice,
    pub host: Host,
}

impl Node {
    pub fn new(at: usize, stations: usize, dice: &mut Dice) -> Self {
        Self {
            name: format!("n{}", at + 1).parse().expect("a name"),
            boot: 1,
            memory: 1,
            life: 0,
            agent_run: AgentRunId(dice.uuid()),
            core: None,
            file: Vec::new(),
            link: None,
            welcomed: false,
            asks: StationAt(0),
            known: (0..stations).map(StationAt).collect(),
            told: None,
            jumped: false,
            heard: 0,
            paused_until: 0,
            guarding: Guarding::new(),
            watching: Watching::new(),
            renewed: None,
            missing_type: None,
            offers: plan::memory(MEMORY),
            offered: Dice::new(dice.clone().word()),
            host: Host::default(),
        }
    }

    /// Its agent is told to offer something else, or the same.
    fn offers_anew(&mut self) -> bool {
        let (least, most) = (MEMORY - MEMORY_CHANGES, MEMORY + MEMORY_CHANGES);
        let offers = plan::memory(self.offered.between(least, most));
        std::mem::replace(&mut self.offers, offers) != offers
    }

    /// The station that is so many behind the one that was asked.
    fn in_turn(&self, steps: usize) -> StationAt {
        let asked = self.known.iter().position(|one| *one == self.asks);
        let next = asked.map_or(0, |asked| (asked + steps) % self.known.len());
        self.known.get(next).copied().unwrap_or(self.asks)
    }

    fn identity(&self) -> Identity {
        let provides = plan::declarations()
            .into_iter()
            .filter(|declared| self.missing_type != Some(declared.name.as_str()))
            .collect();
        Identity {
            node: self.name.clone(),
            agent_run: self.agent_run,
            boot_id: BootId(format!("boot-{}", self.boot)),
            build: "sim".to_owned(),
            address: format!("{}:1", self.name),
            sysinfo: SysInfo {
                booted_ms: 0,
                hostname: self.name.to_string(),
                cores: 2,
                offers: self.offers,
                ..SysInfo::default()
            },
            provides,
        }
    }
}

impl World {
    pub fn agent_starts(&mut self, at: NodeAt, life: u64) -> Held {
        let run = AgentRunId(self.dice.uuid());
        let misses = !self.calm && self.dice.per_mille(60);
        let missing = self.dice.pick(&plan::TYPES).copied().filter(|_| misses);
        let node = &mut self.nodes[at.0];
        if life != node.life || node.core.is_some() {
            return Ok(());
        }
        if node.boot > 1 || node.life > 1 {
            node.missing_type = missing;
            if missing.is_some() {
                self.counts.fault(Fault::TypeMissing);
            }
            if !self.calm && node.offers_anew() {
                self.counts.fault(Fault::OfferChanged);
            }
        }
        node.agent_run = run;
        node.guarding.clear();
        node.watching.clear();
        let recovered = replay(&node.file);
        assert!(!recovered.damaged, "a torn tail is not damage");
        node.file.truncate(recovered.valid_len as usize);
        let survivors = node.host.survivors();
        let (core, output) = AgentCore::adopting(node.identity(), recovered, survivors);
        node.core = Some(core);
        trace!(self, "agent of {} starts", self.nodes[at.0].name);
        self.agent_obeys(at, output)?;
        if self.nodes[at.0].life == life {
            self.connect_later(at, 1, 200);
        }
        Ok(())
    }

    fn connect_later(&mut self, node: NodeAt, least_ms: u64, most_ms: u64) {
        let life = self.nodes[node.0].life;
        let after = self.dice.between(least_ms, most_ms) * MS;
        self.queue
            .put(self.now + after, Happening::AgentConnects { node, life });
    }

    pub fn agent_connects(&mut self, at: NodeAt, life: u64) {
        let node = &self.nodes[at.0];
        let Some(core) = node.core.as_ref() else {
            return;
        };
        if life != node.life || node.link.is_some() {
            return;
        }
        let (ask, run, up) = (node.asks, node.agent_run, core.node_up());
        let (here, there) = (Place::Node(at), Place::Station(ask));
        let station = self.station(ask);
        let (alive, station_life) = (station.core.is_some(), station.life);
        if !alive || self.is_cut(here, there) || self.is_cut(there, here) {
            return self.asks_another(at);
        }
        self.links_made += 1;
        let id = LinkId(self.links_made);
        let link = Link::new(at, run, ask, station_life);
        self.links.insert(id, link);
        let node = &mut self.nodes[at.0];
        node.link = Some(id);
        node.welcomed = false;
        node.heard = self.now;
        self.to_station(id, AgentMessage::NodeUp(Box::new(up)));
        let beat = Happening::Heartbeat {
            node: at,
            life,
            link: id,
        };
        self.queue.put(self.now + 1000 * MS, beat);
    }

    pub fn heartbeat(&mut self, at: NodeAt, life: u64, link: LinkId) -> Held {
        let node = &self.nodes[at.0];
        let Some(core) = node.core.as_ref() else {
            return Ok(());
        };
        if life != node.life || node.link != Some(link) {
            return Ok(());
        }
        let silence = self.plan.settings.silence_ms * MS;
        if self.now - node.heard > silence {
            trace!(self, "{} hears nothing and closes its session", node.name);
            return self.leave_session(at);
        }
        if node.welcomed {
            let mut beat = Heartbeat::spread(
                node.host.checks.checked_ages(self.now_ms()),
                core.outbox_depth(),
            );
            if let Some(first) = beat.first_mut()
                && node.host.has_leases()
            {
                first.renews = Some(self.now_ms());
            }
            for part in beat {
                self.to_station(link, AgentMessage::Heartbeat(part));
            }
        }
        let next = Happening::Heartbeat {
            node: at,
            life,
            link,
        };
        self.queue.put(self.now + 1000 * MS, next);
        self.guard_looks(at)?;
        self.watcher_checks(at)?;
        self.agent_step(at, Input::Tick)
    }

    pub fn agent_hears(&mut self, id: LinkId, message: StationMessage) -> Held {
        let Some(link) = self.links.get(&id) else {
            return Ok(());
        };
        let at = link.node;
        let deaf = !link.agent_open || link.silent_to_agent;
        let node = &mut self.nodes[at.0];
        if deaf || node.link != Some(id) || node.core.is_none() {
            return Ok(());
        }
        node.heard = self.now;
        match message {
            StationMessage::Welcome(welcome) => {
                node.welcomed = true;
                node.watching.clear();
                node.jumped = false;
                let (life, leadership) = (node.life, welcome.leadership);
                self.agent_step(at, Input::SessionUp(welcome))?;
                let node = &self.nodes[at.0];
                if node.life == life && node.welcomed {
                    self.oracle.knows(node, leadership);
                }
                Ok(())
            }
            StationMessage::Denied(_) => self.leave_session(at),
            StationMessage::Stations(stations) => {
                let leader = stations.leader.map(StationAt::of);
                node.told = leader.filter(|leader| *leader != node.asks);
                node.known = stations.addresses.into_keys().map(StationAt::of).collect();
                Ok(())
            }
            // Nothing here follows anything.
            StationMessage::Found(_) => Ok(()),
            StationMessage::Guards(guards) => {
                self.guards(at, guards);
                Ok(())
            }
            StationMessage::Watches(watches) => {
                self.nodes[at.0].is_to_watch(watches);
                Ok(())
            }
            StationMessage::Acknowledged(word) => self.agent_step(at, Input::Acknowledged(word)),
            StationMessage::Command(command) => {
                trace!(
                    self,
                    "{} is commanded {} {} {}#{}",
                    self.nodes[at.0].name,
                    command.id,
                    command.order.name(),
                    command.order.instance().0,
                    command.order.instance().1
                );
                self.oracle.commanded(&self.nodes[at.0], &command)?;
                self.agent_takes(at, *command)
            }
            StationMessage::HeartbeatSeen(seen) => match seen.renewed {
                Some(from_ms) => {
                    let epoch = seen.leadership.epoch;
                    self.agent_step(at, Input::Renewed { from_ms, epoch })
                }
                None => Ok(()),
            },
            StationMessage::BulkReady(_)
            | StationMessage::Certificate(_)
            | StationMessage::Secret { .. }
            | StationMessage::Artifact { .. }
            | StationMessage::Request { .. }
            | StationMessage::Unsupported { .. } => Ok(()),
        }
    }

    /// Late, and past any session: within a leadership it cannot, over the end of one it is to be harmless.
    pub fn command_strays(&mut self, at: NodeAt, command: Command) -> Held {
        if self.oracle.is_older(&self.nodes[at.0], command.leadership) {
            return self.agent_takes(at, command);
        }
        Ok(())
    }

    /// What comes of an older leadership than the newest that the agent knows is not carried out.
    pub fn agent_takes(&mut self, at: NodeAt, command: Command) -> Held {
        let older = self.oracle.is_older(&self.nodes[at.0], command.leadership);
        let (now_ms, life) = (self.now_ms(), self.nodes[at.0].life);
        let Some(core) = self.nodes[at.0].core.as_mut() else {
            return Ok(());
        };
        let leadership = command.leadership;
        let output = core.step(now_ms, Input::Command(command));
        if older {
            self.counts.fault(Fault::OldCommand);
            self.oracle.refused(&self.nodes[at.0], &output)?;
        }
        self.agent_obeys(at, output)?;
        if self.nodes[at.0].life == life {
            self.oracle.knows(&self.nodes[at.0], leadership);
        }
        Ok(())
    }

    fn leave_session(&mut self, at: NodeAt) -> Held {
        let node = &mut self.nodes[at.0];
        let lost = std::mem::replace(&mut node.welcomed, false);
        let Some(link) = node.link.take() else {
            return Ok(());
        };
        self.agent_closes(link);
        match lost {
            true => self.asks_again(at),
            false => self.asks_another(at),
        }
        self.agent_step(at, Input::SessionDown)
    }

    /// A station was asked and there is no session: the leader that it told of is asked at once, but not twice in a row;
    /// else the next in turn.
    fn asks_another(&mut self, at: NodeAt) {
        let node = &mut self.nodes[at.0];
        let leader = node.told.take().filter(|_| !node.jumped);
        node.jumped = leader.is_some();
        node.asks = leader.unwrap_or(node.in_turn(1));
        match leader {
            Some(_) => self.connect_later(at, 1, 5),
            None => self.connect_later(at, 50, 1000),
        }
    }

    /// A session was lost: its station may only have been started again. One that fell silent is not asked first.
    fn asks_again(&mut self, at: NodeAt) {
        let silence = self.plan.settings.silence_ms * MS;
        let node = &mut self.nodes[at.0];
        node.jumped = false;
        let silent = self.now - node.heard > silence;
        let next = node.in_turn(usize::from(silent));
        node.asks = node.told.take().unwrap_or(next);
        self.connect_later(at, 50, 1000);
    }

    pub fn agent_sees_end(&mut self, id: LinkId) -> Held {
        let Some(link) = self.links.get_mut(&id) else {
            return Ok(());
        };
        link.agent_open = false;
        let at = link.node;
        if self.nodes[at.0].link == Some(id) {
            return self.leave_session(at);
        }
        Ok(())
    }

    pub fn agent_step(&mut self, at: NodeAt, input: Input) -> Held {
        let now_ms = self.now_ms();
        let Some(core) = self.nodes[at.0].core.as_mut() else {
            return Ok(());
        };
        let output = core.step(now_ms, input);
        self.agent_obeys(at, output)
    }

    /// Writes, then acts; death in the middle of the write leaves a prefix, and nothing is done.
    fn agent_obeys(&mut self, at: NodeAt, output: Output) -> Held {
        let mut bytes = Vec::new();
        for record in &output.persist {
            bytes.extend(encode_record(record));
        }
        if !bytes.is_empty() && !self.calm && self.dice.per_mille(self.plan.torn_write_per_mille) {
            self.counts.fault(Fault::AgentKilledWriting);
            let written = self.dice.below(bytes.len() as u64) as usize;
            self.nodes[at.0].file.extend(&bytes[..written]);
            return self.kill_agent(at);
        }
        if !bytes.is_empty() {
            self.writes.files += 1;
            let write = self.writes.files;
            for (moment, written) in [
                (Moment::Before, 0),
                (Moment::Torn, bytes.len() / 2),
                (Moment::Written, bytes.len()),
            ] {
                if self.dies(Victim::Agent, write, moment) {
                    self.nodes[at.0].file.extend(&bytes[..written]);
                    return self.kill_agent(at);
                }
            }
        }
        self.nodes[at.0].file.extend(&bytes);
        self.compact(at)?;
        for action in output.actions {
            match action {
                Action::Adopt { start, came } => self.host_adopts(at, start, came),
                Action::Start(start) => self.host_starts(at, start)?,
                Action::Stop(stop) => self.host_stops(at, &stop)?,
                Action::Reconfigure { command, change } => self.host_changes(at, command, change),
                Action::Work { command, work } => self.host_works(at, command, &work)?,
                Action::TakeBack(back) => self.host_takes_back(at, &back),
                // No simulated service asks anything.
                Action::Answer(_) => {}
                Action::TellAgain {
                    command,
                    instance,
                    incarnation,
                } => self.host_tells_again(at, command, instance, incarnation)?,
                Action::Renew => {
                    let beat = Heartbeat {
                        renews: Some(self.now_ms()),
                        ..Heartbeat::default()
                    };
                    if let Some(link) = self.nodes[at.0].link {
                        self.to_station(link, AgentMessage::Heartbeat(beat));
                    }
                }
                Action::Renewed { from_ms, epoch } => self.host_renews(at, from_ms, epoch),
                Action::Send(reports) => {
                    if let Some(link) = self.nodes[at.0].link {
                        self.to_station(link, AgentMessage::Reports(reports));
                    }
                }
                Action::CloseSession { why } => {
                    trace!(self, "{} closes its session: {why}", self.nodes[at.0].name);
                    self.leave_session(at)?;
                }
            }
        }
        self.oracle.node(&self.nodes[at.0])
    }

    /// Written anew, the file says the same.
    fn compact(&mut self, at: NodeAt) -> Held {
        let node = &mut self.nodes[at.0];
        let Some(core) = node.core.as_ref() else {
            return Ok(());
        };
        if node.file.len() <= self.plan.file_bytes_max {
            return Ok(());
        }
        let mut shorter = Vec::new();
        for record in core.snapshot_records() {
            shorter.extend(encode_record(&record));
        }
        self.counts.fault(Fault::FileCompacted);
        let identity = node.identity();
        self.oracle.compacted(&identity, &node.file, &shorter)?;
        node.file = shorter;
        Ok(())
    }

    /// The process dies, and every actor with it; what is outside lives on.
    pub fn kill_agent(&mut self, at: NodeAt) -> Held {
        let node = &mut self.nodes[at.0];
        if node.core.is_none() {
            return Ok(());
        }
        self.oracle.died();
        node.core = None;
        node.life += 1;
        node.welcomed = false;
        node.host.without_agent();
        node.paused_until = 0;
        let life = node.life;
        let link = node.link.take();
        trace!(self, "agent of {} dies", self.nodes[at.0].name);
        if let Some(link) = link {
            self.agent_closes(link);
        }
        let after = self.dice.between(20, 3000) * MS;
        let start = Happening::AgentStarts { node: at, life };
        self.queue.put(self.now + after, start);
        Ok(())
    }
}
