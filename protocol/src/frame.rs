//! Frames: how bodies travel. No IO: bytes are pushed in as they come and frames are taken out.
//!
//! ```text
//!  0       1      3         5       7      8           16          40    48       52         52+n
//!  version kind   body-     compat  codec  request id  trace       term  length n body       crc32c
//!  u8      u16    version   u16     u8     u64         [u8; 24]    u64   u32      [u8; n]    u32
//! ```
//! Big-endian. The crc covers header and body. Sizes are checked as soon as the header is there, before room is
//! made for the body. After a fatal error the decoder stays dead: nothing behind a broken length can be trusted.

use thiserror::Error;

use crate::limits;
use crate::versioned::Body;
use crate::{codec, session};

/// The layout above; another one is another protocol.
pub const FRAME_VERSION: u8 = 1;
pub const HEADER_BYTES: usize = 52;
pub const CRC_BYTES: usize = 4;

/// Trace and span, as in W3C trace context; zero is none.
pub type TraceContext = [u8; 24];

/// A whole frame, its body not yet read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u16,
    pub body_version: u16,
    pub compat: u16,
    pub codec: u8,
    /// Matches an answer to its request; zero is none.
    pub request_id: u64,
    pub trace: TraceContext,
    /// The sender's term of office, where it has one; else zero.
    pub term: u64,
    pub body: Vec<u8>,
}

impl Frame {
    /// A frame around a body, without request, trace or term.
    pub fn of<T: Body>(body: &T) -> Self {
        Self {
            kind: T::KIND,
            body_version: T::VERSION,
            compat: T::COMPAT,
            codec: codec::CURRENT as u8,
            request_id: 0,
            trace: [0; 24],
            term: 0,
            body: codec::encode(body),
        }
    }

    #[must_use]
    pub fn with_request_id(mut self, request_id: u64) -> Self {
        self.request_id = request_id;
        self
    }

    #[must_use]
    pub fn with_trace(mut self, trace: TraceContext) -> Self {
        self.trace = trace;
        self
    }

    #[must_use]
    pub fn with_term(mut self, term: u64) -> Self {
        self.term = term;
        self
    }
}

/// Which of a session's connections bytes belong to; it decides how large a frame may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Channel {
    /// Heartbeats, commands, reports, requests.
    Control = 1,
    /// Logs, snapshots, uploads: so that none of them sits in front of a heartbeat.
    Bulk = 2,
}

impl Channel {
    /// The largest body of this kind.
    pub fn body_bytes_max(self, kind: u16) -> usize {
        match self {
            Self::Control if kind == session::kinds::NODE_UP => limits::NODE_UP_BYTES_MAX,
            Self::Control => limits::CONTROL_FRAME_BYTES_MAX,
            Self::Bulk => limits::BULK_FRAME_BYTES_MAX,
        }
    }
}

/// Why a connection cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    #[error("frame version {version} is not known here")]
    Version { version: u8 },
    #[error("a frame of kind {kind} with {bytes} bytes exceeds the limit of {limit}")]
    TooBig {
        kind: u16,
        bytes: usize,
        limit: usize,
    },
    #[error("a frame of kind {kind} is damaged: its checksum is {found:08x}, not {expected:08x}")]
    Checksum {
        kind: u16,
        expected: u32,
        found: u32,
    },
}

/// Appends the frame's bytes. A body too large for the channel is refused here, so that it never ends a session.
pub fn encode_frame(frame: &Frame, channel: Channel, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let limit = channel.body_bytes_max(frame.kind);
    let too_big = FrameError::TooBig {
        kind: frame.kind,
        bytes: frame.body.len(),
        limit,
    };
    if frame.body.len() > limit {
        return Err(too_big);
    }
    let length = u32::try_from(frame.body.len()).map_err(|_| too_big)?;
    let start = out.len();
    out.reserve(HEADER_BYTES + frame.body.len() + CRC_BYTES);
    out.push(FRAME_VERSION);
    out.extend(frame.kind.to_be_bytes());
    out.extend(frame.body_version.to_be_bytes());
    out.extend(frame.compat.to_be_bytes());
    out.push(frame.codec);
    out.extend(frame.request_id.to_be_bytes());
    out.extend(frame.trace);
    out.extend(frame.term.to_be_bytes());
    out.extend(length.to_be_bytes());
    out.extend(&frame.body);
    let crc = crc32c::crc32c(&out[start..]);
    out.extend(crc.to_be_bytes());
    Ok(())
}

