//! What stands between a station's log and its leader core, as the station's recovery supervisor and driver do: the core
//! is told of what is committed, coordinates from the term's first entry on, and ends with leadership.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use mainstay_coordinator::{
    Effect, Entry, Event, LeaderCore, Log, LogEvent, Monotonic, ProposalId, Ticket,
};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::session::{Acknowledged, StationMessage, Welcome};
use mainstay_protocol::{NodeName, StationId, Term, code, limits};
use mainstay_resource_graph::Graph;

use crate::disk::{Point, Says, Slot};
use crate::fault::Fault;
use crate::happening::Happening;
use crate::link::LinkId;
use crate::matrix::{Moment, Victim};
use crate::member::Role;
use crate::membership::Membership;
use crate::planted::{Bug, is};
use crate::rules;
use crate::station::StationAt;
use crate::trace;
use crate::words;
use crate::world::{Held, World};

const MS: u64 = 1000;
/// Slots between two snapshots.
const SNAPSHOT_SLOTS: u64 = 64;
/// A wake-up this late is no jitter: the process itself stood still.
const PAUSE_NOTICED: u64 = 500 * MS;

/// What a core puts forward, until the world takes it.
#[derive(Debug, Default)]
struct Proposals(VecDeque<Entry>);

impl Log for Proposals {
    fn propose(&mut self, entry: Entry) {
        self.0.push_back(entry);
    }
}

impl World {
    pub fn monotonic(&self, at: StationAt) -> Monotonic {
        Monotonic(self.station(at).shows(self.now))
    }

    /// Whatever changed in a member has its consequences: syncs, words, entries, leadership, another batch.
    pub fn settles(&mut self, at: StationAt) -> Held {
        let life = self.station(at).life;
        self.counted(at)?;
        self.wrote(at)?;
        self.words_go(at);
        self.applies(at, life)?;
        if life != self.station(at).life {
            return Ok(());
        }
        self.leads_or_not(at)?;
        self.pump(at)
    }

    /// What a leader takes for committed is kept by a majority of its group.
    fn counted(&mut self, at: StationAt) -> Held {
        let station = &mut self.stations[at.0];
        let fell_back = std::mem::take(&mut station.member.disk.fell_back);
        for _ in 0..fell_back {
            self.counts.fault(Fault::ChangeFellBack);
        }
        let member = &self.station(at).member;
        let index = member.commit;
        let term = member.disk.term_at(index).unwrap_or_default();
        let point = Point { index, term };
        let counted = self.oracle.counted();
        let is_known = index < counted.index || point == counted;
        if !member.leads() || is_known {
            return Ok(());
        }
        let (kept, majority) = (
            self.keepers(member.disk.group(), index, term),
            member.majority(),
        );
        self.oracle.counts(at.id(), point, kept, majority)
    }

    /// How many of those that vote would still have a slot after a crash.
    fn keepers(&self, group: &Membership, index: u64, term: Term) -> usize {
        let keeps = |id: &&StationId| {
            let station = self.stations.get(StationAt::of(**id).0);
            station.is_some_and(|one| one.member.disk.keeps(index, term))
        };
        group.voters.iter().filter(keeps).count()
    }

    /// Everything that is committed, in order.
    fn applies(&mut self, at: StationAt, life: u64) -> Held {
        self.replaces(at)?;
        while life == self.station(at).life {
            let member = &self.station(at).member;
            if member.applied >= member.commit {
                break;
            }
            let index = member.applied + 1;
            let Some(slot) = member.disk.slot(index).cloned() else {
                break;
            };
            let group = member.disk.group_at(index);
            let kept = self.keepers(group, index, slot.term);
            let majority = group.majority();
            let first = self.oracle.commits(index, &slot, kept, majority)?;
            self.station_mut(at).member.applied = index;
            self.tells(at, index, slot, first)?;
        }
        Ok(())
    }

    fn tells(&mut self, at: StationAt, index: u64, slot: Slot, first: bool) -> Held {
        let life = self.station(at).life;
        match slot.says {
            Says::Begin => self.station_mut(at).member.began = slot.term,
            Says::Group(group) => {
                if first {
                    trace!(self, "committed at {index}, the group is {group:?}");
                }
            }
            Says::Entry(entry) => {
                if first {
                    trace!(self, "committed at {index}, {}", words::entry(&entry));
                    self.counts.entries += 1;
                }
                self.tell_core(at, LogEvent::Committed(entry), first)?;
            }
        }
        let station = &mut self.stations[at.0];
        let Some(core) = station.core.as_ref().filter(|_| life == station.life) else {
            return Ok(());
        };
        if first || index.is_multiple_of(16) {
            self.oracle
                .is_state(index, core.graph(), "after an entry")?;
        }
        if index.is_multiple_of(SNAPSHOT_SLOTS) {
            let point = Point {
                index,
                term: slot.term,
            };
            let disk = &mut station.member.disk;
            disk.take_snapshot(point, core.graph(), core.log_time());
        }
        // With something to be synced it is not cut off now, but then.
        let disk = &mut station.member.disk;
        let may = self.calm || (index.is_multiple_of(SNAPSHOT_SLOTS) && self.dice.per_mille(700));
        if may && disk.is_behind_its_snapshot() {
            disk.cut_off();
            station.asked = (disk.file, disk.end());
        }
        Ok(())
    }

