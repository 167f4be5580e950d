//! One request on one connection: connect, send, read a bounded answer.

use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, IF_MATCH, IF_NONE_MATCH};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use mainstay_identity::way::{self, BoxedStream};
use mainstay_protocol::{Address, code};
use rustls::ClientConfig;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::problem::Problem;
use crate::routes::{IDEMPOTENCY_KEY_HEADER, Method, REQUEST_ID_HEADER};
use mainstay_protocol::limits;

/// A request before it is sent.
#[derive(Clone)]
pub struct Asked<'a> {
    method: Method,
    path: &'a str,
    body: Vec<u8>,
    key: Option<String>,
    accept: &'static str,
    based_on: Option<u64>,
}

impl<'a> Asked<'a> {
    pub fn get(path: &'a str) -> Self {
        Self {
            method: Method::Get,
            path,
            body: Vec::new(),
            key: None,
            accept: "application/json",
            based_on: None,
        }
    }

    pub fn stream(path: &'a str) -> Self {
        Self {
            accept: "text/event-stream",
            ..Self::get(path)
        }
    }

    pub fn change(method: Method, path: &'a str, body: Vec<u8>, key: String) -> Self {
        Self {
            method,
            body,
            key: Some(key),
            ..Self::get(path)
        }
    }

    /// The generation it is based on; 0 where there was none.
    pub fn based_on(self, generation: Option<u64>) -> Self {
        Self {
            based_on: generation,
            ..self
        }
    }

    /// It may do something, so that asking two stations could do it twice.
    pub fn is_change(&self) -> bool {
        self.method != Method::Get
    }

    /// What is being done, for error messages.
    pub fn what(&self) -> String {
        let verb = match self.method {
            Method::Get => "read",
            Method::Post => "ask",
            Method::Put => "put",
            Method::Delete => "delete",
        };
        format!("{verb} {}", self.path)
    }
}

/// A whole answer.
pub struct Received {
    what: String,
    request_id: String,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Received {
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    pub fn header(&self, name: &str) -> Option<String> {
        let value = self.headers.get(name)?.to_str().ok()?;
        Some(value.to_owned())
    }

    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let why = format!("the station's answer is not one this build understands: {error}");
            Problem::of_route(code::VERSION_MISMATCH, &self.what, why)
                .to_do("mainstay version")
                .in_request(&self.request_id)
        })
    }

    /// As it came.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The problem it carries; one of our making where it carries none.
    pub fn problem(&self) -> Problem {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| {
            let code = match self.status.as_u16() {
                404 | 405 => code::NOT_FOUND,
                400..500 => code::BAD_REQUEST,
                _ => code::INTERNAL,
            };
            let body = String::from_utf8_lossy(&self.body);
            let shown: String = body.chars().take(200).collect();
            let why = format!("the station answered {}: {shown}", self.status);
            Problem::of_route(code, &self.what, why).in_request(&self.request_id)
        })
    }
}

/// A connection on which nothing was sent yet.
pub struct Open(BoxedStream);

pub async fn connect(
    station: &Address,
    shown: Option<Arc<ClientConfig>>,
    what: &str,
) -> Result<Open, Problem> {
    let opened = way::open(station, shown).await;
    opened.map(Open).map_err(|error| {
        let (code, why) = match (way::told(&error), error.kind(), station) {
            (Some((code, why)), _, _) => (code, format!("at {}: {why}", name(station))),
            (None, std::io::ErrorKind::PermissionDenied, Address::Unix(socket)) => (
                code::NOT_ALLOWED,
                format!("the socket {} belongs to another user", socket.display()),
            ),
            _ => (
                code::NO_SERVER,
                format!("{} {}: {error}", super::NOBODY_ANSWERS, name(station)),
            ),
        };
        Problem::of_route(code, what, why).in_request(Uuid::new_v4().simple().to_string())
    })
}

/// As people know it: a socket by its path alone.
pub fn name(station: &Address) -> String {
    match station {
        Address::Unix(socket) => socket.display().to_string(),
        Address::Tls { .. } => station.to_string(),
    }
}

pub async fn ask(stream: Open, asked: Asked<'_>) -> Result<Received, Problem> {
    let what = asked.what();
    let (request_id, response) = open(stream, asked).await?;
    receive(what, request_id, response).await
}

/// The rest of an answer whose head is there.
pub async fn receive(
    what: String,
    request_id: String,
    response: Response<Incoming>,
) -> Result<Received, Problem> {
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, limits::ANSWER_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| broken(&what, &request_id, &*error))?
        .to_bytes();
    Ok(Received {
        what,
        request_id,
        status: parts.status,
        headers: parts.headers,
        body,
    })
}

/// Sends a request and returns with the head of its answer.
pub async fn open(
    Open(stream): Open,
    asked: Asked<'_>,
) -> Result<(String, Response<Incoming>), Problem> {
    let what = asked.what();
    let request_id = Uuid::new_v4().simple().to_string();
    let lost = |error: hyper::Error| broken(&what, &request_id, &error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    // Ends with the sender and the body, whichever lives longer.
    drop(tokio::spawn(connection));
    let mut request = Request::builder()
        .method(match asked.method {
            Method::Get => hyper::Method::GET,
            Method::Post => hyper::Method::POST,
            Method::Put => hyper::Method::PUT,
            Method::Delete => hyper::Method::DELETE,
        })
        .uri(asked.path)
        .header(HOST, "station")
        .header(ACCEPT, asked.accept)
        .header(REQUEST_ID_HEADER, &request_id);
    if let Some(key) = &asked.key {
        request = request
            .header(CONTENT_TYPE, "application/json")
            .header(IDEMPOTENCY_KEY_HEADER, key);
    }
    request = match asked.based_on {
        None => request,
        Some(0) => request.header(IF_NONE_MATCH, "*"),
        Some(generation) => request.header(IF_MATCH, format!("\"{generation}\"")),
    };
    let request = request
        .body(Full::new(Bytes::from(asked.body)))
        .map_err(|error| {
            Problem::of_route(
                code::BAD_REQUEST,
                &what,
                format!("the request cannot be written: {error}"),
            )
            .in_request(&request_id)
        })?;
    let response = sender.send_request(request).await.map_err(lost)?;
    Ok((request_id, response))
}

/// The connection ended within a request: what became of it is not known here.
pub fn broken(what: &str, request_id: &str, error: &dyn std::error::Error) -> Problem {
    // Whether a station takes what it is shown is only heard when it is to answer.
    let io = error.source().and_then(|source| source.downcast_ref());
    if let Some((code, why)) = io.and_then(way::told) {
        return Problem::of_route(code, what, why).in_request(request_id);
    }
    let mut why = format!("the connection to the station broke before its answer: {error}");
    if let Some(source) = error.source() {
        why.push_str(&format!(": {source}"));
    }
    Problem::of_route(code::NO_SERVER, what, why)
        .to_do("mainstay status")
        .in_request(request_id)
}
