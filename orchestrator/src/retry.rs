//! When an attempt that failed is followed by another.

use std::time::Duration;

use mainstay_protocol::Json;

use crate::fault::{Found, Pointer};
use crate::reader::Reader;

/// What a definition says of it; an activity's word counts before its type's, and that before the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retry {
    pub max_attempts: Option<u32>,
    pub first: Option<Duration>,
    pub max: Option<Duration>,
    pub factor: Option<u32>,
    pub jitter: Option<bool>,
    pub total_timeout: Option<Duration>,
}

/// What counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    pub max_attempts: u32,
    pub first: Duration,
    pub max: Duration,
    pub factor: u32,
    pub jitter: bool,
    pub total_timeout: Option<Duration>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 5,
            first: Duration::from_secs(1),
            max: Duration::from_secs(60),
            factor: 2,
            jitter: true,
            total_timeout: None,
        }
    }
}

impl Retry {
    pub(crate) fn read(at: Pointer, value: &Json, found: &mut Found) -> Self {
        let Some(mut reader) = Reader::new(at, value, found) else {
            return Self::default();
        };
        let retry = Self {
            max_attempts: bounded(&mut reader, "maxAttempts", 1_000),
            first: reader.span("first"),
            max: reader.span("max"),
            factor: bounded(&mut reader, "factor", 100),
            jitter: reader.bool("jitter"),
            total_timeout: reader.span("totalTimeout"),
        };
        if let (Some(first), Some(max)) = (retry.first, retry.max)
            && first > max
        {
            let text = format!(
                "{} is less than the first wait, {}",
                humantime::format_duration(max),
                humantime::format_duration(first)
            );
            let at = reader.at.key("max");
            reader.found.fault(&at, text);
        }
        reader.others();
        retry
    }

    /// Where this says nothing, the other counts.
    pub fn over(&self, policy: &RetryPolicy) -> RetryPolicy {
        RetryPolicy {
            max_attempts: self.max_attempts.unwrap_or(policy.max_attempts),
            first: self.first.unwrap_or(policy.first),
            max: self.max.unwrap_or(policy.max),
            factor: self.factor.unwrap_or(policy.factor),
            jitter: self.jitter.unwrap_or(policy.jitter),
            total_timeout: self.total_timeout.or(policy.total_timeout),
        }
    }
}

/// From 1 to this many.
fn bounded(reader: &mut Reader<'_>, key: &'static str, most: u32) -> Option<u32> {
    let count = reader.count(key)?;
    let fits = u32::try_from(count).ok();
    let fits = fits.filter(|count| (1..=most).contains(count));
    if fits.is_none() {
        let at = reader.at.key(key);
        let text = format!("{count} is not from 1 to {most}");
        reader.found.fault(&at, text);
    }
    fits
}

impl RetryPolicy {
    /// How long to wait after the attempt with this number, without jitter; None where no other follows.
    pub fn wait_after(&self, attempt: u32) -> Option<Duration> {
        if attempt >= self.max_attempts {
            return None;
        }
        let grows = attempt.saturating_sub(1);
        let factor = self.factor.saturating_pow(grows.min(31));
        Some(self.first.saturating_mul(factor).min(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // case: orchestrations 35
    #[test]
    fn waits_grow_to_the_longest_and_end_with_the_last_attempt() {
        let policy = RetryPolicy {
            max_attempts: 5,
            first: Duration::from_millis(10),
            max: Duration::from_millis(40),
            jitter: false,
            ..RetryPolicy::default()
        };
        let waits: Vec<Option<u128>> = (1..=5)
            .map(|attempt| policy.wait_after(attempt).map(|wait| wait.as_millis()))
            .collect();
        assert_eq!(waits, [Some(10), Some(20), Some(40), Some(40), None]);
    }

    #[test]
    fn a_wait_after_very_many_attempts_is_the_longest() {
        let policy = RetryPolicy {
            max_attempts: 1_000,
            factor: 100,
            ..RetryPolicy::default()
        };
        assert_eq!(policy.wait_after(999), Some(policy.max));
    }
}