    /// A snapshot came in the place of entries.
    fn replaces(&mut self, at: StationAt) -> Held {
        let station = &self.stations[at.0];
        let member = &station.member;
        if member.applied + 1 >= member.disk.first() {
            return Ok(());
        }
        let snapshot = member.disk.snapshot().cloned();
        let snapshot = snapshot.expect("the log begins behind it");
        self.counts.fault(Fault::SnapshotInstalled);
        if member.applied == 0 && at.0 >= self.plan.stations {
            self.counts.fault(Fault::LearnerGivenSnapshot);
        }
        trace!(
            self,
            "{} is given a snapshot of {}",
            at.id(),
            snapshot.point.index
        );
        let graph = Graph::from_snapshot(&snapshot.graph).expect("it was just written");
        self.oracle
            .is_state(snapshot.point.index, &graph, "in a snapshot")?;
        self.station_mut(at).member.stands_at(snapshot.point);
        let replaced = LogEvent::Replaced {
            graph: Box::new(graph),
            log_time: snapshot.log_time,
        };
        self.tell_core(at, replaced, false)
    }

    /// Leadership as the core is to see it: the term's first slot is applied, and a majority is heard. A leader that goes on
    /// in its term waits for what it put forward before: its log times begin at the newest that is committed.
    fn leads_or_not(&mut self, at: StationAt) -> Held {
        let station = self.station(at);
        let member = &station.member;
        let (now, told) = (station.shows(self.now), station.told);
        let limit = limits::STATION_SILENCE_MS * MS;
        let heard = member.silence(now).is_some_and(|silence| silence < limit);
        let leads = (member.is_alone() || heard) && matches!(member.role, Role::Leads(_));
        let leads = leads.then(|| member.term());
        let settled = member.applied == member.disk.last().index || is(Bug::DecidesOverItsOwn);
        let began = leads == Some(member.began) && settled;
        if told.is_some() && told != leads {
            self.leads_no_longer(at)?;
        }
        if let (Some(term), Role::Leads(lead)) = (leads, &self.stations[at.0].member.role) {
            self.oracle.leads(term, at.id(), &lead.by)?;
        }
        match leads.filter(|_| began && self.station(at).told.is_none()) {
            Some(term) => {
                self.station_mut(at).told = Some(term);
                trace!(self, "{} leads by term {term}", at.id());
                self.promises_of(at)?;
                self.core_anew(at);
                self.tell_core(at, LogEvent::Leading(term), false)
            }
            None => Ok(()),
        }
    }

    /// Each time it leads it has another core, of what is committed.
    fn core_anew(&mut self, at: StationAt) {
        let station = &mut self.stations[at.0];
        if let Some(core) = station.core.take() {
            let (graph, log_time) = (core.graph().clone(), core.log_time());
            let config = station.config.clone();
            station.core = Some(LeaderCore::new(config, graph, rules::rules(), log_time));
        }
    }

    fn leads_no_longer(&mut self, at: StationAt) -> Held {
        let station = &mut self.stations[at.0];
        station.told = None;
        station.seen.clear();
        let proposed = station.proposed.take();
        let gone_on = station.member.leads();
        self.counts.fault(match gone_on {
            true => Fault::MajoritySilent,
            false => Fault::LeadershipLost,
        });
        trace!(self, "{} leads no longer", at.id());
        // The word that its proposal is lost comes before the word that it leads no longer, or behind it.
        let lost = proposed.filter(|_| !gone_on);
        let before = self.dice.per_mille(500);
        if let Some(proposal) = lost.filter(|_| before) {
            self.tell_core(at, LogEvent::Lost(proposal), false)?;
        }
        self.tell_core(at, LogEvent::Following, false)?;
        if let Some(proposal) = lost.filter(|_| !before) {
            self.tell_core(at, LogEvent::Lost(proposal), false)?;
        }
        // Sessions are a leader's: who does not lead closes them.
        self.station_mut(at).welcomed.clear();
        let sessions = std::mem::take(&mut self.station_mut(at).sessions);
        for link in sessions.into_values() {
            self.station_closes(link);
        }
        Ok(())
    }

