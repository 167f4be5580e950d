//! The client: every route as a call, over the stations' Unix sockets or with TLS. Each request has an id and a deadline; each
//! POST an idempotency key, so that trying it again is safe.
//!
//! Several stations are asked one after the other, the one that answered last first. A read goes on to the next where
//! one says nothing. A change does so only as long as it was sent to none, or those it was sent to promised that
//! nothing was done: a station knows no other's idempotency keys.

mod access;
mod artifacts;
mod bytes;
mod calls;
mod connection;
mod nodes;
mod services;
mod stations;
mod stream;
mod work;

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::header::RETRY_AFTER;
use mainstay_protocol::{Address, code};
use rustls::ClientConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout as within, timeout_at as until};
use uuid::Uuid;

use crate::problem::Problem;
use crate::routes::{Method, NEXT_CURSOR_HEADER, STATIONS_HEADER};
use crate::time::span;
use connection::{Asked, Open, Received};
use stations::{Failed, Stations, nobody};

pub use artifacts::ArtifactSaid;
pub use bytes::ByteStream;
pub use calls::{DecisionFilter, EventFilter, InstanceFilter, LogsFrom, STATION_ADD_TIMEOUT};
pub use nodes::WorkedOn;
pub use services::OrderFilter;
pub use stream::{ChangeStream, EventStream};
pub use work::{RunFilter, RunVerb};

/// Speaks to the stations of one cluster.
#[derive(Debug, Clone)]
pub struct Client {
    stations: Stations,
    /// Said by the user; else each call has its own.
    timeout: Option<Duration>,
}

/// How long an answer may take, unless told otherwise.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// How long a station that owes an answer may take to say that it lives.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// A station that has not answered a read for so long is asked whether it lives, where another could be asked instead.
const SHARE_MAX: Duration = Duration::from_secs(2);
/// How the cause begins where a request never left this process.
pub const NOBODY_ANSWERS: &str = "no station answers on";
/// What is said of one that takes a request and gives no sign of life.
pub const SILENT: &str = "says nothing";
/// Between two tries of a request that may be tried again, unless the station says how long.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// What is changed, and what the change is based on: a generation, 0 where there was nothing.
struct Change<'a> {
    method: Method,
    path: &'a str,
    based_on: Option<u64>,
}

impl<'a> Change<'a> {
    fn new(method: Method, path: &'a str) -> Self {
        Self {
            method,
            path,
            based_on: None,
        }
    }
}

impl Client {
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self::of(vec![socket.into()])
    }

    /// Of a cluster with several stations; the first is asked first. Without any, every request ends with `NO_SERVER`.
    pub fn of(sockets: Vec<PathBuf>) -> Self {
        Self::at(sockets.into_iter().map(Address::Unix).collect(), None)
    }

    /// The same, also over the network, where this is shown.
    pub fn at(addresses: Vec<Address>, shown: Option<Arc<ClientConfig>>) -> Self {
        Self {
            stations: Stations::new(addresses, shown),
            timeout: None,
        }
    }

    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Where the stations are now, if one of them said so.
    pub fn told_stations(&self) -> Option<Vec<Address>> {
        self.stations.told().clone()
    }

    pub fn timeout(&self) -> Duration {
        self.patience(TIMEOUT_DEFAULT)
    }

    /// What was said, or else what suits the request.
    fn patience(&self, otherwise: Duration) -> Duration {
        self.timeout.unwrap_or(otherwise)
    }

    /// One resource at any path: `mainstay api GET PATH`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        self.ask(Asked::get(path), self.timeout()).await?.json()
    }

    /// All pages of a list.
    pub async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Problem> {
        let pages = self.pages(path, usize::MAX).await?;
        Ok(pages.into_iter().flatten().collect())
    }

    /// Page after page until there are so many rows, or no more.
    async fn pages<T: DeserializeOwned>(
        &self,
        path: &str,
        rows: usize,
    ) -> Result<Vec<Vec<T>>, Problem> {
        let mut pages: Vec<Vec<T>> = Vec::new();
        let mut found = 0;
        let mut next = path.to_owned();
        loop {
            let received = self.ask(Asked::get(&next), self.timeout()).await?;
            let page: Vec<T> = received.json()?;
            found += page.len();
            pages.push(page);
            let Some(cursor) = received.header(NEXT_CURSOR_HEADER).filter(|_| found < rows) else {
                return Ok(pages);
            };
            let mark = if path.contains('?') { '&' } else { '?' };
            let query = crate::routes::query(&[("cursor", &cursor)]);
            next = format!("{path}{mark}{}", &query[1..]);
        }
    }

    /// A change. Tried again with the same key while the station is overloaded or has no leader, until the timeout.
    pub async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, Problem> {
        let change = Change::new(Method::Post, path);
        self.change(change, body, self.timeout()).await
    }

    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        let change = Change::new(Method::Delete, path);
        self.change(change, &serde_json::Value::Null, self.timeout())
            .await
    }

    async fn change<B: Serialize, T: DeserializeOwned>(
        &self,
        change: Change<'_>,
        body: &B,
        timeout: Duration,
    ) -> Result<T, Problem> {
        let body = serde_json::to_vec(body).map_err(|error| {
            Problem::of_route(
                code::BAD_REQUEST,
                format!("ask {}", change.path),
                format!("the request cannot be written: {error}"),
            )
        })?;
        self.change_with(change, body, timeout).await
    }

    /// With a body as it is.
    async fn change_with<T: DeserializeOwned>(
        &self,
        change: Change<'_>,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<T, Problem> {
        let Change {
            method,
            path,
            based_on,
        } = change;
        let key = Uuid::new_v4().to_string();
        let started = Instant::now();
        let mut order = self.stations.in_order();
        loop {
            let left = timeout.saturating_sub(started.elapsed());
            let asked = Asked::change(method, path, body.clone(), key.clone()).based_on(based_on);
            let (from, received) = self.reach(&asked, left, &order, connection::ask).await?;
            if received.is_success() {
                return received.json();
            }
            let (problem, pause) = (received.problem(), pause_of(&received));
            if !problem.is_retryable() || started.elapsed() + pause >= timeout {
                return Err(problem);
            }
            if [code::NO_QUORUM, code::OVERLOADED].contains(&problem.code) {
                self.stations.let_down(from);
                order = self.stations.in_order();
            } else {
                // It does not promise that nothing was done, and it alone knows the key.
                order = vec![from];
            }
            sleep(pause).await;
        }
    }

    async fn ask(&self, asked: Asked<'_>, timeout: Duration) -> Result<Received, Problem> {
        let order = self.stations.in_order();
        let (_, received) = self.reach(&asked, timeout, &order, connection::ask).await?;
        self.stations
            .hear(received.header(STATIONS_HEADER).as_deref());
        match received.is_success() {
            true => Ok(received),
            false => Err(received.problem()),
        }
    }

    /// One station after the other, until one answers; which one it was, and whatever it said.
    async fn reach<'a, T>(
        &self,
        asked: &Asked<'a>,
        timeout: Duration,
        order: &[usize],
        ask: impl AsyncFn(Open, Asked<'a>) -> Result<T, Problem>,
    ) -> Result<(usize, T), Problem> {
        let end = tokio::time::Instant::now() + timeout;
        let mut tried = Vec::new();
        for (nth, &at) in order.iter().enumerate() {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            let others = order.len() - nth - 1;
            let attempt = Attempt {
                station: self.stations.address(at),
                shown: self.stations.shown(),
                asked,
                timeout,
                end,
                share: match others {
                    0 => left,
                    others => SHARE_MAX.min(left / (others as u32 + 1)),
                },
                is_only: order.len() == 1,
            };
            let problem = match attempt.make(&ask).await {
                Ok(answer) => {
                    self.stations.answered(at);
                    return Ok((at, answer));
                }
                Err(Failed::Unanswered(problem)) if asked.is_change() => {
                    self.stations.let_down(at);
                    return Err(problem);
                }
                Err(Failed::Unsent(problem) | Failed::Unanswered(problem)) => problem,
            };
            self.stations.let_down(at);
            // It lives, and all the time is spent.
            if problem.code == code::TIMEOUT {
                return Err(problem);
            }
            tried.push(problem);
        }
        Err(nobody(asked.what(), tried))
    }
}

