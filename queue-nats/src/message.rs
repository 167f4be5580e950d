//! What a message says. JSON, since whoever looks into the stream reads it too.

use mainstay_orchestrator::Due;
use mainstay_protocol::work::Skill;
use mainstay_protocol::{RunId, StepKey, Timestamp, WorkName};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Message {
    run: String,
    activity: String,
    provider: String,
    #[serde(rename = "type")]
    of_type: String,
    /// Log time, in microseconds: of a step that is due again another.
    since: u64,
}

pub(crate) fn written(due: &Due) -> Vec<u8> {
    let message = Message {
        run: due.step.run.to_string(),
        activity: due.step.activity.to_string(),
        provider: due.skill.provider.clone(),
        of_type: due.skill.activity.to_string(),
        since: due.since.0,
    };
    // Text and numbers alone: this cannot fail.
    serde_json::to_vec(&message).unwrap_or_default()
}

/// None of what nobody of us wrote.
pub(crate) fn read(bytes: &[u8]) -> Option<Due> {
    let message: Message = serde_json::from_slice(bytes).ok()?;
    let run = RunId::new(&message.run).ok()?;
    let activity = WorkName::new(&message.activity).ok()?;
    let skill = Skill {
        provider: message.provider,
        activity: WorkName::new(&message.of_type).ok()?,
    };
    Some(Due {
        since: Timestamp(message.since),
        step: StepKey::new(run, activity),
        skill,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_garbage_is_not() {
        let due = Due {
            since: Timestamp(u64::MAX),
            step: StepKey::new(RunId::new("r.1").unwrap(), WorkName::new("a").unwrap()),
            skill: Skill {
                provider: "p/ü \"x\"".to_owned(),
                activity: WorkName::new("t").unwrap(),
            },
        };
        assert_eq!(read(&written(&due)), Some(due));
        for garbage in [
            &b""[..],
            b"{}",
            b"\xff",
            br#"{"run":"","activity":"a","provider":"p","type":"t","since":1}"#,
        ] {
            assert_eq!(read(garbage), None, "{garbage:?}");
        }
    }
}
