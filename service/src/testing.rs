//! Runs one service without a cluster, through the hosting that agents use; for plain `#[test]` functions.
//!
//! ```text
//! let greeter = TestService::<Greeter>::start(json!({ "greeting": "Hi" })).unwrap();
//! assert_eq!(greeter.call("greet", json!({ "name": "Ada" })).unwrap(), "Hi, Ada");
//! assert_eq!(greeter.check(), Health::ok());
//! greeter.stop();
//! ```

mod alone;
mod others;
mod trial;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::future::{Future, pending, poll_fn};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use mainstay_protocol::code::{self, Code};
use mainstay_protocol::command::{Answered, StopManner};
use mainstay_protocol::health::Health as State;
use mainstay_protocol::report::Report;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::secret::SecretBytes;
use mainstay_protocol::work::{Skill, Work};
use mainstay_protocol::{
    ArtifactId, CommandId, Incarnation, InstanceKey, Json, NodeName, PlacementName, QuestionId,
    RunId, SlotName, StepKey, WorkName, limits,
};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use crate::breaks::Breaks;
use crate::context::Identity;
use crate::declared::Declared;
use crate::hosting::{
    self, Breakage, Checked, ExitFact, Hosted, Launch, NotStarted, Phase, Runtimes, Said, Spoken,
    StopOrder, StopOutcome,
};
use crate::outcome::StopReason;
use crate::outside::{Beginning, Place};
use crate::processor::{Activities, Processed};
use crate::service::Service;

pub use self::alone::Alone;
pub use self::others::Answering;
use self::others::Beside;
pub use self::trial::Trial;

/// A test that waits longer than this for an answer has found a defect.
const PATIENCE: Duration = Duration::from_secs(10);
/// Long enough for every probe that answers, short enough for tests of those that do not.
const CHECK_DEADLINE: Duration = Duration::from_millis(300);
const THREADS: usize = 2;

/// What a test says there is around its service.
#[derive(Default)]
struct Around {
    /// What references to secrets stand for.
    secrets: BTreeMap<String, String>,
    /// By their URNs.
    artifacts: BTreeMap<String, Vec<u8>>,
    others: Beside,
    /// Instead of those of its type.
    activities: Option<Activities>,
}

/// A running instance of one service. Dropped, it is left behind with its threads.
pub struct TestService<S: Service> {
    hosted: Hosted,
    /// Where a trial breaks its calls off.
    breaks: Arc<Breaks>,
    config: Value,
    stop_deadline: Duration,
    said: Mutex<mpsc::Receiver<Report>>,
    /// Its directory, when it is ours to remove.
    scratch: Option<PathBuf>,
    control: Option<Runtime>,
    _runtimes: Runtimes,
    service: PhantomData<fn() -> S>,
}

impl<S: Service> TestService<S> {
    /// Starts it with a configuration in JSON, as a placement would; its deadlines are those of its type.
    pub fn start(config: Value) -> Result<Self, NotStarted> {
        Self::start_around(config, Around::default())
    }

    /// The same where there are secrets: what their references stand for.
    pub fn start_with_secrets(secrets: &[(&str, &str)], config: Value) -> Result<Self, NotStarted> {
        let secrets = secrets
            .iter()
            .map(|(reference, value)| ((*reference).to_owned(), (*value).to_owned()));
        let around = Around {
            secrets: secrets.collect(),
            ..Around::default()
        };
        Self::start_around(config, around)
    }

    /// The same where there are artifacts: the bytes of each, by its URN.
    pub fn start_with_artifacts(
        artifacts: &[(&str, &[u8])],
        config: Value,
    ) -> Result<Self, NotStarted> {
        let artifacts = artifacts
            .iter()
            .map(|(urn, bytes)| ((*urn).to_owned(), bytes.to_vec()));
        let around = Around {
            artifacts: artifacts.collect(),
            ..Around::default()
        };
        Self::start_around(config, around)
    }

    /// The same where there are other instances, by their references: `("db@n2", |message, body| ..)`. All are up, each
    /// in its first incarnation; its type and its name are its placement's.
    pub fn start_beside(others: &[(&str, Answering)], config: Value) -> Result<Self, NotStarted> {
        let around = Around {
            others: Beside::new(others),
            ..Around::default()
        };
        Self::start_around(config, around)
    }

