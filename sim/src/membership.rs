//! Who is in the group, and whose word counts. It changes by one station at a time, by a slot of the log.

use std::collections::BTreeSet;

use mainstay_protocol::StationId;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    pub voters: BTreeSet<StationId>,
    /// They are sent the log and do not vote yet.
    pub learners: BTreeSet<StationId>,
}

/// What somebody may ask of a group. A number that was removed is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    Add(StationId),
    Remove(StationId),
}

/// What one station is to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    None,
    Learns,
    Votes,
}

impl Change {
    pub fn station(self) -> StationId {
        match self {
            Self::Add(id) | Self::Remove(id) => id,
        }
    }
}

impl Membership {
    pub fn of(voters: impl IntoIterator<Item = StationId>) -> Self {
        Self {
            voters: voters.into_iter().collect(),
            learners: BTreeSet::new(),
        }
    }

    pub fn members(&self) -> impl Iterator<Item = StationId> + use<'_> {
        self.voters.union(&self.learners).copied()
    }

    pub fn part(&self, id: StationId) -> Part {
        match (self.voters.contains(&id), self.learners.contains(&id)) {
            (true, _) => Part::Votes,
            (false, true) => Part::Learns,
            (false, false) => Part::None,
        }
    }

    pub fn knows(&self, id: StationId) -> bool {
        self.part(id) != Part::None
    }

    pub fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// The same, but for what this station is to it.
    pub fn with(&self, id: StationId, part: Part) -> Self {
        let mut group = self.clone();
        group.voters.remove(&id);
        group.learners.remove(&id);
        match part {
            Part::None => {}
            Part::Learns => {
                group.learners.insert(id);
            }
            Part::Votes => {
                group.voters.insert(id);
            }
        }
        group
    }

    /// Whose part is another there.
    pub fn differs(&self, other: &Self) -> Vec<StationId> {
        let both: BTreeSet<StationId> = self.members().chain(other.members()).collect();
        let differs = |id: &StationId| self.part(*id) != other.part(*id);
        both.into_iter().filter(differs).collect()
    }
}
