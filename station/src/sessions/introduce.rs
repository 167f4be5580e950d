//! A peer introduces itself: the frozen handshake, then NodeUp, or BulkUp on a second connection, and nothing else before
//! that. Another station says all it has to say with the handshake.

use mainstay_identity::tls::Peer;
use mainstay_identity::way::BoxedStream;
use mainstay_protocol::Bearer;
use mainstay_protocol::bad_frames::BadFrames;
use mainstay_protocol::code;
use mainstay_protocol::frame::{Channel, FrameDecoder, encode_frame};
use mainstay_protocol::handshake::{Handshake, Role, agree};
use mainstay_protocol::report::NodeUp;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::session::{AgentMessage, Certificate, Received, StationMessage};
use mainstay_protocol::{AgentRunId, Epoch, NodeName, StationId, limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::denied;
use super::listener::Came;
use crate::shared::Shared;

/// Who came.
pub enum Introduced {
    Agent(Box<FromAgent>),
    /// Another station of the group, for the log's talk.
    Log(StationId),
    /// Another station, which passes requests on.
    Api(StationId),
    /// It was given a new certificate, and is done.
    Renewed,
}

/// A peer that is an agent, with what was read behind its first word.
pub struct FromAgent {
    pub first: First,
    pub decoder: FrameDecoder,
    pub bad: BadFrames,
}

/// The word that a connection begins with.
pub enum First {
    /// A session.
    Node(Box<NodeUp>),
    /// The bulk connection of a session that is there already.
    Bulk(NodeName, AgentRunId),
}

/// A peer that is not, and what it sent.
pub struct BadPeer {
    pub frames: BadFrames,
    pub why: String,
}

pub async fn introduce(
    stream: &mut BoxedStream,
    mine: &Handshake,
    came: &Came,
    shared: &Shared,
) -> Result<Introduced, BadPeer> {
    let theirs = match read_handshake(stream).await {
        Ok(theirs) => theirs,
        Err(why) => return Err(bad(BadFrames::of("unknown"), why)),
    };
    let peer = theirs
        .node
        .as_ref()
        .map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let frames = BadFrames::of(peer);
    let mine = Handshake {
        // Whichever it opened: what it is for is said by its first word.
        channel: theirs.channel,
        ..mine.clone()
    };
    let bytes = mine
        .encode()
        .expect("our own handshake is within its limits");
    if let Err(error) = say(stream, &bytes).await {
        return Err(bad(
            frames,
            format!("it left during the handshake: {error}"),
        ));
    }
    // The peer comes to the same verdict by itself.
    if let Err(refused) = agree(&mine, &theirs) {
        return Err(bad(frames, refused.text));
    }
    if let Err(refusal) = shows(came, &theirs, shared) {
        write(stream, &denied(&refusal)).await;
        return Err(bad(frames, refusal.text));
    }
    if theirs.role != Role::Agent {
        return station(&mine, &theirs).map_err(|why| bad(frames, why));
    }
    let (message, decoder, frames) = first_message(stream, theirs.channel, frames).await?;
    match renewal(&message, stream, came, shared).await {
        Ok(false) => agent(stream, message, theirs, (decoder, frames)).await,
        Ok(true) => Ok(Introduced::Renewed),
        Err(refusal) => {
            write(stream, &denied(&refusal)).await;
            Err(bad(frames, refusal.text))
        }
    }
}

/// The first word of an agent that may come in.
async fn agent(
    stream: &mut BoxedStream,
    message: AgentMessage,
    theirs: Handshake,
    (decoder, frames): (FrameDecoder, BadFrames),
) -> Result<Introduced, BadPeer> {
    let refused = match (message, theirs.channel, theirs.node) {
        (AgentMessage::NodeUp(up), Channel::Control, Some(node)) if up.node != node => {
            format!("the handshake says {node}, the NodeUp {}", up.node)
        }
        (AgentMessage::NodeUp(up), Channel::Control, Some(_) | None) => {
            return Ok(Introduced::Agent(Box::new(FromAgent {
                first: First::Node(up),
                decoder,
                bad: frames,
            })));
        }
        (AgentMessage::BulkUp(up), Channel::Bulk, Some(node)) => {
            return Ok(Introduced::Agent(Box::new(FromAgent {
                first: First::Bulk(node, up.agent_run),
                decoder,
                bad: frames,
            })));
        }
        (_, Channel::Control, _) => "a session begins with a NodeUp".to_owned(),
        (_, Channel::Bulk, _) => {
            "a bulk connection begins with a node's name and a BulkUp".to_owned()
        }
    };
    refuse(stream, &refused).await;
    Err(bad(frames, refused))
}

/// Its handshake is all that another station says of itself.
fn station(mine: &Handshake, theirs: &Handshake) -> Result<Introduced, String> {
    match (theirs.role, theirs.station, theirs.channel) {
        (Role::Station, Some(_), _) if theirs.epoch != Epoch(0) && theirs.epoch < mine.epoch => {
            Err(format!(
                "it is of the cluster's epoch {}, which epoch {} has taken the place of",
                theirs.epoch, mine.epoch
            ))
        }
        (Role::Station, Some(station), Channel::Control) => Ok(Introduced::Log(station)),
        (Role::Station, Some(station), Channel::Bulk) => Ok(Introduced::Api(station)),
        (Role::Station, None, _) | (Role::Agent | Role::Cli, _, _) => Err(format!(
            "this socket is for agents and stations, not for {:?}",
            theirs.role
        )),
    }
}

/// Whether what somebody says to be is what it shows. On the machine's own socket its user is enough.
fn shows(came: &Came, theirs: &Handshake, shared: &Shared) -> Result<(), Refusal> {
    let Came::Network(peer) = came else {
        return Ok(());
    };
    let Some(peer) = peer else {
        let text = "it shows no certificate; a machine joins before it comes";
        return Err(Refusal::new(code::STRANGER, text));
    };
    let same = match (&peer.bearer, theirs.role) {
        (Bearer::Agent(node), Role::Agent) => theirs.node.as_ref() == Some(node),
        (Bearer::Station(station), Role::Station) => theirs.station == Some(*station),
        (Bearer::Agent(_) | Bearer::Station(_) | Bearer::Person { .. }, _) => false,
    };
    if !same {
        let text = format!(
            "its certificate is of {}, and that is not what it says to be",
            peer.bearer
        );
        return Err(Refusal::new(code::NOT_ALLOWED, text));
    }
    if peer.is_over() && theirs.role == Role::Station {
        let text = "its certificate has run out, and stations renew their own";
        return Err(Refusal::new(code::CERTIFICATE_EXPIRED, text));
    }
    shared.admits(peer)
}

/// Whether that was all it came for. With a certificate that has run out it may come for nothing else.
async fn renewal(
    message: &AgentMessage,
    stream: &mut BoxedStream,
    came: &Came,
    shared: &Shared,
) -> Result<bool, Refusal> {
    let expired = matches!(came, Came::Network(Some(peer)) if peer.is_over());
    match message {
        AgentMessage::Renew(_) => renew(stream, came, shared).await.map(|()| true),
        _ if expired => {
            let text = "its certificate has run out; it is to ask for a new one first";
            Err(Refusal::new(code::CERTIFICATE_EXPIRED, text))
        }
        _ => Ok(false),
    }
}

/// A new certificate, for the key that it showed.
async fn renew(stream: &mut BoxedStream, came: &Came, shared: &Shared) -> Result<(), Refusal> {
    let (Came::Network(Some(Peer { bearer, public, .. })), Some(access)) = (came, &shared.access)
    else {
        let text = "there is no certificate to be renewed on this socket";
        return Err(Refusal::new(code::BAD_REQUEST, text));
    };
    let issued = access.issue(&shared.store.view(), bearer, public);
    let issued = issued.map_err(|problem| Refusal::new(problem.code, problem.why))?;
    tracing::info!(%bearer, "a certificate is renewed");
    let der = issued.to_vec();
    write(stream, &StationMessage::Certificate(Certificate { der })).await;
    Ok(())
}

fn bad(mut frames: BadFrames, why: impl Into<String>) -> BadPeer {
    let why = why.into();
    frames.broken(&why);
    BadPeer { frames, why }
}

pub async fn read_handshake(stream: &mut BoxedStream) -> Result<Handshake, String> {
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

type FirstMessage = (AgentMessage, FrameDecoder, BadFrames);

async fn first_message(
    stream: &mut BoxedStream,
    channel: Channel,
    frames: BadFrames,
) -> Result<FirstMessage, BadPeer> {
    let mut decoder = FrameDecoder::new(channel);
    let mut buffer = vec![0; limits::SESSION_READ_BYTES];
    loop {
        match decoder.next() {
            Some(Ok(frame)) => match AgentMessage::from_frame(&frame) {
                Ok(Received::Message(message)) => return Ok((message, decoder, frames)),
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
                Ok(0) => return Err(bad(frames, "it left before its first word")),
                Ok(read) => decoder.push(&buffer[..read]),
                Err(error) => return Err(bad(frames, error.to_string())),
            },
        }
    }
}

/// Says why before the connection closes; a peer that does not listen is closed without.
async fn refuse(stream: &mut BoxedStream, why: &str) {
    write(stream, &denied(&Refusal::new(code::BAD_REQUEST, why))).await;
}

async fn write(stream: &mut BoxedStream, message: &StationMessage) {
    let mut bytes = Vec::new();
    if encode_frame(&message.to_frame(), Channel::Control, &mut bytes).is_ok() {
        drop(say(stream, &bytes).await);
    }
}

async fn say(stream: &mut BoxedStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}