    /// The same with a directory for its own files, in which an earlier life may have left some.
    pub fn start_in(directory: &Path, config: Value) -> Result<Self, NotStarted> {
        Self::start_amid(directory, config, Around::default())
    }

    /// In a directory that is gone with it.
    fn start_around(config: Value, around: Around) -> Result<Self, NotStarted> {
        let scratch = scratch();
        let mut started = Self::start_amid(&scratch, config, around)?;
        started.scratch = Some(scratch);
        Ok(started)
    }

    fn start_amid(directory: &Path, config: Value, around: Around) -> Result<Self, NotStarted> {
        let Around {
            secrets,
            artifacts,
            others,
            activities,
        } = around;
        let known = Known {
            secrets,
            artifacts,
            kept: directory.join("artifacts"),
        };
        let breaks = Arc::new(Breaks::default());
        let declared = Declared::of::<S>().expect("its name is one");
        let declared = declared.in_a_trial(activities, &breaks);
        let control = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("control")
            .enable_all()
            .build()
            .expect("threads can be started");
        let runtimes = Runtimes::with_threads(THREADS, THREADS).expect("threads can be started");
        let (heard, said) = mpsc::channel(limits::OBSERVATIONS_MAX);
        let (hosted, phase) = control.block_on(async {
            let (host, _) = hosting::spawn_host().await.expect("a host always starts");
            let identity = identity(S::TYPE.name);
            let launch = Launch {
                span: hosting::span(&identity),
                identity,
                config: config.to_string(),
                deadline: S::TYPE.start_deadline,
                beginning: Beginning::Anew,
                place: Place {
                    directory: directory.to_owned(),
                    chaos: true,
                    ..Place::default()
                },
                others: Arc::new(others),
            };
            let hosted = hosting::launch(&declared, &runtimes.stage(host), launch);
            let words = hosted.take_words().expect("nobody else took them");
            tokio::spawn(listen(words, hosted.clone(), heard, known));
            let phase = hosted.started().await;
            (hosted, phase)
        });
        let config = match phase {
            Phase::Running(running) => {
                serde_json::from_str(&running.config).expect("it was written by serde")
            }
            Phase::NotStarted(why) => {
                control.shutdown_background();
                return Err(why);
            }
            Phase::Starting | Phase::Gone(_) => {
                unreachable!("`started` waits, and nobody stopped it")
            }
        };
        Ok(Self {
            hosted,
            breaks,
            config,
            stop_deadline: S::TYPE.stop_deadline,
            said: Mutex::new(said),
            scratch: None,
            control: Some(control),
            _runtimes: runtimes,
            service: PhantomData,
        })
    }

    /// Kills it sooner than its type says when it ignores a stop.
    #[must_use]
    pub fn stop_deadline(mut self, deadline: Duration) -> Self {
        self.stop_deadline = deadline;
        self
    }

    /// The configuration in use, defaults included.
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// Sends one of its own messages, by its name on the command line.
    pub fn call(&self, message: &str, body: Value) -> Result<Value, Refusal> {
        let body = body.to_string();
        let answer = self.wait("an answer", self.hosted.message(message, &body))?;
        Ok(serde_json::from_str(&answer).expect("answers are JSON"))
    }

    /// Has it do an activity as the first call of a run would, with these inputs.
    pub fn does(&self, provider: &str, activity: &str, inputs: Value) -> Processed {
        self.does_again((provider, activity), inputs, json!({}))
    }

    /// The same, with what an earlier call left for this one.
    pub fn does_again(&self, skill: (&str, &str), inputs: Value, scratch: Value) -> Processed {
        let scratch = Json::parse(&scratch.to_string()).expect("it is JSON");
        self.does_work(skill, inputs, |work| work.scratch = scratch)
    }

    /// The same, with whatever else of the call is to be different.
    pub fn does_work(
        &self,
        (provider, activity): (&str, &str),
        inputs: Value,
        change: impl FnOnce(&mut Work),
    ) -> Processed {
        let mut work = self.work((provider, activity), &inputs);
        change(&mut work);
        self.working(work, pending())
    }

