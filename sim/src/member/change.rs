//! Changes of the group, by whoever leads: one station at a time, each by a slot of the log. Each may be asked for again
//! and again; what is not made yet is begun, goes one step on, or waits.
//!
//! A change begins only where the one before it is committed, and something of the leader's own term with it: two majorities
//! that are further apart than one station need not meet, and two leaders that each begin one do not know of each other.
//!
//! A product's group changes its voters by way of both groups at once, which is its consensus library's: that is proved by
//! the library's own suite and by real processes (`under_load`). What is judged here is what the coordinator, the graph and
//! those who asked make of a group that changes.

use mainstay_protocol::{StationId, limits};

use super::{MS, Member, Role, Says, Word};
use crate::membership::{Change, Membership, Part};
use crate::planted::{Bug, is};

/// A learner votes once no more than this is missing.
const MISSING_MAX: u64 = 16;
/// Whoever answered within this is there.
const HEARD_WITHIN: u64 = limits::STATION_SILENCE_MS / 2 * MS;

/// What a leader makes of a change that it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is so, and committed.
    Made,
    /// A slot of the log says it now, or says the first half of it.
    Begun,
    /// For the change before, for its own, for the first slot of the term, or for the log to be caught up.
    Waits,
    /// Those that are left would be no majority.
    Refused,
    /// It is itself to go: another is to lead.
    HandsOver,
    /// Another leads, or nobody.
    NotHere,
}

impl Member {
    pub fn changes(&mut self, change: Change, now: u64) -> Outcome {
        if !self.leads() {
            return Outcome::NotHere;
        }
        let id = change.station();
        let committed = self.disk.group_at(self.commit).part(id);
        let latest = self.disk.group().part(id);
        let next = match (change, latest) {
            (Change::Add(_), Part::Votes) | (Change::Remove(_), Part::None) => {
                return match committed == latest {
                    true => Outcome::Made,
                    false => Outcome::Waits,
                };
            }
            (Change::Add(_), Part::None) => Part::Learns,
            (Change::Add(_), Part::Learns) if self.has_caught_up(id, now) => Part::Votes,
            (Change::Add(_), Part::Learns) => return Outcome::Waits,
            (Change::Remove(_), Part::Votes) if self.would_stop_without(id, now) => {
                return Outcome::Refused;
            }
            (Change::Remove(_), Part::Learns | Part::Votes) => Part::None,
        };
        if !self.may_change() {
            return Outcome::Waits;
        }
        if next == Part::None && id == self.id {
            return self.hands_over(now);
        }
        let group = self.disk.group().with(id, next);
        self.changes_to(group, now);
        Outcome::Begun
    }

    fn changes_to(&mut self, group: Membership, now: u64) {
        self.add(Says::Group(group), now);
        // Of those that are left fewer may be needed for what is already there.
        self.counts(now);
    }

    fn may_change(&self) -> bool {
        let made = self.disk.group_index() <= self.commit || is(Bug::ChangesOverAChange);
        let own = self.disk.term_at(self.commit) == Some(self.term());
        made && (own || is(Bug::ChangesBeforeItsTerm))
    }

    fn has_caught_up(&self, id: StationId, now: u64) -> bool {
        let Role::Leads(lead) = &self.role else {
            return false;
        };
        let reached = lead.reached.get(&id).copied().unwrap_or_default();
        let enough = reached + MISSING_MAX >= self.disk.last().index && reached > 0;
        enough && self.heard_within(id, HEARD_WITHIN, now)
    }

    fn would_stop_without(&self, id: StationId, now: u64) -> bool {
        let left = self.disk.group().with(id, Part::None);
        let is_there =
            |one: &&StationId| **one == self.id || self.heard_within(**one, HEARD_WITHIN, now);
        left.voters.iter().filter(is_there).count() < left.majority()
    }

    /// To the first that is there and has all of the log.
    fn hands_over(&mut self, now: u64) -> Outcome {
        let Role::Leads(lead) = &self.role else {
            return Outcome::NotHere;
        };
        let last = self.disk.last().index;
        let is_fit = |one: &&StationId| {
            let reached = lead.reached.get(*one).copied().unwrap_or_default();
            **one != self.id && reached == last && self.heard_within(**one, HEARD_WITHIN, now)
        };
        let heir = self.disk.group().voters.iter().find(is_fit).copied();
        let Some(heir) = heir else {
            return Outcome::Refused;
        };
        let term = self.term();
        self.out.push((heir, Word::Lead { term }));
        Outcome::HandsOver
    }
}
