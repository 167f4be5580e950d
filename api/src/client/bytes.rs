//! An answer that is too large to be held: its bytes as they come.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use mainstay_protocol::{code, limits};

use super::connection;
use crate::problem::Problem;
use crate::time::span;

/// A station sends what it has; one that sends nothing for so long will not.
const SILENCE: Duration = Duration::from_millis(limits::BACKUP_STALL_MS);

/// Pieces of an answer. Its end is no proof that it is whole: what it is of says so itself.
#[derive(Debug)]
pub struct ByteStream {
    what: String,
    request_id: String,
    body: Incoming,
}

impl ByteStream {
    pub(super) fn new(what: String, request_id: String, body: Incoming) -> Self {
        Self {
            what,
            request_id,
            body,
        }
    }

    /// The next piece; none at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            let frame = tokio::time::timeout(SILENCE, self.body.frame()).await;
            let frame = frame.map_err(|_elapsed| {
                let why = format!("the station sent nothing more for {}", span(SILENCE));
                Problem::of_route(code::TIMEOUT, &self.what, why).in_request(&self.request_id)
            })?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            let broken = |error| connection::broken(&self.what, &self.request_id, &error);
            if let Ok(bytes) = frame.map_err(broken)?.into_data() {
                return Ok(Some(bytes));
            }
        }
    }
}
