//! A backup: one file with the whole state at one revision, that says what it holds and can be told from a damaged one.
//!
//! ```text
//!   "MAINSTAY-BACKUP\n" | format u16 | frame(what it holds) | frame(chunk of a snapshot)* | frame(end)
//!   frame: length u32 | chunk              chunk: as in a snapshot (`raft/snapshot.rs`): sequence, crc32c, body
//!   end: how many bytes stand before it, and their crc32c
//! ```
//! It is written from a snapshot of the database, so that entries go on being applied; it is read to its end before
//! anything is made of it.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use mainstay_protocol::{StationId, limits, record};
use mainstay_resource_graph::{View, ViewExt};
use thiserror::Error;

use crate::directory::Identity;
use crate::raft::{Chunks, Reading, stream_view};
use crate::records::{About, BackupEnd};
use crate::view::StoreView;

const MAGIC: &[u8; 16] = b"MAINSTAY-BACKUP\n";
/// The layout of the file; what a record in it looks like is said by the record.
const FORMAT: u16 = 1;
/// A chunk ends with the record that exceeds its size.
const FRAME_BYTES_MAX: usize = limits::SNAPSHOT_CHUNK_BYTES + limits::DECODE_BYTES_MAX;

/// Why a file cannot be restored.
#[derive(Debug, Error)]
pub enum BackupError {
    #[error("{doing} {}: {cause}", .path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        cause: io::Error,
    },
    #[error("{} is no backup of Mainstay: it does not begin like one", .0.display())]
    NotOne(PathBuf),
    #[error("{} is a backup of format {found}, and this build reads up to {FORMAT}: a newer build wrote it", .path.display())]
    Newer { path: PathBuf, found: u16 },
    #[error("{} is damaged at byte {at}: {what}; nothing of it can be trusted", .path.display())]
    Damaged {
        path: PathBuf,
        at: u64,
        what: String,
    },
    #[error("{} ends at byte {at}, before its end: it was not written whole, or was cut off; nothing of it can be trusted", .path.display())]
    CutOff { path: PathBuf, at: u64 },
}

/// A file that was read to its end and is whole.
#[derive(Debug)]
pub struct Backup {
    pub about: About,
    pub bytes: u64,
    path: PathBuf,
}

