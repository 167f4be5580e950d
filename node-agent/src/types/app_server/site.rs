//! One site: its files as answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, HeaderValue, LOCATION, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Request, Response, StatusCode};
use tokio::task::spawn_blocking;

use super::files::{Files, Found};
use crate::types::http_server::{Body, only_read, said};
use crate::types::served_file;

#[derive(Debug)]
pub(super) struct Site {
    /// The instance.
    owner: String,
    files: Arc<Files>,
    not_found: Option<String>,
    requests: AtomicU64,
}

impl Site {
    pub(super) fn new(owner: String, files: Files, not_found: Option<String>) -> Self {
        Self {
            owner,
            files: Arc::new(files),
            not_found,
            requests: AtomicU64::new(0),
        }
    }

    pub(super) fn owner(&self) -> &str {
        &self.owner
    }

    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) async fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return only_read("files can only be read here");
        }
        let path = request.uri().path().to_owned();
        let files = Arc::clone(&self.files);
        let found = spawn_blocking(move || (files.at(&path), path)).await;
        let answer = match found {
            Ok((Ok(Found::File(open)), _)) => served_file::answer(open, request),
            Ok((Ok(Found::Folder), path)) => with_slash(&path),
            Ok((Ok(Found::Nothing), _)) => self.missing(request).await,
            Ok((Err(bad), _)) => said(StatusCode::BAD_REQUEST, &bad.to_string()),
            Err(error) => said(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        };
        without_guessing(answer)
    }

    /// The site's own page for it, if it has one.
    async fn missing(&self, request: &Request<Incoming>) -> Response<Body> {
        if let Some(page) = self.not_found.clone() {
            let files = Arc::clone(&self.files);
            let opened = spawn_blocking(move || files.named(&page)).await;
            if let Ok(Ok(Ok(open))) = opened {
                let mut answer = served_file::all_of(open, request.method());
                *answer.status_mut() = StatusCode::NOT_FOUND;
                return answer;
            }
        }
        said(StatusCode::NOT_FOUND, "this site has no such file")
    }
}

fn without_guessing(mut answer: Response<Body>) -> Response<Body> {
    let headers = answer.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Kept, and asked about each time: an artifact is replaced as a whole.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

fn with_slash(path: &str) -> Response<Body> {
    let target = format!("{path}/");
    let mut answer = said(StatusCode::PERMANENT_REDIRECT, &target);
    if let Ok(target) = HeaderValue::from_str(&target) {
        answer.headers_mut().insert(LOCATION, target);
    }
    answer
}
