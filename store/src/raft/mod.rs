//! openraft, and everything that knows its types. Outside this module there are only our own.
//!
//! ```text
//!   LogHandle --client_write--> openraft --append--> LogStore --write--> RocksDB <--sync once-- committer
//!                                  |                                        ^
//!                                  +--apply (committed)--> StateMachine ----+   state, unsynced, same database
//!                                                               |
//!   leadership (metrics) -----------> LogEvent, one bounded queue, in order ---> the station's driver
//! ```
//!
//! - Leaders are one per term (`leader_id_std`): commands are ordered by (epoch, term), so a term names one leader.
//! - A restarted leader is never a leader without an election: its term must be new.
//! - The committed index is not stored: state found at the start is a prefix of the log, and what is behind it is
//!   applied once the new term's first entry is committed.

mod convert;
mod heard;
mod leadership;
mod log_store;
mod members;
mod network;
mod serve;
mod snapshot;
mod start;
mod state_machine;
#[cfg(test)]
mod suite;
mod talk;

use std::fmt;
use std::sync::Arc;

use mainstay_coordinator::entry::Entry;
use serde::{Deserialize, Serialize};

pub(crate) use log_store::decode;
pub use members::{MemberChange, NotChanged};
pub(crate) use snapshot::{Chunks, Install, Reading, Snapshots, clear_leftovers, stream_view};
pub(crate) use start::{Running, Status};

/// What is proposed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Proposal(Arc<Entry>);

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "delta for revision {}", self.0.delta.expected)
    }
}

openraft::declare_raft_types!(
    pub(crate) Types:
        D = Proposal,
        R = (),
        NodeId = u64,
        Node = openraft::BasicNode,
        Term = u64,
        LeaderId = openraft::impls::leader_id_std::LeaderId<Self::Term, Self::NodeId>,
);

type Raft = openraft::Raft<Types, state_machine::StateMachine>;
type LogId = openraft::type_config::alias::LogIdOf<Types>;
type RaftEntry = openraft::type_config::alias::EntryOf<Types>;
type RaftVote = openraft::type_config::alias::VoteOf<Types>;
type StoredMembership = openraft::type_config::alias::StoredMembershipOf<Types>;
type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<Types>;
type Snapshot = openraft::type_config::alias::SnapshotOf<Types, snapshot::StateSnapshot>;
