//! What the real-process tests share: a cluster as a person starts it, the command line as a person types it, and
//! witnesses outside Mainstay.
//!
//! ```text
//!   test --spawns--> mainstay dev --spawns--> station, agents
//!     |                 (own MAINSTAY_HOME, own runtime directory)
//!     +--runs--> mainstay status | start | why ...   (same home)
//!     +--looks--> /proc, the file system, witness files   (never Mainstay's own word)
//! ```
//! Tests wait for conditions, never for a time: `until` asks again until the answer is right, and fails with the last
//! answer when a generous limit is over.

pub mod answers;
pub mod cluster;
pub mod command;
pub mod containers;
pub mod daemons;
pub mod machines;
pub mod measure;
pub mod nats;
pub mod outside;
pub mod power;
pub mod random;
pub mod register;
pub mod shared;
pub mod soak;
pub mod until;
pub mod users_crate;

pub use cluster::{Cluster, DevOptions, signal};
pub use command::{Run, mainstay_binary};
pub use containers::Podman;
pub use machines::Machines;
pub use nats::NatsServer;
pub use outside::Witness;
pub use random::Random;
pub use shared::Shared;
pub use until::until;