    /// The same, and nobody wants it any more as soon as this is ready: returns when nothing of it is at work.
    pub fn does_work_until(
        &self,
        (provider, activity): (&str, &str),
        inputs: Value,
        taken_back: impl Future<Output = ()>,
    ) -> Processed {
        self.working(self.work((provider, activity), &inputs), taken_back)
    }

    fn working(&self, work: Work, taken_back: impl Future<Output = ()>) -> Processed {
        let doing = self.hosted.work(CommandId(1), work, taken_back);
        let said = self.wait("what came of it", doing);
        said.map_or_else(|| Processed::retry("its instance ended"), Processed::said)
    }

    /// The first call of an activity.
    fn work(&self, (provider, activity): (&str, &str), inputs: &Value) -> Work {
        let name = |text: &str| WorkName::new(text).expect("it is a name of work");
        let identity = self.hosted.identity();
        Work {
            instance: identity.instance.clone(),
            incarnation: identity.incarnation,
            step: StepKey::new(RunId::new("test").expect("it is a name"), name(activity)),
            skill: Skill {
                provider: provider.to_owned(),
                activity: name(activity),
            },
            discriminator: None,
            attempt: 1,
            call: 1,
            inputs: Json::parse(&inputs.to_string()).expect("it is JSON"),
            scratch: Json::empty_object(),
            context: Json::empty_object(),
            time_ms: None,
        }
    }

    /// Sends a message and does not wait for what becomes of it.
    pub fn send(&self, message: &str, body: Value) {
        let (hosted, message) = (self.hosted.clone(), message.to_owned());
        self.control()
            .spawn(async move { hosted.message(&message, &body.to_string()).await });
    }

    /// Asks for its status so many times without waiting for answers; the codes of those refused at the door.
    pub fn flood(&self, times: usize) -> Vec<Code> {
        self.control().block_on(async {
            let mut refused = Vec::new();
            for _ in 0..times {
                let mut asking = std::pin::pin!(self.hosted.status());
                let first = poll_fn(|cx| Poll::Ready(asking.as_mut().poll(cx))).await;
                if let Poll::Ready(Err(refusal)) = first {
                    refused.push(refusal.code);
                }
            }
            refused
        })
    }

    /// Gives it another configuration while it runs, as an agent does where its type says `in_place`.
    pub fn reconfigure(&self, config: Value) -> Result<Value, Refusal> {
        assert!(
            S::TYPE.in_place,
            "{} is never asked: its TYPE does not say .in_place()",
            S::TYPE.name
        );
        let config = config.to_string();
        let changing = self.hosted.reconfigure(&config, PATIENCE);
        let answer = self.wait("an answer", changing)?;
        Ok(serde_json::from_str(&answer).expect("it was written by serde"))
    }

    pub fn status(&self) -> Result<String, Refusal> {
        self.wait("a status", self.hosted.status())
    }

    /// Its health now; `Unresponsive` after 300 ms without an answer.
    pub fn check(&self) -> Checked {
        self.wait("a Check", self.hosted.check(CHECK_DEADLINE))
            .expect("it runs")
    }

    /// Checks until it is as wanted.
    pub fn check_until(&self, wanted: State) -> Checked {
        self.wait("that health", async {
            loop {
                let checked = self.hosted.check(CHECK_DEADLINE).await.expect("it runs");
                if checked.health == wanted {
                    return checked;
                }
                tokio::task::yield_now().await;
            }
        })
    }

    /// Its code panics with this text.
    pub fn panic(&self, text: &str) -> ExitFact {
        self.hosted
            .break_it(Breakage::Panic(text.to_owned()))
            .expect("it runs");
        self.ended()
    }

    /// It stops answering.
    pub fn hang(&self) {
        self.hosted.break_it(Breakage::Hang).expect("it runs");
    }

    pub fn kill(&self) -> ExitFact {
        self.hosted.break_it(Breakage::Kill).expect("it runs");
        self.ended()
    }

    /// Asks it to stop; killed at its deadline.
    pub fn stop(&self) -> StopOutcome {
        let order = StopOrder {
            why: StopReason::NotWanted,
            manner: StopManner::AskThenKill,
            deadline: self.stop_deadline,
        };
        self.control().block_on(self.hosted.stop(order))
    }

    /// Waits for the failure it reports while it lives.
    pub fn failure(&self) -> String {
        self.wait("a failure", self.hosted.reported_failure())
    }

