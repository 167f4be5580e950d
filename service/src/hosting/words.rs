//! What one incarnation says of its own accord, on its way to whoever passes it on; its wishes to be checked; and its
//! questions, until they are answered.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mainstay_protocol::command::Answered;
use mainstay_protocol::report::{Manner, Report, Use};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::secret::{SecretBytes, SecretReference};
use mainstay_protocol::{ArtifactId, QuestionId, ResourceKey};
use tokio::sync::{mpsc, oneshot};

/// One thing said. Whoever said it waits until it is in line for the outbox, so that what it says or does next comes
/// behind it.
#[derive(Debug)]
pub struct Word {
    pub what: Said,
    pub passed_on: oneshot::Sender<()>,
}

#[derive(Debug)]
pub enum Said {
    Report(Box<Report>),
    /// It wants to be checked out of turn, and waits until it was.
    CheckMe,
    /// It wants what its configuration refers to.
    Secret(
        SecretReference,
        oneshot::Sender<Result<SecretBytes, Refusal>>,
    ),
    /// It wants an artifact, as a file.
    Artifact(
        ArtifactId,
        Purpose,
        oneshot::Sender<Result<PathBuf, Refusal>>,
    ),
}

/// What an artifact is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The instance, as long as it lives: its configuration names it.
    Instance,
    /// A call of an activity.
    Call,
}

/// Taken by whoever passes them on.
pub type Spoken = mpsc::Receiver<Box<Word>>;

pub(crate) struct Words {
    outgoing: mpsc::Sender<Box<Word>>,
    wanted: Mutex<Option<Spoken>>,
    questions: Mutex<Questions>,
    /// What it was granted and has not released: told once more if the cluster forgot it.
    uses: Mutex<BTreeMap<ResourceKey, Manner>>,
}

#[derive(Default)]
struct Questions {
    asked: u64,
    waiting: BTreeMap<QuestionId, oneshot::Sender<Answered>>,
}

impl Words {
    pub(crate) fn new() -> Self {
        let (outgoing, wanted) = mpsc::channel(1);
        Self {
            outgoing,
            wanted: Mutex::new(Some(wanted)),
            questions: Mutex::default(),
            uses: Mutex::default(),
        }
    }

    pub(crate) fn take(&self) -> Option<Spoken> {
        self.wanted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Returns when it is passed on. False: nobody listens, since the agent ends.
    pub(crate) async fn say(&self, what: Said) -> bool {
        let (passed_on, was) = oneshot::channel();
        let word = Box::new(Word { what, passed_on });
        self.outgoing.send(word).await.is_ok() && was.await.is_ok()
    }

    /// A number for the next question, and where its answer comes.
    pub(crate) fn question(&self) -> (QuestionId, oneshot::Receiver<Answered>) {
        let (answer, answered) = oneshot::channel();
        let mut questions = self.questions();
        questions.asked += 1;
        let id = QuestionId(questions.asked);
        // Whoever gave up waiting does not say so.
        questions.waiting.retain(|_, waits| !waits.is_closed());
        questions.waiting.insert(id, answer);
        (id, answered)
    }

    /// False: nobody waits for it (any more).
    pub(crate) fn answer(&self, question: QuestionId, answered: Answered) -> bool {
        let waits = self.questions().waiting.remove(&question);
        waits.is_some_and(|waits| waits.send(answered).is_ok())
    }

    pub(crate) fn has(&self, resource: ResourceKey, manner: Manner) {
        self.used().insert(resource, manner);
    }

    pub(crate) fn has_no_more(&self, resource: &ResourceKey) {
        self.used().remove(resource);
    }

    pub(crate) fn uses(&self) -> Vec<Use> {
        let used = self.used();
        used.iter()
            .map(|(resource, manner)| Use {
                resource: resource.clone(),
                manner: *manner,
            })
            .collect()
    }

    fn used(&self) -> MutexGuard<'_, BTreeMap<ResourceKey, Manner>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn questions(&self) -> MutexGuard<'_, Questions> {
        self.questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
