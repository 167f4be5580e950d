//! The storm: stones thrown at stations, nodes and what is between them, and the calm behind it.

use crate::fault::Fault;
use crate::group::Place;
use crate::happening::{Happening, NodeAt};
use crate::host::Host;
use crate::link::LinkId;
use crate::run::LOOK_MS;
use crate::station::StationAt;
use crate::trace;
use crate::world::{Held, World};

const MS: u64 = 1000;

impl World {
    /// What is meant for a process that stands still waits for it, in its order.
    pub fn take_or_put_off(&mut self, happening: Happening) -> Held {
        let agent = self
            .agent_of(&happening)
            .map(|node| self.nodes[node.0].paused_until);
        let station = self
            .station_of(&happening)
            .map(|at| self.station(at).paused_until);
        let until = agent.or(station).unwrap_or_default();
        if until > self.now {
            self.queue.put(until, happening);
            return Ok(());
        }
        self.happen(happening)
    }

    fn agent_of(&self, happening: &Happening) -> Option<NodeAt> {
        match happening {
            Happening::ToAgent { link, .. } | Happening::AgentSeesEnd(link) => {
                self.links.get(link).map(|link| link.node)
            }
            Happening::AgentConnects { node, .. }
            | Happening::Heartbeat { node, .. }
            | Happening::Host { node, .. }
            | Happening::ChecksDue { node, .. }
            | Happening::Checked { node, .. }
            | Happening::SupervisorStarts { node, .. }
            | Happening::CommandStrays { node, .. } => Some(*node),
            Happening::Looked { .. }
            | Happening::HostCommandEnds { .. }
            | Happening::ToStation { .. }
            | Happening::StationSeesEnd(_)
            | Happening::Synced { .. }
            | Happening::LogSaysLost { .. }
            | Happening::StationSays { .. }
            | Happening::Ticks { .. }
            | Happening::StationWakes { .. }
            | Happening::StationStarts(_)
            | Happening::AgentStarts { .. }
            | Happening::OperatorActs
            | Happening::CarerActs
            | Happening::ClientActs
            | Happening::OperatorTriesAgain { .. }
            | Happening::OrderPassedOn { .. }
            | Happening::ChangeWanted(_)
            | Happening::ChangeAsked { .. }
            | Happening::LeaseEnds { .. }
            | Happening::Mischief
            | Happening::Calm
            | Happening::Look => None,
        }
    }

    fn station_of(&self, happening: &Happening) -> Option<StationAt> {
        match happening {
            Happening::ToStation { link, .. } | Happening::StationSeesEnd(link) => {
                self.links.get(link).map(|link| link.station)
            }
            Happening::Synced { station, .. }
            | Happening::LogSaysLost { station, .. }
            | Happening::StationSays { station, .. }
            | Happening::Ticks { station, .. }
            | Happening::StationWakes { station, .. }
            | Happening::Looked { station, .. }
            | Happening::HostCommandEnds { station, .. }
            | Happening::OrderPassedOn { station, .. } => Some(*station),
            Happening::ToAgent { .. }
            | Happening::AgentSeesEnd(_)
            | Happening::AgentConnects { .. }
            | Happening::Heartbeat { .. }
            | Happening::Host { .. }
            | Happening::ChecksDue { .. }
            | Happening::Checked { .. }
            | Happening::SupervisorStarts { .. }
            | Happening::CommandStrays { .. }
            | Happening::StationStarts(_)
            | Happening::AgentStarts { .. }
            | Happening::OperatorActs
            | Happening::CarerActs
            | Happening::ClientActs
            | Happening::OperatorTriesAgain { .. }
            | Happening::ChangeWanted(_)
            | Happening::ChangeAsked { .. }
            | Happening::LeaseEnds { .. }
            | Happening::Mischief
            | Happening::Calm
            | Happening::Look => None,
        }
    }

