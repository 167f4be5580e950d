//! Keys: typed, ordered, readable. A key's text is the reference people type.

use std::fmt;
use std::str::FromStr;

use mainstay_protocol::{
    ArtifactId, Bearer, CommandId, InstanceKey, NodeName, PlacementName, ResourceKey, ResourceKind,
    ResourceName, RunId, SecretName, ServiceId, SlotName, StationId, StepKey, TypeName, WorkName,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::artifact::ChunkKey;

/// A name's slot on one node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NameKey {
    pub node: NodeName,
    pub name: SlotName,
}

impl NameKey {
    pub fn new(node: NodeName, name: SlotName) -> Self {
        Self { node, name }
    }
}

impl fmt::Display for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.node, self.name)
    }
}

/// The hash of a canonical configuration, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConfigHash(pub String);

/// What is parked: a stable hash of the rule and its subject, or of the event, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ParkedId(pub String);

/// What an instance asked: numbered like commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AskedId(pub u64);

/// A procedure under way: a stable hash of its rule and its subject, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcedureId(pub String);

/// A collected record: numbered like commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CollectedId(pub u64);

/// A token's name; no secret. Hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TokenId(pub String);

/// The hash of a text that runs read, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TextHash(pub String);

/// A vertex's key. The order of the variants is the order on disk and in snapshots: append only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Key {
    Cluster,
    Station(StationId),
    Node(NodeName),
    /// How far a node's reports have taken effect; apart from the node, because it changes with every report.
    Outbox(NodeName),
    Type(TypeName),
    Placement(PlacementName),
    Instance(InstanceKey),
    Name(NameKey),
    Configuration(ConfigHash),
    Supervisor(NodeName),
    Command(CommandId),
    Parked(ParkedId),
    Resource(ResourceKey),
    Asked(AskedId),
    Procedure(ProcedureId),
    Collected(CollectedId),
    Token(TokenId),
    Identity(Bearer),
    Secret(SecretName),
    Orchestration(WorkName),
    /// A type of activity.
    Activity(WorkName),
    Text(TextHash),
    Run(RunId),
    Step(StepKey),
    Service(ServiceId),
    Artifact(ArtifactId),
    /// A piece of an artifact.
    Chunk(ChunkKey),
}

/// A vertex's kind. Numbers are stable on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    Cluster = 1,
    Station = 2,
    Node = 3,
    Outbox = 4,
    Type = 5,
    Placement = 6,
    Instance = 7,
    Name = 8,
    Configuration = 9,
    Supervisor = 10,
    Command = 11,
    Parked = 12,
    Resource = 13,
    Asked = 14,
    Procedure = 15,
    Collected = 16,
    Token = 17,
    Identity = 18,
    Secret = 19,
    Orchestration = 20,
    Activity = 21,
    Text = 22,
    Run = 23,
    Step = 24,
    /// One that is registered to be ordered, or hosted.
    Service = 25,
    Artifact = 26,
    Chunk = 27,
}

impl Kind {
    pub const ALL: [Self; 27] = [
        Self::Cluster,
        Self::Station,
        Self::Node,
        Self::Outbox,
        Self::Type,
        Self::Placement,
        Self::Instance,
        Self::Name,
        Self::Configuration,
        Self::Supervisor,
        Self::Command,
        Self::Parked,
        Self::Resource,
        Self::Asked,
        Self::Procedure,
        Self::Collected,
        Self::Token,
        Self::Identity,
        Self::Secret,
        Self::Orchestration,
        Self::Activity,
        Self::Text,
        Self::Run,
        Self::Step,
        Self::Service,
        Self::Artifact,
        Self::Chunk,
    ];

    /// "an instance".
    pub fn with_article(self) -> String {
        let word = self.as_str();
        let article = match word.starts_with(['a', 'e', 'i', 'o', 'u']) {
            true => "an",
            false => "a",
        };
        format!("{article} {word}")
    }

    /// The word before the slash of a reference.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Station => "station",
            Self::Node => "node",
            Self::Outbox => "outbox",
            Self::Type => "type",
            Self::Placement => "placement",
            Self::Instance => "instance",
            Self::Name => "name",
            Self::Configuration => "config",
            Self::Supervisor => "supervisor",
            Self::Command => "command",
            Self::Parked => "parked",
            Self::Resource => "resource",
            Self::Asked => "asked",
            Self::Procedure => "procedure",
            Self::Collected => "collected",
            Self::Token => "token",
            Self::Identity => "identity",
            Self::Secret => "secret",
            Self::Orchestration => "orchestration",
            Self::Activity => "activity",
            Self::Text => "text",
            Self::Run => "run",
            Self::Step => "step",
            Self::Service => "service",
            Self::Artifact => "artifact",
            Self::Chunk => "chunk",
        }
    }

    /// Its number on disk.
    pub const fn number(self) -> u16 {
        self as u16
    }

    pub fn of_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// Singular or plural, as people write it; also `configuration(s)`.
    pub fn parse(text: &str) -> Option<Self> {
        if matches!(text, "configuration" | "configurations") {
            return Some(Self::Configuration);
        }
        if text == "activities" {
            return Some(Self::Activity);
        }
        Self::ALL
            .into_iter()
            .find(|kind| text == kind.as_str() || text.strip_suffix('s') == Some(kind.as_str()))
    }
}

