//! The messages of a session: one enum per direction, each variant a frame of its own kind. Everything may go over the
//! control channel; answers and requests that are long go over the bulk channel, where there is one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::artifact::{ArtifactAnswer, ArtifactWanted};
use crate::code::Code;
use crate::command::Command;
use crate::frame::Frame;
use crate::ids::{AgentRunId, InstanceKey, NodeId, StationId};
use crate::limits;
use crate::lookup::{Follows, Found};
use crate::numbers::{Epoch, Leadership, NodeEpoch, Sequence};
use crate::report::{NodeUp, Numbered, Reports};
use crate::request::{Answer, Request};
use crate::secret::{SecretAnswer, SecretWanted};
use crate::sight::{Guards, Watches};
use crate::versioned::{self, Body, Evolving, OpenError};

/// Kinds of frames. Never reused: a kind that goes out of use stays here as a comment.
pub mod kinds {
    // Agent to station.
    pub const NODE_UP: u16 = 1;
    pub const HEARTBEAT: u16 = 2;
    pub const REPORTS: u16 = 3;
    pub const ANSWER: u16 = 4;
    pub const BULK_UP: u16 = 5;
    pub const RENEW: u16 = 6;
    pub const SECRET_WANTED: u16 = 7;
    pub const FOLLOWS: u16 = 8;
    pub const ARTIFACT_WANTED: u16 = 9;
    // Station to agent.
    pub const WELCOME: u16 = 101;
    pub const DENIED: u16 = 102;
    pub const ACKNOWLEDGED: u16 = 103;
    pub const COMMAND: u16 = 104;
    pub const REQUEST: u16 = 105;
    pub const HEARTBEAT_SEEN: u16 = 106;
    pub const BULK_READY: u16 = 107;
    pub const STATIONS: u16 = 108;
    pub const CERTIFICATE: u16 = 109;
    pub const SECRET: u16 = 110;
    pub const GUARDS: u16 = 111;
    pub const FOUND: u16 = 112;
    pub const WATCHES: u16 = 113;
    pub const ARTIFACT: u16 = 114;
    // Both ways.
    pub const UNSUPPORTED: u16 = 201;
}

/// The agent lives; sent once a second. With very many instances several together (`spread`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// How long ago each instance was last checked.
    pub checked_ms_ago: BTreeMap<InstanceKey, u64>,
    /// Reports not yet acknowledged.
    pub outbox_depth: u64,
    /// The agent has leases and wants them renewed: its own clock at this moment, from which they count.
    pub renews: Option<u64>,
}

impl Heartbeat {
    /// The heartbeats that together speak of all these instances: one, unless they are very many.
    pub fn spread(checked_ms_ago: BTreeMap<InstanceKey, u64>, outbox_depth: u64) -> Vec<Self> {
        let mut parts = vec![Self {
            checked_ms_ago: BTreeMap::new(),
            outbox_depth,
            renews: None,
        }];
        for (instance, age) in checked_ms_ago {
            let full = parts
                .last()
                .is_some_and(|part| part.checked_ms_ago.len() == limits::HEARTBEAT_INSTANCES_MAX);
            if full {
                parts.push(Self {
                    checked_ms_ago: BTreeMap::new(),
                    outbox_depth,
                    renews: None,
                });
            }
            if let Some(part) = parts.last_mut() {
                part.checked_ms_ago.insert(instance, age);
            }
        }
        parts
    }
}

/// A heartbeat was taken: tells an agent with nothing to do that its station lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatSeen {
    pub leadership: Leadership,
    /// What the heartbeat said: leases count from then on. None where it asked for nothing, or this station cannot know
    /// that it still leads.
    pub renewed: Option<u64>,
}

/// The first word on a bulk connection: whose session it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkUp {
    pub agent_run: AgentRunId,
}

/// The bulk connection belongs to its session now: what is long goes over it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkReady {}

/// The first and only word on a connection of its own: whoever showed a certificate wants a new one, for the same key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renew {}

/// What `Renew` is answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// X.509, DER.
    pub der: Vec<u8>,
}

