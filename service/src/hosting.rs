//! Runs instances: for agents, and for the test kit through the same code.
//!
//! ```text
//!   launch --> Starting --start returned--> Running --task finished--> Gone(ExitFact)
//!                 |  refused, panic, deadline                ^
//!                 +--> NotStarted                            | stop: ask, deadline, kill, confirm
//! ```
//! An instance is a ractor actor, linked to the logic-free host so that no watcher's death takes it along.
//! `start` runs in a task of its own with a deadline; admission to the mailbox is bounded here, since ractor's is
//! not; ractor's names are not used. Gone is the task's join handle finished: by then its state is dropped.

mod actor;
mod bad_config;
mod host;
mod hosted;
pub(crate) mod launch;
pub(crate) mod life;
pub(crate) mod panics;
mod runtimes;
mod words;

pub use crate::others::{Answered, Heard, Others, other_incarnation};
pub use host::spawn_host;
pub use hosted::{Breakage, Checked, Hosted, StopOrder, StopOutcome, WorkDone};
pub use launch::{ENDING_WITHIN, Launch, launch, span};
pub use life::{NotStarted, Phase, Running};
pub use mainstay_supervisor::{ExitFact, ExitHow};
pub use panics::install_hook;
pub use runtimes::{Runtimes, Stage};
pub use words::{Purpose, Said, Spoken, Word};