impl Key {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Cluster => Kind::Cluster,
            Self::Station(_) => Kind::Station,
            Self::Node(_) => Kind::Node,
            Self::Outbox(_) => Kind::Outbox,
            Self::Type(_) => Kind::Type,
            Self::Placement(_) => Kind::Placement,
            Self::Instance(_) => Kind::Instance,
            Self::Name(_) => Kind::Name,
            Self::Configuration(_) => Kind::Configuration,
            Self::Supervisor(_) => Kind::Supervisor,
            Self::Command(_) => Kind::Command,
            Self::Parked(_) => Kind::Parked,
            Self::Resource(_) => Kind::Resource,
            Self::Asked(_) => Kind::Asked,
            Self::Procedure(_) => Kind::Procedure,
            Self::Collected(_) => Kind::Collected,
            Self::Token(_) => Kind::Token,
            Self::Identity(_) => Kind::Identity,
            Self::Secret(_) => Kind::Secret,
            Self::Orchestration(_) => Kind::Orchestration,
            Self::Activity(_) => Kind::Activity,
            Self::Text(_) => Kind::Text,
            Self::Run(_) => Kind::Run,
            Self::Step(_) => Kind::Step,
            Self::Service(_) => Kind::Service,
            Self::Artifact(_) => Kind::Artifact,
            Self::Chunk(_) => Kind::Chunk,
        }
    }
}

