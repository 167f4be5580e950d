//! What an agent follows, what it is told, and how one instance calls another.

use mainstay_protocol::health::Health;
use mainstay_protocol::lookup::{Follows, Found, FoundInstance, Sought, SoughtBy};
use mainstay_protocol::request::{Ask, Called};
use mainstay_protocol::session::{AgentMessage, StationMessage};

use super::instance;
use super::messages::incarnation;

fn sought() -> [Sought; 3] {
    let node = Some("n7".parse().unwrap());
    [
        Sought {
            by: SoughtBy::Placement("web".parse().unwrap()),
            node: None,
        },
        Sought {
            by: SoughtBy::Type("greeter".parse().unwrap()),
            node: node.clone(),
        },
        Sought {
            by: SoughtBy::Name("front".parse().unwrap()),
            node,
        },
    ]
}

pub fn follows() -> (String, AgentMessage) {
    let follows = Follows {
        sought: sought().into(),
    };
    ("agent-follows".to_owned(), AgentMessage::Follows(follows))
}

pub fn found() -> (String, StationMessage) {
    let [sought, ..] = sought();
    let found = Found {
        sought,
        instances: vec![FoundInstance {
            instance: instance(8),
            service_type: "process".parse().unwrap(),
            name: "front".parse().unwrap(),
            incarnation: incarnation(),
            state: "Running".to_owned(),
            health: Health::Degraded,
            address: "10.0.0.8:4400".to_owned(),
            ports: [("admin", 81), ("http", 8080)]
                .map(|(name, port)| (name.to_owned(), port))
                .into(),
        }],
        left_out: 700,
    };
    ("station-found".to_owned(), StationMessage::Found(found))
}

/// With each thing that may be asked.
pub fn calls() -> [Ask; 3] {
    let message = Called::Message {
        message: "greet".to_owned(),
        body: "{\"name\":\"Ada\"}".to_owned(),
    };
    let of = |number, incarnation, what| Ask::Call {
        instance: instance(number),
        incarnation,
        what,
    };
    [
        of(4, Some(incarnation()), message),
        of(5, None, Called::Check),
        of(6, None, Called::Status),
    ]
}

/// What distinguishes them.
pub fn called_variant(what: &Called) -> &'static str {
    match what {
        Called::Message { .. } => "Message",
        Called::Check => "Check",
        Called::Status => "Status",
    }
}
