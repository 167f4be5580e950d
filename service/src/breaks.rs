//! Where a trial breaks a call off: at a place at which its processor waits, the first, the second, and so on.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::Notify;

use crate::outside::BoxFuture;

/// Shared by a trial with the calls of its instance.
#[derive(Debug, Default)]
pub(crate) struct Breaks {
    state: Mutex<State>,
    broken: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Of the call that is under way: so many waits are left until it is broken off; none: it is not.
    left: Option<usize>,
    /// The point that it is at, where it says one.
    point: Option<String>,
    /// Where it was broken off.
    at: Option<String>,
    waits: usize,
}

impl Breaks {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of the next call.
    pub(crate) fn next(&self, at: Option<usize>) {
        *self.state() = State {
            left: at,
            ..State::default()
        };
    }

    /// Returns when the call was broken off, with where.
    pub(crate) async fn broken(&self) -> String {
        loop {
            if let Some(at) = self.state().at.take() {
                return at;
            }
            self.broken.notified().await;
        }
    }

    /// Waits once at a point that has a name.
    pub(crate) async fn reach(&self, point: &str) {
        self.state().point = Some(point.to_owned());
        let mut waited = false;
        poll_fn(|cx| match waited {
            true => Poll::Ready(()),
            false => {
                waited = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await;
        self.state().point = None;
    }

    /// It waits. True: here it is broken off.
    fn waits(&self) -> bool {
        let mut state = self.state();
        state.waits += 1;
        match state.left {
            Some(0) => {
                let (waits, point) = (state.waits, state.point.take());
                let at = point.map_or_else(
                    || format!("where it waits, the {waits}. time"),
                    |point| format!("at its point \"{point}\""),
                );
                state.at = Some(at);
                state.left = None;
                self.broken.notify_one();
                true
            }
            Some(left) => {
                state.left = Some(left - 1);
                false
            }
            None => false,
        }
    }
}

/// A call that may be broken off: then nothing of it is left, and it is never done.
pub(crate) struct Breakable<T> {
    doing: Option<BoxFuture<T>>,
    breaks: Arc<Breaks>,
}

impl<T> Breakable<T> {
    pub(crate) fn new(doing: BoxFuture<T>, breaks: Arc<Breaks>) -> Self {
        Self {
            doing: Some(doing),
            breaks,
        }
    }
}

impl<T> Future for Breakable<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Some(doing) = &mut self.doing else {
            return Poll::Pending;
        };
        let polled = doing.as_mut().poll(cx);
        if polled.is_pending() && self.breaks.waits() {
            self.doing = None;
        }
        polled
    }
}
