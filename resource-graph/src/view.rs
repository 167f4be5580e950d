//! Reading: one trait for the live graph, a transaction over it, and a snapshot of the store.

use std::sync::Arc;

use mainstay_protocol::command::Order;
use mainstay_protocol::work::Skill;
use mainstay_protocol::{
    ArtifactId, Blob, InstanceKey, NodeName, PlacementName, ResourceKey, Revision, RunId,
    ServiceId, StationId, StepKey, Timestamp,
};

use crate::artifact::{Artifact, ChunkKey};
use crate::key::{AskedId, CollectedId, Key, Kind, NameKey, ProcedureId};
use crate::load::{self, Load, NodeLoad, Waits};
use crate::marks::Marks;
use crate::vertex::{
    Asked, Cluster, Collected, CommandVertex, Cordon, Edge, Instance, Node, Procedure, Record,
    Relation, Resource, Run, Service, ServiceType, Station, Step, Supervisor, Vertex,
};
use crate::wish::Placement;
use crate::work::StepState;

/// What rules, `why` and the API read through. Every list is in key order.
pub trait View {
    fn revision(&self) -> Revision;
    fn record(&self, key: &Key) -> Option<Arc<Record>>;
    /// The keys of one kind.
    fn keys(&self, kind: Kind) -> Vec<Key>;
    /// Edges out of a vertex.
    fn edges_from(&self, from: &Key, relation: Relation) -> Vec<Edge>;
    /// Edges into a vertex, oldest first (by since, then from).
    fn edges_to(&self, to: &Key, relation: Relation) -> Vec<Edge>;
    fn instances_on(&self, node: &NodeName) -> Vec<InstanceKey>;
    fn instances_of(&self, placement: &PlacementName) -> Vec<InstanceKey>;
    fn commands_for(&self, node: &NodeName) -> Vec<Key>;

    /// Placements that name this node, or leave it open which nodes are theirs.
    fn placements_for(&self, node: &NodeName) -> Vec<PlacementName> {
        let mut keys = self.keys(Kind::Placement);
        keys.retain(|key| {
            self.record(key)
                .is_some_and(|record| aims_at(&record, node))
        });
        let name = |key| match key {
            Key::Placement(name) => Some(name),
            _ => None,
        };
        keys.into_iter().filter_map(name).collect()
    }

    /// Placements of which some found no node.
    fn short_placements(&self) -> Vec<PlacementName> {
        let keys = self.keys(Kind::Placement).into_iter();
        keys.filter_map(|key| load::short(&*self.record(&key)?).cloned())
            .collect()
    }

    /// What the instances of a node take of it together.
    fn load_on(&self, node: &NodeName) -> Load {
        let mut load = Load::default();
        for key in self.instances_on(node) {
            let record = self.record(&Key::Instance(key));
            if let Some((_, facts)) = record.as_deref().and_then(load::instance) {
                load.add(facts);
            }
        }
        load
    }

    /// Who on a node takes a port, in the order of names.
    fn port_takers(&self, node: &NodeName, port: u16) -> Vec<InstanceKey> {
        let takes = |key: &InstanceKey| {
            let record = self.record(&Key::Instance(key.clone()));
            let facts = record.as_deref().and_then(load::instance);
            facts.is_some_and(|(_, one)| load::ports(one).any(|taken| *taken == port))
        };
        let mut takers = self.instances_on(node);
        takers.retain(takes);
        takers
    }

