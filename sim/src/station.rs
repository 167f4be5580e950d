//! The station: the real leader core between a simulated disk and the links. It dies at every point where
//! something could be half done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mainstay_coordinator::{
    CoreConfig, Effect, Entry, Event, Found, LeaderCore, LogEvent, Monotonic, ProposalId,
    StationLife, Ticket,
};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::session::{Acknowledged, StationMessage, Welcome};
use mainstay_protocol::{ClusterId, Epoch, NodeName, StationId, StationRunId, Term, limits};
use uuid::Uuid;

use crate::dice::Dice;
use crate::disk::Disk;
use crate::fault::Fault;
use crate::happening::Happening;
use crate::link::LinkId;
use crate::matrix::{Moment, Victim};
use crate::plan::Plan;
use crate::rules;
use crate::trace;
use crate::words;
use crate::world::{Held, World};

const MS: u64 = 1000;
/// Entries between two snapshots.
const SNAPSHOT_ENTRIES: u64 = 64;

#[derive(Debug)]
pub struct Station {
    pub config: CoreConfig,
    /// One life of the process.
    pub life: u64,
    pub core: Option<LeaderCore>,
    pub disk: Disk,
    pub term: Term,
    /// The newest session of each node.
    pub sessions: BTreeMap<NodeName, LinkId>,
    pub welcomed: BTreeSet<LinkId>,
    wall_offset_ms: u64,
}

impl Station {
    pub fn new(plan: &Plan, dice: &mut Dice) -> Self {
        let found = Found {
            authority: None,
            cluster: ClusterId(dice.uuid()),
            name: "sim".parse().expect("a name"),
            settings: plan.settings.clone(),
            station: StationId(1),
            address: "sim:1".to_owned(),
            life: StationLife {
                run: run_of(0),
                build: "sim".to_owned(),
                node: None,
            },
        };
        Self {
            config: CoreConfig {
                found,
                epoch: Epoch(1),
            },
            life: 0,
            core: None,
            disk: Disk::default(),
            term: Term(0),
            sessions: BTreeMap::new(),
            welcomed: BTreeSet::new(),
            wall_offset_ms: 0,
        }
    }
}

/// Not of the dice: what they decide stays as it was.
fn run_of(life: u64) -> StationRunId {
    StationRunId(Uuid::from_u64_pair(3, life))
}

impl World {
    pub fn monotonic(&self) -> Monotonic {
        Monotonic(self.now)
    }

    pub fn station_starts(&mut self) -> Held {
        if self.station.core.is_some() {
            return Ok(());
        }
        let from_snapshot = self.station.disk.has_snapshot() && self.dice.per_mille(500);
        if from_snapshot && !self.calm {
            self.counts.fault(Fault::SnapshotRestart);
        }
        let found = self.station.disk.open(from_snapshot);
        if found.torn {
            self.counts.fault(Fault::CrashTornTail);
        }
        self.oracle
            .station_opened(&found.graph, &self.station.disk)?;
        self.station.life += 1;
        self.station.config.found.life.run = run_of(self.station.life);
        let core = LeaderCore::new(
            self.station.config.clone(),
            found.graph,
            rules::rules(),
            found.log_time,
        );
        self.station.core = Some(core);
        trace!(self, "station starts, life {}", self.station.life);
        let life = self.station.life;
        let after = self.dice.between(1, 300) * MS;
        self.queue.put(self.now + after, Happening::Leads { life });
        self.promises_after_crash()
    }

    /// A new term, in a new process or in the one that lives.
    pub fn leads(&mut self, life: u64) -> Held {
        if life != self.station.life {
            return Ok(());
        }
        // Everything committed before this term is delivered first.
        let written = self.station.disk.bytes.len();
        self.tell_synced(life, written)?;
        if life != self.station.life {
            return Ok(());
        }
        self.station.term = self.station.term.next();
        let term = self.station.term;
        trace!(self, "station leads by term {term}");
        self.tell_core(LogEvent::Leading(term))?;
        self.pump()
    }

    /// The process dies. What was written and not synced survives up to a byte that chance picks.
    pub fn station_crashes(&mut self, keep_all: bool) -> Held {
        let unsynced = self.station.disk.unsynced();
        let torn = self.dice.below(unsynced as u64 + 1) as usize;
        let keep = match self.dice.below(10) {
            _ if keep_all => unsynced,
            0..=3 => 0,
            4 => unsynced,
            _ => torn,
        };
        if self.station.core.is_none() {
            return Ok(());
        }
        if unsynced > 0 && keep == 0 {
            self.counts.fault(Fault::CrashUnsynced);
        }
        if unsynced > 0 && keep == unsynced {
            self.counts.fault(Fault::CrashSyncedUntold);
        }
        self.station_dies(keep)
    }

