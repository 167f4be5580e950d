//! # The station: sessions with agents, the leader's driver, the HTTP API
//!
//! ```text
//!   agents --Unix socket--> sessions --reports, node up, gone--> inbox --+
//!                              ^                                         v
//!                              |  welcome, commands, acks        driver: LeaderCore
//!                              +----------------------------------- |    ^
//!   CLI ---Unix socket---> http --operations with a ticket--> inbox |    | committed entries
//!                            |                                      v    |
//!                            +--- reads ---> store snapshots <--- the log (store)
//!
//!   recovery supervisor: starts the driver with leadership, again if it fails, and ends it when leadership goes
//! ```
//!
//! What must hold:
//! - The driver task is the one owner of graph and core; everybody else reads store snapshots.
//! - Nothing is acknowledged, sent or answered before the entry that justifies it is committed.
//! - Every queue has a bound: a full inbox slows sessions down and answers 503 to the API, a session that does not
//!   read is closed; heartbeats, Checks and kills pass by the inbox.
//! - No frame, however broken, ends more than its own session.
//! - A panic of the leader core ends the process; the log is what survives it.
//!
//! Where an outside queue is wanted, it stands beside the driver, which tells it what is due and hears whose turn it is.
//!
//! Users link their rules: `Station::new().rule::<MyRule>().procedure::<MyProcedure>().run(options)`.
#![forbid(unsafe_code)]

mod access;
mod clock;
mod cluster;
mod descriptors;
mod driver;
mod faults;
mod group;
mod hosts;
mod http;
mod looks;
mod metrics;
mod options;
mod own_word;
mod parts;
mod queue;
mod recovery_supervisor;
pub mod rule;
mod sessions;
mod shared;
mod space;
mod start_error;
mod startup;
mod watchdog;

pub use access::AUTHORITY;
pub use mainstay_queue_nats::{Login, NatsOptions, servers as nats_servers};
pub use options::{Profile, StationOptions};
pub use start_error::StartError;
pub use startup::{Running, Station};
