//! Activities of runs: what does them, and what it says at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mainstay_protocol::json::{BadJson, Shape};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::work::{
    BadWorkName, Changes, Serves, Skill, Skills, Work, WorkAnswer, WorkName,
};
use mainstay_protocol::{ArtifactId, CommandId, Json, RunId, limits};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::breaks::{Breakable, Breaks};
use crate::context::Context;
use crate::hosting::Purpose;
use crate::outside::BoxFuture;

/// Does activities of one type. Write its function as an `async fn`; several calls may be under way at once, on the threads
/// of services: what computes for long belongs into `spawn_blocking`.
///
/// It may be asked to do again what it has done, since who asked may not have heard of it:
/// [`Call::idempotency_key`] is the same then.
///
/// When nobody wants a call any more (its run was cancelled, its time is over), it is dropped where it awaits something. Its hand
/// is free when nobody has the call or a clone of it: what goes on beside it, and cannot be broken off, keeps one.
pub trait Processor: Send + Sync + 'static {
    fn process(&self, call: Call) -> impl Future<Output = Processed> + Send;
}

/// One call of an activity.
#[derive(Clone)]
pub struct Call {
    work: Work,
    token: CommandId,
    ctx: Context,
    /// In a trial alone.
    breaks: Option<Arc<Breaks>>,
    /// As long as somebody has it, it is not over.
    _under_way: UnderWay,
}

/// Held by a call and its clones.
pub(crate) type UnderWay = watch::Receiver<()>;

impl Call {
    pub(crate) fn new(token: CommandId, work: Work, ctx: Context, under_way: UnderWay) -> Self {
        Self {
            work,
            token,
            ctx,
            breaks: None,
            _under_way: under_way,
        }
    }

    pub fn run(&self) -> &RunId {
        &self.work.step.run
    }

    /// Its id in the definition of the run.
    pub fn activity(&self) -> &WorkName {
        &self.work.step.activity
    }

    /// Its type, and who provides that.
    pub fn skill(&self) -> &Skill {
        &self.work.skill
    }

    /// What of it is to be done, where one processor does several things: `deploy`, `dispose`.
    pub fn discriminator(&self) -> Option<&str> {
        self.work.discriminator.as_deref()
    }

    /// From 1; greater, if an earlier one failed or was lost.
    pub fn attempt(&self) -> u32 {
        self.work.attempt
    }

    /// The same for every attempt: an outside system that has seen it does nothing again.
    pub fn idempotency_key(&self) -> String {
        self.work.idempotency_key()
    }

    /// Of this call alone: who says from outside that it is done, after [`Processed::wait`], names it.
    pub fn token(&self) -> CommandId {
        self.token
    }

    /// Exactly what is mapped to it, as JSON as it was written.
    pub fn inputs(&self) -> &Json {
        &self.work.inputs
    }

    /// The same as a type of its own. What does not fit is fatal: `let inputs: Wanted = match call.read() { .. }`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Processed> {
        serde_json::from_str(self.work.inputs.as_str())
            .map_err(|error| Processed::fatal(format!("its inputs are not what it takes: {error}")))
    }

    /// The artifacts that its inputs name, anywhere in their texts.
    pub fn artifacts(&self) -> BTreeSet<ArtifactId> {
        ArtifactId::named_in(self.work.inputs.as_str())
    }

    /// The file, on this node, with the bytes of one of them; they are what they should be. It is got from the station that leads
    /// where it is not there yet, and kept for another call, for a day. Once the call is over, nothing is got any more.
    pub async fn artifact(&self, artifact: &ArtifactId) -> Result<PathBuf, Refusal> {
        self.ctx.artifact_for(Purpose::Call, artifact).await
    }

    /// What earlier calls of it left for this one.
    pub fn scratch(&self) -> &Json {
        &self.work.scratch
    }

    /// What the activities of its run share, as it was when this call was given out.
    pub fn context(&self) -> &Json {
        &self.work.context
    }

    /// How long it may take altogether; then the attempt has failed, whatever comes of it.
    pub fn time(&self) -> Option<Duration> {
        self.work.time_ms.map(Duration::from_millis)
    }

    /// A place where a [`Trial`](crate::testing::Trial) crashes it, by this name; anywhere else it is nothing. For what happens
    /// between two places at which the processor waits anyway.
    pub async fn point(&self, name: &str) {
        if let Some(breaks) = &self.breaks {
            breaks.reach(name).await;
        }
    }

    /// The instance that does it: its secrets, its directory, others it may ask, what it kept ([`Context::keep`]).
    pub fn ctx(&self) -> &Context {
        &self.ctx
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.work.fmt(f)
    }
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Processed(Result<WorkAnswer, String>);