/// Where the stations are, and which of them leads. Told behind a welcome, whenever it changes, and by a station that
/// does not lead, before it closes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stations {
    pub leader: Option<StationId>,
    /// Addresses as `unix:PATH` or `HOST:PORT`; at most `limits::STATIONS_MAX`.
    pub addresses: BTreeMap<StationId, String>,
}

/// The session is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    pub node_id: NodeId,
    /// The epoch the agent's outbox carries from now on.
    pub node_epoch: NodeEpoch,
    /// The highest report committed of this node epoch: what is above it is sent again.
    pub watermark: Sequence,
    pub leadership: Leadership,
    /// So many reports may be unacknowledged.
    pub credits: u32,
}

/// There is no session, and why; the connection closes behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    pub code: Code,
    pub text: String,
}

/// Reports up to here are committed with their effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    pub node_epoch: NodeEpoch,
    pub up_to: Sequence,
}

/// The answer to a frame that cannot be served; carries its request id. Never answered itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsupported {
    pub kind: u16,
    /// The newest version of this kind that can be read; none if the kind is not known at all.
    pub known: Option<u16>,
}

macro_rules! bodies {
    ($($type:ty: $name:literal, kind $kind:expr, version $version:literal, compat $compat:literal;)*) => {$(
        impl Evolving for $type {
            const NAME: &'static str = $name;
            const VERSION: u16 = $version;
            const COMPAT: u16 = $compat;
        }
        impl Body for $type {
            const KIND: u16 = $kind;
        }
    )*};
}

bodies! {
    NodeUp: "node-up", kind kinds::NODE_UP, version 1, compat 1;
    Heartbeat: "heartbeat", kind kinds::HEARTBEAT, version 1, compat 1;
    Reports: "reports", kind kinds::REPORTS, version 1, compat 1;
    Answer: "answer", kind kinds::ANSWER, version 1, compat 1;
    BulkUp: "bulk-up", kind kinds::BULK_UP, version 1, compat 1;
    Renew: "renew", kind kinds::RENEW, version 1, compat 1;
    Certificate: "certificate", kind kinds::CERTIFICATE, version 1, compat 1;
    BulkReady: "bulk-ready", kind kinds::BULK_READY, version 1, compat 1;
    Welcome: "welcome", kind kinds::WELCOME, version 1, compat 1;
    Denied: "denied", kind kinds::DENIED, version 1, compat 1;
    Acknowledged: "acknowledged", kind kinds::ACKNOWLEDGED, version 1, compat 1;
    Command: "command", kind kinds::COMMAND, version 1, compat 1;
    Request: "request", kind kinds::REQUEST, version 1, compat 1;
    HeartbeatSeen: "heartbeat-seen", kind kinds::HEARTBEAT_SEEN, version 1, compat 1;
    Stations: "stations", kind kinds::STATIONS, version 1, compat 1;
    SecretWanted: "secret-wanted", kind kinds::SECRET_WANTED, version 1, compat 1;
    SecretAnswer: "secret", kind kinds::SECRET, version 1, compat 1;
    ArtifactWanted: "artifact-wanted", kind kinds::ARTIFACT_WANTED, version 1, compat 1;
    ArtifactAnswer: "artifact", kind kinds::ARTIFACT, version 1, compat 1;
    Guards: "guards", kind kinds::GUARDS, version 1, compat 1;
    Watches: "watches", kind kinds::WATCHES, version 1, compat 1;
    Follows: "follows", kind kinds::FOLLOWS, version 1, compat 1;
    Found: "found", kind kinds::FOUND, version 1, compat 1;
    Unsupported: "unsupported", kind kinds::UNSUPPORTED, version 1, compat 1;
}

/// What an agent says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentMessage {
    NodeUp(Box<NodeUp>),
    Heartbeat(Heartbeat),
    Reports(Reports),
    Answer {
        request_id: u64,
        answer: Answer,
    },
    BulkUp(BulkUp),
    Renew(Renew),
    SecretWanted {
        request_id: u64,
        wanted: SecretWanted,
    },
    Unsupported {
        request_id: u64,
        what: Unsupported,
    },
    Follows(Follows),
    ArtifactWanted {
        request_id: u64,
        wanted: ArtifactWanted,
    },
}

