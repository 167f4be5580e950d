//! A station as a member of its group: the small model of consensus that the simulator puts in the place of openraft,
//! with its ways to fail and none of its speed. Scaffolding of tests: no product runs it.
//!
//! ```text
//!            time is up     a majority would, then does vote
//!   Follows ------------> Asks ------------------------------> Leads
//!      ^  heard of a leader |                                    |
//!      +--------------------+----- heard of a higher term -------+
//! ```
//!
//! What must hold:
//! - A vote, and the word that a slot is kept, leave only once they are synced: they wait in `held`.
//! - Only a slot of its own term is committed by a leader's counting, and what is before it with it.
//! - Who heard a leader lately takes no part in an election, so that a station that is cut off one way unseats nobody;
//!   unless that leader hands over.
//! - Who is in the group is what the log last says of it, committed or not. It changes by one station at a time (`change`).

mod change;
mod election;

pub use change::Outcome;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use mainstay_coordinator::Entry;
use mainstay_protocol::{StationId, Term, limits};

use crate::dice::Dice;
use crate::disk::{Disk, Point, Says, Slot, Snapshot};
use crate::membership::Membership;
use crate::planted::{Bug, is};

const MS: u64 = 1000;
const HEARTBEAT: u64 = 250 * MS;
const ELECTION_MS_MIN: u64 = 1000;
const ELECTION_MS_MAX: u64 = 2000;
/// In one word.
const SLOTS_MAX: usize = 64;

/// What stations say to each other.
#[derive(Debug, Clone)]
pub enum Word {
    Vote {
        round: Round,
        term: Term,
        last: Point,
    },
    Voted {
        round: Round,
        term: Term,
        granted: bool,
    },
    Append {
        term: Term,
        behind: Point,
        slots: Vec<Slot>,
        commit: u64,
        /// By the clock of who sends it; comes back with the answer.
        sent: u64,
    },
    Install {
        term: Term,
        snapshot: Snapshot,
        sent: u64,
    },
    /// How far it has the log, synced; or where it might agree.
    Appended {
        term: Term,
        reached: Result<u64, u64>,
        sent: u64,
    },
    /// Whoever leads by this term wants the one that hears this to lead.
    Lead { term: Term },
}

/// Before it stands for election, a station asks whether there would be a majority: one that is cut off does not raise its
/// term, and unseats nobody when it is back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    Before,
    Election,
    /// An election that the leader itself asked for: that it was heard lately holds nobody back.
    Handed,
}

#[derive(Debug)]
pub enum Role {
    Follows,
    /// Who voted for it in this round.
    Asks(Round, BTreeSet<StationId>),
    Leads(Lead),
}

/// What only who leads knows of the others.
#[derive(Debug, Default)]
pub struct Lead {
    /// Whose votes made it lead.
    pub by: BTreeSet<StationId>,
    next: BTreeMap<StationId, u64>,
    reached: BTreeMap<StationId, u64>,
    /// When the newest word that each answered was sent.
    pub heard: BTreeMap<StationId, u64>,
    beats_at: u64,
}

#[derive(Debug)]
pub struct Member {
    pub id: StationId,
    pub disk: Disk,
    pub role: Role,
    pub commit: u64,
    pub applied: u64,
    /// The newest term whose first slot is applied.
    pub began: Term,
    /// Who leads, and when it was heard last.
    leader: Option<(StationId, u64)>,
    elects_at: u64,
    /// Words that wait until the file is synced up to here; some are for itself.
    held: VecDeque<(usize, StationId, Word)>,
    /// Words that may go.
    pub out: Vec<(StationId, Word)>,
}

impl Member {
    pub fn new(id: StationId, group: Membership) -> Self {
        Self {
            id,
            disk: Disk::founded(group),
            role: Role::Follows,
            commit: 0,
            applied: 0,
            began: Term(0),
            leader: None,
            elects_at: u64::MAX,
            held: VecDeque::new(),
            out: Vec::new(),
        }
    }

    pub fn is_alone(&self) -> bool {
        self.votes_alone() && self.others().is_empty()
    }

