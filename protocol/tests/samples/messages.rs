//! One sample per message, report, command, request and answer.

use std::collections::BTreeMap;

use mainstay_protocol::code::{self, Code};
use mainstay_protocol::command::{Command, Order};
use mainstay_protocol::frame::{Channel, Frame, FrameDecoder, encode_frame};
use mainstay_protocol::health::{FailureKind, Health, ProcessIdentity, RefusedStart};
use mainstay_protocol::report::{
    CommandOutcome, DigestEntry, Ending, LiveInstance, LiveState, MessageDeclaration, NodeUp,
    Numbered, Presence, Report, Reports, RestartWhen, SysInfo, TypeDeclaration,
};
use mainstay_protocol::request::{
    Answer, Ask, ChaosAct, ChaosTarget, LogOf, LogPage, LogPlace, OutsideUsage, Refusal, Request,
    Usage,
};
use mainstay_protocol::session::{
    Acknowledged, AgentMessage, BulkReady, BulkUp, Certificate, Denied, Heartbeat, HeartbeatSeen,
    Received, Renew, StationMessage, Stations, Unsupported, Welcome,
};
use mainstay_protocol::work::{Serves, Skills, WorkName};
use mainstay_protocol::{
    AgentRunId, BootId, CommandId, Epoch, Incarnation, Leadership, NodeEpoch, NodeId, NodeName,
    Revision, Sequence, SlotName, StationId, Term, TypeName,
};
use uuid::Uuid;

pub use super::orders::orders;
use super::{Sample, artifacts, instance, lookups, room, secrets, sights, words};

/// The names of an enum's variants, and which one a value is. Complete, or it does not compile.
macro_rules! variants {
    ($list:ident, $of:ident, $type:ident: $($variant:ident),* $(,)?) => {
        pub const $list: &[&str] = &[$(stringify!($variant)),*];
        pub fn $of(value: &$type) -> &'static str {
            match value { $($type::$variant { .. } => stringify!($variant),)* }
        }
    };
}

variants!(REPORTS, report_variant, Report:
    Started, CouldNotStart, NameTaken, Ended, Failed, HealthChanged, Unresponsive, ConfigChanged, SupervisorChanged, CommandDone,
    Adopted, Acquired, Released, Asked, Announced, Recorded, GuardSaw,
    WatcherSaw, Worked);
variants!(OUTCOMES, outcome_variant, CommandOutcome: Done, NotRunning, Stale, WillNotEnd, Refused);
variants!(ORDERS, order_variant, Order: Start, Stop, Reconfigure, Answer, Adopt, Work, TakeBack);
variants!(ASKS, ask_variant, Ask: Check, Status, Message, Chaos, Logs, SupervisorCheck, SupervisorStatus, Usage,
    RenewCertificate, Look, LookAt, Call, WatcherCheck, HostCommand);
variants!(TARGETS, target_variant, ChaosTarget: Instance, Supervisor, Agent);
variants!(ANSWERS, answer_variant, Answer: Health, Status, Reply, Done, Log, Usage, Refused, Sight);
variants!(AGENT_MESSAGES, agent_variant, AgentMessage:
    NodeUp, Heartbeat, Reports, Answer, BulkUp, Renew, SecretWanted, Unsupported, Follows, ArtifactWanted);
variants!(STATION_MESSAGES, station_variant, StationMessage:
    Welcome, Denied, Acknowledged, Command, Request, HeartbeatSeen, BulkReady, Stations, Certificate, Secret, Unsupported, Guards, Found,
    Watches, Artifact);

pub fn samples() -> Vec<Sample> {
    let agent = agent_messages().into_iter().map(|(name, message)| Sample {
        name,
        bytes: bytes(&message.to_frame()),
        again: Box::new(move |bytes| {
            let decoded = AgentMessage::from_frame(&only_frame(bytes)).unwrap();
            assert_eq!(decoded, Received::Message(message.clone()));
            self::bytes(&message.to_frame())
        }),
    });
    let station = station_messages()
        .into_iter()
        .map(|(name, message)| Sample {
            name,
            bytes: bytes(&message.to_frame()),
            again: Box::new(move |bytes| {
                let decoded = StationMessage::from_frame(&only_frame(bytes)).unwrap();
                assert_eq!(decoded, Received::Message(message.clone()));
                self::bytes(&message.to_frame())
            }),
        });
    agent.chain(station).chain([bare_frame()]).collect()
}

