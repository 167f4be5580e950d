//! Health that is found out at a type's own pace, and told to Checks at once: looking may take longer than any Check
//! waits.

use std::future::Future;
use std::time::Duration;

use mainstay_protocol::health::Health as State;
use mainstay_service::{Context, Health, Probe};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// What one look found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) health: Health,
    pub(super) text: String,
    pub(super) took: Duration,
    pub(super) at: Instant,
}

impl Found {
    pub(super) fn now(health: Health, text: impl Into<String>, took: Duration) -> Self {
        Self {
            health,
            text: text.into(),
            took,
            at: Instant::now(),
        }
    }

    /// For a status.
    pub(super) fn in_words(&self) -> String {
        format!(
            "{}, {} s ago, in {} ms",
            self.text,
            self.at.elapsed().as_secs(),
            self.took.as_millis()
        )
    }
}

/// Tells what the last look found.
#[derive(Debug, Clone)]
pub struct Latest(watch::Receiver<Found>);

impl Probe for Latest {
    async fn check(&self) -> Health {
        self.0.borrow().health.clone()
    }
}

/// Looks again and again until it is dropped.
#[derive(Debug)]
pub(super) struct Watching {
    found: watch::Sender<Found>,
    looking: JoinHandle<()>,
}

impl Watching {
    /// `first` is what was found just now.
    pub(super) fn begin<L, F>(
        first: Found,
        every: Duration,
        ctx: Context,
        look: L,
    ) -> (Self, Latest)
    where
        L: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Found> + Send + 'static,
    {
        let (found, latest) = watch::channel(first);
        let looking = tokio::spawn(keep_looking(found.clone(), every, ctx, look));
        (Self { found, looking }, Latest(latest))
    }

    pub(super) fn latest(&self) -> Found {
        self.found.borrow().clone()
    }

    /// A look out of turn.
    pub(super) fn set(&self, found: Found) {
        self.found.send_replace(found);
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

async fn keep_looking<L, F>(found: watch::Sender<Found>, every: Duration, ctx: Context, look: L)
where
    L: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = Found> + Send + 'static,
{
    loop {
        sleep(every).await;
        let now = look().await;
        let health = now.health.clone();
        let text = now.text.clone();
        let before = found.send_replace(now).health;
        if before == health {
            continue;
        }
        tracing::info!(parent: ctx.span(), health = ?health.state(), text, "health changed");
        ctx.recheck().await;
        if health.state() == State::Failed {
            // Only what is said twice is a failure; it need not wait for the next Check.
            ctx.recheck().await;
        }
    }
}
