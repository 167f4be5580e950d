//! A small cluster for the tests: web@n1 runs and holds the name that rival@n1 waits for.

mod durable;

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::health::{Health, ProcessIdentity};
use mainstay_protocol::report::{
    LiveState, Manner, MessageDeclaration, RestartWhen, SysInfo, TypeDeclaration, TypedFailure,
};
use mainstay_protocol::{
    Admits, AgentRunId, Bearer, BootId, ClusterId, ClusterName, Epoch, Incarnation, InstanceKey,
    NodeId, NodeName, PlacementName, QuestionId, Revision, Role, SlotName, StationId, StationRunId,
    Timestamp, TypeName,
};
use mainstay_resource_graph::{
    Asked, AskedId, Cause, Cluster, Collected, CollectedId, ConfigHash, Configuration, Edge, Graph,
    Identity, Instance, InstanceState, Key, Made, Name, NameKey, Node, NodeState, Parked, ParkedId,
    ParkedWhat, People, Placement, Procedure, ProcedureId, Record, Relation, Resource, Secret,
    ServiceType, Settings, Station, StationBegan, StationState, Stray, Supervisor, SupervisorState,
    Target, Token, TokenId, TokenState, Vertex, View, Wish,
};
use uuid::Uuid;

use super::{Broken, Live, Present};
use crate::time::Time;

pub fn node_name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

pub fn placement_name(text: &str) -> PlacementName {
    PlacementName::new(text).unwrap()
}

pub fn instance_key(text: &str) -> InstanceKey {
    let (placement, node) = text.split_once('@').unwrap();
    InstanceKey::new(node_name(node), placement_name(placement))
}

pub struct Sample {
    graph: Graph,
    live: Overlay,
}

struct Overlay;

impl Live for Overlay {
    fn time(&self, at: Timestamp) -> Time {
        Time::from_wall_ms(1_700_000_000_000 + at.0 / 1000)
    }

    fn heard_ms(&self, _node: &NodeName) -> Option<u64> {
        Some(7)
    }

    fn checked_ms(&self, _instance: &InstanceKey) -> Option<u64> {
        None
    }

    fn leader(&self) -> Option<StationId> {
        Some(StationId(1))
    }

    fn now(&self) -> Time {
        Time::from_wall_ms(1_000)
    }

    fn broken(&self) -> Option<Vec<Broken>> {
        Some(vec![Broken {
            key: Key::Node(node_name("n1")),
            how: "is cut off from everybody".to_owned(),
        }])
    }
}

const REV: Revision = Revision(4);

impl Sample {
    pub fn new() -> Self {
        let records = vertices()
            .into_iter()
            .chain(words())
            .chain(durable::vertices())
            .map(|(key, vertex)| Record {
                key,
                vertex,
                since: Timestamp(1_000_000),
                rev: REV,
                cause: Cause::Start,
            });
        let graph =
            Graph::from_parts(REV, records, edges().into_iter().chain(durable::edges())).unwrap();
        Self {
            graph,
            live: Overlay,
        }
    }

    pub fn view(&self) -> &dyn View {
        &self.graph
    }

    /// The same, read through another view.
    pub fn over<'a>(&'a self, view: &'a dyn View) -> Present<'a> {
        Present::new(view, &self.live)
    }

    pub fn present(&self) -> Present<'_> {
        Present::new(&self.graph, &self.live)
    }
}

fn config() -> ConfigHash {
    ConfigHash("c0ffee".to_owned())
}

fn slot() -> NameKey {
    NameKey::new(node_name("n1"), SlotName::new("web").unwrap())
}

fn edges() -> Vec<Edge> {
    let web = || Key::Instance(instance_key("web@n1"));
    let edge = |from, relation, to| Edge {
        from,
        relation,
        to,
        since: Timestamp(1_000_000),
        rev: REV,
    };
    vec![
        edge(web(), Relation::Holds, Key::Name(slot())),
        edge(
            Key::Instance(instance_key("rival@n1")),
            Relation::Waits,
            Key::Name(slot()),
        ),
        edge(web(), Relation::Uses, "resource/disk/sda".parse().unwrap()),
        edge(web(), Relation::Configured, Key::Configuration(config())),
        edge(
            Key::Node(node_name("n1")),
            Relation::Provides,
            Key::Type(greeter()),
        ),
    ]
}

fn greeter() -> TypeName {
    TypeName::new("greeter").unwrap()
}

fn vertices() -> Vec<(Key, Vertex)> {
    let mut web = Instance::wanted(greeter(), slot().name, Incarnation::default().next());
    web.state = InstanceState::Running;
    web.health = Health::Ok;
    web.process = vec![ProcessIdentity {
        pid: 7,
        started: 1000,
    }];
    let mut rival = Instance::wanted(greeter(), slot().name, Incarnation::default());
    rival.state = InstanceState::Blocked;
    rival.reason = Some(Reason::new(code::NAME_HELD, "held").about("web@n1"));
    vec![
        (Key::Cluster, Vertex::Cluster(cluster())),
        (
            Key::Station(StationId(1)),
            Vertex::Station(Station {
                id: StationId(1),
                address: "unix:s1".to_owned(),
                build: "0.1.0".to_owned(),
                node: Some(node_name("n1")),
                run: Some(StationRunId(uuid::Uuid::from_u128(7))),
                state: StationState::Running,
                began: StationBegan::First,
            }),
        ),
        (Key::Node(node_name("n1")), Vertex::Node(node())),
        (
            Key::Type(greeter()),
            Vertex::Type(ServiceType {
                declaration: declaration(),
            }),
        ),
        (Key::Placement(placement_name("web")), placement()),
        (Key::Placement(placement_name("rival")), placement()),
        (Key::Instance(instance_key("web@n1")), Vertex::Instance(web)),
        (
            Key::Instance(instance_key("rival@n1")),
            Vertex::Instance(rival),
        ),
        (Key::Name(slot()), Vertex::Name(Name {})),
        (
            Key::Configuration(config()),
            Vertex::Configuration(Configuration {
                json: r#"{"greeting":"hello"}"#.to_owned(),
            }),
        ),
        (
            Key::Supervisor(node_name("n1")),
            Vertex::Supervisor(Supervisor {
                state: SupervisorState::Running,
                incarnation: 2,
                watches: 1,
                seen: BTreeMap::new(),
            }),
        ),
        (
            Key::Parked(ParkedId("beef".to_owned())),
            Vertex::Parked(Parked {
                what: ParkedWhat::Rule {
                    rule: "restart".to_owned(),
                    subject: Key::Instance(instance_key("web@n1")),
                    rev: REV,
                },
                why: Reason::new(code::RULE_PANICKED, "boom"),
                at: Timestamp(1),
            }),
        ),
    ]
}

