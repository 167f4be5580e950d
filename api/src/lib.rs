//! # The API's types: what the CLI, scripts and the dashboard see
//!
//! ```text
//!   CLI --- client ---HTTP over a Unix socket---> station
//!             |                                     |
//!             +---- types, routes, problem, exit ---+
//!                                                   |
//!                             view --- present ----> types
//! ```
//!
//! What must hold:
//! - Keys of the JSON are a contract: they are never omitted; unknown is `null`, an empty list is `[]`.
//! - An error has one shape (`Problem`) and one table says which HTTP status and exit code its reason code means.
//! - `routes` is the only place that knows paths.
//! - `openapi` says all of this to programs: the document in `docs/openapi.json` is made of `routes` and `types`.
//! - `present` is pure: a view and what the leader remembers go in, types come out.
#![forbid(unsafe_code)]

pub mod exit;
pub mod problem;
pub mod routes;
pub mod shapes;
pub mod spec;
pub mod time;
pub mod types;
pub mod written;

pub mod client;
pub mod explain;
pub mod openapi;
pub mod own_parts;
pub mod plan;
pub mod present;

pub use client::Client;
pub use exit::Exit;
/// What a configuration must fit; the same check as the coordinator's.
pub use mainstay_coordinator::schema;
pub use problem::{JsonFault, Problem};
pub use time::Time;
