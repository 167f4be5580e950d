//! The canonical snapshot and the stored records it is made of.
#![allow(clippy::unwrap_used)] // helpers of tests too: the failing line is the explanation

mod world;

use std::collections::BTreeSet;

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::health::{Evidence, FailureKind};
use mainstay_protocol::record;
use mainstay_protocol::report::{Manner, TypedFailure};
use mainstay_protocol::sight::{InstanceSight, Sight};
use mainstay_protocol::work::Outside;
use mainstay_protocol::{
    Admits, Bearer, Blob, ClusterId, ClusterName, CommandId, Epoch, Generation, Json, NodeEpoch,
    PeopleName, PersonName, QuestionId, Revision, Role, Sequence, Sha256, StationId, StationRunId,
    Timestamp, WorkName,
};
use mainstay_resource_graph::snapshot::SnapshotError;
use mainstay_resource_graph::stored::{self, StoredError};
use mainstay_resource_graph::{
    Activity, Artifact, ArtifactState, Asked, Away, Brake, Cause, Chunk, Cluster, Collected,
    Failure, FailureCause, Finding, Graph, Identity, Key, Kind, Leased, Listing, NodeState,
    Orchestration, Ordered, Outbox, Parked, ParkedWhat, People, Procedure, Record, Relation,
    Resource, Revoked, RuleOff, Run, RunState, SealedAuthority, Secret, Seen, SeenFrom, Service,
    Settings, Sightings, Station, StationBegan, StationState, StepState, Supervisor,
    SupervisorState, Text, TextHash, Token, TokenState, Txn, Vertex, View,
};

use world::{at, commit, incarnation, key, name_of, seconds, small, stop_command};

/// One of every kind, with its optional parts filled in, and an edge of every relation.
fn full() -> Graph {
    let mut graph = small();
    commit(&mut graph, 2, put_parts);
    commit(&mut graph, 3, fill_and_link);
    graph
}

fn operators() -> People {
    People {
        role: Role::Operator,
        members: [PersonName::new("ada").unwrap()].into(),
        by: "root".to_owned(),
    }
}

fn put_parts(txn: &mut Txn<'_>) {
    let off = RuleOff {
        by: "ada".to_owned(),
        why: "it is in the way".to_owned(),
        at: seconds(2),
    };
    let cluster = Cluster {
        authority: Some(SealedAuthority {
            certificate: vec![4; 30],
            key: vec![5; 60],
        }),
        id: ClusterId(uuid::Uuid::from_u128(7)),
        epoch: Epoch(1),
        name: ClusterName::new("dev").unwrap(),
        settings: Settings::DEV,
        rules_off: [("restart".to_owned(), off)].into(),
        brake: Some(Brake {
            since: Timestamp(4),
            until: Timestamp(5),
        }),
        epoch_began: Some(Timestamp(1)),
        groups: [(PeopleName::new("ops").unwrap(), operators())].into(),
    };
    txn.put(Key::Cluster, Vertex::Cluster(cluster)).unwrap();
    let station = Station {
        id: StationId(1),
        address: "local".to_owned(),
        build: "0.1.0".to_owned(),
        node: Some("n1".parse().unwrap()),
        run: Some(StationRunId(uuid::Uuid::from_u128(5))),
        state: StationState::Running,
        began: StationBegan::AfterNoWord,
    };
    txn.put(key("station/s1"), Vertex::Station(station))
        .unwrap();
    let outbox = Outbox {
        node_epoch: NodeEpoch(1),
        watermark: Sequence(300),
    };
    txn.put(key("outbox/n1"), Vertex::Outbox(outbox)).unwrap();
    let seen = Seen {
        sight: Sight::Watching { supervisor: 1 },
        at: seconds(3),
    };
    let supervisor = Supervisor {
        state: SupervisorState::Running,
        incarnation: 1,
        watches: 2,
        seen: [("n2".parse().unwrap(), seen)].into(),
    };
    txn.put(key("supervisor/n1"), Vertex::Supervisor(supervisor))
        .unwrap();
    let stop = stop_command("web@n1", 0, Some(seconds(9)));
    txn.put(world::command(1), Vertex::Command(stop)).unwrap();
    let parked = Parked {
        what: ParkedWhat::Rule {
            rule: "restart".to_owned(),
            subject: key("web@n1"),
            rev: Revision(1),
        },
        why: Reason::new(code::RULE_PANICKED, "index out of bounds"),
        at: seconds(2),
    };
    txn.put(key("parked/ff"), Vertex::Parked(parked)).unwrap();
    words(txn);
}

