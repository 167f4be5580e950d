//! Versioned bodies: what may change between builds says which version it is and how old a reader still
//! understands it. A newer writer appends fields at the end; an older reader skips them.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use thiserror::Error;

use crate::codec::{self, CodecError, CodecId};
use crate::limits;

/// A type whose layout may change between builds.
pub trait Evolving: Serialize + DeserializeOwned {
    /// For messages: `command`, `node-up`.
    const NAME: &'static str;
    /// The layout this build writes; raised with every field appended.
    const VERSION: u16;
    /// The oldest layout whose readers understand what this build writes; raised when a field changes its
    /// meaning or an enum gets a variant.
    const COMPAT: u16;

    /// Reads what an older build wrote. A type that has changed says here how to fill what is not there.
    fn decode_older(version: u16, _bytes: &[u8], _limit: usize) -> Result<Self, OpenError> {
        Err(OpenError::TooOld {
            name: Self::NAME,
            version,
        })
    }
}

/// An evolving type that is the body of a frame of its own kind.
pub trait Body: Evolving {
    /// In every frame's header: explicit, never reused.
    const KIND: u16;
}

/// Why a versioned body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    #[error("{name}: needs a reader of version {compat}, this build reads up to {known}")]
    TooNew {
        name: &'static str,
        compat: u16,
        known: u16,
    },
    #[error("{name}: version {version} is older than this build can read")]
    TooOld { name: &'static str, version: u16 },
    #[error("{name}: version {version} says it needs readers of version {compat}")]
    Contradiction {
        name: &'static str,
        version: u16,
        compat: u16,
    },
    #[error("{name}: {cause}")]
    Codec {
        name: &'static str,
        cause: CodecError,
    },
}

/// A body with its versions; the length is that of the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versioned {
    pub version: u16,
    pub compat: u16,
    #[serde(with = "bytes")]
    pub bytes: Vec<u8>,
}

impl Versioned {
    pub fn of<T: Evolving>(value: &T) -> Self {
        Self {
            version: T::VERSION,
            compat: T::COMPAT,
            bytes: codec::encode(value),
        }
    }

    pub fn open<T: Evolving>(&self, limit_bytes: usize) -> Result<T, OpenError> {
        open(self.version, self.compat, &self.bytes, limit_bytes)
    }
}

/// Reads a body of any version: the same exactly, a newer one without its tail, an older one as the type says.
pub fn open<T: Evolving>(
    version: u16,
    compat: u16,
    bytes: &[u8],
    limit_bytes: usize,
) -> Result<T, OpenError> {
    let name = T::NAME;
    let codec_error = |cause| OpenError::Codec { name, cause };
    if compat > version {
        return Err(OpenError::Contradiction {
            name,
            version,
            compat,
        });
    }
    if compat > T::VERSION {
        return Err(OpenError::TooNew {
            name,
            compat,
            known: T::VERSION,
        });
    }
    if version == T::VERSION {
        codec::decode(bytes, limit_bytes).map_err(codec_error)
    } else if version > T::VERSION {
        let (value, _tail) = codec::decode_prefix(bytes, limit_bytes).map_err(codec_error)?;
        Ok(value)
    } else {
        T::decode_older(version, bytes, limit_bytes)
    }
}

/// As `open`, with the codec as a header names it.
pub fn open_with<T: Evolving>(
    codec: u8,
    version: u16,
    compat: u16,
    bytes: &[u8],
    limit_bytes: usize,
) -> Result<T, OpenError> {
    let codec = CodecId::try_from(codec).map_err(|cause| OpenError::Codec {
        name: T::NAME,
        cause,
    })?;
    match codec {
        CodecId::Bincode2 => open(version, compat, bytes, limit_bytes),
    }
}

/// `#[serde(with = "nested")]`: an evolving part inside another body, with versions of its own. In formats for
/// people (JSON) it is the plain value.
pub mod nested {
    use super::{
        Deserialize, Deserializer, Evolving, Serialize, Serializer, Versioned, de, limits,
    };

    pub fn serialize<T: Evolving, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            value.serialize(to)
        } else {
            Versioned::of(value).serialize(to)
        }
    }

    pub fn deserialize<'de, T: Evolving, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        if from.is_human_readable() {
            T::deserialize(from)
        } else {
            Versioned::deserialize(from)?
                .open(limits::DECODE_BYTES_MAX)
                .map_err(de::Error::custom)
        }
    }
}

/// `#[serde(with = "nested_list")]`: a list of evolving parts.
pub mod nested_list {
    use super::{
        Deserialize, Deserializer, Evolving, Serialize, Serializer, Versioned, de, limits,
    };

    pub fn serialize<T: Evolving, S: Serializer>(values: &[T], to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            values.serialize(to)
        } else {
            to.collect_seq(values.iter().map(Versioned::of))
        }
    }

    pub fn deserialize<'de, T: Evolving, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<T>, D::Error> {
        if from.is_human_readable() {
            Vec::deserialize(from)
        } else {
            Vec::<Versioned>::deserialize(from)?
                .iter()
                .map(|part| {
                    part.open(limits::DECODE_BYTES_MAX)
                        .map_err(de::Error::custom)
                })
                .collect()
        }
    }
}

/// A byte string as one piece instead of a list of numbers.
mod bytes {
    use std::fmt;

    use super::{Deserializer, Serializer, de, ser};

    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        ser::Serializer::serialize_bytes(to, bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl de::Visitor<'_> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a byte string")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        from.deserialize_byte_buf(Bytes)
    }
}
