//! Between the stations: words that are lost, late, doubled and overtaken, cuts of one way or both, and what whoever
//! leads tells the coordinator and the agents of the group.

use std::collections::BTreeMap;

use mainstay_coordinator::{Event, StationSeen};
use mainstay_protocol::session::{StationMessage, Stations};
use mainstay_protocol::{StationId, limits};
use mainstay_resource_graph::{StationState, ViewExt};

use crate::fault::Fault;
use crate::happening::{Happening, NodeAt};
use crate::link::LinkId;
use crate::member::Word;
use crate::station::{StationAt, TICK, life_of};
use crate::trace;
use crate::world::{Held, World};

const MS: u64 = 1000;

/// An end of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    Station(StationAt),
    Node(NodeAt),
}

/// Which ways are cut, and until when.
pub type Cuts = BTreeMap<(Place, Place), u64>;

impl World {
    /// Nothing goes from one to the other any more; the other way is as it was.
    pub fn cuts_one_way(&mut self, from: Place, to: Place, until: u64) {
        trace!(self, "cut from {from:?} to {to:?} until {until}");
        let known = self.cuts.entry((from, to)).or_default();
        *known = until.max(*known);
    }

    pub fn cuts_off(&mut self, one: Place, other: Place, until: u64) {
        self.cuts_one_way(one, other, until);
        self.cuts_one_way(other, one, until);
    }

    pub fn is_cut(&self, from: Place, to: Place) -> bool {
        let until = self.cuts.get(&(from, to));
        until.is_some_and(|until| *until > self.now)
    }

    /// What a member has to say sets out.
    pub fn words_go(&mut self, at: StationAt) {
        let from = at.id();
        for (to, word) in std::mem::take(&mut self.station_mut(at).member.out) {
            let ends = (Place::Station(at), Place::Station(StationAt::of(to)));
            if self.is_cut(ends.0, ends.1) {
                continue;
            }
            let mut travel = self.dice.between(200, 3000);
            if !self.calm {
                if self.dice.per_mille(self.plan.word_lost_per_mille) {
                    self.counts.fault(Fault::WordLost);
                    continue;
                }
                if self.dice.per_mille(self.plan.delay_per_mille) {
                    self.counts.fault(Fault::WordDelayed);
                    travel = self.dice.between(50, 5000) * MS;
                }
                if self.dice.per_mille(self.plan.duplicate_per_mille / 8) {
                    self.counts.fault(Fault::WordDoubled);
                    let later = self.now + self.dice.between(1, 3000) * MS;
                    self.sets_out(from, to, word.clone(), later);
                }
            }
            self.sets_out(from, to, word, self.now + travel);
        }
    }

    fn sets_out(&mut self, from: StationId, to: StationId, word: Word, arrives: u64) {
        let station = StationAt::of(to);
        let said = Happening::StationSays {
            station,
            from,
            word: Box::new(word),
        };
        self.queue.put(arrives, said);
    }

    pub fn station_hears_word(&mut self, at: StationAt, from: StationId, word: Word) -> Held {
        let now = self.now;
        let station = &mut self.stations[at.0];
        if station.core.is_none() {
            return Ok(());
        }
        let shows = station.shows(now);
        station.member.hears(from, word, shows, &mut self.dice);
        self.settles(at)
    }

    /// Time passes at a station.
    pub fn ticks(&mut self, at: StationAt, life: u64) -> Held {
        let now = self.now;
        let station = &mut self.stations[at.0];
        if life != station.life || station.core.is_none() {
            return Ok(());
        }
        let shows = station.shows(now);
        station.member.ticks(shows, &mut self.dice);
        // An only member has nothing more to look for, once it leads and has told so.
        station.ticks = false;
        let idle = station.member.is_alone() && station.member.leads();
        if !idle || self.knows_others(at) {
            self.goes_on_ticking(at);
        }
        self.asks_in_vain(at);
        self.settles(at)?;
        self.watches(at)
    }

    pub fn goes_on_ticking(&mut self, at: StationAt) {
        let now = self.now;
        let station = &mut self.stations[at.0];
        if !std::mem::replace(&mut station.ticks, true) {
            let life = station.life;
            self.queue
                .put(now + TICK, Happening::Ticks { station: at, life });
        }
    }

    /// The lead is given up, and the process lives.
    pub fn leadership_is_given_up(&mut self, at: StationAt) -> Held {
        let now = self.now;
        let station = &mut self.stations[at.0];
        if station.core.is_none() || !station.member.leads() {
            return Ok(());
        }
        let shows = station.shows(now);
        station.member.gives_up(shows, &mut self.dice);
        self.goes_on_ticking(at);
        self.settles(at)
    }

    /// Whom this station takes for the leader.
    pub fn leader_known_to(&self, at: StationAt) -> Option<StationAt> {
        let station = self.station(at);
        if station.decides() {
            return Some(at);
        }
        let leader = station.member.leader(station.shows(self.now))?;
        Some(StationAt::of(leader))
    }

    /// Who is in the group and who is heard goes to the coordinator as one event, where to go to the agents.
    fn watches(&mut self, at: StationAt) -> Held {
        let alone = self.station(at).member.is_alone() && !self.knows_others(at);
        if alone || self.station(at).core.is_none() {
            return Ok(());
        }
        let told = self.where_to_go(at);
        if told != self.station(at).agents_told {
            self.station_mut(at).agents_told = told.clone();
            let links: Vec<LinkId> = self.station(at).welcomed.iter().copied().collect();
            for link in links {
                self.to_agent(link, StationMessage::Stations(told.clone()));
            }
        }
        if !self.station(at).decides() {
            return Ok(());
        }
        let group = self.seen_from(at);
        if group == self.station(at).seen {
            return Ok(());
        }
        if self
            .enqueue(at, Event::Stations(group.clone()), None)
            .is_ok()
        {
            self.station_mut(at).seen = group;
        }
        self.pump(at)
    }

    /// Whether its graph has others that are not removed.
    fn knows_others(&self, at: StationAt) -> bool {
        let Some(core) = self.station(at).core.as_ref() else {
            return false;
        };
        let graph = core.graph();
        let mut stations = graph.stations().into_iter();
        stations.any(|(id, other)| id != at.id() && other.state != StationState::Removed)
    }

    pub fn where_to_go(&self, at: StationAt) -> Stations {
        let address = |one: StationId| (one, format!("sim:{one}"));
        let group = self.station(at).member.disk.group();
        Stations {
            leader: self.leader_known_to(at).map(StationAt::id),
            addresses: group.members().map(address).collect(),
        }
    }

    fn seen_from(&self, at: StationAt) -> BTreeMap<StationId, StationSeen> {
        let station = self.station(at);
        let now = station.shows(self.now);
        let group = station.member.disk.group();
        let heard = |one: StationAt| {
            one == at
                || station
                    .member
                    .heard_within(one.id(), limits::STATION_SILENCE_MS * MS, now)
        };
        let seen = |one: StationAt| {
            let other = self.station(one);
            let seen = StationSeen {
                address: other.config.found.address.clone(),
                votes: group.voters.contains(&one.id()),
                heard: Some(heard(one)),
                life: (heard(one) && other.core.is_some()).then(|| life_of(one.id(), other.life)),
            };
            (one.id(), seen)
        };
        group.members().map(StationAt::of).map(seen).collect()
    }
}
