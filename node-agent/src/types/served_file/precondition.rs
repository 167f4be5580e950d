//! What a request wants of a file that may not have changed: nothing, all of it, or a part.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::header::{
    HeaderMap, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE,
};

/// A file as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    /// In quotes.
    pub(super) tag: String,
    pub(super) modified: SystemTime,
    pub(super) size: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    All,
    /// Both ends included.
    Part {
        first: u64,
        last: u64,
    },
    NotModified,
    /// It wants a version that is no more.
    Failed,
    /// It wants a part that the file does not have.
    NoSuchPart,
}

impl Version {
    pub(super) fn new(modified: SystemTime, size: u64) -> Self {
        let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            tag: format!("\"{:x}-{size:x}\"", since.as_nanos()),
            // As exact as the header can say it.
            modified: UNIX_EPOCH + Duration::from_secs(since.as_secs()),
            size,
        }
    }

    /// In the order of RFC 9110, section 13.2.2.
    pub(super) fn wanted(&self, headers: &HeaderMap) -> Wanted {
        if text(headers, &IF_MATCH).is_some_and(|tags| !self.is_one_of(tags, Likeness::Strong)) {
            return Wanted::Failed;
        }
        let unchanged = match text(headers, &IF_NONE_MATCH) {
            Some(tags) => self.is_one_of(tags, Likeness::Weak),
            None => date(headers, &IF_MODIFIED_SINCE).is_some_and(|since| self.modified <= since),
        };
        if unchanged {
            return Wanted::NotModified;
        }
        let whole = match text(headers, &IF_RANGE) {
            Some(tag) if tag.contains('"') => tag.trim() != self.tag,
            Some(_) => date(headers, &IF_RANGE) != Some(self.modified),
            None => false,
        };
        match text(headers, &RANGE).filter(|_| !whole) {
            Some(range) => self.part(range),
            None => Wanted::All,
        }
    }

    fn is_one_of(&self, tags: &str, likeness: Likeness) -> bool {
        tags.split(',').map(str::trim).any(|tag| {
            let weak = tag.strip_prefix("W/");
            match likeness {
                Likeness::Weak => weak.unwrap_or(tag) == self.tag || tag == "*",
                Likeness::Strong => tag == self.tag || tag == "*",
            }
        })
    }

    /// One range. Several at once, and what is no range, get the whole file, as the standard allows.
    fn part(&self, range: &str) -> Wanted {
        let Some((first, last)) = range
            .trim()
            .strip_prefix("bytes=")
            .and_then(|range| range.split_once('-'))
        else {
            return Wanted::All;
        };
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let (first, last) = match (first.trim(), last.trim()) {
            ("", count) => match number(count) {
                Some(count) => (
                    self.size.saturating_sub(count),
                    self.size.checked_sub(1).filter(|_| count > 0),
                ),
                None => return Wanted::All,
            },
            (first, "") => match number(first) {
                Some(first) => (first, self.size.checked_sub(1)),
                None => return Wanted::All,
            },
            (first, last) => match (number(first), number(last)) {
                (Some(first), Some(last)) if first <= last => {
                    (first, self.size.checked_sub(1).map(|end| end.min(last)))
                }
                _ => return Wanted::All,
            },
        };
        match last {
            Some(last) if first <= last => Wanted::Part { first, last },
            Some(_) | None => Wanted::NoSuchPart,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Likeness {
    /// The same content, near enough.
    Weak,
    /// The same bytes.
    Strong,
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(text(headers, name)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version() -> Version {
        Version::new(UNIX_EPOCH + Duration::from_millis(1_000_000_500), 100)
    }

    fn wanted(of: &Version, headers: &[(HeaderName, &str)]) -> Wanted {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect();
        of.wanted(&headers)
    }

    #[test]
    fn a_version_that_the_client_has_is_not_sent_again() {
        let now = version();
        let tag = now.tag.as_str();
        let weak = format!("\"other\", W/{tag}");
        let same = httpdate::fmt_http_date(now.modified);
        let before = httpdate::fmt_http_date(now.modified - Duration::from_secs(1));
        for (headers, expected) in [
            (vec![], Wanted::All),
            (vec![(IF_NONE_MATCH, tag)], Wanted::NotModified),
            (vec![(IF_NONE_MATCH, weak.as_str())], Wanted::NotModified),
            (vec![(IF_NONE_MATCH, "*")], Wanted::NotModified),
            (vec![(IF_NONE_MATCH, "\"other\"")], Wanted::All),
            (
                vec![(IF_MODIFIED_SINCE, same.as_str())],
                Wanted::NotModified,
            ),
            (vec![(IF_MODIFIED_SINCE, before.as_str())], Wanted::All),
            (vec![(IF_MODIFIED_SINCE, "yesterday")], Wanted::All),
            // The tag decides where there is one.
            (
                vec![
                    (IF_NONE_MATCH, "\"other\""),
                    (IF_MODIFIED_SINCE, same.as_str()),
                ],
                Wanted::All,
            ),
            (vec![(IF_MATCH, "\"other\"")], Wanted::Failed),
            (vec![(IF_MATCH, tag)], Wanted::All),
        ] {
            assert_eq!(wanted(&now, &headers), expected, "{headers:?}");
        }
        let touched = Version::new(now.modified + Duration::from_millis(1), 100);
        assert_ne!(touched.tag, now.tag);
    }

    #[test]
    fn a_part_is_one_that_the_file_has() {
        let now = version();
        let part = |first, last| Wanted::Part { first, last };
        for (range, expected) in [
            ("bytes=0-9", part(0, 9)),
            ("bytes=90-", part(90, 99)),
            ("bytes=90-1000", part(90, 99)),
            ("bytes=-10", part(90, 99)),
            ("bytes=-1000", part(0, 99)),
            ("bytes=99-99", part(99, 99)),
            ("bytes=100-", Wanted::NoSuchPart),
            ("bytes=100-200", Wanted::NoSuchPart),
            ("bytes=-0", Wanted::NoSuchPart),
            ("bytes=9-0", Wanted::All),
            ("bytes=0-1,5-6", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("bytes=-", Wanted::All),
            ("lines=0-9", Wanted::All),
            ("bytes=0-99999999999999999999", Wanted::All),
        ] {
            assert_eq!(wanted(&now, &[(RANGE, range)]), expected, "{range}");
        }
        assert_eq!(
            Version::new(UNIX_EPOCH, 0).part("bytes=0-"),
            Wanted::NoSuchPart
        );
        assert_eq!(
            Version::new(UNIX_EPOCH, 0).part("bytes=-5"),
            Wanted::NoSuchPart
        );
    }

    #[test]
    fn a_part_of_another_version_is_all_of_this_one() {
        let now = version();
        let same = httpdate::fmt_http_date(now.modified);
        let later = httpdate::fmt_http_date(now.modified + Duration::from_secs(9));
        let weak = format!("W/{}", now.tag);
        for (if_range, whole) in [
            (now.tag.as_str(), false),
            (weak.as_str(), true),
            ("\"other\"", true),
            (same.as_str(), false),
            (later.as_str(), true),
        ] {
            let got = wanted(&now, &[(RANGE, "bytes=0-0"), (IF_RANGE, if_range)]);
            assert_eq!(got == Wanted::All, whole, "{if_range}: {got:?}");
        }
    }
}
