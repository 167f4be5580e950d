//! A look at RocksDB's write-ahead logs before it opens them: is the end torn, or is something damaged?
//!
//! RocksDB's default recovery stops at the first bad record and silently drops everything behind it, which is right
//! for a torn tail and wrong for a flipped bit in the middle. So the records are read here first, by their
//! checksums. Nothing whole behind the bad place, in its file or a later one: a write was under way when the power
//! went, and what is torn is cut off, in later files too. Something whole behind it: that was written later, perhaps
//! acknowledged; opening is refused. It may also be pages of the unsynced tail that the kernel wrote out of order
//! before the power went. Those look the same: the last sync leaves no mark that is itself sure to be on disk, short
//! of a second sync for each. So it is not guessed (`docs/semantics.md`, Power loss).
//!
//! A file is blocks of 32 KiB; a record is `crc32c u32 masked | length u16 | type u8 | bytes`, little-endian, never
//! across blocks: a longer one is First, Middle.., Last.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

const BLOCK: usize = 32 * 1024;
const HEADER: usize = 7;

const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;
/// Types with this bit may be skipped by who does not know them.
const IGNORABLE: u8 = 1 << 7;

/// What was found in all logs together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Whole,
    /// A log's end is not whole, and nothing whole follows: what is to be cut, oldest first. Later logs are
    /// among them where they hold torn bytes of their own.
    Torn(Vec<Tear>),
    /// Something whole follows a bad place.
    Damaged {
        file: PathBuf,
        at: u64,
    },
}

/// Where the last whole record ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tear {
    pub file: PathBuf,
    pub whole_bytes: u64,
    pub torn_bytes: u64,
}

impl Tear {
    /// Cuts the torn end off, durably.
    pub(crate) fn cut(&self) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(&self.file)?;
        file.set_len(self.whole_bytes)?;
        file.sync_all()
    }
}

/// Reads every log of a database. A database that is not there has none.
pub(crate) fn examine(database: &Path) -> io::Result<Verdict> {
    let mut torn: Vec<Tear> = Vec::new();
    for file in logs(database)? {
        let bytes = fs::read(&file)?;
        let scan = scan(&bytes);
        if let Some(tear) = torn.first()
            && scan.records > 0
        {
            return Ok(Verdict::Damaged {
                file: tear.file.clone(),
                at: tear.whole_bytes,
            });
        }
        match scan.bad {
            None => {}
            Some(bad) if whole_behind(&bytes, bad) => {
                return Ok(Verdict::Damaged {
                    file,
                    at: bad as u64,
                });
            }
            Some(_) => torn.push(Tear {
                file,
                whole_bytes: scan.whole as u64,
                torn_bytes: (bytes.len() - scan.whole) as u64,
            }),
        }
    }
    Ok(match torn.is_empty() {
        true => Verdict::Whole,
        false => Verdict::Torn(torn),
    })
}

/// The write-ahead logs, oldest first.
pub(crate) fn logs(database: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(database) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut logs = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        if let Some(number) = number
            && path.extension().is_some_and(|extension| extension == "log")
        {
            logs.push((number, path));
        }
    }
    logs.sort();
    Ok(logs.into_iter().map(|(_, path)| path).collect())
}