impl Processed {
    /// It is done, and this is left behind for what follows: an object, or `()`.
    pub fn complete(output: impl Serialize) -> Self {
        let output = json(&output);
        let output = output.map(|output| match output.as_str() {
            "null" => Json::empty_object(),
            _ => output,
        });
        match output {
            Ok(output) if output.shape() == Shape::Object => Self(Ok(WorkAnswer::Complete {
                output,
                context: Changes::default(),
            })),
            Ok(output) => Self(Err(format!(
                "what it leaves behind is an object, or nothing, and it said {}",
                output.shape().with_article()
            ))),
            Err(bad) => Self::of(Err(bad)),
        }
    }

    /// What a completion leaves behind.
    pub fn output(&self) -> Option<&Json> {
        match &self.0 {
            Ok(WorkAnswer::Complete { output, .. }) => Some(output),
            Ok(_) | Err(_) => None,
        }
    }

    /// What went wrong, for good or for this attempt.
    pub fn error(&self) -> Option<&str> {
        match &self.0 {
            Ok(WorkAnswer::Retry { error, .. } | WorkAnswer::Fatal { error }) | Err(error) => {
                Some(error)
            }
            Ok(_) => None,
        }
    }

    /// Somebody outside says when it is done, and what it leaves behind.
    pub fn wait() -> Self {
        Self(Ok(WorkAnswer::Wait))
    }

    /// Another call after this time: it is not done, and nothing failed.
    pub fn again_after(after: Duration) -> Self {
        let scratch = Changes::default();
        Self(Ok(WorkAnswer::Schedule { after, scratch }))
    }

    /// This attempt failed; another may not. When that is, the definition says.
    pub fn retry(error: impl Into<String>) -> Self {
        Self(Ok(WorkAnswer::Retry {
            error: error.into(),
            after: None,
            scratch: Changes::default(),
        }))
    }

    /// The same, and the outside system said when.
    pub fn retry_after(error: impl Into<String>, after: Duration) -> Self {
        Self(Ok(WorkAnswer::Retry {
            error: error.into(),
            after: Some(after),
            scratch: Changes::default(),
        }))
    }

    /// No attempt will do, and it left no effect. What may have had one is [`Processed::retry`].
    pub fn fatal(error: impl Into<String>) -> Self {
        let error = error.into();
        Self(Ok(WorkAnswer::Fatal { error }))
    }

    /// For a discriminator that the processor has no branch for: fatal, since another attempt has the same.
    pub fn unsupported(call: &Call) -> Self {
        let said = call.discriminator().unwrap_or_default();
        Self::fatal(format!("unsupported discriminator {said:?}"))
    }

    /// Of what the activities of the run share, with a completion. Of anything else it is left as it is.
    #[must_use]
    pub fn set_context(self, key: impl Into<String>, value: impl Serialize) -> Self {
        self.change(true, key.into(), Some(json(&value)))
    }

    #[must_use]
    pub fn delete_context(self, key: impl Into<String>) -> Self {
        self.change(true, key.into(), None)
    }

    /// For the next call of the same activity, where there is one.
    #[must_use]
    pub fn set_scratch(self, key: impl Into<String>, value: impl Serialize) -> Self {
        self.change(false, key.into(), Some(json(&value)))
    }

    #[must_use]
    pub fn delete_scratch(self, key: impl Into<String>) -> Self {
        self.change(false, key.into(), None)
    }

    fn change(
        mut self,
        of_context: bool,
        key: String,
        value: Option<Result<Json, BadJson>>,
    ) -> Self {
        let changes = match &mut self.0 {
            Ok(WorkAnswer::Complete { context, .. }) if of_context => context,
            Ok(WorkAnswer::Schedule { scratch, .. } | WorkAnswer::Retry { scratch, .. })
                if !of_context =>
            {
                scratch
            }
            Ok(_) | Err(_) => return self,
        };
        match value {
            Some(Ok(value)) => {
                changes.delete.remove(&key);
                changes.set.insert(key, value);
            }
            Some(Err(bad)) => return Self::of(Err(bad)),
            None => {
                changes.set.remove(&key);
                changes.delete.insert(key);
            }
        }
        self
    }

    fn of(answer: Result<WorkAnswer, BadJson>) -> Self {
        Self(answer.map_err(|bad| bad.to_string()))
    }

    /// As people call it.
    pub(crate) fn name(&self) -> &'static str {
        match &self.0 {
            Ok(answer) => answer.name(),
            Err(_) => "fatal",
        }
    }

    pub(crate) fn said(answer: WorkAnswer) -> Self {
        Self(Ok(answer))
    }

    /// As it travels. What cannot be written as JSON would not be in another attempt either.
    pub(crate) fn into_answer(self) -> WorkAnswer {
        self.0.unwrap_or_else(|bad| WorkAnswer::Fatal {
            error: format!("invalid-output: {bad}"),
        })
    }
}

