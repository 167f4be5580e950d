//! Elections: whether there would be a majority, and who gets it.

use std::collections::BTreeSet;

use mainstay_protocol::{StationId, Term};

use super::{ELECTION_MS_MIN, HEARTBEAT, Lead, MS, Member, Role, Round, Word};
use crate::dice::Dice;
use crate::disk::{Ballot, Point, Says};
use crate::planted::{Bug, is};

impl Member {
    pub(super) fn asks_before(&mut self, now: u64, dice: &mut Dice) {
        if self.votes_alone() {
            return self.stands(Round::Election, now, dice);
        }
        self.wait(now, dice);
        if !self.has_a_vote() {
            return;
        }
        self.role = Role::Asks(Round::Before, [self.id].into());
        self.leader = None;
        let ask = Word::Vote {
            round: Round::Before,
            term: self.term().next(),
            last: self.disk.last(),
        };
        let asks = self.electors().into_iter();
        self.out.extend(asks.map(|other| (other, ask.clone())));
    }

    /// Its own vote counts. Who has none by the newest group that it has does not stand; who is to leave has that late
    /// (`last_for`).
    pub(super) fn has_a_vote(&self) -> bool {
        self.disk.group().voters.contains(&self.id)
    }

    /// Who is asked for a vote.
    fn electors(&self) -> Vec<StationId> {
        let all = match is(Bug::RemovedVote) {
            true => self.disk.ever(),
            false => self.disk.group().voters.clone(),
        };
        all.into_iter().filter(|one| *one != self.id).collect()
    }

    /// Who was removed, and knows that it is committed, votes for nobody. Who learns may be asked: it may be a voter by what
    /// has not reached it yet.
    fn has_a_say(&self) -> bool {
        let committed = self.disk.group_at(self.commit);
        let in_group = self.disk.group().knows(self.id) || committed.knows(self.id);
        in_group || is(Bug::RemovedVote)
    }

    /// For election.
    pub(super) fn stands(&mut self, round: Round, now: u64, dice: &mut Dice) {
        self.wait(now, dice);
        self.role = Role::Asks(round, BTreeSet::new());
        self.leader = None;
        let term = self.term().next();
        let voted = Some(self.id);
        self.disk.vote(Ballot { term, voted });
        let last = self.disk.last();
        let own = Word::Voted {
            round,
            term,
            granted: true,
        };
        self.hold(self.id, own);
        for other in self.electors() {
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
        let free = self.has_a_say() && !self.has_leader(now);
        let granted = term > self.term() && self.is_current(last) && free;
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
        (round, term): (Round, Term),
        last: Point,
        now: u64,
        dice: &mut Dice,
    ) {
        let held_back = round != Round::Handed && self.has_leader(now);
        if (term > self.term() && held_back) || !self.has_a_say() {
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
            round,
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
        let sought = match round {
            Round::Before => self.term().next(),
            Round::Election | Round::Handed => self.term(),
        };
        let group = self.disk.group();
        let Role::Asks(asked, votes) = &mut self.role else {
            return;
        };
        let counts = group.voters.contains(&from) || is(Bug::RemovedVote);
        if !granted || round != *asked || term != sought || !counts {
            return;
        }
        votes.insert(from);
        if votes.len() < group.majority() {
            return;
        }
        if before {
            return self.stands(Round::Election, now, dice);
        }
        let by = std::mem::take(votes);
        // Who voted has been heard; the others are as good as heard until they would have been.
        let heard = self.others().into_iter().map(|other| (other, now));
        self.role = Role::Leads(Lead {
            by,
            heard: heard.collect(),
            beats_at: now + HEARTBEAT,
            ..Lead::default()
        });
        self.add(Says::Begin, now);
    }
}