/// Takes frames out of bytes, however they are cut.
#[derive(Debug)]
pub struct FrameDecoder {
    channel: Channel,
    buffer: Vec<u8>,
    /// Bytes at the front of the buffer that are used up.
    used: usize,
    dead: Option<FrameError>,
}

impl FrameDecoder {
    pub fn new(channel: Channel) -> Self {
        Self {
            channel,
            buffer: Vec::new(),
            used: 0,
            dead: None,
        }
    }

    /// Adds bytes as they were read. What a caller reads at a time bounds the buffer together with the largest
    /// frame, provided that it takes out all frames before it reads again.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.dead.is_some() {
            return;
        }
        if self.used > 0 {
            self.buffer.drain(..self.used);
            self.used = 0;
        }
        // A NodeUp is large once; thousands of sessions need not hold on to room for it.
        if self.buffer.is_empty() && self.buffer.capacity() > 4 * limits::CONTROL_FRAME_BYTES_MAX {
            self.buffer = Vec::new();
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame; none if more bytes are needed. An error is final.
    #[allow(
        clippy::should_implement_trait,
        reason = "a decoder is fed between calls; it is no iterator"
    )]
    pub fn next(&mut self) -> Option<Result<Frame, FrameError>> {
        if let Some(error) = &self.dead {
            return Some(Err(error.clone()));
        }
        let taken = take(&self.buffer[self.used..], self.channel);
        match taken {
            Ok(None) => None,
            Ok(Some((frame, used))) => {
                self.used += used;
                Some(Ok(frame))
            }
            Err(error) => {
                self.dead = Some(error.clone());
                self.buffer = Vec::new();
                self.used = 0;
                Some(Err(error))
            }
        }
    }

    /// Bytes that wait for the rest of their frame.
    pub fn buffered_bytes(&self) -> usize {
        self.buffer.len() - self.used
    }
}

fn take(bytes: &[u8], channel: Channel) -> Result<Option<(Frame, usize)>, FrameError> {
    match bytes.first() {
        None => return Ok(None),
        Some(&FRAME_VERSION) => {}
        Some(&version) => return Err(FrameError::Version { version }),
    }
    let mut reader = Reader { bytes, at: 1 };
    let Some((mut frame, length)) = reader.header() else {
        return Ok(None);
    };
    let limit = channel.body_bytes_max(frame.kind);
    if length > limit {
        return Err(FrameError::TooBig {
            kind: frame.kind,
            bytes: length,
            limit,
        });
    }
    let covered = HEADER_BYTES + length;
    let whole = covered + CRC_BYTES;
    if bytes.len() < whole {
        return Ok(None);
    }
    reader.at = covered;
    let found = u32::from_be_bytes(reader.array().expect("the frame is whole"));
    let expected = crc32c::crc32c(&bytes[..covered]);
    if found != expected {
        return Err(FrameError::Checksum {
            kind: frame.kind,
            expected,
            found,
        });
    }
    frame.body = bytes[HEADER_BYTES..covered].to_vec();
    Ok(Some((frame, whole)))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let array = *self.bytes.get(self.at..)?.first_chunk::<N>()?;
        self.at += N;
        Some(array)
    }

    /// The header behind the version, and the body's length; none if it is not all there.
    fn header(&mut self) -> Option<(Frame, usize)> {
        let frame = Frame {
            kind: u16::from_be_bytes(self.array()?),
            body_version: u16::from_be_bytes(self.array()?),
            compat: u16::from_be_bytes(self.array()?),
            codec: u8::from_be_bytes(self.array()?),
            request_id: u64::from_be_bytes(self.array()?),
            trace: self.array()?,
            term: u64::from_be_bytes(self.array()?),
            body: Vec::new(),
        };
        let length = u32::from_be_bytes(self.array()?);
        Some((frame, length as usize))
    }
}