/// What instances use and ask, what rules are in the middle of, what was collected.
fn words(txn: &mut Txn<'_>) {
    let resource = Resource {
        manner: Manner::Shared,
    };
    txn.put(key("resource/disk/sda"), Vertex::Resource(resource))
        .unwrap();
    let asked = Asked {
        instance: at("web@n1"),
        incarnation: incarnation(1),
        question: QuestionId(3),
        failure: TypedFailure {
            name: "disk-full".to_owned(),
            body: "{}".to_owned(),
        },
        deadline: seconds(9),
    };
    txn.put(key("asked/4"), Vertex::Asked(asked)).unwrap();
    let procedure = Procedure {
        rule: "second_chance".to_owned(),
        subject: key("web@n1"),
        step: "\"Cool\"".to_owned(),
        text: "it cools down".to_owned(),
        deadline: Some(seconds(9)),
        count: 1,
    };
    txn.put(key("procedure/cafe"), Vertex::Procedure(procedure))
        .unwrap();
    let record = Collected {
        instance: at("web@n1"),
        incarnation: incarnation(1),
        name: "smart".to_owned(),
        body: "{\"line\":\"x\"}".to_owned(),
        taken_by: BTreeSet::from(["watch_disks".to_owned()]),
        until: seconds(9),
    };
    txn.put(key("collected/5"), Vertex::Collected(record))
        .unwrap();
    access(txn);
    work(txn);
}

/// Who may come.
fn access(txn: &mut Txn<'_>) {
    let token = Token {
        hash: [1; 32],
        admits: Admits::Agent(Some("n1".parse().unwrap())),
        until: seconds(9),
        by: "ada".to_owned(),
        state: TokenState::Used(Bearer::Agent("n1".parse().unwrap())),
    };
    txn.put(key("token/beef"), Vertex::Token(token)).unwrap();
    let revoked = Revoked {
        by: "ada".to_owned(),
        why: "sold".to_owned(),
    };
    let identity = Identity {
        key: [2; 32],
        revoked: Some(revoked),
    };
    txn.put(
        key("identity/person/ada/operator"),
        Vertex::Identity(identity),
    )
    .unwrap();
    let secret = Secret {
        sealed: vec![3; 40],
        by: "ada".to_owned(),
    };
    txn.put(key("secret/db"), Vertex::Secret(secret)).unwrap();
}

