//! Snapshots: a checkpoint of the database (hard links to its files, so its cost does not grow with the state),
//! and the stream of the state families made from one when another station needs it.
//!
//! ```text
//!   chunk: sequence u32 | crc32c u32 | body        body: head record | (family u8, key, value)* | end record
//! ```
//! Keys in the stream are without their generation: the receiver writes them under a fresh one beside its old
//! state, and switches to it in one synced batch when the end has come.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_protocol::record::Record;
use mainstay_protocol::{ClusterId, limits, record};
use rocksdb::WriteBatch;
use rocksdb::checkpoint::Checkpoint;

use super::convert;
use super::{Snapshot, SnapshotMeta};
use crate::db::{self, Db};
use crate::directory::sync_directory;
use crate::error::io_error;
use crate::keys::{self, Generation};
use crate::records::{Applied, LogPoint, SnapshotEnd, SnapshotHead, SnapshotPoint};
use crate::view::StoreView;

const GENERATION_BYTES: usize = 4;
const CHUNK_HEADER: usize = 8;

/// A handle to a snapshot.
#[derive(Debug, Clone)]
pub(crate) enum StateSnapshot {
    /// Ours: the directory of its checkpoint.
    Checkpoint {
        directory: PathBuf,
        cluster: ClusterId,
        /// How far it reaches.
        last: Option<LogPoint>,
    },
    /// Another station's: the file its stream was kept in, chunk after chunk with its length in front.
    Received { file: PathBuf },
}

/// Where a database keeps its snapshots.
#[derive(Clone)]
pub(crate) struct Snapshots {
    pub(crate) db: Db,
    pub(crate) root: PathBuf,
    pub(crate) cluster: ClusterId,
}

impl Snapshots {
    pub(super) fn take(&self) -> io::Result<Snapshot> {
        Ok(self.handle(&self.keep()?))
    }

    /// Makes a checkpoint of what is applied now, remembers it durably, and removes the older ones.
    pub(crate) fn keep(&self) -> io::Result<SnapshotPoint> {
        fs::create_dir_all(&self.root)?;
        let aside = self.root.join("new");
        remove(&aside)?;
        let before: Option<Applied> = self.db.record(db::META, db::META_APPLIED)?;
        Checkpoint::new(self.db.raw())
            .and_then(|checkpoint| checkpoint.create_checkpoint(&aside))
            .map_err(io_error)?;
        // Entries went on being applied: the checkpoint itself says how far it reaches.
        let applied: Applied = checkpoint(&aside)?
            .record(db::META, db::META_APPLIED)?
            .unwrap_or_default();
        reaches(&applied, before.and_then(|before| before.last))?;
        let index = applied.last.map_or(0, |last| last.index);
        let name = format!("{index:020}-{}", applied.generation);
        let directory = self.root.join(&name);
        remove(&directory)?;
        fs::rename(&aside, &directory)?;
        sync_directory(&self.root)?;
        let point = SnapshotPoint {
            last: applied.last,
            members_at: applied.members_at,
            members: applied.members,
            directory: name,
        };
        let mut batch = WriteBatch::default();
        self.db.put(&mut batch, db::META, db::META_SNAPSHOT, &point);
        self.db.write(batch)?;
        self.db.sync()?;
        self.tidy(&point)?;
        Ok(point)
    }

    pub(super) fn current(&self) -> io::Result<Option<Snapshot>> {
        let point: Option<SnapshotPoint> = self.db.record(db::META, db::META_SNAPSHOT)?;
        Ok(point.map(|point| self.handle(&point)))
    }

    /// Removes what is not the current one: older ones, and what a crash left half made.
    pub(super) fn tidy(&self, current: &SnapshotPoint) -> io::Result<()> {
        for entry in fs::read_dir(&self.root)? {
            let path = entry?.path();
            if path
                .file_name()
                .is_none_or(|name| *name != *current.directory)
            {
                remove(&path)?;
            }
        }
        Ok(())
    }

