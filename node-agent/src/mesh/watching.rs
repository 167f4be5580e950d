//! Instances of other nodes that this node watches: each is Checked over a connection to its agent, and what looks otherwise
//! is reported. They outlive whoever is the supervisor here, as what it watches of its own node does.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_protocol::code;
use mainstay_protocol::health::Health;
use mainstay_protocol::report::Report;
use mainstay_protocol::request::{Answer, Ask};
use mainstay_protocol::sight::{InstanceSight, Watches};
use mainstay_protocol::{Incarnation, InstanceKey, limits};
use mainstay_supervisor::Observation;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::Mesh;
use crate::session::jittered;

/// One Check that gets no answer may be a lost packet, or an instance that is just about to end.
const MISSED_MIN: u32 = 2;
/// Whatever the settings say: a node asks nobody in a hot loop.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// What the session was told last. Dropped, it watches nobody.
#[derive(Debug)]
pub(crate) struct Watching {
    mesh: Mesh,
    observations: mpsc::Sender<Observation>,
    watched: BTreeMap<InstanceKey, Watched>,
}

#[derive(Debug)]
struct Watched {
    how: How,
    looking: JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct How {
    incarnation: Incarnation,
    address: String,
    interval: Duration,
    deadline: Duration,
}

impl Watching {
    pub(crate) fn new(mesh: Mesh, observations: mpsc::Sender<Observation>) -> Self {
        Self {
            mesh,
            observations,
            watched: BTreeMap::new(),
        }
    }

    /// A new session: what was said of them in the one before may have been forgotten since, so it is said anew.
    pub(crate) fn begins_anew(&mut self) {
        self.watched.clear();
    }

    pub(crate) fn told(&mut self, watches: Watches) {
        let how = |instance: &InstanceKey, incarnation: Incarnation| How {
            incarnation,
            address: watches
                .addresses
                .get(&instance.node)
                .cloned()
                .unwrap_or_default(),
            interval: Duration::from_millis(watches.interval_ms).max(INTERVAL_MIN),
            deadline: Duration::from_millis(watches.deadline_ms),
        };
        let told = watches.instances.iter().take(limits::WATCHED_ELSEWHERE_MAX);
        let told: BTreeMap<&InstanceKey, How> = told
            .map(|(instance, incarnation)| (instance, how(instance, *incarnation)))
            .collect();
        self.watched
            .retain(|instance, known| told.get(instance) == Some(&known.how));
        for (instance, how) in told {
            if self.watched.contains_key(instance) {
                continue;
            }
            let looking = Looking {
                mesh: self.mesh.clone(),
                observations: self.observations.clone(),
                instance: instance.clone(),
                how: how.clone(),
                told: None,
                missed: 0,
            };
            let looking = tokio::spawn(looking.run());
            self.watched
                .insert(instance.clone(), Watched { how, looking });
        }
    }
}

struct Looking {
    mesh: Mesh,
    observations: mpsc::Sender<Observation>,
    instance: InstanceKey,
    how: How,
    /// What was reported last.
    told: Option<InstanceSight>,
    /// So many Checks in a row got no answer.
    missed: u32,
}

impl Looking {
    async fn run(mut self) {
        // Those of one node are not all asked at once.
        sleep(jittered(self.how.interval)).await;
        loop {
            let began = Instant::now();
            if let Some(sight) = self.look().await {
                self.saw(sight).await;
            }
            sleep_until(began + self.how.interval).await;
        }
    }

    /// None where nothing was learnt of it.
    async fn look(&self) -> Option<InstanceSight> {
        let node = &self.instance.node;
        let ask = Ask::WatcherCheck {
            instance: self.instance.clone(),
            incarnation: self.how.incarnation,
        };
        let (address, within) = (&self.how.address, self.how.deadline);
        let answer = self.mesh.watch(node, address, ask, within).await;
        self.sight_of(&answer)
    }

    fn sight_of(&self, answer: &Answer) -> Option<InstanceSight> {
        match answer {
            Answer::Health {
                health: Health::Unresponsive,
                ..
            } => Some(InstanceSight::NoAnswer),
            Answer::Health { health, .. } => Some(InstanceSight::Answers { health: *health }),
            Answer::Refused(refusal) => match &refusal.code {
                code if *code == code::TIMEOUT => Some(self.not_in_time()),
                code if *code == code::NOT_REACHED || *code == code::ANSWER_LOST => {
                    Some(InstanceSight::NotReached)
                }
                code if *code == code::NOT_RUNNING || *code == code::OTHER_INCARNATION => {
                    Some(InstanceSight::NotThere)
                }
                // It asks too much, or is asked too much, or the two do not understand each other.
                code => {
                    tracing::debug!(instance = %self.instance, %code, why = refusal.text, "not Checked");
                    None
                }
            },
            Answer::Status { .. }
            | Answer::Reply { .. }
            | Answer::Done { .. }
            | Answer::Log(_)
            | Answer::Usage(_)
            | Answer::Sight(_) => None,
        }
    }

    /// This node guards the other one: when its agent was there a moment ago, it is the instance that does not answer.
    fn not_in_time(&self) -> InstanceSight {
        match self.mesh.seen_lately(&self.instance.node) {
            Some(sight) if sight.is_of_agent() => InstanceSight::NoAnswer,
            Some(_) | None => InstanceSight::NotReached,
        }
    }

    async fn saw(&mut self, sight: InstanceSight) {
        self.missed = if sight.is_of_it() { 0 } else { self.missed + 1 };
        let in_doubt = !sight.is_of_it() && self.missed < MISSED_MIN;
        if in_doubt || self.told == Some(sight) {
            return;
        }
        self.told = Some(sight);
        let saw = Observation::Seen(Report::WatcherSaw {
            instance: self.instance.clone(),
            incarnation: self.how.incarnation,
            sight,
        });
        // The driver is gone: the agent ends.
        let _ = self.observations.send(saw).await;
    }
}
