//! The starter: runs `start` in a task of its own with a deadline, then gives the service to its actor.

use std::future::pending;
use std::marker::PhantomData;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mainstay_protocol::health::{FailureKind, RefusedStart};
use mainstay_protocol::report::Ending;
use ractor::{Actor, ActorCell};
use tokio::runtime::Builder;
use tokio::time::timeout;
use tracing::{Instrument, Span};

use super::actor::{InstanceActor, Kept};
use super::bad_config;
use super::hosted::Hosted;
use super::life::{BreakOff, Life, Phase, Running};
use super::panics::{self, guarded};
use super::runtimes::Stage;
use crate::context::{Context, Identity};
use crate::declared::Declared;
use crate::others::Others;
use crate::outcome::CannotStart;
use crate::outside::{Beginning, BoxFuture, Place};
use crate::probe::{Health, Probe};
use crate::service::Service;
use mainstay_supervisor::ExitHow;

/// For what an instance ends with: twice what an outside program takes to be asked, killed and cleared at most, and less than
/// a kill waits for it.
pub const ENDING_WITHIN: Duration = Duration::from_secs(8);

/// One incarnation to be started.
#[derive(Debug, Clone)]
pub struct Launch {
    pub identity: Identity,
    /// JSON.
    pub config: String,
    pub deadline: Duration,
    pub beginning: Beginning,
    pub place: Place,
    pub others: Arc<dyn Others>,
    /// What its code says with `tracing` is said within it: [`span`], or one that somebody listens to.
    pub span: Span,
}

/// The span of an instance, by which its lines are told from others'.
pub fn span(identity: &Identity) -> Span {
    tracing::info_span!(
        "instance",
        instance = %identity.instance,
        incarnation = %identity.incarnation
    )
}

/// The whole life of one incarnation, without its type. Returns when nothing is left of it.
pub(crate) type Starter = fn(Arc<Life>, String, ActorCell) -> BoxFuture<()>;

/// A probe without its type.
pub(crate) trait AnyProbe: Send + Sync {
    fn check(&self) -> BoxFuture<Health>;
}

impl<P: Probe> AnyProbe for P {
    fn check(&self) -> BoxFuture<Health> {
        let probe = self.clone();
        Box::pin(async move {
            let health = guarded(async { Probe::check(&probe).await }).await;
            health.unwrap_or_else(|panic| {
                Health::failed(format!("the probe panicked: {}", panic.text))
            })
        })
    }
}

/// Begins a life, and returns at once. Must be called on the runtime that keeps the deadlines.
pub fn launch(declared: &Declared, stage: &Stage, launch: Launch) -> Hosted {
    let Launch {
        identity,
        config,
        deadline,
        beginning,
        place,
        others,
        span,
    } = launch;
    let life = Life::new(
        identity,
        beginning,
        (place, others),
        span,
        declared.may_use(),
    );
    let whole_life = declared.factory().starter()(Arc::clone(&life), config, stage.host.clone());
    if declared.blocking() {
        on_own_thread(&life, whole_life);
    } else {
        let life = Arc::clone(&life);
        stage.services.spawn(to_the_end(life, whole_life));
    }
    tokio::spawn(keep_start_deadline(Arc::clone(&life), deadline));
    let factory = Arc::clone(declared.factory());
    Hosted::new(life, (factory, declared.activities().clone()), stage)
}

/// A type marked as blocking: a thread of its own, with a runtime that ends with it.
fn on_own_thread(life: &Arc<Life>, whole_life: BoxFuture<()>) {
    let name = life.identity().instance.placement.to_string();
    let owned = Arc::clone(life);
    let spawned = thread::Builder::new().name(name).spawn(move || {
        panics::adopt_thread();
        match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                runtime.block_on(to_the_end(owned, whole_life));
                runtime.shutdown_background();
            }
            Err(error) => {
                let text = format!("no runtime for its thread: {error}");
                owned.not_started(RefusedStart::NotNow, text);
                owned.over();
            }
        }
    });
    if let Err(error) = spawned {
        life.not_started(RefusedStart::NotNow, format!("no thread for it: {error}"));
        life.over();
    }
}

