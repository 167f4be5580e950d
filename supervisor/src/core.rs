//! The agent core: decides nothing about services, but keeps what a node must never get wrong: names, floors,
//! commands under way, reports not yet committed.

mod floors;
mod input;
mod ledger;
mod names;
mod outbox;
mod state;

pub use input::{Action, Identity, Input, Observation, Output};
pub use state::State;

use std::collections::BTreeMap;

use mainstay_protocol::InstanceKey;
use mainstay_protocol::report::{DigestEntry, NodeUp};

use crate::file::{FileRecord, Recovered};

/// The pure heart of an agent.
#[derive(Debug, Clone)]
pub struct AgentCore {
    identity: Identity,
    state: State,
}

impl AgentCore {
    /// Begins a life of the agent on what its file says.
    pub fn new(identity: Identity, recovered: Recovered) -> (Self, Output) {
        let core = Self {
            identity,
            state: recovered.state,
        };
        (core, Output::default())
    }

    pub fn step(&mut self, _now_ms: u64, _input: Input) -> Output {
        unimplemented!()
    }

    /// What this agent says of itself when a session opens.
    pub fn node_up(&self) -> NodeUp {
        unimplemented!("{:?} {:?}", self.identity, self.state)
    }

    pub fn digest(&self) -> BTreeMap<InstanceKey, DigestEntry> {
        unimplemented!()
    }

    /// Reports not yet acknowledged.
    pub fn outbox_depth(&self) -> u64 {
        self.state.outbox.len() as u64
    }

    /// The whole file, shorter.
    pub fn snapshot_records(&self) -> Vec<FileRecord> {
        unimplemented!()
    }
}
