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
    /// Of one without a shape, with what it comes, or which command reads it.
    pub instead: Instead,
    /// Whether its documents have names; of one without there is at most one.
    pub named: bool,
    pub reader: Reader,
    /// What is wrong between its fields.
    pub between: fn(&Value) -> Vec<Flaw>,
}

/// Where a kind is that `plan` and `apply` do not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    Nowhere,
    /// It comes with this.
    Later(&'static str),
    /// This command reads it, as it is written and without a `kind`.
    Command(&'static str),
}

impl SpecKind {
    /// Why there is no shape for it.
    pub fn not_here(&self) -> String {
        let name = self.name;
        match self.instead {
            Instead::Nowhere => format!("the kind {name} is not read here"),
            Instead::Later(with) => {
                format!("the kind {name} is not there yet; it comes with {with}")
            }
            Instead::Command(command) => {
                format!("{name} is a file of its own, without a kind: `{command}` reads it")
            }
        }
    }
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
        instead: Instead::Nowhere,
        named: true,
        reader: Reader::Plan,
        between: nothing,
    },
    SpecKind {
        name: "Settings",
        shape: Some(&SETTINGS),
        instead: Instead::Nowhere,
        named: false,
        reader: Reader::Plan,
        between: nothing,
    },
    SpecKind {
        name: "Cluster",
        shape: Some(&CLUSTER),
        instead: Instead::Nowhere,
        named: true,
        reader: Reader::Bootstrap,
        between: cluster::between,
    },
    elsewhere("Orchestration", "mainstay orchestration apply -f FILE"),
    elsewhere("Activity", "mainstay activity apply -f FILE"),
    elsewhere("Service", "mainstay service register -f FILE"),
    later("Platform", "placing by asking"),
    later("Module", "versions of modules"),
];

const fn later(name: &'static str, with: &'static str) -> SpecKind {
    not_here(name, Instead::Later(with))
}

const fn elsewhere(name: &'static str, command: &'static str) -> SpecKind {
    not_here(name, Instead::Command(command))
}

const fn not_here(name: &'static str, instead: Instead) -> SpecKind {
    SpecKind {
        name,
        shape: None,
        instead,
        named: true,
        reader: Reader::Plan,
        between: nothing,
    }
}

/// A kind by its name, as it is written.
pub fn kind(name: &str) -> Option<&'static SpecKind> {
    KINDS.iter().find(|kind| kind.name == name)
}
