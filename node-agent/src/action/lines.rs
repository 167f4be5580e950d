//! What an action writes, told line by line to whoever keeps a log of it.

use mainstay_hold::limits::LOG_LINE_BYTES_MAX;

use super::Heard;

pub(super) struct Lines {
    heard: Heard,
    /// Of a line without its end.
    begun: Vec<u8>,
}

impl Lines {
    pub(super) fn told(heard: Heard) -> Self {
        Self {
            heard,
            begun: Vec::new(),
        }
    }

    /// One that is longer than a log's lines is told in pieces.
    pub(super) fn hear(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(part);
            if part.ends_with(b"\n") || self.begun.len() >= LOG_LINE_BYTES_MAX {
                self.tell();
            }
        }
    }

    fn tell(&mut self) {
        let line = String::from_utf8_lossy(&self.begun);
        let line = line.trim_end();
        if !line.is_empty() {
            tracing::info!(parent: &self.heard.within, by = self.heard.by, "{line}");
        }
        self.begun.clear();
    }
}

impl Drop for Lines {
    /// Its last line may have no end.
    fn drop(&mut self) {
        self.tell();
    }
}
