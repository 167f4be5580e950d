//! Pages of what an incarnation wrote, from the files that its hold keeps in the slot.
//!
//! A file that is put aside gets the next number, for good: so a place is a file's number and an offset in it, and the
//! file that is being written has the number that it will get.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use mainstay_protocol::request::{LogOf, LogPage, LogPlace};
use mainstay_protocol::{Epoch, Incarnation, Revision, limits};

use crate::held::file_name;

/// Looks again when a file was put aside while we looked; each time some megabytes were written meanwhile.
const LOOKS_MAX: usize = 8;

/// The next page; none: no incarnation that was asked for has a log.
pub(crate) fn page(
    directory: &Path,
    of: LogOf,
    incarnation: Incarnation,
    from: Option<LogPlace>,
) -> io::Result<Option<LogPage>> {
    let incarnation = match of {
        LogOf::This => incarnation,
        LogOf::Before => match before(directory, incarnation)? {
            Some(before) => before,
            None => return Ok(None),
        },
    };
    for _ in 0..LOOKS_MAX {
        let files = files(directory, incarnation)?;
        let Some((oldest, _)) = files.first_key_value() else {
            return Ok(None);
        };
        let wanted = from.unwrap_or(LogPlace {
            file: *oldest,
            offset: 0,
        });
        let gap = wanted.file < *oldest;
        let place = match gap {
            true => LogPlace {
                file: *oldest,
                offset: 0,
            },
            false => wanted,
        };
        let Some((text, next, end)) = read(&files, place)? else {
            continue;
        };
        // Put aside meanwhile: what was opened may have been the file after the one that was meant.
        if self::files(directory, incarnation)? != files {
            continue;
        }
        return Ok(Some(LogPage {
            incarnation,
            text,
            next,
            end,
            gap,
        }));
    }
    Err(io::Error::new(
        ErrorKind::ResourceBusy,
        "its log is put aside faster than it can be read",
    ))
}

/// The page of a log of which nothing is written yet.
pub(crate) fn nothing_yet(incarnation: Incarnation, from: Option<LogPlace>) -> LogPage {
    LogPage {
        incarnation,
        text: String::new(),
        next: from.unwrap_or(LogPlace { file: 1, offset: 0 }),
        end: true,
        gap: false,
    }
}

/// The newest one of the same placement that is older and has a log.
fn before(directory: &Path, incarnation: Incarnation) -> io::Result<Option<Incarnation>> {
    let older = names(directory)?
        .iter()
        .filter_map(|name| parse(name.split('.').next()?))
        .filter(|other| {
            let same = (other.epoch, other.created) == (incarnation.epoch, incarnation.created);
            same && other.count < incarnation.count
        })
        .max();
    Ok(older)
}

