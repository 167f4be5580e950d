//! Hostile peers: whatever bytes come in on either socket, the station answers everybody else afterwards.

use std::sync::OnceLock;
use std::time::Duration;

use mainstay_protocol::frame::{Frame, encode_frame};
use mainstay_protocol::handshake::Channel;
use mainstay_protocol::limits;
use mainstay_protocol::session::{AgentMessage, StationMessage};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::Runtime;

use crate::agent::{Agent, AgentConfig, Wire, node_up, send, shaken};
use crate::cluster::Cluster;

/// How far a hostile peer gets before it turns hostile.
#[derive(Debug, Clone)]
enum Attack {
    Connect(Vec<u8>),
    Handshake(Vec<u8>),
    Session(Vec<u8>),
    /// A proper header around anything.
    Frame {
        kind: u16,
        version: u16,
        compat: u16,
        codec: u8,
        body: Vec<u8>,
        flip: Option<usize>,
    },
    Api(Vec<u8>),
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..600)
}

fn attacks() -> impl Strategy<Value = Attack> {
    let kinds = prop_oneof![1u16..6, 100u16..108, Just(201u16), any::<u16>()];
    let frame = (
        kinds,
        0u16..4,
        0u16..4,
        0u8..3,
        bytes(),
        proptest::option::of(0usize..300),
    )
        .prop_map(|(kind, version, compat, codec, body, flip)| Attack::Frame {
            kind,
            version,
            compat,
            codec,
            body,
            flip,
        });
    prop_oneof![
        bytes().prop_map(Attack::Connect),
        // The right magic in front, so that more than the first byte is looked at.
        bytes().prop_map(|bytes| Attack::Connect([b"MAINSTAY\0\x01".as_slice(), &bytes].concat())),
        bytes().prop_map(Attack::Handshake),
        bytes().prop_map(Attack::Session),
        frame,
        bytes().prop_map(Attack::Api),
        "(GET|POST|DELETE|PUT) /v1/[a-z/%0-9{}.@?=&-]{0,60} HTTP/1.1\r\nhost: x\r\n\r\n"
            .prop_map(|text| Attack::Api(text.into_bytes())),
        "\\PC{0,200}".prop_map(|body| {
            let head = format!(
                "POST /v1/start HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            Attack::Api([head.into_bytes(), body.into_bytes()].concat())
        }),
    ]
}

/// One station under attack from all cases, with an honest agent beside the attackers.
struct Target {
    runtime: Runtime,
    cluster: Cluster,
    honest: Agent,
}

fn target() -> &'static Target {
    static TARGET: OnceLock<Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let (cluster, mut agents) = runtime.block_on(async {
            let (cluster, agents) = Cluster::with(&["n1"]).await;
            cluster.run_on("greeter", &["n1"]).await;
            (cluster, agents)
        });
        Target {
            runtime,
            cluster,
            honest: agents.remove(0),
        }
    })
}

async fn attack(cluster: &Cluster, attack: &Attack) {
    let config = AgentConfig::named("evil");
    match attack {
        Attack::Connect(bytes) => {
            throw(
                UnixStream::connect(cluster.sessions()).await.unwrap(),
                bytes,
            )
            .await
        }
        Attack::Handshake(bytes) => throw(shaken(&cluster.sessions(), &config).await, bytes).await,
        Attack::Session(bytes) => throw(introduced(cluster, &config).await, bytes).await,
        Attack::Frame {
            kind,
            version,
            compat,
            codec,
            body,
            flip,
        } => {
            let frame = Frame {
                kind: *kind,
                body_version: *version,
                compat: *compat,
                codec: *codec,
                request_id: 1,
                trace: [0; 24],
                term: 0,
                body: body.clone(),
            };
            let mut bytes = Vec::new();
            encode_frame(&frame, Channel::Control, &mut bytes).unwrap();
            if let Some(at) = flip.filter(|at| *at < bytes.len()) {
                bytes[at] ^= 0x20;
            }
            throw(introduced(cluster, &config).await, &bytes).await;
        }
        Attack::Api(bytes) => {
            throw(
                UnixStream::connect(&cluster.options.api_socket)
                    .await
                    .unwrap(),
                bytes,
            )
            .await;
        }
    }
}

