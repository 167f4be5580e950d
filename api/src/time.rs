//! Times as people read them: RFC 3339 UTC. Log time becomes wall time through anchors, for display only.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mainstay_protocol::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use mainstay_protocol::limits;

/// A moment of wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    pub wall_ms: u64,
}

impl Time {
    pub fn from_wall_ms(wall_ms: u64) -> Self {
        Self { wall_ms }
    }

    pub fn system(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.wall_ms)
    }
}

/// How long something took: `420 ms`, `17.1 s`.
pub fn span(took: Duration) -> String {
    let ms = took.as_millis();
    // What rounds to a second is one: `999 ms` says nothing that `1.0 s` does not.
    if ms < 950 {
        return format!("{ms} ms");
    }
    let tenths = (ms + 50) / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

/// `2026-11-21T05:36:43.120Z`
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Beyond the year 9999 there is no such text; whatever claims it is damaged.
        let shown = UNIX_EPOCH + Duration::from_millis(self.wall_ms.min(WALL_MS_MAX));
        f.pad(&humantime::format_rfc3339_millis(shown).to_string())
    }
}

/// 9999-12-31T23:59:59Z.
const WALL_MS_MAX: u64 = 253_402_300_799_000;

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let time = humantime::parse_rfc3339(&text).map_err(de::Error::custom)?;
        let since = time.duration_since(UNIX_EPOCH).map_err(de::Error::custom)?;
        Ok(Self {
            wall_ms: since.as_millis() as u64,
        })
    }
}

/// Where log time was pinned to wall time. Log time stands still without a leader and the wall may be set, so one
/// offset is not enough: a moment is read from the last anchor at or before it.
#[derive(Debug, Clone, Default)]
pub struct WallClock {
    anchors: VecDeque<(Timestamp, u64)>,
}

/// The two clocks may drift so far apart before a new anchor is set.
const DRIFT_MS_MAX: u64 = 500;

impl WallClock {
    /// A committed entry says what the wall showed at a log time.
    pub fn pin(&mut self, log_time: Timestamp, wall_ms: u64) {
        let known = self.anchors.back();
        if known.is_some_and(|(last, _)| *last > log_time) {
            return;
        }
        if known.is_some() && self.at(log_time).wall_ms.abs_diff(wall_ms) <= DRIFT_MS_MAX {
            return;
        }
        if self.anchors.len() == limits::WALL_ANCHORS_MAX {
            self.anchors.pop_front();
        }
        self.anchors.push_back((log_time, wall_ms));
    }

    pub fn at(&self, log_time: Timestamp) -> Time {
        let after = self.anchors.partition_point(|(at, _)| *at <= log_time);
        let anchor = match after.checked_sub(1) {
            Some(index) => self.anchors.get(index),
            None => self.anchors.front(),
        };
        let (pinned, wall_ms) = anchor.copied().unwrap_or_default();
        let wall_ms = if log_time >= pinned {
            wall_ms.saturating_add((log_time.0 - pinned.0) / 1000)
        } else {
            wall_ms.saturating_sub((pinned.0 - log_time.0) / 1000)
        };
        Time { wall_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn spans_are_rounded_to_what_matters() {
        let shown = |ms| span(Duration::from_millis(ms));
        assert_eq!(
            [shown(420), shown(999), shown(17_070), shown(59_999)],
            ["420 ms", "1.0 s", "17.1 s", "60.0 s"]
        );
    }

    #[test]
    fn a_time_is_written_in_rfc_3339_and_read_back() {
        let time = Time::from_wall_ms(1_700_000_000_123);
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(json, "\"2023-11-14T22:13:20.123Z\"");
        assert_eq!(serde_json::from_str::<Time>(&json).unwrap(), time);
        assert!(serde_json::from_str::<Time>("\"yesterday\"").is_err());
    }

    #[test]
    fn a_damaged_time_is_shown_and_does_not_panic() {
        assert!(Time::from_wall_ms(u64::MAX).to_string().starts_with("9999"));
    }

    #[test]
    fn an_hour_without_a_leader_does_not_move_what_was_before_it() {
        let mut clock = WallClock::default();
        clock.pin(Timestamp(10 * SECOND), 1_000_000);
        clock.pin(Timestamp(11 * SECOND), 1_001_000);
        clock.pin(Timestamp(12 * SECOND), 4_601_000);
        assert_eq!(clock.at(Timestamp(9 * SECOND)).wall_ms, 999_000);
        assert_eq!(clock.at(Timestamp(11 * SECOND)).wall_ms, 1_001_000);
        assert_eq!(clock.at(Timestamp(13 * SECOND)).wall_ms, 4_602_000);
    }
}