pub fn bytes(frame: &Frame) -> Vec<u8> {
    let mut out = Vec::new();
    encode_frame(frame, Channel::Control, &mut out).unwrap();
    out
}

pub fn only_frame(bytes: &[u8]) -> Frame {
    let mut decoder = FrameDecoder::new(Channel::Control);
    decoder.push(bytes);
    let frame = decoder.next().unwrap().unwrap();
    assert_eq!(decoder.next(), None);
    assert_eq!(decoder.buffered_bytes(), 0);
    frame
}

/// A frame of a kind nobody knows, every part of its header set.
fn bare_frame() -> Sample {
    let frame = Frame {
        kind: 0x0102,
        body_version: 0x0304,
        compat: 0x0506,
        codec: 0x07,
        request_id: 0x0809_0a0b_0c0d_0e0f,
        trace: std::array::from_fn(|at| 0x10 + at as u8),
        term: 0x3031_3233_3435_3637,
        body: b"body".to_vec(),
    };
    Sample {
        name: "frame-unknown".to_owned(),
        bytes: bytes(&frame),
        again: Box::new(move |bytes| {
            let decoded = only_frame(bytes);
            assert_eq!(decoded, frame);
            self::bytes(&decoded)
        }),
    }
}

pub fn agent_messages() -> Vec<(String, AgentMessage)> {
    let mut messages = vec![
        (
            "agent-node-up".to_owned(),
            AgentMessage::NodeUp(Box::new(node_up())),
        ),
        (
            "agent-heartbeat".to_owned(),
            AgentMessage::Heartbeat(Heartbeat {
                checked_ms_ago: BTreeMap::from([(instance(1), 2), (instance(3), 70_000)]),
                outbox_depth: 5,
                renews: Some(90_000),
            }),
        ),
        ("agent-renew".to_owned(), AgentMessage::Renew(Renew {})),
        (
            "agent-bulk-up".to_owned(),
            AgentMessage::BulkUp(BulkUp {
                agent_run: AgentRunId(Uuid::from_u128(0x33)),
            }),
        ),
        secrets::wanted(),
        artifacts::wanted(),
        lookups::follows(),
        (
            "agent-unsupported".to_owned(),
            AgentMessage::Unsupported {
                request_id: 6,
                what: Unsupported {
                    kind: 7,
                    known: Some(8),
                },
            },
        ),
    ];
    messages.extend(reports().into_iter().map(|report| {
        let name = match &report {
            Report::CommandDone { outcome, .. } => {
                format!("agent-report-CommandDone-{}", outcome_variant(outcome))
            }
            other => format!("agent-report-{}", report_variant(other)),
        };
        (name, AgentMessage::Reports(batch(report)))
    }));
    messages.extend(answers().into_iter().map(|answer| {
        let name = format!("agent-answer-{}", answer_variant(&answer));
        let request_id = 0x1234_5678;
        (name, AgentMessage::Answer { request_id, answer })
    }));
    messages
}

pub fn station_messages() -> Vec<(String, StationMessage)> {
    let [given, refused] = secrets::answers();
    let mut messages = vec![
        (
            "station-welcome".to_owned(),
            StationMessage::Welcome(welcome()),
        ),
        (
            "station-denied".to_owned(),
            StationMessage::Denied(Denied {
                code: code::NODE_ID_IN_USE,
                text: "in use from n2".to_owned(),
            }),
        ),
        (
            "station-acknowledged".to_owned(),
            StationMessage::Acknowledged(Acknowledged {
                node_epoch: NodeEpoch(1),
                up_to: Sequence(2),
            }),
        ),
        (
            "station-heartbeat-seen".to_owned(),
            StationMessage::HeartbeatSeen(HeartbeatSeen {
                leadership: leadership(),
                renewed: Some(90_000),
            }),
        ),
        (
            "station-bulk-ready".to_owned(),
            StationMessage::BulkReady(BulkReady {}),
        ),
        (
            "station-stations".to_owned(),
            StationMessage::Stations(Stations {
                leader: Some(StationId(2)),
                addresses: [(StationId(1), "unix:/s1"), (StationId(2), "10.0.0.2:7600")]
                    .map(|(station, address)| (station, address.to_owned()))
                    .into(),
            }),
        ),
        (
            "station-certificate".to_owned(),
            StationMessage::Certificate(Certificate {
                der: vec![0x30, 3, 2, 1, 9],
            }),
        ),
        sights::guards(),
        sights::watches(),
        lookups::found(),
        given,
        refused,
        ("station-unsupported".to_owned(), unsupported()),
    ];
    messages.extend(artifacts::answers());
    messages.extend(orders().into_iter().map(|order| {
        let name = format!("station-command-{}", order_variant(&order));
        let command = Command {
            id: CommandId(42),
            leadership: leadership(),
            order,
        };
        (name, StationMessage::Command(Box::new(command)))
    }));
    messages.extend(asks().into_iter().map(request));
    messages
}

