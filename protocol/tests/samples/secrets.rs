//! What is secret on its way.

use mainstay_protocol::request::Refusal;
use mainstay_protocol::secret::{SecretAnswer, SecretBytes, SecretWanted};
use mainstay_protocol::session::{AgentMessage, StationMessage};
use mainstay_protocol::{SecretName, code};

use super::instance;
use super::messages::incarnation;

pub fn wanted() -> (String, AgentMessage) {
    let wanted = SecretWanted {
        instance: instance(9),
        incarnation: incarnation(),
        name: SecretName::new("db").unwrap(),
    };
    let request_id = 8;
    (
        "agent-secret-wanted".to_owned(),
        AgentMessage::SecretWanted { request_id, wanted },
    )
}

pub fn answers() -> [(String, StationMessage); 2] {
    let given = SecretAnswer::Given(SecretBytes::new(b"hunter2".to_vec()));
    let refused = SecretAnswer::Refused(Refusal::new(code::NOT_ALLOWED, "not yours"));
    [("given", given), ("refused", refused)].map(|(name, answer)| {
        let request_id = 8;
        (
            format!("station-secret-{name}"),
            StationMessage::Secret { request_id, answer },
        )
    })
}
