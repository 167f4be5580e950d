//! The daemons' logs: kept within a bound, followed where somebody wants to see them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use mainstay_protocol::limits::DEV_LOG_BYTES_MAX;

use crate::text::one_line;

/// Begins a log anew that has grown too large; what was in it is kept once, beside it. The daemon writes on: its
/// file is opened for appending.
pub fn bound(log: &Path) -> io::Result<()> {
    if fs::metadata(log)?.len() <= DEV_LOG_BYTES_MAX {
        return Ok(());
    }
    fs::copy(log, log.with_extension("log.1"))?;
    OpenOptions::new().write(true).open(log)?.set_len(0)
}

/// What a daemon said last: its error with the reason, or else its last line.
pub fn last_words(log: &Path) -> Option<String> {
    const TAIL_BYTES: u64 = 8 * 1024;
    const ERROR_LINES: usize = 2;
    let mut file = File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))
        .ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<String> = text
        .lines()
        .map(one_line)
        .filter(|line| !line.is_empty())
        .collect();
    match lines.iter().rposition(|line| line.starts_with("error: ")) {
        Some(error) => Some(
            lines[error..]
                .iter()
                .take(ERROR_LINES)
                .cloned()
                .collect::<Vec<_>>()
                .join("; "),
        ),
        None => lines.last().cloned(),
    }
}

/// What was written to a log since it was last looked at.
#[derive(Debug)]
pub struct Follower {
    name: String,
    log: PathBuf,
    seen: u64,
}

impl Follower {
    pub fn new(name: &str, log: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            log,
            seen: 0,
        }
    }

    /// Whole lines, led by the daemon's name.
    pub fn new_lines(&mut self) -> Vec<String> {
        const LOOK_BYTES_MAX: u64 = 256 * 1024;
        let Ok(mut file) = File::open(&self.log) else {
            return Vec::new();
        };
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        if length < self.seen {
            self.seen = 0;
        }
        let mut bytes = Vec::new();
        let read = file
            .seek(SeekFrom::Start(self.seen))
            .and_then(|_| file.take(LOOK_BYTES_MAX).read_to_end(&mut bytes));
        if read.is_err() {
            return Vec::new();
        }
        let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        self.seen += end as u64 + 1;
        String::from_utf8_lossy(&bytes[..end])
            .lines()
            .map(|line| format!("{} | {}", self.name, one_line(line)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_log_is_followed_line_by_line_and_begins_anew_when_it_is_too_large() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("n1.log");
        let mut writer = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let mut follower = Follower::new("n1", log.clone());
        writer.write_all(b"one\ntwo\nthr").unwrap();
        assert_eq!(follower.new_lines(), ["n1 | one", "n1 | two"]);
        writer.write_all(b"ee\n").unwrap();
        assert_eq!(follower.new_lines(), ["n1 | three"]);
        assert_eq!(last_words(&log).as_deref(), Some("three"));
        writer
            .write_all(b"error: no\n  why: because\n  do:  x\n")
            .unwrap();
        assert_eq!(last_words(&log).as_deref(), Some("error: no; why: because"));
        follower.new_lines();

        writer
            .write_all(&vec![b'x'; DEV_LOG_BYTES_MAX as usize])
            .unwrap();
        bound(&log).unwrap();
        assert_eq!(fs::metadata(&log).unwrap().len(), 0);
        writer.write_all(b"four\n").unwrap();
        assert_eq!(follower.new_lines(), ["n1 | four"]);
        assert!(directory.path().join("n1.log.1").exists());
    }
}