fn unsupported() -> StationMessage {
    StationMessage::Unsupported {
        request_id: 9,
        what: Unsupported {
            kind: 10,
            known: None,
        },
    }
}

fn request(ask: Ask) -> (String, StationMessage) {
    let name = match &ask {
        Ask::Chaos { target, .. } => format!("station-request-Chaos-{}", target_variant(target)),
        Ask::Call { what, .. } => {
            format!("station-request-Call-{}", lookups::called_variant(what))
        }
        other => format!("station-request-{}", ask_variant(other)),
    };
    let request = Request {
        deadline_ms: 5000,
        ask,
    };
    let request_id = 77;
    (
        name,
        StationMessage::Request {
            request_id,
            request,
        },
    )
}

pub fn reports() -> Vec<Report> {
    let incarnation = incarnation();
    let mut reports = vec![
        Report::Started {
            instance: instance(1),
            incarnation,
            version: "1.2".to_owned(),
            config: "{\"a\":1}".to_owned(),
            process: vec![ProcessIdentity {
                pid: 400,
                started: 70_001,
            }],
            ports: [("http".to_owned(), 8080)].into(),
        },
        Report::CouldNotStart {
            instance: instance(2),
            incarnation,
            refused: RefusedStart::NotNow,
            text: "no".to_owned(),
        },
        Report::NameTaken {
            instance: instance(3),
            incarnation,
            name: slot("front"),
            holder: Some(instance(4)),
        },
        Report::Ended {
            instance: instance(5),
            incarnation,
            ending: Ending::Asked,
        },
        Report::Failed {
            instance: instance(6),
            incarnation,
            kind: FailureKind::Exit,
            presence: Presence::Living,
            evidence: words::evidence(),
        },
        Report::HealthChanged {
            instance: instance(7),
            incarnation,
            health: Health::Degraded,
            detail: "slow".to_owned(),
        },
        Report::Unresponsive {
            instance: instance(8),
            incarnation,
            missed: 1,
            limit: 3,
            detail: "silent".to_owned(),
        },
        Report::ConfigChanged {
            instance: instance(9),
            incarnation,
            config: "{\"greeting\":\"Ahoy\"}".to_owned(),
        },
        Report::SupervisorChanged {
            incarnation: 2,
            watches: 300,
            why: "killed".to_owned(),
        },
    ];
    reports.extend(sights::reports());
    reports.extend(words::words());
    reports.extend(outcomes().into_iter().map(|outcome| Report::CommandDone {
        command: CommandId(9),
        outcome,
    }));
    reports
}

pub fn outcomes() -> Vec<CommandOutcome> {
    vec![
        CommandOutcome::Done,
        CommandOutcome::NotRunning,
        CommandOutcome::Stale,
        CommandOutcome::WillNotEnd,
        CommandOutcome::Refused {
            code: Code::known("MS-OVERLOADED"),
            text: "later".to_owned(),
        },
    ]
}

pub fn asks() -> Vec<Ask> {
    let mut asks = vec![
        Ask::Check {
            instance: instance(1),
        },
        Ask::Status {
            instance: instance(2),
        },
        Ask::Message {
            instance: instance(3),
            message: "greet".to_owned(),
            body: "{\"who\":\"you\"}".to_owned(),
        },
        Ask::Logs {
            instance: instance(5),
            name: slot("front"),
            incarnation: incarnation(),
            of: LogOf::Before,
            from: Some(LogPlace {
                file: 300,
                offset: 70_000,
            }),
        },
        Ask::SupervisorCheck,
        Ask::SupervisorStatus,
        Ask::Usage {
            instances: vec![instance(6), instance(7)],
        },
        Ask::RenewCertificate,
    ];
    asks.extend(sights::asks());
    asks.extend(lookups::calls());
    asks.extend(targets().into_iter().map(|target| Ask::Chaos {
        target,
        act: ChaosAct::Hang,
    }));
    asks
}

