//! A station: a process with a clock of its own, a member of its group and a leader core. It dies at every point where
//! something could be half done.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_coordinator::{
    CoreConfig, Found, LeaderCore, Monotonic, ProposalId, StationLife, StationSeen,
};
use mainstay_protocol::session::Stations;
use mainstay_protocol::{ClusterId, Epoch, NodeName, StationId, StationRunId, Term, Timestamp};
use mainstay_resource_graph::Graph;
use uuid::Uuid;

use crate::fault::Fault;
use crate::happening::Happening;
use crate::link::LinkId;
use crate::matrix::{Moment, Victim};
use crate::member::Member;
use crate::membership::Membership;
use crate::plan::Plan;
use crate::rules;
use crate::trace;
use crate::world::{Held, World};

const MS: u64 = 1000;
/// Clocks run as they should.
const STEADY: u64 = 1_000_000;
/// Between two looks at what no event tells.
pub const TICK: u64 = 125 * MS;

/// A station's place in the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StationAt(pub usize);

impl StationAt {
    pub fn id(self) -> StationId {
        StationId(self.0 as u64 + 1)
    }

    pub fn of(id: StationId) -> Self {
        Self(id.0 as usize - 1)
    }
}

/// A process's monotonic clock: begins anywhere, and is a little fast or slow.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    since: u64,
    showed: u64,
    per_million: u64,
}

impl Clock {
    fn shows(&self, now: u64) -> u64 {
        let span = u128::from(now.saturating_sub(self.since)) * u128::from(self.per_million);
        self.showed + (span / 1_000_000) as u64
    }

    /// When it will show so much.
    fn when(&self, shows: u64) -> u64 {
        let span = u128::from(shows.saturating_sub(self.showed)) * 1_000_000;
        self.since + span.div_ceil(u128::from(self.per_million)) as u64
    }
}

#[derive(Debug)]
pub struct Station {
    pub config: CoreConfig,
    /// One life of the process.
    pub life: u64,
    /// As long as the process lives. It decides while its station leads.
    pub core: Option<LeaderCore>,
    pub member: Member,
    /// The core was told that it leads.
    pub told: Option<Term>,
    /// What it last put forward.
    pub proposed: Option<ProposalId>,
    /// The newest session of each node.
    pub sessions: BTreeMap<NodeName, LinkId>,
    pub welcomed: BTreeSet<LinkId>,
    /// What the coordinator was told of the group, and agents of where to go.
    pub seen: BTreeMap<StationId, StationSeen>,
    pub agents_told: Stations,
    /// When the core wants to be called, and when that will come about.
    pub wake_at: Option<Monotonic>,
    pub wakes: Option<u64>,
    /// The file's end up to which a sync has been asked for.
    pub asked: (u64, usize),
    pub paused_until: u64,
    pub slow_until: u64,
    pub clock: Clock,
    pub wall_offset_ms: u64,
    /// It will look again by itself.
    pub ticks: bool,
}

/// The stations of a seed, of which the first has the graph's first word.
pub fn group(plan: &Plan, cluster: Uuid) -> Vec<Station> {
    let ids = (0..plan.stations).map(|at| StationAt(at).id());
    let group = Membership::of(ids.clone());
    ids.map(|id| Station::new(plan, cluster, id, group.clone()))
        .collect()
}

impl Station {
    /// One that is to join a group knows nobody: it is told.
    pub fn new(plan: &Plan, cluster: Uuid, id: StationId, group: Membership) -> Self {
        let found = Found {
            authority: None,
            cluster: ClusterId(cluster),
            name: "sim".parse().expect("a name"),
            settings: plan.settings.clone(),
            station: id,
            address: format!("sim:{id}"),
            life: life_of(id, 0),
        };
        Self {
            config: CoreConfig::new(found, Epoch(1)),
            life: 0,
            core: None,
            member: Member::new(id, group),
            told: None,
            proposed: None,
            sessions: BTreeMap::new(),
            welcomed: BTreeSet::new(),
            seen: BTreeMap::new(),
            agents_told: Stations::default(),
            wake_at: None,
            wakes: None,
            asked: (0, 0),
            paused_until: 0,
            slow_until: 0,
            clock: Clock {
                since: 0,
                showed: 0,
                per_million: STEADY,
            },
            wall_offset_ms: 0,
            ticks: false,
        }
    }

