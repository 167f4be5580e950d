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

    pub(super) fn hear(&mut self, piece: &[u8]) {
        for line in whole(&mut self.begun, piece) {
            self.tell(&line);
        }
    }

    fn tell(&self, line: &str) {
        tracing::info!(parent: &self.heard.within, by = self.heard.by, "{line}");
    }
}

impl Drop for Lines {
    /// Its last line may have no end.
    fn drop(&mut self) {
        if let Some(line) = taken(&mut self.begun) {
            self.tell(&line);
        }
    }
}

/// The lines that a piece ends; what it begins is kept. One that is longer than a log's lines is several.
fn whole(begun: &mut Vec<u8>, piece: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    for part in piece.split_inclusive(|byte| *byte == b'\n') {
        begun.extend_from_slice(part);
        if part.ends_with(b"\n") || begun.len() >= LOG_LINE_BYTES_MAX {
            lines.extend(taken(begun));
        }
    }
    lines
}

/// None of an empty line.
fn taken(begun: &mut Vec<u8>) -> Option<String> {
    let line = String::from_utf8_lossy(begun).trim_end().to_owned();
    begun.clear();
    Some(line).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_whole_however_they_come_and_long_ones_in_pieces() {
        let mut begun = Vec::new();
        assert!(whole(&mut begun, b"on").is_empty());
        assert_eq!(whole(&mut begun, b"e\n\n  two\r\nla"), ["one", "  two"]);
        let long = [b'x'; LOG_LINE_BYTES_MAX];
        let pieces = whole(&mut begun, &long);
        assert_eq!(pieces.len(), 1);
        assert!(pieces[0].starts_with("lax") && pieces[0].len() >= LOG_LINE_BYTES_MAX);
        assert_eq!(whole(&mut begun, b"last"), [] as [&str; 0]);
        assert_eq!(taken(&mut begun).as_deref(), Some("last"));
        assert_eq!(taken(&mut begun), None);
    }
}
