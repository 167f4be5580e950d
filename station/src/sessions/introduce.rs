//! A peer introduces itself: the frozen handshake, then NodeUp, and nothing else before that.

use mainstay_protocol::bad_frames::BadFrames;
use mainstay_protocol::code;
use mainstay_protocol::frame::{Channel, FrameDecoder, encode_frame};
use mainstay_protocol::handshake::{Handshake, Role, agree};
use mainstay_protocol::limits;
use mainstay_protocol::report::NodeUp;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::session::{AgentMessage, Received, StationMessage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::denied;

/// A peer that is an agent.
pub struct Introduced {
    pub up: Box<NodeUp>,
    /// With what was read behind the NodeUp.
    pub decoder: FrameDecoder,
    pub bad: BadFrames,
}

/// A peer that is not, and what it sent.
pub struct BadPeer {
    pub frames: BadFrames,
    pub why: String,
}

pub async fn introduce(stream: &mut UnixStream, mine: &Handshake) -> Result<Introduced, BadPeer> {
    let theirs = match read_handshake(stream).await {
        Ok(theirs) => theirs,
        Err(why) => return Err(bad(BadFrames::of("unknown"), why)),
    };
    let peer = theirs
        .node
        .as_ref()
        .map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let frames = BadFrames::of(peer);
    let bytes = mine
        .encode()
        .expect("our own handshake is within its limits");
    if let Err(error) = stream.write_all(&bytes).await {
        return Err(bad(
            frames,
            format!("it left during the handshake: {error}"),
        ));
    }
    // The peer comes to the same verdict by itself.
    if let Err(refused) = agree(mine, &theirs) {
        return Err(bad(frames, refused.text));
    }
    if theirs.role != Role::Agent {
        return Err(bad(
            frames,
            format!("this socket is for agents, not for {:?}", theirs.role),
        ));
    }
    let introduced = read_node_up(stream, frames).await?;
    match &theirs.node {
        Some(node) if *node != introduced.up.node => {
            let text = format!(
                "the handshake says {node}, the NodeUp {}",
                introduced.up.node
            );
            refuse(stream, &text).await;
            Err(bad(introduced.bad, text))
        }
        Some(_) | None => Ok(introduced),
    }
}

fn bad(mut frames: BadFrames, why: impl Into<String>) -> BadPeer {
    let why = why.into();
    frames.broken(&why);
    BadPeer { frames, why }
}

async fn read_handshake(stream: &mut UnixStream) -> Result<Handshake, String> {
    let mut bytes = Vec::new();
    loop {
        let needed = Handshake::needed(&bytes).map_err(|error| error.to_string())?;
        if needed == 0 {
            return Handshake::decode(&bytes).map_err(|error| error.to_string());
        }
        let start = bytes.len();
        bytes.resize(start + needed, 0);
        let read = stream
            .read(&mut bytes[start..])
            .await
            .map_err(|error| error.to_string())?;
        if read == 0 {
            return Err("it left within the handshake".to_owned());
        }
        bytes.truncate(start + read);
    }
}

async fn read_node_up(stream: &mut UnixStream, frames: BadFrames) -> Result<Introduced, BadPeer> {
    let mut decoder = FrameDecoder::new(Channel::Control);
    let mut buffer = vec![0; limits::SESSION_READ_BYTES];
    loop {
        match decoder.next() {
            Some(Ok(frame)) => match AgentMessage::from_frame(&frame) {
                Ok(Received::Message(AgentMessage::NodeUp(up))) => {
                    return Ok(Introduced {
                        up,
                        decoder,
                        bad: frames,
                    });
                }
                Ok(Received::Message(_)) => {
                    let why = "a session begins with a NodeUp";
                    refuse(stream, why).await;
                    return Err(bad(frames, why));
                }
                // A NodeUp too new to read is answered so, and the agent may try an older one.
                Ok(Received::Unsupported { request_id, answer }) => {
                    if let Some(what) = answer {
                        write(stream, &StationMessage::Unsupported { request_id, what }).await;
                    }
                }
                Err(body) => {
                    refuse(stream, &body.to_string()).await;
                    return Err(bad(frames, body.to_string()));
                }
            },
            Some(Err(error)) => {
                refuse(stream, &error.to_string()).await;
                return Err(bad(frames, error.to_string()));
            }
            None => match stream.read(&mut buffer).await {
                Ok(0) => return Err(bad(frames, "it left before its NodeUp")),
                Ok(read) => decoder.push(&buffer[..read]),
                Err(error) => return Err(bad(frames, error.to_string())),
            },
        }
    }
}

/// Says why before the connection closes; a peer that does not listen is closed without.
async fn refuse(stream: &mut UnixStream, why: &str) {
    write(stream, &denied(&Refusal::new(code::BAD_REQUEST, why))).await;
}

async fn write(stream: &mut UnixStream, message: &StationMessage) {
    let mut bytes = Vec::new();
    if encode_frame(&message.to_frame(), Channel::Control, &mut bytes).is_ok() {
        drop(stream.write_all(&bytes).await);
    }
}
