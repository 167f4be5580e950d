//! Records: versioned bodies on disk. The store and the agent's file put `{family, version, compat, codec}` in
//! front of each, so that a build knows what it reads before it reads it.

use thiserror::Error;

use crate::codec;
use crate::versioned::{self, Evolving, OpenError};

/// An evolving type that is stored. Families are explicit and never reused.
pub trait Record: Evolving {
    const FAMILY: u16;
}

/// Family, version, compat, codec.
pub const HEADER_BYTES: usize = 7;

/// What stands in front of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    pub family: u16,
    pub version: u16,
    pub compat: u16,
    pub codec: u8,
}

/// Why a record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    #[error("a record of {bytes} bytes is shorter than its header")]
    NoHeader { bytes: usize },
    #[error("a record of family {found} is not {name} (family {wanted})")]
    OtherFamily {
        name: &'static str,
        wanted: u16,
        found: u16,
    },
    #[error(transparent)]
    Body(#[from] OpenError),
}

/// The record's bytes, header first.
pub fn encode<T: Record>(value: &T) -> Vec<u8> {
    let body = codec::encode(value);
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.extend(T::FAMILY.to_be_bytes());
    bytes.extend(T::VERSION.to_be_bytes());
    bytes.extend(T::COMPAT.to_be_bytes());
    bytes.push(codec::CURRENT as u8);
    bytes.extend(body);
    bytes
}

/// The header alone: to choose the type, or to show what cannot be read.
pub fn header(bytes: &[u8]) -> Result<(RecordHeader, &[u8]), RecordError> {
    let Some((head, body)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(RecordError::NoHeader { bytes: bytes.len() });
    };
    let [f0, f1, v0, v1, c0, c1, codec] = *head;
    let header = RecordHeader {
        family: u16::from_be_bytes([f0, f1]),
        version: u16::from_be_bytes([v0, v1]),
        compat: u16::from_be_bytes([c0, c1]),
        codec,
    };
    Ok((header, body))
}

pub fn decode<T: Record>(bytes: &[u8], limit_bytes: usize) -> Result<T, RecordError> {
    let (header, body) = header(bytes)?;
    if header.family != T::FAMILY {
        return Err(RecordError::OtherFamily {
            name: T::NAME,
            wanted: T::FAMILY,
            found: header.family,
        });
    }
    let value = versioned::open_with(
        header.codec,
        header.version,
        header.compat,
        body,
        limit_bytes,
    )?;
    Ok(value)
}
