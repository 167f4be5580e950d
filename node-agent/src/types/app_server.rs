//! `app-server`: a web UI from an artifact, a directory of files. Generic in its name.
//!
//! ```text
//!   site a: host, artifact --+
//!   site b: host, artifact --+--> one listener per address and node --Host--> the site's files
//! ```
//! Sites of one node that listen on the same address share a listener; a host that another site has is refused.

mod content_type;
mod files;
mod listeners;
mod precondition;
mod site;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mainstay_service::{
    CannotStart, Context, Failure, Health, Probe, Reply, Service, StatusText, StopReason, TypeInfo,
    json,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use files::Files;
use listeners::{ANY_HOST, Seat};
use site::Site;

use super::listening;

/// Downloads under way get so long when the last site of a listener stops.
const FAREWELL: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppServerConfig {
    /// The directory with the files, an absolute path.
    pub artifact: String,
    /// The host name that requests for this site have; "*" is every one that no other site has.
    #[serde(default = "any_host")]
    pub host: String,
    /// Where it listens, together with other sites of the node that say the same; port 0 is a free one, which its status
    /// says. Only this machine can reach it unless another address is given.
    #[serde(default = "listen")]
    pub listen: String,
    /// The file of the artifact that is shown when there is none with the wanted name.
    #[serde(rename = "404", default, skip_serializing_if = "Option::is_none")]
    pub not_found: Option<String>,
}

fn any_host() -> String {
    ANY_HOST.to_owned()
}

fn listen() -> String {
    "127.0.0.1:0".to_owned()
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AppServerMessage {
    /// Where it listens.
    Address,
}

/// Well as long as its artifact is there.
#[derive(Debug, Clone)]
pub struct AppServerProbe(Arc<Site>);

impl Probe for AppServerProbe {
    async fn check(&self) -> Health {
        match self.0.files().look() {
            Ok(()) => Health::ok(),
            Err(why) => Health::failed(why),
        }
    }
}

#[derive(Debug)]
pub struct AppServer {
    site: Arc<Site>,
    seat: Seat,
}

impl Service for AppServer {
    type Config = AppServerConfig;
    type Message = AppServerMessage;
    type Probe = AppServerProbe;
    const TYPE: TypeInfo = TypeInfo::new("app-server", "1.0.0").generic();

    async fn start(
        config: AppServerConfig,
        ctx: &Context,
    ) -> Result<(Self, AppServerProbe), CannotStart> {
        let at = listening::address("listen", &config.listen).map_err(CannotStart::config)?;
        let host = listeners::host(&config.host).map_err(CannotStart::config)?;
        if !config.artifact.starts_with('/') {
            let text = format!("artifact: \"{}\" is no absolute path", config.artifact);
            return Err(CannotStart::config(text));
        }
        let files = Files::of(PathBuf::from(&config.artifact));
        files.look().map_err(CannotStart::not_here)?;
        if let Some(page) = &config.not_found {
            let there = files.named(page).map_err(|why| {
                CannotStart::config(format!(
                    "404: \"{page}\" cannot be a file of the artifact: {why}"
                ))
            })?;
            there.map_err(|why| CannotStart::not_here(format!("404: {why}")))?;
        }
        let owner = ctx.identity().instance.to_string();
        let site = Arc::new(Site::new(owner, files, config.not_found));
        let seat = Seat::take(at, host, Arc::clone(&site)).await?;
        let probe = AppServerProbe(Arc::clone(&site));
        Ok((Self { site, seat }, probe))
    }

    async fn handle(&mut self, message: AppServerMessage, _: &Context) -> Result<Reply, Failure> {
        let AppServerMessage::Address = message;
        Ok(Reply::json(json!({
            "address": self.seat.address(),
            "host": self.seat.host(),
            "requests": self.site.requests(),
        })))
    }

    async fn status(&mut self, _: &Context) -> StatusText {
        format!(
            "serves {} on http://{} for host {}; {} requests so far",
            self.site.files().root().display(),
            self.seat.address(),
            self.seat.host(),
            self.site.requests(),
        )
        .into()
    }

    async fn stop(self, ctx: &Context, _: StopReason) {
        if timeout(FAREWELL, self.seat.leave()).await.is_err() {
            tracing::warn!(parent: ctx.span(), "downloads that did not finish in time are broken off");
        }
    }
}

#[cfg(test)]
mod tests;
