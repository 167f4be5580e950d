//! A station's driver reduced to what the store's tests need: it keeps a graph from what was opened and from the
//! events, and proposes deltas made on it.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "the failing line is the explanation")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstay_coordinator::entry::{Decision, Entry, FORMAT, Outcome, Saw};
use mainstay_coordinator::log::{Log, LogEvent};
use mainstay_protocol::code::Code;
use mainstay_protocol::{
    ClusterId, Epoch, InstanceKey, Leadership, NodeEpoch, NodeName, Sequence, StationId,
    StationRunId, Term, Timestamp,
};
use mainstay_resource_graph::{
    Cause, Cluster, ConfigHash, Configuration, Delta, Graph, Key, Name, NameKey, Outbox, Settings,
    Station, StationBegan, StationState, Vertex, View,
};
use mainstay_store::{LogHandle, Opened, Report, Store, StoreConfig};
use tokio::sync::mpsc;

/// The cluster of the tests is number 1.
pub fn cluster(number: u8) -> ClusterId {
    serde_json::from_str(&format!(
        "\"00000000-0000-4000-8000-0000000000{number:02x}\""
    ))
    .unwrap()
}

pub fn config(dir: &Path) -> StoreConfig {
    StoreConfig::new(dir, cluster(1), StationId(1))
}

pub struct Driver {
    pub store: Store,
    pub graph: Graph,
    pub report: Report,
    pub leading: Option<Term>,
    /// The epoch that the directory was made for.
    pub begun: Option<Epoch>,
    pub log: LogHandle,
    events: mpsc::Receiver<LogEvent>,
    log_time: Timestamp,
    /// Entries taken from the log since the start.
    pub committed: u64,
}

/// What became of a proposal.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    Committed { took_effect: bool },
    Lost,
}

impl Driver {
    pub fn open(config: StoreConfig) -> Self {
        let (store, opened) = Store::open(config).unwrap();
        let Opened {
            graph,
            log_time,
            begun,
            log,
            events,
            report,
        } = opened;
        Self {
            store,
            graph,
            report,
            leading: None,
            begun,
            log,
            events,
            log_time,
            committed: 0,
        }
    }

    pub fn open_leading(config: StoreConfig) -> Self {
        let mut driver = Self::open(config);
        while driver.leading.is_none() {
            driver.take();
        }
        driver
    }

    /// Takes one event; for an entry, says whether it changed the graph.
    pub fn take(&mut self) -> Option<Fate> {
        match self.events.blocking_recv().expect("the log goes on") {
            LogEvent::Leading(term) => {
                assert!(self.leading.is_none(), "told twice");
                self.leading = Some(term);
                None
            }
            LogEvent::Following => {
                self.leading = None;
                None
            }
            LogEvent::Committed(entry) => Some(self.apply(&entry)),
            LogEvent::Lost(_) => Some(Fate::Lost),
            LogEvent::Replaced { graph, log_time } => {
                self.graph = *graph;
                self.log_time = log_time;
                None
            }
        }
    }

    /// Takes what is left; true when the queue has ended.
    pub fn ends(&mut self) -> bool {
        while self.events.blocking_recv().is_some() {}
        true
    }

    fn apply(&mut self, entry: &Arc<Entry>) -> Fate {
        self.committed += 1;
        self.log_time = self.log_time.max(entry.log_time);
        let took_effect = self.graph.apply(&entry.delta).changed;
        Fate::Committed { took_effect }
    }

    pub fn entry(&self, delta: Delta, decisions: Vec<Decision>) -> Entry {
        Entry {
            format: FORMAT,
            leadership: Leadership {
                epoch: Epoch(1),
                term: self.leading.unwrap_or_default(),
            },
            log_time: Timestamp(self.log_time.0 + 1_000_000),
            wall_ms: 1_700_000_000_000,
            delta,
            decisions,
        }
    }

    pub fn propose(&mut self, entry: Entry) -> Fate {
        self.log.propose(entry);
        loop {
            if let Some(fate) = self.take() {
                return fate;
            }
        }
    }

    /// Sets node `n<node>`'s watermark: one small acknowledged change.
    pub fn write(&mut self, node: u64, watermark: u64) -> Fate {
        let delta = self.watermark(node, watermark);
        let decision = decision(node, watermark);
        let entry = self.entry(delta, vec![decision]);
        self.propose(entry)
    }

    /// An entry that is told of, unlike a watermark.
    pub fn station_joins(&mut self, number: u64) -> Fate {
        let mut txn = self.graph.begin(self.log_time, Cause::Start);
        let id = StationId(number);
        let station = Station {
            id,
            address: String::new(),
            build: "test".to_owned(),
            node: None,
            run: Some(StationRunId(cluster(1).0)),
            state: StationState::Running,
            began: StationBegan::First,
        };
        txn.put(Key::Station(id), Vertex::Station(station)).unwrap();
        let entry = self.entry(txn.finish(), Vec::new());
        self.propose(entry)
    }

    pub fn watermark(&self, node: u64, watermark: u64) -> Delta {
        let mut txn = self.graph.begin(self.log_time, Cause::Start);
        let vertex = Outbox {
            node_epoch: NodeEpoch(1),
            watermark: Sequence(watermark),
        };
        txn.put(Key::Outbox(node_name(node)), Vertex::Outbox(vertex))
            .unwrap();
        txn.finish()
    }

