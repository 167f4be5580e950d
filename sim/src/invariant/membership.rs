//! The group changes by one station at a time, as somebody asked, and no change that somebody was told of is lost. Who was
//! removed neither votes nor leads again. In the end everybody has the same group, and the graph shows it.

use std::collections::BTreeSet;

use mainstay_protocol::{StationId, Term};
use mainstay_resource_graph::{Graph, StationState, ViewExt};

use super::{Oracle, demand};
use crate::membership::{Change, Membership, Part};
use crate::station::StationAt;
use crate::world::{Held, World};

const NAME: &str = "membership";

#[derive(Debug, Default)]
pub(super) struct Members {
    /// By what is committed.
    group: Membership,
    removed: BTreeSet<StationId>,
    wanted: BTreeSet<Change>,
    told: BTreeSet<Change>,
}

impl Members {
    pub(super) fn of(group: Membership) -> Self {
        Self {
            group,
            ..Self::default()
        }
    }

    /// A change is committed.
    pub(super) fn changes_to(&mut self, group: &Membership) -> Held {
        let differs = self.group.differs(group);
        let [id] = differs[..] else {
            let text = format!("{:?} became {group:?} in one step", self.group);
            return demand(NAME, false, || text);
        };
        let step = (self.group.part(id), group.part(id));
        let wanted = match step {
            (Part::None, Part::Learns) | (Part::Learns, Part::Votes) => Change::Add(id),
            (Part::Learns | Part::Votes, Part::None) => Change::Remove(id),
            (Part::None | Part::Votes, _) | (Part::Learns, Part::Learns) => {
                return demand(NAME, false, || format!("{id} went from {step:?}"));
            }
        };
        demand(NAME, self.wanted.contains(&wanted), || {
            format!("nobody asked for {wanted:?}, and {group:?} is committed")
        })?;
        demand(NAME, !self.removed.contains(&id), || {
            format!("{id} was removed, and is in {group:?}")
        })?;
        demand(NAME, !group.voters.is_empty(), || "nobody votes".to_owned())?;
        if group.part(id) == Part::None {
            self.removed.insert(id);
        }
        self.group = group.clone();
        Ok(())
    }

    /// It leads by this term from now on, by these votes.
    pub(super) fn elect(&self, term: Term, leader: StationId, by: &BTreeSet<StationId>) -> Held {
        demand(NAME, !self.removed.contains(&leader), || {
            format!("{leader} was removed, and leads by term {term}")
        })?;
        let gone = by.intersection(&self.removed).next();
        demand(NAME, gone.is_none(), || {
            format!("{gone:?} was removed, and made {leader} lead by term {term}")
        })
    }

    fn holds(&self, change: Change) -> bool {
        match change {
            Change::Add(id) => self.group.voters.contains(&id) || self.removed.contains(&id),
            Change::Remove(id) => self.removed.contains(&id),
        }
    }

    fn told_holds(&self) -> Held {
        let lost = self.told.iter().find(|change| !self.holds(**change));
        demand(NAME, lost.is_none(), || {
            format!(
                "{lost:?} was told to be so, and the group is {:?}",
                self.group
            )
        })
    }
}

impl Oracle {
    pub fn wants(&mut self, change: Change) {
        self.members.wanted.insert(change);
    }

    /// By what is committed.
    pub fn group(&self) -> &Membership {
        &self.members.group
    }

    pub fn is_removed(&self, id: StationId) -> bool {
        self.members.removed.contains(&id)
    }

    /// A leader puts a change forward, behind the one at `former`: that one is committed, and so is something of its term.
    pub fn begins_to_change(&self, leader: StationId, former: u64, term: Term) -> Held {
        demand(NAME, former <= self.log_length(), || {
            format!("{leader} changes the group again, and the change at {former} is not committed")
        })?;
        let mut newest = self.log.iter().rev();
        let newest = newest.find(|slot| slot.term <= term);
        demand(NAME, newest.is_some_and(|slot| slot.term == term), || {
            format!("{leader} changes the group, and nothing of its term {term} is committed")
        })
    }

    /// Somebody is told that it is so.
    pub fn is_told(&mut self, change: Change) -> Held {
        self.members.told.insert(change);
        self.members.told_holds()?;
        let state = self.mirror.station(change.station());
        let state = state.map(|station| station.state);
        let agrees = match (change, self.is_removed(change.station())) {
            (_, true) => state == Some(StationState::Removed),
            (Change::Add(_), false) => !matches!(
                state,
                None | Some(StationState::Joining | StationState::Removed)
            ),
            (Change::Remove(_), false) => false,
        };
        demand(NAME, agrees, || {
            format!("{change:?} is told, and the graph has it as {state:?}")
        })
    }
}

/// What the graph shows of stations that is not so.
fn differs(graph: &Graph, group: &Membership) -> Vec<String> {
    let shown = graph.stations().into_iter().map(|(id, _)| id);
    let all: BTreeSet<StationId> = shown.chain(group.members()).collect();
    let wrong = |id: &StationId| {
        let state = graph.station(*id).map(|station| station.state);
        let right = match group.part(*id) {
            Part::Votes => StationState::Running,
            Part::Learns => StationState::Joining,
            Part::None => StationState::Removed,
        };
        state != Some(right)
    };
    let wrong = all.into_iter().filter(wrong);
    wrong
        .map(|id| format!("{id} is {:?} and shown otherwise", group.part(id)))
        .collect()
}

impl World {
    pub(super) fn group_not_converged(&self, missing: &mut Vec<String>) {
        for change in self.changes.waiting.values() {
            missing.push(format!("somebody waits for {change:?}"));
        }
        let group = self.oracle.group();
        for id in group.members() {
            let member = &self.station(StationAt::of(id)).member;
            if member.disk.group() != group {
                let other = member.disk.group();
                missing.push(format!("{id} has {other:?}, and {group:?} is committed"));
            }
        }
        missing.extend(differs(self.oracle.mirror(), group));
    }

    /// At the end: exactly what was told, and the same for everybody.
    pub(super) fn members_agree(&self) -> Held {
        self.oracle.members.told_holds()?;
        let group = self.oracle.group();
        let told = Membership::of(self.group_as_told());
        demand(NAME, *group == told, || {
            format!("the group is {group:?}, and by what people were told {told:?}")
        })?;
        for id in group.members() {
            let other = self.station(StationAt::of(id)).member.disk.group();
            demand(NAME, other == group, || {
                format!("{id} has {other:?}, and {group:?} is committed")
            })?;
        }
        let wrong = differs(self.oracle.mirror(), group);
        demand(NAME, wrong.is_empty(), || wrong.join("; "))
    }
}
