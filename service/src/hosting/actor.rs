//! The actor of one instance: one letter at a time, each guarded.

use std::any::Any;
use std::future::pending;
use std::marker::PhantomData;
use std::sync::Arc;

use mainstay_protocol::code;
use mainstay_protocol::health::{Evidence, FailureKind};
use mainstay_protocol::limits;
use mainstay_protocol::report::Ending;
use mainstay_protocol::request::Refusal;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::{Mutex, oneshot};
use tracing::Instrument;

use super::life::{Life, Slot};
use super::panics::{cut, guarded};
use crate::context::Context;
use crate::outcome::{Failure, Reconfigure, Reply, StopReason};
use crate::probe::Work;
use crate::service::Service;
use mainstay_supervisor::ExitHow;

/// JSON, or why there is none.
pub(crate) type Answer = Result<String, Refusal>;

/// What lies in an instance's mailbox. Each holds its place in it until it is taken out.
pub(crate) struct Letter {
    pub(crate) what: What,
    pub(crate) slot: Slot,
}

pub(crate) enum What {
    Message {
        /// The type's own message, already decoded.
        message: Box<dyn Any + Send>,
        answer: oneshot::Sender<Answer>,
    },
    Reconfigure {
        /// The type's own configuration, already decoded.
        config: Box<dyn Any + Send>,
        /// As it is told when it is in use.
        in_use: String,
        answer: oneshot::Sender<Answer>,
    },
    Status {
        answer: oneshot::Sender<Answer>,
    },
    /// Breaks it on purpose.
    Panic(String),
    Hang,
}

pub(crate) struct InstanceActor<S> {
    pub(crate) life: Arc<Life>,
    pub(crate) ctx: Context,
    pub(crate) service: PhantomData<fn() -> S>,
}

impl<S: Service> Actor for InstanceActor<S> {
    type Msg = Letter;
    type State = Kept<S>;
    type Arguments = Kept<S>;

    /// `start` already ran in its own task: ractor would run it in the spawner's.
    async fn pre_start(
        &self,
        _: ActorRef<Letter>,
        service: Kept<S>,
    ) -> Result<Kept<S>, ActorProcessingErr> {
        Ok(service)
    }

    async fn handle(
        &self,
        _: ActorRef<Letter>,
        letter: Letter,
        kept: &mut Kept<S>,
    ) -> Result<(), ActorProcessingErr> {
        let Letter { what, slot } = letter;
        drop(slot);
        let mut service = kept.0.lock().await;
        let Some(service) = service.as_mut() else {
            return Ok(());
        };
        match what {
            What::Message { message, answer } => {
                let message = message
                    .downcast::<S::Message>()
                    .expect("the mailbox's letters are decoded by its own type");
                self.message(service, *message, answer).await
            }
            What::Reconfigure {
                config,
                in_use,
                answer,
            } => {
                let config = config
                    .downcast::<S::Config>()
                    .expect("a configuration is decoded by its own type");
                self.reconfigure(service, *config, in_use, answer).await
            }
            What::Status { answer } => self.status(service, answer).await,
            What::Panic(text) => {
                self.life.begins(Work::Handle);
                let panicked = guarded(async move { panic!("{text}") }).await;
                self.ends_by_panic(panicked.err().unwrap_or_default())
            }
            What::Hang => {
                self.life.begins(Work::Handle);
                pending().await
            }
        }
    }

    async fn post_stop(
        &self,
        _: ActorRef<Letter>,
        kept: &mut Kept<S>,
    ) -> Result<(), ActorProcessingErr> {
        let Some(service) = kept.take().await else {
            return Ok(());
        };
        let why = self.life.stop_reason().unwrap_or(StopReason::AgentStops);
        self.life.begins(Work::Stop);
        let stop = async { service.stop(&self.ctx, why).await };
        let stopped = guarded(stop.instrument(self.ctx.span().clone())).await;
        self.life.finished();
        match stopped {
            Ok(()) => {
                let ending = match why {
                    StopReason::Ended => Ending::ByItself,
                    StopReason::NotWanted
                    | StopReason::Restart
                    | StopReason::Failed
                    | StopReason::AgentStops
                    | StopReason::LeaseRanOut => Ending::Asked,
                };
                self.life.exit_is(ExitHow::Ended(ending));
                Ok(())
            }
            Err(evidence) => self.ends_by_panic(evidence),
        }
    }
}