/// One request to one station.
struct Attempt<'a, 'p> {
    station: &'a Address,
    shown: Option<Arc<ClientConfig>>,
    asked: &'a Asked<'p>,
    /// Of the whole request, and when that is over.
    timeout: Duration,
    end: tokio::time::Instant,
    /// After this it is asked whether it lives.
    share: Duration,
    /// There is no other that could be asked.
    is_only: bool,
}

impl<'p> Attempt<'_, 'p> {
    async fn make<T>(
        &self,
        ask: &impl AsyncFn(Open, Asked<'p>) -> Result<T, Problem>,
    ) -> Result<T, Failed> {
        let what = self.asked.what();
        let mut share = self.share;
        if self.asked.is_change() && !self.is_only {
            // Once it is sent there is no way back, so that a silent one is found out before.
            self.lives(SHARE_MAX.min(share))
                .await
                .map_err(Failed::Unsent)?;
            share = self
                .end
                .saturating_duration_since(tokio::time::Instant::now());
        }
        let mut asking = pin!(async {
            let stream = connection::connect(self.station, self.shown.clone(), &what)
                .await
                .map_err(Failed::Unsent)?;
            ask(stream, self.asked.clone())
                .await
                .map_err(Failed::Unanswered)
        });
        if let Ok(answer) = within(share - for_the_probe(share), &mut asking).await {
            return answer;
        }
        // It says nothing at all, or it has more to do for this.
        self.lives(share).await.map_err(Failed::Unanswered)?;
        until(self.end, asking).await.unwrap_or_else(|_elapsed| {
            let why = format!(
                "the station answers, but gave no answer to this within {}",
                span(self.timeout)
            );
            Err(Failed::Unanswered(Problem::of_route(
                code::TIMEOUT,
                what.clone(),
                why,
            )))
        })
    }

    async fn lives(&self, share: Duration) -> Result<(), Problem> {
        let what = self.asked.what();
        let asking = async {
            let stream = connection::connect(self.station, self.shown.clone(), &what).await?;
            // Whatever it says, it says something.
            let probe = Asked::get(crate::routes::HEALTHZ.path);
            Ok(connection::ask(stream, probe).await.is_ok())
        };
        match within(for_the_probe(share), asking).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Err(unreachable)) => Err(unreachable),
            Ok(Ok(false)) | Err(_) => {
                let why = format!(
                    "the station on {} {SILENT}: no answer within {}",
                    connection::name(self.station),
                    span(share)
                );
                Err(Problem::of_route(code::NO_SERVER, what.clone(), why).to_do("mainstay status"))
            }
        }
    }
}

/// When a station that refused may be asked again.
fn pause_of(received: &Received) -> Duration {
    received
        .header(RETRY_AFTER.as_str())
        .and_then(|seconds| seconds.parse().ok())
        .map_or(RETRY_PAUSE, Duration::from_secs)
}

/// What is kept of an answer's time to ask whether the station lives, so that both fit into it.
fn for_the_probe(timeout: Duration) -> Duration {
    PROBE_TIMEOUT.min(timeout / 4)
}

#[cfg(test)]
mod tests;
