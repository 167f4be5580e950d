//! Names of orchestrations, of activity types, and of the activities of a definition.

use std::fmt;
use std::sync::Arc;

use mainstay_protocol::limits;
use thiserror::Error;

/// Of `A-Z a-z 0-9 . _ -`; any two that differ are two, also `a.b` and `a-b`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkName(Arc<str>);

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{text:?} is no name: write 1 to {most} of A to Z, a to z, 0 to 9, '.', '_' and '-'",
    text = .0,
    most = limits::WORK_NAME_BYTES_MAX
)]
pub struct BadWorkName(String);

impl WorkName {
    pub fn new(text: &str) -> Result<Self, BadWorkName> {
        let is_of_one = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let fits = (1..=limits::WORK_NAME_BYTES_MAX).contains(&text.len());
        match fits && text.bytes().all(is_of_one) {
            true => Ok(Self(text.into())),
            false => Err(BadWorkName(text.to_owned())),
        }
    }

    /// In the place of one that is wrong, so that what else is wrong is told as well; nobody can write it.
    pub(crate) fn unreadable() -> Self {
        Self("".into())
    }

    pub(crate) fn is_readable(&self) -> bool {
        !self.0.is_empty()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // case: orchestrations 12
    #[test]
    fn a_name_has_no_spaces_and_signs_and_is_not_empty() {
        for good in ["a.b", "a-b", "cnapi.wait_on_vm_ticket", "A", "0"] {
            assert_eq!(WorkName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a@b", "a#b", "ü", "a/b"] {
            let said = WorkName::new(bad).unwrap_err().to_string();
            assert!(said.contains("is no name"), "{said}");
        }
        assert_ne!(WorkName::new("a.b"), WorkName::new("a-b"));
    }
}
