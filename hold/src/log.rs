//! The log of one incarnation: `INCARNATION.log`, and `INCARNATION.log.N` for what was there before, N rising.
//!
//! A line is `2026-11-21T09:07:32.123456Z out text`; the tag of a piece of a longer line ends in '+'. A file that has
//! become long is renamed and the next begun, so nothing is lost and a reader that has it open still has it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{LogBounds, limits};

/// What writes it: the hold for its process, the agent for an actor.
pub struct Log {
    directory: PathBuf,
    /// `INCARNATION.log`.
    name: String,
    bounds: LogBounds,
    file: Option<File>,
    bytes: u64,
    /// The number that the present file will have when it is put aside.
    next: u64,
    /// What is written in one go.
    buffer: Vec<u8>,
    buffered_lines: u64,
    pub lines_lost: u64,
    /// Lines lost since it was last said in the log itself.
    unsaid: u64,
}

impl Log {
    pub fn begin(directory: &Path, incarnation: &str, bounds: LogBounds) -> io::Result<Self> {
        let name = format!("{incarnation}.log");
        let mut log = Self {
            directory: directory.to_owned(),
            next: next_number(directory, &name)?,
            name,
            bounds,
            file: None,
            bytes: 0,
            buffer: Vec::new(),
            buffered_lines: 0,
            lines_lost: 0,
            unsaid: 0,
        };
        remove_older(directory, &log.name);
        log.open()?;
        Ok(log)
    }

    /// One line, or a piece of one, without its end. It is in the file after `flush`.
    pub fn line(&mut self, now: SystemTime, tag: &str, text: &[u8]) {
        write_time(&mut self.buffer, now);
        self.buffer.push(b' ');
        self.buffer.extend_from_slice(tag.as_bytes());
        self.buffer.push(b' ');
        self.buffer.extend_from_slice(text);
        self.buffer.push(b'\n');
        self.buffered_lines += 1;
        if self.buffer.len() >= limits::PIPE_READ_BYTES {
            self.flush();
        }
    }

    /// A disk that takes nothing must not stop the process that writes: its lines are counted as lost, and that
    /// is said in the log as soon as it can be.
    pub fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let lines = std::mem::take(&mut self.buffered_lines);
        if self.try_flush().is_err() {
            self.lines_lost += lines;
            self.unsaid += lines;
            // Half a line may be there: what follows begins in a file of its own.
            self.file = None;
        }
        self.buffer.clear();
    }

    fn try_flush(&mut self) -> io::Result<()> {
        let full = self.bytes > 0 && self.bytes + self.buffer.len() as u64 > self.bounds.bytes_max;
        if full || self.file.is_none() {
            self.rotate()?;
        }
        if self.unsaid > 0 {
            let mut line = Vec::new();
            write_time(&mut line, SystemTime::now());
            writeln!(line, " hold {} lines were lost", self.unsaid)?;
            self.append(&line)?;
            self.unsaid = 0;
        }
        let buffer = std::mem::take(&mut self.buffer);
        let written = self.append(&buffer);
        self.buffer = buffer;
        written
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let present = self.directory.join(&self.name);
        if present.exists() {
            let aside = format!("{}.{}", self.name, self.next);
            fs::rename(&present, self.directory.join(aside))?;
            let older = u64::from(self.bounds.files_max) - 1;
            if let Some(oldest) = self.next.checked_sub(older) {
                // Gone already if somebody has tidied up.
                let _ = fs::remove_file(self.directory.join(format!("{}.{oldest}", self.name)));
            }
            self.next += 1;
        }
        self.open()
    }

    fn open(&mut self) -> io::Result<()> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(self.directory.join(&self.name))?;
        self.bytes = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }
}

fn next_number(directory: &Path, name: &str) -> io::Result<u64> {
    let mut next = 1;
    for entry in fs::read_dir(directory)? {
        let file = entry?.file_name();
        let number = file.to_str().and_then(|file| {
            file.strip_prefix(name)?
                .strip_prefix('.')?
                .parse::<u64>()
                .ok()
        });
        next = next.max(number.map_or(0, |number| number + 1));
    }
    Ok(next)
}

