//! The seam to an outside queue. Steps that are due stand in line in the graph; where an outside queue is wanted, whose turn
//! it is says that queue.
//!
//! ```text
//!   due in the graph --publish--> outside queue --take--> its turn --> handed out, in the log --complete-->
//!                         ^                                                 |
//!                         +---- published anew, whatever became of it ------+ (another call, another attempt)
//! ```
//! What a run is at stands in the graph alone, so whatever an outside queue loses, doubles or gives late does no harm:
//! what is due is published again, and a turn of what is not due changes nothing. Delays, back-off and the leases of what
//! is out are the graph's too.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use mainstay_protocol::work::Skill;
use mainstay_protocol::{StepKey, Timestamp};

/// A step in line. Due again it is another, since it is so from then.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Due {
    pub since: Timestamp,
    pub step: StepKey,
    pub skill: Skill,
}

/// What was taken and not yet completed; what it is called is the engine's business. Taken again by somebody else once the
/// time of its lease is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub due: Due,
    pub lease: String,
}

/// Why an engine could not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct QueueFault {
    pub what: &'static str,
    pub why: String,
}

impl QueueFault {
    pub fn new(what: &'static str, why: impl fmt::Display) -> Self {
        Self {
            what,
            why: why.to_string(),
        }
    }
}

/// What an engine is at, with what becomes of it.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T, QueueFault>> + Send + 'a>>;

/// An outside queue. After any fault it is opened again, and all that is due is published again.
pub trait ActivityQueue: Send + Sync {
    /// There is one when this is done, made if there was none. What lies in it stays.
    fn open(&self) -> Doing<'_, ()>;

    /// In line once this is done, in this order. Whatever is in line of a step already gives way: a step is there once.
    fn publish<'a>(&'a self, due: &'a [Due]) -> Doing<'a, ()>;

    /// What is first in line for such work, now, and nobody else has: none, if there is none.
    fn take<'a>(&'a self, skill: &'a Skill, most: usize) -> Doing<'a, Vec<Turn>>;

    /// Its lease begins anew.
    fn extend<'a>(&'a self, turn: &'a Turn) -> Doing<'a, ()>;

    /// It is in line no more. What was published of its step meanwhile stays.
    fn complete<'a>(&'a self, turn: &'a Turn) -> Doing<'a, ()>;

    /// It is in line no more, if it was: nobody wants it done.
    fn withdraw<'a>(&'a self, due: &'a Due) -> Doing<'a, ()>;

    /// It is in line again.
    fn give_up<'a>(&'a self, turn: &'a Turn) -> Doing<'a, ()>;

    /// How many are in line for such work, with those that were taken.
    fn depth<'a>(&'a self, skill: &'a Skill) -> Doing<'a, u64>;
}
