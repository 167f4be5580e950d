//! The one codec: how a typed body becomes bytes. Nothing else in Mainstay names bincode.
//!
//! bincode 2 is finished and no longer maintained (RUSTSEC-2025-0141; waived in `docs/waivers.md`): it is small,
//! fast and has no known defect, every input is bounded here first, and the codec id in each header lets another
//! codec take its place one body at a time.

use bincode::config::{self, Config};
use bincode::enc::write::SizeWriter;
use bincode::error::DecodeError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::limits;

/// How bytes were made. The numbers are on the wire and on disk: never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CodecId {
    Bincode2 = 1,
}

/// What new bytes are made with.
pub const CURRENT: CodecId = CodecId::Bincode2;

/// Why bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CodecError {
    #[error("codec {id} is not known here")]
    UnknownCodec { id: u8 },
    #[error("{bytes} bytes are more than the {limit} allowed")]
    TooLong { bytes: usize, limit: usize },
    #[error("{trailing} bytes are left over behind a body of known version")]
    TrailingBytes { trailing: usize },
    #[error("{what}")]
    Malformed { what: String },
}

impl TryFrom<u8> for CodecId {
    type Error = CodecError;

    fn try_from(id: u8) -> Result<Self, CodecError> {
        match id {
            1 => Ok(Self::Bincode2),
            id => Err(CodecError::UnknownCodec { id }),
        }
    }
}

/// The bytes of a value, in the current codec. Their size is checked where they are framed or stored.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, config::standard())
        .expect("our types serialise: lengths are known and a Vec takes every write")
}

/// How many bytes `encode` would make, without making them.
pub fn encoded_len<T: Serialize>(value: &T) -> usize {
    let mut size = SizeWriter::default();
    bincode::serde::encode_into_writer(value, &mut size, config::standard())
        .expect("our types serialise, and counting takes every write");
    size.bytes_written
}

/// Reads a value that is exactly these bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], limit_bytes: usize) -> Result<T, CodecError> {
    let (value, used) = decode_prefix(bytes, limit_bytes)?;
    match bytes.len() - used {
        0 => Ok(value),
        trailing => Err(CodecError::TrailingBytes { trailing }),
    }
}

/// Reads a value from the front and says how many bytes it took: for bodies with a tail from a newer writer.
pub fn decode_prefix<T: DeserializeOwned>(
    bytes: &[u8],
    limit_bytes: usize,
) -> Result<(T, usize), CodecError> {
    let limit = limit_bytes.min(limits::DECODE_BYTES_MAX);
    if bytes.len() > limit {
        return Err(CodecError::TooLong {
            bytes: bytes.len(),
            limit,
        });
    }
    // bincode takes its limit as a constant and counts a number at its full width, eight bytes for a varint of
    // one; so each size class allows eight times its bytes. What it guards is a text that claims a huge length.
    let standard = config::standard();
    if bytes.len() <= SMALL {
        read(bytes, standard.with_limit::<{ SMALL * WIDTH }>())
    } else if bytes.len() <= MIDDLE {
        read(bytes, standard.with_limit::<{ MIDDLE * WIDTH }>())
    } else {
        read(
            bytes,
            standard.with_limit::<{ limits::DECODE_BYTES_MAX * WIDTH }>(),
        )
    }
}

const SMALL: usize = 4 * 1024;
const MIDDLE: usize = 256 * 1024;
const WIDTH: usize = 8;

fn read<T: DeserializeOwned, C: Config>(bytes: &[u8], config: C) -> Result<(T, usize), CodecError> {
    bincode::serde::decode_from_slice(bytes, config).map_err(malformed)
}

fn malformed(error: DecodeError) -> CodecError {
    CodecError::Malformed {
        what: match error {
            DecodeError::UnexpectedEnd { .. } => "the bytes end too early".to_owned(),
            DecodeError::LimitExceeded => "a length exceeds the limit".to_owned(),
            DecodeError::OtherString(text) => text,
            other => other.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let value = (7u64, "text".to_owned(), Some(vec![1u32, 2]));
        let bytes = encode(&value);
        assert_eq!(decode(&bytes, 1024), Ok(value));
    }

    #[test]
    fn bytes_beyond_the_limit_are_refused_unread() {
        let bytes = encode(&"x".repeat(100));
        let error = decode::<String>(&bytes, 50).unwrap_err();
        assert_eq!(
            error,
            CodecError::TooLong {
                bytes: 101,
                limit: 50
            }
        );
    }

    #[test]
    fn a_text_that_claims_a_huge_length_is_refused_before_allocation() {
        let bytes = encode(&u64::MAX);
        assert!(decode::<String>(&bytes, 1024).is_err());
        assert!(decode::<Vec<u8>>(&bytes, 1024).is_err());
    }

    #[test]
    fn bytes_left_over_are_an_error() {
        let mut bytes = encode(&7u64);
        bytes.push(0);
        let error = decode::<u64>(&bytes, 1024).unwrap_err();
        assert_eq!(error, CodecError::TrailingBytes { trailing: 1 });
    }

    #[test]
    fn an_unknown_codec_is_named() {
        let error = CodecId::try_from(9).unwrap_err();
        assert_eq!(error.to_string(), "codec 9 is not known here");
    }

    #[test]
    fn numbers_of_one_byte_do_not_run_into_the_limit_of_their_width() {
        let value = vec![1u64; 60_000];
        assert_eq!(decode(&encode(&value), 64 * 1024), Ok(value));
    }
}
