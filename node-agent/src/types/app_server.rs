//! `app-server`: a web UI from an artifact: an archive that the cluster keeps, or a directory of files. Generic in its name.
//!
//! ```text
//!   site a: host, artifact --+
//!   site b: host, artifact --+--> one listener per address and node --Host--> the site's files
//! ```
//! Sites of one node that listen on the same address share a listener; a host that another site has is refused.

mod files;
mod listeners;
mod site;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mainstay_service::{
    ArtifactId, CannotStart, Context, Failure, Health, Probe, Reply, Service, StatusText,
    StopReason, TypeInfo, json,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use files::Files;
use listeners::{ANY_HOST, Seat};
use site::Site;

use super::listening;
use crate::artifacts;

/// Downloads under way get so long when the last site of a listener stops.
const FAREWELL: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppServerConfig {
    /// An archive that was put, by its URN (`urn:ivcap:artifact:..`); or the directory with the files, an absolute path.
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
    /// As its configuration says.
    artifact: String,
    /// The archive, where it is one.
    content: Option<PathBuf>,
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
        let (content, root) = artifact(&config.artifact, ctx).await?;
        let files = Files::of(root);
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
        if let Some(content) = content.clone() {
            // It has only the one; an earlier configuration may have named another.
            let user = ctx.identity().instance.placement.clone();
            let _ = spawn_blocking(move || artifacts::let_go_of_others(&content, &user)).await;
        }
        let artifact = config.artifact;
        let at_work = Self {
            site,
            seat,
            artifact,
            content,
        };
        Ok((at_work, probe))
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
            self.artifact,
            self.seat.address(),
            self.seat.host(),
            self.site.requests(),
        )
        .into()
    }

    async fn stop(self, ctx: &Context, why: StopReason) {
        if timeout(FAREWELL, self.seat.leave()).await.is_err() {
            tracing::warn!(parent: ctx.span(), "downloads that did not finish in time are broken off");
        }
        if let (Some(content), StopReason::NotWanted) = (self.content, why) {
            let user = ctx.identity().instance.placement.clone();
            // Whether or not it could be: what nobody uses that is there goes a day later.
            let _ = spawn_blocking(move || artifacts::let_go(&content, &user)).await;
        }
    }
}

/// The archive, if it is one, and the directory with its files.
async fn artifact(named: &str, ctx: &Context) -> Result<(Option<PathBuf>, PathBuf), CannotStart> {
    let id = match ArtifactId::of(named) {
        Some(Ok(id)) => id,
        Some(Err(bad)) => return Err(CannotStart::config(format!("artifact: {bad}"))),
        None if named.starts_with('/') => return Ok((None, PathBuf::from(named))),
        None => {
            let text =
                format!("artifact: \"{named}\" is no absolute path, and no URN of an artifact");
            return Err(CannotStart::config(text));
        }
    };
    let content = ctx
        .artifact(&id)
        .await
        .map_err(|refusal| CannotStart::not_now(format!("artifact: {}", refusal.text)))?;
    let archive = content.clone();
    let unpacked = spawn_blocking(move || artifacts::unpacked(&archive)).await;
    let unpacked = unpacked.unwrap_or_else(|error| Err(error.to_string()));
    let files = unpacked.map_err(|why| CannotStart::config(format!("artifact: {id}: {why}")))?;
    Ok((Some(content), files))
}

#[cfg(test)]
mod tests;