    pub fn log_says_lost(&mut self, at: StationAt, life: u64, proposal: ProposalId) -> Held {
        if life != self.station(at).life {
            return Ok(());
        }
        trace!(self, "the log of {} says the proposal is lost", at.id());
        self.tell_core(at, LogEvent::Lost(proposal), false)?;
        self.pump(at)
    }

    pub fn station_wakes(&mut self, at: StationAt, life: u64) -> Held {
        if life != self.station(at).life {
            return Ok(());
        }
        self.pump(at)
    }

    /// Woken far too late: this process stood still, and so heard nobody.
    fn excuse_own_pause(&mut self, at: StationAt) {
        let now = self.monotonic(at);
        let station = &mut self.stations[at.0];
        let late = station
            .wake_at
            .map_or(0, |wake| now.0.saturating_sub(wake.0));
        if late > PAUSE_NOTICED
            && let Some(core) = station.core.as_mut()
        {
            core.stood_still(Duration::from_micros(late), now);
            station.wake_at = Some(now);
        }
    }

    /// `first`: no station has told its core of this before.
    fn tell_core(&mut self, at: StationAt, event: LogEvent, first: bool) -> Held {
        self.excuse_own_pause(at);
        let now = self.monotonic(at);
        let committed = matches!(event, LogEvent::Committed(_));
        let Some(core) = self.station_mut(at).core.as_mut() else {
            return Ok(());
        };
        let mut effects = core.log_event(event, now);
        if committed {
            self.writes.told += 1;
            if self.dies(Victim::Station, self.writes.told, Moment::Told) {
                return self.station_dies(at, 0);
            }
        }
        let decides = self.station(at).decides();
        if committed && decides && !self.calm && self.dice.per_mille(self.plan.crash_per_mille) {
            self.counts.fault(Fault::CrashUncarried);
            return self.station_crashes(at, false);
        }
        if !first {
            effects.retain(|effect| !matches!(effect, Effect::Applied(_)));
        }
        self.carry_out(at, effects)
    }

    /// Lets the core take its next batch, and looks when it wants to be called again.
    pub fn pump(&mut self, at: StationAt) -> Held {
        self.excuse_own_pause(at);
        let now = self.monotonic(at);
        let wall_ms = self.now_ms() + self.station(at).wall_offset_ms;
        let Some(core) = self.station_mut(at).core.as_mut() else {
            return Ok(());
        };
        let mut proposals = Proposals::default();
        let effects = core.poll(now, wall_ms, &mut proposals);
        self.carry_out(at, effects)?;
        for entry in proposals.0 {
            self.proposed(at, entry)?;
        }
        let Some(core) = self.station(at).core.as_ref() else {
            return Ok(());
        };
        self.oracle.inbox(core)?;
        let wake_at = core.wake_at(now);
        let station = &mut self.stations[at.0];
        station.wake_at = wake_at;
        if let Some(wake) = wake_at {
            let when = station.when(wake).max(self.now + 1);
            if station.wakes != Some(when) {
                station.wakes = Some(when);
                let life = station.life;
                self.queue
                    .put(when, Happening::StationWakes { station: at, life });
            }
        }
        Ok(())
    }

    /// An entry is put forward: what becomes of it?
    fn proposed(&mut self, at: StationAt, entry: Entry) -> Held {
        let station = &mut self.stations[at.0];
        let life = station.life;
        if station.core.is_none() {
            return Ok(());
        }
        self.oracle.proposed(&entry)?;
        station.proposed = Some(entry.proposal());
        if !self.calm {
            if self.dice.per_mille(self.plan.lost_per_mille) {
                self.says_lost(at, entry.proposal());
                if self.dice.per_mille(500) {
                    self.counts.fault(Fault::ProposalLost);
                    return Ok(());
                }
                self.counts.fault(Fault::ProposalLostThenCommitted);
            } else if self.dice.per_mille(self.plan.crash_per_mille / 2) {
                self.counts.fault(Fault::CrashBeforeWrite);
                return self.station_crashes(at, false);
            }
        }
        let (now, proposal) = (self.station(at).shows(self.now), entry.proposal());
        let taken = self.station_mut(at).member.propose(entry, now);
        if taken.is_none() {
            self.says_lost(at, proposal);
        }
        self.wrote(at)?;
        self.words_go(at);
        let alive = self.station(at).life == life;
        if alive && !self.calm && self.dice.per_mille(self.plan.crash_per_mille / 2) {
            let keep_all = self.dice.per_mille(300);
            return self.station_crashes(at, keep_all);
        }
        Ok(())
    }

