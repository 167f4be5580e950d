//! Vertices and edges as they are stored: each under its own family and version, so that one kind can change
//! without the others. A vertex's family is its kind's number.

use std::borrow::Cow;

use mainstay_protocol::record::{self, RecordError};
use mainstay_protocol::versioned::Evolving;
use mainstay_protocol::{Revision, Timestamp, limits};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::key::{Key, Kind};
use crate::vertex::{
    Activity, Artifact, Asked, Cause, Chunk, Cluster, Collected, CommandVertex, Configuration,
    Edge, Identity, Instance, Name, Node, Orchestration, Outbox, Parked, Procedure, Record,
    Resource, Run, Secret, Service, ServiceType, Station, Step, Supervisor, Text, Token, Vertex,
};
use crate::wish::Placement;

/// Kinds end long before it.
pub const EDGE_FAMILY: u16 = 0x0100;

/// Why stored bytes are no vertex or edge.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoredError {
    #[error("family {family} is no kind of vertex this build knows")]
    UnknownFamily { family: u16 },
    #[error("a record of family {} is kept under {key}", kind.as_str())]
    WrongKey { kind: Kind, key: Key },
    #[error(transparent)]
    Record(#[from] RecordError),
}

pub fn encode(record: &Record) -> Vec<u8> {
    match &record.vertex {
        Vertex::Cluster(vertex) => encode_as(record, vertex),
        Vertex::Station(vertex) => encode_as(record, vertex),
        Vertex::Node(vertex) => encode_as(record, vertex),
        Vertex::Outbox(vertex) => encode_as(record, vertex),
        Vertex::Type(vertex) => encode_as(record, vertex),
        Vertex::Placement(vertex) => encode_as(record, vertex),
        Vertex::Instance(vertex) => encode_as(record, vertex),
        Vertex::Name(vertex) => encode_as(record, vertex),
        Vertex::Configuration(vertex) => encode_as(record, vertex),
        Vertex::Supervisor(vertex) => encode_as(record, vertex),
        Vertex::Command(vertex) => encode_as(record, vertex),
        Vertex::Parked(vertex) => encode_as(record, vertex),
        Vertex::Resource(vertex) => encode_as(record, vertex),
        Vertex::Asked(vertex) => encode_as(record, vertex),
        Vertex::Procedure(vertex) => encode_as(record, vertex),
        Vertex::Collected(vertex) => encode_as(record, vertex),
        Vertex::Token(vertex) => encode_as(record, vertex),
        Vertex::Identity(vertex) => encode_as(record, vertex),
        Vertex::Secret(vertex) => encode_as(record, vertex),
        Vertex::Orchestration(vertex) => encode_as(record, vertex),
        Vertex::Activity(vertex) => encode_as(record, vertex),
        Vertex::Service(vertex) => encode_as(record, vertex),
        Vertex::Artifact(vertex) => encode_as(record, vertex),
        Vertex::Chunk(vertex) => encode_as(record, vertex),
        Vertex::Text(vertex) => encode_as(record, vertex),
        Vertex::Run(vertex) => encode_as(record, vertex),
        Vertex::Step(vertex) => encode_as(record, vertex),
    }
}

pub fn decode(bytes: &[u8]) -> Result<Record, StoredError> {
    let (header, _) = record::header(bytes)?;
    let family = header.family;
    let kind = Kind::of_number(family).ok_or(StoredError::UnknownFamily { family })?;
    let record = match kind {
        Kind::Cluster => decode_as(bytes, Vertex::Cluster),
        Kind::Station => decode_as(bytes, Vertex::Station),
        Kind::Node => decode_as(bytes, Vertex::Node),
        Kind::Outbox => decode_as(bytes, Vertex::Outbox),
        Kind::Type => decode_as(bytes, Vertex::Type),
        Kind::Placement => decode_as(bytes, Vertex::Placement),
        Kind::Instance => decode_as(bytes, Vertex::Instance),
        Kind::Name => decode_as(bytes, Vertex::Name),
        Kind::Configuration => decode_as(bytes, Vertex::Configuration),
        Kind::Supervisor => decode_as(bytes, Vertex::Supervisor),
        Kind::Command => decode_as(bytes, Vertex::Command),
        Kind::Parked => decode_as(bytes, Vertex::Parked),
        Kind::Resource => decode_as(bytes, Vertex::Resource),
        Kind::Asked => decode_as(bytes, Vertex::Asked),
        Kind::Procedure => decode_as(bytes, Vertex::Procedure),
        Kind::Collected => decode_as(bytes, Vertex::Collected),
        Kind::Token => decode_as(bytes, Vertex::Token),
        Kind::Identity => decode_as(bytes, Vertex::Identity),
        Kind::Secret => decode_as(bytes, Vertex::Secret),
        Kind::Orchestration => decode_as(bytes, Vertex::Orchestration),
        Kind::Activity => decode_as(bytes, Vertex::Activity),
        Kind::Service => decode_as(bytes, Vertex::Service),
        Kind::Artifact => decode_as(bytes, Vertex::Artifact),
        Kind::Chunk => decode_as(bytes, Vertex::Chunk),
        Kind::Text => decode_as(bytes, Vertex::Text),
        Kind::Run => decode_as(bytes, Vertex::Run),
        Kind::Step => decode_as(bytes, Vertex::Step),
    }?;
    if record.key.kind() == kind {
        Ok(record)
    } else {
        Err(StoredError::WrongKey {
            kind,
            key: record.key,
        })
    }
}

