//! Decisions.

use mainstay_coordinator::entry::{Decision, Outcome};
use mainstay_protocol::code::Reason;

use crate::time::Time;
use crate::types;

/// A decision as it was kept; `events` are those its entry brought about for its subject.
pub fn decision(id: String, time: Time, decision: &Decision, events: Vec<u64>) -> types::Decision {
    let (did, declined) = match &decision.outcome {
        Outcome::Did { code, text } => (Some(Reason::new(code.clone(), text)), None),
        Outcome::Declined { code, text } => (None, Some(Reason::new(code.clone(), text))),
    };
    types::Decision {
        id,
        time,
        rule: decision.rule.clone(),
        subject: decision.subject.to_string(),
        saw: decision
            .saw
            .iter()
            .map(|saw| types::Saw {
                reference: saw.key.to_string(),
                rev: saw.rev.0,
                text: saw.text.clone(),
            })
            .collect(),
        did,
        declined,
        events,
    }
}
