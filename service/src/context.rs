//! What an instance can ask and say while it lives.

use std::any::Any;
use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mainstay_protocol::command::Answered;
use mainstay_protocol::report::{Ending, Manner, Report, TypedFailure};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::secret::SecretBytes;
use mainstay_protocol::{
    ArtifactId, BadName, Incarnation, InstanceKey, ResourceKey, ResourceKind, ResourceName,
    SlotName, code, limits,
};
use mainstay_supervisor::ExitHow;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;
use tracing::Span;

use crate::hosting::life::Life;
use crate::hosting::{Purpose, Said};
use crate::outcome::{Failure, StopReason};
use crate::outside::{Beginning, Outside, Place};
use crate::probe::Busy;
use crate::secret::Secret;

/// Who an instance is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub instance: InstanceKey,
    pub incarnation: Incarnation,
    /// The exclusive name that it holds on its node.
    pub name: SlotName,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} incarnation {}", self.instance, self.incarnation)
    }
}

/// An instance's connection to what hosts it. Cheap to clone, for tasks of its own; such tasks should end with
/// [`Context::shutdown`].
///
/// What a service says with `tracing` in its functions is in its own log, `mainstay logs`, and in its agent's. Tasks of
/// its own say it with [`Context::span`]: `task.instrument(ctx.span().clone())`, or `tracing::info!(parent: ctx.span(), ..)`.
#[derive(Clone)]
pub struct Context {
    pub(crate) life: Arc<Life>,
}

impl Context {
    pub(crate) fn new(life: Arc<Life>) -> Self {
        Self { life }
    }

    pub fn identity(&self) -> &Identity {
        self.life.identity()
    }

    /// Of the only one in the cluster: greater than that of every one before it. Whatever it writes to should be told, and
    /// refuse a smaller one than it has seen: a machine that stood still does not know that its lease has run out.
    pub fn fencing_token(&self) -> Option<u64> {
        Some(self.place().lease.as_ref()?.fencing_token())
    }

    /// The probe for services with nothing special to say of their health.
    pub fn busy(&self) -> Busy {
        Busy::watching(self.life.activity())
    }

    /// This instance has failed and cannot say so by returning: it is stopped, then started again as its policy
    /// says. The first report counts.
    pub fn report_failure(&self, text: impl Into<String>) {
        self.life.report_failure(text.into());
    }

    /// Its health has changed: the probe is asked out of turn, and the change reported without waiting for the
    /// next Check. Returns when that was done.
    pub async fn recheck(&self) {
        // Where nobody checks it, nobody has to.
        let _ = self.life.words().say(Said::CheckMe).await;
    }

    /// Has a resource for itself from now on, until it gives it up or is gone. Refused where its type may not use the
    /// kind, or another instance has it. Waits for the coordinator, also while that is away: [`Context::busy`] does not
    /// take that for being stuck, a probe of one's own should not either.
    pub async fn acquire(&self, kind: &str, name: &str) -> Result<(), Refusal> {
        self.take(kind, name, Manner::Alone).await
    }

    /// Has a resource beside others that share it too.
    pub async fn share(&self, kind: &str, name: &str) -> Result<(), Refusal> {
        self.take(kind, name, Manner::Shared).await
    }

    /// Gives a resource up. One that it does not have is no error.
    pub async fn release(&self, kind: &str, name: &str) -> Result<(), Refusal> {
        let resource = resource(kind, name)?;
        self.life.words().has_no_more(&resource);
        let (instance, incarnation) = self.name();
        self.say(Report::Released {
            instance,
            incarnation,
            resource,
        })
        .await
    }

    async fn take(&self, kind: &str, name: &str, manner: Manner) -> Result<(), Refusal> {
        let resource = resource(kind, name)?;
        let may_use = self.life.may_use();
        if !may_use.contains(&kind) {
            let text = match may_use.is_empty() {
                true => format!(
                    "its type does not say that it may use resources: .may_use(&[\"{kind}\"])"
                ),
                false => format!("its type may use only {}, not {kind}", may_use.join(", ")),
            };
            return Err(Refusal::new(code::RESOURCE_NOT_ALLOWED, text));
        }
        let _waits = self.life.waits();
        let (question, answered) = self.life.words().question();
        let (instance, incarnation) = self.name();
        self.say(Report::Acquired {
            instance,
            incarnation,
            question,
            resource: resource.clone(),
            manner,
        })
        .await?;
        match answered.await {
            Ok(Answered::Granted | Answered::Said(_)) => {
                self.life.words().has(resource, manner);
                Ok(())
            }
            Ok(Answered::Refused { code, text }) => Err(Refusal::new(code, text)),
            Err(_) => Err(unheard()),
        }
    }

