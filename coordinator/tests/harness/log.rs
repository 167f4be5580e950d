//! A log that commits at once, or holds what is proposed until it is told what becomes of it.

use std::collections::VecDeque;

use mainstay_coordinator::{Entry, Log};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    CommitAtOnce,
    Hold,
}

#[derive(Debug, Default)]
pub struct TestLog {
    pub mode: Mode,
    /// Proposed, and nothing said about it yet.
    pub held: VecDeque<Entry>,
    /// Said to be lost; may be committed late all the same.
    pub lost: VecDeque<Entry>,
}

impl Log for TestLog {
    fn propose(&mut self, entry: Entry) {
        self.held.push_back(entry);
    }
}
