//! An agent as the station sees one: a session that speaks the protocol. It carries commands out in memory, at
//! once; services named `stubborn` refuse to start, and placements named `immortal` do not end.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use mainstay_protocol::command::{Command, Order};
use mainstay_protocol::frame::{FrameDecoder, encode_frame};
use mainstay_protocol::handshake::{Channel, Handshake, Role};
use mainstay_protocol::health::{Evidence, FailureKind, Health, RefusedStart};
use mainstay_protocol::lookup::{Found, Sought};
use mainstay_protocol::report::{
    CommandOutcome, DigestEntry, Ending, LiveInstance, LiveState, NodeUp, Numbered, Presence,
    Report, Reports, SysInfo,
};
use mainstay_protocol::request::{
    Answer, Ask, LogPage, LogPlace, OutsideUsage, Refusal, Request, Usage,
};
use mainstay_protocol::session::{
    AgentMessage, Denied, Heartbeat, Received, StationMessage, Welcome,
};
use mainstay_protocol::sight::Sight;
use mainstay_protocol::work::{Changes, Work, WorkAnswer};
use mainstay_protocol::{
    BootId, Epoch, Incarnation, InstanceKey, NodeEpoch, NodeName, Sequence, code, revision,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub use crate::agent_config::AgentConfig;

/// Something the test makes happen.
#[derive(Debug)]
pub enum Act {
    Fail(InstanceKey, String),
    /// Sends these bytes as they are.
    Raw(Vec<u8>),
    /// Stops answering anything, heartbeats too, and keeps the connection.
    Freeze,
}

pub struct Agent {
    config: AgentConfig,
    pub welcome: Welcome,
    acts: mpsc::Sender<Act>,
    seen: watch::Receiver<Seen>,
    task: JoinHandle<()>,
}

/// What the agent has seen so far.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub starts: u64,
    pub stops: u64,
    /// Steps of runs.
    pub works: u64,
    pub acknowledged: Sequence,
    pub unsupported: u64,
    /// Requests of chaos.
    pub struck: u64,
    pub closed: bool,
    /// Leases count from then on.
    pub renewed: Option<u64>,
    /// The newest word about each thing that it follows.
    pub found: BTreeMap<Sought, Found>,
}

impl Agent {
    pub async fn connect(socket: &Path, config: AgentConfig) -> Result<Self, Denied> {
        let (reader, mut writer) = shaken(socket, &config).await.into_split();
        let mut wire = Wire::new(reader);
        send(
            &mut writer,
            &AgentMessage::NodeUp(Box::new(node_up(&config))),
        )
        .await;
        let mut word = wire.next().await;
        while matches!(word, Some(StationMessage::Stations(_))) {
            word = wire.next().await;
        }
        let welcome = match word {
            Some(StationMessage::Welcome(welcome)) => welcome,
            Some(StationMessage::Denied(denied)) => return Err(denied),
            other => {
                return Err(Denied {
                    code: code::INTERNAL,
                    text: format!("neither welcome nor denied: {other:?}"),
                });
            }
        };
        let (acts, taken) = mpsc::channel(16);
        let (tell, seen) = watch::channel(Seen::default());
        let life = Life {
            config: config.clone(),
            wire,
            writer,
            node_epoch: welcome.node_epoch,
            epoch: welcome.leadership.epoch,
            sequence: welcome.watermark,
            live: BTreeMap::new(),
            acts: taken,
            tell,
            frozen: false,
            beats: 0,
        };
        let task = tokio::spawn(life.live());
        Ok(Self {
            config,
            welcome,
            acts,
            seen,
            task,
        })
    }

    pub fn node(&self) -> &NodeName {
        &self.config.node
    }

    pub fn config(&self) -> AgentConfig {
        AgentConfig {
            node_epoch: Some(self.welcome.node_epoch),
            node_id: Some(self.welcome.node_id),
            ..self.config.clone()
        }
    }

    pub async fn act(&self, act: Act) {
        self.acts.send(act).await.unwrap();
    }

    pub async fn until(&mut self, seen: impl FnMut(&Seen) -> bool) -> Seen {
        let waiting = self.seen.wait_for(seen);
        let found = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        match found {
            Ok(seen) => seen.unwrap().clone(),
            Err(_elapsed) => panic!("the agent does not see it in time"),
        }
    }

    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// The process is gone.
    pub async fn kill(self) {
        self.task.abort();
        drop(self.task.await);
    }
}

