//! Questions to instances of this node, whoever asks them: the station, another instance here, or one of another node. And
//! the questions of those here to others.

use std::future::Future;
use std::sync::Weak;
use std::time::Duration;

use mainstay_protocol::code;
use mainstay_protocol::lookup::Sought;
use mainstay_protocol::request::{Answer, Ask, Called, Refusal};
use mainstay_protocol::{Incarnation, InstanceKey, NodeName, words};
use mainstay_service::hosting::{Hosted, Others, other_incarnation};
use mainstay_service::{BoxFuture, Callee, Watch};
use tokio::time::{Instant, timeout};

use super::{Instances, Shared};

/// A Check's own answer to a missed deadline comes at that deadline: so much longer may it take to say so.
const LAST_WORD: Duration = Duration::from_millis(250);
/// No question waits longer than this, whatever it asks for.
pub(crate) const DEADLINE_MAX: Duration = Duration::from_secs(600);

impl Instances {
    /// Asks one of this node. Where an incarnation is named, no other one answers.
    pub(crate) async fn ask(
        &self,
        instance: &InstanceKey,
        incarnation: Option<Incarnation>,
        what: &Called,
        deadline: Duration,
    ) -> Result<Answer, Refusal> {
        let hosted = self.incarnation_of(instance, incarnation)?;
        match what {
            Called::Check => self.check(&hosted, deadline).await,
            Called::Status => {
                let text = in_time(&hosted, deadline, hosted.status()).await?;
                Ok(Answer::Status { text })
            }
            Called::Message { message, body } => {
                let answering = hosted.message(message, body);
                let body = in_time(&hosted, deadline, answering).await?;
                Ok(Answer::Reply { body })
            }
        }
    }

    /// For who watches it from another node: what its own supervisor makes of it is not touched.
    pub(crate) async fn watched(
        &self,
        instance: &InstanceKey,
        incarnation: Incarnation,
        deadline: Duration,
    ) -> Result<Answer, Refusal> {
        let hosted = self.incarnation_of(instance, Some(incarnation))?;
        look(&hosted, deadline).await
    }

    fn incarnation_of(
        &self,
        instance: &InstanceKey,
        incarnation: Option<Incarnation>,
    ) -> Result<Hosted, Refusal> {
        let hosted = self.existing(instance)?;
        let runs = hosted.identity().incarnation;
        match incarnation.filter(|called| *called != runs) {
            Some(called) => Err(other_incarnation(instance, called, runs)),
            None => Ok(hosted),
        }
    }

    pub(crate) fn existing(&self, instance: &InstanceKey) -> Result<Hosted, Refusal> {
        self.get(instance).ok_or_else(|| {
            let here: Vec<String> = self.keys().iter().map(ToString::to_string).collect();
            let here = here.iter().map(String::as_str);
            let text = format!("{instance} does not run on this node");
            Refusal {
                nearest: words::nearest(&instance.to_string(), here),
                ..Refusal::new(code::NOT_RUNNING, text)
            }
        })
    }

    async fn check(&self, hosted: &Hosted, deadline: Duration) -> Result<Answer, Refusal> {
        let supervisor = &self.shared.whom.supervisor;
        let instance = &hosted.identity().instance;
        let checking = supervisor.check_now(instance, deadline);
        match timeout(deadline + LAST_WORD, checking).await {
            Ok(Some(answered)) => Ok(Answer::Health {
                health: answered.health,
                detail: answered.detail,
                took_ms: answered.took_ms,
                incarnation: answered.incarnation,
            }),
            // The supervisor does not have it: it starts, it is about to be gone, or the supervisor itself is.
            Ok(None) | Err(_) => look(hosted, deadline).await,
        }
    }

