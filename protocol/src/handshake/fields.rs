//! The handshake's fields, byte by byte. Numbers and layouts are frozen.

use super::{Channel, Handshake, HandshakeError, Interface, Role, uuid};
use crate::ids::{BootId, ClusterId, NodeId, NodeName, StationId, StationRunId};
use crate::limits;
use crate::numbers::Epoch;

const CLUSTER: u16 = 1;
const EPOCH: u16 = 2;
const NODE: u16 = 3;
const NODE_ID: u16 = 4;
const BOOT_ID: u16 = 5;
const BUILD: u16 = 6;
/// Repeated. `id length u8, id, digest length u8, digest, min u32, max u32`; what follows is skipped.
const INTERFACE: u16 = 7;
/// Repeated.
const FEATURE: u16 = 8;
const CHANNEL: u16 = 9;
const ROLE: u16 = 10;
const STATION: u16 = 11;
const RUN: u16 = 12;

pub fn write(handshake: &Handshake) -> Result<Vec<u8>, HandshakeError> {
    let mut out = Writer::default();
    if let Some(ClusterId(id)) = handshake.cluster {
        out.field(CLUSTER, id.as_bytes())?;
    }
    out.field(EPOCH, &handshake.epoch.0.to_be_bytes())?;
    if let Some(node) = &handshake.node {
        out.field(NODE, node.as_str().as_bytes())?;
    }
    if let Some(NodeId(id)) = handshake.node_id {
        out.field(NODE_ID, id.as_bytes())?;
    }
    if let Some(BootId(text)) = &handshake.boot_id {
        out.text(BOOT_ID, text)?;
    }
    out.text(BUILD, &handshake.build)?;
    for interface in &handshake.interfaces {
        out.field(INTERFACE, &interface_value(interface)?)?;
    }
    for feature in &handshake.features {
        out.text(FEATURE, feature)?;
    }
    out.field(CHANNEL, &[handshake.channel as u8])?;
    out.field(ROLE, &[handshake.role as u8])?;
    if let Some(StationId(number)) = handshake.station {
        out.field(STATION, &number.to_be_bytes())?;
    }
    if let Some(StationRunId(id)) = handshake.run {
        out.field(RUN, id.as_bytes())?;
    }
    Ok(out.bytes)
}

pub fn read(mut bytes: &[u8]) -> Result<Handshake, HandshakeError> {
    let mut seen = Seen::default();
    let mut count = 0;
    while !bytes.is_empty() {
        count += 1;
        if count > limits::HANDSHAKE_FIELDS_MAX {
            return Err(HandshakeError::TooManyFields);
        }
        let (field, value, rest) = split(bytes).ok_or(HandshakeError::Truncated)?;
        seen.take(field, value)?;
        bytes = rest;
    }
    seen.finish()
}

