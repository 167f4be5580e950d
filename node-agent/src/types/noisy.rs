//! `noisy`: changes its health as often as it is told, each change a report. Generic in its name.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_service::{
    CannotStart, Context, Failure, Health, NoConfig, Probe, Reply, Service, StatusText, TypeInfo,
    json,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// More at a time would keep it from its other messages for too long.
const EMIT_MAX: u64 = 10_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoisyMessage {
    /// Toggles its health.
    Emit {
        /// How often.
        n: u64,
    },
}

/// Well when it has been toggled an even number of times.
#[derive(Debug, Clone, Default)]
pub struct Toggle(Arc<AtomicU64>);

impl Probe for Toggle {
    async fn check(&self) -> Health {
        let toggled = self.0.load(Ordering::Acquire);
        if toggled.is_multiple_of(2) {
            Health::ok()
        } else {
            Health::degraded(format!("toggled {toggled} times"))
        }
    }
}

#[derive(Debug)]
pub struct Noisy {
    toggle: Toggle,
}

impl Service for Noisy {
    type Config = NoConfig;
    type Message = NoisyMessage;
    type Probe = Toggle;
    const TYPE: TypeInfo = TypeInfo::new("noisy", "1.0.0").generic();

    async fn start(_: NoConfig, _: &Context) -> Result<(Self, Toggle), CannotStart> {
        let toggle = Toggle::default();
        Ok((
            Self {
                toggle: toggle.clone(),
            },
            toggle,
        ))
    }

    async fn handle(&mut self, message: NoisyMessage, ctx: &Context) -> Result<Reply, Failure> {
        let NoisyMessage::Emit { n } = message;
        if n > EMIT_MAX {
            return Ok(Reply::refused(format!("n is {n}, more than {EMIT_MAX}")));
        }
        for _ in 0..n {
            self.toggle.0.fetch_add(1, Ordering::AcqRel);
            ctx.recheck().await;
        }
        Ok(Reply::json(json!({ "emitted": n })))
    }

    async fn status(&mut self, _: &Context) -> StatusText {
        format!("toggled {} times", self.toggle.0.load(Ordering::Acquire)).into()
    }
}