/// Keeps the newest files of older incarnations. What cannot be removed stays.
fn remove_older(directory: &Path, name: &str) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    let mut older: Vec<(SystemTime, PathBuf)> = entries
        .flatten()
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with(name))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    older.sort();
    let surplus = older.len().saturating_sub(limits::OLDER_LOGS_MAX);
    for (_, path) in older.into_iter().take(surplus) {
        let _ = fs::remove_file(path);
    }
}

/// RFC 3339 in UTC, to the microsecond.
fn write_time(to: &mut Vec<u8>, now: SystemTime) {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (year, month, day) = civil(since.as_secs() / 86_400);
    let second = since.as_secs() % 86_400;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let micros = since.subsec_micros();
    write!(
        to,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"
    )
    .expect("a Vec takes everything");
}

/// Days since 1970 as year, month, day. Years begin in March, so that the leap day is the last of one.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: u64) -> String {
        let mut text = Vec::new();
        write_time(&mut text, UNIX_EPOCH + Duration::from_secs(seconds));
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(time(951_827_696), "2000-02-29T12:34:56.000000Z");
        assert_eq!(time(1_709_251_199), "2024-02-29T23:59:59.000000Z");
        assert_eq!(time(4_107_542_400), "2100-03-01T00:00:00.000000Z");
    }

    #[test]
    fn a_long_log_is_rotated_without_a_hole_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let bounds = LogBounds {
            bytes_max: 2000,
            files_max: 3,
        };
        let mut log = Log::begin(dir.path(), "1", bounds).unwrap();
        for i in 0..1000 {
            log.line(SystemTime::now(), "out", format!("{i}").as_bytes());
            log.flush();
        }
        let mut files: Vec<(u64, PathBuf)> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                let number = path.extension().unwrap().to_str().unwrap().parse();
                (number.unwrap_or(u64::MAX), path)
            })
            .collect();
        files.sort();
        assert_eq!(files.len(), 3);
        let text: String = files
            .iter()
            .map(|(_, path)| fs::read_to_string(path).unwrap())
            .collect();
        assert!(
            files
                .iter()
                .all(|(_, path)| path.metadata().unwrap().len() <= 2000)
        );
        let seen: Vec<u64> = text
            .lines()
            .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        let first = seen[0];
        assert!(first > 0);
        assert_eq!(seen, (first..1000).collect::<Vec<_>>());
        assert_eq!(log.lines_lost, 0);
        drop(log);
        // Begun again, as after the death of its hold: the numbers go on.
        let mut log = Log::begin(dir.path(), "1", bounds).unwrap();
        for _ in 0..200 {
            log.line(SystemTime::now(), "out", b"again");
            log.flush();
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_disk_that_takes_nothing_loses_lines_and_says_so_when_it_takes_again() {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("log");
        fs::create_dir(&logs).unwrap();
        let bounds = LogBounds {
            bytes_max: 30,
            files_max: 3,
        };
        let mut log = Log::begin(&logs, "1", bounds).unwrap();
        log.line(SystemTime::now(), "out", b"one");
        log.flush();
        // The directory is away: the next file cannot be made.
        fs::rename(&logs, dir.path().join("away")).unwrap();
        for _ in 0..3 {
            log.line(SystemTime::now(), "out", b"lost");
            log.flush();
        }
        assert_eq!(log.lines_lost, 3);
        fs::rename(dir.path().join("away"), &logs).unwrap();
        log.line(SystemTime::now(), "err", b"two");
        log.flush();
        let text = fs::read_to_string(logs.join("1.log")).unwrap();
        assert!(text.contains("hold 3 lines were lost\n"), "{text}");
        assert!(text.ends_with(" err two\n"), "{text}");
    }

    #[test]
    fn older_incarnations_keep_a_bounded_number_of_files() {
        let dir = tempfile::tempdir().unwrap();
        for i in 0..40 {
            let mut log = Log::begin(dir.path(), &format!("i{i}"), LogBounds::default()).unwrap();
            log.line(SystemTime::now(), "out", b"hello");
            log.flush();
        }
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            limits::OLDER_LOGS_MAX + 1
        );
        assert!(dir.path().join("i39.log").exists() && dir.path().join("i38.log").exists());
    }
}