pub fn handshake(config: &AgentConfig) -> Handshake {
    Handshake {
        cluster: config.cluster,
        epoch: Epoch(0),
        node: Some(config.node.clone()),
        node_id: config.node_id,
        boot_id: Some(BootId("boot".to_owned())),
        build: "test".to_owned(),
        interfaces: vec![revision::control()],
        features: std::collections::BTreeSet::new(),
        channel: Channel::Control,
        role: Role::Agent,
        station: None,
        run: None,
    }
}

/// A connection with the handshake behind it.
pub async fn shaken(socket: &Path, config: &AgentConfig) -> UnixStream {
    shaken_on(Channel::Control, socket, config).await
}

pub async fn shaken_on(channel: Channel, socket: &Path, config: &AgentConfig) -> UnixStream {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let mine = Handshake {
        channel,
        ..handshake(config)
    };
    stream.write_all(&mine.encode().unwrap()).await.unwrap();
    let mut bytes = Vec::new();
    while let needed @ 1.. = Handshake::needed(&bytes).unwrap() {
        let start = bytes.len();
        bytes.resize(start + needed, 0);
        stream.read_exact(&mut bytes[start..]).await.unwrap();
    }
    assert_eq!(Handshake::decode(&bytes).unwrap().role, Role::Station);
    stream
}

pub fn node_up(config: &AgentConfig) -> NodeUp {
    NodeUp {
        node: config.node.clone(),
        node_id: config.node_id,
        boot_id: BootId("boot".to_owned()),
        agent_run: config.agent_run,
        node_epoch: config.node_epoch,
        build: "test".to_owned(),
        address: config.address.clone(),
        sysinfo: SysInfo::default(),
        provides: config.types.clone(),
        digest: BTreeMap::new(),
        supervisor: 1,
    }
}

pub async fn send(writer: &mut OwnedWriteHalf, message: &AgentMessage) {
    let mut bytes = Vec::new();
    encode_frame(&message.to_frame(), Channel::Control, &mut bytes).unwrap();
    // The station may have closed it; the reader sees that.
    drop(writer.write_all(&bytes).await);
}

/// Frames of a station.
pub struct Wire {
    reader: OwnedReadHalf,
    decoder: FrameDecoder,
}

impl Wire {
    pub fn new(reader: OwnedReadHalf) -> Self {
        Self {
            reader,
            decoder: FrameDecoder::new(Channel::Control),
        }
    }

    pub fn into_reader(self) -> OwnedReadHalf {
        self.reader
    }

    /// None when the station closed it.
    pub async fn next(&mut self) -> Option<StationMessage> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if let Some(frame) = self.decoder.next() {
                match StationMessage::from_frame(&frame.unwrap()).unwrap() {
                    Received::Message(message) => return Some(message),
                    Received::Unsupported { .. } => {
                        panic!("a station of this build speaks no kinds unknown to it")
                    }
                }
            }
            match self.reader.read(&mut buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.decoder.push(&buffer[..read]),
            }
        }
    }
}

/// By the type of the activity; none: it goes on for ever.
fn worked(work: &Work) -> Option<WorkAnswer> {
    match work.skill.activity.as_str() {
        "holds" => None,
        "waits" => Some(WorkAnswer::Wait),
        "fails" => Some(WorkAnswer::Fatal {
            error: "as it was told to".to_owned(),
        }),
        _ => Some(WorkAnswer::Complete {
            output: work.inputs.clone(),
            context: Changes::default(),
        }),
    }
}

struct Life {
    config: AgentConfig,
    wire: Wire,
    writer: OwnedWriteHalf,
    node_epoch: NodeEpoch,
    epoch: Epoch,
    sequence: Sequence,
    live: BTreeMap<InstanceKey, DigestEntry>,
    acts: mpsc::Receiver<Act>,
    tell: watch::Sender<Seen>,
    frozen: bool,
    /// What its heartbeats say of its clock.
    beats: u64,
}

impl Life {
    async fn live(mut self) {
        let mut beat = tokio::time::interval(Duration::from_millis(300));
        loop {
            tokio::select! {
                message = self.wire.next() => match message {
                    Some(message) if !self.frozen => self.take(message).await,
                    Some(_) => {}
                    None => break,
                },
                act = self.acts.recv() => match act {
                    Some(act) => self.act(act).await,
                    None => break,
                },
                _ = beat.tick(), if !self.frozen => self.beat().await,
            }
        }
        self.tell.send_modify(|seen| seen.closed = true);
    }