    fn handle(&self, point: &SnapshotPoint) -> Snapshot {
        Snapshot {
            meta: SnapshotMeta {
                last_log_id: point.last.map(convert::log_id),
                last_membership: convert::stored_membership(point.members_at, &point.members),
            },
            snapshot: StateSnapshot::Checkpoint {
                directory: self.root.join(&point.directory),
                cluster: self.cluster,
                last: point.last,
            },
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Keeps another station's stream until it is whole: what is installed is not waited for on a connection.
pub(super) struct Incoming {
    file: BufWriter<fs::File>,
    path: PathBuf,
}

impl Incoming {
    pub(super) fn begin(root: &Path, station: u64) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        // Another one of the same station may still be on its way.
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = root.join(format!("from-{station}-{number}"));
        let file = BufWriter::new(fs::File::create(&path)?);
        Ok(Self { file, path })
    }

    /// True: that was the last chunk.
    pub(super) fn take(&mut self, chunk: &[u8]) -> io::Result<bool> {
        let length = u32::try_from(chunk.len()).map_err(io_error)?;
        self.file.write_all(&length.to_be_bytes())?;
        self.file.write_all(chunk)?;
        let body = chunk.get(CHUNK_HEADER..).unwrap_or_default();
        let header = record::header(body).ok();
        Ok(header.is_some_and(|(header, _)| header.family == SnapshotEnd::FAMILY))
    }

    pub(super) fn finish(mut self) -> io::Result<StateSnapshot> {
        self.file.flush()?;
        Ok(StateSnapshot::Received { file: self.path })
    }
}

impl StateSnapshot {
    /// The stream, a chunk at a time.
    pub(super) fn for_each_chunk(
        &self,
        send: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        match self {
            Self::Checkpoint {
                directory,
                cluster,
                last,
            } => stream(directory, *cluster, *last, send),
            Self::Received { file } => received(file, send),
        }
    }
}

fn received(file: &Path, mut send: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut file = BufReader::new(fs::File::open(file)?);
    let mut length = [0; 4];
    while file.read(&mut length[..1])? > 0 {
        file.read_exact(&mut length[1..])?;
        let mut chunk = vec![0; u32::from_be_bytes(length) as usize];
        file.read_exact(&mut chunk)?;
        send(&chunk)?;
    }
    Ok(())
}

fn stream(
    directory: &Path,
    cluster: ClusterId,
    last: Option<LogPoint>,
    send: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let db = checkpoint(directory)?;
    let view = StoreView::new(&db)?;
    reaches(view.applied(), last)?;
    stream_view(&view, cluster, send)
}

fn checkpoint(directory: &Path) -> io::Result<Db> {
    Db::open_checkpoint(directory).map_err(io_error)
}

/// Whether what is to be in it is in it: what it lacks of its end is not told.
fn reaches(applied: &Applied, last: Option<LogPoint>) -> io::Result<()> {
    match applied.last >= last {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "the checkpoint reaches to {:?}, and is to reach to {last:?}",
            applied.last
        ))),
    }
}

/// The stream of what a view shows: a snapshot for another station, or the inside of a backup.
pub(crate) fn stream_view(
    view: &StoreView<'_>,
    cluster: ClusterId,
    mut send: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let generation = keys::generation(view.generation());
    let head = SnapshotHead {
        cluster: cluster.to_string(),
        applied: view.applied().clone(),
    };
    let mut chunks = Chunks::default();
    send(&chunks.close(&record::encode(&head)))?;
    let mut body = Vec::new();
    let mut records = 0;
    for (number, family) in db::numbered_families() {
        for item in view.range(family, &generation, &generation) {
            let (key, value) = item?;
            push(&mut body, number, &key[GENERATION_BYTES..], &value);
            records += 1;
            if body.len() >= limits::SNAPSHOT_CHUNK_BYTES {
                send(&chunks.close(&body))?;
                body.clear();
            }
        }
    }
    if !body.is_empty() {
        send(&chunks.close(&body))?;
    }
    send(&chunks.close(&record::encode(&SnapshotEnd { records })))
}

#[derive(Default)]
pub(crate) struct Chunks {
    next: u32,
}

