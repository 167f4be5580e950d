//! `artifact_left`: an artifact of which not all came in its time is removed, with what came.

use mainstay_protocol::ArtifactId;
use mainstay_protocol::code;
use mainstay_resource_graph::{Key, Txn, Vertex, View};

use crate::env::Env;
use crate::record::operation::artifacts;
use crate::rule::{Rule, Verdict, Watch};

pub struct ArtifactLeft;

impl Rule for ArtifactLeft {
    const NAME: &'static str = "artifact_left";
    const ABOUT: &'static str =
        "Removes what came of an artifact that was broken off, when its time is over.";
    type Subject = ArtifactId;

    fn watches() -> Watch {
        Watch::artifacts(|artifact| artifact.arrives_until().is_some())
    }

    fn judge(subject: ArtifactId, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let record = txn.record(&Key::Artifact(subject.clone()));
        let until = record.and_then(|record| match &record.vertex {
            Vertex::Artifact(artifact) => artifact.arrives_until(),
            _ => None,
        });
        if until.is_none_or(|until| until > env.now) {
            return Verdict::Nothing;
        }
        match artifacts::remove(txn, &subject) {
            true => Verdict::did(
                code::ARTIFACT_LEFT,
                "not all of it came in time: what did is removed",
            ),
            false => Verdict::Nothing,
        }
    }
}
