//! A million instances on 5,000 simulated agents, in the log and the state of one station: what it takes to read them from
//! disk, how much memory they fill, what it costs when all agents introduce themselves, and how long until everything is
//! decided and committed when 500 agents are gone at once, and when they are given up.
//!
//! Everything is as in a station but for sessions and runtimes: the store with its log and its syncs, the leader core with
//! its rules. Two processes, so that what filled the directory is in nobody's memory. Ends with 1 where a target is missed
//! by more than `MISS_MAX`.

#[path = "../../coordinator/benches/cluster/mod.rs"]
#[allow(dead_code, reason = "a large cluster takes a part of it")]
mod cluster;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use mainstay_coordinator::core::CoreConfig;
use mainstay_coordinator::entry::FORMAT;
use mainstay_coordinator::event::GoneWhy;
use mainstay_coordinator::{
    Entry, Event, Found, LeaderCore, Log, LogEvent, Monotonic, Rules, StationLife,
};
use mainstay_protocol::{AgentRunId, ClusterId, StationId, StationRunId, Timestamp};
use mainstay_resource_graph::{
    Change, Delta, Graph, InstanceState, Key, Kind, NodeState, Vertex, View,
};
use mainstay_store::{LogHandle, Store, StoreConfig};
use tokio::sync::mpsc;

