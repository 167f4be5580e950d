//! A client of a hold that waits for its answers: for programs without an executor.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::limits;
use crate::message::{Event, Request};
use crate::slot::Slot;

#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// No answer is waited for longer than this.
    pub fn connect(slot: &Slot, patience: Duration) -> io::Result<Self> {
        let stream = slot.connect()?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    pub fn ask(&mut self, request: &Request) -> io::Result<Event> {
        let mut line = request.to_line();
        line.push('\n');
        self.stream.get_mut().write_all(line.as_bytes())?;
        self.hear()
    }

    /// The next thing that is said; an error of kind `UnexpectedEof` when the hold has ended.
    pub fn hear(&mut self) -> io::Result<Event> {
        let mut line = Vec::new();
        let most = limits::ANSWER_BYTES_MAX as u64 + 1;
        (&mut self.stream).take(most).read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(io::Error::from(ErrorKind::UnexpectedEof));
        }
        let bad = |error: String| io::Error::new(ErrorKind::InvalidData, error);
        let line = String::from_utf8(line).map_err(|error| bad(error.to_string()))?;
        Event::from_line(&line).map_err(|error| bad(error.0))
    }
}
