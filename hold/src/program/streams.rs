//! A process's output: read as far as there is any, cut into lines, logged. A process that writes faster than the
//! disk takes it waits in its pipe.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::SystemTime;

use mainstay_hold::{Log, limits};
use rustix::io::ioctl_fionbio;

/// What one turn of reading came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// There was something; there may be more.
    Read,
    Empty,
    /// Nobody can write any more.
    End,
}

/// One of the two outputs.
pub struct Stream {
    pipe: PipeReader,
    tag: &'static str,
    /// A line without its end yet.
    partial: Vec<u8>,
    tail: Option<Tail>,
}

/// Waits for a text in a line of output.
pub struct LineWatch {
    text: Option<Vec<u8>>,
    pub seen: bool,
}

/// The last bytes of a stream.
#[derive(Default)]
struct Tail(VecDeque<u8>);

impl Stream {
    pub fn new(pipe: PipeReader, tag: &'static str) -> io::Result<Self> {
        ioctl_fionbio(&pipe, true)?;
        Ok(Self {
            pipe,
            tag,
            partial: Vec::new(),
            tail: None,
        })
    }

    #[must_use]
    pub fn with_tail(mut self) -> Self {
        self.tail = Some(Tail::default());
        self
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    pub fn tail(&self) -> String {
        let bytes: Vec<u8> = self.tail.iter().flat_map(|tail| &tail.0).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// One buffer full; what was read is in the log's file afterwards.
    pub fn turn(&mut self, buffer: &mut [u8], log: &mut Log, watch: &mut LineWatch) -> Turn {
        let count = match self.pipe.read(buffer) {
            Ok(0) => return Turn::End,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Turn::Read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Turn::Empty,
            Err(_) => return Turn::End,
        };
        let bytes = &buffer[..count];
        if let Some(tail) = &mut self.tail {
            tail.push(bytes);
        }
        let now = SystemTime::now();
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            self.take(&rest[..at], now, log);
            self.end_line(now, log, watch);
            rest = &rest[at + 1..];
        }
        self.take(rest, now, log);
        log.flush();
        Turn::Read
    }

    /// What was left without a line's end.
    pub fn finish(&mut self, log: &mut Log, watch: &mut LineWatch) {
        if !self.partial.is_empty() {
            self.end_line(SystemTime::now(), log, watch);
            log.flush();
        }
    }

    fn take(&mut self, mut bytes: &[u8], now: SystemTime, log: &mut Log) {
        while self.partial.len() + bytes.len() > limits::LOG_LINE_BYTES_MAX {
            let (piece, rest) = bytes.split_at(limits::LOG_LINE_BYTES_MAX - self.partial.len());
            self.partial.extend_from_slice(piece);
            log.line(now, &format!("{}+", self.tag), &self.partial);
            self.partial.clear();
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
    }

    fn end_line(&mut self, now: SystemTime, log: &mut Log, watch: &mut LineWatch) {
        watch.look(&self.partial);
        log.line(now, self.tag, &self.partial);
        self.partial.clear();
    }
}

impl LineWatch {
    pub fn new(text: Option<&str>) -> Self {
        Self {
            text: text.map(|text| text.as_bytes().to_vec()),
            seen: false,
        }
    }

    fn look(&mut self, line: &[u8]) {
        if let Some(text) = &self.text
            && (text.is_empty() || line.windows(text.len()).any(|part| part == text))
        {
            self.seen = true;
            self.text = None;
        }
    }
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        let most = limits::STDERR_TAIL_BYTES;
        let bytes = &bytes[bytes.len().saturating_sub(most)..];
        let surplus = (self.0.len() + bytes.len()).saturating_sub(most);
        self.0.drain(..surplus);
        self.0.extend(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::{fs, thread};

    use super::*;
    use mainstay_hold::LogBounds;

    #[test]
    fn lines_long_lines_and_a_last_one_without_end_are_logged() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::begin(dir.path(), "1", LogBounds::default()).unwrap();
        let mut watch = LineWatch::new(Some("ready to"));
        let (reader, mut writer) = io::pipe().unwrap();
        let mut stream = Stream::new(reader, "err").unwrap().with_tail();
        let long = "x".repeat(2 * limits::LOG_LINE_BYTES_MAX + 5);
        let text = format!("first\n\n{long}\nnow ready to go\nlast");
        let writing = thread::spawn(move || writer.write_all(text.as_bytes()).unwrap());
        let mut buffer = [0; 1000];
        while stream.turn(&mut buffer, &mut log, &mut watch) != Turn::End {}
        writing.join().unwrap();
        assert!(watch.seen);
        stream.finish(&mut log, &mut watch);
        let text = fs::read_to_string(dir.path().join("1.log")).unwrap();
        let lines: Vec<(&str, usize)> = text
            .lines()
            .map(|line| {
                let mut parts = line.splitn(3, ' ').skip(1);
                (parts.next().unwrap(), parts.next().unwrap().len())
            })
            .collect();
        let most = limits::LOG_LINE_BYTES_MAX;
        let expected = [
            ("err", 5),
            ("err", 0),
            ("err+", most),
            ("err+", most),
            ("err", 5),
            ("err", 15),
            ("err", 4),
        ];
        assert_eq!(lines, expected);
        assert_eq!(stream.tail().len(), limits::STDERR_TAIL_BYTES);
        assert!(stream.tail().ends_with("xx\nnow ready to go\nlast"));
    }
}
