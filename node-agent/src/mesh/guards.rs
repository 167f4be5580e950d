//! Those that this node guards: each is looked at once a second, and what looks otherwise is reported.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_protocol::NodeName;
use mainstay_protocol::report::Report;
use mainstay_protocol::sight::{Guards, Sight};
use mainstay_supervisor::Observation;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::Mesh;
use super::call::{Call, OF_A_LOOK};
use crate::session::jittered;

const EVERY: Duration = Duration::from_secs(1);
/// One look that gets no answer may be a lost packet.
const NOTHING_SEEN_MIN: u32 = 2;

/// What the session was told last. Dropped, it guards nobody.
#[derive(Debug)]
pub(crate) struct Guarding {
    mesh: Mesh,
    observations: mpsc::Sender<Observation>,
    guarded: BTreeMap<NodeName, Guarded>,
}

#[derive(Debug)]
struct Guarded {
    address: String,
    looking: JoinHandle<()>,
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

impl Guarding {
    pub(crate) fn new(mesh: Mesh, observations: mpsc::Sender<Observation>) -> Self {
        Self {
            mesh,
            observations,
            guarded: BTreeMap::new(),
        }
    }

    pub(crate) fn told(&mut self, guards: Guards) {
        let still =
            |node: &NodeName, known: &Guarded| guards.nodes.get(node) == Some(&known.address);
        self.guarded.retain(|node, known| still(node, known));
        for (node, address) in guards.nodes {
            if self.guarded.contains_key(&node) {
                continue;
            }
            let looking = Looking {
                mesh: self.mesh.clone(),
                observations: self.observations.clone(),
                node: node.clone(),
                address: address.clone(),
                told: None,
                nothing: 0,
            };
            let looking = tokio::spawn(looking.run());
            self.guarded.insert(node, Guarded { address, looking });
        }
    }
}

struct Looking {
    mesh: Mesh,
    observations: mpsc::Sender<Observation>,
    node: NodeName,
    address: String,
    /// What was reported last.
    told: Option<Sight>,
    /// So many looks in a row saw nothing.
    nothing: u32,
}

impl Looking {
    async fn run(mut self) {
        sleep(jittered(EVERY)).await;
        loop {
            let began = Instant::now();
            match Call::open(&self.mesh, &self.node, &self.address, OF_A_LOOK).await {
                Ok(call) => self.keep_looking(call).await,
                Err(sight) => self.saw(sight).await,
            }
            // At once after a connection that had lasted, else not in a hot loop.
            sleep_until(began + EVERY).await;
        }
    }

    async fn keep_looking(&mut self, mut call: Call) {
        // Another life of the agent may be at the other end.
        self.told = None;
        while let Some(sight) = call.look().await {
            self.mesh.saw(&self.node, sight);
            self.saw(sight).await;
            sleep(EVERY).await;
        }
    }

    async fn saw(&mut self, sight: Sight) {
        if !sight.is_of_agent() {
            self.mesh.forget(&self.node);
        }
        self.nothing = match sight {
            Sight::Nothing => self.nothing + 1,
            Sight::Watching { .. } | Sight::Unwatched { .. } | Sight::Machine => 0,
        };
        let in_doubt = sight == Sight::Nothing && self.nothing < NOTHING_SEEN_MIN;
        if in_doubt || self.told == Some(sight) {
            return;
        }
        self.told = Some(sight);
        let saw = Observation::Seen(Report::GuardSaw {
            guarded: self.node.clone(),
            sight,
        });
        // The driver is gone: the agent ends.
        let _ = self.observations.send(saw).await;
    }
}
