//! Reports that are not committed yet, in order. Numbers rise strictly and are never given twice within a node
//! epoch; gaps are allowed.

use std::collections::BTreeMap;

use mainstay_protocol::Sequence;
use mainstay_protocol::report::{Numbered, Report};

/// What is kept: it is the same after a restart of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbox {
    waiting: BTreeMap<Sequence, Numbered>,
    next: Sequence,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
            next: Sequence(1),
        }
    }
}

impl Outbox {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The number the next report gets.
    pub fn next(&self) -> Sequence {
        self.next
    }

    pub fn insert(&mut self, numbered: Numbered) {
        self.next = self.next.max(numbered.sequence.next());
        self.waiting.insert(numbered.sequence, numbered);
    }

    pub fn remove(&mut self, sequence: Sequence) {
        self.waiting.remove(&sequence);
    }

    /// Drops what is committed. A number beyond what was given is not given either from now on.
    pub fn acknowledged(&mut self, up_to: Sequence) {
        self.waiting = self.waiting.split_off(&up_to.next());
        self.next = self.next.max(up_to.next());
    }

    /// A new epoch: what waits is numbered from `first` on, in the same order.
    pub fn renumber(&mut self, first: Sequence) {
        self.next = first;
        for (_, waiting) in std::mem::take(&mut self.waiting) {
            let sequence = self.next;
            self.insert(Numbered {
                sequence,
                ..waiting
            });
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Numbered> {
        self.waiting.values()
    }

    pub fn after(&self, sequence: Sequence) -> impl Iterator<Item = &Numbered> {
        self.waiting
            .range(sequence.next()..)
            .map(|(_, waiting)| waiting)
    }

    /// How many wait with a number up to this.
    pub fn up_to(&self, sequence: Sequence) -> usize {
        self.waiting.range(..=sequence).count()
    }

    /// The health report this one makes superfluous, if it was not sent: the newest counts.
    pub fn superseded(&self, report: &Report, sent: Sequence) -> Option<Sequence> {
        // Only health makes health superfluous: whatever does not replace itself replaces nothing.
        if !report.coalesces_with(report) {
            return None;
        }
        self.after(sent)
            .find(|waiting| report.coalesces_with(&waiting.report))
            .map(|waiting| waiting.sequence)
    }
}