impl Chunks {
    pub(crate) fn close(&mut self, body: &[u8]) -> Vec<u8> {
        let mut chunk = Vec::with_capacity(CHUNK_HEADER + body.len());
        chunk.extend(self.next.to_be_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&chunk), body);
        chunk.extend(crc.to_be_bytes());
        chunk.extend(body);
        self.next += 1;
        chunk
    }

    /// The body of the chunk that must come next.
    pub(crate) fn open<'c>(&mut self, chunk: &'c [u8]) -> io::Result<&'c [u8]> {
        let Some((header, body)) = chunk.split_first_chunk::<CHUNK_HEADER>() else {
            return Err(io::Error::other("a chunk shorter than its header"));
        };
        let (sequence, crc) = header.split_at(4);
        if *sequence != self.next.to_be_bytes() {
            return Err(io::Error::other(format!("chunk {} is missing", self.next)));
        }
        if crc32c::crc32c_append(crc32c::crc32c(sequence), body).to_be_bytes() != *crc {
            return Err(io::Error::other(format!("chunk {} is damaged", self.next)));
        }
        self.next += 1;
        Ok(body)
    }
}

fn push(body: &mut Vec<u8>, family: u8, key: &[u8], value: &[u8]) {
    body.push(family);
    for part in [key, value] {
        let length = u32::try_from(part.len()).expect("a record is far below 4 GiB");
        body.extend(length.to_be_bytes());
        body.extend(part);
    }
}

/// Reads a stream chunk by chunk; what it holds is only to be believed once its end has come.
#[derive(Default)]
pub(crate) struct Reading {
    chunks: Chunks,
    head: Option<SnapshotHead>,
    records: u64,
    ended: bool,
}

impl Reading {
    /// Each record with its family, its key without a generation, and its value.
    pub(crate) fn take(
        &mut self,
        chunk: &[u8],
        mut each: impl FnMut(&'static str, &[u8], &[u8]),
    ) -> io::Result<()> {
        let body = self.chunks.open(chunk)?;
        if self.ended {
            return Err(io::Error::other("a chunk after the end"));
        }
        if self.head.is_none() {
            let head = record::decode(body, limits::DECODE_BYTES_MAX).map_err(io_error)?;
            self.head = Some(head);
            return Ok(());
        }
        if let Ok(end) = record::decode::<SnapshotEnd>(body, limits::DECODE_BYTES_MAX) {
            if end.records != self.records {
                return Err(io::Error::other("the snapshot is not complete"));
            }
            self.ended = true;
            return Ok(());
        }
        let families: BTreeMap<u8, &str> = db::numbered_families().collect();
        let mut rest = body;
        while let Some((family, behind)) = rest.split_first() {
            rest = behind;
            let cut = || io::Error::other("a record of the snapshot is cut off");
            let key = part(&mut rest).ok_or_else(cut)?;
            let value = part(&mut rest).ok_or_else(cut)?;
            let family = families
                .get(family)
                .ok_or_else(|| io::Error::other("a family this build does not know"))?;
            each(family, key, value);
            self.records += 1;
        }
        Ok(())
    }

    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// How far the state reaches that was read whole.
    pub(crate) fn finish(self) -> io::Result<SnapshotHead> {
        self.head
            .filter(|_| self.ended)
            .ok_or_else(|| io::Error::other("the snapshot is not complete"))
    }
}

/// Takes a stream in, under a generation of its own.
pub(crate) struct Install<'a> {
    db: &'a Db,
    cluster: ClusterId,
    generation: Generation,
    reading: Reading,
}

impl<'a> Install<'a> {
    pub(crate) fn begin(db: &'a Db, cluster: ClusterId) -> io::Result<Self> {
        let applied: Applied = db.record(db::META, db::META_APPLIED)?.unwrap_or_default();
        let generation = Generation(applied.generation + 1);
        // An install that a crash cut short may have left something there.
        drop_generation(db, generation)?;
        Ok(Self {
            db,
            cluster,
            generation,
            reading: Reading::default(),
        })
    }

    pub(crate) fn take(&mut self, chunk: &[u8]) -> io::Result<()> {
        let mut batch = WriteBatch::default();
        let generation = keys::generation(self.generation);
        self.reading.take(chunk, |family, key, value| {
            let whole = [&generation[..], key].concat();
            batch.put_cf(self.db.family(family), whole, value);
        })?;
        if let Some(head) = &self.reading.head
            && head.cluster != self.cluster.to_string()
        {
            return Err(io::Error::other(format!(
                "a snapshot of cluster {}",
                head.cluster
            )));
        }
        self.db.write(batch)
    }

