//! Reading: one trait for the live graph, a transaction over it, and a snapshot of the store.

use std::sync::Arc;

use mainstay_protocol::{InstanceKey, NodeName, PlacementName, ResourceKey, Revision, StationId};

use crate::key::{AskedId, CollectedId, Key, Kind, NameKey, ProcedureId};
use crate::vertex::{
    Asked, Cluster, Collected, CommandVertex, Cordon, Edge, Instance, Node, Procedure, Record,
    Relation, Resource, ServiceType, Station, Vertex,
};
use crate::wish::Placement;

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

    /// The cordon that keeps an instance from coming to be; what is there already stays.
    fn cordon_against(&self, key: &InstanceKey) -> Option<Cordon> {
        let cordon = self.node(&key.node)?.care.cordon?;
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
