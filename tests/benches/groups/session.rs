//! A session as a node's agent has it with its station: the real handshake, and frames both ways.

use std::path::Path;

use mainstay_protocol::frame::{Channel, FrameDecoder, encode_frame};
use mainstay_protocol::handshake::{Handshake, Role};
use mainstay_protocol::report::NodeUp;
use mainstay_protocol::session::{AgentMessage, Received, StationMessage, Welcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// As agents read.
const READ_BYTES: usize = 16 * 1024;

/// Why there is no session, or no more.
#[derive(Debug)]
pub enum Over {
    /// Another station leads, this one of them all.
    Leads(usize),
    Broken,
}

impl From<std::io::Error> for Over {
    fn from(_error: std::io::Error) -> Self {
        Self::Broken
    }
}

pub struct Session {
    stream: UnixStream,
    decoder: FrameDecoder,
    read: Vec<u8>,
}

impl Session {
    /// Up to the welcome.
    pub async fn open(socket: &Path, up: NodeUp) -> Result<(Self, Welcome), Over> {
        let mut session = Self {
            stream: UnixStream::connect(socket).await?,
            decoder: FrameDecoder::new(Channel::Control),
            read: vec![0; READ_BYTES],
        };
        session.shake_hands(&up).await?;
        session.say(&AgentMessage::NodeUp(Box::new(up))).await?;
        let mut leader = None;
        loop {
            match session.word().await? {
                StationMessage::Welcome(welcome) => return Ok((session, welcome)),
                StationMessage::Stations(told) => leader = told.leader,
                _denied => {
                    let leads = |leader: mainstay_protocol::StationId| leader.0 as usize - 1;
                    return Err(leader.map(leads).map_or(Over::Broken, Over::Leads));
                }
            }
        }
    }

    async fn shake_hands(&mut self, up: &NodeUp) -> Result<(), Over> {
        let mine = Handshake {
            node: Some(up.node.clone()),
            node_id: up.node_id,
            boot_id: Some(up.boot_id.clone()),
            ..Handshake::new(Role::Agent, Channel::Control, up.build.clone())
        };
        let bytes = mine.encode().expect("it is within its limits");
        self.stream.write_all(&bytes).await?;
        let mut theirs = Vec::new();
        while let needed @ 1.. = Handshake::needed(&theirs).expect("a station's handshake") {
            let at = theirs.len();
            theirs.resize(at + needed, 0);
            self.stream.read_exact(&mut theirs[at..]).await?;
        }
        Ok(())
    }

    pub async fn say(&mut self, message: &AgentMessage) -> Result<(), Over> {
        let mut bytes = Vec::new();
        encode_frame(&message.to_frame(), Channel::Control, &mut bytes).expect("it fits a frame");
        Ok(self.stream.write_all(&bytes).await?)
    }

    /// What the station says next. Nothing is lost if it is not waited for to the end.
    pub async fn word(&mut self) -> Result<StationMessage, Over> {
        loop {
            if let Some(frame) = self.decoder.next() {
                let frame = frame.expect("a station's frame");
                match StationMessage::from_frame(&frame).expect("a station's words") {
                    Received::Message(message) => return Ok(message),
                    Received::Unsupported { .. } => panic!("both are of one build"),
                }
            }
            match self.stream.read(&mut self.read).await? {
                0 => return Err(Over::Broken),
                count => self.decoder.push(&self.read[..count]),
            }
        }
    }
}
