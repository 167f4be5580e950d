//! A small world for tests: vertices with plausible contents, and a view written out as text.
#![allow(dead_code)] // each test file uses its part of it

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::command::{Order, Stop, StopManner, StopWhy};
use mainstay_protocol::report::{RestartWhen, SysInfo, TypeDeclaration};
use mainstay_protocol::work::{Serves, Skill};
use mainstay_protocol::{
    AgentRunId, BootId, CommandId, Epoch, Incarnation, InstanceKey, Leadership, NodeId, NodeName,
    PlacementName, Revision, SlotName, Term, Timestamp, TypeName,
};
use mainstay_resource_graph::{
    Applied, Cause, CommandVertex, ConfigHash, Configuration, Desired, Edge, Graph, Instance,
    InstanceState, Key, Kind, Made, NameKey, Node, NodeState, Placement, Record, Relation,
    ServiceType, Step, StepState, Target, Txn, Vertex, View, Waits, Wish,
};

pub fn node_name(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

pub fn slot(name: &str) -> SlotName {
    SlotName::new(name).unwrap()
}

/// `web@n1`.
pub fn at(reference: &str) -> InstanceKey {
    let (placement, node) = reference.split_once('@').unwrap();
    InstanceKey::new(node_name(node), PlacementName::new(placement).unwrap())
}

/// Any reference, as people write it.
pub fn key(reference: &str) -> Key {
    reference.parse().unwrap()
}

pub fn name_of(node: &str, name: &str) -> Key {
    Key::Name(NameKey::new(node_name(node), slot(name)))
}

pub fn rule(name: &str) -> Cause {
    Cause::Rule(name.to_owned())
}

pub fn seconds(seconds: u64) -> Timestamp {
    Timestamp(seconds * 1_000_000)
}

pub fn incarnation(count: u64) -> Incarnation {
    Incarnation {
        epoch: Epoch(1),
        created: Revision(1),
        count,
    }
}

pub fn node() -> Node {
    Node {
        id: NodeId(uuid(1)),
        state: NodeState::Online,
        reason: None,
        address: "local".to_owned(),
        build: "0.1.0".to_owned(),
        boot_id: BootId("boot".to_owned()),
        agent_run: AgentRunId(uuid(2)),
        labels: BTreeMap::new(),
        sysinfo: SysInfo::default(),
        care: Default::default(),
        provides: BTreeMap::new(),
        strays: BTreeMap::new(),
        away: None,
        lost_at: None,
        restart: None,
    }
}

fn uuid(number: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(number)
}

pub fn service_type(name: &str) -> ServiceType {
    ServiceType {
        declaration: TypeDeclaration {
            name: TypeName::new(name).unwrap(),
            version: "1".to_owned(),
            holds: None,
            schema: "{}".to_owned(),
            messages: Vec::new(),
            restart: RestartWhen::OnFailure,
            start_deadline_ms: 30_000,
            stop_deadline_ms: 10_000,
            may_use: Vec::new(),
            in_place: false,
            keeps_lease: true,
            serves: Serves::default(),
        },
    }
}

pub fn placement(service_type: &str, config: &str) -> Placement {
    let target = Target::Nodes(BTreeSet::from([node_name("n1")]));
    Placement::new(
        TypeName::new(service_type).unwrap(),
        Wish::new(target, ConfigHash(config.to_owned())),
        Made::new(Timestamp(1), "operator start"),
        Revision(1),
    )
}

/// Wanted stopped and stopped: a sound instance without anything around it.
pub fn stopped(service_type: &str, name: &str) -> Instance {
    let service_type = TypeName::new(service_type).unwrap();
    let mut instance = Instance::wanted(service_type, slot(name), incarnation(0));
    instance.desired = Desired::Stopped;
    instance.state = InstanceState::Stopped { by_itself: false };
    instance
}

pub fn starting(service_type: &str, name: &str, count: u64) -> Instance {
    let service_type = TypeName::new(service_type).unwrap();
    let mut instance = Instance::wanted(service_type, slot(name), incarnation(count));
    instance.state = InstanceState::Starting;
    instance.reason = Some(Reason::new(code::STARTING, "a start was decided"));
    instance.deadline = Some(seconds(30));
    instance
}

pub fn stop_command(reference: &str, count: u64, deadline: Option<Timestamp>) -> CommandVertex {
    CommandVertex {
        node: at(reference).node,
        leadership: Leadership {
            epoch: Epoch(1),
            term: Term(1),
        },
        order: Order::Stop(Stop {
            instance: at(reference),
            incarnation: incarnation(count),
            deadline_ms: 1000,
            why: StopWhy::NotWanted,
            manner: StopManner::AskThenKill,
        }),
        sends: 1,
        deadline,
    }
}

/// A step that takes one of two skills.
pub fn step(skill: usize, state: StepState, worker: Option<InstanceKey>) -> Step {
    let skill = Skill {
        provider: "builtin".to_owned(),
        activity: ["echo", "sleep"][skill].parse().unwrap(),
    };
    let mut step = Step::new(skill);
    (step.state, step.worker) = (state, worker);
    step
}

pub fn command(id: u64) -> Key {
    Key::Command(CommandId(id))
}

/// One transaction, applied; what it left is checked against what it showed.
pub fn commit(graph: &mut Graph, now: u64, write: impl FnOnce(&mut Txn<'_>)) {
    let mut txn = graph.begin(seconds(now), rule("test"));
    write(&mut txn);
    let shown = dump(&txn);
    let delta = txn.finish();
    let applied = graph.apply(&delta);
    assert_eq!(
        applied,
        Applied {
            changed: true,
            refused: None
        }
    );
    assert_eq!(dump(graph), shown);
}

/// n1 and n2, type `web`, placements `web` and `rival` whose instances need the name `web`, configurations aa
/// and bb; `web@n1` and `rival@n1` wanted stopped and stopped.
pub fn small() -> Graph {
    let mut graph = Graph::new();
    commit(&mut graph, 1, |txn| {
        for name in ["node/n1", "node/n2"] {
            txn.put(key(name), Vertex::Node(node())).unwrap();
        }
        txn.put(key("type/web"), Vertex::Type(service_type("web")))
            .unwrap();
        for (hash, json) in [("config/aa", "{}"), ("config/bb", "{\"port\":1}")] {
            let json = json.to_owned();
            txn.put(key(hash), Vertex::Configuration(Configuration { json }))
                .unwrap();
        }
        for name in ["web", "rival"] {
            txn.put(key(name), Vertex::Placement(placement("web", "aa")))
                .unwrap();
        }
        for reference in ["web@n1", "rival@n1"] {
            txn.put(key(reference), Vertex::Instance(stopped("web", "web")))
                .unwrap();
        }
    });
    graph
}

/// Of those that instances take.
pub const FIRST_PORT: u16 = 8_000;

/// Everything a view shows except its revision, one line each.
pub fn dump(view: &impl View) -> Vec<String> {
    let mut lines = Vec::new();
    for kind in Kind::ALL {
        for key in view.keys(kind) {
            lines.push(format!("{:?}", view.record(&key)));
            for relation in Relation::ALL {
                lines.push(format!("  > {:?}", view.edges_from(&key, relation)));
                lines.push(format!("  < {:?}", view.edges_to(&key, relation)));
            }
            match &key {
                Key::Node(node) => {
                    lines.push(format!("  instances {:?}", view.instances_on(node)));
                    lines.push(format!("  commands {:?}", view.commands_for(node)));
                    lines.push(format!("  may have {:?}", view.placements_for(node)));
                    lines.push(format!("  load {:?}", view.load_on(node)));
                    lines.push(format!("  last start {:?}", view.last_start_on(node)));
                    for port in FIRST_PORT..FIRST_PORT + 3 {
                        lines.push(format!("  {port} {:?}", view.port_takers(node, port)));
                    }
                    for (what, most) in [(Waits::Room, 9), (Waits::Turn, 9), (Waits::Turn, 1)] {
                        let line = view.waiting_on(node, what, most);
                        lines.push(format!("  {most} that wait for {what:?} {line:?}"));
                    }
                }
                Key::Placement(placement) => {
                    lines.push(format!("  instances {:?}", view.instances_of(placement)));
                }
                Key::Instance(instance) => {
                    let steps = view.steps_at(instance);
                    assert_eq!(view.count_at(instance), steps.len(), "{instance}");
                    lines.push(format!("  at work on {steps:?}"));
                }
                _ => {}
            }
        }
    }
    lines.push(format!("short {:?}", view.short_placements()));
    lines.push(format!("hands {:?}", view.hands()));
    for skill in view.skills_due() {
        let (first, all) = (view.steps_due(&skill, 1), view.steps_due(&skill, 9));
        lines.push(format!("due {skill}: {first:?} of {all:?}"));
    }
    view.each_node(&mut |node| lines.push(format!("{node:?}")));
    lines
}

/// A view without what is kept beside the graph: all of that is worked out from the records.
pub struct Scanned<'v, V>(pub &'v V);

impl<V: View> View for Scanned<'_, V> {
    fn revision(&self) -> Revision {
        self.0.revision()
    }

    fn record(&self, key: &Key) -> Option<Arc<Record>> {
        self.0.record(key)
    }

    fn keys(&self, kind: Kind) -> Vec<Key> {
        self.0.keys(kind)
    }

    fn edges_from(&self, from: &Key, relation: Relation) -> Vec<Edge> {
        self.0.edges_from(from, relation)
    }

    fn edges_to(&self, to: &Key, relation: Relation) -> Vec<Edge> {
        self.0.edges_to(to, relation)
    }

    fn instances_on(&self, node: &NodeName) -> Vec<InstanceKey> {
        self.0.instances_on(node)
    }

    fn instances_of(&self, placement: &PlacementName) -> Vec<InstanceKey> {
        self.0.instances_of(placement)
    }

    fn commands_for(&self, node: &NodeName) -> Vec<Key> {
        self.0.commands_for(node)
    }
}