    /// The cluster, named test.
    pub fn found(&mut self) {
        let mut txn = self.graph.begin(self.log_time, Cause::Start);
        let vertex = Cluster {
            authority: None,
            id: cluster(1),
            epoch: Epoch(1),
            name: "test".parse().unwrap(),
            settings: Settings::LAN,
            rules_off: std::collections::BTreeMap::new(),
            groups: Default::default(),
            brake: None,
            epoch_began: None,
        };
        txn.put(Key::Cluster, Vertex::Cluster(vertex)).unwrap();
        let entry = self.entry(txn.finish(), Vec::new());
        assert_eq!(self.propose(entry), Fate::Committed { took_effect: true });
    }

    /// Names and configurations, so that more than one family holds something.
    pub fn populate(&mut self) {
        let mut txn = self
            .graph
            .begin(self.log_time, Cause::Operator("start".to_owned()));
        for number in 0..20 {
            let slot = NameKey::new(node_name(number), format!("slot-{number}").parse().unwrap());
            txn.put(Key::Name(slot), Vertex::Name(Name {})).unwrap();
            let json = format!("{{\"n\":{number}}}");
            let key = Key::Configuration(ConfigHash(format!("{number:064x}")));
            txn.put(key, Vertex::Configuration(Configuration { json }))
                .unwrap();
        }
        let delta = txn.finish();
        let entry = self.entry(delta, Vec::new());
        assert_eq!(self.propose(entry), Fate::Committed { took_effect: true });
    }

    /// What is stored is what the graph is, byte for byte.
    pub fn assert_stored(&self) {
        let stored = self.store.view().graph().unwrap();
        assert_eq!(stored.revision(), self.graph.revision());
        assert!(
            stored.snapshot() == self.graph.snapshot(),
            "the stored graph differs from the events'"
        );
    }
}

pub fn node_name(number: u64) -> NodeName {
    format!("n{number}").parse().unwrap()
}

pub fn watermark(graph: &impl View, node: u64) -> Option<u64> {
    match &graph.record(&Key::Outbox(node_name(node)))?.vertex {
        Vertex::Outbox(outbox) => Some(outbox.watermark.0),
        _ => None,
    }
}

pub fn decision(node: u64, watermark: u64) -> Decision {
    Decision {
        rule: "test".to_owned(),
        subject: Key::Instance(InstanceKey::new(node_name(node), "web".parse().unwrap())),
        saw: vec![Saw {
            key: Key::Outbox(node_name(node)),
            rev: mainstay_protocol::Revision(0),
            text: format!("watermark {watermark}"),
        }],
        outcome: Outcome::Did {
            code: Code::known("started"),
            text: format!("watermark {watermark}"),
        },
    }
}

/// The entry that sets a node's watermark, made on this graph.
pub fn watermark_entry(graph: &Graph, term: Term, node: u64, watermark: u64) -> Entry {
    let mut txn = graph.begin(Timestamp(watermark), Cause::Start);
    let vertex = Outbox {
        node_epoch: NodeEpoch(1),
        watermark: Sequence(watermark),
    };
    txn.put(Key::Outbox(node_name(node)), Vertex::Outbox(vertex))
        .unwrap();
    Entry {
        format: FORMAT,
        leadership: Leadership {
            epoch: Epoch(1),
            term,
        },
        log_time: Timestamp(watermark * 1_000_000),
        wall_ms: 1_700_000_000_000,
        delta: txn.finish(),
        decisions: Vec::new(),
    }
}

/// The nodes the writer writes to, in turn.
pub const NODES: u64 = 7;

/// The highest watermark of any node: where the writer goes on.
pub fn highest(graph: &impl View) -> u64 {
    (0..NODES)
        .filter_map(|node| watermark(graph, node))
        .max()
        .unwrap_or(0)
}

/// Files of the database with this ending, in order.
pub fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir.join("db"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

/// The newest write-ahead log with something in it.
pub fn last_log(dir: &Path) -> PathBuf {
    let mut logs = files(dir, "log");
    logs.retain(|log| std::fs::metadata(log).unwrap().len() > 0);
    logs.pop().expect("something was written")
}

/// One byte is another.
pub fn flip(file: &Path, at: u64) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[usize::try_from(at).unwrap()] ^= 0x10;
    std::fs::write(file, bytes).unwrap();
}

/// A directory and all in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Waits for a condition that background work will bring about; fails if it takes absurdly long.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !holds() {
        assert!(start.elapsed().as_secs() < 60, "{what} does not come about");
        std::thread::yield_now();
    }
}

/// Writes over one stored vertex, past the log.
pub fn tamper(dir: &Path) {
    let path = dir.join("db");
    let options = rocksdb::Options::default();
    let families = rocksdb::DB::list_cf(&options, &path).unwrap();
    let db = rocksdb::DB::open_cf(&options, &path, families).unwrap();
    let outboxes = db.cf_handle("state_outbox").unwrap();
    let mut items = db.iterator_cf(outboxes, rocksdb::IteratorMode::Start);
    let (key, value) = items.next().unwrap().unwrap();
    let mut record = mainstay_resource_graph::stored::decode(&value).unwrap();
    record.since = Timestamp(record.since.0 + 1);
    db.put_cf(
        outboxes,
        key,
        mainstay_resource_graph::stored::encode(&record),
    )
    .unwrap();
}
