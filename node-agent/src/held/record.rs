//! The Start that a slot's process was begun with, in the slot itself: the next life of the agent goes on from it, also
//! when it has lost everything else.

use std::fs;
use std::io::{self, ErrorKind};

use mainstay_hold::Slot;
use mainstay_protocol::command::Start;
use mainstay_protocol::limits;
use mainstay_protocol::record::{self, Record};
use mainstay_protocol::versioned::Evolving;
use serde::{Deserialize, Serialize};

const FILE: &str = "start";

#[derive(Debug, Serialize, Deserialize)]
struct SlotStart {
    start: Start,
}

impl Evolving for SlotStart {
    const NAME: &'static str = "slot-start";
    const VERSION: u16 = 1;
    const COMPAT: u16 = 1;
}

impl Record for SlotStart {
    const FAMILY: u16 = 33;
}

/// By whoever has the slot's lock.
pub(crate) fn write_start(slot: &Slot, start: &Start) -> io::Result<()> {
    let start = start.clone();
    slot.put(FILE, &record::encode(&SlotStart { start }))
}

/// None: nobody of ours ever began anything there.
pub(crate) fn read_start(slot: &Slot) -> io::Result<Option<Start>> {
    let bytes = match fs::read(slot.path().join(FILE)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let most = limits::CONTROL_FRAME_BYTES_MAX;
    match record::decode::<SlotStart>(&bytes, most) {
        Ok(SlotStart { start }) => Ok(Some(start)),
        Err(error) => Err(io::Error::new(ErrorKind::InvalidData, error)),
    }
}
