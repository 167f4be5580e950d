//! A connection up to the station's first words: the same for a session and for its bulk connection.

use std::time::Duration;

use mainstay_identity::Renewing;
use mainstay_identity::way::BoxedStream;
use mainstay_protocol::Address;
use mainstay_protocol::frame::{Channel, Frame, FrameDecoder, encode_frame};
use mainstay_protocol::handshake::{Handshake, agree};
use mainstay_protocol::session::{AgentMessage, Received, StationMessage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::connection::{self, Connection, ReadHalf, WriteHalf, broken};
use super::{READ_BYTES, SessionError};

/// Connecting, handshake and welcome, each.
const OPENING_MAX: Duration = Duration::from_secs(5);

/// A connection on which nothing has been said yet but who is there.
pub(crate) struct Opened {
    pub(crate) read: ReadHalf,
    pub(crate) write: WriteHalf,
    pub(crate) decoder: FrameDecoder,
    channel: Channel,
}

impl Opened {
    pub(crate) fn over(stream: BoxedStream, channel: Channel) -> Self {
        let Connection { read, write } = Connection::over(stream);
        Self {
            read,
            write,
            decoder: FrameDecoder::new(channel),
            channel,
        }
    }

    pub(super) async fn connect(
        endpoint: &Address,
        shown: Option<&Renewing>,
        channel: Channel,
    ) -> Result<Self, SessionError> {
        let connecting = connection::connect(endpoint, shown);
        let Connection { read, write } = in_time("connecting to the station", connecting).await?;
        Ok(Self {
            read,
            write,
            decoder: FrameDecoder::new(channel),
            channel,
        })
    }

    /// What the other side says of itself, if the two can talk.
    pub(crate) async fn shake_hands(&mut self, mine: Handshake) -> Result<Handshake, SessionError> {
        let doing = "shaking hands";
        let io = |cause| broken(doing, cause);
        self.write.write_all(&mine.encode()?).await.map_err(io)?;
        self.write.flush().await.map_err(io)?;
        let mut theirs = Vec::new();
        loop {
            let needed = Handshake::needed(&theirs)?;
            if needed == 0 {
                break;
            }
            let at = theirs.len();
            theirs.resize(at + needed, 0);
            self.read.read_exact(&mut theirs[at..]).await.map_err(io)?;
        }
        let theirs = Handshake::decode(&theirs)?;
        match agree(&mine, &theirs) {
            Ok(_) => Ok(theirs),
            Err(refused) => Err(SessionError::Refused {
                code: refused.code,
                text: refused.text,
            }),
        }
    }

    pub(super) async fn write(&mut self, message: AgentMessage) -> Result<(), SessionError> {
        self.say(&message.to_frame()).await
    }

    pub(crate) async fn say(&mut self, frame: &Frame) -> Result<(), SessionError> {
        let mut bytes = Vec::new();
        encode_frame(frame, self.channel, &mut bytes)?;
        let io = |cause| broken("speaking", cause);
        self.write.write_all(&bytes).await.map_err(io)?;
        self.write.flush().await.map_err(io)
    }

    /// What the station says next; what comes behind it stays for whoever listens then.
    pub(super) async fn word(&mut self) -> Result<StationMessage, SessionError> {
        match StationMessage::from_frame(&self.frame().await?) {
            Ok(Received::Message(message)) => Ok(message),
            Ok(Received::Unsupported { .. }) | Err(_) => Err(SessionError::NoWelcome),
        }
    }

    pub(crate) async fn frame(&mut self) -> Result<Frame, SessionError> {
        let mut bytes = vec![0; READ_BYTES];
        loop {
            if let Some(frame) = self.decoder.next() {
                return Ok(frame?);
            }
            let io = |cause| broken("waiting for a word", cause);
            let count = self.read.read(&mut bytes).await.map_err(io)?;
            if count == 0 {
                return Err(SessionError::Closed);
            }
            self.decoder.push(&bytes[..count]);
        }
    }
}

/// Why a connection is none, in the station's words if it said any.
pub(super) fn unwelcome(word: StationMessage) -> SessionError {
    if let StationMessage::Denied(denied) = word {
        return SessionError::Refused {
            code: denied.code,
            text: denied.text,
        };
    }
    SessionError::NoWelcome
}

pub(super) async fn in_time<T>(
    doing: &'static str,
    future: impl Future<Output = Result<T, SessionError>>,
) -> Result<T, SessionError> {
    let silent = |_| SessionError::Silent {
        doing,
        after: OPENING_MAX,
    };
    timeout(OPENING_MAX, future).await.map_err(silent)?
}
