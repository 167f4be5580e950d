//! Files of this machine for a bundle: the ends of logs, and what is in a data directory, by name, size and mode alone.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use mainstay_api::Time;

/// Of each log: its newest part.
const TAIL_BYTES: u64 = 2 * 1024 * 1024;
/// Of one directory. A slot has a few files for each instance.
const ENTRIES_MAX: usize = 20_000;

/// The newest part of a log, from the beginning of a line.
pub fn tail(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(match (start, text.split_once('\n')) {
        (0, _) | (_, None) => text.into_owned(),
        (_, Some((_, whole))) => format!("(the {start} bytes before are left out)\n{whole}"),
    })
}

/// Those of a directory, in order.
pub fn logs(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut logs: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    logs.sort();
    logs
}

/// A name that stays one within the bundle.
pub fn plain(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || ".-_".contains(c) {
            c
        } else {
            '_'
        }
    };
    name.chars().map(plain).collect()
}

/// A line each: mode, owner, size, time of the last change, path. What they hold is not looked at.
pub fn listing(dir: &Path) -> String {
    let mut out = format!("{}\n", dir.display());
    let mut open = vec![dir.to_owned()];
    let mut count = 0;
    while let Some(next) = open.pop() {
        let entries = match fs::read_dir(&next) {
            Ok(entries) => entries,
            Err(error) => {
                // Writing to a text cannot fail.
                let _ = writeln!(out, "{}: {error}", next.display());
                continue;
            }
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            count += 1;
            if count > ENTRIES_MAX {
                let _ = writeln!(out, "(what is beyond {ENTRIES_MAX} is left out)");
                return out;
            }
            let _ = writeln!(out, "{}", line(&path));
            // Links are shown, and not followed.
            if fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir()) {
                open.push(path);
            }
        }
    }
    out
}

fn line(path: &Path) -> String {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) => return format!("{}: {error}", path.display()),
    };
    let changed = found.modified().ok();
    let changed = changed.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let changed = changed.map_or(0, |since| since.as_millis() as u64);
    format!(
        "{:06o} {:>5}:{:<5} {:>12} {} {}",
        found.mode(),
        found.uid(),
        found.gid(),
        found.len(),
        Time::from_wall_ms(changed),
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_has_sizes_and_modes_and_not_what_is_in_the_files() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("identity")).unwrap();
        fs::write(dir.path().join("identity/key.pem"), "hunter2").unwrap();
        let text = listing(dir.path());
        let line = text.lines().find(|line| line.ends_with("identity/key.pem"));
        let line = line.unwrap();
        assert!(line.starts_with("100") && line.contains(" 7 "), "{line}");
        assert!(!text.contains("hunter2"), "{text}");
        let gone = listing(Path::new("/nowhere/at/all"));
        assert!(gone.contains("No such file"), "{gone}");
    }

    #[test]
    fn the_end_of_a_log_begins_with_a_whole_line() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("s1.log");
        fs::write(&log, "one\ntwo\n").unwrap();
        assert_eq!(tail(&log).unwrap(), "one\ntwo\n");
        let long = "0123456789abcde\n".repeat(TAIL_BYTES as usize / 16 + 1);
        fs::write(&log, &long).unwrap();
        let end = tail(&log).unwrap();
        let mut lines = end.lines();
        assert!(lines.next().unwrap().contains("16 bytes before"));
        assert_eq!(lines.next(), Some("0123456789abcde"));
        assert_eq!(plain(Path::new("/a/x y.log")), "x_y.log");
        assert_eq!(logs(dir.path()), [log]);
    }
}
