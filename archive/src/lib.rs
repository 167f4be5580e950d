//! # Archives: what is in one, within bounds
//!
//! Pure: bytes go in, files come out; whoever has them writes them. A station looks at an archive when it is put, an agent
//! unpacks it: both read it here, so what the one lets through the other unpacks.
//!
//! ```text
//!  bytes -> format by its first bytes -> tar | gzip of tar | zip -> path checked -> file, bounded
//! ```
//! What must hold: no path leaves the directory that it is unpacked into, and nothing but files and directories is in it: no links,
//! no devices. Files, directories, the bytes of their names and what they unpack to are counted as they are read, whatever
//! headers say.
#![forbid(unsafe_code)]

mod path;

use std::collections::BTreeSet;
use std::io::{self, Cursor, Read};

use flate2::read::MultiGzDecoder;
use mainstay_protocol::limits;
use thiserror::Error;

/// Why nobody unpacks it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadArchive {
    #[error("it is none of tar, tar.gz and zip")]
    NoArchive,
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    #[error("{path:?} {why}")]
    Path { path: String, why: &'static str },
    #[error("{path:?} is {what}, and only files and directories are unpacked")]
    Kind { path: String, what: &'static str },
    #[error("it has more than {most} {what}")]
    TooMuch { what: &'static str, most: u64 },
    /// Of whoever takes the files.
    #[error("{path}: {why}")]
    NotTaken { path: String, why: String },
}

/// Takes each file with its path, in which nothing is left to be checked.
pub type Take<'t> = &'t mut dyn FnMut(&str, &mut dyn Read) -> io::Result<()>;

/// The paths of its files, in order.
pub fn files(bytes: &[u8]) -> Result<Vec<String>, BadArchive> {
    let mut files = Vec::new();
    let listed = read(bytes, &mut |path, contents| {
        files.push(path.to_owned());
        io::copy(contents, &mut io::sink()).map(|_| ())
    });
    files.sort_unstable();
    listed.map(|()| files)
}

/// Every file of it, as it comes.
pub fn read(bytes: &[u8], take: Take<'_>) -> Result<(), BadArchive> {
    let mut walk = Walk::default();
    match bytes {
        [0x1f, 0x8b, ..] => tar(MultiGzDecoder::new(bytes), &mut walk, take),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => zip(bytes, &mut walk, take),
        _ if bytes.get(257..262) == Some(b"ustar") => tar(bytes, &mut walk, take),
        _ => Err(BadArchive::NoArchive),
    }
}

/// What was seen so far.
#[derive(Default)]
struct Walk {
    files: BTreeSet<String>,
    directories: BTreeSet<String>,
    names_bytes: usize,
    bytes: u64,
    entries: usize,
}

impl Walk {
    /// A path as it is unpacked; none of the directory itself.
    fn enter(&mut self, raw: &[u8], is_directory: bool) -> Result<Option<String>, BadArchive> {
        self.entries += 1;
        // One directory may be said often.
        if self.entries > 2 * limits::ARCHIVE_FILES_MAX {
            return Err(many("files, counting directories half"));
        }
        let Some(path) = path::checked(raw)? else {
            return Ok(None);
        };
        let bad = |why| BadArchive::Path {
            path: path.clone(),
            why,
        };
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        for directory in above {
            if self.files.contains(directory) {
                return Err(bad("is below a file"));
            }
            self.directory(directory)?;
        }
        if is_directory {
            if self.files.contains(&path) {
                return Err(bad("is a file and a directory"));
            }
            self.directory(&path)?;
            return Ok(Some(path));
        }
        if self.directories.contains(&path) {
            return Err(bad("is a file and a directory"));
        }
        if self.files.contains(&path) {
            return Err(bad("is in it twice"));
        }
        if self.files.len() >= limits::ARCHIVE_FILES_MAX {
            return Err(many("files"));
        }
        self.name(&path)?;
        self.files.insert(path.clone());
        Ok(Some(path))
    }

    /// One that an entry is, or is in: whoever says only the deepest has all above it made as well.
    fn directory(&mut self, path: &str) -> Result<(), BadArchive> {
        if self.directories.contains(path) {
            return Ok(());
        }
        if self.directories.len() >= limits::ARCHIVE_FILES_MAX {
            return Err(many("directories"));
        }
        self.name(path)?;
        self.directories.insert(path.to_owned());
        Ok(())
    }

    /// Each is kept until the whole was seen.
    fn name(&mut self, path: &str) -> Result<(), BadArchive> {
        self.names_bytes += path.len();
        if self.names_bytes > limits::ARCHIVE_NAMES_BYTES_MAX {
            let most = limits::ARCHIVE_NAMES_BYTES_MAX as u64;
            let what = "bytes of names";
            return Err(BadArchive::TooMuch { what, most });
        }
        Ok(())
    }

    /// Hands a file on, and counts what it really has.
    fn file(
        &mut self,
        path: &str,
        contents: &mut dyn Read,
        take: Take<'_>,
    ) -> Result<(), BadArchive> {
        let most = limits::ARCHIVE_BYTES_MAX;
        let mut counted = Counted {
            of: contents,
            left: most - self.bytes,
            failed: None,
        };
        let taken = take(path, &mut counted);
        // Whoever takes it may leave something: that counts as well.
        let taken = taken.and_then(|()| io::copy(&mut counted, &mut io::sink()).map(|_| ()));
        let (left, failed) = (counted.left, counted.failed);
        match (failed, taken) {
            (Some(Failed::TooMuch), _) => {
                let what = "bytes, unpacked";
                Err(BadArchive::TooMuch { what, most })
            }
            (Some(Failed::Broken(why)), _) => Err(BadArchive::Unreadable(format!("{path}: {why}"))),
            (None, Err(error)) => Err(BadArchive::NotTaken {
                path: path.to_owned(),
                why: error.to_string(),
            }),
            (None, Ok(())) => {
                self.bytes = most - left;
                Ok(())
            }
        }
    }
}

fn many(what: &'static str) -> BadArchive {
    let most = limits::ARCHIVE_FILES_MAX as u64;
    BadArchive::TooMuch { what, most }
}

/// Reads no more than is left for all files together.
struct Counted<'c> {
    of: &'c mut dyn Read,
    left: u64,
    failed: Option<Failed>,
}

enum Failed {
    TooMuch,
    Broken(String),
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let failed = |why: &str| Err(io::Error::other(why.to_owned()));
        if self.failed.is_some() {
            return failed("it was given up");
        }
        match self.of.read(into) {
            Ok(read) if read as u64 > self.left => {
                self.failed = Some(Failed::TooMuch);
                failed("it is too long")
            }
            Ok(read) => {
                self.left -= read as u64;
                Ok(read)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.failed = Some(Failed::Broken(error.to_string()));
                Err(error)
            }
        }
    }
}

