//! Idempotency keys: the same key on the same route gets the first answer again, also while that is being made.
//! Answers that say "try again" are not kept.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use mainstay_api::Problem;
use mainstay_api::routes::{self, IDEMPOTENCY_KEY_HEADER};
use mainstay_protocol::limits;
use tokio::sync::OnceCell;

use super::Api;
use super::reply::internal;

/// Answers by route and key; the oldest are forgotten.
#[derive(Default)]
pub struct Keys {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    answers: BTreeMap<String, Arc<OnceCell<Kept>>>,
    order: VecDeque<String>,
}

/// An answer that can be given again.
#[derive(Clone)]
struct Kept {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    problem: Option<Problem>,
}

impl Keys {
    fn cell(&self, key: String) -> Arc<OnceCell<Kept>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = known.answers.get(&key) {
            return Arc::clone(cell);
        }
        if known.order.len() >= limits::IDEMPOTENCY_KEYS_MAX
            && let Some(oldest) = known.order.pop_front()
        {
            known.answers.remove(&oldest);
        }
        let cell = Arc::new(OnceCell::new());
        known.order.push_back(key.clone());
        known.answers.insert(key, Arc::clone(&cell));
        cell
    }
}

pub async fn once_per_key(State(api): State<Api>, request: Request, next: Next) -> Response {
    let Some(key) = key_of(&request) else {
        return next.run(request).await;
    };
    let cell = api.keys.cell(key);
    let kept = cell
        .get_or_try_init(|| async {
            let kept = keep(next.run(request).await).await?;
            if kept.status == StatusCode::SERVICE_UNAVAILABLE {
                Err(kept.into_response())
            } else {
                Ok(kept)
            }
        })
        .await;
    match kept {
        Ok(kept) => kept.clone().into_response(),
        Err(response) => response,
    }
}

/// Only changes: a wait or a question is put anew each time.
fn key_of(request: &Request) -> Option<String> {
    const KEY_BYTES_MAX: usize = 128;
    let path = request.uri().path();
    let asks = [routes::WAIT.path, routes::CHAOS.path, routes::PLAN.path].contains(&path)
        || path.ends_with("/check")
        || path.ends_with("/status");
    if asks || ![Method::POST, Method::PUT, Method::DELETE].contains(request.method()) {
        return None;
    }
    let key = request
        .headers()
        .get(IDEMPOTENCY_KEY_HEADER)?
        .to_str()
        .ok()?;
    (key.len() <= KEY_BYTES_MAX).then(|| format!("{} {path} {key}", request.method()))
}

async fn keep(response: Response) -> Result<Kept, Response> {
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, limits::ANSWER_BYTES_MAX)
        .await
        .map_err(|_| internal("keep the answer").into_response())?;
    Ok(Kept {
        status: parts.status,
        headers: parts.headers,
        body,
        problem: parts.extensions.remove::<Problem>(),
    })
}

impl IntoResponse for Kept {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if let Some(problem) = self.problem {
            response.extensions_mut().insert(problem);
        }
        response
    }
}
