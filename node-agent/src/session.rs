//! The session with the station that leads: connects, introduces itself, and carries words both ways until it breaks;
//! then again, for ever, with a jittered pause. Which station is asked is decided in `stations`.

mod answering;
mod bulk;
mod connection;
mod opened;
mod pulse;
mod renewal;
mod stations;
mod stations_file;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use mainstay_identity::Renewing;
use mainstay_protocol::bad_frames::BadFrames;
use mainstay_protocol::code::{self, Code};
use mainstay_protocol::frame::{Channel, FrameDecoder, FrameError, encode_frame};
use mainstay_protocol::handshake::{Handshake, HandshakeError, Role};
use mainstay_protocol::report::NodeUp;
use mainstay_protocol::request::{Answer, Ask, Refusal, Request};
use mainstay_protocol::session::{
    AgentMessage, Denied, Received, StationMessage, Stations, Welcome,
};
use mainstay_protocol::{Address, ClusterId, NodeName, limits};
use mainstay_service::hosting::Heard;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use self::bulk::BulkWay;
use self::opened::{in_time, unwelcome};
use self::stations::{Known, News, Next};
use self::stations_file::StationsFile;
use crate::artifacts::Artifacts;
use crate::driver::{Happened, Line};
use crate::lookups::Lookups;
use crate::machine;
use crate::mesh::{Guarding, Watching, Whereabouts};
use crate::options::AgentOptions;
use crate::requests::Requests;
use crate::secrets::Secrets;

pub(crate) use self::answering::{Asker, hear as hear_questions, speak as speak_answers};
pub(crate) use self::bulk::Answers;
pub(crate) use self::connection::{ReadHalf, WriteHalf};
pub(crate) use self::opened::Opened;
pub(crate) use self::pulse::Pulse;

const HEARTBEAT: Duration = Duration::from_secs(1);
/// A station that takes no heartbeat for so long is gone, whatever the socket says.
const SILENCE_MAX: Duration = Duration::from_secs(5);
const READ_BYTES: usize = 16 * 1024;
/// One is worked on, one waits: whoever asks more often is told so.
const RENEWALS_ASKED_MAX: usize = 1;

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
    #[error("a new certificate cannot be kept: {0}")]
    NotKept(String),
    #[error("the handshake: {0}")]
    Handshake(#[from] HandshakeError),
    #[error("{text} ({code})")]
    Refused { code: Code, text: String },
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
    stations: Known,
    file: StationsFile,
    /// Why there was no session with them, as it was logged last.
    said: BTreeMap<Address, String>,
    cluster: Option<ClusterId>,
    node: NodeName,
    /// What it shows over the network.
    shown: Option<Renewing>,
    happened: mpsc::Sender<Happened>,
    requests: Requests,
    pulse: Pulse,
    secrets: Secrets,
    artifacts: Artifacts,
    lookups: Lookups,
    guarding: Guarding,
    watching: Watching,
    whereabouts: Whereabouts,
    bad_frames: BadFrames,
}

impl Session {
    pub(crate) fn new(
        options: &AgentOptions,
        shown: Option<Renewing>,
        happened: mpsc::Sender<Happened>,
        requests: Requests,
        pulse: Pulse,
        ((secrets, artifacts), lookups): ((Secrets, Artifacts), Lookups),
        (guarding, watching, whereabouts): (Guarding, Watching, Whereabouts),
    ) -> Self {
        let stations = Known::new(options.stations.clone());
        let mut session = Self {
            bad_frames: BadFrames::of(stations.current().to_string()),
            stations,
            file: StationsFile::of(&options.dir),
            said: BTreeMap::new(),
            cluster: options.cluster,
            node: options.node.clone(),
            shown,
            happened,
            requests,
            pulse,
            secrets,
            artifacts,
            lookups,
            guarding,
            watching,
            whereabouts,
        };
        session.recall();
        session
    }

    pub(crate) async fn run(mut self) {
        loop {
            let asked = self.stations.current().clone();
            let (error, next) = match self.open(&asked).await {
                Ok((opened, bulk, welcome)) => {
                    let error = self.carry(opened, bulk, welcome).await;
                    // A station that is not to be followed would be asked again without a pause.
                    if matches!(error, SessionError::Dropped) {
                        (error, self.stations.failed())
                    } else {
                        self.said.clear();
                        let silent = matches!(error, SessionError::Silent { .. });
                        (error, self.stations.lost(silent))
                    }
                }
                Err(error) => (error, self.stations.failed()),
            };
            let mine = self.bare_introduction();
            renewal::as_told(self.shown.as_ref(), &asked, &mine, &error).await;
            self.say_why(asked, &error);
            match next {
                Next::AtOnce => {}
                Next::After(pause) => sleep(jittered(pause)).await,
            }
        }
    }

