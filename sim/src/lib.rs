//! # The simulator: a whole cluster in one thread
//!
//! ```text
//!   seed -> Dice -> Plan                     virtual clock, one queue of happenings
//!                     |                                    |
//!   operators --> 1 to 5 stations:    LeaderCore <------ links ---> nodes: AgentCore + file + host of services
//!                     |   driver, member, disk                                |
//!                     |   ^ words, cuts of one way                            |
//!                     +---------------> Oracle: one file per invariant <------+
//! ```
//!
//! The cores are the real ones. What is simulated is what they never see: the disk (a log that is synced late, torn,
//! lost), the group (`member`: a small model of consensus, with its ways to fail), the network (delay, cut, silence,
//! duplicates), clocks that jump and drift, processes that stand still or die at any byte they write, services that
//! refuse, panic, hang or never end, and people who give orders and keep their own books, or want more stations, or
//! fewer.
//!
//! What must hold:
//! - The same seed gives the same run, byte for byte; nothing here reads a clock or a hash map's order.
//! - Every invariant is judged after every happening that touched what it speaks of (a committed entry, a command,
//!   what an agent did); replay and the full pass after every few entries, and at every crash and end.
//! - After the faults end, everything that was promised becomes true within a bounded time.
//! - Every kind of fault and every shipped rule is counted; a run of many seeds in which one never fired proves
//!   nothing about it, and fails.
//!
//! Reading order: `run` (a seed's course), `storm` (what is thrown), `world` (the queue), `station`, `driver`, `sessions` and
//! `node` (the two shells), `disk`, `member` and `group` (how stations agree), `membership` and `changes` (which stations there
//! are), `host` (the services), `link` (the network of agents), `operators`, `care` (of nodes), `fault`, `matrix` and `scene` (courses told
//! beforehand), then `invariant/`.
#![forbid(unsafe_code)]

pub mod care;
pub mod changes;
mod clients;
pub mod count;
pub mod dice;
pub mod disk;
pub mod driver;
pub mod fault;
pub mod group;
pub mod happening;
pub mod host;
mod hosts;
pub mod invariant;
pub mod link;
pub mod matrix;
pub mod member;
pub mod membership;
pub mod node;
pub mod operators;
mod peers;
pub mod plan;
pub mod planted;
pub mod rules;
pub mod run;
pub mod scene;
pub mod sessions;
pub mod station;
pub mod storm;
pub mod words;
pub mod world;

pub use count::Counts;
pub use fault::Fault;
pub use invariant::Violation;
pub use run::{Report, replay_command, run, run_traced};
