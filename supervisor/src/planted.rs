//! Bugs planted on purpose, to see that the simulator finds each. Only behind the feature `planted-bugs`; none is
//! active until a test chooses it, for its own thread.

use std::cell::Cell;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A Stop frees the name when it arrives, not when the instance is gone.
    FreesNameAtStop,
    /// A Start below the incarnation floor takes effect.
    ForgetsFloors,
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
