//! `activity-agent`: does activities of runs through providers in any language. Generic in its name.
//!
//! ```text
//!   call --> builtin    sleep, echo, fail
//!        --> process    a program: JSON on its standard input, its result on its standard output
//!        --> http       a POST of the same JSON, its result in the answer
//!        --> workload   a container, or its command on the machine itself
//! ```
//! Which it does its configuration says, by provider and type. What must hold:
//! - It has ended only when nothing of its programs runs any more: the run may give the same activity to another then.
//! - A program, or a container, does not outlive its agent either, should that be killed: a guard ends it.
//! - What a provider answers goes on as it was written; what nobody understands is a failed attempt, and never fatal.

mod answer;
mod builtin;
mod calls;
mod config;
mod guard;
mod http;
mod plan;
mod program;
mod question;
mod sight;
mod workload;

use std::future::pending;
use std::sync::Arc;

use mainstay_service::{
    Activities, Call, CannotStart, Context, Faults, NoMessage, Processed, Processor, Service,
    StatusText, StopReason, TypeInfo,
};

use calls::Calls;
use config::HANDS;
pub use config::{ActivityAgentConfig, EngineName, HttpWay, ProcessWay, Pull, Way, WorkloadWay};
use plan::Plan;
pub use sight::Sight;

use super::watching::Watching;

#[derive(Debug)]
pub struct ActivityAgent {
    calls: Arc<Calls>,
    injects: bool,
    /// As long as it lives.
    _looking: Vec<Watching>,
}

/// What its processors find.
#[derive(Debug)]
struct Ready {
    plan: Plan,
    calls: Arc<Calls>,
    /// None, unless it is to be tried out.
    faults: Faults,
}

impl Service for ActivityAgent {
    type Config = ActivityAgentConfig;
    type Message = NoMessage;
    type Probe = Sight;
    const TYPE: TypeInfo = TypeInfo::new("activity-agent", "1.0.0").generic();

    async fn start(
        config: ActivityAgentConfig,
        ctx: &Context,
    ) -> Result<(Self, Sight), CannotStart> {
        config.check().map_err(CannotStart::config)?;
        let injects = config.inject.is_some();
        if injects && !ctx.place().chaos {
            return Err(CannotStart::config(
                "inject: this agent may not be broken on purpose: it was started without --chaos",
            ));
        }
        let plan = Plan::made(&config, ctx).await?;
        let calls = Arc::new(Calls::default());
        let ending = Arc::clone(&calls);
        // However it came to its end: the same work may be given to another as soon as that is told.
        ctx.ends_with(async move { ending.end().await });
        let (sight, looking) = Sight::over(plan.engines(), ctx);
        ctx.keep(Arc::new(Ready {
            plan,
            calls: Arc::clone(&calls),
            faults: config.inject.unwrap_or_default(),
        }));
        let agent = Self {
            calls,
            injects,
            _looking: looking,
        };
        Ok((agent, sight))
    }

    fn activities() -> Activities {
        let own = config::BUILTIN;
        Activities::at_once(HANDS)
            .does(own, "sleep", Counted(builtin::Sleep))
            .does(own, "echo", Counted(builtin::Echo))
            .does(own, "fail", Counted(builtin::Fail))
            .as_configured(Counted(Configured))
    }

    async fn status(&mut self, _: &Context) -> StatusText {
        let words = self.calls.in_words();
        match self.injects {
            true => format!("{words}; faults are injected").into(),
            false => words.into(),
        }
    }

    async fn stop(self, _: &Context, _: StopReason) {
        self.calls.end().await;
    }
}

impl Drop for ActivityAgent {
    /// It was killed, or failed: what is under way is ended all the same, and its life waits for that.
    fn drop(&mut self) {
        self.calls.end_soon();
    }
}

fn ready(call: &Call) -> Result<Arc<Ready>, Processed> {
    let ready = call.ctx().kept::<Ready>();
    ready.ok_or_else(|| Processed::retry("its instance is not ready"))
}

/// Any of its processors, with the faults that its configuration asks for, broken off when its instance ends.
struct Counted<P>(P);

impl<P: Processor> Processor for Counted<P> {
    async fn process(&self, call: Call) -> Processed {
        let ready = match ready(&call) {
            Ok(ready) => ready,
            Err(no) => return no,
        };
        let mut one = Calls::begin(Arc::clone(&ready.calls));
        tokio::select! {
            biased;
            () = one.is_to_end() => {}
            processed = ready.faults.around(call, |call| self.0.process(call)) => {
                one.came_to(&processed);
                return processed;
            }
        }
        drop((one, ready));
        // The end of the instance answers for it.
        pending().await
    }
}

/// What its configuration names.
struct Configured;

impl Processor for Configured {
    async fn process(&self, call: Call) -> Processed {
        match ready(&call) {
            Ok(ready) => ready.plan.process(&call, ready.calls.hold(&call)).await,
            Err(no) => no,
        }
    }
}

#[cfg(test)]
mod tests;
