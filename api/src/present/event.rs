//! Events, and their sequence numbers.

use mainstay_protocol::{Revision, Timestamp};
use mainstay_resource_graph::Event;
use serde_json::Value;

use super::Live;
use crate::time::Time;
use crate::types;

/// Bits of a sequence number for the event's number within its entry; an entry's output is bounded far below.
const NUMBER_BITS: u32 = 16;

/// An event's place in the total order as one number; exact in a JSON reader's doubles for centuries.
pub fn seq(revision: Revision, number: u32) -> u64 {
    (revision.0 << NUMBER_BITS) | u64::from(number.min((1 << NUMBER_BITS) - 1))
}

/// The other way round.
pub fn place_of(seq: u64) -> (Revision, u32) {
    let number = (seq & ((1 << NUMBER_BITS) - 1)) as u32;
    (Revision(seq >> NUMBER_BITS), number)
}

pub fn event(seq: u64, time: Time, event: &Event, live: &dyn Live) -> types::Event {
    let data = event
        .data
        .iter()
        .map(|(name, value)| (name.clone(), datum(name, value, live)))
        .collect();
    types::Event {
        seq,
        time,
        subject: event.subject.to_string(),
        kind: event.kind.clone(),
        cause: event.cause.clone(),
        rule: event.rule.clone(),
        message: event.message.clone(),
        data: Value::Object(data),
    }
}

/// Kept as texts: numbers are shown as numbers, moments of log time in wall time. The name decides, so that a version
/// "2" stays the text it is.
fn datum(name: &str, value: &str, live: &dyn Live) -> Value {
    let shown = match name {
        "next_try" | "deadline" => log_time(value).map(|at| live.time(at).to_string().into()),
        "epoch" | "exit_code" | "generation" | "incarnation" | "ran_ms" | "sends" | "signal" => {
            value.parse::<i64>().ok().map(Value::from)
        }
        _ => None,
    };
    shown.unwrap_or_else(|| value.into())
}

/// `12.000345s`, as a log time prints itself.
fn log_time(text: &str) -> Option<Timestamp> {
    let (seconds, micros) = text.strip_suffix('s')?.split_once('.')?;
    let micros = (micros.len() == 6).then(|| micros.parse::<u64>().ok())??;
    let seconds = seconds.parse::<u64>().ok()?;
    Some(Timestamp(
        seconds.checked_mul(1_000_000)?.checked_add(micros)?,
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::present::sample::Sample;

    #[test]
    fn sequence_numbers_rise_and_lead_back() {
        assert!(seq(Revision(1), 7) < seq(Revision(1), 8));
        assert!(seq(Revision(1), u32::MAX) < seq(Revision(2), 0));
        assert_eq!(place_of(seq(Revision(70_000), 12)), (Revision(70_000), 12));
    }

    #[test]
    fn numbers_are_numbers_and_texts_that_look_like_one_are_texts() {
        let sample = Sample::new();
        let shown = |name, value| datum(name, value, sample.present().live);
        assert_eq!(shown("ran_ms", "0"), json!(0));
        assert_eq!(shown("exit_code", "-1"), json!(-1));
        assert_eq!(shown("incarnation", "3"), json!(3));
        assert_eq!(shown("version", "2"), json!("2"));
        assert_eq!(shown("text", "7"), json!("7"));
        assert_eq!(shown("ran_ms", "long"), json!("long"));
    }

    #[test]
    fn a_printed_log_time_is_read_back() {
        let at = Timestamp(12_000_345);
        assert_eq!(log_time(&at.to_string()), Some(at));
        assert_eq!(log_time("soon"), None);
    }
}
