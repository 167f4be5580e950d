//! Events, decisions, parked subjects.

use mainstay_protocol::code::Reason;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::shapes::ReasonShape;
use crate::time::Time;

/// Something that happened. All events have one order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Its place in the order; where to go on from with after=.
    pub seq: u64,
    /// When it happened.
    pub time: Time,
    /// What it happened to.
    pub subject: String,
    /// What happened, as in instance.failed.
    #[serde(rename = "type")]
    pub kind: String,
    /// What brought it about: a report, a rule, an operator, a session.
    pub cause: String,
    /// The rule that did it; null where none did.
    pub rule: Option<String>,
    /// A sentence for people.
    pub message: String,
    /// Its facts, by name.
    pub data: Value,
}

/// Something was committed, or leadership changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// The newest of the graph.
    pub revision: u64,
    /// Whether the station leads.
    pub leads: bool,
}

/// What a rule did or declined to do for a subject, and what it saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// Its number: revision and place in it.
    pub id: String,
    /// When it was decided.
    pub time: Time,
    /// The rule.
    pub rule: String,
    /// What it is about.
    pub subject: String,
    /// What the rule read.
    pub saw: Vec<Saw>,
    /// What it did, and why; null where it declined.
    #[schemars(with = "Option<ReasonShape>")]
    pub did: Option<Reason>,
    /// Why it did nothing; null where it did something.
    #[schemars(with = "Option<ReasonShape>")]
    pub declined: Option<Reason>,
    /// Numbers of the events it brought about for its subject.
    pub events: Vec<u64>,
}

/// Something that a rule read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Saw {
    /// What it is.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The revision of it that was read.
    pub rev: u64,
    /// Its state in words, as it was then.
    pub text: String,
}

/// Something set aside because recording or judging it came to no end that could be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Parked {
    /// What it is found by.
    pub id: String,
    /// The rule; null for an event that could not be recorded.
    pub rule: Option<String>,
    /// What was judged; null for an event.
    pub subject: Option<String>,
    /// The event's name; null for a rule.
    pub event: Option<String>,
    /// What went wrong, as a code.
    pub code: String,
    /// What went wrong, in its own words.
    pub text: String,
    /// Since when it is set aside.
    pub since: Time,
}

/// What one peer of the session socket sent that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BadPeer {
    /// Who sent it.
    pub peer: String,
    /// All there ever were.
    pub total: u64,
    /// The last ones, oldest first.
    pub last: Vec<BadFrame>,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BadFrame {
    /// Null where not even the header could be read.
    pub kind: Option<u16>,
    /// What is wrong with it.
    pub why: String,
    /// How long it was.
    pub bytes: u64,
    /// The body's first bytes, in hexadecimal.
    pub head: String,
}