    /// Switches to what was taken in: one batch, synced. The old state goes after it.
    pub(crate) fn finish(self) -> io::Result<Applied> {
        let applied = Applied {
            generation: self.generation.0,
            ..self.reading.finish()?.applied
        };
        let mut batch = WriteBatch::default();
        self.db
            .put(&mut batch, db::META, db::META_APPLIED, &applied);
        self.db.write(batch)?;
        self.db.sync()?;
        drop_generation(self.db, Generation(self.generation.0 - 1))?;
        Ok(applied)
    }
}

fn part<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (part, behind) = behind.split_at_checked(length)?;
    *rest = behind;
    Some(part)
}

/// Removes what a crash left of a snapshot half taken in, or of the state before one.
pub(crate) fn clear_leftovers(db: &Db) -> io::Result<()> {
    let applied: Applied = db.record(db::META, db::META_APPLIED)?.unwrap_or_default();
    let current = keys::generation(Generation(applied.generation));
    let behind = keys::generation(Generation(applied.generation + 1));
    let (first, last) = (vec![0; GENERATION_BYTES], vec![u8::MAX; GENERATION_BYTES]);
    let mut batch = WriteBatch::default();
    for family in db::state_families() {
        let before = db.range(family, &[], &[]).next().transpose()?;
        if before.is_some_and(|(key, _)| *key < *current) {
            batch.delete_range_cf(db.family(family), &first, &current);
        }
        let after = db.range(family, &behind, &[]).next().transpose()?;
        if after.is_some() {
            batch.delete_range_cf(db.family(family), &behind, &last);
        }
    }
    if batch.is_empty() {
        return Ok(());
    }
    tracing::warn!("what a crash left of the installation of a snapshot is removed");
    db.write(batch)
}

pub(super) fn drop_generation(db: &Db, generation: Generation) -> io::Result<()> {
    let from = keys::generation(generation);
    let to = keys::generation(Generation(generation.0 + 1));
    let mut batch = WriteBatch::default();
    for family in db::state_families() {
        batch.delete_range_cf(db.family(family), &from, &to);
    }
    db.write(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_that_is_missing_or_damaged_is_refused() {
        let mut out = Chunks::default();
        let (first, second) = (out.close(b"one"), out.close(b"two"));
        let mut into = Chunks::default();
        assert!(
            into.open(&second)
                .unwrap_err()
                .to_string()
                .contains("chunk 0 is missing")
        );
        assert_eq!(into.open(&first).unwrap(), b"one");
        let mut damaged = second.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(
            into.open(&damaged)
                .unwrap_err()
                .to_string()
                .contains("chunk 1 is damaged")
        );
        assert_eq!(into.open(&second).unwrap(), b"two");
    }

    fn applied(index: u64) -> Applied {
        Applied {
            last: Some(LogPoint { term: 1, index }),
            ..Applied::default()
        }
    }

    /// What a checkpoint has of a log that is written on meanwhile.
    fn copied_and_torn(from: &Path, to: &Path) {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let copy = to.join(path.file_name().unwrap());
            fs::copy(&path, &copy).unwrap();
            let is_log = path.extension().is_some_and(|kind| kind == "log");
            let bytes = fs::metadata(&copy).unwrap().len();
            if is_log && bytes > 0 {
                let file = fs::OpenOptions::new().write(true).open(&copy).unwrap();
                file.set_len(bytes - 3).unwrap();
            }
        }
    }

    // proves: S17
    #[test]
    fn a_checkpoint_whose_log_ends_in_the_middle_of_a_record_is_read_up_to_there_and_no_less_is_believed()
     {
        let dir = tempfile::tempdir().unwrap();
        let (live, torn) = (dir.path().join("live"), dir.path().join("torn"));
        let db = Db::open(&live).unwrap();
        for index in [5, 6] {
            let mut batch = WriteBatch::default();
            db.put(&mut batch, db::META, db::META_APPLIED, &applied(index));
            db.write(batch).unwrap();
        }
        db.sync().unwrap();
        copied_and_torn(&live, &torn);
        assert!(Db::open_read_only(&torn).is_err(), "elsewhere it is damage");
        let read: Option<Applied> = checkpoint(&torn)
            .unwrap()
            .record(db::META, db::META_APPLIED)
            .unwrap();
        let read = read.unwrap();
        assert_eq!(read, applied(5));
        reaches(&read, applied(5).last).unwrap();
        let lacks = reaches(&read, applied(6).last).unwrap_err().to_string();
        assert!(lacks.contains("index: 6"), "{lacks}");
    }
}
