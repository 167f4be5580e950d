//! Elections: whether there would be a majority, and who gets it.

use std::collections::BTreeSet;

use mainstay_protocol::{StationId, Term};

use super::{ELECTION_MS_MIN, HEARTBEAT, Lead, MS, Member, Role, Round, Word};
use crate::dice::Dice;
use crate::disk::{Ballot, Point};
use crate::planted::{Bug, is};

impl Member {
    pub(super) fn asks_before(&mut self, now: u64, dice: &mut Dice) {
        if self.is_alone() {
            return self.stands(now, dice);
        }
        self.wait(now, dice);
        self.role = Role::Asks(Round::Before, [self.id].into());
        self.leader = None;
        let ask = Word::Vote {
            round: Round::Before,
            term: self.term().next(),
            last: self.disk.last(),
        };
        let asks = self.others.iter().map(|other| (*other, ask.clone()));
        self.out.extend(asks);
    }

    /// For election.
    fn stands(&mut self, now: u64, dice: &mut Dice) {
        self.wait(now, dice);
        self.role = Role::Asks(Round::Election, BTreeSet::new());
        self.leader = None;
        let term = self.term().next();
        let voted = Some(self.id);
        self.disk.vote(Ballot { term, voted });
        let last = self.disk.last();
        let (round, granted) = (Round::Election, true);
        let own = Word::Voted {
            round,
            term,
            granted,
        };
        self.hold(self.id, own);
        for other in self.others.clone() {
            self.hold(other, Word::Vote { round, term, last });
        }
    }

    /// Of a higher term.
    pub(super) fn learns(&mut self, term: Term, now: u64, dice: &mut Dice) {
        self.disk.vote(Ballot { term, voted: None });
        self.gives_up(now, dice);
    }

    /// A leader was heard lately, or this is one that was.
    fn has_leader(&self, now: u64) -> bool {
        let heard = self.leader.map(|(_, heard)| now.saturating_sub(heard));
        let silence = heard.or(self.silence(now));
        silence.is_some_and(|silence| silence < ELECTION_MS_MIN * MS)
    }

    /// Whether it has all of the log that is here.
    fn is_current(&self, last: Point) -> bool {
        let own = self.disk.last();
        (last.term, last.index) >= (own.term, own.index)
    }

    pub(super) fn asked_before(&mut self, from: StationId, term: Term, last: Point, now: u64) {
        let granted = term > self.term() && self.is_current(last) && !self.has_leader(now);
        let voted = Word::Voted {
            round: Round::Before,
            term: if granted { term } else { self.term() },
            granted,
        };
        self.out.push((from, voted));
    }

    pub(super) fn asked(
        &mut self,
        from: StationId,
        term: Term,
        last: Point,
        now: u64,
        dice: &mut Dice,
    ) {
        if term > self.term() && self.has_leader(now) {
            return;
        }
        if term > self.term() {
            self.learns(term, now, dice);
        }
        let current = self.is_current(last);
        let free = self.disk.ballot.voted.is_none_or(|voted| voted == from);
        let granted = term == self.term() && current && (free || is(Bug::VotesTwice));
        if granted {
            self.wait(now, dice);
            let voted = Some(from);
            self.disk.vote(Ballot { term, voted });
        }
        let voted = Word::Voted {
            round: Round::Election,
            term: self.term(),
            granted,
        };
        self.hold(from, voted);
    }

    pub(super) fn voted(
        &mut self,
        from: StationId,
        (round, term): (Round, Term),
        granted: bool,
        now: u64,
        dice: &mut Dice,
    ) {
        let before = granted && round == Round::Before;
        if term > self.term() && !before {
            return self.learns(term, now, dice);
        }
        let majority = self.majority();
        let sought = match round {
            Round::Before => self.term().next(),
            Round::Election => self.term(),
        };
        let Role::Asks(asked, votes) = &mut self.role else {
            return;
        };
        if !granted || round != *asked || term != sought {
            return;
        }
        votes.insert(from);
        if votes.len() >= majority && before {
            self.stands(now, dice);
        } else if votes.len() >= majority {
            // Who voted has been heard; the others are as good as heard until they would have been.
            let heard = self.others.iter().map(|other| (*other, now)).collect();
            self.role = Role::Leads(Lead {
                heard,
                beats_at: now + HEARTBEAT,
                ..Lead::default()
            });
            self.add(None, now);
        }
    }
}
