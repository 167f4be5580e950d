//! # The hold: one tiny process beside each outside process
//!
//! The program `mainstay-hold` owns an outside process's pipes, lock, logs and exit status, so that the agent
//! may die, restart and be upgraded without the process noticing and without anything being lost. This library is
//! the part that an agent shares with it: the layout of a slot and the lines they speak.
//!
//! ```text
//!   agent ---- spec, sock ----> hold (own session, subreaper, single thread)
//!     ^                          |  pidfd, stdout, stderr, sd_notify
//!     |      state, exit         v
//!     +------ slot -------- the process and all that descends from it (own group, inherits the lock)
//!
//!   slots/NAME/  lock  spec  state  exit  sock  log/INCARNATION.log[.N]
//! ```
//!
//! What must hold:
//! - Whoever has the slot's lock has the name on this node: the hold, or anything that descends from its process.
//! - The exit file is written before the hold ends, and only when nothing of the process is left.
//! - A process does not outlive its hold (parent death signal), nor a slot whose directory is gone.
//! - A process with a lease does not outlive it by more than its ladder, by the clock that counts the machine's sleep,
//!   whatever becomes of the agent: the hold counts the lease itself. What has run out is not prolonged any more.
//! - Files appear whole: written beside and renamed.
//! - What carries a guard's mark does not outlive whoever started the guard by more than a moment: that is for programs, and
//!   containers, that are part of their agent's work and are to end with it, and have no slot.
//! - No more memory is used for a talkative process than for a quiet one.
//!
//! It uses no other crate of ours and no executor: it must stay small, and older than the agents that come and go.
#![forbid(unsafe_code)]

pub mod boot_clock;
mod client;
mod fields;
pub mod limits;
mod log;
mod message;
pub mod processes;
mod records;
mod slot;
mod spec;
pub mod users;

pub use client::Client;
pub use fields::{BadFields, Fields};
pub use log::Log;
pub use message::{Event, Request, Step};
pub use processes::ProcessId;
pub use records::{Exit, How, Phase, State};
pub use slot::{Slot, SlotLock};
pub use spec::{Lease, Limits, LogBounds, MemoryGroup, Spec};

/// What the program says when it ends; the agent tells these apart.
pub mod exit_code {
    /// The process ended, and how is in the exit file.
    pub const ENDED: u8 = 0;
    /// The arguments, or the spec, are wrong.
    pub const USAGE: u8 = 2;
    /// The slot cannot be used.
    pub const SLOT: u8 = 3;
    /// Somebody has the slot.
    pub const HELD: u8 = 4;
    /// Something else went wrong; it is on standard error.
    pub const BROKEN: u8 = 1;
}

/// In the environment of everything that descends from a held process: the path of its slot.
pub const SLOT_VARIABLE: &str = "MAINSTAY_SLOT";
/// In the environment of what a guard kills when whoever started that is gone.
pub const GUARD_VARIABLE: &str = "MAINSTAY_GUARD";
/// The label of containers that a guard removes then: they are children of their engine, and inherit nothing.
pub const GUARD_LABEL: &str = "mainstay.guard";
