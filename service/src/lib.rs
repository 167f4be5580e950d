//! # What a service is written against
//!
//! A service is one type that implements [`Service`]: it starts with a configuration, handles its own messages,
//! says its status, and stops. Everything else (where it runs, when it is started again, who may have its name)
//! is decided elsewhere from what the type declares in [`TypeInfo`].
//!
//! ```text
//!   start(config) --> (service, probe)        CannotStart: said, with its reason
//!        |                 |
//!        v                 +--> check()       on threads of their own: busy is not dead
//!   handle(message)  Ok(Reply) | Err(Failure: the instance has failed)
//!   status()         also written to the log
//!   ctx.report_failure(..)   it has failed and still lives
//!   ctx.acquire(..), share   has a resource of a kind that its type may use, until it is gone
//!   ctx.secret(..)           what a field of its configuration refers to, and nobody else is to see
//!   ctx.ask(..)              it has failed in a way that a rule knows what to do about
//!   ctx.record(..)           something it follows for others, for rules
//!   activities()             what its instances do for runs, each call by a Processor, several at once
//!   ctx.end()                it ends cleanly, by itself
//!   ctx.fail(..)             what it stood for has ended; so does it
//!        v
//!   stop(why)        the last word, within a deadline; then it is killed
//! ```
//!
//! A message is an externally tagged enum; its variants in kebab case are what `mainstay call` takes. The type
//! declares itself from its code: JSON Schemas of configuration and messages come from `schemars`.
//!
//! What must hold:
//! - `Started` is said after `start` returned, never before.
//! - An instance is gone when its task has finished, and not earlier; only then is its end told.
//! - A panic, an error, a kill and a hang are each told apart, with the words they left behind.
//! - A service that never yields takes its thread with it, and nobody else's Check.
//!
//! An instance shares its agent's process: an abort, a segmentation fault, a stack overflow or running out of
//! memory in one ends them all (and they are recovered). [`testing`] runs a service in a plain `#[test]`,
//! through the same hosting as in a cluster.
//!
//! What a processor does may be asked of it again: its answer was lost, its instance crashed, two were given the same. A
//! [`testing::Trial`] does all of that to it, without a cluster, and says what was done twice; [`Faults`] do it by chance, where it
//! runs.
#![forbid(unsafe_code)]

mod breaks;
mod context;
mod faults;
mod message_list;
mod others;
mod outcome;
mod outside;
mod probe;
mod processor;
mod secret;
mod service;
mod type_info;

mod declared;

pub mod hosting;
mod lease;
pub mod testing;

pub use context::{Context, Identity};
pub use declared::{Declared, TypeSet, TypesClash};
pub use faults::{Crashes, Fault, Faults};
pub use lease::HeldLease;
pub use mainstay_protocol as protocol;
pub use mainstay_protocol::ArtifactId;
pub use mainstay_protocol::json::Json;
pub use mainstay_protocol::lookup::{FoundInstance, Sought};
pub use mainstay_protocol::report::RestartWhen;
pub use mainstay_protocol::request::Refusal;
pub use mainstay_protocol::secret::SecretBytes;
pub use message_list::{MessageError, MessageList};
pub use others::{Callee, Lookup, Monitor, Watch};
pub use outcome::{CannotStart, Failure, Reconfigure, Reply, StatusText, StopReason};
pub use outside::{Beginning, BoxFuture, Outside, Place};
pub use probe::{Busy, Health, Probe};
pub use processor::{Activities, Call, Processed, Processor};
pub use secret::Secret;
pub use serde_json::{Value, json};
pub use service::{NoConfig, NoMessage, Service};
/// Its macros: what a service says with them in its functions is in its log.
pub use tracing;
pub use type_info::{Holds, TypeInfo};