/// The reference: an instance is `web@n1`, a placement `web`, everything else `kind/name`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind().as_str();
        match self {
            Self::Cluster => f.write_str(kind),
            Self::Station(id) => write!(f, "{kind}/{id}"),
            Self::Node(name) | Self::Outbox(name) | Self::Supervisor(name) => {
                write!(f, "{kind}/{name}")
            }
            Self::Type(name) => write!(f, "{kind}/{name}"),
            Self::Placement(name) => write!(f, "{name}"),
            Self::Instance(key) => write!(f, "{key}"),
            Self::Name(key) => write!(f, "{kind}/{key}"),
            Self::Configuration(ConfigHash(hash)) => write!(f, "{kind}/{hash}"),
            Self::Command(id) => write!(f, "{kind}/{id}"),
            Self::Parked(ParkedId(id))
            | Self::Procedure(ProcedureId(id))
            | Self::Token(TokenId(id)) => write!(f, "{kind}/{id}"),
            Self::Identity(bearer) => write!(f, "{kind}/{bearer}"),
            Self::Secret(name) => write!(f, "{kind}/{name}"),
            Self::Orchestration(name) | Self::Activity(name) => write!(f, "{kind}/{name}"),
            Self::Text(TextHash(hash)) => write!(f, "{kind}/{hash}"),
            Self::Run(run) => write!(f, "{kind}/{run}"),
            Self::Step(step) => write!(f, "{kind}/{step}"),
            Self::Service(id) => write!(f, "{kind}/{id}"),
            Self::Artifact(id) => write!(f, "{kind}/{id}"),
            Self::Chunk(chunk) => write!(f, "{kind}/{chunk}"),
            Self::Resource(key) => write!(f, "{kind}/{key}"),
            Self::Asked(AskedId(id)) | Self::Collected(CollectedId(id)) => write!(f, "{kind}/{id}"),
        }
    }
}

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadReference {
    #[error("there is no kind \"{kind}\"")]
    UnknownKind { kind: String },
    #[error("{0}")]
    Name(#[from] mainstay_protocol::BadName),
    #[error("{0}")]
    Work(#[from] mainstay_protocol::work::BadWorkName),
    #[error(transparent)]
    Service(#[from] mainstay_protocol::work::BadServiceId),
    #[error(transparent)]
    Artifact(#[from] mainstay_protocol::artifact::BadArtifactId),
    #[error("\"{text}\" is not a {kind}: {wanted}")]
    Shape {
        text: String,
        kind: &'static str,
        wanted: &'static str,
    },
}

/// `placement@node`, `placement`, or `kind/name` with the kind in singular or plural.
impl FromStr for Key {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        if text == "cluster" {
            return Ok(Self::Cluster);
        }
        let Some((kind_text, name)) = text.split_once('/') else {
            return match text.split_once('@') {
                Some(_) => instance(text),
                None => Ok(Self::Placement(PlacementName::new(text)?)),
            };
        };
        let kind = Kind::parse(kind_text).ok_or_else(|| BadReference::UnknownKind {
            kind: kind_text.to_owned(),
        })?;
        of_kind(kind, name)
    }
}

fn of_kind(kind: Kind, name: &str) -> Result<Key, BadReference> {
    let shape = |wanted| BadReference::Shape {
        text: name.to_owned(),
        kind: kind.as_str(),
        wanted,
    };
    let hash = || hexadecimal(name).ok_or_else(|| shape("a hash of hexadecimal digits is wanted"));
    let number = || name.parse().map_err(|_| shape("a number is wanted"));
    let pair = |wanted| name.split_once('/').ok_or_else(|| shape(wanted));
    Ok(match kind {
        Kind::Cluster => Key::Cluster,
        Kind::Station => Key::Station(name.parse().map_err(|_| shape("write station/s1"))?),
        Kind::Node => Key::Node(NodeName::new(name)?),
        Kind::Outbox => Key::Outbox(NodeName::new(name)?),
        Kind::Type => Key::Type(TypeName::new(name)?),
        Kind::Placement => Key::Placement(PlacementName::new(name)?),
        Kind::Instance => return instance(name),
        Kind::Name => {
            let (node, slot) = pair("write name/NODE/NAME")?;
            Key::Name(NameKey::new(NodeName::new(node)?, SlotName::new(slot)?))
        }
        Kind::Configuration => Key::Configuration(ConfigHash(hash()?)),
        Kind::Supervisor => Key::Supervisor(NodeName::new(name)?),
        Kind::Command => Key::Command(CommandId(number()?)),
        Kind::Parked => Key::Parked(ParkedId(hash()?)),
        Kind::Resource => {
            let (kind, name) = pair("write resource/KIND/NAME")?;
            Key::Resource(ResourceKey::new(
                ResourceKind::new(kind)?,
                ResourceName::new(name)?,
            ))
        }
        Kind::Asked => Key::Asked(AskedId(number()?)),
        Kind::Procedure => Key::Procedure(ProcedureId(hash()?)),
        Kind::Collected => Key::Collected(CollectedId(number()?)),
        Kind::Token => Key::Token(TokenId(
            hexadecimal(name).ok_or_else(|| shape("hexadecimal digits are wanted"))?,
        )),
        Kind::Identity => Key::Identity(name.parse().map_err(|_| {
            shape("write identity/agent/NODE, identity/station/s1 or identity/person/NAME/ROLE")
        })?),
        Kind::Secret => Key::Secret(SecretName::new(name)?),
        Kind::Orchestration => Key::Orchestration(WorkName::new(name)?),
        Kind::Activity => Key::Activity(WorkName::new(name)?),
        Kind::Text => Key::Text(TextHash(hash()?)),
        Kind::Run => Key::Run(RunId::new(name)?),
        Kind::Step => {
            let (run, activity) = pair("write step/RUN/ACTIVITY")?;
            Key::Step(StepKey::new(RunId::new(run)?, WorkName::new(activity)?))
        }
        Kind::Service => Key::Service(ServiceId::new(name)?),
        Kind::Artifact => Key::Artifact(ArtifactId::new(name)?),
        Kind::Chunk => {
            let (artifact, number) = pair("write chunk/ARTIFACT/NUMBER")?;
            Key::Chunk(ChunkKey {
                artifact: ArtifactId::new(artifact)?,
                number: number.parse().map_err(|_| shape("a number is wanted"))?,
            })
        }
    })
}

fn hexadecimal(text: &str) -> Option<String> {
    let fits = !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    fits.then(|| text.to_ascii_lowercase())
}

/// `web@n1`, or `n1/web` behind `instance/`.
fn instance(text: &str) -> Result<Key, BadReference> {
    let (placement, node) = match (text.split_once('@'), text.split_once('/')) {
        (Some((placement, node)), _) => (placement, node),
        (None, Some((node, placement))) => (placement, node),
        (None, None) => {
            return Err(BadReference::Shape {
                text: text.to_owned(),
                kind: "instance",
                wanted: "write PLACEMENT@NODE",
            });
        }
    };
    Ok(Key::Instance(InstanceKey::new(
        NodeName::new(node)?,
        PlacementName::new(placement)?,
    )))
}
