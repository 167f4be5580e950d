//! The agent's file: what was begun and not concluded, answered and not yet acknowledged. Append-only records,
//! each behind its length and checksum; written anew when it has grown beyond `limits::AGENT_FILE_BYTES_MAX`.

use mainstay_protocol::record::{self, Record};
use mainstay_protocol::report::Numbered;
use mainstay_protocol::room::Needs;
use mainstay_protocol::versioned::Evolving;
use mainstay_protocol::{
    BootId, CommandId, Incarnation, InstanceKey, Leadership, NodeEpoch, NodeId, NodeName, Sequence,
    SlotName, StepKey,
};
use serde::{Deserialize, Serialize};

use crate::core::State;

/// One step of the agent core, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileRecord {
    /// The first record; everything before it is void. The node id outlives a boot, the rest does not.
    Head {
        node: NodeName,
        boot_id: BootId,
        node_id: Option<NodeId>,
    },
    /// A station gave the outbox its epoch: what is in it is numbered again from `first` on.
    Joined {
        node_id: NodeId,
        node_epoch: NodeEpoch,
        first: Sequence,
    },
    /// The highest leadership seen.
    Leads(Leadership),
    /// A command was taken and is not answered yet.
    Opened {
        command: CommandId,
        order: OpenOrder,
        instance: InstanceKey,
        incarnation: Incarnation,
    },
    /// An incarnation has the name and is being started, or was.
    Begun {
        instance: InstanceKey,
        incarnation: Incarnation,
        name: SlotName,
        /// The Start to answer, until it is answered.
        command: Option<CommandId>,
        came: Came,
        /// What it takes of the node.
        needs: Needs,
    },
    /// A report entered the outbox, in the place of an older one that was not sent.
    Reported {
        numbered: Numbered,
        replaces: Option<Sequence>,
    },
    /// Reports up to here are committed.
    Acknowledged {
        up_to: Sequence,
    },
    /// Nothing of the instance below this is started any more.
    Floor {
        instance: InstanceKey,
        incarnation: Incarnation,
    },
    Life(Life),
    /// An instance has an activity of a run; until it is reported what came of it, or the instance is gone.
    Took {
        command: CommandId,
        instance: InstanceKey,
        incarnation: Incarnation,
        step: StepKey,
    },
}

/// What is said of a life of the agent. One that was killed says nothing at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Life {
    /// It found a farewell and has told what came of it.
    Began,
    /// It was asked to end: what ended with it did not fail.
    EndedInOrder,
}

/// How far an incarnation had come when its record was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Came {
    /// It was not told as started: its start ends in Started or CouldNotStart.
    Begun,
    Started,
}

/// Which command it is that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OpenOrder {
    Start,
    Stop,
    Reconfigure,
}

impl Evolving for FileRecord {
    const NAME: &'static str = "agent-file-record";
    const VERSION: u16 = 1;
    const COMPAT: u16 = 1;
}

impl Record for FileRecord {
    const FAMILY: u16 = 32;
}

/// What a file says. An empty file says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    pub state: State,
    /// Bytes of whole records: the driver cuts the file here before it appends.
    pub valid_len: u64,
    /// The last record was cut off in the middle of its write: none of its actions was carried out.
    pub torn: bool,
    /// A whole record is not readable: what follows it is lost, and so is the right to go on numbering.
    pub damaged: bool,
}

/// Length and checksum in front of each record.
const FRAME_BYTES: usize = 8;
/// A record holds at most one report, and a report fits a control frame.
const RECORD_BYTES_MAX: usize = 2 * mainstay_protocol::limits::CONTROL_FRAME_BYTES_MAX;

/// The record's bytes as they are appended.
pub fn encode_record(record: &FileRecord) -> Vec<u8> {
    let body = record::encode(record);
    let mut bytes = Vec::with_capacity(FRAME_BYTES + body.len());
    bytes.extend((body.len() as u32).to_be_bytes());
    bytes.extend(crc32c::crc32c(&body).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// Reads a file from its beginning to the last whole record.
pub fn replay(bytes: &[u8]) -> Recovered {
    let mut recovered = Recovered::default();
    let mut rest = bytes;
    loop {
        match next_record(rest) {
            Next::End => break,
            Next::Torn => {
                recovered.torn = true;
                break;
            }
            Next::Damaged => {
                recovered.damaged = true;
                break;
            }
            Next::Record { record, len } => {
                let first = recovered.valid_len == 0;
                if first && !matches!(*record, FileRecord::Head { .. }) {
                    recovered.damaged = true;
                    break;
                }
                recovered.state.apply(&record);
                recovered.valid_len += len as u64;
                rest = &rest[len..];
            }
        }
    }
    recovered
}

enum Next {
    End,
    Torn,
    Damaged,
    Record { record: Box<FileRecord>, len: usize },
}

fn next_record(bytes: &[u8]) -> Next {
    if bytes.is_empty() {
        return Next::End;
    }
    let Some((head, rest)) = bytes.split_first_chunk::<FRAME_BYTES>() else {
        return Next::Torn;
    };
    let [l0, l1, l2, l3, c0, c1, c2, c3] = *head;
    let len = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
    let crc = u32::from_be_bytes([c0, c1, c2, c3]);
    if len > RECORD_BYTES_MAX {
        return Next::Damaged;
    }
    let Some(body) = rest.get(..len) else {
        return Next::Torn;
    };
    if crc32c::crc32c(body) != crc {
        return Next::Damaged;
    }
    match record::decode(body, RECORD_BYTES_MAX) {
        Ok(record) => Next::Record {
            record: Box::new(record),
            len: FRAME_BYTES + len,
        },
        Err(_) => Next::Damaged,
    }
}

#[cfg(test)]
mod tests;