    /// Asks one of whatever node. There is always an answer, at the latest a moment after `within`.
    async fn call_any(&self, callee: Callee, what: Called, within: Duration) -> Answer {
        let began = Instant::now();
        let within = within.min(DEADLINE_MAX);
        let instance = callee.instance;
        if instance.node == self.shared.whom.node {
            let answer = self.ask(&instance, callee.incarnation, &what, within);
            return answer.await.unwrap_or_else(Answer::Refused);
        }
        let address = self.address_of(&instance, callee.address, within).await;
        let address = match address {
            Ok(address) => address,
            Err(refusal) => return Answer::Refused(refusal),
        };
        let ask = Ask::Call {
            instance: instance.clone(),
            incarnation: callee.incarnation,
            what,
        };
        let left = within.saturating_sub(began.elapsed());
        let mesh = &self.shared.whom.mesh;
        mesh.call(&instance.node, &address, ask, left).await
    }

    /// Where the agent of its node can be called: as this node knows it, else as whoever calls does, else as the graph.
    async fn address_of(
        &self,
        instance: &InstanceKey,
        found: Option<String>,
        within: Duration,
    ) -> Result<String, Refusal> {
        let lookups = &self.shared.whom.lookups;
        let node = &instance.node;
        let known = lookups.address_of(node).or(found);
        if let Some(known) = known.filter(|address| !address.is_empty()) {
            return Ok(known);
        }
        let mut watch = lookups.follow(Sought::from(instance))?;
        let there = watch.now(within).await?.instances.into_iter().next();
        match there.map(|found| found.address) {
            Some(address) if !address.is_empty() => Ok(address),
            Some(_) => Err(uncalled(node)),
            None => {
                let text = format!("the graph has no {instance}");
                Err(Refusal::new(code::NOT_RUNNING, text))
            }
        }
    }
}

/// Asks its Probe, past the supervisor.
async fn look(hosted: &Hosted, deadline: Duration) -> Result<Answer, Refusal> {
    let checked = hosted.check(deadline).await?;
    Ok(Answer::Health {
        health: checked.health,
        detail: checked.detail,
        took_ms: u64::try_from(checked.took.as_millis()).unwrap_or(u64::MAX),
        incarnation: hosted.identity().incarnation,
    })
}

impl Others for Instances {
    fn follow(&self, sought: Sought) -> Result<Watch, Refusal> {
        self.shared.whom.lookups.follow(sought)
    }

    fn call(&self, callee: Callee, what: Called, within: Duration) -> BoxFuture<Answer> {
        let instances = self.clone();
        Box::pin(async move { instances.call_any(callee, what, within).await })
    }
}

/// The agent, as instances know it that it hosts: it does not live because of them.
#[derive(Debug)]
pub(super) struct Outward(pub(super) Weak<Shared>);

impl Outward {
    fn agent(&self) -> Result<Instances, Refusal> {
        let gone = || Refusal::new(code::AGENT_DOWN, "the agent here has ended");
        let shared = self.0.upgrade().ok_or_else(gone)?;
        Ok(Instances { shared })
    }
}

impl Others for Outward {
    fn follow(&self, sought: Sought) -> Result<Watch, Refusal> {
        self.agent()?.follow(sought)
    }

    fn call(&self, callee: Callee, what: Called, within: Duration) -> BoxFuture<Answer> {
        match self.agent() {
            Ok(instances) => instances.call(callee, what, within),
            Err(refusal) => Box::pin(async move { Answer::Refused(refusal) }),
        }
    }
}

fn uncalled(node: &NodeName) -> Refusal {
    let text = format!("the agent of {node} can be called by nobody: it listens nowhere");
    Refusal::new(code::NOT_REACHED, text)
}

async fn in_time(
    hosted: &Hosted,
    deadline: Duration,
    answer: impl Future<Output = Result<String, Refusal>>,
) -> Result<String, Refusal> {
    timeout(deadline, answer).await.unwrap_or_else(|_| {
        let text = format!(
            "{} did not answer within {} ms: {}",
            hosted.identity(),
            deadline.as_millis(),
            hosted.excuse(deadline)
        );
        Err(Refusal::new(code::TIMEOUT, text))
    })
}
