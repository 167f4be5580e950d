//! An agent with a service of its own: `mainstay dev --agent-bin target/debug/greeter-agent`, then
//! `mainstay start counter --on n1 --config step=2` and `mainstay call counter@n1 add '{"times": 3}'`.
use mainstay_service::{Busy, CannotStart, Context, Failure, Reply, Service, TypeInfo, json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, JsonSchema, Clone)]
pub struct CounterConfig {
    step: u32,
}
#[derive(Deserialize, JsonSchema)]
pub enum CounterMessage {
    Add { times: u32 },
}
pub struct Counter {
    config: CounterConfig,
    sum: u32,
}

impl Service for Counter {
    type Config = CounterConfig;
    type Message = CounterMessage;
    type Probe = Busy;
    const TYPE: TypeInfo = TypeInfo::new("counter", "0.1.0");

    async fn start(config: CounterConfig, ctx: &Context) -> Result<(Self, Busy), CannotStart> {
        Ok((Self { config, sum: 0 }, ctx.busy()))
    }
    async fn handle(&mut self, message: CounterMessage, _: &Context) -> Result<Reply, Failure> {
        let CounterMessage::Add { times } = message;
        self.sum += times * self.config.step;
        Ok(Reply::json(json!({ "sum": self.sum })))
    }
}

fn main() -> std::process::ExitCode {
    mainstay_agent::run(mainstay_agent::Agent::new().service::<Counter>())
}