    pub fn becomes_calm(&mut self) {
        trace!(self, "calm");
        self.calm = true;
        for node in &mut self.nodes {
            node.host.behave();
        }
        for station in &mut self.stations {
            station.slow_until = 0;
        }
        self.heals();
        let silent: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| link.silent_to_agent || link.silent_to_station)
            .map(|(id, _)| *id)
            .collect();
        for link in silent {
            self.cut_link(link);
        }
        self.queue.put(self.now + LOOK_MS * MS, Happening::Look);
    }

    fn open_link(&mut self) -> Option<LinkId> {
        let open: Vec<LinkId> = self.nodes.iter().filter_map(|node| node.link).collect();
        self.dice.pick(&open).copied()
    }

    /// One of the stations, more often the one that leads.
    fn some_station(&mut self) -> StationAt {
        let leads = self.places().find(|at| self.station(*at).member.leads());
        let any = StationAt(self.dice.below(self.stations.len() as u64) as usize);
        match self.dice.per_mille(500) {
            true => leads.unwrap_or(any),
            false => any,
        }
    }

    /// One stone.
    pub fn mischief(&mut self) -> Held {
        if self.calm {
            return Ok(());
        }
        let after = self.dice.between(100, self.plan.mischief_ms_max) * MS;
        self.queue.put(self.now + after, Happening::Mischief);
        match self.dice.below(24) {
            0..=11 => self.mischief_of_nodes(),
            12 | 13 => {
                let station = self.some_station();
                self.station_crashes(station, false)
            }
            14 => {
                let station = self.some_station();
                self.leadership_is_given_up(station)
            }
            15 => {
                let station = self.some_station();
                self.wall_clock_jumps(station);
                Ok(())
            }
            16 => {
                let station = self.some_station();
                self.clock_drifts(station);
                Ok(())
            }
            _ => self.mischief_of_groups(),
        }
    }

    fn mischief_of_nodes(&mut self) -> Held {
        let node = NodeAt(self.dice.below(self.nodes.len() as u64) as usize);
        match self.dice.below(12) {
            0..=2 => self.mischief_of_links(Fault::LinkCut),
            3 => self.mischief_of_links(Fault::LinkSilentToStation),
            4 => self.mischief_of_links(Fault::LinkSilentToAgent),
            5 | 6 => {
                self.counts.fault(Fault::AgentKilled);
                return self.kill_agent(node);
            }
            7 => {
                let until = self.now + self.dice.between(100, 6000) * MS;
                // One pause at a time: what is put off keeps its order.
                if self.nodes[node.0].paused_until <= self.now {
                    self.counts.fault(Fault::AgentPaused);
                    self.nodes[node.0].paused_until = until;
                }
            }
            8 => {
                self.counts.fault(Fault::NodeRebooted);
                return self.node_reboots(node);
            }
            9 => {
                self.counts.fault(Fault::AgentFileLost);
                self.nodes[node.0].memory += 1;
                self.kill_agent(node)?;
                self.nodes[node.0].file.clear();
            }
            _ => self.supervisor_dies(node),
        }
        Ok(())
    }

    pub fn node_reboots(&mut self, node: NodeAt) -> Held {
        self.nodes[node.0].boot += 1;
        self.nodes[node.0].memory += 1;
        self.kill_agent(node)?;
        self.nodes[node.0].host = Host::default();
        Ok(())
    }

    fn mischief_of_links(&mut self, fault: Fault) {
        let Some(id) = self.open_link() else {
            return;
        };
        self.counts.fault(fault);
        trace!(self, "{} ({id:?})", fault.text());
        if fault == Fault::LinkCut {
            return self.cut_link(id);
        }
        if let Some(link) = self.links.get_mut(&id) {
            match fault {
                Fault::LinkSilentToStation => link.silent_to_station = true,
                _ => link.silent_to_agent = true,
            }
        }
    }

    /// What only a group can survive without a stop; one station alone, with one.
    fn mischief_of_groups(&mut self) -> Held {
        let until = self.now + self.dice.between(500, 9000) * MS;
        let several = self.stations.len() > 1;
        match self.dice.below(7) {
            0 => self.pauses(until),
            1 => {
                self.counts.fault(Fault::DiskSlowLong);
                let station = self.some_station();
                trace!(self, "the disk of {} is slow", station.id());
                self.station_mut(station).slow_until = until;
            }
            2 if self.dice.per_mille(400) => return self.power_fails(),
            3 | 4 if several => {
                let (one, other) = (self.some_station(), self.some_station());
                if one != other {
                    self.counts.fault(Fault::CutOneWay);
                    self.cuts_one_way(Place::Station(one), Place::Station(other), until);
                }
            }
            5 if several => self.falls_apart(until),
            6 => {
                self.counts.fault(Fault::CutOneWayToAgent);
                let station = Place::Station(self.some_station());
                let node = NodeAt(self.dice.below(self.nodes.len() as u64) as usize);
                match self.dice.per_mille(500) {
                    true => self.cuts_one_way(station, Place::Node(node), until),
                    false => self.cuts_one_way(Place::Node(node), station, until),
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn pauses(&mut self, until: u64) {
        let station = self.some_station();
        if self.station(station).paused_until <= self.now {
            self.counts.fault(Fault::StationPaused);
            trace!(self, "{} stands still until {until}", station.id());
            self.station_mut(station).paused_until = until;
        }
    }

    /// Two sides that do not hear each other.
    fn falls_apart(&mut self, until: u64) {
        self.counts.fault(Fault::CutBetweenStations);
        let stations: Vec<Place> = self.places().map(Place::Station).collect();
        let nodes = (0..self.nodes.len()).map(NodeAt).map(Place::Node);
        let mut sides = [Vec::new(), Vec::new()];
        for place in stations.into_iter().chain(nodes) {
            sides[self.dice.below(2) as usize].push(place);
        }
        let [here, there] = sides;
        for one in &here {
            for other in &there {
                self.cuts_off(*one, *other, until);
            }
        }
    }

    /// Everything goes out at once.
    pub fn power_fails(&mut self) -> Held {
        self.counts.fault(Fault::StationsKilled);
        trace!(self, "the power fails");
        for station in self.places() {
            self.station_crashes(station, false)?;
        }
        for node in (0..self.nodes.len()).map(NodeAt) {
            self.node_reboots(node)?;
        }
        Ok(())
    }

    /// Nothing is cut any more.
    pub fn heals(&mut self) {
        self.cuts.clear();
    }
}
