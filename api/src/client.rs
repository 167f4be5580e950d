//! The client: every route as a call, over the station's Unix socket. Each request has an id and a deadline; each
//! POST an idempotency key, so that trying it again is safe.

mod calls;
mod connection;
mod stream;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hyper::header::RETRY_AFTER;
use mainstay_protocol::code;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::problem::Problem;
use crate::routes::{Method, NEXT_CURSOR_HEADER};
use crate::time::span;
use connection::{Asked, Received};

pub use calls::{DecisionFilter, EventFilter, InstanceFilter, LogsFrom};
pub use stream::{ChangeStream, EventStream};

/// Speaks to one station.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    timeout: Duration,
}

/// How long an answer may take, unless told otherwise.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// How long a station that owes an answer may take to say that it lives.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// How the cause begins where a request never left this process.
pub const NOBODY_ANSWERS: &str = "no station answers on";
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
        Self {
            socket: socket.into(),
            timeout: TIMEOUT_DEFAULT,
        }
    }

    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// One resource at any path: `mainstay api GET PATH`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        self.ask(Asked::get(path), self.timeout).await?.json()
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
            let received = self.ask(Asked::get(&next), self.timeout).await?;
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
        self.change(change, body, self.timeout).await
    }

    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        let change = Change::new(Method::Delete, path);
        self.change(change, &serde_json::Value::Null, self.timeout)
            .await
    }

    async fn change<B: Serialize, T: DeserializeOwned>(
        &self,
        change: Change<'_>,
        body: &B,
        timeout: Duration,
    ) -> Result<T, Problem> {
        let Change {
            method,
            path,
            based_on,
        } = change;
        let key = Uuid::new_v4().to_string();
        let body = serde_json::to_vec(body).map_err(|error| {
            Problem::of_route(
                code::BAD_REQUEST,
                format!("ask {path}"),
                format!("the request cannot be written: {error}"),
            )
        })?;
        let started = Instant::now();
        loop {
            let left = timeout.saturating_sub(started.elapsed());
            let asked = Asked::change(method, path, body.clone(), key.clone()).based_on(based_on);
            let problem = match self.try_once(asked, left).await? {
                Ok(received) => return received.json(),
                Err((problem, pause)) => (problem, pause),
            };
            let (problem, pause) = problem;
            if !problem.is_retryable() || started.elapsed() + pause >= timeout {
                return Err(problem);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// No answer in time: of a station that answers nothing at all, or of one that had more to do for this.
    async fn silent(&self, what: String, timeout: Duration) -> Problem {
        let alive = Asked::get(crate::routes::HEALTHZ.path);
        let asking = connection::ask(&self.socket, alive);
        let probe = tokio::time::timeout(for_the_probe(timeout), asking);
        let spent = span(timeout);
        match probe.await {
            Ok(Ok(_)) => Problem::of_route(
                code::TIMEOUT,
                what,
                format!("the station answers, but gave no answer to this within {spent}"),
            ),
            Ok(Err(_)) | Err(_) => Problem::of_route(
                code::NO_SERVER,
                what,
                format!(
                    "the station on {} says nothing: no answer within {spent}",
                    self.socket.display()
                ),
            )
            .to_do("mainstay status"),
        }
    }

    async fn ask(&self, asked: Asked<'_>, timeout: Duration) -> Result<Received, Problem> {
        self.try_once(asked, timeout)
            .await?
            .map_err(|(problem, _)| problem)
    }

    /// The outer error: no whole answer. The inner: an answer that says no, and when to come back.
    async fn try_once(
        &self,
        asked: Asked<'_>,
        timeout: Duration,
    ) -> Result<Result<Received, (Problem, Duration)>, Problem> {
        let what = asked.what();
        let patience = timeout - for_the_probe(timeout);
        let answer = tokio::time::timeout(patience, connection::ask(&self.socket, asked)).await;
        let received = match answer {
            Ok(received) => received?,
            Err(_elapsed) => return Err(self.silent(what, timeout).await),
        };
        if received.is_success() {
            return Ok(Ok(received));
        }
        let pause = received
            .header(RETRY_AFTER.as_str())
            .and_then(|seconds| seconds.parse().ok())
            .map_or(RETRY_PAUSE, Duration::from_secs);
        Ok(Err((received.problem(), pause)))
    }
}

/// What is kept of an answer's time to ask whether the station lives, so that both fit into it.
fn for_the_probe(timeout: Duration) -> Duration {
    PROBE_TIMEOUT.min(timeout / 4)
}
