//! Events, decisions, parked subjects.

use mainstay_protocol::code::Reason;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Time;

/// Something that happened, in total order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Rises; where to go on from with `after`.
    pub seq: u64,
    pub time: Time,
    pub subject: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// `report failed`, `rule restart`, `operator stop`.
    pub cause: String,
    pub rule: Option<String>,
    pub message: String,
    pub data: Value,
}

/// What a rule did or declined to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub id: String,
    pub time: Time,
    pub rule: String,
    pub subject: String,
    pub saw: Vec<Saw>,
    pub did: Option<Reason>,
    pub declined: Option<Reason>,
    /// Sequence numbers of the events it brought about.
    pub events: Vec<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saw {
    #[serde(rename = "ref")]
    pub reference: String,
    pub rev: u64,
    pub text: String,
}

/// Something set aside because recording or judging it came to no end that could be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    pub id: String,
    /// Null for an event that could not be recorded.
    pub rule: Option<String>,
    pub subject: Option<String>,
    /// The event's name, where it is one.
    pub event: Option<String>,
    /// What went wrong: a panic, rules that undo each other, more than fits an entry.
    pub code: String,
    /// A panic's own words.
    pub text: String,
    pub since: Time,
}

/// What one peer of the session socket sent that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadPeer {
    pub peer: String,
    /// All there ever were.
    pub total: u64,
    /// The last ones, oldest first.
    pub last: Vec<BadFrame>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadFrame {
    /// Null where not even the header could be read.
    pub kind: Option<u16>,
    pub why: String,
    pub bytes: u64,
    /// The body's first bytes, in hexadecimal.
    pub head: String,
}