    /// It has failed in a way that others know what to do about: asks, and waits for the answer, which a rule gives.
    /// Without one in time it has failed like anything else, and is stopped and started again. `failure` is in kebab
    /// case (`disk-full`); `body` says the rest.
    pub async fn ask<A: DeserializeOwned>(
        &self,
        failure: &str,
        body: impl Serialize,
        within: Duration,
    ) -> Result<A, Refusal> {
        let failure = TypedFailure {
            name: word_name(failure)?,
            body: word_body(&body)?,
        };
        let _waits = self.life.waits();
        let (question, answered) = self.life.words().question();
        let (instance, incarnation) = self.name();
        self.say(Report::Asked {
            instance,
            incarnation,
            question,
            failure,
            deadline_ms: u64::try_from(within.as_millis()).unwrap_or(u64::MAX),
        })
        .await?;
        let in_time = tokio::time::timeout(within, answered).await;
        let not_answered = |text: String| Err(Refusal::new(code::NOT_ANSWERED, text));
        match in_time {
            Ok(Ok(Answered::Said(json))) => serde_json::from_str(&json).or_else(|error| {
                not_answered(format!(
                    "the answer {json} is not one it understands: {error}"
                ))
            }),
            Ok(Ok(Answered::Granted)) => not_answered("the answer says nothing".to_owned()),
            Ok(Ok(Answered::Refused { code, text })) => Err(Refusal::new(code, text)),
            Ok(Err(_)) => Err(unheard()),
            Err(_) => not_answered(format!("no answer within {} ms", within.as_millis())),
        }
    }

    /// It is about to stop by itself, for this reason: seen by whoever asks before it is gone, and after.
    pub async fn announce_stop(&self, why: impl Into<String>) -> Result<(), Refusal> {
        let (instance, incarnation) = self.name();
        let why = why.into();
        self.say(Report::Announced {
            instance,
            incarnation,
            why,
        })
        .await
    }

    /// A record of something it follows: rules can take note of it, for some seconds. Returns when it is on its way; a
    /// flood is slowed down to what a cluster can take.
    pub async fn record(&self, name: &str, body: impl Serialize) -> Result<(), Refusal> {
        let (name, body) = (word_name(name)?, word_body(&body)?);
        let (instance, incarnation) = self.name();
        self.say(Report::Recorded {
            instance,
            incarnation,
            name,
            body,
        })
        .await
    }

    /// What a field of its configuration refers to, now: the station that leads is asked, or the node's file is read.
    /// Nothing of it is kept but what is returned, which is overwritten when it is dropped. Waits for a station, for
    /// half a minute; a start that needs it says so with `?`.
    pub async fn secret(&self, secret: &Secret) -> Result<SecretBytes, Refusal> {
        let _waits = self.life.waits();
        let (answer, answered) = oneshot::channel();
        let wanted = Said::Secret(secret.reference().clone(), answer);
        match self.life.words().say(wanted).await {
            true => answered.await.unwrap_or_else(|_| Err(unheard())),
            false => Err(unheard()),
        }
    }

    /// The file, on this node, with the bytes of an artifact that its configuration names; they are what they should be. It is
    /// got from the station that leads where it is not there yet, and kept while this instance uses it.
    pub async fn artifact(&self, artifact: &ArtifactId) -> Result<PathBuf, Refusal> {
        let _waits = self.life.waits();
        self.artifact_for(Purpose::Instance, artifact).await
    }

    pub(crate) async fn artifact_for(
        &self,
        purpose: Purpose,
        artifact: &ArtifactId,
    ) -> Result<PathBuf, Refusal> {
        let (answer, answered) = oneshot::channel();
        let wanted = Said::Artifact(artifact.clone(), purpose, answer);
        match self.life.words().say(wanted).await {
            true => answered.await.unwrap_or_else(|_| Err(unheard())),
            false => Err(unheard()),
        }
    }

    fn name(&self) -> (InstanceKey, Incarnation) {
        let identity = self.identity();
        (identity.instance.clone(), identity.incarnation)
    }

    async fn say(&self, report: Report) -> Result<(), Refusal> {
        match self.life.words().say(Said::Report(Box::new(report))).await {
            true => Ok(()),
            false => Err(unheard()),
        }
    }

