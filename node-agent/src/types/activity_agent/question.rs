//! What a provider is told of a call: one JSON document, values in it as they were written.

use mainstay_protocol::Json;
use mainstay_service::Call;
use serde::Serialize;
use serde_json::value::RawValue;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    run: &'a str,
    activity: &'a str,
    r#type: &'a str,
    provider: &'a str,
    discriminator: Option<&'a str>,
    attempt: u32,
    idempotency_key: String,
    /// A text: it is an id, and JavaScript would round it.
    token: String,
    inputs: &'a RawValue,
    scratch: &'a RawValue,
    context: &'a RawValue,
    time_millis: Option<u64>,
}

pub(super) fn document(call: &Call) -> String {
    let skill = call.skill();
    let time = call.time();
    let question = Question {
        run: call.run().as_str(),
        activity: call.activity().as_str(),
        r#type: skill.activity.as_str(),
        provider: &skill.provider,
        discriminator: call.discriminator(),
        attempt: call.attempt(),
        idempotency_key: call.idempotency_key(),
        token: call.token().to_string(),
        inputs: as_written(call.inputs()),
        scratch: as_written(call.scratch()),
        context: as_written(call.context()),
        time_millis: time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
    };
    serde_json::to_string(&question).expect("texts, numbers and JSON are JSON")
}

/// The same value for serde: it is copied, and never read as numbers.
pub(super) fn as_written(value: &Json) -> &RawValue {
    serde_json::from_str(value.as_str()).expect("it is JSON")
}
