//! The session with the station: connects, introduces itself, and carries words both ways until it breaks; then
//! again, for ever, with a jittered pause.

mod bulk;
mod connection;
mod pulse;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use mainstay_protocol::bad_frames::BadFrames;
use mainstay_protocol::frame::{Channel, FrameDecoder, FrameError, encode_frame};
use mainstay_protocol::handshake::{Handshake, HandshakeError, Role, agree};
use mainstay_protocol::report::NodeUp;
use mainstay_protocol::session::{AgentMessage, Received, StationMessage, Welcome};
use mainstay_protocol::{ClusterId, limits};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use self::bulk::BulkWay;
use self::connection::{Connection, ReadHalf, WriteHalf};
use crate::driver::{Happened, Line};
use crate::machine;
use crate::options::{AgentOptions, Endpoint};
use crate::requests::Requests;

pub(crate) use self::bulk::Answers;
pub(crate) use self::pulse::Pulse;

const HEARTBEAT: Duration = Duration::from_secs(1);
/// A station that takes no heartbeat for so long is gone, whatever the socket says.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Connecting, handshake and welcome, each.
const OPENING_MAX: Duration = Duration::from_secs(5);
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
const READ_BYTES: usize = 16 * 1024;

/// Why a session did not come to be, or ended.
#[derive(Debug, Error)]
pub(crate) enum SessionError {
    #[error("{doing}: {cause}")]
    Io {
        doing: &'static str,
        cause: std::io::Error,
    },
    #[error("{doing}: nothing for {} ms", .after.as_millis())]
    Silent {
        doing: &'static str,
        after: Duration,
    },
    #[error("the station's socket belongs to user {theirs}, not to {ours}")]
    ForeignUser { ours: u32, theirs: u32 },
    #[error("the handshake: {0}")]
    Handshake(#[from] HandshakeError),
    #[error("{text} ({code})")]
    Refused { code: String, text: String },
    #[error("a frame: {0}")]
    Frame(#[from] FrameError),
    #[error("the station said something else before its welcome")]
    NoWelcome,
    #[error("the station closed the connection")]
    Closed,
    #[error("the agent closed the session")]
    Dropped,
}

/// Connects for ever.
pub(crate) struct Session {
    endpoint: Endpoint,
    cluster: Option<ClusterId>,
    happened: mpsc::Sender<Happened>,
    requests: Requests,
    pulse: Pulse,
    bad_frames: BadFrames,
}

impl Session {
    pub(crate) fn new(
        options: &AgentOptions,
        happened: mpsc::Sender<Happened>,
        requests: Requests,
        pulse: Pulse,
    ) -> Self {
        Self {
            endpoint: options.station.clone(),
            cluster: options.cluster,
            happened,
            requests,
            pulse,
            bad_frames: BadFrames::of(options.station.to_string()),
        }
    }

    pub(crate) async fn run(mut self) {
        let mut pause = PAUSE_MIN;
        let mut said = String::new();
        loop {
            let error = match self.open().await {
                Ok((opened, bulk, welcome)) => {
                    let error = self.carry(opened, bulk, welcome).await;
                    // A station that is not to be followed would be asked again without a pause.
                    if !matches!(error, SessionError::Dropped) {
                        (pause, said) = (PAUSE_MIN, String::new());
                    }
                    error
                }
                Err(error) => error,
            };
            // Once per reason: an agent may wait for its station for days.
            let why = error.to_string();
            if why != said {
                tracing::warn!(station = %self.endpoint, why, "no session; trying again");
                said = why;
            }
            sleep(jittered(pause)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// From connecting to the station's welcome.
    async fn open(&mut self) -> Result<(Opened, BulkWay, Welcome), SessionError> {
        let connecting = connection::connect(&self.endpoint);
        let Connection { read, write } = in_time("connecting to the station", connecting).await?;
        let mut opened = Opened {
            read,
            write,
            decoder: FrameDecoder::new(Channel::Control),
            channel: Channel::Control,
        };
        let (node_up, asked) = oneshot::channel();
        let told = self.happened.send(Happened::Connected { node_up }).await;
        let node_up = match (told, asked.await) {
            (Ok(()), Ok(node_up)) => node_up,
            // The driver is gone: the agent ends.
            (Ok(()) | Err(_), _) => return Err(SessionError::Dropped),
        };
        let handshake = self.introduction(&node_up);
        let bulk = BulkWay {
            endpoint: self.endpoint.clone(),
            handshake: Handshake {
                channel: Channel::Bulk,
                ..handshake.clone()
            },
            agent_run: node_up.agent_run,
        };
        let welcome = async {
            opened.shake_hands(handshake).await?;
            opened
                .write(AgentMessage::NodeUp(Box::new(node_up)))
                .await?;
            opened.welcome().await
        };
        let welcome = in_time("waiting for the station's welcome", welcome).await?;
        Ok((opened, bulk, welcome))
    }

    fn introduction(&self, node_up: &NodeUp) -> Handshake {
        Handshake {
            cluster: self.cluster,
            node: Some(node_up.node.clone()),
            node_id: node_up.node_id,
            boot_id: Some(node_up.boot_id.clone()),
            ..Handshake::new(Role::Agent, Channel::Control, machine::build())
        }
    }

    /// Both ways, until one of them ends.
    async fn carry(&mut self, opened: Opened, bulk: BulkWay, welcome: Welcome) -> SessionError {
        let Opened {
            read,
            write,
            decoder,
            ..
        } = opened;
        let (outgoing, queue) = mpsc::channel(limits::SESSION_QUEUE_MAX);
        let (answers, opens) = Answers::new(outgoing.clone());
        let (line, let_go) = Line::new(outgoing);
        if self
            .happened
            .send(Happened::Up { welcome, line })
            .await
            .is_err()
        {
            return SessionError::Dropped;
        }
        let writing = speak(write, queue, self.pulse.clone());
        let bulk = bulk.keep(opens, self.requests.clone(), answers.clone());
        let hearing = self.hear(read, decoder, answers);
        // Whatever is still to be answered: with the queue its askers' way back is gone, and they give up.
        let ended = tokio::select! {
            biased;
            () = let_go => Err(SessionError::Dropped),
            ended = writing => ended,
            ended = hearing => ended,
            // Never ends by itself: without it, everything goes over the session.
            () = bulk => Err(SessionError::Dropped),
        };
        // If the driver is gone, the agent ends.
        let _ = self.happened.send(Happened::Down).await;
        ended.err().unwrap_or(SessionError::Closed)
    }

    async fn hear(
        &mut self,
        mut read: ReadHalf,
        mut decoder: FrameDecoder,
        answers: Answers,
    ) -> Result<(), SessionError> {
        let mut bytes = vec![0; READ_BYTES];
        loop {
            while let Some(frame) = decoder.next() {
                let frame = frame.inspect_err(|error| self.bad_frames.broken(error))?;
                match StationMessage::from_frame(&frame) {
                    Ok(Received::Message(message)) => self.heard(message, &answers).await?,
                    Ok(Received::Unsupported { request_id, answer }) => {
                        if let Some(what) = answer {
                            let said = AgentMessage::Unsupported { request_id, what };
                            answers.say(said).await;
                        }
                    }
                    Err(bad) => {
                        tracing::warn!(%bad, "a frame of the station cannot be read");
                        self.bad_frames.undecodable(&frame, bad);
                    }
                }
            }
            let reading = read.read(&mut bytes);
            let count = timeout(SILENCE_MAX, reading)
                .await
                .map_err(|_| SessionError::Silent {
                    doing: "listening",
                    after: SILENCE_MAX,
                })?
                .map_err(|cause| SessionError::Io {
                    doing: "listening",
                    cause,
                })?;
            if count == 0 {
                return Err(SessionError::Closed);
            }
            decoder.push(&bytes[..count]);
        }
    }

    async fn heard(
        &mut self,
        message: StationMessage,
        answers: &Answers,
    ) -> Result<(), SessionError> {
        let happened = match message {
            StationMessage::Command(command) => Happened::Command(command),
            StationMessage::Acknowledged(acknowledged) => Happened::Acknowledged(acknowledged),
            StationMessage::Request {
                request_id,
                request,
            } => {
                self.requests.serve(request_id, request, answers.clone());
                return Ok(());
            }
            StationMessage::Denied(denied) => {
                return Err(SessionError::Refused {
                    code: denied.code.to_string(),
                    text: denied.text,
                });
            }
            StationMessage::Unsupported { what, .. } => {
                tracing::warn!(
                    kind = what.kind,
                    known = what.known,
                    "the station cannot read this"
                );
                return Ok(());
            }
            // That it came is what it says.
            StationMessage::HeartbeatSeen(_) => return Ok(()),
            StationMessage::BulkReady(_) => {
                tracing::warn!("the station speaks of a bulk connection on another");
                return Ok(());
            }
            StationMessage::Welcome(_) => return Err(SessionError::NoWelcome),
        };
        self.happened
            .send(happened)
            .await
            .map_err(|_| SessionError::Dropped)
    }
}

/// A connection that is not yet a session.
struct Opened {
    read: ReadHalf,
    write: WriteHalf,
    decoder: FrameDecoder,
    channel: Channel,
}

impl Opened {
    async fn shake_hands(&mut self, mine: Handshake) -> Result<(), SessionError> {
        let doing = "shaking hands";
        let io = |cause| SessionError::Io { doing, cause };
        self.write.write_all(&mine.encode()?).await.map_err(io)?;
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
            Ok(_) => Ok(()),
            Err(refused) => Err(SessionError::Refused {
                code: refused.code.to_string(),
                text: refused.text,
            }),
        }
    }

    async fn write(&mut self, message: AgentMessage) -> Result<(), SessionError> {
        let mut bytes = Vec::new();
        encode_frame(&message.to_frame(), self.channel, &mut bytes)?;
        let io = |cause| SessionError::Io {
            doing: "introducing the node",
            cause,
        };
        self.write.write_all(&bytes).await.map_err(io)
    }

    async fn welcome(&mut self) -> Result<Welcome, SessionError> {
        let word = self.first_word().await?;
        if let StationMessage::Welcome(welcome) = word {
            return Ok(welcome);
        }
        Err(unwelcome(word))
    }

    async fn first_word(&mut self) -> Result<StationMessage, SessionError> {
        let mut bytes = vec![0; READ_BYTES];
        let frame = loop {
            if let Some(frame) = self.decoder.next() {
                break frame?;
            }
            let io = |cause| SessionError::Io {
                doing: "waiting for the welcome",
                cause,
            };
            let count = self.read.read(&mut bytes).await.map_err(io)?;
            if count == 0 {
                return Err(SessionError::Closed);
            }
            self.decoder.push(&bytes[..count]);
        };
        match StationMessage::from_frame(&frame) {
            Ok(Received::Message(message)) => Ok(message),
            Ok(Received::Unsupported { .. }) | Err(_) => Err(SessionError::NoWelcome),
        }
    }
}

/// Why a connection is none, in the station's words if it said any.
fn unwelcome(word: StationMessage) -> SessionError {
    if let StationMessage::Denied(denied) = word {
        return SessionError::Refused {
            code: denied.code.to_string(),
            text: denied.text,
        };
    }
    SessionError::NoWelcome
}

/// Writes what is queued, as much as is there in one write, and the heartbeats.
async fn speak(
    mut write: WriteHalf,
    mut queue: mpsc::Receiver<AgentMessage>,
    pulse: Pulse,
) -> Result<(), SessionError> {
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = None;
    let mut bytes = Vec::new();
    loop {
        let mut message = tokio::select! {
            message = queue.recv() => message.ok_or(SessionError::Dropped)?,
            _ = heartbeat.tick() => AgentMessage::Heartbeat(pulse.heartbeat(&mut last)),
        };
        bytes.clear();
        loop {
            if let Err(error) = encode_frame(&message.to_frame(), Channel::Control, &mut bytes) {
                tracing::error!(%error, "too large to be said");
            }
            if bytes.len() >= limits::CONTROL_FRAME_BYTES_MAX {
                break;
            }
            match queue.try_recv() {
                Ok(next) => message = next,
                Err(_) => break,
            }
        }
        let io = |cause| SessionError::Io {
            doing: "speaking",
            cause,
        };
        timeout(SILENCE_MAX, write.write_all(&bytes))
            .await
            .map_err(|_| SessionError::Silent {
                doing: "speaking",
                after: SILENCE_MAX,
            })?
            .map_err(io)?;
    }
}

async fn in_time<T>(
    doing: &'static str,
    future: impl Future<Output = Result<T, SessionError>>,
) -> Result<T, SessionError> {
    let silent = |_| SessionError::Silent {
        doing,
        after: OPENING_MAX,
    };
    timeout(OPENING_MAX, future).await.map_err(silent)?
}

/// Between half of it and all of it, so that a cluster's agents do not come back in step.
fn jittered(pause: Duration) -> Duration {
    // Every RandomState has other keys; nothing here needs better randomness.
    let dice = RandomState::new().build_hasher().finish();
    let half = pause / 2;
    half + half.mul_f64((dice % 1024) as f64 / 1024.0)
}
