//! Watches openraft's metrics and tells the driver when this station leads, and when no longer. openraft lets a leader that
//! hears nobody go on until it is told of another; ours stops deciding, and begins again if it is heard in the same term.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mainstay_coordinator::log::LogEvent;
use mainstay_protocol::{Term, limits};
use openraft::Instant as _;
use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::Fatal;
use tokio::sync::{mpsc, watch};

use super::Raft;
use crate::fatal;

/// What is decided without a majority could not be committed anyhow; who asks for it is to hear so instead of waiting.
const QUORUM_SILENCE: Duration = Duration::from_millis(limits::STATION_SILENCE_MS);
/// How often that is looked at, where it can be.
const LOOK: Duration = Duration::from_millis(250);

/// All must be so before the driver is told: openraft says we lead, the term's first entry is applied, which means that
/// everything committed before has been delivered, and so is all else in the log: a leader that falls silent and is heard
/// again in its term may have proposed what nobody waits for any more.
pub(super) async fn watch(
    raft: Raft,
    mut began: watch::Receiver<u64>,
    events: mpsc::Sender<LogEvent>,
    decides: Arc<AtomicBool>,
) {
    let mut metrics = raft.metrics();
    let mut told: Option<u64> = None;
    // Whose majority it is, and since when: one that has just come cannot have been silent.
    let mut majority = (Vec::new(), Instant::now());
    loop {
        let (leads, alone, followed, settled) = {
            let now = metrics.borrow_watched();
            match &now.running_state {
                Ok(()) => {}
                Err(Fatal::Stopped) => return,
                Err(fatal @ (Fatal::Panicked | Fatal::StorageError(_))) => {
                    fatal::storage_failed("running the log", fatal)
                }
            }
            let voters: Vec<u64> = now.membership_config.membership().voter_ids().collect();
            if voters != majority.0 {
                majority = (voters, Instant::now());
            }
            let alone = majority.0.len() <= 1;
            let followed = now.membership_config.membership().nodes().count() > 1;
            let acked = now.last_quorum_acked.as_ref();
            let heard = acked.is_some_and(|at| at.elapsed() < QUORUM_SILENCE)
                || (told.is_some() && majority.1.elapsed() < QUORUM_SILENCE);
            let leads = now.state == ServerState::Leader && (alone || heard);
            // What it proposed before it fell silent may yet be committed: nobody decides over that.
            let settled = now.last_applied.as_ref().map(|id| id.index) == now.last_log_index;
            (leads.then_some(now.current_term), alone, followed, settled)
        };
        // Who leads and has nobody to tell need not wake for that.
        raft.runtime_config().tick(followed || leads.is_none());
        let applied = *began.borrow_and_update();
        if told.is_some() && told != leads {
            told = None;
            if events.send(LogEvent::Following).await.is_err() {
                return;
            }
        }
        if told.is_none()
            && let Some(term) = leads
            && term == applied
            && settled
        {
            told = Some(term);
            if events.send(LogEvent::Leading(Term(term))).await.is_err() {
                return;
            }
        }
        decides.store(told.is_some(), Ordering::Relaxed);
        let closed = tokio::select! {
            changed = metrics.changed() => changed.is_err(),
            changed = began.changed() => changed.is_err(),
            // tidy: waits because silence is no event
            () = tokio::time::sleep(LOOK), if !alone => false,
        };
        if closed {
            return;
        }
    }
}
