//! The coordinator: the one place that writes decisions.
//!
//! ```text
//!   events (reports, operations, sessions)        committed entries
//!        |                                              |
//!        v                                              v
//!   LeaderCore: batch -> step -> propose  ==Log==>  apply to the graph -> effects (acks, commands, answers)
//!                          |
//!                 record: facts into a transaction
//!                 converge: rules over what changed, each in a savepoint
//! ```

pub mod effect;
pub mod entry;
pub mod event;
pub mod log;