    /// Its own vote is a majority.
    fn votes_alone(&self) -> bool {
        let voters = &self.disk.group().voters;
        voters.len() == 1 && voters.contains(&self.id)
    }

    /// Whom it sends what it has: who is in the group, and who leaves it as long as that is not committed.
    pub fn others(&self) -> Vec<StationId> {
        let staying = self.disk.group().members();
        let leaving = self.disk.group_at(self.commit).members();
        let all: BTreeSet<StationId> = staying.chain(leaving).collect();
        all.into_iter().filter(|one| *one != self.id).collect()
    }

    pub fn majority(&self) -> usize {
        self.disk.group().majority()
    }

    /// Another life of the process: what it knows is on disk. Says whether the file's end was torn.
    pub fn starts(&mut self, now: u64, dice: &mut Dice) -> bool {
        let torn = self.disk.open();
        let disk = std::mem::take(&mut self.disk);
        let id = self.id;
        *self = Self {
            disk,
            ..Self::new(id, Membership::default())
        };
        // An only one need not wait: there is no leader that it could not have heard of.
        let least = if self.is_alone() { 1 } else { ELECTION_MS_MIN };
        self.elects_at = now + dice.between(least, least + 300) * MS;
        if !self.is_alone() {
            self.wait(now, dice);
        }
        torn
    }

    /// It stands where this state is.
    pub fn stands_at(&mut self, point: Point) {
        self.applied = point.index;
        self.commit = self.commit.max(point.index);
        self.began = self.began.max(point.term);
    }

    pub fn term(&self) -> Term {
        self.disk.ballot.term
    }

    pub fn leads(&self) -> bool {
        matches!(self.role, Role::Leads(_))
    }

    /// Who leads, if it was heard within the limit.
    pub fn leader(&self, now: u64) -> Option<StationId> {
        let limit = limits::STATION_SILENCE_MS * MS;
        let (leader, heard) = self.leader?;
        (now.saturating_sub(heard) < limit).then_some(leader)
    }

    /// Of a leader: how long a majority has been silent.
    pub fn silence(&self, now: u64) -> Option<u64> {
        let Role::Leads(lead) = &self.role else {
            return None;
        };
        let voters = self.disk.group().voters.iter();
        let others = voters.filter(|voter| **voter != self.id);
        let when = |other: &StationId| lead.heard.get(other).copied().unwrap_or_default();
        let mut heard: Vec<u64> = others.map(when).collect();
        heard.push(now);
        heard.sort_unstable_by(|one, other| other.cmp(one));
        let oldest = heard.get(self.majority() - 1).copied().unwrap_or_default();
        Some(now.saturating_sub(oldest))
    }

    /// Nobody else can have begun to lead by now: who heard this one elects nobody, by a clock that may be a little fast.
    pub fn surely_leads(&self, now: u64) -> bool {
        let silence = self.silence(now);
        silence.is_some_and(|silence| silence < ELECTION_MS_MIN * MS / 5 * 4)
    }

    pub fn heard_within(&self, other: StationId, span: u64, now: u64) -> bool {
        let Role::Leads(lead) = &self.role else {
            return false;
        };
        let heard = lead.heard.get(&other);
        heard.is_some_and(|heard| now.saturating_sub(*heard) < span)
    }

    fn wait(&mut self, now: u64, dice: &mut Dice) {
        self.elects_at = now + dice.between(ELECTION_MS_MIN, ELECTION_MS_MAX) * MS;
    }

    fn hold(&mut self, to: StationId, word: Word) {
        self.held.push_back((self.disk.end(), to, word));
    }

    pub fn ticks(&mut self, now: u64, dice: &mut Dice) {
        match &mut self.role {
            Role::Leads(lead) if now >= lead.beats_at => {
                lead.beats_at = now + HEARTBEAT;
                for other in self.others() {
                    self.append_to(other, now);
                }
            }
            Role::Leads(_) => {}
            Role::Follows | Role::Asks(..) if now >= self.elects_at => self.asks_before(now, dice),
            Role::Follows | Role::Asks(..) => {}
        }
    }

