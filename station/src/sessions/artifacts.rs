//! Answers agents that ask for an artifact that an instance of theirs is to have. Only who leads does, as with secrets.

use mainstay_coordinator::artifacts::handed_out;
use mainstay_protocol::NodeName;
use mainstay_protocol::artifact::{ArtifactAnswer, ArtifactWanted};
use mainstay_protocol::code;
use mainstay_protocol::request::Refusal;

use crate::shared::Shared;

pub fn answer(shared: &Shared, node: &NodeName, wanted: &ArtifactWanted) -> ArtifactAnswer {
    let given = match shared.leads() {
        true => handed_out(&shared.store.view(), node, wanted),
        false => Err(Refusal::new(code::ANOTHER_LEADS, "it does not lead")),
    };
    match given {
        Ok(part) => ArtifactAnswer::Part(part),
        Err(refusal) => {
            tracing::warn!(%node, instance = %wanted.instance, artifact = %wanted.artifact, why = refusal.text, code = %refusal.code, "an artifact is not handed over");
            ArtifactAnswer::Refused(refusal)
        }
    }
}
