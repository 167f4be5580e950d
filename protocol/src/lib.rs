//! # The protocol: every word that passes between the parts of Mainstay
//!
//! Pure: no clock, no randomness, no threads, no sockets. Bytes go in and values come out, or the other way
//! round; who reads the bytes and when is the business of `node-agent`, `station` and `cli`.
//!
//! ```text
//!   agent                                               station
//!     |  Handshake (frozen, hand-written)  -------------->  |
//!     |  <--------------------------------------  Handshake |   both: agree(mine, theirs)
//!     |  NodeUp  ---------------------------------------->  |
//!     |  <-----------------  Welcome{watermark, ..} | Denied |
//!     |  Reports, Heartbeat, Answer  -------------------->  |
//!     |  <---------------  Acknowledged, Command, Request   |
//!
//!   socket bytes -> FrameDecoder -> Frame -> AgentMessage / StationMessage
//!                   size and crc    header   versioned body, one codec
//! ```
//!
//! What must hold:
//! - Every size is checked against `limits` before anything is allocated for it.
//! - A broken frame (crc, size, frame version) ends the connection; a frame of an unknown kind, or with a body
//!   too new to read, is answered `Unsupported` and the connection lives.
//! - A body says its version and the oldest reader that understands it; older readers skip the tail they do
//!   not know. Numbers of kinds, families and codecs are explicit and never used twice.
//! - `golden/<revision>/` holds one sample of everything; a layout that changes without a new revision fails
//!   the tests (`revision`).
//! - The handshake is frozen for ever and never passes through the codec.
#![forbid(unsafe_code)]

mod address;
mod bearer;
mod ids;
mod numbers;
mod texts;

pub mod label;
pub mod limits;

pub mod code;
pub mod health;
pub mod host;
pub mod json;
pub mod words;

pub mod artifact;
pub mod command;
pub mod lookup;
pub mod report;
pub mod request;
pub mod room;
pub mod secret;
pub mod sight;
pub mod work;

pub mod codec;
pub mod versioned;

pub mod frame;
pub mod record;

pub mod handshake;
pub mod revision;

pub mod bad_frames;
pub mod session;

pub use address::{Address, BadAddress};
pub use artifact::{ArtifactId, Blob, Sha256};
pub use bearer::{Admits, Bearer, NotABearer, Role};
pub use ids::{
    AgentRunId, BadName, BootId, ClusterId, ClusterName, CommandId, GroupName, InstanceKey, NodeId,
    NodeName, NotAStation, PeopleName, PersonName, PlacementName, QuestionId, ResourceKey,
    ResourceKind, ResourceName, SecretName, SlotName, StationId, StationRunId, TypeName,
};
pub use json::Json;
pub use numbers::{
    Epoch, Generation, Incarnation, Leadership, NodeEpoch, Revision, Sequence, Term, Timestamp,
};
pub use work::{RunId, ServiceId, StepKey, WorkName};
