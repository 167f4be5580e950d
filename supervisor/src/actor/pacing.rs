//! What passes between the end of one supervisor and the beginning of the next.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::sleep;

/// Nobody watches until it is ready.
pub type PauseFuture = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// Lets so much time pass. The agent takes the clock; who has to know what happens while nobody watches takes its own.
pub trait Pacing: fmt::Debug + Send + Sync {
    fn pause(&self, time: Duration) -> PauseFuture;
}

/// Real time.
#[derive(Debug, Clone, Copy)]
pub struct Clock;

impl Pacing for Clock {
    fn pause(&self, time: Duration) -> PauseFuture {
        Box::pin(async move {
            // A sleep of nothing still waits for the clock's next tick.
            if !time.is_zero() {
                sleep(time).await;
            }
        })
    }
}