/// What a station says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StationMessage {
    Welcome(Welcome),
    Denied(Denied),
    Acknowledged(Acknowledged),
    Command(Box<Command>),
    Request {
        request_id: u64,
        request: Request,
    },
    HeartbeatSeen(HeartbeatSeen),
    BulkReady(BulkReady),
    Stations(Stations),
    Certificate(Certificate),
    Guards(Guards),
    Secret {
        request_id: u64,
        answer: SecretAnswer,
    },
    Unsupported {
        request_id: u64,
        what: Unsupported,
    },
    Found(Found),
    Watches(Watches),
    Artifact {
        request_id: u64,
        answer: ArtifactAnswer,
    },
}

/// What a frame turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received<M> {
    Message(M),
    /// Not for this build: sent back with `request_id`, and the session goes on. None where the frame says
    /// itself that nobody waits for an answer (an `Unsupported` too new to read).
    Unsupported {
        request_id: u64,
        answer: Option<Unsupported>,
    },
}

/// A frame whose body is not what its kind says. The session goes on; the frame is kept in `BadFrames`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("frame of kind {kind}: {why}")]
pub struct BadBody {
    pub kind: u16,
    #[source]
    pub why: OpenError,
}

impl AgentMessage {
    pub fn to_frame(&self) -> Frame {
        match self {
            Self::NodeUp(body) => Frame::of(body.as_ref()),
            Self::Heartbeat(body) => Frame::of(body),
            Self::Reports(body) => Frame::of(body),
            Self::Answer { request_id, answer } => Frame::of(answer).with_request_id(*request_id),
            Self::BulkUp(body) => Frame::of(body),
            Self::Renew(body) => Frame::of(body),
            Self::Follows(body) => Frame::of(body),
            Self::SecretWanted { request_id, wanted } => {
                Frame::of(wanted).with_request_id(*request_id)
            }
            Self::ArtifactWanted { request_id, wanted } => {
                Frame::of(wanted).with_request_id(*request_id)
            }
            Self::Unsupported { request_id, what } => Frame::of(what).with_request_id(*request_id),
        }
    }

    pub fn from_frame(frame: &Frame) -> Result<Received<Self>, BadBody> {
        let request_id = frame.request_id;
        match frame.kind {
            kinds::NODE_UP => {
                let wrap = |body| Self::NodeUp(Box::new(body));
                read(frame, limits::NODE_UP_BYTES_MAX, wrap)
            }
            kinds::HEARTBEAT => read_control(frame, Self::Heartbeat),
            kinds::REPORTS => read_control(frame, Self::Reports),
            kinds::ANSWER => read_control(frame, |answer| Self::Answer { request_id, answer }),
            kinds::BULK_UP => read_control(frame, Self::BulkUp),
            kinds::RENEW => read_control(frame, Self::Renew),
            kinds::FOLLOWS => read_control(frame, Self::Follows),
            kinds::SECRET_WANTED => {
                read_control(frame, |wanted| Self::SecretWanted { request_id, wanted })
            }
            kinds::ARTIFACT_WANTED => {
                read_control(frame, |wanted| Self::ArtifactWanted { request_id, wanted })
            }
            kinds::UNSUPPORTED => {
                read_control(frame, |what| Self::Unsupported { request_id, what })
            }
            kind => Ok(unknown(kind, request_id)),
        }
    }
}

impl StationMessage {
    /// The header's term is that of the leadership the message speaks under.
    pub fn to_frame(&self) -> Frame {
        match self {
            Self::Welcome(body) => Frame::of(body).with_term(body.leadership.term.0),
            Self::Denied(body) => Frame::of(body),
            Self::Acknowledged(body) => Frame::of(body),
            Self::Command(body) => Frame::of(body.as_ref()).with_term(body.leadership.term.0),
            Self::Request {
                request_id,
                request,
            } => Frame::of(request).with_request_id(*request_id),
            Self::HeartbeatSeen(body) => Frame::of(body).with_term(body.leadership.term.0),
            Self::BulkReady(body) => Frame::of(body),
            Self::Stations(body) => Frame::of(body),
            Self::Certificate(body) => Frame::of(body),
            Self::Guards(body) => Frame::of(body),
            Self::Found(body) => Frame::of(body),
            Self::Watches(body) => Frame::of(body),
            Self::Secret { request_id, answer } => Frame::of(answer).with_request_id(*request_id),
            Self::Artifact { request_id, answer } => Frame::of(answer).with_request_id(*request_id),
            Self::Unsupported { request_id, what } => Frame::of(what).with_request_id(*request_id),
        }
    }

