//! What the families `log`, `meta`, `counters`, `decisions` and `events` hold, each with its versions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mainstay_coordinator::entry::{Decision, Entry};
use mainstay_protocol::record::Record;
use mainstay_protocol::versioned::Evolving;
use mainstay_protocol::{ClusterId, ClusterName, Epoch, Revision, StationId, Timestamp};
use mainstay_resource_graph::Event;
use serde::{Deserialize, Serialize};

/// Kinds of vertices are below 0x0100, which is that of edges.
macro_rules! families {
    ($($record:ty: $name:literal, $family:literal;)*) => {$(
        impl Evolving for $record {
            const NAME: &'static str = $name;
            const VERSION: u16 = 1;
            const COMPAT: u16 = 1;
        }
        impl Record for $record {
            const FAMILY: u16 = $family;
        }
    )*
        #[cfg(test)]
        const FAMILIES: &[&str] = &[$($name),*];
    };
}

families! {
    LogRecord: "log entry", 0x0200;
    Applied: "applied", 0x0201;
    Vote: "vote", 0x0202;
    LogPoint: "log point", 0x0203;
    SnapshotPoint: "snapshot point", 0x0204;
    Counters: "counters", 0x0205;
    DecisionRow: "decision", 0x0206;
    EventRow: "event", 0x0207;
    SnapshotHead: "snapshot head", 0x0208;
    SnapshotEnd: "snapshot end", 0x0209;
    History: "history", 0x020a;
    Begun: "begun", 0x020b;
    About: "backup", 0x020c;
    BackupEnd: "backup end", 0x020d;
}

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogPoint {
    pub term: u64,
    pub index: u64,
}

/// One entry of the log; its index is its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogRecord {
    pub term: u64,
    pub payload: Payload,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Payload {
    /// The first entry of a term.
    Blank,
    Entry(Arc<Entry>),
    Membership(Members),
}

/// Who votes (more than one set while it changes), and where everyone is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Members {
    pub voters: Vec<BTreeSet<u64>>,
    pub addresses: BTreeMap<u64, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Vote {
    pub term: u64,
    pub station: u64,
    pub committed: bool,
}

/// How far the state is: written in the same batch as the state itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Applied {
    pub last: Option<LogPoint>,
    pub members_at: Option<LogPoint>,
    pub members: Members,
    pub revision: Revision,
    /// Which life of the state is the current one.
    pub generation: u32,
    pub log_time: Timestamp,
    pub wall_ms: u64,
}

/// Up to where the newest snapshot reaches, and the directory that holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotPoint {
    pub last: Option<LogPoint>,
    pub members_at: Option<LogPoint>,
    pub members: Members,
    pub directory: String,
}

/// Counted as entries are applied, so that nobody has to count the state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Entries with a delta that took effect.
    pub entries: u64,
    /// Entries that were no-ops, being made for another revision.
    pub stale: u64,
    pub decisions: u64,
    pub events: u64,
    /// Vertices there are, by the number of their kind.
    pub vertices: BTreeMap<u16, u64>,
    pub edges: u64,
}

/// How much history is kept; this station's own business, not part of the state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct History {
    pub bytes: u64,
}

/// The epoch that a directory was made for: the graph in it is of an earlier one until a leader has raised it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub epoch: Epoch,
}

/// What a backup holds; it stands first in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    pub cluster: ClusterId,
    pub name: ClusterName,
    pub epoch: Epoch,
    /// Which station wrote it.
    pub station: StationId,
    pub revision: Revision,
    /// The last entry whose effect is in it, its log time and when that was.
    pub last: LogPoint,
    pub log_time: Timestamp,
    pub wall_ms: u64,
    /// When it was written.
    pub taken_ms: u64,
}

/// The last of a backup: of all that stands before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BackupEnd {
    pub bytes: u64,
    pub crc: u32,
}

/// A decision as it is kept. Its id is (revision, number).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRow {
    pub revision: Revision,
    pub number: u32,
    pub log_time: Timestamp,
    pub wall_ms: u64,
    pub decision: Decision,
}

/// An event as it is kept. Its sequence number is (revision, number).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    pub revision: Revision,
    pub number: u32,
    pub log_time: Timestamp,
    pub wall_ms: u64,
    pub event: Event,
}

/// The first chunk of a snapshot's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotHead {
    pub cluster: String,
    pub applied: Applied,
}

/// The last: what a complete stream held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotEnd {
    pub records: u64,
}

#[cfg(test)]
mod tests;