impl<S: Service> InstanceActor<S> {
    async fn message(
        &self,
        service: &mut S,
        message: S::Message,
        answer: oneshot::Sender<Answer>,
    ) -> Result<(), ActorProcessingErr> {
        self.life.begins(Work::Handle);
        let handle = async { service.handle(message, &self.ctx).await };
        let handled = guarded(handle.instrument(self.ctx.span().clone())).await;
        self.life.finished();
        // Whether anybody still waits for the answer is not the instance's business.
        match handled {
            Ok(Ok(reply)) => {
                let _ = answer.send(written(reply));
                Ok(())
            }
            Ok(Err(failure)) => {
                let _ = answer.send(Err(failed_in_message(failure.text())));
                self.ends_by_failure(failure)
            }
            Err(evidence) => {
                let _ = answer.send(Err(failed_in_message(&evidence.text)));
                self.ends_by_panic(evidence)
            }
        }
    }

    async fn reconfigure(
        &self,
        service: &mut S,
        config: S::Config,
        in_use: String,
        answer: oneshot::Sender<Answer>,
    ) -> Result<(), ActorProcessingErr> {
        self.life.begins(Work::Reconfigure);
        let change = async { service.reconfigure(config, &self.ctx).await };
        let changed = guarded(change.instrument(self.ctx.span().clone())).await;
        self.life.finished();
        match changed {
            Ok(changed) => {
                let _ = answer.send(match changed {
                    Reconfigure::Applied => Ok(in_use),
                    Reconfigure::Restart => Err(Refusal::new(
                        code::NEEDS_RESTART,
                        "it takes this configuration with a restart only",
                    )),
                    Reconfigure::Refused(why) => Err(Refusal::new(code::BAD_CONFIG, cut(why))),
                });
                Ok(())
            }
            Err(evidence) => {
                let _ = answer.send(Err(failed_in_message(&evidence.text)));
                self.ends_by_panic(evidence)
            }
        }
    }

    async fn status(
        &self,
        service: &mut S,
        answer: oneshot::Sender<Answer>,
    ) -> Result<(), ActorProcessingErr> {
        self.life.begins(Work::Status);
        let status = async { service.status(&self.ctx).await };
        let status = guarded(status.instrument(self.ctx.span().clone())).await;
        self.life.finished();
        match status {
            Ok(text) => {
                let text = cut(text.0);
                tracing::info!(parent: self.ctx.span(), status = %text, "status");
                let _ = answer.send(Ok(text));
                Ok(())
            }
            Err(evidence) => {
                let _ = answer.send(Err(failed_in_message(&evidence.text)));
                self.ends_by_panic(evidence)
            }
        }
    }

    fn ends_by_failure(&self, failure: Failure) -> Result<(), ActorProcessingErr> {
        let Failure { kind, mut evidence } = failure;
        evidence.text = cut(evidence.text);
        let text = evidence.text.clone();
        tracing::warn!(parent: self.ctx.span(), failure = %text, "failed");
        self.life.failed(kind, evidence);
        Err(text.into())
    }

    fn ends_by_panic(&self, evidence: Evidence) -> Result<(), ActorProcessingErr> {
        let place = evidence.location.as_deref().unwrap_or("somewhere");
        tracing::warn!(parent: self.ctx.span(), panic = %evidence.text, place, "panicked");
        let text = evidence.text.clone();
        self.life.failed(FailureKind::Panic, evidence);
        Err(text.into())
    }
}

/// A service, shared by its actor and the task that is its whole life. ractor hands the state of an actor that was killed
/// to the host: what is dropped there would be dropped late, after the word that nothing is left, and on others' time.
/// So whoever ends takes the service out: `stop`, or its life.
pub(crate) struct Kept<S>(Arc<Mutex<Option<S>>>);

impl<S> Kept<S> {
    pub(crate) fn new(service: S) -> Self {
        Self(Arc::new(Mutex::new(Some(service))))
    }

    pub(crate) fn shared(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    pub(crate) async fn take(&self) -> Option<S> {
        self.0.lock().await.take()
    }
}

fn failed_in_message(text: &str) -> Refusal {
    Refusal::new(
        code::NOT_RUNNING,
        format!("the instance failed while it served this: {text}"),
    )
}

fn written(reply: Reply) -> Answer {
    match reply {
        Reply::Json(value) => {
            let body = value.to_string();
            let most = limits::JSON_BYTES_MAX;
            if body.len() > most {
                let text = format!("the answer has {} bytes, more than {most}", body.len());
                return Err(Refusal::new(code::MESSAGE_REFUSED, text));
            }
            Ok(body)
        }
        Reply::Refused { why } => Err(Refusal::new(code::MESSAGE_REFUSED, cut(why))),
    }
}
