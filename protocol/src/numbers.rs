//! Numbers that order things. Each is a type of its own, so that none is taken for another.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub struct $name(pub u64);

        impl $name {
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

numbers! {
    /// A cluster's life; raised by restore and recover.
    Epoch;
    /// A coordinator's term of office within an epoch.
    Term;
    /// One life of a node's outbox file; minted by the station.
    NodeEpoch;
    /// A report's place in its node's outbox, from 1; gaps are allowed.
    Sequence;
    /// How many deltas the graph has seen; our own counter, not the log's index.
    Revision;
    /// The number of a wish: rises with every change of a placement.
    Generation;
}

/// Who gives the orders: ordered by epoch, then term.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Leadership {
    pub epoch: Epoch,
    pub term: Term,
}

/// One start of an instance. Ordered by epoch, then by when its placement was created, then by count,
/// so that a placement created again may begin at 1 and is still newer.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Incarnation {
    pub epoch: Epoch,
    pub created: Revision,
    pub count: u64,
}

impl Incarnation {
    #[must_use]
    pub fn next(self) -> Self {
        Self {
            count: self.count.saturating_add(1),
            ..self
        }
    }
}

/// People see the count alone.
impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.count.fmt(f)
    }
}

/// Log time: microseconds since the cluster was created; the only time rules know.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp(pub u64);

impl Timestamp {
    pub const ZERO: Self = Self(0);

    /// How long after `earlier` this is; nothing if it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros(span)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(micros(span)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// A span beyond 584,000 years is as good as for ever.
fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
