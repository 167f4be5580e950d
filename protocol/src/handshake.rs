//! The handshake: who are you, and what do we both speak? Frozen for ever, written by hand, never through the codec.
//!
//! ```text
//!  "MAINSTAY"  version u16  length u32  { type u16  length u16  value }*
//! ```
//! Big-endian. Unknown fields are skipped and not kept, so that a newer build may add some; a field once given a
//! number keeps number and layout. Both sides send one and each computes the same verdict from the pair
//! (`verdict::agree`).

use std::collections::BTreeSet;

use thiserror::Error;
use uuid::Uuid;

pub use crate::frame::Channel;
use crate::ids::{BootId, ClusterId, NodeId, NodeName, StationId, StationRunId};
use crate::limits;
use crate::numbers::Epoch;
use crate::revision;

mod fields;
mod verdict;

pub use verdict::{Agreed, Refused, agree};

pub const MAGIC: [u8; 8] = *b"MAINSTAY";
/// There is only this one.
pub const VERSION: u16 = 1;
/// Magic, version, length.
pub const PREFIX_BYTES: usize = 14;

/// One side's introduction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// None on first contact, before a cluster was joined.
    pub cluster: Option<ClusterId>,
    pub epoch: Epoch,
    pub node: Option<NodeName>,
    pub node_id: Option<NodeId>,
    pub boot_id: Option<BootId>,
    /// The build's version, for people.
    pub build: String,
    pub interfaces: Vec<Interface>,
    pub features: BTreeSet<String>,
    pub channel: Channel,
    pub role: Role,
    /// Of a station: which.
    pub station: Option<StationId>,
    /// Of a station: the life of its process.
    pub run: Option<StationRunId>,
}

/// An interface and the revisions spoken of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    pub id: String,
    /// Chain digest of its history: two builds with one number and two histories find out.
    pub digest: Vec<u8>,
    pub speaks_min: u32,
    pub speaks_max: u32,
}

/// What the peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Role {
    Agent = 1,
    Station = 2,
    Cli = 3,
}

/// Why bytes are no handshake.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HandshakeError {
    #[error("the peer does not speak Mainstay: no magic")]
    Magic,
    #[error("handshake version {version} is not known here")]
    Version { version: u16 },
    #[error(
        "a handshake of {bytes} bytes exceeds the limit of {}",
        limits::HANDSHAKE_BYTES_MAX
    )]
    TooBig { bytes: usize },
    #[error("the handshake has more than {} fields", limits::HANDSHAKE_FIELDS_MAX)]
    TooManyFields,
    #[error("the handshake ends within a field")]
    Truncated,
    #[error("{bytes} bytes follow the handshake")]
    Trailing { bytes: usize },
    #[error("handshake field {field}: {what}")]
    Field { field: u16, what: &'static str },
    #[error("the handshake has no {what}")]
    Missing { what: &'static str },
}

impl Handshake {
    /// An introduction of this build; the caller fills in who it is.
    pub fn new(role: Role, channel: Channel, build: impl Into<String>) -> Self {
        Self {
            cluster: None,
            epoch: Epoch::default(),
            node: None,
            node_id: None,
            boot_id: None,
            build: build.into(),
            interfaces: vec![revision::control()],
            features: BTreeSet::new(),
            channel,
            role,
            station: None,
            run: None,
        }
    }

    /// The bytes to send. Texts too long are an error of the caller, told as the peer would tell it.
    pub fn encode(&self) -> Result<Vec<u8>, HandshakeError> {
        let fields = fields::write(self)?;
        let bytes = PREFIX_BYTES + fields.len();
        if bytes > limits::HANDSHAKE_BYTES_MAX {
            return Err(HandshakeError::TooBig { bytes });
        }
        let length = u32::try_from(fields.len()).map_err(|_| HandshakeError::TooBig { bytes })?;
        let mut out = Vec::with_capacity(bytes);
        out.extend(MAGIC);
        out.extend(VERSION.to_be_bytes());
        out.extend(length.to_be_bytes());
        out.extend(fields);
        Ok(out)
    }

    /// How many bytes are still missing from a handshake of which these are the first; zero when it is whole.
    /// Refuses as soon as what is there cannot become one.
    pub fn needed(bytes: &[u8]) -> Result<usize, HandshakeError> {
        let seen = bytes.len().min(MAGIC.len());
        if bytes[..seen] != MAGIC[..seen] {
            return Err(HandshakeError::Magic);
        }
        let Some(prefix) = bytes.first_chunk::<PREFIX_BYTES>() else {
            return Ok(PREFIX_BYTES - bytes.len());
        };
        let [.., v0, v1, l0, l1, l2, l3] = *prefix;
        let version = u16::from_be_bytes([v0, v1]);
        if version != VERSION {
            return Err(HandshakeError::Version { version });
        }
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        let whole = PREFIX_BYTES.saturating_add(length);
        if whole > limits::HANDSHAKE_BYTES_MAX {
            return Err(HandshakeError::TooBig { bytes: whole });
        }
        Ok(whole.saturating_sub(bytes.len()))
    }

    /// Reads a handshake that is exactly these bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, HandshakeError> {
        if Self::needed(bytes)? > 0 {
            return Err(HandshakeError::Truncated);
        }
        let [.., l0, l1, l2, l3] = *bytes
            .first_chunk::<PREFIX_BYTES>()
            .ok_or(HandshakeError::Truncated)?;
        let whole = PREFIX_BYTES + u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        if bytes.len() > whole {
            return Err(HandshakeError::Trailing {
                bytes: bytes.len() - whole,
            });
        }
        fields::read(&bytes[PREFIX_BYTES..])
    }
}

impl Interface {
    fn is_valid(&self) -> bool {
        self.speaks_min <= self.speaks_max
    }
}

fn uuid(value: &[u8]) -> Option<Uuid> {
    Uuid::from_slice(value).ok()
}
