//! The configuration of type `service-proxy`.

use std::net::SocketAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::http_url::Url;
use crate::types::listening;

const TIMEOUT_MS_MAX: u64 = 60 * 60 * 1000;
const CHECK_EVERY_MS_MIN: u64 = 100;
/// A check that takes longer says nothing of the present.
const CHECK_TIMEOUT_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceProxyConfig {
    /// The service that it fronts: http://HOST[:PORT][/PREFIX].
    pub upstream: String,
    /// Where it listens; port 0 is a free one, which its status says. Only this machine can reach it unless another
    /// address is given.
    #[serde(default = "listen")]
    pub listen: String,
    /// For a connection to the upstream.
    #[serde(default = "connect_timeout_ms")]
    pub connect_timeout_ms: u64,
    /// From the end of a request until its answer begins.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    /// What is asked of the upstream to know its health; a connection is enough, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// Between two such questions.
    #[serde(default = "check_every_ms")]
    pub check_every_ms: u64,
    /// Hands on the client's Host instead of the upstream's.
    #[serde(default)]
    pub keep_host: bool,
}

fn listen() -> String {
    "127.0.0.1:0".to_owned()
}

fn connect_timeout_ms() -> u64 {
    5_000
}

fn timeout_ms() -> u64 {
    30_000
}

fn check_every_ms() -> u64 {
    5_000
}

/// The configuration, understood.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) upstream: Url,
    pub(super) listen: SocketAddr,
    pub(super) connect_timeout: Duration,
    pub(super) timeout: Duration,
    pub(super) check: Option<String>,
    pub(super) check_every: Duration,
    pub(super) keep_host: bool,
}

impl Plan {
    pub(super) fn of(config: &ServiceProxyConfig) -> Result<Self, String> {
        let upstream = Url::parse(&config.upstream).map_err(|why| format!("upstream: {why}"))?;
        if upstream.path().contains('?') {
            return Err("upstream: it has a query, which no request could keep".to_owned());
        }
        for (field, value, least) in [
            ("connect_timeout_ms", config.connect_timeout_ms, 1),
            ("timeout_ms", config.timeout_ms, 1),
            ("check_every_ms", config.check_every_ms, CHECK_EVERY_MS_MIN),
        ] {
            if !(least..=TIMEOUT_MS_MAX).contains(&value) {
                return Err(format!(
                    "{field}: it can be from {least} to {TIMEOUT_MS_MAX}"
                ));
            }
        }
        if let Some(path) = &config.check
            && !(path.starts_with('/') && path.parse::<hyper::Uri>().is_ok())
        {
            return Err(format!(
                "check: \"{path}\" is no path; write one as in /health"
            ));
        }
        Ok(Self {
            upstream,
            listen: listening::address("listen", &config.listen)?,
            connect_timeout: Duration::from_millis(config.connect_timeout_ms),
            timeout: Duration::from_millis(config.timeout_ms),
            check: config.check.clone(),
            check_every: Duration::from_millis(config.check_every_ms),
            keep_host: config.keep_host,
        })
    }

    pub(super) fn check_timeout(&self) -> Duration {
        self.timeout.min(CHECK_TIMEOUT_MAX)
    }
}
