//! # The store: the log and the state, on one disk
//!
//! ```text
//!   leader core                                   station's readers (API, SQL, exports)
//!      | propose           ^ LogEvent                  | view(): a RocksDB snapshot
//!      v                   |                           v
//!   LogHandle --> openraft (raft/) --- apply ---> state_*, edges, counters, decisions, events
//!                    |  append                         |  one batch with "applied"
//!                    v                                 v
//!                 family log, meta ---------------> one write-ahead log --sync--> disk
//!                                                      ^ committer: one sync for all that wait
//! ```
//!
//! What must hold:
//! - Nothing is called durable before the sync that covers it returned. A sync that fails ends the process
//!   ([`EXIT_STORAGE`]); it is never tried again as if it had worked.
//! - Log and state share one write-ahead log: state found after a crash is a prefix of the log found with it, and
//!   what is missing is applied again.
//! - The graph given out by [`Store::open`] and the [`LogEvent`](mainstay_coordinator::log::LogEvent)s after it
//!   hold each entry exactly once.
//! - The same log gives the same state: a delta that does not fit changes nothing, on every station alike
//!   ([`replay`] checks it).
//! - A torn end is cut off and said; damage anywhere else refuses to open.
//! - Restore, recover and repair make a new directory, in a new epoch, and never touch what they make it from.
//! - openraft's types stay inside `raft/`, also on the wire between stations; one station and five take the same path.
//!
//! Deliberately absent: a log on files of its own (no ordering between it and the state), several databases,
//! repair in place.
#![deny(unsafe_code)]

mod config;
mod error;
mod fatal;

mod directory;
mod reach;
mod space;
mod wal;

mod committer;
mod db;
mod keys;
mod records;

mod check;
mod history;
mod state;
mod view;

mod raft;

mod replay;
mod store;

mod backup;
mod rebuild;
mod recover;
mod repair;
mod restore;

pub use backup::{Backup, BackupError};
pub use config::StoreConfig;
pub use db::slow_syncs;
pub use directory::{FORMAT, Identity, identity};
pub use error::OpenError;
pub use fatal::EXIT_STORAGE;
pub use history::{DecisionFilter, Page, Reading};
pub use raft::{MemberChange, NotChanged};
pub use reach::{Alone, PeerStream, Reach};
pub use rebuild::Rebuilt;
pub use records::{About, Counters, DecisionRow, EventRow, LogPoint};
pub use recover::{Survived, Survivor};
pub use repair::{Repaired, repair};
pub use replay::{Replayed, replay};
pub use restore::RestoreError;
pub use space::Shortage;
pub use store::{LogHandle, LogStatus, Opened, Report, Store};
pub use view::StoreView;
pub use wal::Tear;
