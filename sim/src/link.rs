//! Links: sessions between an agent and a station. In order and whole while they live; a cut loses what was
//! under way, a silence loses everything without a word.

use mainstay_protocol::AgentRunId;
use mainstay_protocol::session::{AgentMessage, Received, StationMessage};

use crate::fault::Fault;
use crate::group::Place;
use crate::happening::{Happening, NodeAt};
use crate::station::StationAt;
use crate::world::World;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

#[derive(Debug, Clone)]
pub struct Link {
    pub node: NodeAt,
    pub agent_run: AgentRunId,
    pub station: StationAt,
    pub station_life: u64,
    /// Whether each end still takes what arrives.
    pub station_open: bool,
    pub agent_open: bool,
    /// When the last message of each direction arrives: none overtakes it.
    last_to_station: u64,
    last_to_agent: u64,
    pub silent_to_station: bool,
    pub silent_to_agent: bool,
    /// Between cut and the moment the ends see it.
    pub cut: bool,
}

impl Link {
    pub fn new(node: NodeAt, agent_run: AgentRunId, station: StationAt, station_life: u64) -> Self {
        Self {
            node,
            agent_run,
            station,
            station_life,
            station_open: true,
            agent_open: true,
            last_to_station: 0,
            last_to_agent: 0,
            silent_to_station: false,
            silent_to_agent: false,
            cut: false,
        }
    }
}

const MS: u64 = 1000;

impl World {
    fn travel_time(&mut self) -> u64 {
        if !self.calm && self.dice.per_mille(self.plan.delay_per_mille) {
            self.counts.fault(Fault::LinkDelay);
            return self.dice.between(200, 4000) * MS;
        }
        self.dice.between(200, 3000)
    }

    /// What is lost of a stream is never made up for: nothing of it arrives any more.
    fn falls_silent_where_cut(&mut self, id: LinkId) {
        let Some((node, station)) = self.links.get(&id).map(|link| (link.node, link.station))
        else {
            return;
        };
        let (node, station) = (Place::Node(node), Place::Station(station));
        let (up, down) = (self.is_cut(node, station), self.is_cut(station, node));
        if let Some(link) = self.links.get_mut(&id) {
            link.silent_to_station |= up;
            link.silent_to_agent |= down;
        }
    }

    pub fn to_station(&mut self, id: LinkId, message: AgentMessage) {
        self.falls_silent_where_cut(id);
        let travel = self.travel_time();
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if link.silent_to_station || link.cut || !link.agent_open {
            return;
        }
        let at = (now + travel).max(link.last_to_station + 1);
        link.last_to_station = at;
        let twice = matches!(message, AgentMessage::Reports(_))
            && !self.calm
            && self.dice.per_mille(self.plan.duplicate_per_mille);
        if twice {
            self.counts.fault(Fault::ReportDuplicated);
            let later = at + self.dice.between(1, 3000) * MS;
            let message = message.clone();
            self.queue
                .put(later, Happening::ToStation { link: id, message });
        }
        let message = self.over_the_wire_up(message);
        self.queue
            .put(at, Happening::ToStation { link: id, message });
    }

    pub fn to_agent(&mut self, id: LinkId, message: StationMessage) {
        self.falls_silent_where_cut(id);
        let travel = self.travel_time();
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if link.silent_to_agent || link.cut || !link.station_open {
            return;
        }
        let mut at = (now + travel).max(link.last_to_agent + 1);
        let (node, calm) = (link.node, self.calm);
        if let StationMessage::Command(command) = &message
            && !calm
        {
            if self.dice.per_mille(40) {
                let later = at + self.dice.between(1_000, 20_000) * MS;
                let command = command.clone();
                self.queue
                    .put(later, Happening::CommandStrays { node, command });
            }
            if self.dice.per_mille(self.plan.duplicate_per_mille) {
                self.counts.fault(Fault::CommandDuplicated);
                let later = at + self.dice.between(1, 5000) * MS;
                let message = message.clone();
                self.queue
                    .put(later, Happening::ToAgent { link: id, message });
            }
            if self.dice.per_mille(self.plan.duplicate_per_mille) {
                self.counts.fault(Fault::CommandReordered);
                at += self.dice.between(5, 3000) * MS;
            } else {
                link.last_to_agent = at;
            }
        } else {
            link.last_to_agent = at;
        }
        let message = self.over_the_wire_down(message);
        self.queue.put(at, Happening::ToAgent { link: id, message });
    }

    /// Now and then through the real bytes.
    fn over_the_wire_up(&mut self, message: AgentMessage) -> AgentMessage {
        if !self.dice.per_mille(60) {
            return message;
        }
        match AgentMessage::from_frame(&message.to_frame()) {
            Ok(Received::Message(read)) => read,
            other => panic!("a frame of this build is not read by it: {other:?}"),
        }
    }

    fn over_the_wire_down(&mut self, message: StationMessage) -> StationMessage {
        if !self.dice.per_mille(60) {
            return message;
        }
        match StationMessage::from_frame(&message.to_frame()) {
            Ok(Received::Message(read)) => read,
            other => panic!("a frame of this build is not read by it: {other:?}"),
        }
    }

    /// The connection breaks: each end finds out by itself.
    pub fn cut_link(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if link.cut {
            return;
        }
        link.cut = true;
        let straggles = !self.calm && self.dice.per_mille(300);
        let station_after = if straggles {
            self.counts.fault(Fault::LinkStraggler);
            self.dice.between(300, 2500) * MS
        } else {
            self.dice.between(0, 20) * MS
        };
        let agent_after = self.dice.between(0, 20) * MS;
        // What was under way towards the station may still be read from its buffer; the rest is lost.
        if !straggles && let Some(link) = self.links.get_mut(&id) {
            link.silent_to_agent = true;
            link.silent_to_station = true;
        }
        self.queue
            .put(self.now + station_after, Happening::StationSeesEnd(id));
        self.queue
            .put(self.now + agent_after, Happening::AgentSeesEnd(id));
    }

    /// One end closes it on purpose; what it said before still arrives.
    pub fn agent_closes(&mut self, id: LinkId) {
        self.falls_silent_where_cut(id);
        if let Some(link) = self.links.get_mut(&id)
            && link.agent_open
        {
            link.agent_open = false;
            let at = (self.now + 500).max(link.last_to_station + 1);
            if !link.silent_to_station {
                self.queue.put(at, Happening::StationSeesEnd(id));
            }
        }
    }

    pub fn station_closes(&mut self, id: LinkId) {
        self.falls_silent_where_cut(id);
        if let Some(link) = self.links.get_mut(&id)
            && link.station_open
        {
            link.station_open = false;
            let at = (self.now + 500).max(link.last_to_agent + 1);
            if !link.silent_to_agent {
                self.queue.put(at, Happening::AgentSeesEnd(id));
            }
        }
    }
}
