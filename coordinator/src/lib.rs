//! The coordinator: the one place that writes decisions.
//!
//! ```text
//!   events (reports, operations, sessions)        committed entries
//!        |                                              |
//!        v                                              v
//!   LeaderCore: batch -> step -> propose  ==Log==>  apply to the graph -> effects (acks, commands, answers)
//!                          |
//!                 record: facts and wishes into a transaction
//!                 converge: rules over what changed, each in a savepoint
//! ```
//!
//! Reading order: `event` and `entry` (what comes in, what goes into the log), `rule` and `rules/` (judgement), `verb`
//! (what a decision writes), `record/` (facts), `converge` and `step` (how rules run), `core` (the leader loop
//! over `log`), then `why` (the same graph, asked).
//!
//! Invariants: a report and its effects are one entry; a command exists in the graph before it is sent; the
//! same graph, events and env give the same delta; a rule that panics is parked for its subject and disturbs nothing
//! else; every queue and every step's output is bounded.

pub mod artifacts;
pub mod candidates;
pub mod config;
pub mod converge;
pub mod core;
pub mod describe;
pub mod effect;
pub mod entry;
pub mod env;
pub mod event;
pub mod guarding;
pub mod hash;
pub mod judging;
pub mod lease;
pub mod log;
pub mod lookup;
mod orchestrate;
#[cfg(feature = "planted-bugs")]
pub mod planted;
pub mod procedure;
pub mod record;
pub mod room;
pub mod rule;
mod rules;
mod runs;
pub mod schema;
pub mod secrets;
mod serving;
pub mod status;
pub mod step;
pub mod testing;
pub mod unfit;
pub mod verb;
pub mod watching;
pub mod why;
pub mod word;

pub use core::{CoreConfig, LeaderCore, Monotonic, outcome_unknown};
pub use effect::{AskHost, Effect, Look};
pub use entry::{Decision, Entry, Outcome, ProposalId, Saw};
pub use env::Env;
pub use event::{
    Accepted, Answer, Apply, Asks, BasedOn, Change, Event, Found, GoneWhy, Maintain, NewToken,
    NodeAct, Operation, PlacementWish, Reconfigure, SettingsChange, StartOn, StartPlacement,
    StationLife, StationSeen, Ticket, UseToken, WorkedOn,
};
pub use log::{Log, LogEvent};
pub use orchestrate::{Keep, NewArtifact, Orchestrate, PlaceOrder, RunAct, StartRun};
pub use procedure::{Next, Procedure, Turn};
pub use record::known_token;
pub use rule::{Rule, Rules, Subject, SupervisorOf, TheCluster, Verdict, Watch};
pub use rules::dependency_gate::unmet as unmet_dependencies;
pub use rules::restart_host::RestartHost;
pub use runs::{activities_of, is_over as is_run_over};
pub use step::{Stepped, step};
