//! Artifacts: what is kept under a URN, in chunks that are vertices of their own.
//!
//! ```text
//!  Arriving --all chunks are there--> There
//!     \--its time is over, or another content comes--> removed, with its chunks
//! ```
//! The content of one that is there never changes.

use std::fmt;

use mainstay_protocol::{ArtifactId, Blob, Sha256, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// What people call it; blank where nobody said.
    pub name: String,
    pub media_type: String,
    pub size: u64,
    pub digest: Sha256,
    pub state: ArtifactState,
    /// What it is as an archive.
    pub listing: Listing,
    pub by: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArtifactState {
    /// Nobody sees it yet.
    Arriving {
        until: Timestamp,
    },
    There,
}

/// What whoever took it found in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Listing {
    /// The paths of its files.
    Files(Vec<String>),
    /// It is no archive, or none that anybody would unpack: why.
    Not(String),
}

impl Artifact {
    pub fn is_there(&self) -> bool {
        self.state == ArtifactState::There
    }

    pub fn arrives_until(&self) -> Option<Timestamp> {
        match self.state {
            ArtifactState::Arriving { until } => Some(until),
            ArtifactState::There => None,
        }
    }
}

/// One piece of an artifact, counted from 0. All but the last have `limits::ARTIFACT_CHUNK_BYTES`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChunkKey {
    pub artifact: ArtifactId,
    pub number: u32,
}

impl fmt::Display for ChunkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.artifact, self.number)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    pub bytes: Blob,
}