    /// By its own clock.
    pub fn shows(&self, now: u64) -> u64 {
        self.clock.shows(now)
    }

    pub fn when(&self, at: Monotonic) -> u64 {
        self.clock.when(at.0)
    }

    /// It decides, and everybody may know.
    pub fn decides(&self) -> bool {
        self.told.is_some() && self.core.is_some()
    }
}

/// Not of the dice: what they decide stays as it was.
pub fn life_of(id: StationId, life: u64) -> StationLife {
    StationLife {
        run: StationRunId(Uuid::from_u64_pair(id.0, life)),
        build: "sim".to_owned(),
        node: None,
    }
}

impl World {
    pub fn station(&self, at: StationAt) -> &Station {
        &self.stations[at.0]
    }

    pub fn station_mut(&mut self, at: StationAt) -> &mut Station {
        &mut self.stations[at.0]
    }

    pub fn places(&self) -> impl Iterator<Item = StationAt> + use<> {
        (0..self.stations.len()).map(StationAt)
    }

    /// Of those who say that they decide, the one that is right.
    pub fn decider(&self) -> Option<StationAt> {
        let deciders = self.places().filter(|at| self.station(*at).decides());
        deciders.max_by_key(|at| self.station(*at).told)
    }

    /// Who decides, with its core.
    pub fn coordinator(&self) -> Option<&LeaderCore> {
        self.station(self.decider()?).core.as_ref()
    }

    pub fn station_starts(&mut self, at: StationAt) -> Held {
        let now = self.now;
        if self.station(at).core.is_some() {
            return Ok(());
        }
        // A process's clock begins anywhere. The first life's begins at 0.
        let showed = match self.station(at).life {
            0 => 0,
            _ => self.dice.below(1 << 40),
        };
        let station = &mut self.stations[at.0];
        station.life += 1;
        station.clock = Clock {
            since: now,
            showed,
            ..station.clock
        };
        station.config.found.life = life_of(at.id(), station.life);
        if station.member.starts(showed, &mut self.dice) {
            self.counts.fault(Fault::CrashTornTail);
        }
        let (graph, log_time) = self.state_found(at)?;
        let station = &mut self.stations[at.0];
        let config = station.config.clone();
        station.core = Some(LeaderCore::new(config, graph, rules::rules(), log_time));
        station.asked = (station.member.disk.file, station.member.disk.end());
        station.ticks = true;
        let life = station.life;
        trace!(self, "{} starts, life {life}", at.id());
        let first = match self.station(at).member.is_alone() {
            true => self.dice.between(2, 300) * MS,
            false => self.dice.below(TICK),
        };
        self.queue
            .put(now + first, Happening::Ticks { station: at, life });
        Ok(())
    }

    /// The snapshot, or nothing where the whole log is there; what is behind it comes with the leader's word.
    fn state_found(&mut self, at: StationAt) -> Result<(Graph, Timestamp), crate::Violation> {
        let member = &self.station(at).member;
        let whole = member.disk.first() == 1;
        let Some(snapshot) = member.disk.snapshot().cloned() else {
            return Ok((Graph::new(), Timestamp::ZERO));
        };
        if whole && self.dice.per_mille(300) {
            return Ok((Graph::new(), Timestamp::ZERO));
        }
        if !self.calm {
            self.counts.fault(Fault::SnapshotRestart);
        }
        let graph = Graph::from_snapshot(&snapshot.graph).expect("it was just written");
        self.oracle
            .is_state(snapshot.point.index, &graph, "at a start")?;
        self.station_mut(at).member.stands_at(snapshot.point);
        Ok((graph, snapshot.log_time))
    }