    /// So many bytes of what was not synced survive.
    fn station_dies(&mut self, keep: usize) -> Held {
        let Some(core) = self.station.core.take() else {
            return Ok(());
        };
        self.oracle
            .replays(core.graph(), &self.station.disk, "at a crash")?;
        trace!(
            self,
            "station dies; {keep} of {} unsynced bytes survive",
            self.station.disk.unsynced()
        );
        self.station.disk.crash(keep);
        self.station.life += 1;
        self.station.sessions.clear();
        self.station.welcomed.clear();
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            self.station_closes(link);
        }
        self.operators_lose_station();
        let after = self.dice.between(50, 4000) * MS;
        self.queue.put(self.now + after, Happening::StationStarts);
        Ok(())
    }

    pub fn wall_clock_jumps(&mut self) {
        self.counts.fault(Fault::WallClockJump);
        self.station.wall_offset_ms = self.dice.below(1 << 40);
    }

    pub fn leadership_is_lost(&mut self) -> Held {
        if self.station.core.is_none() {
            return Ok(());
        }
        self.counts.fault(Fault::LeadershipLost);
        self.tell_core(LogEvent::Following)?;
        // Sessions are a leader's: who does not lead closes them.
        self.close_all_sessions();
        let life = self.station.life;
        let after = self.dice.between(1, 2000) * MS;
        self.queue.put(self.now + after, Happening::Leads { life });
        Ok(())
    }

    fn close_all_sessions(&mut self) {
        self.station.welcomed.clear();
        let sessions = std::mem::take(&mut self.station.sessions);
        for link in sessions.into_values() {
            self.station_closes(link);
        }
    }

    pub fn synced(&mut self, life: u64, up_to: usize) -> Held {
        self.tell_synced(life, up_to)?;
        self.pump()
    }

    fn tell_synced(&mut self, life: u64, up_to: usize) -> Held {
        if life != self.station.life {
            return Ok(());
        }
        self.station.disk.sync(up_to);
        while life == self.station.life {
            let Some(entry) = self.station.disk.next_to_tell() else {
                break;
            };
            trace!(self, "committed {}", words::entry(&entry));
            self.counts.entries += 1;
            self.oracle.committed(&entry);
            self.tell_core(LogEvent::Committed(entry))?;
        }
        Ok(())
    }

    pub fn log_says_lost(&mut self, life: u64, proposal: ProposalId) -> Held {
        if life != self.station.life {
            return Ok(());
        }
        trace!(self, "the log says the proposal is lost");
        self.tell_core(LogEvent::Lost(proposal))?;
        self.pump()
    }

    pub fn station_wakes(&mut self, life: u64) -> Held {
        if life != self.station.life {
            return Ok(());
        }
        self.pump()
    }

    fn tell_core(&mut self, event: LogEvent) -> Held {
        let now = self.monotonic();
        let committed = matches!(event, LogEvent::Committed(_));
        let Some(core) = self.station.core.as_mut() else {
            return Ok(());
        };
        let effects = core.log_event(event, now);
        if committed && self.station.disk.entries.is_multiple_of(SNAPSHOT_ENTRIES) {
            self.station
                .disk
                .take_snapshot(core.graph(), core.log_time());
        }
        if committed {
            self.writes.told += 1;
            if self.dies(Victim::Station, self.writes.told, Moment::Told) {
                return self.station_dies(0);
            }
        }
        if committed && !self.calm && self.dice.per_mille(self.plan.crash_per_mille) {
            self.counts.fault(Fault::CrashUncarried);
            return self.station_crashes(false);
        }
        self.carry_out(effects)
    }

    /// Lets the core take its next batch, and looks when it wants to be called again.
    pub fn pump(&mut self) -> Held {
        let now = self.monotonic();
        let wall_ms = self.now_ms() + self.station.wall_offset_ms;
        let station = &mut self.station;
        let Some(core) = station.core.as_mut() else {
            return Ok(());
        };
        let effects = core.poll(now, wall_ms, &mut station.disk);
        self.carry_out(effects)?;
        while let Some(entry) = self.station.disk.take_proposed() {
            self.proposed(entry)?;
        }
        let Some(core) = self.station.core.as_ref() else {
            return Ok(());
        };
        self.oracle.inbox(core)?;
        if let Some(at) = core.wake_at(now) {
            let life = self.station.life;
            self.queue
                .put(at.0.max(self.now + 1), Happening::StationWakes { life });
        }
        Ok(())
    }

    /// An entry is put forward: what becomes of it?
    fn proposed(&mut self, entry: Entry) -> Held {
        self.oracle.proposed(&entry)?;
        let life = self.station.life;
        if !self.calm {
            if self.dice.per_mille(self.plan.lost_per_mille) {
                return self.proposal_is_lost(entry, life);
            }
            if self.dice.per_mille(self.plan.crash_per_mille / 2) {
                self.counts.fault(Fault::CrashBeforeWrite);
                return self.station_crashes(false);
            }
        }
        self.writes.log += 1;
        let write = self.writes.log;
        if self.dies(Victim::Station, write, Moment::Before) {
            return self.station_dies(0);
        }
        let up_to = self.station.disk.write(entry);
        let unsynced = self.station.disk.unsynced();
        if self.dies(Victim::Station, write, Moment::Torn) {
            return self.station_dies(unsynced / 2);
        }
        if self.dies(Victim::Station, write, Moment::Written) {
            return self.station_dies(unsynced);
        }
        if !self.calm && self.dice.per_mille(self.plan.crash_per_mille / 2) {
            let keep_all = self.dice.per_mille(300);
            return self.station_crashes(keep_all);
        }
        self.sync_later(up_to);
        Ok(())
    }

    fn sync_later(&mut self, up_to: usize) {
        let mut after = self.dice.between(300, 8000);
        if !self.calm && self.dice.per_mille(5) {
            self.counts.fault(Fault::DiskSlow);
            after = self.dice.between(500, 4000) * MS;
        }
        let life = self.station.life;
        self.queue
            .put(self.now + after, Happening::Synced { life, up_to });
    }

    fn proposal_is_lost(&mut self, entry: Entry, life: u64) -> Held {
        let told = self.now + self.dice.between(1, 50) * MS;
        let proposal = entry.proposal();
        self.queue
            .put(told, Happening::LogSaysLost { life, proposal });
        if self.dice.per_mille(300) {
            // The word comes once more, when another proposal may be in flight.
            self.counts.fault(Fault::LostToldTwice);
            let again = told + self.dice.between(1, 20) * MS;
            self.queue
                .put(again, Happening::LogSaysLost { life, proposal });
        }
        if self.dice.per_mille(500) {
            self.counts.fault(Fault::ProposalLostThenCommitted);
            let up_to = self.station.disk.write(entry);
            // Later than the word that it is lost.
            let after = told + self.dice.between(1, 50) * MS;
            self.queue.put(after, Happening::Synced { life, up_to });
        } else {
            self.counts.fault(Fault::ProposalLost);
        }
        Ok(())
    }

    fn carry_out(&mut self, effects: Vec<Effect>) -> Held {
        for effect in effects {
            if !self.calm && self.dice.per_mille(self.plan.crash_per_mille / 4) {
                self.counts.fault(Fault::CrashHalfCarried);
                return self.station_crashes(false);
            }
            self.effect(effect)?;
        }
        Ok(())
    }

    fn effect(&mut self, effect: Effect) -> Held {
        match effect {
            Effect::Welcome {
                node,
                agent_run,
                node_id,
                node_epoch,
                watermark,
                leadership,
            } => {
                let Some(link) = self.session_of(&node) else {
                    return Ok(());
                };
                if self.links.get(&link).map(|link| link.agent_run) != Some(agent_run) {
                    return Ok(());
                }
                self.oracle.acknowledges(&node, node_epoch, watermark)?;
                self.station.welcomed.insert(link);
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
            }
            Effect::Deny { node, refusal, .. } => {
                if let Some(link) = self.session_of(&node) {
                    self.forget_session(&node, link);
                    self.deny(link, refusal);
                }
            }
            Effect::Acknowledge {
                node,
                node_epoch,
                up_to,
            } => {
                self.oracle.acknowledges(&node, node_epoch, up_to)?;
                if let Some(link) = self.welcomed_session_of(&node) {
                    let word = Acknowledged { node_epoch, up_to };
                    self.to_agent(link, StationMessage::Acknowledged(word));
                }
            }
            Effect::Send { node, command } => {
                self.oracle.sends(&command)?;
                self.counts.commands += 1;
                if let Some(link) = self.welcomed_session_of(&node) {
                    self.to_agent(link, StationMessage::Command(Box::new(command)));
                }
            }
            Effect::Reply { ticket, answer } => self.answered(ticket, answer)?,
            Effect::Applied(entry) => self.applied(&entry)?,
        }
        Ok(())
    }

    fn applied(&mut self, entry: &Arc<Entry>) -> Held {
        let Some(core) = self.station.core.as_ref() else {
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

    pub fn enqueue(&mut self, event: Event, ticket: Option<Ticket>) -> Result<(), Refusal> {
        match self.station.core.as_mut() {
            Some(core) => core.enqueue(event, ticket),
            None => Err(Refusal::new(
                mainstay_protocol::code::NO_QUORUM,
                "the station is down",
            )),
        }
    }
}