    /// The lead is given up; another election follows.
    pub fn gives_up(&mut self, now: u64, dice: &mut Dice) {
        self.role = Role::Follows;
        self.leader = None;
        self.wait(now, dice);
    }

    /// None: it does not lead, and takes nothing.
    pub fn propose(&mut self, entry: Entry, now: u64) -> Option<()> {
        self.leads()
            .then(|| self.add(Says::Entry(Arc::new(entry)), now))
    }

    fn add(&mut self, says: Says, now: u64) {
        let term = self.term();
        let index = self.disk.last().index + 1;
        self.disk.put(index, Slot { term, says });
        let kept = Word::Appended {
            term,
            reached: Ok(index),
            sent: now,
        };
        self.hold(self.id, kept);
        for other in self.others() {
            self.append_to(other, now);
        }
    }

    fn append_to(&mut self, to: StationId, now: u64) {
        let (term, last) = (self.term(), self.last_for(to));
        let Role::Leads(lead) = &mut self.role else {
            return;
        };
        let next = lead.next.entry(to).or_insert(last + 1);
        let from = *next;
        let Some(behind) = self.disk.term_at(from - 1) else {
            let snapshot = self
                .disk
                .snapshot()
                .cloned()
                .expect("the log was cut off at it");
            *next = snapshot.point.index + 1;
            let sent = now;
            self.out.push((
                to,
                Word::Install {
                    term,
                    snapshot,
                    sent,
                },
            ));
            return;
        };
        let slots = (from..=last).take(SLOTS_MAX);
        let slots: Vec<Slot> = slots
            .filter_map(|index| self.disk.slot(index).cloned())
            .collect();
        *next = from + slots.len() as u64;
        let append = Word::Append {
            term,
            behind: Point {
                index: from - 1,
                term: behind,
            },
            slots,
            commit: self.commit,
            sent: now,
        };
        self.out.push((to, append));
    }

    /// Who is to leave does not hear of it before it is committed: with more of the log than the others it would refuse them
    /// its vote, and they may need it, while it stands for nothing itself.
    fn last_for(&self, to: StationId) -> u64 {
        let last = self.disk.last().index;
        match self.disk.group().knows(to) {
            true => last,
            false => self
                .commit
                .max(self.disk.group_index().saturating_sub(1))
                .min(last),
        }
    }

    /// What is synced may be said.
    pub fn synced(&mut self, now: u64, dice: &mut Dice) {
        while let Some((end, _, _)) = self.held.front()
            && *end <= self.disk.synced()
            && let Some((_, to, word)) = self.held.pop_front()
        {
            match to == self.id {
                true => self.hears(to, word, now, dice),
                false => self.out.push((to, word)),
            }
        }
    }

    pub fn hears(&mut self, from: StationId, word: Word, now: u64, dice: &mut Dice) {
        match word {
            Word::Vote { round, term, last } => match round {
                Round::Before => self.asked_before(from, term, last, now),
                Round::Election | Round::Handed => {
                    self.asked(from, (round, term), last, now, dice);
                }
            },
            Word::Voted {
                round,
                term,
                granted,
            } => self.voted(from, (round, term), granted, now, dice),
            Word::Append {
                term,
                behind,
                slots,
                commit,
                sent,
            } => {
                if self.follows(from, term, now, dice) {
                    let reached = self.appends(behind, slots, commit);
                    self.answer(from, reached, sent);
                } else {
                    self.refuse(from, sent);
                }
            }
            Word::Install {
                term,
                snapshot,
                sent,
            } => {
                if self.follows(from, term, now, dice) {
                    let reached = self.installs(snapshot);
                    self.answer(from, Ok(reached), sent);
                } else {
                    self.refuse(from, sent);
                }
            }
            Word::Appended {
                term,
                reached,
                sent,
            } => {
                if term > self.term() {
                    return self.learns(term, now, dice);
                }
                if term == self.term() {
                    self.appended(from, reached, sent, now);
                }
            }
            Word::Lead { term } => {
                if term == self.term() && !self.leads() && self.has_a_vote() {
                    self.stands(Round::Handed, now, dice);
                }
            }
        }
    }