    fn says_lost(&mut self, at: StationAt, proposal: ProposalId) {
        let life = self.station(at).life;
        let lost = Happening::LogSaysLost {
            station: at,
            life,
            proposal,
        };
        // Where all goes well an entry takes a few milliseconds: before its commit, or behind it.
        let told = self.now + self.dice.between(1, 50_000);
        self.queue.put(told, lost.clone());
        if self.dice.per_mille(300) {
            // The word comes once more, when another proposal may be in flight.
            self.counts.fault(Fault::LostToldTwice);
            let again = told + self.dice.between(1, 20) * MS;
            self.queue.put(again, lost);
        }
    }

    fn carry_out(&mut self, at: StationAt, effects: Vec<Effect>) -> Held {
        for effect in effects {
            if !self.calm && self.dice.per_mille(self.plan.crash_per_mille / 4) {
                self.counts.fault(Fault::CrashHalfCarried);
                return self.station_crashes(at, false);
            }
            self.effect(at, effect)?;
        }
        Ok(())
    }

    fn effect(&mut self, at: StationAt, effect: Effect) -> Held {
        match effect {
            welcome @ Effect::Welcome { .. } => self.welcomes(at, welcome)?,
            Effect::Deny { node, refusal, .. } => {
                if let Some(link) = self.session_of(at, &node) {
                    self.forget_session(at, &node, link);
                    self.deny(link, refusal);
                }
            }
            Effect::Acknowledge {
                node,
                node_epoch,
                up_to,
            } => {
                self.oracle.acknowledges(&node, node_epoch, up_to)?;
                if let Some(link) = self.welcomed_session_of(at, &node) {
                    let word = Acknowledged { node_epoch, up_to };
                    self.to_agent(link, StationMessage::Acknowledged(word));
                }
            }
            Effect::Send { node, command } => {
                self.oracle.sends(&command)?;
                self.counts.commands += 1;
                if let Some(link) = self.welcomed_session_of(at, &node) {
                    self.to_agent(link, StationMessage::Command(Box::new(command)));
                }
            }
            Effect::Reply { ticket, answer } => self.answered(at, ticket, answer)?,
            Effect::Guard { node, guards } => {
                self.tell(at, &node, StationMessage::Guards(guards));
            }
            Effect::Watch { node, watches } => {
                self.tell(at, &node, StationMessage::Watches(watches));
            }
            Effect::Look(look) => self.looks(at, look),
            Effect::AskHost(ask) => self.asks_host(at, ask),
            Effect::Applied(entry) => self.applied(at, &entry)?,
        }
        Ok(())
    }

    fn welcomes(&mut self, at: StationAt, effect: Effect) -> Held {
        let Effect::Welcome {
            node,
            agent_run,
            node_id,
            node_epoch,
            watermark,
            leadership,
        } = effect
        else {
            return Ok(());
        };
        let session = self.session_of(at, &node);
        let run = |link: &LinkId| self.links.get(link).map(|link| link.agent_run);
        let Some(link) = session.filter(|link| run(link) == Some(agent_run)) else {
            return Ok(());
        };
        self.oracle.acknowledges(&node, node_epoch, watermark)?;
        self.station_mut(at).welcomed.insert(link);
        let welcome = Welcome {
            node_id,
            node_epoch,
            watermark,
            leadership,
            credits: limits::REPORT_CREDITS as u32,
        };
        trace!(
            self,
            "welcome {node}: epoch {node_epoch}, watermark {watermark}"
        );
        self.to_agent(link, StationMessage::Welcome(welcome));
        let stations = self.station(at).agents_told.clone();
        if !stations.addresses.is_empty() {
            self.to_agent(link, StationMessage::Stations(stations));
        }
        Ok(())
    }

    fn tell(&mut self, at: StationAt, node: &NodeName, message: StationMessage) {
        if let Some(link) = self.welcomed_session_of(at, node) {
            self.to_agent(link, message);
        }
    }

    fn applied(&mut self, at: StationAt, entry: &Arc<Entry>) -> Held {
        let Some(core) = self.stations[at.0].core.as_ref() else {
            return Ok(());
        };
        for decision in &entry.decisions {
            self.counts.rule(&decision.rule);
            if decision.rule == "curse" {
                self.counts.fault(Fault::RulePanics);
            }
        }
        let counts = &mut self.counts;
        self.oracle.applied(core, entry, counts)
    }

    pub fn enqueue(
        &mut self,
        at: StationAt,
        event: Event,
        ticket: Option<Ticket>,
    ) -> Result<(), Refusal> {
        match self.station_mut(at).core.as_mut() {
            Some(core) => core.enqueue(event, ticket),
            None => Err(Refusal::new(code::NO_QUORUM, "the station is down")),
        }
    }
}
