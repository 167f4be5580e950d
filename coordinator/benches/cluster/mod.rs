//! Clusters of a given size, built directly, and the comparison of two sizes.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use mainstay_coordinator::Event;
use mainstay_protocol::health::{Evidence, FailureKind, Health};
use mainstay_protocol::report::{
    DigestEntry, LiveInstance, LiveState, NodeUp, Numbered, Presence, Report, Reports, RestartWhen,
    SysInfo, TypeDeclaration,
};
use mainstay_protocol::room::Room;
use mainstay_protocol::{
    AgentRunId, BootId, Epoch, Incarnation, InstanceKey, Leadership, NodeEpoch, NodeId, NodeName,
    PlacementName, Revision, Sequence, SlotName, Term, Timestamp, TypeName, limits,
};
use mainstay_resource_graph::{
    Cause, ConfigHash, Configuration, Edge, Graph, Instance, InstanceState, Key, Made, Name,
    NameKey, Node, NodeState, Outbox, Placement, Record, Relation, ServiceType, Settings, Target,
    Vertex, Wish,
};

const SMALL: usize = 1_000;
const LARGE: usize = 100_000;
const PER_NODE: usize = 100;
/// With the warm-up fewer than `SMALL`: each instance fails once.
const ROUNDS: usize = 800;
/// Runs before the clock counts: caches and branch predictors are warm in a station too.
const WARM_UP: usize = 100;
/// What a large graph may cost at most, in percent of a small one; the target is 200.
const LIMIT_PERCENT: u128 = 300;

pub struct Cluster {
    pub graph: Graph,
    instances: usize,
    failures: usize,
    sequences: BTreeMap<usize, u64>,
}

pub fn settings() -> Settings {
    Settings::LAN
}

pub fn leadership() -> Leadership {
    Leadership {
        epoch: Epoch(1),
        term: Term(1),
    }
}

