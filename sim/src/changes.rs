//! People who want the group of stations to be another: each asks whoever leads for one station more or less, again and
//! again until it is told that it is so. Several may want something at once; in what order it comes about is the group's.
//!
//! Its dice are its own: where nobody wants another group, a seed's course is what it would be without them.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::StationId;
use mainstay_resource_graph::{StationState, ViewExt};

use crate::dice::Dice;
use crate::fault::Fault;
use crate::group::Place;
use crate::happening::Happening;
use crate::invariant::Violation;
use crate::member::{Outcome, Role};
use crate::membership::{Change, Membership};
use crate::plan::Growth;
use crate::station::{Station, StationAt};
use crate::trace;
use crate::world::{Held, World};

const MS: u64 = 1000;

#[derive(Debug)]
pub struct Changes {
    dice: Dice,
    given: u64,
    /// Asked for, and not told that it is so.
    pub waiting: BTreeMap<u64, Change>,
    /// What was told, in its order.
    pub made: Vec<Change>,
}

impl Changes {
    pub fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed ^ 0x6368_616e_6765_7321),
            given: 0,
            waiting: BTreeMap::new(),
            made: Vec::new(),
        }
    }
}

impl World {
    /// A station that nobody has asked for anything, and that knows nobody. Its number is nobody else's, ever.
    pub fn station_comes(&mut self) -> StationAt {
        let at = StationAt(self.stations.len());
        let cluster = self.stations[0].config.found.cluster.0;
        let station = Station::new(&self.plan, cluster, at.id(), Membership::default());
        self.stations.push(station);
        self.queue.put(self.now, Happening::StationStarts(at));
        at
    }

    /// Somebody wants this from now on, until he is told that it is so.
    pub fn wants(&mut self, change: Change) -> u64 {
        trace!(self, "somebody wants the group to {change:?}");
        self.oracle.wants(change);
        self.changes.given += 1;
        let number = self.changes.given;
        self.changes.waiting.insert(number, change);
        self.queue.put(self.now, Happening::ChangeAsked { number });
        number
    }

    pub fn change_is_wanted(&mut self, wish: Growth) -> Held {
        if self.calm {
            return Ok(());
        }
        match wish {
            Growth::Grow => {
                let station = self.station_comes();
                self.wants(Change::Add(station.id()));
            }
            Growth::Shrink => match self.who_may_go() {
                Some(id) => {
                    self.wants(Change::Remove(id));
                }
                // Those that are to come have not come yet.
                None => {
                    let later = self.now + 1000 * MS;
                    self.queue.put(later, Happening::ChangeWanted(wish));
                }
            },
        }
        Ok(())
    }

    /// One that is wanted as things are; of the founders one always stays, so that whoever was away finds somebody. More often
    /// than another it is the one that leads.
    fn who_may_go(&mut self) -> Option<StationId> {
        let stays = StationAt((self.plan.seed % self.plan.stations as u64) as usize).id();
        let mut wanted = self.group_as_told();
        wanted.remove(&stays);
        for change in self.changes.waiting.values() {
            wanted.remove(&change.station());
        }
        let leader = self.decider().map(StationAt::id);
        let leader = leader.filter(|leader| wanted.contains(leader));
        let wanted: Vec<StationId> = wanted.into_iter().collect();
        let any = self.changes.dice.pick(&wanted).copied();
        match self.changes.dice.per_mille(400) {
            true => leader.or(any),
            false => any,
        }
    }

    /// Who votes, by what people were told.
    pub fn group_as_told(&self) -> BTreeSet<StationId> {
        let mut group: BTreeSet<StationId> = (0..self.plan.stations)
            .map(|at| StationAt(at).id())
            .collect();
        for change in &self.changes.made {
            match change {
                Change::Add(id) => group.insert(*id),
                Change::Remove(id) => group.remove(id),
            };
        }
        group
    }

