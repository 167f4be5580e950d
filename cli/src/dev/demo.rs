//! The demo: a database, a worker and a web page that need one another; and two services to talk to and to break.

use std::path::Path;

use mainstay_api::types::{On, StartRequest};
use serde_json::{Value, json};

use super::layout::Layout;

/// One placement of it.
#[derive(Debug, Clone)]
pub struct Part {
    pub request: StartRequest,
    pub instances: Vec<String>,
}

impl Part {
    pub fn is(&self, name: &str) -> bool {
        self.request.name.as_deref() == Some(name)
    }
}

/// Its status says which port its page has.
pub const WEB: &str = "web";

/// The node with this number, or the last there is.
pub fn node(number: u16, nodes: u16) -> String {
    format!("n{}", number.min(nodes))
}

/// In the order in which they start: each needs those before it.
pub fn parts(program: &Path, layout: &Layout, nodes: u16) -> Vec<Part> {
    let one = |number: u16| On::Nodes(vec![node(number, nodes)]);
    // The database's socket is named from there: its whole path may be too long for a socket.
    let here = layout.data("n1");
    let process = |words: &[&str], more: Value| {
        let program = program.display().to_string();
        let words = words.iter().map(|word| (*word).to_owned());
        let command: Vec<String> = [program, "demo".to_owned()]
            .into_iter()
            .chain(words)
            .collect();
        let mut config = json!({"command": command, "cwd": here});
        if let (Some(config), Value::Object(more)) = (config.as_object_mut(), more) {
            config.extend(more);
        }
        config
    };
    let wanted = [
        (
            "db",
            "process",
            one(1),
            process(&["db"], json!({"ready": {"line": "listens"}})),
        ),
        ("worker", "process", one(2), process(&["worker"], json!({}))),
        (
            WEB,
            "process",
            one(3),
            process(
                &["web", "${port:http}"],
                json!({"ports": ["http"], "ready": {"http": "/"}, "check": {"http": "/health"}}),
            ),
        ),
        ("greeter", "greeter", On::All, json!({})),
        ("flaky", "flaky", one(2), json!({})),
    ];
    wanted
        .into_iter()
        .map(|(name, service_type, on, config)| Part {
            instances: match &on {
                On::All => (1..=nodes).map(|node| format!("{name}@n{node}")).collect(),
                On::Nodes(nodes) => nodes.iter().map(|node| format!("{name}@{node}")).collect(),
            },
            request: StartRequest {
                service_type: service_type.to_owned(),
                name: Some(name.to_owned()),
                holds: None,
                on,
                config,
            },
        })
        .collect()
}
