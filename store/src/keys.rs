//! Keys on disk: bytes whose order is the order of [`Key`], and which no other key's bytes begin with.
//!
//! Names hold no zero byte, so each text ends with one; numbers are big-endian.

use mainstay_protocol::{
    ArtifactId, CommandId, InstanceKey, NodeName, PlacementName, ResourceKey, ResourceKind,
    ResourceName, Revision, RunId, SecretName, ServiceId, SlotName, StationId, StepKey, TypeName,
    WorkName,
};
use mainstay_resource_graph::{
    AskedId, ChunkKey, CollectedId, ConfigHash, Key, Kind, NameKey, ParkedId, ProcedureId,
    Relation, TextHash, TokenId,
};

const END: u8 = 0;

/// Which life of the state a key belongs to: an installed snapshot begins a new one beside the old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(pub u32);

/// What stands behind the generation in the family `edges`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Direction {
    Out = 0,
    In = 1,
    /// Placement -> instances: derived from instance keys.
    Placed = 2,
    /// Node -> commands: derived from command vertices.
    Commanded = 3,
}

pub(crate) fn generation(generation: Generation) -> Vec<u8> {
    generation.0.to_be_bytes().to_vec()
}

pub(crate) fn vertex(of: Generation, key: &Key) -> Vec<u8> {
    let mut bytes = generation(of);
    push_key(&mut bytes, key);
    bytes
}

pub(crate) fn instances_on(of: Generation, node: &NodeName) -> Vec<u8> {
    let mut bytes = generation(of);
    bytes.push(Kind::Instance as u8);
    push_text(&mut bytes, node.as_str());
    bytes
}

pub(crate) fn direction(of: Generation, direction: Direction) -> Vec<u8> {
    let mut bytes = generation(of);
    bytes.push(direction as u8);
    bytes
}

/// Every edge of a vertex in one direction and relation begins so.
pub(crate) fn edges(of: Generation, way: Direction, end: &Key, relation: Relation) -> Vec<u8> {
    let mut bytes = direction(of, way);
    push_key(&mut bytes, end);
    bytes.push(relation as u8);
    bytes
}

pub(crate) fn edge(
    of: Generation,
    way: Direction,
    from: &Key,
    relation: Relation,
    to: &Key,
) -> Vec<u8> {
    let (first, second) = match way {
        Direction::In => (to, from),
        Direction::Out | Direction::Placed | Direction::Commanded => (from, to),
    };
    let mut bytes = edges(of, way, first, relation);
    push_key(&mut bytes, second);
    bytes
}

pub(crate) fn placed(of: Generation, placement: &PlacementName) -> Vec<u8> {
    let mut bytes = direction(of, Direction::Placed);
    push_text(&mut bytes, placement.as_str());
    bytes
}

pub(crate) fn placed_instance(of: Generation, key: &InstanceKey) -> Vec<u8> {
    let mut bytes = placed(of, &key.placement);
    push_text(&mut bytes, key.node.as_str());
    bytes
}

pub(crate) fn commanded(of: Generation, node: &NodeName) -> Vec<u8> {
    let mut bytes = direction(of, Direction::Commanded);
    push_text(&mut bytes, node.as_str());
    bytes
}

pub(crate) fn commanded_node(of: Generation, node: &NodeName, id: CommandId) -> Vec<u8> {
    let mut bytes = commanded(of, node);
    bytes.extend(id.0.to_be_bytes());
    bytes
}

/// (revision, number): of decisions and events.
pub(crate) fn numbered(revision: Revision, number: u32) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&revision.0.to_be_bytes());
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    bytes
}

pub(crate) fn read_numbered(bytes: &[u8]) -> Option<(Revision, u32)> {
    let (revision, number) = bytes.split_first_chunk::<8>()?;
    let number = number.first_chunk::<4>()?;
    Some((
        Revision(u64::from_be_bytes(*revision)),
        u32::from_be_bytes(*number),
    ))
}

