//! Catches panics of services with their words and their place.
//!
//! The default hook walks the stack when `RUST_BACKTRACE` is set, which costs a hundred times more than the
//! panic; on the threads of services ours writes down the place and nothing else.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Once;
use std::task::Poll;

use mainstay_protocol::health::Evidence;
use mainstay_protocol::{limits, words};

thread_local! {
    /// Where this thread's last panic was.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
    /// This thread runs services or probes.
    static OURS: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// Puts our hook before the one that is there, which still speaks for all other threads. Once per process.
pub fn install_hook() {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if OURS.get() {
                let place = info
                    .location()
                    .map(|at| format!("{}:{}", at.file(), at.line()));
                PLACE.with_borrow_mut(|last| *last = place);
            } else {
                before(info);
            }
        }));
    });
}

/// From here on this thread's panics are written down instead of printed.
pub(crate) fn adopt_thread() {
    OURS.set(true);
}

/// Drives a future and turns its panic into evidence.
pub(crate) async fn guarded<F: Future>(future: F) -> Result<F::Output, Evidence> {
    let mut future = pin!(future);
    poll_fn(
        move |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(payload) => Poll::Ready(Err(evidence(payload.as_ref()))),
        },
    )
    .await
}

/// Must be called on the thread that panicked, before it panics again.
fn evidence(payload: &(dyn Any + Send)) -> Evidence {
    Evidence {
        text: cut(words::of_panic(payload)),
        location: PLACE.with_borrow_mut(Option::take),
        ..Evidence::default()
    }
}

/// The first `EVIDENCE_BYTES_MAX` of a text, whole characters.
pub(crate) fn cut(mut text: String) -> String {
    words::cut(&mut text, limits::EVIDENCE_BYTES_MAX);
    text
}