    /// Once per station and reason: an agent may wait for its stations for days.
    fn say_why(&mut self, station: Address, error: &SessionError) {
        let why = error.to_string();
        if self.said.get(&station) == Some(&why) {
            return;
        }
        let next = self.stations.current();
        match error {
            SessionError::Refused { code, .. } if *code == code::ANOTHER_LEADS => {
                tracing::info!(%station, why, %next, "sent on to another station");
            }
            _ => tracing::warn!(%station, why, %next, "no session; trying again"),
        }
        self.said.insert(station, why);
        let stations = &self.stations;
        self.said.retain(|station, _| stations.knows(station));
    }

    /// What stations told in an earlier life. Without it the agent goes where it was started with.
    fn recall(&mut self) {
        match self.file.read() {
            Ok(Some(told)) => log(&self.stations.told(told)),
            Ok(None) => {}
            Err(error) => {
                let file = self.file.path().display();
                tracing::warn!(%file, %error, "where the stations are cannot be read; it is told again with the next session");
            }
        }
    }

    fn told(&mut self, told: Stations) {
        let news = self.stations.told(told);
        log(&news);
        if news.changed
            && let Err(error) = self.file.write(self.stations.as_told())
        {
            let file = self.file.path().display();
            tracing::warn!(%file, %error, "where the stations are cannot be kept; a restarted agent knows only those of its --station");
        }
    }

    /// From connecting to the station's welcome.
    async fn open(
        &mut self,
        endpoint: &Address,
    ) -> Result<(Opened, BulkWay, Welcome), SessionError> {
        let shown = self.shown.clone();
        renewal::where_over(shown.as_ref(), endpoint, &self.bare_introduction()).await?;
        let mut opened = Opened::connect(endpoint, shown.as_ref(), Channel::Control).await?;
        let (node_up, asked) = oneshot::channel();
        let told = self.happened.send(Happened::Connected { node_up }).await;
        let mut node_up = match (told, asked.await) {
            (Ok(()), Ok(node_up)) => node_up,
            // The driver is gone: the agent ends.
            (Ok(()) | Err(_), _) => return Err(SessionError::Dropped),
        };
        node_up.address = self.whereabouts.towards(endpoint).await;
        let handshake = self.introduction(&node_up);
        let bulk = BulkWay {
            endpoint: endpoint.clone(),
            handshake: Handshake {
                channel: Channel::Bulk,
                ..handshake.clone()
            },
            agent_run: node_up.agent_run,
            shown,
        };
        let welcome = async {
            opened.shake_hands(handshake).await?;
            opened
                .write(AgentMessage::NodeUp(Box::new(node_up)))
                .await?;
            loop {
                match opened.word().await? {
                    StationMessage::Welcome(welcome) => return Ok(welcome),
                    // Who does not lead says who does, before it refuses.
                    StationMessage::Stations(stations) => self.told(stations),
                    other => return Err(unwelcome(other)),
                }
            }
        };
        let welcome = in_time("waiting for the station's welcome", welcome).await?;
        if self.bad_frames.peer() != endpoint.to_string() {
            self.bad_frames = BadFrames::of(endpoint.to_string());
        }
        Ok((opened, bulk, welcome))
    }

    fn introduction(&self, node_up: &NodeUp) -> Handshake {
        Handshake {
            node_id: node_up.node_id,
            boot_id: Some(node_up.boot_id.clone()),
            ..self.bare_introduction()
        }
    }