/// Writes a backup of what a view shows, piece by piece. Nothing, where no cluster is in it yet.
pub(crate) fn write(
    view: &StoreView<'_>,
    identity: &Identity,
    taken_ms: u64,
    send: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Option<About>> {
    let applied = view.applied();
    let (Some(cluster), Some(last)) = (view.cluster(), applied.last) else {
        return Ok(None);
    };
    let about = About {
        cluster: identity.cluster,
        name: cluster.name,
        epoch: cluster.epoch,
        station: StationId(identity.station.0),
        revision: view.revision(),
        last,
        log_time: applied.log_time,
        wall_ms: applied.wall_ms,
        taken_ms,
    };
    let mut out = Out {
        send,
        bytes: 0,
        crc: 0,
    };
    out.put(MAGIC)?;
    out.put(&FORMAT.to_be_bytes())?;
    out.frame(&Chunks::default().close(&record::encode(&about)))?;
    stream_view(view, identity.cluster, |chunk| out.frame(chunk))?;
    let end = BackupEnd {
        bytes: out.bytes,
        crc: out.crc,
    };
    out.frame(&Chunks::default().close(&record::encode(&end)))?;
    Ok(Some(about))
}

struct Out<S> {
    send: S,
    bytes: u64,
    crc: u32,
}

impl<S: FnMut(&[u8]) -> io::Result<()>> Out<S> {
    fn frame(&mut self, chunk: &[u8]) -> io::Result<()> {
        let length = u32::try_from(chunk.len()).map_err(io::Error::other)?;
        self.put(&length.to_be_bytes())?;
        self.put(chunk)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        (self.send)(bytes)
    }
}

impl Backup {
    /// Reads a file to its end.
    pub fn read(path: &Path) -> Result<Self, BackupError> {
        Self::pass(path, |_| Ok(()))
    }

    /// Hands on every chunk of the snapshot in it, and says whether all of it was whole.
    pub(crate) fn for_each_chunk(
        &self,
        each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), BackupError> {
        Self::pass(&self.path, each).map(|_| ())
    }

    fn pass(
        path: &Path,
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Self, BackupError> {
        let file = File::open(path).map_err(io_failed("opening", path))?;
        let mut input = Input {
            file: BufReader::with_capacity(64 * 1024, file),
            path,
            bytes: 0,
            crc: 0,
        };
        input.begins_like_one()?;
        let about = input.frame()?;
        let about: About = input.record(&about)?;
        let mut snapshot = Reading::default();
        while !snapshot.ended() {
            let chunk = input.frame()?;
            let taken = snapshot.take(&chunk, |_, _, _| {});
            taken.map_err(|error| input.damaged(&error))?;
            each(&chunk).map_err(io_failed("taking over", path))?;
        }
        let head = snapshot.finish().map_err(|error| input.damaged(&error))?;
        if head.cluster != about.cluster.to_string() {
            return Err(input.damaged(&"its parts are of two clusters"));
        }
        let (bytes, crc) = (input.bytes, input.crc);
        let end = input.frame()?;
        let end: BackupEnd = input.record(&end)?;
        if (end.bytes, end.crc) != (bytes, crc) {
            return Err(input.damaged(&"its end belongs to another file"));
        }
        if input.more()? {
            return Err(input.damaged(&"something follows its end"));
        }
        Ok(Self {
            about,
            bytes: input.bytes,
            path: path.to_owned(),
        })
    }
}

/// A file as it is read: where we are, and what was read so far.
struct Input<'p> {
    file: BufReader<File>,
    path: &'p Path,
    bytes: u64,
    crc: u32,
}

impl Input<'_> {
    fn begins_like_one(&mut self) -> Result<(), BackupError> {
        let mut magic = [0; MAGIC.len()];
        let begins = match self.file.read_exact(&mut magic) {
            Ok(()) => magic == *MAGIC,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
            Err(error) => return Err(io_failed("reading", self.path)(error)),
        };
        if !begins {
            return Err(BackupError::NotOne(self.path.to_owned()));
        }
        self.passed(&magic);
        let mut format = [0; 2];
        self.exact(&mut format)?;
        match u16::from_be_bytes(format) {
            FORMAT => Ok(()),
            found => Err(BackupError::Newer {
                path: self.path.to_owned(),
                found,
            }),
        }
    }

    fn frame(&mut self) -> Result<Vec<u8>, BackupError> {
        let mut length = [0; 4];
        self.exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(self.damaged(&format!("a part of {length} bytes, more than any has")));
        }
        // What a flipped bit says is not allocated before it is there.
        let mut chunk = Vec::new();
        let read = (&mut self.file)
            .take(length as u64)
            .read_to_end(&mut chunk)
            .map_err(io_failed("reading", self.path))?;
        self.passed(&chunk);
        match read == length {
            true => Ok(chunk),
            false => Err(self.cut_off()),
        }
    }

    /// The one record of a frame of its own.
    fn record<T: record::Record>(&self, chunk: &[u8]) -> Result<T, BackupError> {
        let mut chunks = Chunks::default();
        let body = chunks.open(chunk).map_err(|error| self.damaged(&error))?;
        record::decode(body, limits::DECODE_BYTES_MAX).map_err(|error| self.damaged(&error))
    }

    fn exact(&mut self, bytes: &mut [u8]) -> Result<(), BackupError> {
        match self.file.read_exact(bytes) {
            Ok(()) => {
                self.passed(bytes);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.cut_off()),
            Err(error) => Err(io_failed("reading", self.path)(error)),
        }
    }

    fn more(&mut self) -> Result<bool, BackupError> {
        let read = self.file.read(&mut [0]);
        read.map(|read| read > 0)
            .map_err(io_failed("reading", self.path))
    }

    fn passed(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
    }

    fn damaged(&self, what: &dyn std::fmt::Display) -> BackupError {
        BackupError::Damaged {
            path: self.path.to_owned(),
            at: self.bytes,
            what: what.to_string(),
        }
    }

    fn cut_off(&self) -> BackupError {
        BackupError::CutOff {
            path: self.path.to_owned(),
            at: self.bytes,
        }
    }
}

fn io_failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |cause| BackupError::Io { doing, path, cause }
}
