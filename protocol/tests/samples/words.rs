//! Reports of what instances say of their own accord.

use mainstay_protocol::health::{Evidence, Health};
use mainstay_protocol::report::{Manner, Report, TypedFailure, Use};
use mainstay_protocol::work::{Changes, RunId, Skill, StepKey, Work, WorkAnswer, WorkName};
use mainstay_protocol::{
    CommandId, Json, QuestionId, ResourceKey, ResourceKind, ResourceName, TypeName,
};

use super::instance;
use super::messages::incarnation;

/// Of a failure, all of it.
pub fn evidence() -> Evidence {
    Evidence {
        text: "gave up".to_owned(),
        location: Some("src/a.rs:7".to_owned()),
        exit_code: Some(-3),
        signal: Some(9),
        ran_ms: 1_000,
        stderr_tail: "last words".to_owned(),
    }
}

/// What an instance says of its own accord, and what is said of one that is taken in.
pub fn words() -> Vec<Report> {
    let incarnation = incarnation();
    let resource = ResourceKey::new(
        ResourceKind::new("disk").unwrap(),
        ResourceName::new("sda").unwrap(),
    );
    vec![
        Report::Adopted {
            instance: instance(10),
            incarnation,
            service_type: TypeName::new("process").unwrap(),
            version: "1.0.0".to_owned(),
            given: "{}".to_owned(),
            config: "{\"greeting\":\"Hi\"}".to_owned(),
            process: Vec::new(),
            ports: [("admin".to_owned(), 81)].into(),
            health: Health::Ok,
            uses: vec![Use {
                resource: resource.clone(),
                manner: Manner::Alone,
            }],
        },
        Report::Acquired {
            instance: instance(11),
            incarnation,
            question: QuestionId(7),
            resource: resource.clone(),
            manner: Manner::Shared,
        },
        Report::Released {
            instance: instance(13),
            incarnation,
            resource: resource.clone(),
        },
        Report::Asked {
            instance: instance(14),
            incarnation,
            question: QuestionId(8),
            failure: TypedFailure {
                name: "disk-full".to_owned(),
                body: "{\"free\":0}".to_owned(),
            },
            deadline_ms: 5_000,
        },
        Report::Announced {
            instance: instance(15),
            incarnation,
            why: "done".to_owned(),
        },
        Report::Recorded {
            instance: instance(16),
            incarnation,
            name: "smart".to_owned(),
            body: "{\"line\":\"x\"}".to_owned(),
        },
        Report::Worked {
            instance: instance(17),
            incarnation,
            step: step(),
            command: CommandId(18),
            answer: WorkAnswer::Complete {
                output: json("{\"id\":12345678901234567890}"),
                context: Changes {
                    set: [("x".to_owned(), json("[1]"))].into(),
                    delete: ["y".to_owned()].into(),
                },
            },
        },
    ]
}

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

fn step() -> StepKey {
    StepKey::new(
        RunId::new("r1~dispose").unwrap(),
        WorkName::new("a.b").unwrap(),
    )
}

/// An activity of a run.
pub fn work() -> Work {
    Work {
        instance: instance(8),
        incarnation: incarnation(),
        step: step(),
        skill: Skill {
            provider: "p".to_owned(),
            activity: WorkName::new("echo").unwrap(),
        },
        discriminator: Some("deploy".to_owned()),
        attempt: 2,
        call: 3,
        inputs: json("{\"x\":1}"),
        scratch: json("{\"seen\":true}"),
        context: json("{}"),
        time_ms: Some(60_000),
    }
}
