//! What an instance can ask and say while it lives.

use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use mainstay_protocol::report::Ending;
use mainstay_protocol::{Incarnation, InstanceKey, SlotName};
use mainstay_supervisor::ExitHow;
use tracing::Span;

use crate::hosting::life::Life;
use crate::outcome::{Failure, StopReason};
use crate::outside::{Beginning, Outside, Place};
use crate::probe::Busy;

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
#[derive(Clone)]
pub struct Context {
    life: Arc<Life>,
    span: Span,
}

impl Context {
    pub(crate) fn new(life: Arc<Life>) -> Self {
        let identity = life.identity();
        let span = tracing::info_span!(
            "instance",
            instance = %identity.instance,
            incarnation = %identity.incarnation
        );
        Self { life, span }
    }

    pub fn identity(&self) -> &Identity {
        self.life.identity()
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
        self.life.recheck().await;
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
        tracing::warn!(parent: &self.span, failure = %failure.evidence.text, "it failed");
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
        &self.span
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("identity", self.identity())
            .finish_non_exhaustive()
    }
}
