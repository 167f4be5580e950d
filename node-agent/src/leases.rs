//! Leases of the node's singletons: renewed with the session, counted on CLOCK_BOOTTIME from when the heartbeat was sent
//! that a station answered. What is outside has its hold to end it; an actor is ended here.
//!
//! Who does not end within its stop's deadline would run beside the next one: then this process ends, and all its actors
//! with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use mainstay_hold::boot_clock;
use mainstay_protocol::Epoch;
use mainstay_protocol::command::{Lease, Start};
use mainstay_service::hosting::{Hosted, StopOutcome};
use mainstay_service::{Beginning, HeldLease};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

/// CLOCK_BOOTTIME is looked at so often, should the machine have slept.
const LOOK: Duration = Duration::from_millis(100);

/// What an earlier life of the agent began: its hold knows.
const UNKNOWN: u64 = 0;

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leases {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    wanted_now: Notify,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Of those that live here.
    leased: Vec<Weak<Leased>>,
    /// The newest renewal.
    from: Option<(u64, Epoch)>,
    /// A Start waits for the next one.
    asked: bool,
}

/// One that is renewed.
#[derive(Debug)]
pub(crate) struct Leased {
    lease: Lease,
    until_ms: watch::Sender<u64>,
}

impl Leases {
    fn known(&self) -> MutexGuard<'_, Known> {
        // Each change is whole under the lock.
        let known = self.shared.known.lock();
        known.unwrap_or_else(PoisonError::into_inner)
    }

    /// What a heartbeat says that is sent now.
    pub(crate) fn renews(&self) -> Option<u64> {
        let mut known = self.known();
        known.leased.retain(|leased| leased.strong_count() > 0);
        (known.asked || !known.leased.is_empty()).then(boot_clock::now_ms)
    }

    /// A heartbeat is to be sent at once.
    pub(crate) fn ask(&self) {
        self.known().asked = true;
        self.shared.wanted_now.notify_one();
    }

    pub(crate) async fn wanted_now(&self) {
        self.shared.wanted_now.notified().await;
    }

    /// A station answered a heartbeat that was sent then.
    pub(crate) fn renewed(&self, from_ms: u64, epoch: Epoch) {
        let mut known = self.known();
        known.asked = false;
        known.from = known.from.max(Some((from_ms, epoch)));
        for leased in known.leased.iter().filter_map(Weak::upgrade) {
            if leased.lease.epoch == epoch {
                let until_ms = from_ms + leased.lease.ms;
                let now_ms = boot_clock::now_ms();
                leased.until_ms.send_if_modified(|until| {
                    // Over is over.
                    let over = *until != UNKNOWN && *until <= now_ms;
                    let longer = until_ms > *until && !over;
                    if !longer {
                        return false;
                    }
                    *until = until_ms;
                    true
                });
            }
        }
    }

    /// Until what is given back is dropped. What an earlier life of the agent began is known to its hold, and prolonged with
    /// the next renewal.
    pub(crate) fn begin(
        &self,
        start: &Start,
        beginning: Beginning,
    ) -> Option<(Arc<Leased>, HeldLease)> {
        let lease = start.lease?;
        let mut known = self.known();
        let from = known.from.filter(|(_, epoch)| *epoch == lease.epoch);
        let until_ms = match (beginning, from) {
            (Beginning::Anew, Some((from_ms, _))) => from_ms + lease.ms,
            (Beginning::Anew | Beginning::Resumed | Beginning::Adopted, _) => UNKNOWN,
        };
        let (sender, receiver) = watch::channel(until_ms);
        let leased = Arc::new(Leased {
            lease,
            until_ms: sender,
        });
        known.leased.push(Arc::downgrade(&leased));
        let stop = Duration::from_millis(lease.stop_ms);
        let held = HeldLease::new(lease.fencing_token(), stop, receiver);
        Some((leased, held))
    }
}

pub(crate) fn is_over(lease: &HeldLease) -> bool {
    boot_clock::now_ms() >= lease.until_ms()
}

/// Ends an actor whose lease has run out.
pub(crate) async fn enforce(hosted: Hosted, lease: HeldLease) {
    let gone = hosted.gone();
    let over = async {
        while !is_over(&lease) {
            let left = lease.until_ms().saturating_sub(boot_clock::now_ms());
            // tidy: waits because a machine that sleeps stops every other clock
            sleep(LOOK.min(Duration::from_millis(left))).await;
        }
    };
    tokio::select! {
        biased;
        _ = gone => return,
        () = over => {}
    }
    let identity = hosted.identity();
    tracing::error!(instance = %identity.instance, incarnation = %identity.incarnation, "its lease was not renewed in time: it is ended");
    // Elsewhere nobody waits for a machine that slept.
    let late_ms = boot_clock::now_ms().saturating_sub(lease.until_ms());
    let left = lease.stop().saturating_sub(Duration::from_millis(late_ms));
    match hosted.end_with_lease(left).await {
        StopOutcome::Gone(_) | StopOutcome::NotStarted(_) => {}
        StopOutcome::WillNotEnd => {
            tracing::error!(instance = %identity.instance, "its task never yields, and another one may run elsewhere by now: the agent ends, and with it all that lives in it");
            std::process::abort();
        }
    }
}
