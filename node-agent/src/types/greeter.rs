//! `greeter`: greets, and counts its greetings in memory; takes another word while it runs.

use mainstay_service::{
    Busy, CannotStart, Context, Failure, Reconfigure, Reply, Service, StatusText, StopReason,
    TypeInfo, json,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::witness;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GreeterConfig {
    /// The word it greets with.
    #[serde(default = "hello")]
    pub greeting: String,
    /// A file that gets a line per start and stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<String>,
}

fn hello() -> String {
    "Hello".to_owned()
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GreeterMessage {
    /// Greets somebody.
    Greet {
        /// Whom.
        name: String,
    },
}

#[derive(Debug)]
pub struct Greeter {
    config: GreeterConfig,
    count: u64,
}

impl Service for Greeter {
    type Config = GreeterConfig;
    type Message = GreeterMessage;
    type Probe = Busy;
    const TYPE: TypeInfo = TypeInfo::new("greeter", "1.0.0").in_place();

    async fn start(config: GreeterConfig, ctx: &Context) -> Result<(Self, Busy), CannotStart> {
        witness::write(config.witness.as_deref(), "start", ctx).map_err(CannotStart::not_now)?;
        Ok((Self { config, count: 0 }, ctx.busy()))
    }

    async fn handle(&mut self, message: GreeterMessage, _: &Context) -> Result<Reply, Failure> {
        let GreeterMessage::Greet { name } = message;
        self.count += 1;
        tracing::info!(name, count = self.count, "greets");
        let text = format!("{}, {name}!", self.config.greeting);
        Ok(Reply::json(json!({ "text": text, "count": self.count })))
    }

    async fn reconfigure(&mut self, new: GreeterConfig, _: &Context) -> Reconfigure {
        // The witness is told of starts and stops: to change it takes one of each.
        if new.witness != self.config.witness {
            return Reconfigure::Restart;
        }
        self.config = new;
        Reconfigure::Applied
    }

    async fn status(&mut self, _: &Context) -> StatusText {
        format!(
            "greets with \"{}\"; {} greetings so far",
            self.config.greeting, self.count
        )
        .into()
    }

    async fn stop(self, ctx: &Context, _: StopReason) {
        witness::write_last(self.config.witness.as_deref(), ctx);
    }
}