    pub fn change_is_asked(&mut self, number: u64) -> Held {
        let Some(change) = self.changes.waiting.get(&number).copied() else {
            return Ok(());
        };
        let asked = self.whom_to_ask();
        let made = match asked {
            Some(at) => self.asked_to_change(at, change)?,
            None => false,
        };
        let lost = !self.calm && self.changes.dice.per_mille(100);
        if made && !lost {
            trace!(self, "somebody is told that it is so: {change:?}");
            self.counts.fault(match change {
                Change::Add(_) => Fault::StationAdded,
                Change::Remove(_) => Fault::StationRemoved,
            });
            self.changes.waiting.remove(&number);
            self.changes.made.push(change);
            return Ok(());
        }
        let later = self.now + self.changes.dice.between(200, 1200) * MS;
        self.queue.put(later, Happening::ChangeAsked { number });
        Ok(())
    }

    /// Whoever leads, as any station that is asked knows it, if there is a way there and back.
    fn whom_to_ask(&mut self) -> Option<StationAt> {
        let asked = StationAt(self.changes.dice.below(self.stations.len() as u64) as usize);
        let is_there = |at: StationAt| {
            let station = self.station(at);
            station.core.is_some() && station.paused_until <= self.now
        };
        let leader = self.leader_known_to(asked).filter(|_| is_there(asked))?;
        let (here, there) = (Place::Station(asked), Place::Station(leader));
        let cut = self.is_cut(here, there) || self.is_cut(there, here);
        (is_there(leader) && !cut).then_some(leader)
    }

    /// Whether it can be told that it is so.
    pub fn asked_to_change(&mut self, at: StationAt, change: Change) -> Result<bool, Violation> {
        let now = self.now;
        let station = &mut self.stations[at.0];
        let (former, term) = (station.member.disk.group_index(), station.member.term());
        let shows = station.shows(now);
        match station.member.changes(change, shows) {
            Outcome::Made => self.is_shown(at, change),
            Outcome::Begun => {
                trace!(self, "{} puts {change:?} forward", at.id());
                self.oracle.begins_to_change(at.id(), former, term)?;
                self.goes_on_ticking(at);
                self.misfortune_of_changes(at)?;
                self.settles_if_alive(at)?;
                Ok(false)
            }
            Outcome::HandsOver => {
                trace!(self, "{} is to go and hands over", at.id());
                self.counts.fault(Fault::LeaderRemoved);
                self.words_go(at);
                Ok(false)
            }
            Outcome::Waits => {
                self.counts.fault(Fault::ChangeWaits);
                Ok(false)
            }
            Outcome::Refused => {
                self.counts.fault(Fault::RemovalRefused);
                Ok(false)
            }
            Outcome::NotHere => Ok(false),
        }
    }

    /// Nobody is told before the graph says so too.
    fn is_shown(&mut self, at: StationAt, change: Change) -> Result<bool, Violation> {
        let station = self.station(at);
        let Some(core) = station.core.as_ref().filter(|_| station.decides()) else {
            return Ok(false);
        };
        let state = core.graph().station(change.station());
        let state = state.map(|station| station.state);
        let shown = match change {
            Change::Add(_) => !matches!(
                state,
                None | Some(StationState::Joining | StationState::Removed)
            ),
            Change::Remove(_) => state == Some(StationState::Removed),
        };
        if shown {
            self.oracle.is_told(change)?;
        }
        Ok(shown)
    }

    fn settles_if_alive(&mut self, at: StationAt) -> Held {
        match self.station(at).core.is_some() {
            true => self.settles(at),
            false => Ok(()),
        }
    }

    /// Nobody but the leader has the change yet: it dies, or is cut off for longer than an election takes.
    fn misfortune_of_changes(&mut self, at: StationAt) -> Held {
        if self.calm {
            return Ok(());
        }
        let chance = self.changes.dice.below(1000);
        if chance < 120 {
            self.counts.fault(Fault::ChangeCutOff);
            let until = self.now + self.changes.dice.between(3000, 7000) * MS;
            for other in self.places().filter(|other| *other != at) {
                self.cuts_off(Place::Station(at), Place::Station(other), until);
            }
        } else if chance < 180 {
            self.counts.fault(Fault::ChangeCutOff);
            return self.station_crashes(at, false);
        }
        Ok(())
    }

    /// Whoever was removed and does not know it goes on asking for votes.
    pub fn asks_in_vain(&mut self, at: StationAt) {
        let asks = matches!(self.station(at).member.role, Role::Asks(..));
        if asks && self.oracle.is_removed(at.id()) {
            self.counts.fault(Fault::RemovedAsks);
        }
    }
}
