//! `service-proxy`: a reverse proxy to an outside service, with its health. Generic in its name.
//!
//! ```text
//!   client --HTTP/1.1--> listener --HTTP/1.1--> upstream       bodies stream both ways
//!                          |  cannot be reached: 502; no answer in time: 504; each says why
//!                          +  101 Switching Protocols: from then on bytes, both ways
//! ```
//! The upstream is not its own: when that is away, this instance is `degraded` and goes on answering 502.

mod config;
mod forward;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mainstay_service::{
    CannotStart, Context, Failure, Health, Reply, Service, StatusText, StopReason, TypeInfo, json,
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use config::Plan;
pub use config::ServiceProxyConfig;
use forward::Forward;

use super::http_server::Server;
use super::http_url;
use super::listening;
use super::watching::{Found, Latest, Watching};

/// An open connection is given so long to finish what it is at, when the proxy is asked to stop.
const FAREWELL: Duration = Duration::from_secs(5);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceProxyMessage {
    /// Where it listens, and what it did so far.
    Address,
}

#[derive(Debug)]
pub struct ServiceProxy {
    forward: Arc<Forward>,
    address: SocketAddr,
    server: Server,
    watching: Watching,
}

impl Service for ServiceProxy {
    type Config = ServiceProxyConfig;
    type Message = ServiceProxyMessage;
    type Probe = Latest;
    const TYPE: TypeInfo = TypeInfo::new("service-proxy", "1.0.0").generic();

    async fn start(
        config: ServiceProxyConfig,
        ctx: &Context,
    ) -> Result<(Self, Latest), CannotStart> {
        let plan = Plan::of(&config).map_err(CannotStart::config)?;
        let listener = listening::listen(plan.listen).await?;
        let every = plan.check_every;
        let forward = Arc::new(Forward::new(plan));
        let first = look(&forward).await;
        let address = listener.local_addr().map_err(CannotStart::not_now)?;
        let server = Server::begin(listener, Arc::clone(&forward));
        let looked_at = Arc::clone(&forward);
        let (watching, latest) = Watching::begin(first, every, ctx.clone(), move || {
            let forward = Arc::clone(&looked_at);
            async move { look(&forward).await }
        });
        let proxy = Self {
            forward,
            address,
            server,
            watching,
        };
        Ok((proxy, latest))
    }

    async fn handle(
        &mut self,
        message: ServiceProxyMessage,
        _: &Context,
    ) -> Result<Reply, Failure> {
        let ServiceProxyMessage::Address = message;
        let counts = self.forward.counts();
        Ok(Reply::json(json!({
            "address": self.address,
            "upstream": self.forward.plan().upstream.to_string(),
            "requests": counts.requests,
            "unreachable": counts.unreachable,
            "late": counts.late,
        })))
    }

    async fn status(&mut self, _: &Context) -> StatusText {
        let counts = self.forward.counts();
        format!(
            "listens on http://{}, forwards to {}; {} requests so far, {} could not be forwarded, {} were not answered in time; {}",
            self.address,
            self.forward.plan().upstream,
            counts.requests,
            counts.unreachable,
            counts.late,
            self.watching.latest().in_words(),
        )
        .into()
    }

    async fn stop(self, ctx: &Context, _: StopReason) {
        drop(self.watching);
        if timeout(FAREWELL, self.server.finish()).await.is_err() {
            tracing::warn!(parent: ctx.span(), "connections that did not finish in time are closed");
        }
    }
}

/// Whether the upstream answers: its check's path, or at least a connection.
async fn look(forward: &Forward) -> Found {
    let plan = forward.plan();
    let began = Instant::now();
    let found = match &plan.check {
        Some(path) => {
            let url = plan.upstream.with_path(path);
            match http_url::get(&url, 0, plan.check_timeout()).await {
                Ok(answer) if answer.status < 400 => {
                    Ok(format!("{url} answered {}", answer.status))
                }
                Ok(answer) => Err(format!("{url} answered {}", answer.status)),
                Err(why) => Err(format!("{url} {why}")),
            }
        }
        None => match timeout(plan.connect_timeout, plan.upstream.connect()).await {
            Ok(Ok(_)) => Ok(format!("{} can be reached", plan.upstream)),
            Ok(Err(why)) => Err(format!("{} cannot be reached: {why}", plan.upstream)),
            Err(_) => Err(format!(
                "{} cannot be reached within {} ms",
                plan.upstream,
                plan.connect_timeout.as_millis()
            )),
        },
    };
    match found {
        Ok(text) => Found::now(Health::ok(), text, began.elapsed()),
        Err(text) => Found::now(Health::degraded(text.clone()), text, began.elapsed()),
    }
}

#[cfg(test)]
mod tests;