pub(crate) fn read_u64(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(text.as_bytes());
    bytes.push(END);
}

fn push_key(bytes: &mut Vec<u8>, key: &Key) {
    bytes.push(key.kind() as u8);
    match key {
        Key::Cluster => {}
        Key::Station(StationId(id))
        | Key::Command(CommandId(id))
        | Key::Asked(AskedId(id))
        | Key::Collected(CollectedId(id)) => bytes.extend(id.to_be_bytes()),
        Key::Node(name) | Key::Outbox(name) | Key::Supervisor(name) => {
            push_text(bytes, name.as_str())
        }
        Key::Type(name) => push_text(bytes, name.as_str()),
        Key::Placement(name) => push_text(bytes, name.as_str()),
        Key::Instance(key) => {
            push_text(bytes, key.node.as_str());
            push_text(bytes, key.placement.as_str());
        }
        Key::Name(key) => {
            push_text(bytes, key.node.as_str());
            push_text(bytes, key.name.as_str());
        }
        Key::Configuration(ConfigHash(hash)) => push_text(bytes, hash),
        Key::Parked(ParkedId(id)) | Key::Procedure(ProcedureId(id)) | Key::Token(TokenId(id)) => {
            push_text(bytes, id)
        }
        Key::Identity(bearer) => push_text(bytes, &bearer.to_string()),
        Key::Secret(name) => push_text(bytes, name.as_str()),
        Key::Orchestration(name) | Key::Activity(name) => push_text(bytes, name.as_str()),
        Key::Text(TextHash(hash)) => push_text(bytes, hash),
        Key::Run(run) => push_text(bytes, run.as_str()),
        Key::Service(id) => push_text(bytes, id.as_str()),
        Key::Artifact(id) => push_text(bytes, id.as_str()),
        Key::Chunk(chunk) => {
            push_text(bytes, chunk.artifact.as_str());
            bytes.extend(chunk.number.to_be_bytes());
        }
        Key::Step(step) => {
            push_text(bytes, step.run.as_str());
            push_text(bytes, step.activity.as_str());
        }
        Key::Resource(key) => {
            push_text(bytes, key.kind.as_str());
            push_text(bytes, key.name.as_str());
        }
    }
}

/// The key behind the generation; nothing if the bytes are no key of ours.
pub(crate) fn read_vertex(bytes: &[u8]) -> Option<Key> {
    let (_generation, rest) = bytes.split_first_chunk::<4>()?;
    let (kind, mut rest) = rest.split_first()?;
    let kind = Kind::ALL.into_iter().find(|known| *known as u8 == *kind)?;
    let rest = &mut rest;
    Some(match kind {
        Kind::Cluster => Key::Cluster,
        Kind::Station => Key::Station(StationId(read_u64(rest)?)),
        Kind::Command => Key::Command(CommandId(read_u64(rest)?)),
        Kind::Node => Key::Node(NodeName::new(text(rest)?).ok()?),
        Kind::Outbox => Key::Outbox(NodeName::new(text(rest)?).ok()?),
        Kind::Supervisor => Key::Supervisor(NodeName::new(text(rest)?).ok()?),
        Kind::Type => Key::Type(TypeName::new(text(rest)?).ok()?),
        Kind::Placement => Key::Placement(PlacementName::new(text(rest)?).ok()?),
        Kind::Instance => {
            let node = NodeName::new(text(rest)?).ok()?;
            Key::Instance(InstanceKey::new(
                node,
                PlacementName::new(text(rest)?).ok()?,
            ))
        }
        Kind::Name => {
            let node = NodeName::new(text(rest)?).ok()?;
            Key::Name(NameKey::new(node, SlotName::new(text(rest)?).ok()?))
        }
        Kind::Configuration => Key::Configuration(ConfigHash(text(rest)?)),
        Kind::Parked => Key::Parked(ParkedId(text(rest)?)),
        Kind::Procedure => Key::Procedure(ProcedureId(text(rest)?)),
        Kind::Asked => Key::Asked(AskedId(read_u64(rest)?)),
        Kind::Collected => Key::Collected(CollectedId(read_u64(rest)?)),
        Kind::Token => Key::Token(TokenId(text(rest)?)),
        Kind::Identity => Key::Identity(text(rest)?.parse().ok()?),
        Kind::Secret => Key::Secret(SecretName::new(text(rest)?).ok()?),
        Kind::Orchestration => Key::Orchestration(WorkName::new(&text(rest)?).ok()?),
        Kind::Activity => Key::Activity(WorkName::new(&text(rest)?).ok()?),
        Kind::Text => Key::Text(TextHash(text(rest)?)),
        Kind::Run => Key::Run(RunId::new(&text(rest)?).ok()?),
        Kind::Service => Key::Service(ServiceId::new(&text(rest)?).ok()?),
        Kind::Artifact => Key::Artifact(ArtifactId::new(&text(rest)?).ok()?),
        Kind::Chunk => Key::Chunk(ChunkKey {
            artifact: ArtifactId::new(&text(rest)?).ok()?,
            number: u32::from_be_bytes((*rest).try_into().ok()?),
        }),
        Kind::Step => {
            let run = RunId::new(&text(rest)?).ok()?;
            Key::Step(StepKey::new(run, WorkName::new(&text(rest)?).ok()?))
        }
        Kind::Resource => {
            let kind = ResourceKind::new(text(rest)?).ok()?;
            Key::Resource(ResourceKey::new(kind, ResourceName::new(text(rest)?).ok()?))
        }
    })
}

