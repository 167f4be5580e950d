//! Bugs planted on purpose, to see that the simulator finds each. Only behind the feature `planted-bugs`; none is
//! active until a test chooses it, for its own thread.

use std::cell::Cell;

/// One for each family of invariants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Commands go out while their entry is being proposed.
    SendsBeforeCommit,
    /// Operators are answered while their entry is being proposed.
    AnswersBeforeCommit,
    /// Now and then a report takes effect and the watermark stands.
    WatermarkStands,
    /// An instance waits in back-off and does not say why.
    BackoffWithoutReason,
    /// The jitter of back-off is another in each process.
    JitterOfTheMachine,
    /// A singleton starts although another may still run.
    IgnoresLeases,
}

thread_local! {
    static CHOSEN: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Chooses the one bug of this thread.
pub fn set(bug: Option<Bug>) {
    CHOSEN.set(bug);
}

pub(crate) fn is(bug: Bug) -> bool {
    CHOSEN.get() == Some(bug)
}
