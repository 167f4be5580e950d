//! A followed stream: server-sent events, read as they come.

use std::collections::VecDeque;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use mainstay_protocol::code;

use super::connection;
use crate::problem::Problem;
use crate::types::{Changed, Event};
use mainstay_protocol::limits;
use serde::de::DeserializeOwned;

/// Ends when the station does; go on with `after` the last one seen.
pub type EventStream = Stream<Event>;
/// Ends when the station does.
pub type ChangeStream = Stream<Changed>;

#[derive(Debug)]
pub struct Stream<T> {
    what: String,
    request_id: String,
    body: Incoming,
    buffer: Vec<u8>,
    ready: VecDeque<T>,
}

impl<T: DeserializeOwned> Stream<T> {
    pub(super) fn new(what: String, request_id: String, body: Incoming) -> Self {
        Self {
            what,
            request_id,
            body,
            buffer: Vec::new(),
            ready: VecDeque::new(),
        }
    }

    /// The next event; none when the station ended the stream.
    pub async fn next(&mut self) -> Result<Option<T>, Problem> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let Some(frame) = self.body.frame().await else {
                return Ok(None);
            };
            let frame =
                frame.map_err(|error| connection::broken(&self.what, &self.request_id, &error))?;
            if let Ok(bytes) = frame.into_data() {
                self.take(&bytes)?;
            }
        }
    }

    /// The next, and then everything that is there by now: the last of it.
    pub async fn newest(&mut self) -> Result<Option<T>, Problem> {
        let mut newest = self.next().await?;
        while newest.is_some() {
            match tokio::time::timeout(Duration::ZERO, self.next()).await {
                Ok(next) => newest = next?,
                Err(_nothing_yet) => break,
            }
        }
        Ok(newest)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.buffer.extend_from_slice(bytes);
        while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
            if let Some(event) = event_of(&block).map_err(|error| self.unreadable(&error))? {
                self.ready.push_back(event);
            }
        }
        if self.buffer.len() > limits::STREAM_EVENT_BYTES_MAX {
            return Err(self.unreadable("an event exceeds the limit"));
        }
        Ok(())
    }

    fn unreadable(&self, error: &str) -> Problem {
        let why = format!("the stream is not one this build understands: {error}");
        Problem::of_route(code::VERSION_MISMATCH, &self.what, why)
            .to_do("mainstay version")
            .in_request(&self.request_id)
    }
}

/// The event of one block; none for a comment that only keeps the connection alive.
fn event_of<T: DeserializeOwned>(block: &[u8]) -> Result<Option<T>, String> {
    let text = std::str::from_utf8(block).map_err(|error| error.to_string())?;
    let data: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(str::trim_start)
        .collect();
    if data.is_empty() {
        return Ok(None);
    }
    serde_json::from_str(&data.join("\n"))
        .map(Some)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_an_event_or_a_comment() {
        assert_eq!(event_of::<Event>(b": alive\n\n").unwrap(), None);
        let json = r#"{"seq":3,"time":"2026-01-01T00:00:00Z","subject":"web@n1","type":"state","cause":"rule start","rule":"start","message":"m","data":{}}"#;
        let block = format!("id: 3\nevent: state\ndata: {json}\n\n");
        assert_eq!(
            event_of::<Event>(block.as_bytes())
                .unwrap()
                .map(|event| event.seq),
            Some(3)
        );
        assert!(event_of::<Event>(b"data: nonsense\n\n").is_err());
    }
}
