//! What is wrong with a definition: all of it at once, each with the place in the JSON where it stands.

use std::fmt;

/// Where something stands: an RFC 6901 pointer, `/activities/2/dependsOn/0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Pointer(String);

impl Pointer {
    pub fn root() -> Self {
        Self::default()
    }

    pub fn key(&self, key: &str) -> Self {
        let escaped = key.replace('~', "~0").replace('/', "~1");
        Self(format!("{}/{escaped}", self.0))
    }

    pub fn index(&self, at: usize) -> Self {
        Self(format!("{}/{at}", self.0))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One thing that is wrong, or odd.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    pub pointer: Pointer,
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str(&self.text),
            pointer => write!(f, "{pointer}: {}", self.text),
        }
    }
}

/// What was found: with a fault a definition is not taken, a warning is told and no more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    pub faults: Vec<Fault>,
    pub warnings: Vec<Fault>,
}

impl Found {
    pub fn fault(&mut self, at: &Pointer, text: impl Into<String>) {
        self.faults.push(fault(at, text));
    }

    pub fn warn(&mut self, at: &Pointer, text: impl Into<String>) {
        self.warnings.push(fault(at, text));
    }
}

fn fault(at: &Pointer, text: impl Into<String>) -> Fault {
    Fault {
        pointer: at.clone(),
        text: text.into(),
    }
}
