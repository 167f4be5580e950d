//! One sample of everything that travels. Values are all different, so that two fields that trade places show.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod artifacts;
mod enums;
mod lookups;
pub mod messages;
mod orders;
mod secrets;
mod sights;
mod words;

use mainstay_protocol::handshake::{Channel, Handshake, Interface, Role};
use mainstay_protocol::versioned::Evolving;
use mainstay_protocol::{
    BootId, ClusterId, Epoch, InstanceKey, NodeId, NodeName, PlacementName, StationId, StationRunId,
};
use uuid::Uuid;

/// Named bytes, and how they are read and written again.
pub struct Sample {
    pub name: String,
    pub bytes: Vec<u8>,
    pub again: Again,
}

/// Decodes, compares with the value, and encodes again.
pub type Again = Box<dyn Fn(&[u8]) -> Vec<u8>>;

pub fn all() -> Vec<Sample> {
    let mut samples = messages::samples();
    samples.extend(enums::samples());
    samples.push(sights::instance_sights());
    samples.extend(handshakes());
    samples.push(record());
    samples
}

fn room() -> mainstay_protocol::room::Room {
    mainstay_protocol::room::Room {
        millicores: 1_500,
        memory_bytes: 1 << 32,
        disk_bytes: 1 << 36,
    }
}

pub fn instance(number: u32) -> InstanceKey {
    InstanceKey::new(
        NodeName::new(format!("n{number}")).unwrap(),
        PlacementName::new(format!("web-{number}")).unwrap(),
    )
}

/// Everything a handshake can say, and the least it must.
pub fn handshakes() -> Vec<Sample> {
    [
        ("handshake-full", full_handshake()),
        ("handshake-least", least_handshake()),
    ]
    .map(|(name, handshake)| Sample {
        name: name.to_owned(),
        bytes: handshake.encode().unwrap(),
        again: Box::new(move |bytes| {
            let decoded = Handshake::decode(bytes).unwrap();
            assert_eq!(decoded, handshake);
            decoded.encode().unwrap()
        }),
    })
    .into()
}

pub fn full_handshake() -> Handshake {
    Handshake {
        cluster: Some(ClusterId(Uuid::from_u128(0x11))),
        epoch: Epoch(2),
        node: Some(NodeName::new("n1").unwrap()),
        node_id: Some(NodeId(Uuid::from_u128(0x44))),
        boot_id: Some(BootId("boot-5".to_owned())),
        build: "0.1.0".to_owned(),
        interfaces: vec![
            Interface {
                id: "control".to_owned(),
                digest: vec![7, 8],
                speaks_min: 1,
                speaks_max: 3,
            },
            Interface {
                id: "queue".to_owned(),
                digest: vec![],
                speaks_min: 2,
                speaks_max: 2,
            },
        ],
        features: ["alpha".to_owned(), "beta".to_owned()].into(),
        channel: Channel::Control,
        role: Role::Agent,
        station: Some(StationId(3)),
        run: Some(StationRunId(Uuid::from_u128(0x66))),
    }
}

fn least_handshake() -> Handshake {
    Handshake {
        interfaces: vec![],
        ..Handshake::new(Role::Cli, Channel::Bulk, "dev")
    }
}

/// A record, for its header.
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Note {
    pub number: u64,
    pub text: String,
}

impl Evolving for Note {
    const NAME: &'static str = "note";
    const VERSION: u16 = 2;
    const COMPAT: u16 = 1;
}

impl mainstay_protocol::record::Record for Note {
    const FAMILY: u16 = 0xfff0;
}

fn record() -> Sample {
    use mainstay_protocol::record;
    let note = Note {
        number: 300,
        text: "kept".to_owned(),
    };
    Sample {
        name: "record".to_owned(),
        bytes: record::encode(&note),
        again: Box::new(move |bytes| {
            let decoded: Note = record::decode(bytes, 1024).unwrap();
            assert_eq!(decoded, note);
            record::encode(&decoded)
        }),
    }
}
