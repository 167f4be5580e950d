//! A line to a hold, on an executor: words out, events in.

use std::io::{self, ErrorKind};

use mainstay_hold::{Event, Request, Slot, limits};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

pub(super) struct Line {
    stream: BufReader<UnixStream>,
}

impl Line {
    pub(super) fn connect(slot: &Slot) -> io::Result<Self> {
        let stream = slot.connect()?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream: BufReader::new(UnixStream::from_std(stream)?),
        })
    }

    pub(super) async fn say(&mut self, request: &Request) -> io::Result<()> {
        let line = format!("{}\n", request.to_line());
        self.stream.write_all(line.as_bytes()).await
    }

    /// The next thing that is said; an error of kind `UnexpectedEof` when the hold has closed the line.
    pub(super) async fn hear(&mut self) -> io::Result<Event> {
        let mut line = Vec::new();
        let most = limits::ANSWER_BYTES_MAX as u64 + 1;
        let mut bounded = (&mut self.stream).take(most);
        bounded.read_until(b'\n', &mut line).await?;
        if line.pop() != Some(b'\n') {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let bad = |error: String| io::Error::new(ErrorKind::InvalidData, error);
        let line = String::from_utf8(line).map_err(|error| bad(error.to_string()))?;
        Event::from_line(&line).map_err(|error| bad(error.0))
    }
}

/// One question, one answer.
pub(super) async fn ask(slot: &Slot, request: &Request) -> io::Result<Event> {
    let mut line = Line::connect(slot)?;
    line.say(request).await?;
    match line.hear().await? {
        Event::Error(text) => Err(io::Error::other(text)),
        answer => Ok(answer),
    }
}
