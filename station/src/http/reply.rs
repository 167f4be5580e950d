//! Answers and errors: JSON either way, each with its request id.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Query, Request, State};
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use mainstay_api::Problem;
use mainstay_api::present::Present;
use mainstay_api::routes::{self, DATA_AGE_HEADER, NEXT_CURSOR_HEADER, REQUEST_ID_HEADER};
use mainstay_protocol::words::{self, nearest};
use mainstay_protocol::{code, limits};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::Api;

/// An error on its way out. Its body is written by `with_request_id`, which knows the id.
#[derive(Debug)]
pub struct Failure(pub Box<Problem>);

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        if self.0.code == code::OVERLOADED || self.0.code == code::NO_QUORUM {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response.extensions_mut().insert(*self.0);
        response
    }
}

pub type Reply = Result<Response, Failure>;

pub fn json(value: &impl Serialize) -> Reply {
    let bytes = serde_json::to_vec(value)
        .map_err(|error| Problem::new(code::INTERNAL, "write the answer", error.to_string()))?;
    Ok(([(CONTENT_TYPE, "application/json")], bytes).into_response())
}

/// A page of a list, and where it goes on.
pub fn paged(rows: &impl Serialize, next: Option<String>) -> Reply {
    let mut response = json(rows)?;
    if let Some(next) = next.and_then(|next| HeaderValue::from_str(&next).ok()) {
        let name = HeaderName::from_static(NEXT_CURSOR_HEADER);
        response.headers_mut().insert(name, next);
    }
    Ok(response)
}

/// A place among a bounded number; whoever finds none is told to come back.
pub fn place(
    places: &Arc<Semaphore>,
    what: String,
    why: &str,
) -> Result<OwnedSemaphorePermit, Problem> {
    let place = Arc::clone(places).try_acquire_owned();
    place.map_err(|_full| Problem::new(code::OVERLOADED, what, why))
}

/// A request's body. Line and column are left out: whoever used the program never saw this JSON.
pub fn body<T: DeserializeOwned>(what: &str, bytes: &Bytes) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        Problem::new(
            code::BAD_REQUEST,
            what,
            format!(
                "the request's body: {}",
                words::without_place(&error, error.line(), error.column())
            ),
        )
        .into()
    })
}

/// The pairs of a query, all of them known.
pub fn query(
    what: &str,
    query: Query<BTreeMap<String, String>>,
    known: &[&str],
) -> Result<Pairs, Failure> {
    let Query(pairs) = query;
    if let Some(unknown) = pairs.keys().find(|key| !known.contains(&key.as_str())) {
        let near = nearest(unknown, known.iter().copied());
        let why = format!(
            "there is no parameter \"{unknown}\"; there are {}",
            known.join(", ")
        );
        return Err(Problem::new(code::BAD_REQUEST, what, why).near(near).into());
    }
    Ok(Pairs {
        what: what.to_owned(),
        pairs,
    })
}

pub struct Pairs {
    what: String,
    pairs: BTreeMap<String, String>,
}

impl Pairs {
    pub fn text(&self, key: &str) -> Option<String> {
        self.pairs.get(key).cloned()
    }

    pub fn number(&self, key: &str) -> Result<Option<u64>, Failure> {
        let Some(text) = self.pairs.get(key) else {
            return Ok(None);
        };
        let number = text.parse().map_err(|_| {
            Problem::new(
                code::BAD_REQUEST,
                &self.what,
                format!("{key}={text} is not a number"),
            )
        })?;
        Ok(Some(number))
    }

    /// Rows of one answer.
    pub fn limit(&self, default: usize) -> Result<usize, Failure> {
        let asked = self
            .number("limit")?
            .map_or(default, |limit| limit.try_into().unwrap_or(usize::MAX));
        Ok(asked.clamp(1, limits::PAGE_ROWS_MAX))
    }
}

impl Api {
    /// Reads a snapshot of the store, off the threads that serve.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Present<'_>) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Failure> {
        let shared = std::sync::Arc::clone(&self.shared);
        let reading = tokio::task::spawn_blocking(move || {
            let view = shared.store.view();
            read(&Present::new(&view, shared.as_ref()))
        });
        match reading.await {
            Ok(outcome) => outcome.map_err(Failure::from),
            Err(_panic) => Err(internal("read the state")),
        }
    }
}

pub fn internal(what: &str) -> Failure {
    Problem::new(
        code::INTERNAL,
        what,
        "the station's code panicked; its log says where",
    )
    .into()
}

pub async fn no_such_route(uri: Uri) -> Failure {
    let paths = routes::ALL.iter().map(|route| route.path);
    let why = format!("there is no route {}", uri.path());
    Problem::new(code::NOT_FOUND, "find a route", why)
        .near(nearest(uri.path(), paths))
        .to_do("mainstay status")
        .into()
}

pub async fn no_such_method(method: Method, uri: Uri) -> Failure {
    let why = format!("{} does not take {method}", uri.path());
    let mut problem = Problem::new(code::BAD_REQUEST, "find a route", why);
    problem.status = StatusCode::METHOD_NOT_ALLOWED.as_u16();
    problem.into()
}

/// Gives every answer its request id, and every problem its body.
pub async fn with_request_id(State(api): State<Api>, request: Request, next: Next) -> Response {
    let request_id = request_id(request.headers());
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    let problem = response.extensions_mut().remove::<Problem>();
    if problem.is_none() && is_plain_refusal(&response) {
        response = plain_refusal(&path, response.status());
    }
    let problem = problem.or_else(|| response.extensions_mut().remove::<Problem>());
    if let Some(problem) = problem {
        tracing::debug!(%request_id, path, code = %problem.code, why = %problem.why, "a request was refused");
        let problem = problem.in_request(&request_id);
        let bytes = serde_json::to_vec(&problem).expect("a problem's texts and numbers serialise");
        *response.body_mut() = Body::from(bytes);
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
            .headers_mut()
            .remove(axum::http::header::CONTENT_LENGTH);
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(HeaderName::from_static(REQUEST_ID_HEADER), value);
    }
    let age = HeaderValue::from(api.shared.data_age_ms());
    headers.insert(HeaderName::from_static(DATA_AGE_HEADER), age);
    response
}

/// A refusal by the framework itself (a body too large, a path that is no UTF-8) has no problem yet.
fn is_plain_refusal(response: &Response) -> bool {
    let refused = response.status().is_client_error() || response.status().is_server_error();
    let json = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/"));
    refused && !json
}

fn plain_refusal(path: &str, status: StatusCode) -> Response {
    let code = match status.is_client_error() {
        true => code::BAD_REQUEST,
        false => code::INTERNAL,
    };
    let why = status
        .canonical_reason()
        .unwrap_or("refused")
        .to_lowercase();
    let mut problem = Problem::new(
        code,
        format!("ask {path}"),
        format!("the request was refused: {why}"),
    );
    problem.status = status.as_u16();
    Failure::from(problem).into_response()
}

/// The caller's own id, if it is a plain one.
fn request_id(headers: &HeaderMap) -> String {
    const ID_BYTES_MAX: usize = 64;
    headers
        .get(REQUEST_ID_HEADER)
        .and_then(|value| value.to_str().ok())
        .filter(|id| {
            !id.is_empty()
                && id.len() <= ID_BYTES_MAX
                && id.bytes().all(|byte| byte.is_ascii_graphic())
        })
        .map_or_else(|| Uuid::new_v4().simple().to_string(), str::to_owned)
}