pub fn targets() -> Vec<ChaosTarget> {
    vec![
        ChaosTarget::Instance(instance(4)),
        ChaosTarget::Supervisor,
        ChaosTarget::Agent,
    ]
}

pub fn answers() -> Vec<Answer> {
    vec![
        Answer::Health {
            health: Health::Ok,
            detail: "fine".to_owned(),
            took_ms: 3,
            incarnation: incarnation(),
        },
        Answer::Status {
            text: "up".to_owned(),
        },
        Answer::Reply {
            body: "{\"n\":1}".to_owned(),
        },
        Answer::Done {
            text: "killed".to_owned(),
        },
        Answer::Log(LogPage {
            incarnation: incarnation(),
            text: "2026-11-21T09:07:32.123456Z out hello\n".to_owned(),
            next: LogPlace {
                file: 1,
                offset: 38,
            },
            end: true,
            gap: false,
        }),
        Answer::Usage(BTreeMap::from([
            (instance(6), usage(None)),
            (
                instance(7),
                usage(Some(OutsideUsage {
                    cpu_ms: 12_345,
                    memory_bytes: 3 << 20,
                    processes: 2,
                })),
            ),
        ])),
        sights::answer(),
        Answer::Refused(Refusal {
            code: code::UNKNOWN_MESSAGE,
            text: "no message gret".to_owned(),
            nearest: vec!["greet".to_owned()],
        }),
    ]
}

fn usage(outside: Option<OutsideUsage>) -> Usage {
    Usage {
        incarnation: incarnation(),
        age_ms: 60_000,
        outside,
        busy_ms: 70,
        served: 5,
    }
}

fn batch(report: Report) -> Reports {
    Reports {
        epoch: Epoch(1),
        node_epoch: NodeEpoch(2),
        reports: vec![Numbered {
            sequence: Sequence(300),
            report,
        }],
    }
}

fn node_up() -> NodeUp {
    NodeUp {
        node: NodeName::new("n1").unwrap(),
        node_id: Some(NodeId(Uuid::from_u128(0x22))),
        boot_id: BootId("boot".to_owned()),
        agent_run: AgentRunId(Uuid::from_u128(0x33)),
        node_epoch: Some(NodeEpoch(4)),
        build: "0.1.0".to_owned(),
        address: "unix:a.sock".to_owned(),
        sysinfo: SysInfo {
            hostname: "h".to_owned(),
            cores: 2,
            memory_bytes: 1 << 33,
            labels: BTreeMap::from([("rack".to_owned(), "r1".to_owned())]),
            booted_ms: 1_767_225_600_000,
            offers: room(),
        },
        provides: vec![TypeDeclaration {
            name: TypeName::new("greeter").unwrap(),
            version: "1.0".to_owned(),
            holds: Some(slot("front")),
            schema: "{\"type\":\"object\"}".to_owned(),
            messages: vec![MessageDeclaration {
                name: "greet".to_owned(),
                schema: "true".to_owned(),
            }],
            restart: RestartWhen::OnFailure,
            start_deadline_ms: 10_000,
            stop_deadline_ms: 5_000,
            may_use: vec!["disk".to_owned()],
            in_place: true,
            keeps_lease: true,
            serves: Serves {
                skills: Skills(BTreeMap::from([
                    ("builtin".to_owned(), None),
                    (
                        "p".to_owned(),
                        Some([WorkName::new("echo").unwrap()].into()),
                    ),
                ])),
                hands: 8,
                by_config: true,
            },
        }],
        digest: BTreeMap::from([(
            instance(1),
            DigestEntry {
                floor: incarnation(),
                live: Some(LiveInstance {
                    incarnation: incarnation().next(),
                    state: LiveState::Running,
                    health: Health::Ok,
                    service_type: Some(TypeName::new("greeter").unwrap()),
                }),
            },
        )]),
        supervisor: 6,
    }
}

fn welcome() -> Welcome {
    Welcome {
        node_id: NodeId(Uuid::from_u128(0x22)),
        node_epoch: NodeEpoch(1),
        watermark: Sequence(2),
        leadership: leadership(),
        credits: 256,
    }
}

fn leadership() -> Leadership {
    Leadership {
        epoch: Epoch(3),
        term: Term(4),
    }
}

pub fn incarnation() -> Incarnation {
    Incarnation {
        epoch: Epoch(1),
        created: Revision(20),
        count: 3,
    }
}

pub fn slot(text: &str) -> SlotName {
    SlotName::new(text).unwrap()
}
