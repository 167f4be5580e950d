//! Plans against a small cluster, as stored scripts: n1 and n3 are there, n2 is away; `web` runs on n1 and n2, `app` stands
//! on `db`, `old` is being deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mainstay_protocol::report::{RestartWhen, SysInfo, TypeDeclaration};
use mainstay_protocol::{
    AgentRunId, BootId, ClusterId, ClusterName, Epoch, Generation, Incarnation, InstanceKey,
    NodeId, NodeName, PlacementName, Revision, SlotName, Timestamp, TypeName,
};
use mainstay_resource_graph::{
    Cause, Cluster, ConfigHash, Configuration, DependsUntil, Desired, Edge, Graph, Instance,
    InstanceState, Key, Made, Name, NameKey, Node, NodeState, Placement, Record, Relation,
    ServiceType, Settings, Standing, Target, Vertex, Wish,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::plan;
use crate::types::{PlanMode, PlanRequest, WishBody};

const REV: Revision = Revision(40);

fn node(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

fn placement(text: &str) -> PlacementName {
    PlacementName::new(text).unwrap()
}

fn service_type(text: &str) -> TypeName {
    TypeName::new(text).unwrap()
}

fn slot(text: &str) -> SlotName {
    SlotName::new(text).unwrap()
}

fn key(text: &str) -> InstanceKey {
    let (placement_name, node_name) = text.split_once('@').unwrap();
    InstanceKey::new(node(node_name), placement(placement_name))
}

fn hash(json: &str) -> ConfigHash {
    mainstay_coordinator::config::canonical(json).unwrap().0
}

const HELLO: &str = r#"{"greeting":"hello"}"#;

struct World {
    records: Vec<(Key, Vertex)>,
    edges: Vec<(Key, Relation, Key)>,
}

impl World {
    fn built() -> Graph {
        let mut world = Self {
            records: Vec::new(),
            edges: Vec::new(),
        };
        world.cluster();
        world.node("n1", NodeState::Online, &["greeter", "noisy"]);
        world.node("n2", NodeState::Suspect, &["greeter", "noisy"]);
        world.node("n3", NodeState::Online, &["noisy"]);
        world.service_type("greeter", Some("greeter"));
        world.service_type("noisy", None);
        world.config(HELLO);
        world.config("{}");
        world.placed("web", "greeter", &["n1", "n2"], HELLO, 3);
        world.placed("db", "noisy", &["n1"], "{}", 1);
        world.placed("app", "noisy", &["n1"], "{}", 2);
        world.placed("old", "noisy", &["n1"], "{}", 1);
        world.depends("app", "db");
        world.leaves("old");
        world.instance("web@n1", "greeter", "greeter", InstanceState::Running);
        world.instance("web@n2", "greeter", "greeter", InstanceState::Quarantined);
        world.instance("db@n1", "noisy", "db", InstanceState::Running);
        world.instance("app@n1", "noisy", "app", InstanceState::Running);
        world.graph()
    }

    fn graph(self) -> Graph {
        let records = self.records.into_iter().map(|(key, vertex)| Record {
            key,
            vertex,
            since: Timestamp(1),
            rev: REV,
            cause: Cause::Start,
        });
        let edges = self.edges.into_iter().map(|(from, relation, to)| Edge {
            from,
            relation,
            to,
            since: Timestamp(1),
            rev: REV,
        });
        Graph::from_parts(REV, records, edges).unwrap()
    }

    fn cluster(&mut self) {
        let cluster = Cluster {
            authority: None,
            id: ClusterId(Uuid::from_u128(1)),
            epoch: Epoch(1),
            name: ClusterName::new("dev").unwrap(),
            settings: Settings::LAN,
            rules_off: Default::default(),
            groups: Default::default(),
            brake: None,
            epoch_began: None,
        };
        self.records.push((Key::Cluster, Vertex::Cluster(cluster)));
    }

    fn node(&mut self, name: &str, state: NodeState, types: &[&str]) {
        let provides = types
            .iter()
            .map(|name| (service_type(name), "1".to_owned()));
        let record = Node {
            id: NodeId(Uuid::from_u128(2)),
            state,
            reason: None,
            address: format!("unix:{name}"),
            build: "0.1.0".to_owned(),
            boot_id: BootId("boot".to_owned()),
            agent_run: AgentRunId(Uuid::from_u128(3)),
            labels: BTreeMap::from([("zone".to_owned(), name.to_owned())]),
            sysinfo: SysInfo::default(),
            care: Default::default(),
            provides: provides.collect(),
            strays: BTreeMap::new(),
            away: None,
            lost_at: None,
            restart: None,
        };
        self.records
            .push((Key::Node(node(name)), Vertex::Node(record)));
        for name_of_type in types {
            self.edges.push((
                Key::Node(node(name)),
                Relation::Provides,
                Key::Type(service_type(name_of_type)),
            ));
        }
    }

    fn service_type(&mut self, name: &str, holds: Option<&str>) {
        let declaration = TypeDeclaration {
            name: service_type(name),
            version: "1".to_owned(),
            holds: holds.map(slot),
            schema: "{}".to_owned(),
            messages: Vec::new(),
            restart: RestartWhen::OnFailure,
            start_deadline_ms: 30_000,
            stop_deadline_ms: 10_000,
            may_use: Vec::new(),
            in_place: false,
            keeps_lease: true,
            serves: Default::default(),
        };
        let vertex = Vertex::Type(ServiceType { declaration });
        self.records.push((Key::Type(service_type(name)), vertex));
    }

    fn config(&mut self, json: &str) {
        let vertex = Vertex::Configuration(Configuration {
            json: json.to_owned(),
        });
        self.records.push((Key::Configuration(hash(json)), vertex));
    }

    fn placed(&mut self, name: &str, of: &str, nodes: &[&str], config: &str, generation: u64) {
        let nodes: BTreeSet<NodeName> = nodes.iter().map(|name| node(name)).collect();
        let wish = Wish::new(Target::Nodes(nodes), hash(config));
        let made = Made::new(Timestamp(1), "operator start");
        let mut record = Placement::new(service_type(of), wish, made, REV);
        record.generation = Generation(generation);
        let vertex = Vertex::Placement(record);
        self.records.push((Key::Placement(placement(name)), vertex));
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Placement)) {
        let key = Key::Placement(placement(name));
        for (found, vertex) in &mut self.records {
            if *found == key
                && let Vertex::Placement(placement) = vertex
            {
                return change(placement);
            }
        }
    }

    fn depends(&mut self, name: &str, on: &str) {
        self.change(name, |record| {
            record
                .wish
                .depends_on
                .insert(placement(on), DependsUntil::Healthy);
        });
        self.edges.push((
            Key::Placement(placement(name)),
            Relation::DependsOn,
            Key::Placement(placement(on)),
        ));
    }

    fn leaves(&mut self, name: &str) {
        self.change(name, |record| record.standing = Standing::Leaving);
    }

    fn instance(&mut self, reference: &str, of: &str, name: &str, state: InstanceState) {
        let instance_key = key(reference);
        let mut instance = Instance::wanted(service_type(of), slot(name), Incarnation::default());
        instance.state = state;
        instance.desired = Desired::Running;
        self.records.push((
            Key::Instance(instance_key.clone()),
            Vertex::Instance(instance),
        ));
        if state == InstanceState::Running {
            let name = Key::Name(NameKey::new(instance_key.node.clone(), slot(name)));
            self.records.push((name.clone(), Vertex::Name(Name {})));
            self.edges
                .push((Key::Instance(instance_key), Relation::Holds, name));
        }
    }
}

fn put(name: &str, of: &str, more: &Value) -> WishBody {
    let mut spec = json!({"name": name, "type": of, "target": {"nodes": ["n1"]}});
    spec.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    WishBody {
        kind: "Placement".to_owned(),
        spec,
    }
}

fn told(graph: &Graph, wishes: Vec<WishBody>, mode: PlanMode) -> String {
    let mut lines = Vec::new();
    match plan(graph, &PlanRequest { wishes, mode }) {
        Err(flaws) => {
            for flaw in flaws {
                let near = flaw.flaw.nearest.join(", ");
                lines.push(format!("flaw in {}: {} [{near}]", flaw.wish, flaw.flaw));
            }
        }
        Ok(plan) => {
            for change in plan.changes {
                lines.push(format!(
                    "{} {} based on {} after [{}]",
                    change.act.as_str(),
                    change.reference,
                    change.based_on,
                    change.after.join(", ")
                ));
                for field in change.fields {
                    lines.push(format!("  {}: {} -> {}", field.path, field.old, field.new));
                }
                for one in change.instances {
                    lines.push(format!(
                        "  {} {}: {}",
                        one.act.as_str(),
                        one.reference,
                        one.text
                    ));
                }
                let unplaced = change.unplaced;
                lines.extend(unplaced.map(|text| format!("  unplaced: {text}")));
                lines.extend(change.steps.map(|steps| format!("  steps: {steps}")));
            }
        }
    }
    lines.join("\n")
}

fn near(name: &str) -> Value {
    json!({"target": {"nodes": null, "count": 1, "affinity": [{"placement": name}]}})
}

type Story = (&'static str, Vec<WishBody>, PlanMode);

const APPLY: PlanMode = PlanMode::Apply;

fn settings(spec: Value) -> WishBody {
    WishBody {
        kind: "Settings".to_owned(),
        spec,
    }
}

/// What each story is called, what is wished for, and what for.
fn stories() -> Vec<Story> {
    [right(), wrong(), gone()].concat()
}

/// What can be done.
fn right() -> Vec<Story> {
    vec![
        ("as it is", vec![put("db", "noisy", &json!({}))], APPLY),
        (
            "a new one, on every node, of which one is away and one lacks the type",
            vec![put("greet", "greeter", &json!({"target": {"all": {}}}))],
            APPLY,
        ),
        (
            "another configuration",
            vec![put(
                "web",
                "greeter",
                &json!({"target": {"nodes": ["n1", "n2"]}, "config": {"greeting": "hi", "times": 2}}),
            )],
            APPLY,
        ),
        (
            "fewer nodes, and a policy",
            vec![put(
                "web",
                "greeter",
                &json!({"config": {"greeting": "hello"}, "policy": {"window": "5m", "backoff": {"max": "10s"}}}),
            )],
            APPLY,
        ),
        (
            "more than there are nodes for, and room for none",
            vec![
                put(
                    "many",
                    "noisy",
                    &json!({"target": {"nodes": null, "count": 3}}),
                ),
                put(
                    "large",
                    "noisy",
                    &json!({"target": {"nodes": null, "count": 1}, "needs": {"cores": 64}}),
                ),
            ],
            APPLY,
        ),
        (
            "what others stand on comes before them, settings before all",
            vec![
                put("c", "noisy", &json!({"depends_on": [{"placement": "b"}]})),
                put(
                    "b",
                    "noisy",
                    &json!({"depends_on": [{"placement": "a", "until": "started"}, {"placement": "db"}]}),
                ),
                put("a", "noisy", &json!({})),
                settings(json!({"silence": "5s", "backoff": {"max": "30s"}})),
            ],
            APPLY,
        ),
    ]
}

/// What is refused.
fn wrong() -> Vec<Story> {
    vec![
        (
            "everything the cluster does not know, at once",
            vec![
                put("x", "greter", &json!({"target": {"nodes": ["n1", "n4"]}})),
                put(
                    "y",
                    "greeter",
                    &json!({"holds": "y", "depends_on": [{"placement": "wen"}]}),
                ),
                put(
                    "z",
                    "noisy",
                    &json!({"update": {"strategy": "all", "at_once": 2}}),
                ),
                put("old", "noisy", &json!({})),
                put("web", "noisy", &json!({"holds": "web"})),
                settings(json!({"check": {"interval": "1s"}})),
                WishBody {
                    kind: "Orchestration".to_owned(),
                    spec: json!({}),
                },
            ],
            APPLY,
        ),
        (
            "what a wish alone is wrong about, all of it",
            vec![put(
                "a",
                "noisy",
                &json!({
                    "minimum": 1,
                    "policy": {"escalate": "move"},
                }),
            )],
            APPLY,
        ),
        (
            "company that could never be kept",
            vec![
                put("a", "noisy", &near("b")),
                put("b", "noisy", &near("a")),
                put("c", "noisy", &near("c")),
                put("d", "noisy", &near("old")),
            ],
            APPLY,
        ),
        (
            "circles, within the files and through the cluster",
            vec![
                put("a", "noisy", &json!({"depends_on": [{"placement": "b"}]})),
                put("b", "noisy", &json!({"depends_on": [{"placement": "a"}]})),
                put(
                    "db",
                    "noisy",
                    &json!({"depends_on": [{"placement": "app"}]}),
                ),
            ],
            APPLY,
        ),
        (
            "the same twice",
            vec![put("a", "noisy", &json!({})), put("a", "noisy", &json!({}))],
            APPLY,
        ),
    ]
}

/// What is taken away.
fn gone() -> Vec<Story> {
    vec![
        (
            "all there is to be",
            vec![put("web", "greeter", &json!({}))],
            PlanMode::Prune,
        ),
        (
            "what is to be beside what is pruned",
            vec![put("app", "noisy", &near("db"))],
            PlanMode::Prune,
        ),
        (
            "what would stand on what is pruned",
            vec![put(
                "app",
                "noisy",
                &json!({"depends_on": [{"placement": "db"}]}),
            )],
            PlanMode::Prune,
        ),
        (
            "deleted, what stands on others first",
            vec![
                put("db", "noisy", &json!({})),
                put("app", "noisy", &json!({})),
                put("none", "noisy", &json!({})),
            ],
            PlanMode::Delete,
        ),
        (
            "not deleted from under another",
            vec![put("db", "noisy", &json!({})), settings(json!({}))],
            PlanMode::Delete,
        ),
    ]
}

/// `UPDATE=1` rewrites what is stored; the difference is reviewed like code.
// proves: S15, S19
#[test]
fn plans_say_what_is_stored_of_them() {
    let graph = World::built();
    let mut have = String::new();
    for (name, wishes, mode) in stories() {
        have.push_str(&format!("# {name}\n{}\n\n", told(&graph, wishes, mode)));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan/stored.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &have).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(have, stored);
}

#[test]
fn a_plan_of_what_was_planned_and_is_so_by_now_changes_nothing() {
    let graph = World::built();
    let wishes = vec![put(
        "web",
        "greeter",
        &json!({"target": {"nodes": ["n2", "n1"]}, "config": {"greeting": "hello"}, "policy": null}),
    )];
    let plan = plan(
        &graph,
        &PlanRequest {
            wishes,
            mode: PlanMode::Apply,
        },
    )
    .unwrap();
    assert_eq!(plan.pending().count(), 0);
    assert_eq!(plan.changes[0].based_on, 3);
}
