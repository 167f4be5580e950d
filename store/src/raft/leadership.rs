//! Watches openraft's metrics and tells the driver when this station leads, and when no longer.

use mainstay_coordinator::log::LogEvent;
use mainstay_protocol::Term;
use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::Fatal;
use tokio::sync::{mpsc, watch};

use super::Raft;
use crate::fatal;

/// Both must be so before the driver is told: openraft says we lead, and the term's first entry is applied, which
/// means that everything committed before has been delivered.
pub(super) async fn watch(
    raft: Raft,
    mut began: watch::Receiver<u64>,
    events: mpsc::Sender<LogEvent>,
) {
    let mut metrics = raft.metrics();
    drop(raft);
    let mut told: Option<u64> = None;
    loop {
        let leads = {
            let now = metrics.borrow_watched();
            match &now.running_state {
                Ok(()) => {}
                Err(Fatal::Stopped) => return,
                Err(fatal @ (Fatal::Panicked | Fatal::StorageError(_))) => {
                    fatal::storage_failed("running the log", fatal)
                }
            }
            (now.state == ServerState::Leader).then_some(now.current_term)
        };
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
        {
            told = Some(term);
            if events.send(LogEvent::Leading(Term(term))).await.is_err() {
                return;
            }
        }
        let closed = tokio::select! {
            changed = metrics.changed() => changed.is_err(),
            changed = began.changed() => changed.is_err(),
        };
        if closed {
            return;
        }
    }
}
