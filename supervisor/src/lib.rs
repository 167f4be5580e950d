//! # What a node knows, what it has to report, and who watches its instances
//!
//! ```text
//!    station session          starter, host                    supervisor actor
//!      | SessionUp, Command      | Started, CouldNotStart,        | Ended, Failed,
//!      | Acknowledged            | NameTaken, WillNotEnd          | HealthChanged, Unresponsive,
//!      v                         v                                v SupervisorChanged
//!    +------------------- AgentCore::step(now, Input) -----------------------+
//!    |  floors   names   living   ledger of commands   outbox of reports     |
//!    +-----------------------------------------------------------------------+
//!      |                                   |
//!      v Output::persist (first)           v Output::actions (then)
//!    the agent's file                    Start, Stop, Send, CloseSession
//! ```
//!
//! Everything but `actor` is pure: no executor, clock, file or randomness; the simulator drives the same code.
//! `actor` holds the ractor supervisor: it monitors instances, asks their probes, and says what it saw.
//!
//! What must hold:
//! - The driver writes `Output::persist` to the agent's file before it carries out any action. No fsync: what
//!   was written survives the death of the process, and a reboot voids the file (seen by its boot id).
//! - Per node at most one living instance holds a name, at every moment.
//! - A Start below an instance's incarnation floor never takes effect; a Stop raises the floor.
//! - Every command gets exactly one `CommandDone`; a repeat starts or stops nothing a second time.
//! - Report numbers rise strictly within a node epoch; life-cycle reports are never dropped.
//! - Nothing here starts or stops a service by its own judgement: actions that do come from commands alone.
#![forbid(unsafe_code)]

pub mod actor;
pub mod checks;
pub mod core;
pub mod file;
#[cfg(feature = "planted-bugs")]
pub mod planted;
pub mod restarts;

pub use actor::{
    Answered, CheckFuture, Clock, ExitFact, ExitHow, Pacing, PauseFuture, Probe, SupervisorConfig,
    SupervisorHandle, SupervisorStatus, Watched, supervise,
};
pub use checks::{CheckTable, DueCheck};
pub use core::{Action, AgentCore, Identity, Input, Observation, Output, Survivor, Survivors};
pub use file::{Came, FileRecord, Recovered, encode_record, replay};