    async fn beat(&mut self) {
        self.beats += 1;
        let heartbeat = Heartbeat {
            checked_ms_ago: self.live.keys().map(|key| (key.clone(), 3)).collect(),
            outbox_depth: 0,
            renews: Some(self.beats),
        };
        send(&mut self.writer, &AgentMessage::Heartbeat(heartbeat)).await;
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::Fail(instance, text) => {
                let Some(incarnation) = self.live.remove(&instance).map(|entry| entry.floor) else {
                    return;
                };
                self.report(Report::Failed {
                    instance,
                    incarnation,
                    kind: FailureKind::Panic,
                    presence: Presence::Gone,
                    evidence: Evidence::text(text),
                })
                .await;
            }
            Act::Raw(bytes) => drop(self.writer.write_all(&bytes).await),
            Act::Freeze => self.frozen = true,
        }
    }

    async fn take(&mut self, message: StationMessage) {
        match message {
            StationMessage::Command(command) => self.carry_out(*command).await,
            StationMessage::Request {
                request_id,
                request,
            } => {
                if matches!(request.ask, Ask::Chaos { .. }) {
                    self.tell.send_modify(|seen| seen.struck += 1);
                }
                if let Some(answer) = self.answer(request) {
                    send(
                        &mut self.writer,
                        &AgentMessage::Answer { request_id, answer },
                    )
                    .await;
                }
            }
            StationMessage::Acknowledged(done) => {
                self.tell.send_modify(|seen| seen.acknowledged = done.up_to)
            }
            StationMessage::Unsupported { .. } => {
                self.tell.send_modify(|seen| seen.unsupported += 1)
            }
            StationMessage::HeartbeatSeen(seen) => {
                self.tell
                    .send_modify(|told| told.renewed = seen.renewed.or(told.renewed));
            }
            StationMessage::Found(found) => self.tell.send_modify(|seen| {
                seen.found.insert(found.sought.clone(), found);
            }),
            StationMessage::Stations(_)
            | StationMessage::BulkReady(_)
            | StationMessage::Certificate(_)
            | StationMessage::Secret { .. }
            | StationMessage::Artifact { .. }
            | StationMessage::Guards(_)
            | StationMessage::Watches(_)
            | StationMessage::Welcome(_)
            | StationMessage::Denied(_) => {}
        }
    }

    async fn carry_out(&mut self, command: Command) {
        match &command.order {
            Order::Start(start) if start.service_type.as_str() == "stubborn" => {
                self.report(Report::CouldNotStart {
                    instance: start.instance.clone(),
                    incarnation: start.incarnation,
                    refused: RefusedStart::Config,
                    text: "it does not like its configuration".to_owned(),
                })
                .await;
            }
            Order::Start(start) => {
                self.tell.send_modify(|seen| seen.starts += 1);
                self.live
                    .insert(start.instance.clone(), running(start.incarnation));
                self.report(Report::Started {
                    instance: start.instance.clone(),
                    incarnation: start.incarnation,
                    version: "1.0.0".to_owned(),
                    config: start.config.clone(),
                    process: Vec::new(),
                    ports: Default::default(),
                })
                .await;
                self.report(Report::HealthChanged {
                    instance: start.instance.clone(),
                    incarnation: start.incarnation,
                    health: Health::Ok,
                    detail: String::new(),
                })
                .await;
            }
            // This agent starts nothing by itself, asks nothing, and is done with what it works on.
            Order::Answer(_) | Order::Adopt(_) | Order::TakeBack(_) => {}
            Order::Work(work) => return self.work(&command, work).await,
            Order::Reconfigure(change) => {
                self.report(Report::ConfigChanged {
                    instance: change.instance.clone(),
                    incarnation: change.incarnation,
                    config: change.config.clone(),
                })
                .await;
            }
            Order::Stop(stop) if stop.instance.placement.as_str() == "immortal" => {
                self.done(&command, CommandOutcome::WillNotEnd).await;
                return;
            }
            Order::Stop(stop) => {
                self.tell.send_modify(|seen| seen.stops += 1);
                self.live.remove(&stop.instance);
                self.report(Report::Ended {
                    instance: stop.instance.clone(),
                    incarnation: stop.incarnation,
                    ending: Ending::Asked,
                })
                .await;
            }
        }
        self.done(&command, CommandOutcome::Done).await;
    }

    async fn work(&mut self, command: &Command, work: &Work) {
        self.tell.send_modify(|seen| seen.works += 1);
        self.done(command, CommandOutcome::Done).await;
        if let Some(answer) = worked(work) {
            self.report(Report::Worked {
                instance: work.instance.clone(),
                incarnation: work.incarnation,
                step: work.step.clone(),
                command: command.id,
                answer,
            })
            .await;
        }
    }

    async fn done(&mut self, command: &Command, outcome: CommandOutcome) {
        let command = command.id;
        self.report(Report::CommandDone { command, outcome }).await;
    }

    /// None where the service hangs.
    fn answer(&self, request: Request) -> Option<Answer> {
        let no_such = |instance: &InstanceKey| {
            Answer::Refused(Refusal::new(
                code::NOT_RUNNING,
                format!("{instance} does not run here"),
            ))
        };
        Some(match request.ask {
            Ask::Check { instance } => match self.live.get(&instance) {
                Some(entry) => health(entry.floor, &self.config.detail),
                None => no_such(&instance),
            },
            Ask::Status { instance } if self.live.contains_key(&instance) => Answer::Status {
                text: format!("{instance} is fine"),
            },
            Ask::Status { instance } => no_such(&instance),
            Ask::Message { message, .. } if message == "hang" => return None,
            Ask::Message { message, body, .. } if message == "greet" => Answer::Reply {
                body: format!(r#"{{"heard":{body}}}"#),
            },
            Ask::Message { message, .. } => Answer::Refused(Refusal {
                nearest: vec!["greet".to_owned()],
                ..Refusal::new(
                    code::UNKNOWN_MESSAGE,
                    format!("there is no message {message}"),
                )
            }),
            Ask::HostCommand(command) => Answer::Done {
                text: format!("ran {:?}", command.words),
            },
            Ask::Chaos { target, act } => Answer::Done {
                text: format!("{act:?} {target:?}"),
            },
            Ask::Logs {
                name,
                incarnation,
                of,
                ..
            } => Answer::Log(LogPage {
                incarnation,
                text: format!("{of:?} of {name}\n"),
                next: LogPlace { file: 1, offset: 9 },
                end: true,
                gap: false,
            }),
            Ask::Usage { instances } => Answer::Usage(
                instances
                    .into_iter()
                    .filter_map(|instance| {
                        let incarnation = self.live.get(&instance)?.floor;
                        Some((instance, usage(incarnation)))
                    })
                    .collect(),
            ),
            Ask::SupervisorCheck => health(Incarnation::default(), &self.config.detail),
            Ask::SupervisorStatus => Answer::Status {
                text: "watches".to_owned(),
            },
            Ask::Look => Answer::Sight(Sight::Watching { supervisor: 1 }),
            Ask::LookAt { .. } => Answer::Sight(Sight::Nothing),
            Ask::Call { .. } | Ask::WatcherCheck { .. } => Answer::Refused(Refusal::new(
                code::BAD_REQUEST,
                "no instance asks through a station",
            )),
            Ask::RenewCertificate => Answer::Refused(Refusal::new(
                code::BAD_REQUEST,
                "there is no certificate on this socket",
            )),
        })
    }

    async fn report(&mut self, report: Report) {
        self.sequence = self.sequence.next();
        let reports = Reports {
            epoch: self.epoch,
            node_epoch: self.node_epoch,
            reports: vec![Numbered {
                sequence: self.sequence,
                report,
            }],
        };
        send(&mut self.writer, &AgentMessage::Reports(reports)).await;
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let node = &self.config.node;
        assert!(
            self.live.keys().all(|key| key.node == *node),
            "commands of {node} only"
        );
    }
}

fn running(incarnation: Incarnation) -> DigestEntry {
    DigestEntry {
        floor: incarnation,
        live: Some(LiveInstance {
            incarnation,
            state: LiveState::Running,
            health: Health::Ok,
            service_type: None,
        }),
    }
}

fn usage(incarnation: Incarnation) -> Usage {
    Usage {
        incarnation,
        age_ms: 5_000,
        outside: Some(OutsideUsage {
            cpu_ms: 1_500,
            memory_bytes: 4096,
            processes: 2,
        }),
        busy_ms: 3,
        served: 1,
    }
}

fn health(incarnation: Incarnation, detail: &str) -> Answer {
    Answer::Health {
        health: Health::Ok,
        detail: detail.to_owned(),
        took_ms: 1,
        incarnation,
    }
}