const NODES: usize = 5_000;
const EACH: usize = 200;
const LOST: usize = 500;
/// Changes of one entry while the directory is filled.
const CHUNK: usize = 4_000;
const OPEN_TARGET: f64 = 12.0;
const MEMORY_TARGET_GIB: f64 = 2.5;
const LOST_TARGET: f64 = 5.0;
/// A miss of the target needs a cause and a plan; a miss by more than this fails.
const MISS_MAX: f64 = 3.0;
const FILL: &str = "--fill";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|one| one == FILL) {
        fill(Path::new(&arguments[at + 1]));
        return ExitCode::SUCCESS;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let own = std::env::current_exe().expect("this program");
    let filled = Command::new(own).arg(FILL).arg(directory.path()).status();
    assert!(filled.expect("it can be run").success(), "nothing to read");
    match measure(directory.path()) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn config(directory: &Path) -> StoreConfig {
    StoreConfig::new(
        directory,
        ClusterId(uuid::Uuid::from_u64_pair(2, 1)),
        StationId(1),
    )
}

/// By entries, as anything comes to be on disk.
fn fill(directory: &Path) {
    let (store, mut opened) = Store::open(config(directory)).expect("an empty directory");
    let mut term = None;
    while term.is_none() {
        if let LogEvent::Leading(led) = next(&mut opened.events) {
            term = Some(led);
        }
    }
    let large = cluster::even(NODES, EACH);
    let mut leadership = cluster::leadership();
    leadership.term = term.expect("it leads");
    let records = large
        .records()
        .map(|record| Change::Put(Box::new((**record).clone())));
    let mut changes = records
        .chain(large.edges().into_iter().map(Change::Link))
        .peekable();
    let mut expected = Graph::new().revision();
    while changes.peek().is_some() {
        let revision = expected.next();
        let at_revision = |change: Change| match change {
            Change::Put(mut record) => {
                record.rev = revision;
                Change::Put(record)
            }
            Change::Link(mut edge) => {
                edge.rev = revision;
                Change::Link(edge)
            }
            other @ (Change::Remove(_) | Change::Unlink { .. }) => other,
        };
        let changes = changes.by_ref().take(CHUNK).map(at_revision).collect();
        opened.log.propose(Entry {
            format: FORMAT,
            leadership,
            log_time: Timestamp(revision.0),
            wall_ms: 0,
            delta: Delta { expected, changes },
            decisions: Vec::new(),
        });
        while !matches!(next(&mut opened.events), LogEvent::Committed(_)) {}
        expected = revision;
    }
    store.shutdown();
}

fn next(events: &mut mpsc::Receiver<LogEvent>) -> LogEvent {
    events.blocking_recv().expect("the log goes on")
}

/// A station's core with its log. Its time is made up; what it takes is not.
struct Station {
    core: LeaderCore,
    log: Noting,
    events: mpsc::Receiver<LogEvent>,
    now: Monotonic,
}

struct Noting {
    log: LogHandle,
    proposed: bool,
}

impl Log for Noting {
    fn propose(&mut self, entry: Entry) {
        self.proposed = true;
        self.log.propose(entry);
    }
}

impl Station {
    /// Until nothing is left to be decided, and all of it is committed. Says how long that took and in how many entries.
    fn settle(&mut self) -> (f64, usize) {
        let (begun, mut entries) = (Instant::now(), 0);
        loop {
            self.log.proposed = false;
            self.core.poll(self.now, 0, &mut self.log);
            if !self.log.proposed {
                return (begun.elapsed().as_secs_f64(), entries);
            }
            let event = next(&mut self.events);
            entries += usize::from(matches!(event, LogEvent::Committed(_)));
            self.core.log_event(event, self.now);
        }
    }

    /// All but the lost were heard just now.
    fn passes(&mut self, span: Duration) {
        self.now.0 += span.as_micros() as u64;
        for number in (0..NODES).filter(|number| !is_lost(*number)) {
            let (node, _) = cluster::place(number, 0);
            self.core.heard(&node, self.now);
        }
    }

    fn count(&self, kind: Kind, is_it: impl Fn(&Vertex) -> bool) -> usize {
        let keys: Vec<Key> = self.core.graph().keys(kind);
        let records = keys.iter().filter_map(|key| self.core.graph().record(key));
        records.filter(|record| is_it(&record.vertex)).count()
    }
}

/// Of every ten one: no two of them are neighbours.
fn is_lost(number: usize) -> bool {
    number.is_multiple_of(NODES / LOST)
}

fn measure(directory: &Path) -> bool {
    let begun = Instant::now();
    let (store, opened) = Store::open(config(directory)).expect("it was filled");
    let opening = begun.elapsed().as_secs_f64();
    let life = StationLife {
        run: StationRunId(uuid::Uuid::from_u64_pair(2, 2)),
        build: "bench".to_owned(),
        node: None,
    };
    let found = Found {
        cluster: ClusterId(uuid::Uuid::from_u64_pair(2, 1)),
        name: "bench".parse().expect("a name"),
        settings: cluster::settings(),
        station: StationId(1),
        address: String::new(),
        life,
        authority: None,
    };
    let epoch = cluster::leadership().epoch;
    let core = CoreConfig::new(found, epoch);
    let mut station = Station {
        core: LeaderCore::new(core, opened.graph, Rules::shipped(), opened.log_time),
        log: Noting {
            log: opened.log,
            proposed: false,
        },
        events: opened.events,
        now: Monotonic::default(),
    };
    println!(
        "{} instances on {NODES} nodes",
        station.core.graph().count(Kind::Instance)
    );
    let mut right = told("read from disk", opening, OPEN_TARGET, "s");
    right &= told("memory then", resident_gib(), MEMORY_TARGET_GIB, "GiB");

    while station.core.leadership().is_none() {
        let event = next(&mut station.events);
        station.core.log_event(event, station.now);
    }
    let (first, entries) = station.settle();
    println!("everything judged once      {first:>8.2} s    in {entries} entries");
    let begun = Instant::now();
    for number in 0..NODES {
        let up = Box::new(cluster::node_up(number, EACH));
        let minted = up.node_id.expect("it has one");
        let enqueued = station.core.enqueue(Event::NodeUp { up, minted }, None);
        enqueued.expect("an agent is never refused for load");
    }
    let (_, entries) = station.settle();
    let all_up = begun.elapsed().as_secs_f64();
    println!("all agents introduced       {all_up:>8.2} s    in {entries} entries");
    right &= told("memory then", resident_gib(), MEMORY_TARGET_GIB, "GiB");
    station.passes(Duration::from_secs(1));
    let lost = lose(&mut station);
    right &= told("gone and given up", lost, LOST_TARGET, "s");
    right &= told("memory then", resident_gib(), MEMORY_TARGET_GIB, "GiB");
    store.shutdown();
    right
}

/// What it takes to decide and commit all of it; the wait between the two is none.
fn lose(station: &mut Station) -> f64 {
    for number in (0..NODES).filter(|number| is_lost(*number)) {
        let (node, _) = cluster::place(number, 0);
        let gone = Event::AgentGone {
            node,
            agent_run: Some(AgentRunId(uuid::Uuid::from_u64_pair(1, number as u64))),
            why: GoneWhy::SessionClosed,
        };
        station
            .core
            .enqueue(gone, None)
            .expect("it is never refused for load");
    }
    let (gone, entries) = station.settle();
    println!("{LOST} agents gone             {gone:>8.2} s    in {entries} entries");
    station.passes(Duration::from_millis(
        cluster::settings().lost_closed_ms + 1_000,
    ));
    let (given_up, entries) = station.settle();
    println!("they are given up           {given_up:>8.2} s    in {entries} entries");
    let lost =
        |vertex: &Vertex| matches!(vertex, Vertex::Node(node) if node.state == NodeState::Lost);
    assert_eq!(station.count(Kind::Node, lost), LOST);
    let lost = |vertex: &Vertex| matches!(vertex, Vertex::Instance(one) if matches!(one.state, InstanceState::Lost { .. }));
    assert_eq!(station.count(Kind::Instance, lost), LOST * EACH);
    gone + given_up
}

/// Whether it is not missed by too much.
fn told(what: &str, is: f64, target: f64, unit: &str) -> bool {
    println!("{what:<28}{is:>8.2} {unit:<4} (target {target:.1})");
    is <= target * MISS_MAX
}

fn resident_gib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the kernel has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kib.expect("a number") / 1024.0 / 1024.0
}
