//! What stations of one group say to each other about the log: our own records, so that openraft's layouts never reach
//! the wire either.
//!
//! ```text
//!   frame: length u32 | crc32c u32 | record        one question, one answer, in order; a snapshot's chunks follow its question
//! ```
//! A connection is of one direction: who opened it asks. What it is introduced by is the station's business.

use std::io;

use mainstay_protocol::limits;
use mainstay_protocol::record::{self, Record};
use mainstay_protocol::versioned::Evolving;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::error::io_error;
use crate::records::{LogPoint, LogRecord, Members, Vote};

const HEADER_BYTES: usize = 8;

/// What a leader, or who wants to become one, asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Question {
    Append(Append),
    Vote(Ballot),
    /// Whether it would be granted: nothing is kept of it.
    PreVote(Ballot),
    /// Chunks follow, up to the one that says that it was the last.
    Snapshot(SnapshotOffer),
    /// Lead, if you can.
    Lead(Handover),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Append {
    pub vote: Vote,
    pub behind: Option<LogPoint>,
    /// Each with its index.
    pub entries: Vec<(u64, LogRecord)>,
    pub committed: Option<LogPoint>,
    /// A majority was heard lately: whoever sends this decides, and does not only believe that it leads.
    pub decides: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Ballot {
    pub vote: Vote,
    pub last: Option<LogPoint>,
    /// The leader itself wants it so.
    pub handed_over: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SnapshotOffer {
    pub vote: Vote,
    pub last: Option<LogPoint>,
    pub members_at: Option<LogPoint>,
    pub members: Members,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Handover {
    pub from: Vote,
    pub to: u64,
    pub last: Option<LogPoint>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Answer {
    Appended,
    AppendedTo(Option<LogPoint>),
    /// What should stand before the entries does not.
    Conflict,
    HigherVote(Vote),
    Voted {
        vote: Vote,
        granted: bool,
        last: Option<LogPoint>,
    },
    Installed {
        vote: Vote,
    },
    /// It begins an election.
    WillLead,
    /// It has less than who leads.
    Behind(Option<LogPoint>),
    /// It could not do it.
    Failed(String),
}

impl Evolving for Question {
    const NAME: &'static str = "group question";
    const VERSION: u16 = 1;
    const COMPAT: u16 = 1;
}

impl Record for Question {
    const FAMILY: u16 = 0x0210;
}

impl Evolving for Answer {
    const NAME: &'static str = "group answer";
    const VERSION: u16 = 1;
    const COMPAT: u16 = 1;
}

impl Record for Answer {
    const FAMILY: u16 = 0x0211;
}

pub(super) async fn say<T: Record>(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &T,
) -> io::Result<()> {
    write(stream, &record::encode(message)).await
}

/// None: the other side has closed the connection between two messages.
pub(super) async fn hear<T: Record>(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<T>> {
    let Some(body) = read(stream).await? else {
        return Ok(None);
    };
    record::decode(&body, limits::GROUP_FRAME_BYTES_MAX)
        .map(Some)
        .map_err(io_error)
}

pub(super) async fn write(stream: &mut (impl AsyncWrite + Unpin), body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len()).map_err(io_error)?;
    let mut frame = Vec::with_capacity(HEADER_BYTES + body.len());
    frame.extend(length.to_be_bytes());
    frame.extend(crc32c::crc32c(body).to_be_bytes());
    frame.extend(body);
    stream.write_all(&frame).await?;
    stream.flush().await
}

pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut header = [0; HEADER_BYTES];
    if stream.read(&mut header[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut header[1..]).await?;
    let (length, crc) = header.split_at(4);
    let length = u32::from_be_bytes(length.try_into().map_err(io_error)?) as usize;
    if length > limits::GROUP_FRAME_BYTES_MAX {
        let text = format!("a frame of {length} bytes, which is more than any may have");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    if crc32c::crc32c(&body).to_be_bytes() != *crc {
        let text = "a frame was damaged on its way";
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(Some(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_is_heard_as_it_was_said_and_a_damaged_or_huge_one_is_refused() {
        let said = Answer::Voted {
            vote: Vote {
                term: 3,
                station: 2,
                committed: false,
            },
            granted: true,
            last: Some(LogPoint { term: 2, index: 9 }),
        };
        let mut bytes = Vec::new();
        say(&mut bytes, &said).await.unwrap();
        let heard: Answer = hear(&mut bytes.as_slice()).await.unwrap().unwrap();
        assert_eq!(format!("{heard:?}"), format!("{said:?}"));
        assert!(hear::<Answer>(&mut [].as_slice()).await.unwrap().is_none());
        let mut damaged = bytes.clone();
        *damaged.last_mut().unwrap() ^= 1;
        let why = hear::<Answer>(&mut damaged.as_slice()).await.unwrap_err();
        assert!(why.to_string().contains("damaged"), "{why}");
        let mut huge = bytes.clone();
        huge[0] = 0xff;
        let why = hear::<Answer>(&mut huge.as_slice()).await.unwrap_err();
        assert!(why.to_string().contains("more than any"), "{why}");
        let cut = &bytes[..bytes.len() - 1];
        hear::<Answer>(&mut &cut[..]).await.unwrap_err();
    }
}