    /// Every node, in the order of names, with what its instances take of it together.
    fn each_node(&self, then: &mut dyn FnMut(NodeLoad<'_>)) {
        for key in self.keys(Kind::Node) {
            let (Key::Node(name), Some(record)) = (&key, self.record(&key)) else {
                continue;
            };
            if let Vertex::Node(node) = &record.vertex {
                then(NodeLoad {
                    record: &record,
                    offers: node.sysinfo.offers,
                    marks: Marks::of_node(node),
                    load: self.load_on(name),
                });
            }
        }
    }

    /// When the last instance on a node began, of those that have begun.
    fn last_start_on(&self, node: &NodeName) -> Option<Timestamp> {
        let records = self.instances_on(node).into_iter();
        let records = records.filter_map(|key| self.record(&Key::Instance(key)));
        let started = |record: Arc<Record>| load::instance(&record)?.1.started;
        records.filter_map(started).max()
    }

    /// The first of those on a node that wait for something others there have, who waits longest first.
    fn waiting_on(&self, node: &NodeName, what: Waits, most: usize) -> Vec<InstanceKey> {
        let records = self.instances_on(node).into_iter();
        let records = records.filter_map(|key| self.record(&Key::Instance(key)));
        let mut line: Vec<_> = records
            .filter_map(|record| load::in_line(&record, what))
            .collect();
        line.sort_unstable();
        line.truncate(most);
        line.into_iter().map(|(_, key)| key).collect()
    }

    /// What the steps take that are due.
    fn skills_due(&self) -> Vec<Skill> {
        let mut skills = Vec::new();
        each_step(self, &mut |_, step| {
            if matches!(step.state, StepState::Queued { .. }) {
                skills.push(step.skill.clone());
            }
        });
        skills.sort_unstable();
        skills.dedup();
        skills
    }

    /// The first of those that are due and take this, who waits longest first.
    fn steps_due(&self, skill: &Skill, most: usize) -> Vec<StepKey> {
        let mut line = Vec::new();
        each_step(self, &mut |key, step| {
            if let StepState::Queued { since } = step.state
                && step.skill == *skill
            {
                line.push((since, key.clone()));
            }
        });
        line.sort_unstable();
        line.truncate(most);
        line.into_iter().map(|(_, key)| key).collect()
    }

    /// What an instance is at work on.
    fn steps_at(&self, worker: &InstanceKey) -> Vec<StepKey> {
        let mut steps = Vec::new();
        each_step(self, &mut |key, step| {
            if step.at_work() == Some(worker) {
                steps.push(key.clone());
            }
        });
        steps
    }

    /// On how many, with what is taken back and may still be at work.
    fn count_at(&self, worker: &InstanceKey) -> usize {
        let commands = self.commands_for(&worker.node).into_iter();
        let taken_back = commands.filter(|key| {
            let record = self.record(key);
            record.is_some_and(|record| match &record.vertex {
                Vertex::Command(command) => match &command.order {
                    Order::TakeBack(back) => back.instance == *worker,
                    _ => false,
                },
                _ => false,
            })
        });
        self.steps_at(worker).len() + taken_back.count()
    }

    /// Instances that could take steps, whether they are at work or not.
    fn hands(&self) -> Vec<InstanceKey> {
        let keys = self.keys(Kind::Instance).into_iter();
        let has_hands = |key: &InstanceKey| {
            let record = self.record(&Key::Instance(key.clone()));
            record.is_some_and(
                |record| matches!(&record.vertex, Vertex::Instance(one) if one.has_hands()),
            )
        };
        keys.filter_map(instance_key).filter(has_hands).collect()
    }
}

fn each_step(view: &(impl View + ?Sized), then: &mut dyn FnMut(&StepKey, &Step)) {
    for key in view.keys(Kind::Step) {
        if let Key::Step(at) = &key
            && let Some(record) = view.record(&key)
            && let Vertex::Step(step) = &record.vertex
        {
            then(at, step);
        }
    }
}

/// Typed reads over any view.
pub trait ViewExt: View {
    fn cluster(&self) -> Option<Cluster> {
        match &self.record(&Key::Cluster)?.vertex {
            Vertex::Cluster(cluster) => Some(cluster.clone()),
            _ => None,
        }
    }

    /// How people call what there is of a kind: its reference, without the kind.
    fn names(&self, kind: Kind) -> Vec<String> {
        let keys = self.keys(kind).into_iter();
        keys.map(|key| {
            let reference = key.to_string();
            match reference.split_once('/') {
                Some((_, name)) => name.to_owned(),
                None => reference,
            }
        })
        .collect()
    }

