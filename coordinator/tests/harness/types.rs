//! Names in short, and the service types that the scripted agents have.

use mainstay_coordinator::Rules;
use mainstay_protocol::report::{RestartWhen, TypeDeclaration};
use mainstay_protocol::work::{Serves, Skills};
use mainstay_protocol::{InstanceKey, NodeName, PlacementName, SlotName, TypeName};
use mainstay_resource_graph::Key;

pub fn node_name(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

pub fn slot(name: &str) -> SlotName {
    SlotName::new(name).unwrap()
}

pub fn type_name(name: &str) -> TypeName {
    TypeName::new(name).unwrap()
}

/// `web@n1`.
pub fn at(reference: &str) -> InstanceKey {
    let (placement, node) = reference
        .split_once('@')
        .unwrap_or_else(|| panic!("{reference}: not web@n1"));
    InstanceKey::new(node_name(node), PlacementName::new(placement).unwrap())
}

/// Any reference, as people write it.
pub fn key(reference: &str) -> Key {
    reference.parse().unwrap()
}

/// `greeter` and `twin` have one fixed name, the same; the others are generic.
pub const TYPES: [&str; 9] = [
    "always", "flaky", "greeter", "never", "noisy", "pliant", "strict", "twin", "worker",
];

/// What `strict` takes; the others take anything.
const STRICT: &str = r#"{"type":"object","properties":{"greeting":{"type":"string"},"size":{"type":"integer","minimum":0,"maximum":255}},"additionalProperties":false}"#;

pub fn declaration(name: &str) -> TypeDeclaration {
    let restart = match name {
        "always" => RestartWhen::Always,
        "never" => RestartWhen::Never,
        _ => RestartWhen::OnFailure,
    };
    TypeDeclaration {
        name: type_name(name),
        version: "1.0.0".to_owned(),
        holds: matches!(name, "greeter" | "twin").then(|| slot("greeter")),
        schema: if name == "strict" { STRICT } else { "{}" }.to_owned(),
        messages: Vec::new(),
        restart,
        start_deadline_ms: 30_000,
        stop_deadline_ms: 10_000,
        may_use: match name {
            "pliant" => vec!["disk".to_owned(), "database".to_owned()],
            _ => Vec::new(),
        },
        in_place: name == "pliant",
        keeps_lease: true,
        serves: match name {
            "worker" => Serves {
                skills: Skills([("p".to_owned(), None)].into()),
                hands: 2,
                by_config: false,
            },
            "pliant" => Serves {
                hands: 1,
                by_config: true,
                ..Serves::default()
            },
            _ => Serves::default(),
        },
    }
}

/// The names of a set of rules, in their order.
pub fn rules_of(rules: &Rules) -> Vec<&'static str> {
    rules.entries().iter().map(|rule| rule.name).collect()
}
