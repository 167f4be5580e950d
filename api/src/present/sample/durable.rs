//! A run of two steps: the first is done, the second waits for somebody outside.

use std::collections::BTreeMap;

use mainstay_protocol::work::Skill;
use mainstay_protocol::{
    ArtifactId, Blob, CommandId, Generation, Json, RunId, ServiceId, Sha256, StepKey, Timestamp,
    WorkName,
};
use mainstay_resource_graph::{
    Activity, Artifact, ArtifactState, Chunk, ChunkKey, Edge, Key, Listing, Orchestration,
    Relation, Run, RunState, Service, Step, StepState, Text, TextHash, Vertex,
};

use super::{REV, instance_key};

const DEFINITION: &str = r#"{"active":true,"activities":[{"id":"make","type":"a"},{"dependsOn":["make"],"id":"use","type":"a"}],"description":"Makes one and uses it","schema":{},"type":"t"}"#;
const ACTIVITY: &str = r#"{"provider":"p","type":"a"}"#;

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

fn name(text: &str) -> WorkName {
    WorkName::new(text).unwrap()
}

fn run_id() -> RunId {
    RunId::new("r1").unwrap()
}

fn hash(text: &str) -> TextHash {
    TextHash(text.to_owned())
}

pub fn edges() -> Vec<Edge> {
    let reads = |text: &str| Edge {
        from: Key::Run(run_id()),
        relation: Relation::Reads,
        to: Key::Text(hash(text)),
        since: Timestamp(1_000_000),
        rev: REV,
    };
    vec![reads("plan"), reads("input")]
}

const SERVICE: &str =
    r#"{"id":"urn:s:1","parameters":[{"name":"n","type":"int","default":9007199254740993}]}"#;

pub fn vertices() -> Vec<(Key, Vertex)> {
    let plan = format!(r#"{{"activities":{{"a":{ACTIVITY}}},"definition":{DEFINITION}}}"#);
    let run = Run {
        orchestration: name("t"),
        section: None,
        correlation: Some("order 7".to_owned()),
        plan: hash("plan"),
        input: hash("input"),
        asked: hash("asked"),
        line: None,
        state: RunState::Running,
        context: Json::empty_object(),
        errors: BTreeMap::new(),
        done: 1,
        left: 1,
        began: Timestamp(1_000_000),
        ended: None,
        response: None,
        by: "ada".to_owned(),
        ordered: None,
    };
    let text = |json| Vertex::Text(Text { json });
    let [artifact, chunk] = artifact();
    vec![
        (
            Key::Orchestration(name("t")),
            Vertex::Orchestration(Orchestration {
                definition: json(DEFINITION),
                generation: Generation(2),
                by: "ada".to_owned(),
            }),
        ),
        (
            Key::Activity(name("a")),
            Vertex::Activity(Activity {
                definition: json(ACTIVITY),
                generation: Generation(1),
                by: "ada".to_owned(),
            }),
        ),
        (Key::Text(hash("plan")), text(json(&plan))),
        (
            Key::Text(hash("input")),
            text(json(r#"{"n":9007199254740993}"#)),
        ),
        (Key::Run(run_id()), Vertex::Run(run)),
        (
            Key::Service(ServiceId::new("urn:s:1").unwrap()),
            Vertex::Service(Service {
                description: json(SERVICE),
                name: "cv".to_owned(),
                model: "urn:ivcap:schema:service.basic.1".to_owned(),
                is_ordered: true,
                generation: Generation(1),
                by: "ada".to_owned(),
            }),
        ),
        step("make", StepState::Completed { place: 0 }),
        artifact,
        chunk,
        step(
            "use",
            StepState::Waiting {
                token: CommandId(9),
                until: None,
            },
        ),
    ]
}

fn step(activity: &str, state: StepState) -> (Key, Vertex) {
    let mut step = Step::new(Skill {
        provider: "p".to_owned(),
        activity: name("a"),
    });
    step.output = matches!(state, StepState::Completed { .. }).then(|| json(r#"{"id":"seven"}"#));
    step.state = state;
    step.attempt = 1;
    step.calls = 1;
    step.worker = Some(instance_key("web@n1"));
    step.first_try = Some(Timestamp(1_000_000));
    (
        Key::Step(StepKey::new(run_id(), name(activity))),
        Vertex::Step(step),
    )
}

fn artifact_id() -> ArtifactId {
    let id = ArtifactId::new("urn:ivcap:artifact:00000000-0000-0000-0000-000000000004");
    id.unwrap()
}

fn artifact() -> [(Key, Vertex); 2] {
    let artifact = Artifact {
        name: "site".to_owned(),
        media_type: "application/gzip".to_owned(),
        size: 4,
        digest: Sha256::of_sha256([7; 32]),
        state: ArtifactState::There,
        listing: Listing::Files(vec!["index.html".to_owned()]),
        by: "ada".to_owned(),
    };
    let chunk = Chunk {
        bytes: Blob::new(b"site"),
    };
    let at = ChunkKey {
        artifact: artifact_id(),
        number: 0,
    };
    [
        (Key::Artifact(artifact_id()), Vertex::Artifact(artifact)),
        (Key::Chunk(at), Vertex::Chunk(chunk)),
    ]
}
