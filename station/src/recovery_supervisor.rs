//! The recovery supervisor: starts the coordinator when this station leads, starts it again with a growing pause
//! when its driver fails, and ends it when leadership goes. It judges nothing.
//!
//! ```text
//!   Following --Leading--> Leading: driver runs --Following--> Following
//!                             |  ^
//!                    it fails |  | after 100 ms, 200 ms .. 10 s, with the graph read anew from the store
//!                             v  |
//!                           Pausing                      the core itself panics: the process ends
//! ```

use std::sync::Arc;
use std::time::Duration;

use mainstay_coordinator::{CoreConfig, LeaderCore, LogEvent, Rules};
use mainstay_protocol::{Term, Timestamp, limits};
use mainstay_resource_graph::{Graph, View, ViewExt};
use mainstay_store::LogHandle;
use tokio::sync::{Mutex, watch};

use crate::clock::Clock;
use crate::driver::{Driver, Ended, Inputs};
use crate::shared::{Shared, Submitted};
use crate::watchdog::Watchdog;

const FIRST_PAUSE: Duration = Duration::from_millis(100);

pub struct RecoverySupervisor {
    pub config: CoreConfig,
    pub rules: Rules,
    /// As the store found it; kept up to date while nobody coordinates.
    pub graph: Graph,
    pub log_time: Timestamp,
    pub log: LogHandle,
    pub inputs: Inputs,
    pub shared: Arc<Shared>,
    pub clock: Clock,
    pub watchdog: Watchdog,
    pub end: watch::Receiver<bool>,
}

/// Why there will be no coordinator any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Stopped,
    /// The log ended by itself: nothing can be decided any more.
    LogClosed,
    CorePanicked,
}

impl RecoverySupervisor {
    pub async fn run(self) -> Over {
        let Self {
            config,
            rules,
            mut graph,
            mut log_time,
            log,
            inputs,
            shared,
            clock,
            watchdog,
            mut end,
        } = self;
        // A driver that panics leaves its inputs behind for the next.
        let inputs = Arc::new(Mutex::new(inputs));
        loop {
            let term = tokio::select! {
                term = until_leading(&inputs, &mut graph, &mut log_time, &shared) => term,
                _ = end.wait_for(|end| *end) => return Over::Stopped,
            };
            let Some(term) = term else {
                return Over::LogClosed;
            };
            let mut pause = FIRST_PAUSE;
            loop {
                let known = graph.cluster().map(|cluster| cluster.epoch);
                let config = CoreConfig {
                    // A station that joined had no graph when it started; one that was restored has one of an earlier epoch.
                    epoch: known.unwrap_or_default().max(config.epoch),
                    ..config.clone()
                };
                shared.ways.of_epoch(config.epoch);
                let core =
                    LeaderCore::new(config, std::mem::take(&mut graph), rules.clone(), log_time);
                let driver = Driver {
                    core,
                    log: log.clone(),
                    shared: Arc::clone(&shared),
                    clock,
                    watchdog: watchdog.clone(),
                    term,
                    end: end.clone(),
                };
                tracing::info!(%term, "this station leads; its coordinator starts");
                let ended = drive(driver, &inputs).await;
                shared.set_leadership(None);
                // Whoever leads next knows nothing of what is broken here, and could not heal it.
                shared.faults.heal_all();
                shared.sessions.close_all("this station no longer leads");
                match ended {
                    Some(Ended::CorePanicked) => return Over::CorePanicked,
                    Some(Ended::Stopped) => return Over::Stopped,
                    Some(Ended::LogClosed) => return Over::LogClosed,
                    Some(Ended::Following) => break,
                    None => pause = rest(pause).await,
                }
                let Some((found, at)) = from_store(&shared) else {
                    return Over::CorePanicked;
                };
                (graph, log_time) = (found, at);
            }
            tracing::info!("this station no longer leads");
            let Some((found, at)) = from_store(&shared) else {
                return Over::CorePanicked;
            };
            (graph, log_time) = (found, at);
        }
    }
}

/// Between a driver that panicked and the next; says how long the one after it would be.
async fn rest(pause: Duration) -> Duration {
    tracing::error!(
        pause_ms = pause.as_millis(),
        "the coordinator's driver panicked; it starts again"
    );
    tokio::time::sleep(pause).await;
    (pause * 2).min(Duration::from_millis(limits::COORDINATOR_RESTART_MS_MAX))
}

/// None if the driver panicked outside the core.
async fn drive(driver: Driver, inputs: &Arc<Mutex<Inputs>>) -> Option<Ended> {
    let inputs = Arc::clone(inputs);
    let driving = tokio::spawn(async move {
        let mut inputs = inputs.lock().await;
        driver.run(&mut inputs).await
    });
    driving.await.ok()
}

/// Entries that are still in line are in this graph already; applied again they change nothing.
fn from_store(shared: &Shared) -> Option<(Graph, Timestamp)> {
    let view = shared.store.view();
    match view.graph() {
        Ok(graph) => Some((graph, view.log_time())),
        Err(error) => {
            tracing::error!(%error, "the state on disk makes no graph");
            None
        }
    }
}

fn refuse(submitted: Submitted, shared: &Shared) {
    if let Some(answer) = submitted.answer {
        // Whoever asked may be gone.
        drop(answer.send(Err(shared.nobody_decides())));
    }
}

/// Follows the log until this station leads; none when the log ends.
async fn until_leading(
    inputs: &Arc<Mutex<Inputs>>,
    graph: &mut Graph,
    log_time: &mut Timestamp,
    shared: &Shared,
) -> Option<Term> {
    let mut inputs = inputs.lock().await;
    let Inputs { inbox, log } = &mut *inputs;
    loop {
        let event = tokio::select! {
            // What came while it led must not be judged when it leads again.
            biased;
            Some(submitted) = inbox.recv() => {
                refuse(submitted, shared);
                continue;
            }
            event = log.recv() => event?,
        };
        match event {
            LogEvent::Leading(term) => return Some(term),
            LogEvent::Following | LogEvent::Lost(_) => {}
            LogEvent::Committed(entry) => {
                graph.apply(&entry.delta);
                *log_time = entry.log_time.max(*log_time);
                shared.pin_wall(entry.log_time, entry.wall_ms);
                shared.ways.of_epoch(entry.leadership.epoch);
                shared.applied(graph.revision());
            }
            LogEvent::Replaced {
                graph: replaced,
                log_time: at,
            } => {
                *graph = *replaced;
                *log_time = at;
                shared.pin_wall(at, shared.store.view().wall_ms());
                if let Some(cluster) = graph.cluster() {
                    shared.ways.of_epoch(cluster.epoch);
                }
                shared.applied(graph.revision());
            }
        }
    }
}