    pub fn from_frame(frame: &Frame) -> Result<Received<Self>, BadBody> {
        let request_id = frame.request_id;
        match frame.kind {
            kinds::WELCOME => read_control(frame, Self::Welcome),
            kinds::DENIED => read_control(frame, Self::Denied),
            kinds::ACKNOWLEDGED => read_control(frame, Self::Acknowledged),
            kinds::COMMAND => read_control(frame, |body| Self::Command(Box::new(body))),
            kinds::REQUEST => read_control(frame, |request| Self::Request {
                request_id,
                request,
            }),
            kinds::HEARTBEAT_SEEN => read_control(frame, Self::HeartbeatSeen),
            kinds::BULK_READY => read_control(frame, Self::BulkReady),
            kinds::STATIONS => read_control(frame, Self::Stations),
            kinds::CERTIFICATE => read_control(frame, Self::Certificate),
            kinds::GUARDS => read_control(frame, Self::Guards),
            kinds::FOUND => read_control(frame, Self::Found),
            kinds::WATCHES => read_control(frame, Self::Watches),
            kinds::SECRET => read_control(frame, |answer| Self::Secret { request_id, answer }),
            kinds::ARTIFACT => read_control(frame, |answer| Self::Artifact { request_id, answer }),
            kinds::UNSUPPORTED => {
                read_control(frame, |what| Self::Unsupported { request_id, what })
            }
            kind => Ok(unknown(kind, request_id)),
        }
    }
}

fn unknown<M>(kind: u16, request_id: u64) -> Received<M> {
    Received::Unsupported {
        request_id,
        answer: Some(Unsupported { kind, known: None }),
    }
}

fn read_control<T: Body, M>(
    frame: &Frame,
    wrap: impl FnOnce(T) -> M,
) -> Result<Received<M>, BadBody> {
    read(frame, limits::CONTROL_FRAME_BYTES_MAX, wrap)
}

fn read<T: Body, M>(
    frame: &Frame,
    limit_bytes: usize,
    wrap: impl FnOnce(T) -> M,
) -> Result<Received<M>, BadBody> {
    let opened = versioned::open_with(
        frame.codec,
        frame.body_version,
        frame.compat,
        &frame.body,
        limit_bytes,
    );
    match opened {
        Ok(body) => Ok(Received::Message(wrap(body))),
        Err(OpenError::TooNew { known, .. }) => Ok(Received::Unsupported {
            request_id: frame.request_id,
            // Answering an Unsupported could go on for ever.
            answer: (frame.kind != kinds::UNSUPPORTED).then_some(Unsupported {
                kind: frame.kind,
                known: Some(known),
            }),
        }),
        Err(why) => Err(BadBody {
            kind: frame.kind,
            why,
        }),
    }
}

/// As many of the waiting reports as fit one frame, in order; at least one, if any is there.
pub fn batch<'a>(
    epoch: Epoch,
    node_epoch: NodeEpoch,
    waiting: impl IntoIterator<Item = &'a Numbered>,
) -> Reports {
    let mut reports = Vec::new();
    let mut bytes = BATCH_OVERHEAD_BYTES;
    for numbered in waiting.into_iter().take(limits::REPORTS_PER_FRAME_MAX) {
        bytes += crate::codec::encode(numbered).len();
        if bytes > limits::CONTROL_FRAME_BYTES_MAX && !reports.is_empty() {
            break;
        }
        reports.push(numbered.clone());
    }
    Reports {
        epoch,
        node_epoch,
        reports,
    }
}

/// Epoch, node epoch and count at their widest.
const BATCH_OVERHEAD_BYTES: usize = 32;