/// A stream that is unpacked on the way: with its headers, and what fills them up, it is as long as this at most. A header's own
/// bytes are read whole.
const TAR_BYTES_MAX: u64 = limits::ARCHIVE_BYTES_MAX + 8 * 1024 * 1024;

fn tar(stream: impl Read, walk: &mut Walk, take: Take<'_>) -> Result<(), BadArchive> {
    let unreadable = |error: io::Error| BadArchive::Unreadable(error.to_string());
    let mut bounded = Bounded {
        of: stream,
        left: TAR_BYTES_MAX,
    };
    let mut archive = tar::Archive::new(&mut bounded);
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let raw = entry.path_bytes().into_owned();
        let shown = || String::from_utf8_lossy(&raw).into_owned();
        let refused = |what| {
            let path = shown();
            Err(BadArchive::Kind { path, what })
        };
        use tar::EntryType as Of;
        match entry.header().entry_type() {
            Of::Regular | Of::Continuous => {
                if let Some(path) = walk.enter(&raw, false)? {
                    walk.file(&path, &mut entry, take)?;
                }
            }
            Of::Directory => {
                walk.enter(&raw, true)?;
            }
            // What `git archive` says of the whole.
            Of::XGlobalHeader => {}
            Of::Symlink => return refused("a symbolic link"),
            Of::Link => return refused("a hard link"),
            Of::Char | Of::Block => return refused("a device"),
            Of::Fifo => return refused("a fifo"),
            _ => return refused("of a kind that nobody knows"),
        }
    }
    Ok(())
}

struct Bounded<R> {
    of: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.of.read(into)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => {
                self.left = left;
                Ok(read)
            }
            None => {
                let most = limits::ARCHIVE_BYTES_MAX;
                Err(io::Error::other(format!(
                    "it unpacks to more than {most} bytes"
                )))
            }
        }
    }
}

fn zip(bytes: &[u8], walk: &mut Walk, take: Take<'_>) -> Result<(), BadArchive> {
    let unreadable = |error: zip::result::ZipError| BadArchive::Unreadable(error.to_string());
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(unreadable)?;
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).map_err(unreadable)?;
        let raw = entry.name_raw().to_vec();
        let path = String::from_utf8_lossy(&raw).into_owned();
        /// The kind of file in a Unix mode.
        const KIND: u32 = 0o170_000;
        match entry.unix_mode().map_or(0, |mode| mode & KIND) {
            0 | 0o100_000 | 0o040_000 => {}
            0o120_000 => {
                let what = "a symbolic link";
                return Err(BadArchive::Kind { path, what });
            }
            _ => {
                let what = "no file";
                return Err(BadArchive::Kind { path, what });
            }
        }
        if entry.is_dir() {
            walk.enter(&raw, true)?;
        } else if let Some(path) = walk.enter(&raw, false)? {
            walk.file(&path, &mut entry, take)?;
        }
    }
    Ok(())
}
