//! The canonical snapshot: every vertex in key order, then every edge in its order. Two graphs are the same when
//! these bytes are; petgraph's own indices never show.
//!
//! ```text
//! magic  format u16  revision u64 | count u64, (length u32, record)*  vertices | the same  edges | crc32c u32
//! ```
//! Numbers are big-endian.

use mainstay_protocol::Revision;
use thiserror::Error;

use crate::delta::Unfit;
use crate::graph::Graph;
use crate::stored::{self, StoredError};
use crate::vertex::{Edge, Record};
use crate::view::View;

const MAGIC: &[u8; 8] = b"msgraph\0";
const FORMAT: u16 = 1;
const CRC_BYTES: usize = 4;

/// Why bytes are no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SnapshotError {
    #[error("not a snapshot of a graph")]
    NotASnapshot,
    #[error("snapshot format {format} is not known here")]
    UnknownFormat { format: u16 },
    #[error("the snapshot is cut off or damaged")]
    Damaged,
    #[error(transparent)]
    Stored(#[from] StoredError),
    #[error("the snapshot is not closed: {0}")]
    Unfit(#[from] Unfit),
}

impl Graph {
    /// The canonical snapshot.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(self, |part| bytes.extend_from_slice(part));
        bytes
    }

    /// The checksum of the canonical snapshot, without building it.
    pub fn digest(&self) -> u32 {
        let mut crc = 0;
        write(self, |part| crc = crc32c::crc32c_append(crc, part));
        crc
    }

    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let body = checked(bytes)?;
        let mut rest = Reader { rest: body };
        if rest.take(MAGIC.len())? != MAGIC {
            return Err(SnapshotError::NotASnapshot);
        }
        let format = u16::from_be_bytes(rest.array()?);
        if format != FORMAT {
            return Err(SnapshotError::UnknownFormat { format });
        }
        let revision = Revision(u64::from_be_bytes(rest.array()?));
        let records: Vec<Record> = rest.list(stored::decode)?;
        let edges: Vec<Edge> = rest.list(stored::decode_edge)?;
        if !rest.rest.is_empty() {
            return Err(SnapshotError::Damaged);
        }
        Ok(Self::from_parts(revision, records, edges)?)
    }

    /// Where two graphs first differ, in words; none if they are the same.
    pub fn first_difference(&self, other: &Self) -> Option<String> {
        if self.revision() != other.revision() {
            return Some(format!(
                "revision {} against {}",
                self.revision(),
                other.revision()
            ));
        }
        let mut mine = self.records();
        let mut theirs = other.records();
        loop {
            match (mine.next(), theirs.next()) {
                (Some(a), Some(b)) if a == b => {}
                (None, None) => break,
                (a, b) => return Some(format!("{a:?} against {b:?}")),
            }
        }
        let (mine, theirs) = (self.edges(), other.edges());
        if let Some((a, b)) = mine.iter().zip(&theirs).find(|(a, b)| a != b) {
            return Some(format!("{a:?} against {b:?}"));
        }
        (mine.len() != theirs.len())
            .then(|| format!("{} edges against {}", mine.len(), theirs.len()))
    }
}

/// Hands the snapshot to a sink piece by piece.
pub fn write(graph: &Graph, mut sink: impl FnMut(&[u8])) {
    let mut crc = 0;
    let mut put = |part: &[u8]| {
        crc = crc32c::crc32c_append(crc, part);
        sink(part);
    };
    put(MAGIC);
    put(&FORMAT.to_be_bytes());
    put(&graph.revision().0.to_be_bytes());
    let item = |put: &mut dyn FnMut(&[u8]), bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).expect("a record is far below 4 GiB");
        put(&length.to_be_bytes());
        put(bytes);
    };
    put(&(graph.records().count() as u64).to_be_bytes());
    for record in graph.records() {
        item(&mut put, &stored::encode(record));
    }
    let edges = graph.edges();
    put(&(edges.len() as u64).to_be_bytes());
    for edge in &edges {
        item(&mut put, &stored::encode_edge(edge));
    }
    sink(&crc.to_be_bytes());
}

/// The bytes before the checksum, if it is theirs.
fn checked(bytes: &[u8]) -> Result<&[u8], SnapshotError> {
    let (body, crc) = bytes
        .split_last_chunk::<CRC_BYTES>()
        .ok_or(SnapshotError::NotASnapshot)?;
    if !body.starts_with(MAGIC) {
        return Err(SnapshotError::NotASnapshot);
    }
    if crc32c::crc32c(body) != u32::from_be_bytes(*crc) {
        return Err(SnapshotError::Damaged);
    }
    Ok(body)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], SnapshotError> {
        let (part, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(SnapshotError::Damaged)?;
        self.rest = rest;
        Ok(part)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let (part, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(SnapshotError::Damaged)?;
        self.rest = rest;
        Ok(*part)
    }

    /// Nothing is reserved for the count: each item is read from bytes that are there.
    fn list<T>(
        &mut self,
        decode: fn(&[u8]) -> Result<T, StoredError>,
    ) -> Result<Vec<T>, SnapshotError> {
        let count = u64::from_be_bytes(self.array()?);
        let mut items = Vec::new();
        for _ in 0..count {
            let length = u32::from_be_bytes(self.array()?) as usize;
            items.push(decode(self.take(length)?)?);
        }
        Ok(items)
    }
}