fn split(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let ([t0, t1, l0, l1], rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::from(u16::from_be_bytes([*l0, *l1]));
    let (value, rest) = rest.split_at_checked(length)?;
    Some((u16::from_be_bytes([*t0, *t1]), value, rest))
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    count: usize,
}

impl Writer {
    fn field(&mut self, field: u16, value: &[u8]) -> Result<(), HandshakeError> {
        self.count += 1;
        if self.count > limits::HANDSHAKE_FIELDS_MAX {
            return Err(HandshakeError::TooManyFields);
        }
        let too_long = HandshakeError::Field {
            field,
            what: "too long",
        };
        let length = u16::try_from(value.len()).map_err(|_| too_long)?;
        self.bytes.extend(field.to_be_bytes());
        self.bytes.extend(length.to_be_bytes());
        self.bytes.extend(value);
        Ok(())
    }

    fn text(&mut self, field: u16, text: &str) -> Result<(), HandshakeError> {
        if text.len() > limits::HANDSHAKE_TEXT_BYTES_MAX {
            return Err(HandshakeError::Field {
                field,
                what: "too long",
            });
        }
        self.field(field, text.as_bytes())
    }
}

/// What was read so far. A field that is there twice is an error: which one counts would be a guess.
#[derive(Default)]
struct Seen {
    cluster: Option<ClusterId>,
    epoch: Option<Epoch>,
    node: Option<NodeName>,
    node_id: Option<NodeId>,
    boot_id: Option<BootId>,
    build: Option<String>,
    interfaces: Vec<Interface>,
    features: std::collections::BTreeSet<String>,
    channel: Option<Channel>,
    role: Option<Role>,
    station: Option<StationId>,
    run: Option<StationRunId>,
}

impl Seen {
    fn take(&mut self, field: u16, value: &[u8]) -> Result<(), HandshakeError> {
        let bad = |what| HandshakeError::Field { field, what };
        let sixteen = || uuid(value).ok_or(bad("not 16 bytes"));
        match field {
            CLUSTER => once(field, &mut self.cluster, ClusterId(sixteen()?)),
            EPOCH => {
                let bytes = value.try_into().map_err(|_| bad("not 8 bytes"))?;
                once(field, &mut self.epoch, Epoch(u64::from_be_bytes(bytes)))
            }
            NODE => {
                let name = NodeName::new(text(field, value)?).map_err(|_| bad("not a name"))?;
                once(field, &mut self.node, name)
            }
            NODE_ID => once(field, &mut self.node_id, NodeId(sixteen()?)),
            BOOT_ID => once(field, &mut self.boot_id, BootId(text(field, value)?)),
            BUILD => once(field, &mut self.build, text(field, value)?),
            INTERFACE => self.interface(field, value),
            FEATURE => {
                if self.features.insert(text(field, value)?) {
                    Ok(())
                } else {
                    Err(bad("there twice"))
                }
            }
            CHANNEL => {
                let channel = match value {
                    [1] => Channel::Control,
                    [2] => Channel::Bulk,
                    _ => return Err(bad("not a channel known here")),
                };
                once(field, &mut self.channel, channel)
            }
            ROLE => {
                let role = match value {
                    [1] => Role::Agent,
                    [2] => Role::Station,
                    [3] => Role::Cli,
                    _ => return Err(bad("not a role known here")),
                };
                once(field, &mut self.role, role)
            }
            STATION => {
                let bytes = value.try_into().map_err(|_| bad("not 8 bytes"))?;
                once(
                    field,
                    &mut self.station,
                    StationId(u64::from_be_bytes(bytes)),
                )
            }
            RUN => once(field, &mut self.run, StationRunId(sixteen()?)),
            // From a newer build: skipped and not kept.
            _ => Ok(()),
        }
    }

    fn interface(&mut self, field: u16, value: &[u8]) -> Result<(), HandshakeError> {
        let bad = |what| HandshakeError::Field { field, what };
        let interface = read_interface(value).ok_or(bad("not an interface"))?;
        if !interface.is_valid() {
            return Err(bad("speaks nothing: min is above max"));
        }
        if self.interfaces.iter().any(|other| other.id == interface.id) {
            return Err(bad("there twice"));
        }
        self.interfaces.push(interface);
        Ok(())
    }

    fn finish(self) -> Result<Handshake, HandshakeError> {
        let missing = |what| HandshakeError::Missing { what };
        Ok(Handshake {
            cluster: self.cluster,
            epoch: self.epoch.ok_or(missing("epoch"))?,
            node: self.node,
            node_id: self.node_id,
            boot_id: self.boot_id,
            build: self.build.ok_or(missing("build"))?,
            interfaces: self.interfaces,
            features: self.features,
            channel: self.channel.ok_or(missing("channel"))?,
            role: self.role.ok_or(missing("role"))?,
            station: self.station,
            run: self.run,
        })
    }
}

fn once<T>(field: u16, slot: &mut Option<T>, value: T) -> Result<(), HandshakeError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(HandshakeError::Field {
            field,
            what: "there twice",
        }),
    }
}

fn text(field: u16, value: &[u8]) -> Result<String, HandshakeError> {
    let bad = |what| HandshakeError::Field { field, what };
    if value.len() > limits::HANDSHAKE_TEXT_BYTES_MAX {
        return Err(bad("too long"));
    }
    let text = std::str::from_utf8(value).map_err(|_| bad("not UTF-8"))?;
    Ok(text.to_owned())
}

fn interface_value(interface: &Interface) -> Result<Vec<u8>, HandshakeError> {
    let bad = |what| HandshakeError::Field {
        field: INTERFACE,
        what,
    };
    if !interface.is_valid() {
        return Err(bad("speaks nothing: min is above max"));
    }
    let short = |bytes: &[u8]| match u8::try_from(bytes.len()) {
        Ok(length) if bytes.len() <= limits::HANDSHAKE_TEXT_BYTES_MAX => Ok(length),
        Ok(_) | Err(_) => Err(bad("too long")),
    };
    let mut value = vec![short(interface.id.as_bytes())?];
    value.extend(interface.id.as_bytes());
    value.push(short(&interface.digest)?);
    value.extend(&interface.digest);
    value.extend(interface.speaks_min.to_be_bytes());
    value.extend(interface.speaks_max.to_be_bytes());
    Ok(value)
}

fn read_interface(value: &[u8]) -> Option<Interface> {
    let (id, rest) = short(value)?;
    let (digest, rest) = short(rest)?;
    let (min, rest) = rest.split_first_chunk::<4>()?;
    let (max, _newer) = rest.split_first_chunk::<4>()?;
    Some(Interface {
        id: std::str::from_utf8(id).ok()?.to_owned(),
        digest: digest.to_vec(),
        speaks_min: u32::from_be_bytes(*min),
        speaks_max: u32::from_be_bytes(*max),
    })
}

/// Bytes behind a length of one byte.
fn short(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    if usize::from(*length) > limits::HANDSHAKE_TEXT_BYTES_MAX {
        return None;
    }
    rest.split_at_checked(usize::from(*length))
}
