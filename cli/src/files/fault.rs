//! What is wrong with files: one line each, as compilers write it, so that editors find the place.

use std::fmt;
use std::sync::Arc;

use mainstay_protocol::limits;
use mainstay_protocol::words::nearest;
use serde::Serialize;

use super::tree::Place;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fault {
    /// The order in which the files were given.
    #[serde(skip)]
    pub source: usize,
    /// Null of a file that could not be read at all.
    pub line: Option<usize>,
    pub column: Option<usize>,
    /// `-` for standard input.
    pub file: Arc<str>,
    /// Where in the document: `policy.backoff.max`; empty for the document itself.
    pub path: String,
    pub why: String,
    pub nearest: Vec<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        f.write_str(": ")?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.why)?;
        if !self.nearest.is_empty() {
            write!(f, " (nearest: {})", self.nearest.join(", "))?;
        }
        Ok(())
    }
}

/// The faults of one file while it is read.
pub struct Faults {
    source: usize,
    file: Arc<str>,
    list: Vec<Fault>,
    /// Those beyond `limits::FILE_FAULTS_MAX`.
    more: usize,
}

impl Faults {
    pub fn new(source: usize, file: &str) -> Self {
        Self {
            source,
            file: file.into(),
            list: Vec::new(),
            more: 0,
        }
    }

    pub fn add(&mut self, at: Place, why: impl Into<String>) {
        self.full(at, String::new(), why, Vec::new());
    }

    /// A wrong word among known ones.
    pub fn unknown(&mut self, at: Place, why: impl Into<String>, wrong: &str, known: &[&str]) {
        let near = nearest(wrong, known.iter().copied());
        self.full(at, String::new(), why, near);
    }

    pub fn full(&mut self, at: Place, path: String, why: impl Into<String>, nearest: Vec<String>) {
        if self.list.len() >= limits::FILE_FAULTS_MAX {
            self.more += 1;
            return;
        }
        self.list.push(Fault {
            source: self.source,
            line: Some(at.line),
            column: Some(at.column),
            file: Arc::clone(&self.file),
            path,
            why: why.into(),
            nearest,
        });
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn count(&self) -> usize {
        self.list.len() + self.more
    }

    /// In the order of the text, and how many were too many to keep.
    pub fn done(mut self) -> (Vec<Fault>, usize) {
        self.list.sort();
        self.list.dedup();
        (self.list, self.more)
    }
}
