//! Artifacts on their way.

use mainstay_protocol::artifact::{ArtifactAnswer, ArtifactPart, ArtifactWanted};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::session::{AgentMessage, StationMessage};
use mainstay_protocol::{ArtifactId, Blob, Sha256, code};

use super::instance;
use super::messages::incarnation;

pub fn wanted() -> (String, AgentMessage) {
    let wanted = ArtifactWanted {
        instance: instance(9),
        incarnation: incarnation(),
        artifact: ArtifactId::new("urn:ivcap:artifact:00000000-0000-0000-0000-000000000004")
            .unwrap(),
        from: 32_768,
    };
    let request_id = 8;
    (
        "agent-artifact-wanted".to_owned(),
        AgentMessage::ArtifactWanted { request_id, wanted },
    )
}

pub fn answers() -> [(String, StationMessage); 2] {
    let part = ArtifactAnswer::Part(ArtifactPart {
        digest: Sha256::of_sha256([7; 32]),
        size: 32_771,
        bytes: Blob::new(b"end"),
    });
    let refused = ArtifactAnswer::Refused(Refusal::new(code::NOT_ALLOWED, "not yours"));
    [("part", part), ("refused", refused)].map(|(name, answer)| {
        let request_id = 8;
        (
            format!("station-artifact-{name}"),
            StationMessage::Artifact { request_id, answer },
        )
    })
}
