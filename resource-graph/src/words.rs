//! What instances say of their own accord, what rules are in the middle of, and what runs without being known.

use std::collections::BTreeSet;

use mainstay_protocol::code::Reason;
use mainstay_protocol::health::Health;
use mainstay_protocol::report::{LiveState, Manner, TypedFailure};
use mainstay_protocol::{Incarnation, InstanceKey, QuestionId, Timestamp, TypeName};
use serde::{Deserialize, Serialize};

use crate::key::Key;

/// Something passive. Exists while it is used; `Uses` says by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    pub manner: Manner,
}

/// A failure with a name of its own, until it is answered or its time is up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub instance: InstanceKey,
    pub incarnation: Incarnation,
    pub question: QuestionId,
    pub failure: TypedFailure,
    /// Then it is a failure like any other.
    pub deadline: Timestamp,
}

/// A rule's work on a subject that goes over several events. One at a time of each rule and subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Procedure {
    pub rule: String,
    pub subject: Key,
    /// What the rule remembers: its step, JSON.
    pub step: String,
    /// What it waits for, for people.
    pub text: String,
    /// When this step is over, whatever happens. None: it came to its end, and its subject still looks as it did when
    /// it began, which is no reason to begin again.
    pub deadline: Option<Timestamp>,
    /// Steps so far.
    pub count: u32,
}

/// A record that a collector reported, for a moment, so that rules can take note of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    pub instance: InstanceKey,
    pub incarnation: Incarnation,
    pub name: String,
    /// JSON.
    pub body: String,
    /// The rules that did.
    pub taken_by: BTreeSet<String>,
    pub until: Timestamp,
}

/// An incarnation that runs and that no command of this graph started: another life of the station did (before a
/// restore), or somebody by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stray {
    pub incarnation: Incarnation,
    pub state: LiveState,
    pub health: Health,
    /// None: its node does not remember.
    pub service_type: Option<TypeName>,
    /// Its node has refused a newer one since, or knows of it: what comes after this must be newer than that.
    pub overtaken: bool,
    /// Why it is left as it is; none before that was judged.
    pub held: Option<Reason>,
}
