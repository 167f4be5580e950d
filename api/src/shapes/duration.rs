//! Times as people write them in specifications: `500ms`, `30s`, `10m`, `1h 30m`.

use std::fmt;
use std::time::Duration;

/// Why a text is no time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadDuration(String);

impl fmt::Display for BadDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is no time: write a number with its unit, as in 500ms, 30s, 10m, 2h",
            self.0
        )
    }
}

impl std::error::Error for BadDuration {}

/// Milliseconds of a text. Nothing finer is kept, so nothing finer is taken.
pub fn duration(text: &str) -> Result<u64, BadDuration> {
    let bad = || BadDuration(text.to_owned());
    let parsed = humantime::parse_duration(text).map_err(|_| bad())?;
    if parsed.subsec_nanos() % 1_000_000 != 0 {
        return Err(bad());
    }
    u64::try_from(parsed.as_millis()).map_err(|_| bad())
}

/// The text that `duration` reads back; the largest units that are exact.
pub fn duration_text(ms: u64) -> String {
    humantime::format_duration(Duration::from_millis(ms)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for (text, ms) in [("500ms", 500), ("30s", 30_000), ("1h 30m", 5_400_000)] {
            assert_eq!(duration(text), Ok(ms));
            assert_eq!(duration(&duration_text(ms)), Ok(ms));
        }
        assert_eq!(duration_text(0), "0s");
        assert_eq!(duration_text(600_000), "10m");
    }

    #[test]
    fn what_is_no_time_says_how_to_write_one() {
        for text in [
            "10",
            "",
            "ten minutes",
            "-5s",
            "10x",
            "5us",
            "99999999999999999999s",
        ] {
            let why = duration(text).unwrap_err().to_string();
            assert!(why.contains("10m") && why.contains(text), "{why}");
        }
    }
}
