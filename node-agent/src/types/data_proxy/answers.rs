//! What tasks are answered.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use mainstay_protocol::code;
use mainstay_protocol::request::Refusal;
use mainstay_service::{ArtifactId, Call, json};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::data::{Granted, OfNode};
use crate::types::http_server::{Body, Handler, Tunnel, only_read, said, whole};
use crate::types::served_file::{self, OpenFile};

#[derive(Debug)]
pub(super) struct Answers {
    node: Arc<OfNode>,
    requests: AtomicU64,
}

/// Why something is not given.
type No = (StatusCode, String);

impl Answers {
    pub(super) fn of(node: Arc<OfNode>) -> Self {
        Self {
            node,
            requests: AtomicU64::new(0),
        }
    }

    pub(super) fn granted(&self) -> usize {
        self.node.count()
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    async fn found(&self, request: &Request<Incoming>) -> Result<Response<Body>, No> {
        let path = request.uri().path().trim_start_matches('/');
        let (token, wanted) = path.split_once('/').unwrap_or((path, ""));
        let granted = self.node.granted(token).ok_or_else(|| {
            let why = "nothing is granted here: the task is over, or this is not the address that it was given in MAINSTAY_DATA_URL";
            (StatusCode::FORBIDDEN, why.to_owned())
        })?;
        match wanted.split_once('/') {
            Some(("artifacts", id)) => artifact(&granted, id, request).await,
            None if wanted.is_empty() => Ok(listed(&granted.call)),
            _ => {
                let why = "there is artifacts/URN here, and a list of them at the address itself";
                Err((StatusCode::NOT_FOUND, why.to_owned()))
            }
        }
    }
}

impl Handler for Answers {
    async fn answer(
        &self,
        request: Request<Incoming>,
        _: SocketAddr,
        _: mpsc::Sender<Tunnel>,
    ) -> Response<Body> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return only_read("data is only read here");
        }
        let found = self.found(&request).await;
        found.unwrap_or_else(|(status, why)| said(status, &why))
    }
}

/// What its call may read.
fn listed(call: &Call) -> Response<Body> {
    let ids = call.artifacts();
    let ids: Vec<&str> = ids.iter().map(ArtifactId::as_str).collect();
    let text = json!({ "artifacts": ids }).to_string();
    let mut answer = Response::new(whole(Bytes::from(text)));
    let kind = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

async fn artifact(
    granted: &Granted,
    id: &str,
    request: &Request<Incoming>,
) -> Result<Response<Body>, No> {
    // Many write a colon so.
    let id = id.replace("%3A", ":").replace("%3a", ":");
    let call = &granted.call;
    let id = ArtifactId::new(&id).map_err(|bad| (StatusCode::NOT_FOUND, bad.to_string()))?;
    if !call.artifacts().contains(&id) {
        let why = format!("the inputs of this task do not name {}", id.as_str());
        return Err((StatusCode::FORBIDDEN, why));
    }
    let turn = granted.turn().await;
    let content = call.artifact(&id).await.map_err(refused)?;
    drop(turn);
    let opened = spawn_blocking(move || open(&content)).await;
    let failed = |why: String| (StatusCode::INTERNAL_SERVER_ERROR, why);
    let opened = opened.map_err(|error| failed(error.to_string()))?;
    let open = opened.map_err(|error| failed(error.to_string()))?;
    Ok(served_file::answer(open, request))
}

fn open(content: &Path) -> std::io::Result<OpenFile> {
    let file = File::open(content)?;
    let size = file.metadata()?.len();
    Ok(OpenFile {
        file,
        size,
        // What it is called never changes, and so does what it is.
        modified: UNIX_EPOCH,
        name: String::new(),
    })
}

fn refused(refusal: Refusal) -> No {
    let status = if refusal.code == code::NO_ARTIFACT {
        StatusCode::NOT_FOUND
    } else if refusal.code == code::NOT_ALLOWED {
        StatusCode::FORBIDDEN
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, format!("{} ({})", refusal.text, refusal.code))
}
