//! The kinds a document may be of.

use serde_json::Value;

use super::check::Flaw;
use super::cluster::{self, CLUSTER};
use super::placement::PLACEMENT;
use super::settings::SETTINGS;
use super::shape::Shape;

/// A kind by its name.
#[derive(Debug)]
pub struct SpecKind {
    pub name: &'static str,
    /// None of one that is known and not there yet.
    pub shape: Option<&'static Shape>,
    /// With what it comes.
    pub later: &'static str,
    /// Whether its documents have names; of one without there is at most one.
    pub named: bool,
    pub reader: Reader,
    /// What is wrong between its fields.
    pub between: fn(&Value) -> Vec<Flaw>,
}

/// Which commands read documents of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// `plan`, `apply`, `delete`.
    Plan,
    Bootstrap,
}

fn nothing(_: &Value) -> Vec<Flaw> {
    Vec::new()
}

pub static KINDS: [SpecKind; 8] = [
    SpecKind {
        name: "Placement",
        shape: Some(&PLACEMENT),
        later: "",
        named: true,
        reader: Reader::Plan,
        between: nothing,
    },
    SpecKind {
        name: "Settings",
        shape: Some(&SETTINGS),
        later: "",
        named: false,
        reader: Reader::Plan,
        between: nothing,
    },
    SpecKind {
        name: "Cluster",
        shape: Some(&CLUSTER),
        later: "",
        named: true,
        reader: Reader::Bootstrap,
        between: cluster::between,
    },
    later("Orchestration", "orchestrations"),
    later("Activity", "orchestrations"),
    later("Service", "service models"),
    later("Platform", "placing by asking"),
    later("Module", "versions of modules"),
];

const fn later(name: &'static str, with: &'static str) -> SpecKind {
    SpecKind {
        name,
        shape: None,
        later: with,
        named: true,
        reader: Reader::Plan,
        between: nothing,
    }
}

/// A kind by its name, as it is written.
pub fn kind(name: &str) -> Option<&'static SpecKind> {
    KINDS.iter().find(|kind| kind.name == name)
}