/// The instance a key of `Direction::Placed` stands for.
pub(crate) fn read_placed(bytes: &[u8]) -> Option<InstanceKey> {
    let mut rest = bytes.get(5..)?;
    let placement = PlacementName::new(text(&mut rest)?).ok()?;
    Some(InstanceKey::new(
        NodeName::new(text(&mut rest)?).ok()?,
        placement,
    ))
}

/// The command a key of `Direction::Commanded` stands for.
pub(crate) fn read_commanded(bytes: &[u8]) -> Option<CommandId> {
    let mut rest = bytes.get(5..)?;
    text(&mut rest)?;
    read_u64(rest).map(CommandId)
}

fn text(rest: &mut &[u8]) -> Option<String> {
    let end = rest.iter().position(|byte| *byte == END)?;
    let text = std::str::from_utf8(&rest[..end]).ok()?.to_owned();
    *rest = &rest[end + 1..];
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<Key> {
        let texts = [
            "cluster",
            "station/s1",
            "station/s300",
            "node/a",
            "node/a.b",
            "node/ab",
            "outbox/a",
            "type/t",
            "web",
            "web-2",
            "web@a",
            "a@a-1",
            "name/a/x",
            "name/a-1/x",
            "config/00ff",
            "supervisor/a",
            "command/1",
            "command/256",
            "parked/ab",
            "orchestration/a.b",
            "activity/A_b",
            "text/00ff",
            "run/r1",
            "run/r1~dispose",
            "step/r1/a",
            "step/r1/b",
            "step/r1~dispose/a",
            "service/urn:s:1",
            "artifact/urn:ivcap:artifact:00000000-0000-0000-0000-000000000004",
            "chunk/urn:ivcap:artifact:00000000-0000-0000-0000-000000000004/1",
            "chunk/urn:ivcap:artifact:00000000-0000-0000-0000-000000000004/256",
            "chunk/urn:ivcap:artifact:00000000-0000-0000-0000-000000000005/0",
        ];
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn keys_are_read_back() {
        for key in sample() {
            assert_eq!(read_vertex(&vertex(Generation(7), &key)), Some(key));
        }
    }

    #[test]
    fn the_order_of_bytes_is_the_order_of_keys() {
        for a in sample() {
            for b in sample() {
                let bytes = vertex(Generation(1), &a).cmp(&vertex(Generation(1), &b));
                assert_eq!(bytes, a.cmp(&b), "{a} and {b}");
            }
        }
    }
}
