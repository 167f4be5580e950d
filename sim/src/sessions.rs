//! Sessions as a station sees them: who introduces himself, who is heard, whose session ended.

use mainstay_coordinator::{Event, GoneWhy, LeaderCore, Monotonic};
use mainstay_protocol::code;
use mainstay_protocol::report::NodeUp;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::session::{AgentMessage, Denied, HeartbeatSeen, StationMessage};
use mainstay_protocol::{NodeId, NodeName};

use crate::link::LinkId;
use crate::station::StationAt;
use crate::trace;
use crate::words;
use crate::world::{Held, World};

impl World {
    pub fn session_of(&self, at: StationAt, node: &NodeName) -> Option<LinkId> {
        self.station(at).sessions.get(node).copied()
    }

    pub fn welcomed_session_of(&self, at: StationAt, node: &NodeName) -> Option<LinkId> {
        self.session_of(at, node)
            .filter(|link| self.station(at).welcomed.contains(link))
    }

    pub fn deny(&mut self, link: LinkId, refusal: Refusal) {
        let denied = Denied {
            code: refusal.code,
            text: refusal.text,
        };
        self.to_agent(link, StationMessage::Denied(denied));
        self.station_closes(link);
    }

    pub fn station_hears(&mut self, id: LinkId, message: AgentMessage) -> Held {
        let Some(link) = self.links.get(&id) else {
            return Ok(());
        };
        let at = link.station;
        let station = &mut self.stations[at.0];
        if !link.station_open || link.silent_to_station || link.station_life != station.life {
            return Ok(());
        }
        let node_at = link.node;
        let node = self.nodes[node_at.0].name.clone();
        let now = Monotonic(station.shows(self.now));
        let Some(core) = station.core.as_mut() else {
            return Ok(());
        };
        if station.welcomed.contains(&id) {
            core.heard(&node, now);
            if core.heard_age(&node, now).is_none() {
                // The core gave this session up as silent: the agent has to introduce itself again.
                trace!(self, "{node} is heard on a session that was given up");
                self.forget_session(at, &node, id);
                self.station_closes(id);
                return Ok(());
            }
        }
        match message {
            AgentMessage::NodeUp(up) => self.introduced(at, id, &node, *up),
            AgentMessage::Reports(reports) => {
                if !self.station(at).welcomed.contains(&id) {
                    return Ok(());
                }
                trace!(self, "{node} reports {}", words::reports(&reports));
                self.counts.reports += reports.reports.len() as u64;
                let event = Event::Reports {
                    node: node.clone(),
                    reports,
                };
                if self.enqueue(at, event, None).is_err() {
                    self.forget_session(at, &node, id);
                    self.station_closes(id);
                }
                self.pump(at)
            }
            AgentMessage::Heartbeat(beat) => {
                let station = self.station(at);
                let core = station.core.as_ref();
                let leadership = core.and_then(LeaderCore::leadership).unwrap_or_default();
                let sure = station.told.is_some() && station.member.surely_leads(now.0);
                let run = self.nodes[node_at.0].agent_run;
                let renews = sure && core.is_some_and(|core| core.renews(&node, run));
                let seen = HeartbeatSeen {
                    leadership,
                    renewed: beat.renews.filter(|_| renews),
                };
                self.to_agent(id, StationMessage::HeartbeatSeen(seen));
                Ok(())
            }
            AgentMessage::Answer { .. }
            | AgentMessage::BulkUp(_)
            | AgentMessage::Renew(_)
            | AgentMessage::Follows(_)
            | AgentMessage::SecretWanted { .. }
            | AgentMessage::ArtifactWanted { .. }
            | AgentMessage::Unsupported { .. } => Ok(()),
        }
    }

    fn introduced(&mut self, at: StationAt, id: LinkId, node: &NodeName, up: NodeUp) -> Held {
        let minted = NodeId(self.dice.uuid());
        let event = Event::NodeUp {
            up: Box::new(up),
            minted,
        };
        match self.enqueue(at, event, None) {
            Ok(()) => {
                trace!(self, "{node} introduces itself to {}", at.id());
                let station = self.station_mut(at);
                if let Some(older) = station.sessions.insert(node.clone(), id)
                    && older != id
                {
                    station.welcomed.remove(&older);
                    self.station_closes(older);
                }
            }
            Err(refusal) => {
                trace!(self, "{node} is denied by {}: {}", at.id(), refusal.code);
                let stations = self.where_to_go(at);
                let knows = !stations.addresses.is_empty() && !self.station(at).member.is_alone();
                if refusal.code == code::NO_QUORUM && knows {
                    self.to_agent(id, StationMessage::Stations(stations));
                }
                self.deny(id, refusal);
            }
        }
        self.pump(at)
    }

    pub fn forget_session(&mut self, at: StationAt, node: &NodeName, id: LinkId) {
        let station = self.station_mut(at);
        station.welcomed.remove(&id);
        if station.sessions.get(node) == Some(&id) {
            station.sessions.remove(node);
        }
    }

    pub fn station_sees_end(&mut self, id: LinkId) -> Held {
        let Some(link) = self.links.get_mut(&id) else {
            return Ok(());
        };
        if !link.station_open {
            return Ok(());
        }
        link.station_open = false;
        let (at, agent_run) = (link.station, link.agent_run);
        let node = self.nodes[link.node.0].name.clone();
        if self.session_of(at, &node) != Some(id) {
            return Ok(());
        }
        self.forget_session(at, &node, id);
        trace!(self, "the station sees the session of {node} end");
        let gone = Event::AgentGone {
            node,
            agent_run: Some(agent_run),
            why: GoneWhy::SessionClosed,
        };
        // Refused only where nobody leads, and then the next leader finds out by itself.
        if self.enqueue(at, gone, None).is_err() {
            return Ok(());
        }
        self.pump(at)
    }
}
