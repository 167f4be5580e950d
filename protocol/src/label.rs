//! What a label of a node may be called, and say: what can be written in a command, a file and a selector without quotes.

use std::fmt;

use crate::limits;

/// Why a text is no label's name, or no value of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLabel {
    what: &'static str,
    text: String,
}

impl fmt::Display for BadLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, text } = self;
        let max = limits::NODE_LABEL_BYTES_MAX;
        write!(
            f,
            "{text:?} is no {what}: write 1 to {max} letters (a to z, A to Z), digits and - . _ / : only, a letter or a digit first, as in rack=r7"
        )
    }
}

impl std::error::Error for BadLabel {}

pub fn name(text: &str) -> Result<(), BadLabel> {
    check("label's name", text)
}

pub fn value(text: &str) -> Result<(), BadLabel> {
    check("label's value", text)
}

/// Both of one label.
pub fn pair(key: &str, text: &str) -> Result<(), BadLabel> {
    name(key).and_then(|()| value(text))
}

fn check(what: &'static str, text: &str) -> Result<(), BadLabel> {
    let is_first = |byte: &u8| byte.is_ascii_alphanumeric();
    let is_of_one = |byte: &u8| is_first(byte) || b"-._/:".contains(byte);
    let bytes = text.as_bytes();
    let fits = bytes.len() <= limits::NODE_LABEL_BYTES_MAX;
    match fits && bytes.first().is_some_and(is_first) && bytes.iter().all(is_of_one) {
        true => Ok(()),
        false => Err(BadLabel {
            what,
            text: text.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_what_needs_no_quotes() {
        for good in [
            "rack",
            "topology.example.org/zone",
            "a",
            "7",
            "eu-west_1:b",
            &"x".repeat(limits::NODE_LABEL_BYTES_MAX),
        ] {
            assert_eq!(name(good), Ok(()));
            assert_eq!(value(good), Ok(()));
        }
        for bad in [
            "",
            " ",
            "a b",
            "é",
            "a,b",
            "a=b",
            "-a",
            "a\n",
            &"x".repeat(limits::NODE_LABEL_BYTES_MAX + 1),
        ] {
            assert!(name(bad).is_err(), "{bad:?}");
            assert!(value(bad).is_err(), "{bad:?}");
        }
    }
}