/// A run with a step that is out.
fn work(txn: &mut Txn<'_>) {
    let name = |text: &str| WorkName::new(text).unwrap();
    let orchestration = Orchestration {
        definition: json(r#"{"type":"deploy"}"#),
        generation: Generation(2),
        by: "ada".to_owned(),
    };
    let activity = Activity {
        generation: Generation(1),
        definition: json(r#"{"type":"echo"}"#),
        by: "ada".to_owned(),
    };
    let run = Run {
        orchestration: name("deploy"),
        section: Some("deploy".to_owned()),
        correlation: Some("c1".to_owned()),
        plan: TextHash("cc".to_owned()),
        input: TextHash("dd".to_owned()),
        asked: TextHash("ee".to_owned()),
        line: Some(vec![name("a")]),
        state: RunState::Paused,
        context: json(r#"{"x":1}"#),
        errors: [(name("b"), "no".to_owned())].into(),
        done: 1,
        left: 2,
        began: seconds(2),
        ended: None,
        response: None,
        by: "ada".to_owned(),
        ordered: None,
    };
    let running = StepState::Running {
        token: CommandId(7),
        incarnation: incarnation(1),
        until: Some(seconds(9)),
    };
    let mut step = world::step(0, running, Some(at("web@n1")));
    (step.attempt, step.calls, step.first_try) = (2, 3, Some(seconds(2)));
    step.scratch = json(r#"{"seen":[1]}"#);
    step.last_error = Some("busy".to_owned());
    step.early = Some(Outside::Complete { output: json("{}") });
    let texts = ["text/cc", "text/dd"];
    let order = ordered(&run);
    let put: [(&str, Vertex); 10] = [
        ("orchestration/deploy", Vertex::Orchestration(orchestration)),
        ("activity/echo", Vertex::Activity(activity)),
        (texts[0], Vertex::Text(Text { json: json("{}") })),
        (texts[1], Vertex::Text(Text { json: json("[]") })),
        ("run/r1", Vertex::Run(run)),
        ("step/r1/a", Vertex::Step(step)),
        ("service/urn:s:1", Vertex::Service(service())),
        ("run/r2", Vertex::Run(order)),
        (ARTIFACT, Vertex::Artifact(artifact())),
        (
            CHUNK,
            Vertex::Chunk(Chunk {
                bytes: Blob::new(b"site"),
            }),
        ),
    ];
    for (at, vertex) in put {
        txn.put(key(at), vertex).unwrap();
    }
    for text in texts {
        for run in ["run/r1", "run/r2"] {
            txn.link(key(run), Relation::Reads, key(text)).unwrap();
        }
    }
}

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

const ARTIFACT: &str = "artifact/urn:ivcap:artifact:00000000-0000-0000-0000-000000000004";
const CHUNK: &str = "chunk/urn:ivcap:artifact:00000000-0000-0000-0000-000000000004/0";

fn artifact() -> Artifact {
    Artifact {
        name: "site".to_owned(),
        media_type: "application/gzip".to_owned(),
        size: 4,
        digest: Sha256::of_sha256([7; 32]),
        state: ArtifactState::There,
        listing: Listing::Files(vec!["index.html".to_owned()]),
        by: "ada".to_owned(),
    }
}

fn service() -> Service {
    Service {
        description: json(r#"{"id":"urn:s:1"}"#),
        name: "cv".to_owned(),
        model: "urn:m:1".to_owned(),
        is_ordered: true,
        generation: Generation(2),
        by: "ada".to_owned(),
    }
}

/// The same run, had it been ordered.
fn ordered(run: &Run) -> Run {
    Run {
        line: None,
        ordered: Some(Ordered {
            service: "urn:s:1".parse().unwrap(),
            called: "cv".to_owned(),
            name: Some("mine".to_owned()),
            parameters: json(r#"{"x":1}"#),
        }),
        ..run.clone()
    }
}

/// n2 is away, and somebody has seen it.
fn cut_off(txn: &mut Txn<'_>) {
    let seen = Sightings {
        knock: Sight::Nothing,
        guards: [(
            "n1".parse().unwrap(),
            Some(Sight::Watching { supervisor: 1 }),
        )]
        .into(),
    };
    txn.update_node(&"n2".parse().unwrap(), |node| {
        node.state = NodeState::Suspect;
        node.reason = Some(Reason::new(code::AGENT_SILENT, "its heartbeats stopped"));
        node.away = Some(Away {
            since: seconds(3),
            why: "its heartbeats stopped".to_owned(),
            closed: false,
            seen: Some(seen),
            finding: Some(Finding::Isolated),
            found: seconds(4),
        });
        node.lost_at = Some(seconds(9));
    })
    .unwrap();
}

fn fill_and_link(txn: &mut Txn<'_>) {
    txn.set_cause(Cause::Report("failed".to_owned()));
    txn.update_instance(&at("web@n1"), |instance| {
        instance.reason = Some(Reason::new(code::PANICKED, "boom").about("node/n1"));
        instance.failure = Some(Failure {
            at: seconds(3),
            incarnation: incarnation(1),
            cause: FailureCause::Failed(FailureKind::Panic),
            evidence: Evidence::text("boom"),
        });
        instance
            .refusals
            .insert("start".to_owned(), code::NAME_HELD);
        instance.attempts = vec![seconds(1), seconds(2)];
        let seen = SeenFrom {
            sight: InstanceSight::NotReached,
            at: seconds(6),
        };
        instance.seen_from.insert("n2".parse().unwrap(), seen);
        instance.lease = Some(Leased {
            lease_ms: 5_000,
            stop_ms: 1_000,
            ends: Some(seconds(20)),
            fenced: false,
        });
    })
    .unwrap();
    txn.link(key("rival@n1"), Relation::Holds, name_of("n1", "web"))
        .unwrap();
    txn.link(key("web@n1"), Relation::Waits, name_of("n1", "web"))
        .unwrap();
    txn.link(key("web@n1"), Relation::Configured, key("config/aa"))
        .unwrap();
    txn.link(key("web@n1"), Relation::Wants, key("config/bb"))
        .unwrap();
    txn.link(key("node/n1"), Relation::Provides, key("type/web"))
        .unwrap();
    txn.link(key("web@n1"), Relation::Uses, key("resource/disk/sda"))
        .unwrap();
    txn.link(key("node/n2"), Relation::Guards, key("supervisor/n1"))
        .unwrap();
    txn.link(key("supervisor/n1"), Relation::Watches, key("rival@n1"))
        .unwrap();
    cut_off(txn);
}

#[test]
fn a_graph_with_every_kind_and_relation_survives_its_snapshot() {
    let graph = full();
    for kind in Kind::ALL {
        assert!(graph.count(kind) > 0, "{kind:?}");
    }
    let again = Graph::from_snapshot(&graph.snapshot()).unwrap();
    assert_eq!(again.first_difference(&graph), None);
    assert_eq!(again.revision(), graph.revision());
    assert_eq!(again.snapshot(), graph.snapshot());
    assert_eq!(again.digest(), graph.digest());
    assert_eq!(world::dump(&again), world::dump(&graph));
}

/// What is on disk does not change by accident: a change of layout needs a new version and an entry in
/// `decode_older`, a new kind a new line. `UPDATE=1` writes the file anew, to be reviewed like code.
#[test]
fn stored_bytes_stay_what_they_are() {
    let graph = full();
    let mut lines = String::new();
    for kind in Kind::ALL {
        let first = graph.keys(kind).swap_remove(0);
        let record = graph.record(&first).unwrap();
        lines += &line(kind.as_str(), &stored::encode(&record));
    }
    for edge in graph.edges() {
        lines += &line(edge.relation.as_str(), &stored::encode_edge(&edge));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/stored-1.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &lines).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap();
    for (now, then) in lines.lines().zip(golden.lines()) {
        assert_eq!(now, then);
    }
    assert_eq!(lines, golden);
}

fn line(what: &str, bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{what} {hex}\n")
}

#[test]
fn a_difference_is_named() {
    let (one, mut other) = (full(), full());
    commit(&mut other, 4, |txn| {
        txn.update_instance(&at("web@n1"), |instance| instance.restart_asked = true)
            .unwrap();
    });
    assert_ne!(one.digest(), other.digest());
    assert_eq!(
        one.first_difference(&other).unwrap(),
        "revision 3 against 4"
    );
    let records = other.records().map(|record| Record::clone(record));
    let edges = other.edges();
    let level = Graph::from_parts(one.revision(), records, edges).unwrap();
    let difference = one.first_difference(&level).unwrap();
    assert!(difference.contains("restart_asked: true"), "{difference}");
}

#[test]
fn damaged_snapshots_are_refused_and_never_panic() {
    let bytes = full().snapshot();
    for length in 0..bytes.len() {
        assert!(Graph::from_snapshot(&bytes[..length]).is_err());
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        let error = Graph::from_snapshot(&damaged).unwrap_err();
        let known = matches!(error, SnapshotError::NotASnapshot | SnapshotError::Damaged);
        assert!(known, "{error}");
    }
}

#[test]
fn a_record_of_a_newer_build_is_read_without_its_tail() {
    let graph = full();
    let record = graph.record(&key("web@n1")).unwrap();
    let mut bytes = stored::encode(&record);
    let (header, _) = record::header(&bytes).unwrap();
    assert_eq!(header.family, Kind::Instance.number());
    // The version's low byte; compat stays.
    bytes[3] += 1;
    bytes.extend(b"a field of tomorrow");
    assert_eq!(stored::decode(&bytes).unwrap(), *record);
}

#[test]
fn a_record_of_an_unknown_family_or_under_another_kinds_key_is_refused() {
    let graph = full();
    let record = graph.record(&key("config/aa")).unwrap();
    let mut bytes = stored::encode(&record);
    bytes[0] = 0x7f;
    let error = stored::decode(&bytes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "family 32521 is no kind of vertex this build knows"
    );

    let mut wrong = Record::clone(&record);
    wrong.key = key("web@n1");
    let error = stored::decode(&stored::encode(&wrong)).unwrap_err();
    let kind = Kind::Configuration;
    assert_eq!(
        error,
        StoredError::WrongKey {
            kind,
            key: wrong.key
        }
    );
}

#[test]
fn an_edge_without_its_end_is_no_graph() {
    let graph = full();
    let edges = graph.edges();
    let records = graph
        .records()
        .filter(|record| record.key != key("config/bb"))
        .map(|record| Record::clone(record));
    let error = Graph::from_parts(graph.revision(), records, edges).unwrap_err();
    assert_eq!(
        error.to_string(),
        "config/bb is spoken of and does not exist"
    );
}
