//! What an agent of these tests is.

use mainstay_protocol::report::{MessageDeclaration, RestartWhen, TypeDeclaration};
use mainstay_protocol::work::{Serves, Skills};
use mainstay_protocol::{AgentRunId, ClusterId, NodeEpoch, NodeId, NodeName, SlotName, TypeName};
use uuid::Uuid;

#[derive(Debug, Clone)]
pub struct AgentConfig {
    pub node: NodeName,
    pub node_id: Option<NodeId>,
    pub agent_run: AgentRunId,
    pub node_epoch: Option<NodeEpoch>,
    pub types: Vec<TypeDeclaration>,
    pub cluster: Option<ClusterId>,
    pub address: String,
    /// What Checks say beside ok.
    pub detail: String,
}

impl AgentConfig {
    pub fn named(node: &str) -> Self {
        Self {
            node: NodeName::new(node).unwrap(),
            node_id: None,
            agent_run: AgentRunId(Uuid::new_v4()),
            node_epoch: None,
            types: vec![
                service_type("greeter", Some("greeter")),
                service_type("rival", Some("greeter")),
                service_type("stubborn", Some("stubborn")),
                service_type("generic", None),
            ],
            cluster: None,
            // Its machine says that nobody is there.
            address: "unix:/nowhere/agent.sock".to_owned(),
            detail: "fine".to_owned(),
        }
    }

    /// The same machine's next agent process.
    #[must_use]
    pub fn run_again(mut self) -> Self {
        self.agent_run = AgentRunId(Uuid::new_v4());
        self
    }
}

fn service_type(name: &str, holds: Option<&str>) -> TypeDeclaration {
    TypeDeclaration {
        name: TypeName::new(name).unwrap(),
        version: "1.0.0".to_owned(),
        holds: holds.map(|slot| SlotName::new(slot).unwrap()),
        schema: r#"{"type":"object"}"#.to_owned(),
        messages: vec![MessageDeclaration {
            name: "greet".to_owned(),
            schema: "{}".to_owned(),
        }],
        restart: RestartWhen::OnFailure,
        start_deadline_ms: 5000,
        stop_deadline_ms: 2000,
        may_use: Vec::new(),
        in_place: false,
        keeps_lease: true,
        serves: match name {
            "generic" => Serves {
                skills: Skills([("p".to_owned(), None)].into()),
                hands: 4,
                by_config: false,
            },
            _ => Serves::default(),
        },
    }
}