    /// Waits for what it says next: what it uses, asks, announces, records.
    pub fn said(&self) -> Report {
        self.wait("a word", async { self.said.lock().await.recv().await })
            .expect("it is listened to while it lives")
    }

    /// Waits for its next question, and what it is about.
    pub fn asked(&self) -> (QuestionId, String, Value) {
        loop {
            if let Report::Asked {
                question, failure, ..
            } = self.said()
            {
                let body = serde_json::from_str(&failure.body).expect("it was written by serde");
                return (question, failure.name, body);
            }
        }
    }

    /// Answers a question as a rule would. False: it does not wait for it any more.
    pub fn answer(&self, question: QuestionId, answer: Value) -> bool {
        let answered = Answered::Said(answer.to_string());
        self.hosted.answer_question(question, answered)
    }

    /// Waits for its end.
    pub fn ended(&self) -> ExitFact {
        match self.wait("its end", self.hosted.gone()) {
            StopOutcome::Gone(fact) => fact,
            StopOutcome::NotStarted(_) | StopOutcome::WillNotEnd => {
                unreachable!("it has started, and `gone` waits")
            }
        }
    }

    fn control(&self) -> &Runtime {
        self.control.as_ref().expect("taken only when dropped")
    }

    fn wait<T>(&self, what: &str, future: impl Future<Output = T>) -> T {
        self.control()
            .block_on(async { timeout(PATIENCE, future).await })
            .unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}: {:?}", self.hosted))
    }
}

impl<S: Service> Drop for TestService<S> {
    fn drop(&mut self) {
        if let Some(control) = self.control.take() {
            control.shutdown_background();
        }
        if let Some(scratch) = &self.scratch {
            // It may never have been made.
            let _ = fs::remove_dir_all(scratch);
        }
    }
}

/// What there is to be given.
struct Known {
    secrets: BTreeMap<String, String>,
    artifacts: BTreeMap<String, Vec<u8>>,
    /// Where artifacts are kept as files.
    kept: PathBuf,
}

impl Known {
    fn artifact(&self, id: &ArtifactId) -> Result<PathBuf, Refusal> {
        let bytes = self.artifacts.get(id.as_str()).ok_or_else(|| {
            let text = format!("{}: the test has none", id.as_str());
            Refusal::new(code::NO_ARTIFACT, text)
        })?;
        let path = self.kept.join(id.as_str());
        let written = fs::create_dir_all(&self.kept).and_then(|()| fs::write(&path, bytes));
        written.expect("the test has a directory");
        Ok(path)
    }
}

/// There is nobody else, so what it wants to use is free.
async fn listen(mut words: Spoken, hosted: Hosted, heard: mpsc::Sender<Report>, known: Known) {
    while let Some(word) = words.recv().await {
        match word.what {
            Said::Report(report) => {
                if let Report::Acquired { question, .. } = &*report {
                    hosted.answer_question(*question, Answered::Granted);
                }
                // The test may be over; one that does not listen hears the first ones.
                let _ = heard.try_send(*report);
            }
            Said::Secret(reference, answer) => {
                let value = known.secrets.get(&reference.to_string());
                let given = value.map(|value| SecretBytes::new(value.clone().into_bytes()));
                // It may not wait for it any more.
                let _ = answer.send(given.ok_or_else(|| {
                    Refusal::new(code::NO_SECRET, format!("{reference}: the test has none"))
                }));
            }
            Said::Artifact(id, _, answer) => {
                let _ = answer.send(known.artifact(&id));
            }
            // Nobody checks it but the test.
            Said::CheckMe => {}
        }
        let _ = word.passed_on.send(());
    }
}

/// No other instance: for whoever launches some by itself.
pub fn nobody() -> Arc<dyn hosting::Others> {
    Arc::new(Beside::default())
}

/// A directory that nobody else has.
fn scratch() -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("mainstay-test-{}-{count}", process::id());
    env::temp_dir().join(name)
}

fn identity(type_name: &str) -> Identity {
    let node = NodeName::new("n1").expect("a name");
    let placement = PlacementName::new(type_name).expect("its type's name is one");
    Identity {
        instance: InstanceKey::new(node, placement),
        incarnation: Incarnation::default().next(),
        name: SlotName::new(type_name).expect("its type's name is one"),
    }
}
