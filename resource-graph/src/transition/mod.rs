//! Which state may follow which: total functions, one file per kind, checked at every write.
//!
//! An illegal step is an error that names both states; it is a defect of the rule or recorder that asked for it,
//! and is caught before it can be committed.

mod instance;
mod node;

use thiserror::Error;

pub use instance::instance;
pub use node::node;

/// A step that no picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{kind}: {from} -> {to} is not a transition")]
pub struct IllegalTransition {
    pub kind: &'static str,
    pub from: &'static str,
    pub to: &'static str,
}