/// What stands behind the first bad place, in words, a line for each log: it is not read any more.
pub(crate) fn lost(database: &Path) -> io::Result<Vec<String>> {
    let mut lost = Vec::new();
    let mut damaged = false;
    for file in logs(database)? {
        let bytes = fs::read(&file)?;
        let scan = scan(&bytes);
        let behind = scan.bad.map_or(0, |bad| starts(&bytes, bad));
        let (whole, writes) = match (damaged, scan.bad) {
            (true, _) => (0, scan.records + behind),
            (false, Some(_)) => (scan.whole, behind),
            (false, None) => continue,
        };
        damaged = true;
        if bytes.is_empty() {
            continue;
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        lost.push(format!(
            "{} bytes of the write-ahead log {name}, from byte {whole} on, with {writes} whole writes in them",
            bytes.len() - whole
        ));
    }
    Ok(lost)
}

/// How many records begin behind a bad place.
fn starts(bytes: &[u8], bad: usize) -> u64 {
    let mut at = bad + 1;
    let mut starts = 0;
    while at < bytes.len() {
        match fragment(bytes, at) {
            Some((kind, end)) if end > at + HEADER => {
                starts += u64::from(matches!(kind, FULL | FIRST));
                at = end;
            }
            _ => at += 1,
        }
    }
    starts
}

struct Scan {
    /// Where the last whole record ends.
    whole: usize,
    records: u64,
    /// Where the first bytes are that are no record.
    bad: Option<usize>,
}

fn scan(bytes: &[u8]) -> Scan {
    let mut scan = Scan {
        whole: 0,
        records: 0,
        bad: None,
    };
    let mut at = 0;
    let mut started = false;
    while at < bytes.len() {
        let left = BLOCK - at % BLOCK;
        if left < HEADER {
            // The rest of a block that has no room for a header is zeros.
            at += left;
            continue;
        }
        let Some((kind, end)) = fragment(bytes, at) else {
            scan.bad = Some(at);
            return scan;
        };
        let fits = match kind {
            FULL | FIRST => !started,
            MIDDLE | LAST => started,
            _ => true,
        };
        if !fits {
            scan.bad = Some(at);
            return scan;
        }
        at = end;
        match kind {
            FIRST => started = true,
            MIDDLE => {}
            FULL | LAST => {
                started = false;
                scan.whole = at;
                scan.records += 1;
            }
            _ if !started => scan.whole = at,
            _ => {}
        }
    }
    if started {
        scan.bad = Some(bytes.len());
    }
    scan
}

/// The type and end of the whole fragment that begins here.
fn fragment(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let header = bytes.get(at..at + HEADER)?;
    let stored = u32::from_le_bytes(header[..4].try_into().ok()?);
    let length = usize::from(u16::from_le_bytes(header[4..6].try_into().ok()?));
    let kind = header[6];
    let known = matches!(kind, FULL..=LAST | 9 | 10) || kind & IGNORABLE != 0;
    let end = at + HEADER + length;
    if !known || end > (at / BLOCK + 1) * BLOCK {
        return None;
    }
    let checked = bytes.get(at + 6..end)?;
    (masked(crc32c::crc32c(checked)) == stored).then_some((kind, end))
}

/// RocksDB stores checksums of bytes that may hold checksums in another form.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Whether any whole record stands behind a bad place: anywhere in its block, then from each next block on.
fn whole_behind(bytes: &[u8], bad: usize) -> bool {
    let block_end = ((bad / BLOCK + 1) * BLOCK).min(bytes.len());
    if (bad + 1..block_end).any(|at| begins_record(bytes, at)) {
        return true;
    }
    (block_end..bytes.len()).step_by(BLOCK).any(|start| {
        let end = (start + BLOCK).min(bytes.len());
        let mut at = start;
        while at + HEADER <= end {
            if begins_record(bytes, at) {
                return true;
            }
            match fragment(bytes, at) {
                Some((_, next)) => at = next,
                None => break,
            }
        }
        false
    })
}

/// A Full, or a First: the start of something written after what is bad. A Middle or Last may belong to it.
fn begins_record(bytes: &[u8], at: usize) -> bool {
    matches!(fragment(bytes, at), Some((FULL | FIRST, end)) if end > at + HEADER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(bytes: &mut Vec<u8>, kind: u8, body: &[u8]) {
        let mut checked = vec![kind];
        checked.extend(body);
        bytes.extend(masked(crc32c::crc32c(&checked)).to_le_bytes());
        bytes.extend(u16::try_from(body.len()).unwrap().to_le_bytes());
        bytes.extend(checked);
    }

    fn three() -> (Vec<u8>, [usize; 3]) {
        let mut bytes = Vec::new();
        let mut ends = [0; 3];
        for end in &mut ends {
            push(&mut bytes, FULL, b"a batch");
            *end = bytes.len();
        }
        (bytes, ends)
    }

    #[test]
    fn whole_records_are_whole() {
        let (bytes, ends) = three();
        let scan = scan(&bytes);
        assert_eq!((scan.whole, scan.records, scan.bad), (ends[2], 3, None));
    }

    #[test]
    fn a_cut_end_is_a_torn_tail_at_every_length() {
        let (bytes, ends) = three();
        for length in ends[1] + 1..ends[2] {
            let scan = scan(&bytes[..length]);
            assert_eq!((scan.whole, scan.bad), (ends[1], Some(ends[1])), "{length}");
            assert!(!whole_behind(&bytes[..length], ends[1]));
        }
    }

    #[test]
    fn a_flipped_byte_before_the_last_record_is_damage_wherever_it_is() {
        let (bytes, ends) = three();
        for at in 0..ends[1] {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x40;
            let bad = scan(&bytes).bad.expect("a checksum covers every byte");
            assert!(whole_behind(&bytes, bad), "{at}");
        }
    }

    /// The verdict on logs of these bytes, with each tear as (file, whole, torn).
    fn verdict_on(logs: &[&[u8]]) -> Option<Vec<(String, u64, u64)>> {
        let dir = tempfile::tempdir().unwrap();
        for (number, bytes) in (1..).zip(logs) {
            fs::write(dir.path().join(format!("{number:06}.log")), bytes).unwrap();
        }
        let torn = match examine(dir.path()).unwrap() {
            Verdict::Whole => Vec::new(),
            Verdict::Torn(torn) => torn,
            Verdict::Damaged { .. } => return None,
        };
        for tear in &torn {
            tear.cut().unwrap();
        }
        assert_eq!(examine(dir.path()).unwrap(), Verdict::Whole, "once cut");
        let name = |file: &Path| file.file_name().unwrap().to_str().unwrap().to_owned();
        let told = |tear: &Tear| (name(&tear.file), tear.whole_bytes, tear.torn_bytes);
        Some(torn.iter().map(told).collect())
    }

    #[test]
    fn every_torn_log_is_cut_as_long_as_nothing_whole_follows_the_first() {
        let (whole, ends) = three();
        let end = ends[2] as u64;
        let torn = [&whole[..], &whole[..9]].concat();
        let (one, two) = ("000001.log".to_owned(), "000002.log".to_owned());
        let first = (one, end, 9);
        assert_eq!(verdict_on(&[&whole, &[]]), Some(vec![]));
        assert_eq!(verdict_on(&[&torn, &[]]), Some(vec![first.clone()]));
        assert_eq!(
            verdict_on(&[&torn, &whole[..5]]),
            Some(vec![first.clone(), (two.clone(), 0, 5)])
        );
        assert_eq!(
            verdict_on(&[&torn, &[], &whole[..5]]),
            Some(vec![first, ("000003.log".to_owned(), 0, 5)])
        );
        assert_eq!(verdict_on(&[&whole, &torn]), Some(vec![(two, end, 9)]));
        assert_eq!(verdict_on(&[&torn, &whole]), None, "a whole record behind");
        assert_eq!(verdict_on(&[&torn, &torn]), None);
        assert_eq!(verdict_on(&[&torn, &[], &whole]), None);
        let behind_a_gap = [&[0; 9][..], &whole].concat();
        assert_eq!(verdict_on(&[&torn, &behind_a_gap]), None);
    }

    #[test]
    fn a_long_record_without_its_end_is_cut_from_its_start() {
        let mut bytes = Vec::new();
        push(&mut bytes, FULL, b"before");
        let whole = bytes.len();
        let room = BLOCK - whole - HEADER;
        push(&mut bytes, FIRST, &vec![1; room]);
        let scan = scan(&bytes);
        assert_eq!((scan.whole, scan.bad), (whole, Some(BLOCK)));
        assert!(!whole_behind(&bytes, BLOCK));
    }
}