    /// All that a certificate says.
    fn bare_introduction(&self) -> Handshake {
        Handshake {
            cluster: self.cluster,
            node: Some(self.node.clone()),
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
        self.secrets.session_is_up(outgoing.clone());
        self.artifacts.session_is_up(outgoing.clone());
        self.watching.begins_anew();
        let lookups = self.lookups.clone();
        let following = lookups.keep_told(outgoing.clone());
        let (line, let_go) = Line::new(outgoing);
        if self
            .happened
            .send(Happened::Up {
                welcome,
                line,
                station: bulk.endpoint.clone(),
            })
            .await
            .is_err()
        {
            return SessionError::Dropped;
        }
        let writing = speak(write, queue, self.pulse.clone());
        let (shown, mine) = (self.shown.clone(), self.bare_introduction());
        let station = bulk.endpoint.clone();
        let (renewals, requests) = mpsc::channel(RENEWALS_ASKED_MAX);
        let asked = renewal::Asked {
            requests,
            answers: answers.clone(),
        };
        let renewing = renewal::keep(shown.as_ref(), &station, &mine, asked);
        let bulk = bulk.keep(opens, self.requests.clone(), answers.clone());
        let hearing = self.hear(
            read,
            decoder,
            Asking {
                answers,
                renewals,
                heard: Heard::default(),
            },
        );
        // Whatever is still to be answered: with the queue its askers' way back is gone, and they give up.
        let ended = tokio::select! {
            biased;
            () = let_go => Err(SessionError::Dropped),
            ended = writing => ended,
            ended = hearing => ended,
            // Neither ends by itself: without the one everything goes over the session, without the other nothing changes.
            () = bulk => Err(SessionError::Dropped),
            () = renewing => Err(SessionError::Dropped),
            () = following => Err(SessionError::Dropped),
        };
        self.secrets.session_is_down();
        self.artifacts.session_is_down();
        // If the driver is gone, the agent ends.
        let _ = self.happened.send(Happened::Down).await;
        ended.err().unwrap_or(SessionError::Closed)
    }

    async fn hear(
        &mut self,
        mut read: ReadHalf,
        mut decoder: FrameDecoder,
        asking: Asking,
    ) -> Result<(), SessionError> {
        let mut bytes = vec![0; READ_BYTES];
        loop {
            while let Some(frame) = decoder.next() {
                let frame = frame.inspect_err(|error| self.bad_frames.broken(error))?;
                match StationMessage::from_frame(&frame) {
                    Ok(Received::Message(message)) => self.heard(message, &asking).await?,
                    Ok(Received::Unsupported { request_id, answer }) => {
                        if let Some(what) = answer {
                            let said = AgentMessage::Unsupported { request_id, what };
                            asking.answers.say(said).await;
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
            asking.heard.now();
            decoder.push(&bytes[..count]);
        }
    }

    async fn heard(
        &mut self,
        message: StationMessage,
        asking: &Asking,
    ) -> Result<(), SessionError> {
        let happened = match message {
            StationMessage::Command(command) => Happened::Command(command),
            StationMessage::Acknowledged(acknowledged) => Happened::Acknowledged(acknowledged),
            StationMessage::Request {
                request_id,
                request,
            } => {
                self.asked(request_id, request, asking);
                return Ok(());
            }
            StationMessage::Denied(denied) => return Err(refused(denied)),
            StationMessage::Unsupported { what, .. } => {
                tracing::warn!(
                    kind = what.kind,
                    known = what.known,
                    "the station cannot read this"
                );
                return Ok(());
            }
            StationMessage::Stations(stations) => {
                self.told(stations);
                return Ok(());
            }
            StationMessage::Secret { request_id, answer } => {
                self.secrets.answered(request_id, answer);
                return Ok(());
            }
            StationMessage::Artifact { request_id, answer } => {
                self.artifacts.answered(request_id, answer);
                return Ok(());
            }
            StationMessage::Guards(guards) => {
                self.guarding.told(guards);
                return Ok(());
            }
            StationMessage::Watches(watches) => {
                self.watching.told(watches);
                return Ok(());
            }
            StationMessage::Found(found) => {
                self.lookups.told(found, &asking.heard);
                return Ok(());
            }
            StationMessage::HeartbeatSeen(seen) => match seen.renewed {
                Some(from_ms) => Happened::Renewed {
                    from_ms,
                    epoch: seen.leadership.epoch,
                },
                // That it came is what it says.
                None => return Ok(()),
            },
            StationMessage::BulkReady(_) | StationMessage::Certificate(_) => {
                tracing::warn!("the station says what belongs on another connection");
                return Ok(());
            }
            StationMessage::Welcome(_) => return Err(SessionError::NoWelcome),
        };
        self.happened
            .send(happened)
            .await
            .map_err(|_| SessionError::Dropped)
    }

    fn asked(&self, request_id: u64, request: Request, asking: &Asking) {
        if request.ask == Ask::RenewCertificate {
            asking.renew(request_id);
        } else {
            let answers = asking.answers.clone();
            self.requests.serve(request_id, request, answers);
        }
    }
}

fn refused(denied: Denied) -> SessionError {
    SessionError::Refused {
        code: denied.code,
        text: denied.text,
    }
}

/// Where what the station asks goes.
struct Asking {
    answers: Answers,
    renewals: mpsc::Sender<u64>,
    /// When it was last heard.
    heard: Heard,
}

impl Asking {
    fn renew(&self, request_id: u64) {
        if self.renewals.try_send(request_id).is_err() {
            let text = "the certificate is being renewed already";
            let answer = Answer::Refused(Refusal::new(code::OVERLOADED, text));
            self.answers
                .try_say(AgentMessage::Answer { request_id, answer });
        }
    }
}

fn log(news: &News) {
    for (station, bad) in &news.not_understood {
        tracing::warn!(%station, %bad, "this agent cannot reach a station that it was told of");
    }
    if news.left_off > 0 {
        let (left_off, most) = (news.left_off, limits::STATIONS_MAX);
        tracing::warn!(left_off, most, "told of more stations than a cluster has");
    }
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
            () = pulse.leases().wanted_now() => AgentMessage::Heartbeat(pulse.heartbeat(&mut last)),
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
        let writing = async {
            write.write_all(&bytes).await?;
            write.flush().await
        };
        timeout(SILENCE_MAX, writing)
            .await
            .map_err(|_| SessionError::Silent {
                doing: "speaking",
                after: SILENCE_MAX,
            })?
            .map_err(io)?;
    }
}

/// Between half of it and all of it, so that a cluster's agents do not come back in step.
pub(crate) fn jittered(pause: Duration) -> Duration {
    // Every RandomState has other keys; nothing here needs better randomness.
    let dice = RandomState::new().build_hasher().finish();
    let half = pause / 2;
    half + half.mul_f64((dice % 1024) as f64 / 1024.0)
}