/// A session of its own, whatever became of the one before.
async fn introduced(cluster: &Cluster, config: &AgentConfig) -> UnixStream {
    loop {
        let (reader, mut writer) = shaken(&cluster.sessions(), config).await.into_split();
        send(
            &mut writer,
            &AgentMessage::NodeUp(Box::new(node_up(config))),
        )
        .await;
        let mut wire = Wire::new(reader);
        // The attacker before this one may not have been cleared away yet.
        if let Some(StationMessage::Welcome(_)) = wire.next().await {
            return wire.into_reader().reunite(writer).unwrap();
        }
    }
}

/// Sends it all, says that nothing more comes, and waits until the station has had enough.
async fn throw(mut stream: UnixStream, bytes: &[u8]) {
    drop(stream.write_all(bytes).await);
    drop(stream.shutdown().await);
    let mut answer = Vec::new();
    let closed =
        tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut answer)).await;
    assert!(
        closed.is_ok(),
        "the station keeps a connection open that has ended"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_in_the_station_answers_afterwards(attacks in proptest::collection::vec(attacks(), 1..4)) {
        // acceptance: 12
        let target = target();
        target.runtime.block_on(async {
            for one in &attacks {
                attack(&target.cluster, one).await;
            }
            target.cluster.client.check("n1", "greeter").await.unwrap();
            target.cluster.client.status().await.unwrap();
        });
        prop_assert!(!target.honest.seen().closed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_that_say_nothing_are_closed_and_hold_nobody_up() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(UnixStream::connect(cluster.sessions()).await.unwrap());
    }
    let _other = cluster.agent(AgentConfig::named("n2")).await;
    cluster.run_on("greeter", &["n1", "n2"]).await;
    let mut last = silent.pop().unwrap();
    let limit = Duration::from_millis(limits::HANDSHAKE_DEADLINE_MS * 3);
    let closed = tokio::time::timeout(limit, last.read(&mut [0; 8])).await;
    assert_eq!(closed.expect("closed at the deadline").unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_about_another_nodes_instance_ends_the_session() {
    use mainstay_protocol::health::{Evidence, FailureKind};
    use mainstay_protocol::report::{Numbered, Presence, Report, Reports};
    use mainstay_protocol::{Incarnation, InstanceKey, Sequence};
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    let config = AgentConfig::named("evil");
    let (reader, mut writer) = shaken(&cluster.sessions(), &config).await.into_split();
    send(
        &mut writer,
        &AgentMessage::NodeUp(Box::new(node_up(&config))),
    )
    .await;
    let mut wire = Wire::new(reader);
    let Some(StationMessage::Welcome(welcome)) = wire.next().await else {
        panic!("it is welcome so far");
    };
    let foreign = Report::Failed {
        instance: InstanceKey::new("n1".parse().unwrap(), "greeter".parse().unwrap()),
        incarnation: Incarnation::default(),
        kind: FailureKind::Panic,
        presence: Presence::Gone,
        evidence: Evidence::text("a lie"),
    };
    let reports = Reports {
        epoch: welcome.leadership.epoch,
        node_epoch: welcome.node_epoch,
        reports: vec![Numbered {
            sequence: Sequence(1),
            report: foreign,
        }],
    };
    send(&mut writer, &AgentMessage::Reports(reports)).await;
    let mut last = None;
    while let Some(message) = wire.next().await {
        last = Some(message);
    }
    assert!(matches!(last, Some(StationMessage::Denied(_))), "{last:?}");
    assert_eq!(
        cluster.json("/v1/instances/n1/greeter").await["state"],
        "Running"
    );
}
