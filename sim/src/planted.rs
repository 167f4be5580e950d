//! Bugs planted in the simulator's own model of a group, to see that the oracle finds each. Only behind the feature
//! `planted-bugs`; none is active until a test chooses it, for its own thread.

/// One for each thing that a group of stations could get wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A station says that it keeps what it has not synced.
    AcknowledgesUnsynced,
    /// A station votes for whoever asks, also a second time in a term.
    VotesTwice,
    /// A station applies whatever it is sent.
    AppliesUncommitted,
    /// A leader that was silent decides again while proposals of before may still be committed.
    DecidesOverItsOwn,
    /// What a station keeps that only learns counts for a majority.
    LearnersCount,
    /// A leader changes the group again while the change before is not committed.
    ChangesOverAChange,
    /// A leader changes the group although it has committed nothing of its own term.
    ChangesBeforeItsTerm,
    /// Who was removed is asked for its vote all the same, gives it, and it counts.
    RemovedVote,
}

#[cfg(feature = "planted-bugs")]
thread_local! {
    static CHOSEN: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Chooses the one bug of this thread.
#[cfg(feature = "planted-bugs")]
pub fn set(bug: Option<Bug>) {
    CHOSEN.set(bug);
}

#[cfg(feature = "planted-bugs")]
pub(crate) fn is(bug: Bug) -> bool {
    CHOSEN.get() == Some(bug)
}

#[cfg(not(feature = "planted-bugs"))]
pub(crate) fn is(_: Bug) -> bool {
    false
}