/// The whole life, then what it left outside, and only then the word that nothing is left. A panic here is one outside
/// `start` and the messages: in reading the configuration, or in dropping what was half begun.
async fn to_the_end(life: Arc<Life>, whole_life: BoxFuture<()>) {
    if let Err(panic) = guarded(whole_life).await {
        let starting = matches!(&*life.phase().borrow(), Phase::Starting);
        if starting && !life.is_refused() {
            life.not_started(RefusedStart::Panic, panic.text);
        } else {
            life.failed(FailureKind::Panic, panic);
        }
    }
    if life.outside().is_some() && life.is_left() {
        // Its actor went with the agent's host. It is not over: the agent's next life goes on with it.
        return pending().await;
    }
    if let Some(outside) = life.outside() {
        let cleared = guarded(Arc::clone(outside).clear()).await;
        if let Err(panic) = cleared {
            tracing::error!(instance = %life.identity(), panic = %panic.text, "clearing what it left panicked");
        }
    }
    if let Some(ending) = life.take_ending() {
        match timeout(ENDING_WITHIN, guarded(ending)).await {
            Ok(Ok(())) => {}
            Ok(Err(panic)) => {
                tracing::error!(instance = %life.identity(), panic = %panic.text, "what it ends with panicked");
            }
            Err(_) => {
                tracing::error!(instance = %life.identity(), "something of it is left: its end took too long");
            }
        }
    }
    life.over();
}

async fn keep_start_deadline(life: Arc<Life>, deadline: Duration) {
    let mut phase = life.phase();
    let left_starting = phase.wait_for(|phase| !matches!(phase, Phase::Starting));
    if timeout(deadline, left_starting).await.is_err() {
        life.break_off(BreakOff::Deadline(deadline));
    }
}

pub(crate) fn starter<S: Service>() -> Starter {
    |life, config, host| Box::pin(live::<S>(life, config, host))
}

async fn live<S: Service>(life: Arc<Life>, config: String, host: ActorCell) {
    let (config, in_use) = match decode_config::<S>(&config) {
        Ok(decoded) => decoded,
        Err(why) => return life.not_started(RefusedStart::Config, why),
    };
    let ctx = Context::new(Arc::clone(&life));
    let Some((service, probe)) = start::<S>(&life, config, &ctx).await else {
        return;
    };
    let actor = InstanceActor::<S> {
        life: Arc::clone(&life),
        ctx,
        service: PhantomData,
    };
    let kept = Kept::new(service);
    match Actor::spawn_linked(None, actor, kept.shared(), host).await {
        Ok((actor, task)) => {
            let probe = Arc::new(probe);
            life.runs(Running {
                config: in_use,
                actor,
                probe,
            });
            // An error is a panic outside all guards: its exit is known by then.
            let _ = task.await;
            drop(kept.take().await);
        }
        Err(error) => {
            life.not_started(
                RefusedStart::NotNow,
                format!("the host took no instance: {error}"),
            );
        }
    }
}

/// The configuration, and how it is told: with its defaults.
pub(crate) fn decode_config<S: Service>(config: &str) -> Result<(S::Config, String), String> {
    let decoded = serde_json::from_str::<S::Config>(config)
        .map_err(|error| bad_config::in_words::<S::Config>(config, &error))?;
    let in_use = serde_json::to_value(&decoded).map_err(|error| error.to_string())?;
    Ok((decoded, in_use.to_string()))
}

/// Runs `start`. None: it has been said why there is no service.
async fn start<S: Service>(life: &Life, config: S::Config, ctx: &Context) -> Option<(S, S::Probe)> {
    let starting = async { S::start(config, ctx).await };
    let started = tokio::select! {
        biased;
        why = life.broken_off() => Err(why),
        started = guarded(starting.instrument(ctx.span().clone())) => Ok(started),
    };
    match started {
        Ok(Ok(Ok(ready))) => return Some(ready),
        Ok(Ok(Err(CannotStart::Config(text)))) => life.not_started(RefusedStart::Config, text),
        Ok(Ok(Err(CannotStart::NotNow(text)))) => life.not_started(RefusedStart::NotNow, text),
        Ok(Ok(Err(CannotStart::NotHere(text)))) => life.not_started(RefusedStart::NotHere, text),
        Ok(Err(panic)) => {
            let place = panic
                .location
                .map(|at| format!(" at {at}"))
                .unwrap_or_default();
            life.not_started(RefusedStart::Panic, format!("{}{place}", panic.text));
        }
        Err(BreakOff::Deadline(deadline)) => {
            let text = format!("start did not return within {} ms", deadline.as_millis());
            life.not_started(RefusedStart::Deadline, text);
        }
        Err(BreakOff::Stop) => life.exit_is(ExitHow::Ended(Ending::Asked)),
    }
    None
}