    fn node_names(&self) -> Vec<NodeName> {
        let names = self.keys(Kind::Node).into_iter();
        let names = names.filter_map(|key| match key {
            Key::Node(name) => Some(name),
            _ => None,
        });
        names.collect()
    }

    fn station(&self, id: StationId) -> Option<Station> {
        match &self.record(&Key::Station(id))?.vertex {
            Vertex::Station(station) => Some(station.clone()),
            _ => None,
        }
    }

    /// All of them, those that were removed too.
    fn stations(&self) -> Vec<(StationId, Station)> {
        let keys = self.keys(Kind::Station).into_iter();
        let read = |key: Key| match &self.record(&key)?.vertex {
            Vertex::Station(station) => Some((station.id, station.clone())),
            _ => None,
        };
        keys.filter_map(read).collect()
    }

    fn node(&self, name: &NodeName) -> Option<Node> {
        match &self.record(&Key::Node(name.clone()))?.vertex {
            Vertex::Node(node) => Some(node.clone()),
            _ => None,
        }
    }

    /// For rules that are asked about thousands at once: it is looked at where it stands, and not copied.
    fn look_at_node<T>(&self, name: &NodeName, look: impl FnOnce(&Node) -> T) -> Option<T> {
        match &self.record(&Key::Node(name.clone()))?.vertex {
            Vertex::Node(node) => Some(look(node)),
            _ => None,
        }
    }

    /// As `look_at_node`.
    fn look_at_placement<T>(
        &self,
        name: &PlacementName,
        look: impl FnOnce(&Placement) -> T,
    ) -> Option<T> {
        match &self.record(&Key::Placement(name.clone()))?.vertex {
            Vertex::Placement(placement) => Some(look(placement)),
            _ => None,
        }
    }

    /// As `look_at_node`.
    fn look_at_instance<T>(
        &self,
        key: &InstanceKey,
        look: impl FnOnce(&Instance) -> T,
    ) -> Option<T> {
        match &self.record(&Key::Instance(key.clone()))?.vertex {
            Vertex::Instance(instance) => Some(look(instance)),
            _ => None,
        }
    }

    fn supervisor(&self, node: &NodeName) -> Option<Supervisor> {
        match &self.record(&Key::Supervisor(node.clone()))?.vertex {
            Vertex::Supervisor(supervisor) => Some(supervisor.clone()),
            _ => None,
        }
    }

    /// The cordon that keeps an instance from coming to be; what is there already stays.
    fn cordon_against(&self, key: &InstanceKey) -> Option<Cordon> {
        let cordon = self.look_at_node(&key.node, |node| node.care.cordon.clone())??;
        self.instance(key).is_none().then_some(cordon)
    }

    fn service_type(&self, name: &mainstay_protocol::TypeName) -> Option<ServiceType> {
        match &self.record(&Key::Type(name.clone()))?.vertex {
            Vertex::Type(service_type) => Some(service_type.clone()),
            _ => None,
        }
    }

    fn placement(&self, name: &PlacementName) -> Option<Placement> {
        match &self.record(&Key::Placement(name.clone()))?.vertex {
            Vertex::Placement(placement) => Some(placement.clone()),
            _ => None,
        }
    }

    fn instance(&self, key: &InstanceKey) -> Option<Instance> {
        match &self.record(&Key::Instance(key.clone()))?.vertex {
            Vertex::Instance(instance) => Some(instance.clone()),
            _ => None,
        }
    }

    fn command(&self, key: &Key) -> Option<CommandVertex> {
        match &self.record(key)?.vertex {
            Vertex::Command(command) => Some(command.clone()),
            _ => None,
        }
    }

    fn asked(&self, id: AskedId) -> Option<Asked> {
        match &self.record(&Key::Asked(id))?.vertex {
            Vertex::Asked(asked) => Some(asked.clone()),
            _ => None,
        }
    }

    fn procedure(&self, id: &ProcedureId) -> Option<Procedure> {
        match &self.record(&Key::Procedure(id.clone()))?.vertex {
            Vertex::Procedure(procedure) => Some(procedure.clone()),
            _ => None,
        }
    }