    /// The process dies. What was written and not synced survives up to a byte that chance picks.
    pub fn station_crashes(&mut self, at: StationAt, keep_all: bool) -> Held {
        if self.station(at).core.is_none() {
            return Ok(());
        }
        let unsynced = self.station(at).member.disk.unsynced();
        let torn = self.dice.below(unsynced as u64 + 1) as usize;
        let keep = match self.dice.below(10) {
            _ if keep_all => unsynced,
            0..=3 => 0,
            4 => unsynced,
            _ => torn,
        };
        if unsynced > 0 && keep == 0 {
            self.counts.fault(Fault::CrashUnsynced);
        }
        if unsynced > 0 && keep == unsynced {
            self.counts.fault(Fault::CrashSyncedUntold);
        }
        self.station_dies(at, keep)
    }

    /// So many bytes of what was not synced survive.
    pub fn station_dies(&mut self, at: StationAt, keep: usize) -> Held {
        let station = &mut self.stations[at.0];
        let Some(core) = station.core.take() else {
            return Ok(());
        };
        let applied = station.member.applied;
        let unsynced = station.member.disk.unsynced();
        station.member.disk.crash(keep);
        station.life += 1;
        station.told = None;
        station.proposed = None;
        station.sessions.clear();
        station.welcomed.clear();
        station.seen.clear();
        (station.wake_at, station.wakes) = (None, None);
        station.paused_until = 0;
        self.oracle.is_state(applied, core.graph(), "at a crash")?;
        trace!(
            self,
            "{} dies; {keep} of {unsynced} unsynced bytes survive",
            at.id()
        );
        let links: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| link.station == at)
            .map(|(id, _)| *id)
            .collect();
        for link in links {
            self.station_closes(link);
        }
        self.operators_lose_station(at);
        let after = self.dice.between(50, 4000) * MS;
        self.queue
            .put(self.now + after, Happening::StationStarts(at));
        Ok(())
    }

    /// Something was written since the last look: the matrix may want a death of it.
    pub fn wrote(&mut self, at: StationAt) -> Held {
        let station = &mut self.stations[at.0];
        let disk = &station.member.disk;
        let (file, asked) = station.asked;
        let asked = if file == disk.file {
            asked
        } else {
            disk.synced()
        };
        let (end, before) = (disk.end(), asked - disk.synced());
        station.asked = (disk.file, end);
        if end == asked {
            return Ok(());
        }
        self.writes.log += 1;
        let write = self.writes.log;
        for (moment, keep) in [
            (Moment::Before, before),
            (Moment::Torn, before + (end - asked) / 2),
            (Moment::Written, before + end - asked),
        ] {
            if self.dies(Victim::Station, write, moment) {
                return self.station_dies(at, keep);
            }
        }
        self.sync_later(at);
        Ok(())
    }

    fn sync_later(&mut self, at: StationAt) {
        let mut after = self.dice.between(300, 8000);
        if !self.calm && self.dice.per_mille(5) {
            self.counts.fault(Fault::DiskSlow);
            after = self.dice.between(500, 4000) * MS;
        }
        if self.station(at).slow_until > self.now {
            after += self.dice.between(50, 800) * MS;
        }
        let station = &self.stations[at.0];
        let synced = Happening::Synced {
            station: at,
            life: station.life,
            file: station.member.disk.file,
            up_to: station.member.disk.end(),
        };
        self.queue.put(self.now + after, synced);
    }

    pub fn synced(&mut self, at: StationAt, life: u64, (file, up_to): (u64, usize)) -> Held {
        let now = self.now;
        let station = &mut self.stations[at.0];
        if life != station.life {
            return Ok(());
        }
        station.member.disk.sync(file, up_to);
        let shows = station.shows(now);
        station.member.synced(shows, &mut self.dice);
        self.settles(at)
    }

    pub fn wall_clock_jumps(&mut self, at: StationAt) {
        self.counts.fault(Fault::WallClockJump);
        self.stations[at.0].wall_offset_ms = self.dice.below(1 << 40);
    }

    /// From now on its monotonic clock is faster or slower.
    pub fn clock_drifts(&mut self, at: StationAt) {
        self.counts.fault(Fault::ClockDrift);
        let now = self.now;
        let per_million = self.dice.between(STEADY * 8 / 10, STEADY * 12 / 10);
        let station = &mut self.stations[at.0];
        station.clock = Clock {
            since: now,
            showed: station.shows(now),
            per_million,
        };
        trace!(
            self,
            "the clock of {} runs at {per_million} per million",
            at.id()
        );
    }
}
