//! One request: to the upstream and back, streaming; and why not, when not.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, TE, UPGRADE};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::config::Plan;
use crate::types::http_server::{Body, Handler, Tunnel, said};

/// Idle connections to the upstream that are kept for the next requests.
const IDLE_MAX: usize = 32;
/// Shorter than what servers keep theirs for, so that few are found closed.
const IDLE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(4);
/// They speak of one connection, and end with it.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

pub(super) struct Forward {
    plan: Plan,
    client: Client<HttpConnector, Incoming>,
    requests: AtomicU64,
    unreachable: AtomicU64,
    late: AtomicU64,
}

/// What it did so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) unreachable: u64,
    pub(super) late: u64,
}

impl std::fmt::Debug for Forward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forward")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

impl Forward {
    pub(super) fn new(plan: Plan) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(plan.connect_timeout));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector);
        Self {
            plan,
            client,
            requests: AtomicU64::new(0),
            unreachable: AtomicU64::new(0),
            late: AtomicU64::new(0),
        }
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            requests: self.requests.load(Ordering::Relaxed),
            unreachable: self.unreachable.load(Ordering::Relaxed),
            late: self.late.load(Ordering::Relaxed),
        }
    }
}

impl Handler for Forward {
    /// The upstream's answer, or why there is none.
    async fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: SocketAddr,
        tunnels: mpsc::Sender<Tunnel>,
    ) -> Response<Body> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if request.method() == Method::CONNECT {
            let why = "this proxy fronts one service; it opens no tunnels";
            return said(StatusCode::METHOD_NOT_ALLOWED, why);
        }
        let upgrades = protocol(request.headers());
        let ours = upgrades.is_some().then(|| hyper::upgrade::on(&mut request));
        if let Err(why) = self.readdress(&mut request, peer, upgrades.as_ref()) {
            return said(StatusCode::BAD_REQUEST, &why);
        }
        let answer = match timeout(self.plan.timeout, self.client.request(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                self.unreachable.fetch_add(1, Ordering::Relaxed);
                let why = format!("{} gave no answer: {}", self.plan.upstream, causes(&error));
                return said(StatusCode::BAD_GATEWAY, &why);
            }
            Err(_) => {
                self.late.fetch_add(1, Ordering::Relaxed);
                let limit = self.plan.timeout.as_millis();
                let why = format!("{} did not answer within {limit} ms", self.plan.upstream);
                return said(StatusCode::GATEWAY_TIMEOUT, &why);
            }
        };
        self.answered(answer, ours, tunnels).await
    }
}

impl Forward {
    async fn answered(
        &self,
        mut answer: Response<Incoming>,
        ours: Option<OnUpgrade>,
        tunnels: mpsc::Sender<Tunnel>,
    ) -> Response<Body> {
        let switched = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        let protocol = answer.headers().get(UPGRADE).cloned();
        if switched {
            let (Some(ours), Some(_)) = (ours, &protocol) else {
                let why = format!(
                    "{} changed to another protocol, which nobody asked for",
                    self.plan.upstream
                );
                return said(StatusCode::BAD_GATEWAY, &why);
            };
            let theirs = hyper::upgrade::on(&mut answer);
            // The connection's task takes it at once; when that is gone, so is who would use it.
            let _ = tunnels.send(Box::pin(join(ours, theirs))).await;
        }
        let (mut head, body) = answer.into_parts();
        remove_hop_by_hop(&mut head.headers);
        if let (true, Some(protocol)) = (switched, protocol) {
            head.headers.insert(UPGRADE, protocol);
            head.headers
                .insert(CONNECTION, HeaderValue::from_static("upgrade"));
        }
        Response::from_parts(head, body.map_err(Into::into).boxed())
    }

    /// The same request, for the upstream.
    fn readdress(
        &self,
        request: &mut Request<Incoming>,
        peer: SocketAddr,
        upgrades: Option<&HeaderValue>,
    ) -> Result<(), String> {
        let upstream = &self.plan.upstream;
        let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
        let prefix = upstream.path().trim_end_matches('/');
        let target = format!("http://{}{prefix}{path}", upstream.authority());
        let target: Uri = target
            .parse()
            .map_err(|error| format!("the request's path cannot be handed on: {error}"))?;
        *request.uri_mut() = target;
        *request.version_mut() = hyper::Version::HTTP_11;
        let headers = request.headers_mut();
        let host = headers.get(HOST).cloned();
        let takes_trailers = headers
            .get(TE)
            .is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
        remove_hop_by_hop(headers);
        if takes_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
        if let Some(protocol) = upgrades {
            headers.insert(UPGRADE, protocol.clone());
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        }
        forwarded(headers, peer, host.as_ref());
        if !self.plan.keep_host {
            // Set from the target.
            headers.remove(HOST);
        }
        Ok(())
    }
}

/// What the upstream is told of the client.
fn forwarded(headers: &mut HeaderMap, peer: SocketAddr, host: Option<&HeaderValue>) {
    let name = HeaderName::from_static("x-forwarded-for");
    let mut chain: Vec<String> = headers
        .get_all(&name)
        .iter()
        .filter_map(|value| Some(value.to_str().ok()?.to_owned()))
        .collect();
    chain.push(peer.ip().to_string());
    if let Ok(value) = HeaderValue::from_str(&chain.join(", ")) {
        headers.insert(name, value);
    }
    headers.insert(
        HeaderName::from_static("x-forwarded-proto"),
        HeaderValue::from_static("http"),
    );
    if let Some(host) = host {
        headers.insert(HeaderName::from_static("x-forwarded-host"), host.clone());
    }
}

/// The protocol that a request wants to change to.
fn protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let wants = tokens(headers).any(|token| token.eq_ignore_ascii_case("upgrade"));
    headers.get(UPGRADE).filter(|_| wants).cloned()
}

/// The words of all Connection headers.
fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = tokens(headers)
        .filter_map(|token| token.parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

async fn join(ours: OnUpgrade, theirs: OnUpgrade) {
    let both = async { tokio::try_join!(ours, theirs) };
    let (ours, theirs): (Upgraded, Upgraded) = match both.await {
        Ok(both) => both,
        Err(error) => {
            tracing::debug!(%error, "a change of protocol came to nothing");
            return;
        }
    };
    let mut ours = TokioIo::new(ours);
    let mut theirs = TokioIo::new(theirs);
    if let Err(error) = tokio::io::copy_bidirectional(&mut ours, &mut theirs).await {
        tracing::debug!(%error, "an upgraded connection ended");
    }
}

fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
