//! # The agent: one per node
//!
//! It hosts the node's instances, carries out the coordinator's commands and reports what happens. It never
//! decides: what to start, stop or restart arrives as a command.
//!
//! ```text
//!   station                     control thread                            threads of services
//!     ^   Unix socket   +---------------------------------+
//!     +---------------> | session --> driver (AgentCore) --> agent.log
//!                       |    |            | Start, Stop   |
//!                       |    |            v               |    launch     +----------------+
//!                       | requests --> instances ------------------------>| start, handle, |
//!                       |    |            ^               |               | status, stop   |
//!                       |    |            | exit facts    |               +----------------+
//!                       |    +--> supervisor (monitors, asks probes) ---> threads of probes
//!                       +---------------------------------+
//! ```
//!
//! A user's agent is a binary of three lines; the system's own types are always in it:
//!
//! ```no_run
//! # use std::process::ExitCode;
//! fn main() -> ExitCode {
//!     mainstay_agent::run(mainstay_agent::Agent::new())
//! }
//! ```
//!
//! What must hold:
//! - What the core wants written is in the file before anything it implies is done.
//! - The control thread runs no service's code and no probe's: a service that blocks cannot silence the node.
//! - A name's lock on the node is held from before `start` until the instance's task has finished; that of an outside
//!   process by its hold and all that descends from it, also while there is no agent.
//! - When the host ends, the process ends: no instance outlives its parent unnoticed.
#![forbid(unsafe_code)]

mod agent;
mod arguments;
mod options;

mod action;
mod artifacts;
mod data;
mod driver;
mod hosts;
mod instances;
mod leases;
mod lookups;
mod mesh;
mod programs;
mod requests;
mod secret_files;
mod secrets;
mod session;

mod adoption;
mod agent_file;
mod directory;
mod held;
mod logs;
mod machine;
mod own_logs;
mod speech;
mod usage;

mod trust;
pub mod types;

pub use agent::{Agent, log_to_stderr, own_logs, run};
pub use arguments::AgentArguments;
pub use options::{AgentOptions, CannotRun, Offer};
pub use secret_files::take_away_secrets;
