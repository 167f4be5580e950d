//! The ractor supervisor and its keeper.

mod watch;

pub use watch::{
    Answered, CheckFuture, ExitFact, ExitHow, Probe, SupervisorStatus, Watched,
};

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_protocol::InstanceKey;
use ractor::SpawnErr;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::core::Observation;

/// What the supervisor needs from the agent.
#[derive(Debug, Clone)]
pub struct SupervisorConfig {
    /// The runtime the probes run on; at least two threads.
    pub probes: Handle,
    /// To the agent core; whoever receives must not wait for the supervisor.
    pub observations: mpsc::Sender<Observation>,
}

/// Starts the keeper and the first supervisor on the calling runtime.
pub async fn supervise(_config: SupervisorConfig) -> Result<SupervisorHandle, SpawnErr> {
    unimplemented!()
}

/// Cheap to clone; every call but the checks returns at once.
#[derive(Debug, Clone)]
pub struct SupervisorHandle {}

impl SupervisorHandle {
    /// Watches an instance from now on; one of an older incarnation is forgotten.
    pub fn watch(&self, _watched: Watched) {
        unimplemented!()
    }
    /// Forgets an instance without a word. Not needed after its end.
    pub fn unwatch(&self, _instance: &InstanceKey) {
        unimplemented!()
    }
    /// Chaos: the supervisor's actor is killed.
    pub fn kill_supervisor(&self) {
        unimplemented!()
    }
    /// Chaos: the supervisor's own code panics.
    pub fn panic_supervisor(&self) {
        unimplemented!()
    }
    /// Asks the instance's probe now. None: it is not watched. A missed deadline is `Unresponsive`.
    pub async fn check_now(&self, _: &InstanceKey, _deadline: Duration) -> Option<Answered> {
        unimplemented!()
    }
    /// The supervisor's own Check and Status, answered by its actor; none when it does not by the deadline.
    pub async fn supervisor_status(&self, _deadline: Duration) -> Option<SupervisorStatus> {
        unimplemented!()
    }
    /// How many milliseconds ago each instance last answered a Check.
    pub fn checked_ages(&self) -> BTreeMap<InstanceKey, u64> {
        unimplemented!()
    }
    /// The number of the supervisor that lives now, from 1.
    pub fn incarnation(&self) -> u64 {
        unimplemented!()
    }
}