/// What instances use and ask, what rules are in the middle of, what was collected.
fn words() -> Vec<(Key, Vertex)> {
    vec![
        (
            "resource/disk/sda".parse().unwrap(),
            Vertex::Resource(Resource {
                manner: Manner::Alone,
            }),
        ),
        (
            Key::Asked(AskedId(7)),
            Vertex::Asked(Asked {
                instance: instance_key("web@n1"),
                incarnation: Incarnation::default().next(),
                question: QuestionId(1),
                failure: TypedFailure {
                    name: "disk-full".to_owned(),
                    body: "{}".to_owned(),
                },
                deadline: Timestamp(9),
            }),
        ),
        (
            Key::Procedure(ProcedureId("cafe".to_owned())),
            Vertex::Procedure(Procedure {
                rule: "second_chance".to_owned(),
                subject: Key::Instance(instance_key("web@n1")),
                step: "\"Cool\"".to_owned(),
                text: "it cools down".to_owned(),
                deadline: Some(Timestamp(9)),
                count: 1,
            }),
        ),
        (
            Key::Collected(CollectedId(8)),
            Vertex::Collected(Collected {
                instance: instance_key("web@n1"),
                incarnation: Incarnation::default().next(),
                name: "smart".to_owned(),
                body: r#""x""#.to_owned(),
                taken_by: BTreeSet::new(),
                until: Timestamp(9),
            }),
        ),
        (
            Key::Token(TokenId("beef".to_owned())),
            Vertex::Token(Token {
                hash: [1; 32],
                admits: Admits::Agent(None),
                until: Timestamp(9),
                by: "ada".to_owned(),
                state: TokenState::Open,
            }),
        ),
        (
            Key::Identity(Bearer::Agent(node_name("n1"))),
            Vertex::Identity(Identity {
                key: [2; 32],
                revoked: None,
            }),
        ),
        (
            Key::Secret("db".parse().unwrap()),
            Vertex::Secret(Secret {
                sealed: vec![3],
                by: "ada".to_owned(),
            }),
        ),
    ]
}

fn placement() -> Vertex {
    let target = Target::Nodes(BTreeSet::from([node_name("n1")]));
    Vertex::Placement(Placement::new(
        greeter(),
        Wish::new(target, config()),
        Made::new(Timestamp(1), "operator start"),
        REV,
    ))
}

fn cluster() -> Cluster {
    Cluster {
        authority: None,
        id: ClusterId(Uuid::from_u128(1)),
        epoch: Epoch(1),
        name: ClusterName::new("dev").unwrap(),
        settings: Settings::DEV,
        rules_off: BTreeMap::new(),
        brake: None,
        epoch_began: None,
        groups: BTreeMap::from([(
            "ops".parse().unwrap(),
            People {
                role: Role::Operator,
                members: ["ada".parse().unwrap()].into(),
                by: "root".to_owned(),
            },
        )]),
    }
}

fn node() -> Node {
    Node {
        id: NodeId(Uuid::from_u128(2)),
        state: NodeState::Online,
        reason: None,
        address: "unix:n1".to_owned(),
        build: "0.1.0".to_owned(),
        boot_id: BootId("boot".to_owned()),
        agent_run: AgentRunId(Uuid::from_u128(3)),
        labels: BTreeMap::new(),
        sysinfo: SysInfo {
            // The first moment of 2026.
            booted_ms: 1_767_225_600_000,
            ..SysInfo::default()
        },
        care: Default::default(),
        provides: BTreeMap::from([(greeter(), "1".to_owned())]),
        away: None,
        lost_at: None,
        restart: None,
        strays: BTreeMap::from([(
            placement_name("lost"),
            Stray {
                incarnation: Incarnation::default().next(),
                state: LiveState::Running,
                health: Health::Ok,
                service_type: None,
                overtaken: false,
                held: None,
            },
        )]),
    }
}

fn declaration() -> TypeDeclaration {
    TypeDeclaration {
        name: greeter(),
        version: "1".to_owned(),
        holds: Some(slot().name),
        schema: "{}".to_owned(),
        messages: vec![MessageDeclaration {
            name: "greet".to_owned(),
            schema: "{}".to_owned(),
        }],
        restart: RestartWhen::OnFailure,
        start_deadline_ms: 30_000,
        stop_deadline_ms: 10_000,
        may_use: Vec::new(),
        in_place: false,
        keeps_lease: true,
        serves: Default::default(),
    }
}
