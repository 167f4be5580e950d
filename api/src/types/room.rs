//! Room as people write it: cores, memory and disk, each with its unit.

use std::fmt;

use mainstay_broker as broker;
use mainstay_protocol::room;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

/// What each instance takes of its node. What is null is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NeedsSpec {
    /// Of its cores.
    #[serde(default)]
    pub cores: Option<Cores>,
    /// Of its memory.
    #[serde(default)]
    pub memory: Option<Bytes>,
    /// Of its disk.
    #[serde(default)]
    pub disk: Option<Bytes>,
    /// Ports that nobody else there has.
    #[serde(default)]
    pub ports: Vec<u16>,
}

/// What a node offers at least, whatever is taken of it. What is null is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConstraintsSpec {
    /// Its cores.
    #[serde(default)]
    pub cores: Option<Cores>,
    /// Its memory.
    #[serde(default)]
    pub memory: Option<Bytes>,
    /// Its disk.
    #[serde(default)]
    pub disk: Option<Bytes>,
}

/// Where the instances of a placement are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BesideSpec {
    /// Its name.
    pub placement: String,
    /// Nodes with one value of this label are one place; each node is one where nothing is said.
    #[serde(default)]
    pub label: Option<String>,
}

/// What a node has in all, and what of it is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeRoom {
    /// What instances may take together.
    pub offers: RoomShape,
    /// What they take.
    pub taken: RoomShape,
}

/// Amounts, in their smallest units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoomShape {
    /// Thousandths of cores.
    pub millicores: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Bytes of disk.
    pub disk_bytes: u64,
}

/// Thousandths of cores as people write them: `2`, `0.5`, `500m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(with = "String")]
pub struct Cores(pub u64);

/// Bytes as people write them: `512MiB`, `4GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(with = "String")]
pub struct Bytes(pub u64);

impl From<room::Room> for RoomShape {
    fn from(room: room::Room) -> Self {
        Self {
            millicores: room.millicores,
            memory_bytes: room.memory_bytes,
            disk_bytes: room.disk_bytes,
        }
    }
}

/// `cores 1500m of 4, memory 2GiB of 8GiB, disk 0B of 100GiB`: what is taken.
impl fmt::Display for NodeRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (taken, of) = (&self.taken, &self.offers);
        let (cores, all) = (Cores(taken.millicores), Cores(of.millicores));
        write!(f, "cores {cores} of {all}")?;
        let rough = |bytes| room::Rough(room::Bytes(bytes));
        let (memory, all) = (rough(taken.memory_bytes), rough(of.memory_bytes));
        write!(f, ", memory {memory} of {all}")?;
        let (disk, all) = (rough(taken.disk_bytes), rough(of.disk_bytes));
        write!(f, ", disk {disk} of {all}")
    }
}

impl ConstraintsSpec {
    pub fn of(room: room::Room) -> Self {
        let some = |amount: u64| (amount > 0).then_some(amount);
        Self {
            cores: some(room.millicores).map(Cores),
            memory: some(room.memory_bytes).map(Bytes),
            disk: some(room.disk_bytes).map(Bytes),
        }
    }

    pub fn room(&self) -> room::Room {
        room::Room {
            millicores: self.cores.map_or(0, |cores| cores.0),
            memory_bytes: self.memory.map_or(0, |memory| memory.0),
            disk_bytes: self.disk.map_or(0, |disk| disk.0),
        }
    }
}

impl NeedsSpec {
    pub fn of(needs: &room::Needs) -> Self {
        let ConstraintsSpec {
            cores,
            memory,
            disk,
        } = ConstraintsSpec::of(needs.room);
        Self {
            cores,
            memory,
            disk,
            ports: needs.ports.iter().copied().collect(),
        }
    }

    pub fn needs(&self) -> room::Needs {
        let amounts = ConstraintsSpec {
            cores: self.cores,
            memory: self.memory,
            disk: self.disk,
        };
        room::Needs {
            room: amounts.room(),
            ports: self.ports.iter().copied().collect(),
        }
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&room::Millicores(self.0).to_string())
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&room::Bytes(self.0).to_string())
    }
}

impl Serialize for Cores {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// A number of cores may stand without quotes: it has no unit.
impl<'de> Deserialize<'de> for Cores {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(from)? {
            Value::String(text) => text,
            other => other.to_string(),
        };
        broker::millicores(&text)
            .map(Self)
            .map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(from)? {
            Value::String(text) => text,
            other => other.to_string(),
        };
        broker::bytes(&text).map(Self).map_err(de::Error::custom)
    }
}