    /// Whether this is its leader from now on.
    fn follows(&mut self, from: StationId, term: Term, now: u64, dice: &mut Dice) -> bool {
        if term < self.term() {
            return false;
        }
        if term > self.term() {
            self.learns(term, now, dice);
        }
        self.role = Role::Follows;
        self.leader = Some((from, now));
        self.wait(now, dice);
        true
    }

    fn refuse(&mut self, to: StationId, sent: u64) {
        let term = self.term();
        let reached = Err(0);
        self.out.push((
            to,
            Word::Appended {
                term,
                reached,
                sent,
            },
        ));
    }

    /// It is still there is said at once; that it keeps something, once it does.
    fn answer(&mut self, to: StationId, reached: Result<u64, u64>, sent: u64) {
        let term = self.term();
        let now = match reached {
            Ok(index) if !is(Bug::AcknowledgesUnsynced) => Ok(index.min(self.disk.last_synced())),
            other => other,
        };
        self.out.push((
            to,
            Word::Appended {
                term,
                reached: now,
                sent,
            },
        ));
        if now != reached {
            self.hold(
                to,
                Word::Appended {
                    term,
                    reached,
                    sent,
                },
            );
        }
    }

    fn appends(&mut self, behind: Point, slots: Vec<Slot>, commit: u64) -> Result<u64, u64> {
        let first = self.disk.first();
        let in_snapshot = behind.index + 1 < first;
        if !in_snapshot && self.disk.term_at(behind.index) != Some(behind.term) {
            return Err(self.disk.last().index.min(behind.index.saturating_sub(1)));
        }
        let reached = behind.index + slots.len() as u64;
        for (index, slot) in (behind.index + 1..).zip(slots) {
            if index >= first && self.disk.term_at(index) != Some(slot.term) {
                self.disk.put(index, slot);
            }
        }
        let commit = if is(Bug::AppliesUncommitted) {
            reached
        } else {
            commit
        };
        self.commit = self.commit.max(commit.min(reached));
        Ok(reached.max(first - 1))
    }

    fn installs(&mut self, snapshot: Snapshot) -> u64 {
        let index = snapshot.point.index;
        if index > self.commit {
            self.disk.install(snapshot);
            self.commit = index;
            // The whole file was synced with it.
            for (end, _, _) in &mut self.held {
                *end = 0;
            }
        }
        index
    }

    fn appended(&mut self, from: StationId, reached: Result<u64, u64>, sent: u64, now: u64) {
        let (last, own) = (self.disk.last().index, from == self.id);
        let Role::Leads(lead) = &mut self.role else {
            return;
        };
        if !own {
            let heard = lead.heard.entry(from).or_default();
            *heard = sent.max(*heard);
        }
        let next = lead.next.entry(from).or_insert(last + 1);
        let more = match reached {
            Ok(index) => {
                let known = lead.reached.entry(from).or_default();
                *known = index.max(*known);
                *next = (index + 1).max(*next);
                *next <= last
            }
            Err(hint) => {
                *next = (hint + 1).min(*next).max(1);
                true
            }
        };
        self.counts(now);
        if more && !own {
            self.append_to(from, now);
        }
    }

    /// What a majority keeps. Who left with it is told, once.
    fn counts(&mut self, now: u64) {
        let before = self.others();
        let group = self.disk.group();
        let Role::Leads(lead) = &self.role else {
            return;
        };
        let counts = |id: &StationId| match is(Bug::LearnersCount) {
            true => group.knows(*id),
            false => group.voters.contains(id),
        };
        let reached = lead.reached.iter().filter(|(id, _)| counts(id));
        let mut reached: Vec<u64> = reached.map(|(_, reached)| *reached).collect();
        reached.sort_unstable_by(|one, other| other.cmp(one));
        let kept = reached
            .get(self.majority() - 1)
            .copied()
            .unwrap_or_default();
        if kept > self.commit && self.disk.term_at(kept) == Some(self.term()) {
            self.commit = kept;
        }
        let others = self.others();
        for gone in before.into_iter().filter(|one| !others.contains(one)) {
            self.append_to(gone, now);
        }
    }
}
