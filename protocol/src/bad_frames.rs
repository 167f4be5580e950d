//! Frames that could not be read: counted, and the last few kept with their peer's name for inspection.

use std::collections::VecDeque;

use crate::frame::Frame;
use crate::limits;

/// What one peer sent that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadFrames {
    peer: String,
    total: u64,
    kept: VecDeque<BadFrame>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadFrame {
    /// None where not even the header could be read.
    pub kind: Option<u16>,
    pub why: String,
    /// How long the body was.
    pub bytes: usize,
    /// The body's first bytes.
    pub head: Vec<u8>,
}

impl BadFrames {
    pub fn of(peer: impl Into<String>) -> Self {
        Self {
            peer: peer.into(),
            total: 0,
            kept: VecDeque::new(),
        }
    }

    /// A frame whose body could not be read.
    pub fn undecodable(&mut self, frame: &Frame, why: impl ToString) {
        let head = &frame.body[..frame.body.len().min(limits::BAD_FRAME_KEPT_BYTES)];
        self.keep(BadFrame {
            kind: Some(frame.kind),
            why: why.to_string(),
            bytes: frame.body.len(),
            head: head.to_vec(),
        });
    }

    /// Bytes that are no frame.
    pub fn broken(&mut self, why: impl ToString) {
        self.keep(BadFrame {
            kind: None,
            why: why.to_string(),
            bytes: 0,
            head: Vec::new(),
        });
    }

    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// All there ever were.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The last ones, oldest first.
    pub fn kept(&self) -> impl Iterator<Item = &BadFrame> {
        self.kept.iter()
    }

    fn keep(&mut self, frame: BadFrame) {
        self.total += 1;
        if self.kept.len() == limits::BAD_FRAMES_KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_bad_frames_are_kept_and_all_are_counted() {
        let mut bad = BadFrames::of("n1");
        for number in 0..100 {
            bad.broken(number);
        }
        assert_eq!(bad.total(), 100);
        assert_eq!(bad.kept().count(), limits::BAD_FRAMES_KEPT_MAX);
        assert_eq!(
            bad.kept().last().map(|frame| frame.why.as_str()),
            Some("99")
        );
    }
}