pub fn encode_edge(edge: &Edge) -> Vec<u8> {
    record::encode(edge)
}

pub fn decode_edge(bytes: &[u8]) -> Result<Edge, StoredError> {
    Ok(record::decode(bytes, limits::DECODE_BYTES_MAX)?)
}

/// The payload comes last, so that a field appended to it is a tail an older reader can skip.
#[derive(Serialize, Deserialize)]
#[serde(bound(serialize = "T: Payload", deserialize = "T: Payload"))]
struct Stored<'a, T: Payload> {
    key: Cow<'a, Key>,
    since: Timestamp,
    rev: Revision,
    cause: Cow<'a, Cause>,
    vertex: Cow<'a, T>,
}

/// What a kind holds, with the versions of its layout.
trait Payload: Clone + Serialize + DeserializeOwned + 'static {
    const KIND: Kind;
    const VERSION: u16;
    const COMPAT: u16;
}

macro_rules! payloads {
    ($($payload:ty: $kind:ident, $version:literal, $compat:literal;)*) => {$(
        impl Payload for $payload {
            const KIND: Kind = Kind::$kind;
            const VERSION: u16 = $version;
            const COMPAT: u16 = $compat;
        }
    )*};
}

payloads! {
    Cluster: Cluster, 1, 1;
    Station: Station, 1, 1;
    Node: Node, 1, 1;
    Outbox: Outbox, 1, 1;
    ServiceType: Type, 1, 1;
    Placement: Placement, 1, 1;
    Instance: Instance, 1, 1;
    Name: Name, 1, 1;
    Configuration: Configuration, 1, 1;
    Supervisor: Supervisor, 1, 1;
    CommandVertex: Command, 1, 1;
    Parked: Parked, 1, 1;
    Resource: Resource, 1, 1;
    Asked: Asked, 1, 1;
    Procedure: Procedure, 1, 1;
    Collected: Collected, 1, 1;
    Token: Token, 1, 1;
    Identity: Identity, 1, 1;
    Secret: Secret, 1, 1;
    Orchestration: Orchestration, 1, 1;
    Activity: Activity, 1, 1;
    Text: Text, 1, 1;
    Run: Run, 1, 1;
    Step: Step, 1, 1;
    Service: Service, 1, 1;
    Artifact: Artifact, 1, 1;
    Chunk: Chunk, 1, 1;
}

impl<T: Payload> Evolving for Stored<'_, T> {
    const NAME: &'static str = T::KIND.as_str();
    const VERSION: u16 = T::VERSION;
    const COMPAT: u16 = T::COMPAT;
}

impl<T: Payload> record::Record for Stored<'_, T> {
    const FAMILY: u16 = T::KIND.number();
}

impl Evolving for Edge {
    const NAME: &'static str = "edge";
    const VERSION: u16 = 1;
    const COMPAT: u16 = 1;
}

impl record::Record for Edge {
    const FAMILY: u16 = EDGE_FAMILY;
}

fn encode_as<T: Payload>(record: &Record, vertex: &T) -> Vec<u8> {
    record::encode(&Stored {
        key: Cow::Borrowed(&record.key),
        since: record.since,
        rev: record.rev,
        cause: Cow::Borrowed(&record.cause),
        vertex: Cow::Borrowed(vertex),
    })
}

fn decode_as<T: Payload>(bytes: &[u8], into: fn(T) -> Vertex) -> Result<Record, RecordError> {
    let stored: Stored<'static, T> = record::decode(bytes, limits::DECODE_BYTES_MAX)?;
    Ok(Record {
        key: stored.key.into_owned(),
        vertex: into(stored.vertex.into_owned()),
        since: stored.since,
        rev: stored.rev,
        cause: stored.cause.into_owned(),
    })
}
