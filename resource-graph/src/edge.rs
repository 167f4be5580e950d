//! Edges: what leads from one vertex to another, and what that means.

use mainstay_protocol::{Revision, Timestamp};
use serde::{Deserialize, Serialize};

use crate::key::{Key, Kind};

/// A relation that carries meaning. Relations that are part of a key are indices instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Relation {
    /// Instance -> Name; a name has at most one holder.
    Holds = 1,
    /// Instance -> Name; the oldest is next.
    Waits = 2,
    /// Instance -> Configuration that it runs with.
    Configured = 3,
    /// Instance -> Configuration that is wanted and not yet running.
    Wants = 4,
    /// Node -> ServiceType.
    Provides = 5,
    /// Placement -> Placement that must be up before it starts.
    DependsOn = 6,
    /// Instance -> Resource that it holds or shares.
    Uses = 7,
    /// Node -> Supervisor of another node that its own one watches over.
    Guards = 8,
    /// Supervisor -> Instance of another node that is Checked from there as well.
    Watches = 9,
    /// Run -> Text that it goes by, or was given.
    Reads = 10,
}

impl Relation {
    /// The kinds it leads from and to.
    pub fn ends(self) -> (Kind, Kind) {
        match self {
            Self::Holds | Self::Waits => (Kind::Instance, Kind::Name),
            Self::Configured | Self::Wants => (Kind::Instance, Kind::Configuration),
            Self::Provides => (Kind::Node, Kind::Type),
            Self::DependsOn => (Kind::Placement, Kind::Placement),
            Self::Uses => (Kind::Instance, Kind::Resource),
            Self::Guards => (Kind::Node, Kind::Supervisor),
            Self::Watches => (Kind::Supervisor, Kind::Instance),
            Self::Reads => (Kind::Run, Kind::Text),
        }
    }

    /// Whether a vertex has at most one edge of this relation out of it.
    pub fn at_most_one(self) -> bool {
        match self {
            Self::Holds | Self::Waits | Self::Configured | Self::Wants => true,
            Self::Provides
            | Self::DependsOn
            | Self::Uses
            | Self::Guards
            | Self::Watches
            | Self::Reads => false,
        }
    }

    pub const ALL: [Self; 10] = [
        Self::Holds,
        Self::Waits,
        Self::Configured,
        Self::Wants,
        Self::Provides,
        Self::DependsOn,
        Self::Uses,
        Self::Guards,
        Self::Watches,
        Self::Reads,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "Holds",
            Self::Waits => "Waits",
            Self::Configured => "Configured",
            Self::Wants => "Wants",
            Self::Provides => "Provides",
            Self::DependsOn => "DependsOn",
            Self::Uses => "Uses",
            Self::Guards => "Guards",
            Self::Watches => "Watches",
            Self::Reads => "Reads",
        }
    }
}

/// An edge with its book-keeping. Ordered by from, relation, to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Edge {
    pub from: Key,
    pub relation: Relation,
    pub to: Key,
    pub since: Timestamp,
    pub rev: Revision,
}