    fn collected(&self, id: CollectedId) -> Option<Collected> {
        match &self.record(&Key::Collected(id))?.vertex {
            Vertex::Collected(record) => Some(record.clone()),
            _ => None,
        }
    }

    fn resource(&self, key: &ResourceKey) -> Option<Resource> {
        match &self.record(&Key::Resource(key.clone()))?.vertex {
            Vertex::Resource(resource) => Some(resource.clone()),
            _ => None,
        }
    }

    /// Who uses a resource, in key order.
    fn users(&self, key: &ResourceKey) -> Vec<InstanceKey> {
        let mut users: Vec<InstanceKey> = self
            .edges_to(&Key::Resource(key.clone()), Relation::Uses)
            .into_iter()
            .filter_map(|edge| instance_key(edge.from))
            .collect();
        users.sort_unstable();
        users
    }

    /// What an instance uses, in key order.
    fn uses(&self, key: &InstanceKey) -> Vec<ResourceKey> {
        self.edges_from(&Key::Instance(key.clone()), Relation::Uses)
            .into_iter()
            .filter_map(|edge| match edge.to {
                Key::Resource(key) => Some(key),
                _ => None,
            })
            .collect()
    }

    fn run(&self, id: &RunId) -> Option<Run> {
        match &self.record(&Key::Run(id.clone()))?.vertex {
            Vertex::Run(run) => Some(run.clone()),
            _ => None,
        }
    }

    fn service(&self, id: &ServiceId) -> Option<Service> {
        match &self.record(&Key::Service(id.clone()))?.vertex {
            Vertex::Service(service) => Some(service.clone()),
            _ => None,
        }
    }

    /// One of which all has come.
    fn artifact(&self, id: &ArtifactId) -> Option<Artifact> {
        match &self.record(&Key::Artifact(id.clone()))?.vertex {
            Vertex::Artifact(artifact) if artifact.is_there() => Some(artifact.clone()),
            _ => None,
        }
    }

    /// A piece of an artifact.
    fn chunk(&self, artifact: &ArtifactId, number: u32) -> Option<Blob> {
        let artifact = artifact.clone();
        let key = Key::Chunk(ChunkKey { artifact, number });
        match &self.record(&key)?.vertex {
            Vertex::Chunk(chunk) => Some(chunk.bytes.clone()),
            _ => None,
        }
    }

    fn step(&self, key: &StepKey) -> Option<Step> {
        match &self.record(&Key::Step(key.clone()))?.vertex {
            Vertex::Step(step) => Some(step.clone()),
            _ => None,
        }
    }

    /// Canonical JSON of a configuration.
    fn configuration(&self, key: &Key) -> Option<String> {
        match &self.record(key)?.vertex {
            Vertex::Configuration(configuration) => Some(configuration.json.clone()),
            _ => None,
        }
    }

    /// Who holds a name.
    fn holder(&self, name: &NameKey) -> Option<InstanceKey> {
        self.edges_to(&Key::Name(name.clone()), Relation::Holds)
            .into_iter()
            .find_map(|edge| instance_key(edge.from))
    }

    /// Who waits for a name, oldest first.
    fn waiters(&self, name: &NameKey) -> Vec<InstanceKey> {
        self.edges_to(&Key::Name(name.clone()), Relation::Waits)
            .into_iter()
            .filter_map(|edge| instance_key(edge.from))
            .collect()
    }

    /// The one target of a relation that has at most one.
    fn linked(&self, from: &Key, relation: Relation) -> Option<Key> {
        self.edges_from(from, relation)
            .into_iter()
            .next()
            .map(|edge| edge.to)
    }
}

impl<V: View + ?Sized> ViewExt for V {}

fn instance_key(key: Key) -> Option<InstanceKey> {
    match key {
        Key::Instance(key) => Some(key),
        _ => None,
    }
}

/// A placement that names this node, or leaves it open.
pub(crate) fn aims_at(record: &Record, node: &NodeName) -> bool {
    match &record.vertex {
        Vertex::Placement(placement) => placement.wish.target.may_include(node),
        _ => false,
    }
}