fn parse(name: &str) -> Option<Incarnation> {
    let mut parts = name.split('-').map(str::parse::<u64>);
    let incarnation = Incarnation {
        epoch: Epoch(parts.next()?.ok()?),
        created: Revision(parts.next()?.ok()?),
        count: parts.next()?.ok()?,
    };
    parts.next().is_none().then_some(incarnation)
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

/// By their numbers.
fn files(directory: &Path, incarnation: Incarnation) -> io::Result<BTreeMap<u64, PathBuf>> {
    let present = format!("{}.log", file_name(incarnation));
    let mut files = BTreeMap::new();
    let mut is_written = false;
    for name in names(directory)? {
        let Some(rest) = name.strip_prefix(&present) else {
            continue;
        };
        if rest.is_empty() {
            is_written = true;
        } else if let Some(number) = rest.strip_prefix('.').and_then(|n| n.parse().ok()) {
            files.insert(number, directory.join(&name));
        }
    }
    if is_written {
        let next = files.last_key_value().map_or(1, |(newest, _)| newest + 1);
        files.insert(next, directory.join(present));
    }
    Ok(files)
}

/// Whole lines, the place behind them, and whether that is the end. None: a file went away.
fn read(
    files: &BTreeMap<u64, PathBuf>,
    from: LogPlace,
) -> io::Result<Option<(String, LogPlace, bool)>> {
    let mut place = from;
    loop {
        let Some(path) = files.get(&place.file) else {
            // Nothing was written there yet.
            return Ok(Some((String::new(), place, true)));
        };
        let bytes = match read_at(path, place.offset) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        let is_last = files
            .last_key_value()
            .is_some_and(|(last, _)| *last == place.file);
        let lines = whole_lines(&bytes, is_last);
        place.offset += lines as u64;
        if lines == 0 && !is_last {
            place = LogPlace {
                file: place.file + 1,
                offset: 0,
            };
            continue;
        }
        let end = is_last && bytes.len() < limits::LOG_PAGE_BYTES_MAX;
        let text = String::from_utf8_lossy(&bytes[..lines]).into_owned();
        return Ok(Some((text, place, end)));
    }
}

fn read_at(path: &Path, offset: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(limits::LOG_PAGE_BYTES_MAX as u64)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The last line of a file that was put aside may have been cut by a full disk: it is taken as it is.
fn whole_lines(bytes: &[u8], is_last: bool) -> usize {
    match bytes.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => end + 1,
        None if is_last && bytes.len() < limits::LOG_PAGE_BYTES_MAX => 0,
        None => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incarnation(count: u64) -> Incarnation {
        Incarnation {
            epoch: Epoch(1),
            created: Revision(7),
            count,
        }
    }

    fn all(directory: &Path, count: u64) -> (String, bool, LogPlace) {
        let (mut text, mut gap, mut from) = (String::new(), false, None);
        loop {
            let page = page(directory, LogOf::This, incarnation(count), from)
                .unwrap()
                .unwrap();
            text.push_str(&page.text);
            gap |= page.gap;
            if page.end {
                return (text, gap, page.next);
            }
            from = Some(page.next);
        }
    }

    #[test]
    fn pages_go_from_file_to_file_and_on_with_what_is_written_later() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        let long: String = (0..10_000).map(|i| format!("old {i}\n")).collect();
        assert!(long.len() > limits::LOG_PAGE_BYTES_MAX);
        write("1-7-3.log.4", &long);
        write("1-7-3.log", "new 0\nhalf a li");
        write("1-7-30.log", "another one\n");
        let (text, gap, next) = all(dir.path(), 3);
        assert_eq!(text, format!("{long}new 0\n"));
        assert!(!gap);
        assert_eq!(next, LogPlace { file: 5, offset: 6 });
        // It goes on, and is put aside: the place still means the same.
        write("1-7-3.log.5", "new 0\nhalf a line\n");
        write("1-7-3.log", "newer\n");
        let page = page(dir.path(), LogOf::This, incarnation(3), Some(next))
            .unwrap()
            .unwrap();
        assert_eq!((page.text.as_str(), page.end), ("half a line\n", false));
        let page = super::page(dir.path(), LogOf::This, incarnation(3), Some(page.next));
        assert_eq!(page.unwrap().unwrap().text, "newer\n");
        // What is gone is said.
        fs::remove_file(dir.path().join("1-7-3.log.4")).unwrap();
        let first = LogPlace { file: 4, offset: 0 };
        let page = super::page(dir.path(), LogOf::This, incarnation(3), Some(first));
        assert!(page.unwrap().unwrap().gap);
    }

    #[test]
    fn the_one_before_is_the_newest_older_one_of_the_same_placement() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "1-7-1.log",
            "1-7-2.log.1",
            "1-8-4.log",
            "hand-12.log",
            "1-7-5.log",
        ] {
            fs::write(dir.path().join(name), format!("{name}\n")).unwrap();
        }
        let before = |count| page(dir.path(), LogOf::Before, incarnation(count), None).unwrap();
        assert_eq!(before(5).unwrap().incarnation, incarnation(2));
        assert_eq!(before(2).unwrap().text, "1-7-1.log\n");
        assert_eq!(before(1), None);
        let none = page(dir.path(), LogOf::This, incarnation(4), None).unwrap();
        assert_eq!(none, None);
        let none = page(&dir.path().join("none"), LogOf::This, incarnation(4), None).unwrap();
        assert_eq!(none, None);
    }
}
