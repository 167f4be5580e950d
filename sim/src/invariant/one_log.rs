//! The stations of a group have one log: what one takes for committed is kept by a majority, stays what it was for all of
//! them, was decided by the one leader of its term, and its time goes on. The same point of it is the same state.

use std::collections::BTreeSet;

use mainstay_protocol::{StationId, Term};
use mainstay_resource_graph::Graph;

use super::{Oracle, Violation, demand};
use crate::disk::{Point, Says, Slot};
use crate::world::Held;

const NAME: &str = "one log";

fn says(slot: &Slot) -> String {
    match &slot.says {
        Says::Entry(entry) => format!("{:?} in term {}", entry.proposal(), slot.term),
        Says::Group(group) => format!("{group:?} in term {}", slot.term),
        Says::Begin => format!("the begin of term {}", slot.term),
    }
}

impl Oracle {
    /// What a leader last counted.
    pub fn counted(&self) -> Point {
        self.counted
    }

    /// A leader counts that `kept` of those that vote in its group have this, and all before it, on disk.
    pub fn counts(
        &mut self,
        leader: StationId,
        point: Point,
        kept: usize,
        majority: usize,
    ) -> Held {
        demand(NAME, kept >= majority, || {
            format!("{leader} takes {point:?} for committed, and {kept} stations keep it")
        })?;
        let counted = self.counted;
        demand(
            NAME,
            point.index != counted.index || point == counted,
            || format!("{leader} counts {point:?}, and {counted:?} was counted"),
        )?;
        if point.index > counted.index {
            self.counted = point;
        }
        Ok(())
    }

    /// A station takes this for committed; `kept` stations have it on disk. Says whether it is the first that does.
    pub fn commits(
        &mut self,
        index: u64,
        slot: &Slot,
        kept: usize,
        majority: usize,
    ) -> Result<bool, Violation> {
        if let Some(known) = self.log.get(index as usize - 1) {
            demand(NAME, known == slot, || {
                format!(
                    "{} was committed at {index}, and now {}",
                    says(known),
                    says(slot)
                )
            })?;
            return Ok(false);
        }
        let next = self.log.len() as u64 + 1;
        demand(NAME, index == next, || {
            format!("{index} is committed before {next}")
        })?;
        let counted = self.counted;
        demand(
            NAME,
            index != counted.index || slot.term == counted.term,
            || format!("{} is committed where {counted:?} was counted", says(slot)),
        )?;
        // Who counted it may have had a smaller group by then.
        demand(NAME, kept >= majority || index <= counted.index, || {
            format!(
                "{} is taken for committed, and {kept} stations keep it",
                says(slot)
            )
        })?;
        if let Says::Group(group) = &slot.says {
            self.members.changes_to(group)?;
        }
        if let Some(entry) = slot.entry() {
            demand(NAME, entry.log_time > self.log_time, || {
                format!(
                    "log time goes back from {} to {}",
                    self.log_time,
                    says(slot)
                )
            })?;
            self.log_time = entry.log_time;
            self.committed(entry);
        }
        self.log.push(slot.clone());
        Ok(true)
    }

    /// One station at most leads by a term, and leads by it as long as it likes.
    pub fn leads(&mut self, term: Term, station: StationId, by: &BTreeSet<StationId>) -> Held {
        if !self.leaders.contains_key(&term) {
            self.members.elect(term, station, by)?;
        }
        let leader = *self.leaders.entry(term).or_insert(station);
        demand(NAME, leader == station, || {
            format!("{leader} and {station} both lead by term {term}")
        })
    }

    /// Whoever has applied the log up to here has this state.
    pub fn is_state(&mut self, index: u64, graph: &Graph, when: &str) -> Held {
        let committed = self.log.len() as u64;
        demand(NAME, index <= committed, || {
            format!("{when}: {index} is not committed")
        })?;
        let digest = graph.digest();
        let known = *self.states.entry(index).or_insert(digest);
        demand(NAME, known == digest, || {
            let differs = (index == committed).then(|| graph.first_difference(&self.mirror));
            format!(
                "{when}: the state at {index} is another here; {:?}",
                differs.flatten()
            )
        })
    }
}