fn json(value: &impl Serialize) -> Result<Json, BadJson> {
    let text = serde_json::to_string(value).map_err(|error| BadJson::Syntax(error.to_string()))?;
    Json::parse(&text)
}

/// A processor without its type.
trait AnyProcessor: Send + Sync {
    fn process(&self, call: Call) -> BoxFuture<Processed>;
}

struct Of<P>(Arc<P>);

impl<P: Processor> AnyProcessor for Of<P> {
    fn process(&self, call: Call) -> BoxFuture<Processed> {
        let processor = Arc::clone(&self.0);
        Box::pin(async move { processor.process(call).await })
    }
}

/// What instances of a service do for runs. Each processor is made once, and shared by all instances of the type in one agent:
/// what differs between them it finds in [`Call::ctx`].
///
/// ```
/// use mainstay_service::{Activities, Call, Processed, Processor};
/// struct Greet;
/// impl Processor for Greet {
///     async fn process(&self, call: Call) -> Processed {
///         Processed::complete(serde_json::json!({ "said": call.inputs().as_str() }))
///     }
/// }
/// let activities = Activities::at_once(8).does("example.com", "greet", Greet);
/// ```
#[derive(Clone, Default)]
pub struct Activities {
    hands: u32,
    all: BTreeMap<(String, Option<WorkName>), Arc<dyn AnyProcessor>>,
    configured: Option<Arc<dyn AnyProcessor>>,
    bad: Option<BadWorkName>,
    /// In a trial alone.
    breaks: Option<Arc<Breaks>>,
}

impl Activities {
    /// So many calls at once, of all that it does.
    pub fn at_once(hands: u32) -> Self {
        Self {
            hands: hands.min(limits::HANDS_MAX),
            ..Self::default()
        }
    }

    /// Does activities of this type of this provider.
    #[must_use]
    pub fn does(mut self, provider: &str, activity: &str, processor: impl Processor) -> Self {
        match WorkName::new(activity) {
            Ok(activity) => self.add(provider, Some(activity), processor),
            Err(bad) => self.bad = Some(bad),
        }
        self
    }

    /// Does all activities of this provider that nothing else of it does.
    #[must_use]
    pub fn does_all(mut self, provider: &str, processor: impl Processor) -> Self {
        self.add(provider, None, processor);
        self
    }

    /// Each instance also does what its configuration names, `activities: { PROVIDER: { TYPE: .. } }`, where the type `*` is any;
    /// and has the `hands` that it says there. This does whatever of that nothing else of it does.
    #[must_use]
    pub fn as_configured(mut self, processor: impl Processor) -> Self {
        self.configured = Some(Arc::new(Of(Arc::new(processor))));
        self
    }

    #[must_use]
    pub(crate) fn broken_off_by(mut self, breaks: &Arc<Breaks>) -> Self {
        self.breaks = Some(Arc::clone(breaks));
        self
    }

    fn add(&mut self, provider: &str, activity: Option<WorkName>, processor: impl Processor) {
        let processor = Arc::new(Of(Arc::new(processor)));
        self.all.insert((provider.to_owned(), activity), processor);
    }

    pub(crate) fn serves(&self) -> Result<Serves, String> {
        if let Some(bad) = &self.bad {
            return Err(bad.to_string());
        }
        if self.hands == 0 && !(self.all.is_empty() && self.configured.is_none()) {
            return Err(
                "it does none of them at once: begin with Activities::at_once(4)".to_owned(),
            );
        }
        let mut skills: BTreeMap<String, Option<BTreeSet<WorkName>>> = BTreeMap::new();
        for (provider, activity) in self.all.keys() {
            let known = skills
                .entry(provider.clone())
                .or_insert_with(|| Some(BTreeSet::new()));
            match (known, activity) {
                (Some(known), Some(activity)) => _ = known.insert(activity.clone()),
                (all, None) => *all = None,
                (None, Some(_)) => {}
            }
        }
        Ok(Serves {
            skills: Skills(skills),
            hands: self.hands,
            by_config: self.configured.is_some(),
        })
    }

    fn find(&self, skill: &Skill) -> Option<&Arc<dyn AnyProcessor>> {
        let provider = skill.provider.clone();
        let named = (provider.clone(), Some(skill.activity.clone()));
        self.all
            .get(&named)
            .or_else(|| self.all.get(&(provider, None)))
            .or(self.configured.as_ref())
    }

    /// None: it does no such thing.
    pub(crate) fn process(&self, mut call: Call) -> Option<BoxFuture<Processed>> {
        let processor = self.find(call.skill())?;
        let Some(breaks) = &self.breaks else {
            return Some(processor.process(call));
        };
        call.breaks = Some(Arc::clone(breaks));
        let doing = processor.process(call);
        Some(Box::pin(Breakable::new(doing, Arc::clone(breaks))))
    }
}

impl fmt::Debug for Activities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.all.keys()).finish()
    }
}