    /// Ends this instance cleanly, as by its own wish: `stop` runs with [`StopReason::Ended`] after the current
    /// message, and it is not started again unless its type says `always`.
    pub fn end(&self) {
        self.life.ask_to_stop(StopReason::Ended);
    }

    /// It has failed and is about to be gone, since what it stands for is: `stop` runs with [`StopReason::Failed`], and
    /// it is started again as its policy says. From `stop`: it could not end everything that belongs to it. The first word
    /// about its end counts.
    pub fn fail(&self, failure: Failure) {
        tracing::warn!(parent: self.span(), failure = %failure.evidence.text, "it failed");
        self.life.failed(failure.kind, failure.evidence);
        self.life.ask_to_stop(StopReason::Failed);
    }

    /// From `stop`: what it stands for did not end when asked, and was killed.
    pub fn had_to_be_killed(&self) {
        self.life.exit_is(ExitHow::Ended(Ending::Killed));
    }

    /// What it stands for outside this process: its processes are told with its start, and it is not gone before they
    /// are. To be said before there are any; the first word counts.
    pub fn stands_for(&self, outside: Arc<dyn Outside>) {
        self.life.stands_for(outside);
    }

    /// From `start`, for its processors: those are made once for all instances of a type, and find what one of them has made
    /// ready with [`Context::kept`]. The first counts.
    pub fn keep<T: Any + Send + Sync>(&self, what: Arc<T>) {
        self.life.keep(what);
    }

    /// None: it kept nothing of this type.
    pub fn kept<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        Arc::clone(self.life.kept()?).downcast().ok()
    }

    /// From `start`, for what is not over yet when the service itself is gone, as when that was killed: the instance is told to
    /// be over when this has returned, or when [`ENDING_WITHIN`](crate::hosting::ENDING_WITHIN) is over. The first counts.
    pub fn ends_with(&self, ending: impl Future<Output = ()> + Send + 'static) {
        self.life.ends_with(Box::pin(ending));
    }

    /// Whether `start` begins something, or finds what an earlier life of the agent began.
    pub fn beginning(&self) -> Beginning {
        self.life.beginning()
    }

    /// Where it may keep what outlives its agent.
    pub fn place(&self) -> &Place {
        self.life.place()
    }

    /// Returns when the instance is asked to stop: a long `handle` gives way by waiting for it too.
    pub async fn shutdown(&self) -> StopReason {
        self.life.asked_to_stop().await
    }

    pub fn is_stopping(&self) -> bool {
        self.life.stop_reason().is_some()
    }

    /// A directory on this node for the instance's own files: made for its owner alone where it is missing, kept from
    /// one incarnation to the next.
    pub fn directory(&self) -> io::Result<PathBuf> {
        let path = self.life.directory();
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Ok(path.to_owned())
    }

    /// The span that this instance's log lines belong to.
    pub fn span(&self) -> &Span {
        self.life.span()
    }
}

fn unheard() -> Refusal {
    Refusal::new(
        code::NOT_RUNNING,
        "nobody listens to it any more: it, or its agent, is ending",
    )
}

fn resource(kind: &str, name: &str) -> Result<ResourceKey, Refusal> {
    let bad = |bad: BadName| Refusal::new(code::BAD_REQUEST, bad.to_string());
    Ok(ResourceKey::new(
        ResourceKind::new(kind).map_err(bad)?,
        ResourceName::new(name).map_err(bad)?,
    ))
}

/// In the grammar of all names.
fn word_name(name: &str) -> Result<String, Refusal> {
    let checked = ResourceName::new(name);
    checked.map(String::from).map_err(|_| {
        let text = format!("\"{name}\" is no name: it is written in kebab case, like disk-full");
        Refusal::new(code::BAD_REQUEST, text)
    })
}

fn word_body(body: &impl Serialize) -> Result<String, Refusal> {
    let bad = |text: String| Refusal::new(code::BAD_REQUEST, text);
    let json = serde_json::to_string(body)
        .map_err(|error| bad(format!("what it says is no JSON: {error}")))?;
    match json.len() <= limits::WORD_BYTES_MAX {
        true => Ok(json),
        false => Err(bad(format!(
            "what it says has {} bytes, and at most {} are taken",
            json.len(),
            limits::WORD_BYTES_MAX
        ))),
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("identity", self.identity())
            .finish_non_exhaustive()
    }
}