#[allow(dead_code, reason = "a wave measures by itself")]
/// Measures both sizes and prints a line for each; the exit code says whether the ratio is within its limit.
pub fn compare(what: &str, mut once: impl FnMut(&mut Cluster) -> Duration) -> ExitCode {
    let mut medians = Vec::new();
    println!(
        "{:<24}{:>12}{:>12}{:>12}",
        what, "p50 us", "p90 us", "p99 us"
    );
    for size in [SMALL, LARGE] {
        let mut cluster = Cluster::of(size);
        for _ in 0..WARM_UP {
            once(&mut cluster);
        }
        let mut times: Vec<u128> = (0..ROUNDS).map(|_| once(&mut cluster).as_nanos()).collect();
        times.sort_unstable();
        let at = |percent: usize| times[times.len() * percent / 100] as f64 / 1000.0;
        println!(
            "{:<24}{:>12.1}{:>12.1}{:>12.1}",
            format!("{size} instances"),
            at(50),
            at(90),
            at(99)
        );
        medians.push(times[times.len() / 2]);
    }
    let percent = medians[1] * 100 / medians[0].max(1);
    println!(
        "large against small: {:.2} (target 2.00, limit 3.00)",
        percent as f64 / 100.0
    );
    if percent > LIMIT_PERCENT {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn node_name(number: usize) -> NodeName {
    NodeName::new(format!("n{number}")).expect("it is a name")
}

fn incarnation() -> Incarnation {
    Incarnation {
        epoch: Epoch(1),
        created: Revision(1),
        count: 1,
    }
}

impl Cluster {
    /// `size` running instances, a hundred on each node, each of a placement on all of ten nodes.
    fn of(size: usize) -> Self {
        let mut parts = Parts::common();
        for number in 0..size.div_ceil(PER_NODE) {
            parts.node(number, SysInfo::default());
        }
        for number in 0..size {
            parts.instance(number / PER_NODE, number);
        }
        Self {
            graph: parts.graph(),
            instances: size,
            failures: 0,
            sequences: BTreeMap::new(),
        }
    }

    /// Log time: far enough apart that no failure meets an earlier one of its instance.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.failures as u64 * 1_000_000)
    }

    /// The report of the next instance's panic; scattered over the graph, each instance once.
    pub fn next_failure(&mut self) -> Event {
        const STRIDE: usize = 7_919;
        let number = self.failures * STRIDE % self.instances;
        self.failures += 1;
        self.failure_of(number)
    }

    fn failure_of(&mut self, number: usize) -> Event {
        let (node, key) = place(number / PER_NODE, number);
        let sequence = self.sequences.entry(number / PER_NODE).or_default();
        *sequence += 1;
        let report = Report::Failed {
            instance: key,
            incarnation: incarnation(),
            kind: FailureKind::Panic,
            presence: Presence::Gone,
            evidence: Evidence::text("boom"),
        };
        let reports = Reports {
            epoch: Epoch(1),
            node_epoch: NodeEpoch(1),
            reports: vec![Numbered {
                sequence: Sequence(*sequence),
                report,
            }],
        };
        Event::Reports { node, reports }
    }
}

/// Every instance fails, each node telling of its own in frames as an agent sends them.
#[allow(dead_code, reason = "only the wave uses it")]
pub fn wave(size: usize) -> (Graph, Vec<Event>) {
    let mut cluster = Cluster::of(size);
    let mut events: Vec<Event> = Vec::new();
    for number in 0..size {
        let Event::Reports { node, reports } = cluster.failure_of(number) else {
            unreachable!("a failure is a report")
        };
        match events.last_mut() {
            Some(Event::Reports {
                node: last,
                reports: batch,
            }) if *last == node && batch.reports.len() < limits::REPORTS_PER_FRAME_MAX => {
                batch.reports.extend(reports.reports);
            }
            Some(_) | None => events.push(Event::Reports { node, reports }),
        }
    }
    (cluster.graph, events)
}

/// So many running instances on each of so many nodes, each of a placement of its own.
#[allow(dead_code, reason = "only the large one uses it")]
pub fn even(nodes: usize, each: usize) -> Graph {
    let mut parts = Parts::common();
    for number in 0..nodes {
        parts.node(number, SysInfo::default());
        for one in 0..each {
            parts.instance(number, number * each + one);
        }
    }
    parts.graph()
}

/// The agent of such a node introduces itself: all that the graph has of it runs.
#[allow(dead_code, reason = "only the large one uses it")]
pub fn node_up(number: usize, each: usize) -> NodeUp {
    let id = uuid::Uuid::from_u64_pair(1, number as u64);
    let running = DigestEntry {
        floor: incarnation(),
        live: Some(LiveInstance {
            incarnation: incarnation(),
            state: LiveState::Running,
            health: Health::Ok,
            service_type: Some(service_type()),
        }),
    };
    let instances = (0..each).map(|one| place(number, number * each + one).1);
    NodeUp {
        node: node_name(number),
        node_id: Some(NodeId(id)),
        boot_id: BootId("boot".to_owned()),
        agent_run: AgentRunId(id),
        node_epoch: Some(NodeEpoch(1)),
        build: "bench".to_owned(),
        address: String::new(),
        sysinfo: SysInfo::default(),
        provides: vec![declaration()],
        digest: instances.map(|key| (key, running.clone())).collect(),
        supervisor: 1,
    }
}

/// Nodes of four sizes, half of them with an SSD, a hundred in each rack, and on every one a few instances.
#[allow(dead_code, reason = "only placing uses it")]
pub fn roomy(nodes: usize) -> Graph {
    const EACH: usize = 20;
    let mut parts = Parts::common();
    for number in 0..nodes {
        let size = 1 + number as u64 % 4;
        let offers = Room {
            millicores: 16_000 * size,
            memory_bytes: size << 36,
            disk_bytes: size << 40,
        };
        let sysinfo = SysInfo {
            offers,
            ..SysInfo::default()
        };
        parts.node(number, sysinfo);
        for one in 0..EACH {
            parts.instance(number, number * EACH + one);
        }
    }
    parts.graph()
}

pub fn place(on: usize, number: usize) -> (NodeName, InstanceKey) {
    let node = node_name(on);
    let placement = PlacementName::new(format!("p{number}")).expect("it is a name");
    (node.clone(), InstanceKey::new(node, placement))
}

pub fn service_type() -> TypeName {
    TypeName::new("noisy").expect("it is a name")
}

pub fn config() -> ConfigHash {
    ConfigHash("44136fa355b3678a".to_owned())
}

fn declaration() -> TypeDeclaration {
    TypeDeclaration {
        name: service_type(),
        version: "1.0.0".to_owned(),
        holds: None,
        schema: "{}".to_owned(),
        messages: Vec::new(),
        restart: RestartWhen::OnFailure,
        start_deadline_ms: 30_000,
        stop_deadline_ms: 10_000,
        may_use: Vec::new(),
        in_place: false,
        keeps_lease: true,
        serves: Default::default(),
    }
}

#[derive(Default)]
struct Parts {
    records: Vec<Record>,
    edges: Vec<Edge>,
}

impl Parts {
    /// What every cluster has.
    fn common() -> Self {
        let mut parts = Self::default();
        parts.put(
            Key::Configuration(config()),
            Vertex::Configuration(Configuration {
                json: "{}".to_owned(),
            }),
        );
        parts.put(
            Key::Type(service_type()),
            Vertex::Type(ServiceType {
                declaration: declaration(),
            }),
        );
        parts
    }

    fn graph(self) -> Graph {
        Graph::from_parts(Revision(1), self.records, self.edges).expect("it is closed")
    }

    fn put(&mut self, key: Key, vertex: Vertex) {
        let (since, rev, cause) = (Timestamp::ZERO, Revision(1), Cause::Start);
        self.records.push(Record {
            key,
            vertex,
            since,
            rev,
            cause,
        });
    }

    fn link(&mut self, from: Key, relation: Relation, to: Key) {
        let (since, rev) = (Timestamp::ZERO, Revision(1));
        self.edges.push(Edge {
            from,
            relation,
            to,
            since,
            rev,
        });
    }

    fn node(&mut self, number: usize, sysinfo: SysInfo) {
        let disk = if number.is_multiple_of(2) {
            "ssd"
        } else {
            "hdd"
        };
        let labels = [
            ("disk", disk.to_owned()),
            ("rack", format!("r{}", number / 100)),
        ];
        let name = node_name(number);
        let id = uuid::Uuid::from_u64_pair(1, number as u64);
        let node = Node {
            id: NodeId(id),
            state: NodeState::Online,
            reason: None,
            address: String::new(),
            build: "bench".to_owned(),
            boot_id: BootId("boot".to_owned()),
            agent_run: AgentRunId(id),
            labels: labels
                .map(|(label, value)| (label.to_owned(), value))
                .into(),
            sysinfo,
            care: Default::default(),
            provides: BTreeMap::from([(service_type(), "1.0.0".to_owned())]),
            strays: BTreeMap::new(),
            away: None,
            lost_at: None,
            restart: None,
        };
        let outbox = Outbox {
            node_epoch: NodeEpoch(1),
            watermark: Sequence(0),
        };
        self.put(Key::Outbox(name.clone()), Vertex::Outbox(outbox));
        self.put(Key::Node(name.clone()), Vertex::Node(node));
        self.link(
            Key::Node(name),
            Relation::Provides,
            Key::Type(service_type()),
        );
    }

    fn instance(&mut self, on: usize, number: usize) {
        let (node, key) = place(on, number);
        let placement = Placement::new(
            service_type(),
            Wish::new(Target::Nodes([node.clone()].into()), config()),
            Made::new(Timestamp(1), "operator start"),
            Revision(1),
        );
        self.put(
            Key::Placement(key.placement.clone()),
            Vertex::Placement(placement),
        );
        let name = SlotName::new(key.placement.as_str()).expect("it is a name");
        let slot = Key::Name(NameKey::new(node, name.clone()));
        let mut instance = Instance::wanted(service_type(), name, incarnation());
        instance.state = InstanceState::Running;
        instance.health = Health::Ok;
        instance.version = Some("1.0.0".to_owned());
        let subject = Key::Instance(key);
        self.put(slot.clone(), Vertex::Name(Name {}));
        self.put(subject.clone(), Vertex::Instance(instance));
        self.link(subject.clone(), Relation::Holds, slot);
        self.link(subject, Relation::Configured, Key::Configuration(config()));
    }
}
