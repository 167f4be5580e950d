//! Connections between agents: one that can be called, and one that calls others. Nobody decides anything here: an agent
//! looks at those it is told to guard, and says what it saw.
//!
//! ```text
//!   listening --who is it?--> questions of peers --> requests
//!   guards (told in the session) --once a second--> call --> another agent
//!                                       | looks otherwise than before
//!                                       v
//!                                  observations --> report
//!   watching (told in the session) --Check--> calling --> another agent --> an instance there
//!   calls of instances here --> calling --> another agent --> an instance there
//! ```

mod call;
mod calling;
mod guards;
mod listening;
mod watching;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_identity::Renewing;
use mainstay_protocol::frame::Channel;
use mainstay_protocol::handshake::{Handshake, Role};
use mainstay_protocol::sight::Sight;
use mainstay_protocol::{ClusterId, NodeName, limits};
use tokio::runtime::Handle;
use tokio::time::Instant;

use self::call::Call;
use self::calling::{For, Lines};
use crate::machine;

pub(crate) use self::guards::Guarding;
pub(crate) use self::listening::{Listening, Whereabouts};
pub(crate) use self::watching::Watching;

/// What answered so lately is there now.
const LATELY: Duration = Duration::from_millis(1500);

/// This agent, to others. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Mesh(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    node: NodeName,
    cluster: Option<ClusterId>,
    /// What it shows over the network.
    shown: Option<Renewing>,
    /// Agents that have answered, and when.
    seen: Mutex<BTreeMap<NodeName, (Instant, Sight)>>,
    lines: Lines,
    /// Those of watching: Checks take no caller's place, and wait behind no message.
    watching_lines: Lines,
    /// Where connections are kept, whoever needs them.
    runtime: Handle,
}

impl Mesh {
    /// Must be called on the runtime that keeps its connections.
    pub(crate) fn new(node: NodeName, cluster: Option<ClusterId>, shown: Option<Renewing>) -> Self {
        Self(Arc::new(Shared {
            node,
            cluster,
            shown,
            seen: Mutex::default(),
            lines: Lines::for_so_many(limits::CALLS_MAX),
            watching_lines: Lines::for_so_many(limits::WATCHED_ELSEWHERE_MAX),
            runtime: Handle::current(),
        }))
    }

    fn lines(&self, whose: For) -> &Lines {
        match whose {
            For::Callers => &self.0.lines,
            For::Watching => &self.0.watching_lines,
        }
    }

    fn introduction(&self) -> Handshake {
        Handshake {
            cluster: self.0.cluster,
            node: Some(self.0.node.clone()),
            ..Handshake::new(Role::Agent, Channel::Control, machine::build())
        }
    }

    /// What is to be seen of an agent at this address.
    pub(crate) async fn look(&self, node: &NodeName, address: &str) -> Sight {
        match Call::open(self, node, address, call::OF_A_LOOK).await {
            // It was there a moment ago, and so is its machine.
            Ok(mut call) => call.look().await.unwrap_or(Sight::Machine),
            // On a connection that lives, a lost packet is made up for.
            Err(Sight::Nothing) => self.seen_lately(node).unwrap_or(Sight::Nothing),
            Err(sight) => sight,
        }
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<NodeName, (Instant, Sight)>> {
        // Every write under the lock is one insertion or removal.
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn saw(&self, node: &NodeName, sight: Sight) {
        self.seen().insert(node.clone(), (Instant::now(), sight));
    }

    fn forget(&self, node: &NodeName) {
        self.seen().remove(node);
    }

    fn seen_lately(&self, node: &NodeName) -> Option<Sight> {
        let (at, sight) = *self.seen().get(node)?;
        (at.elapsed() < LATELY).then_some(sight)
    }
}
