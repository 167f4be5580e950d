//! Reads the members of an object, each by its name; what was not asked for is told of and kept.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_protocol::WorkName;
use mainstay_protocol::json::{Json, Shape};
use mainstay_protocol::words;

use crate::fault::{Found, Pointer};

/// An object that is being read.
pub struct Reader<'f> {
    pub at: Pointer,
    left: BTreeMap<String, Json>,
    known: Vec<&'static str>,
    pub found: &'f mut Found,
}

impl<'f> Reader<'f> {
    /// None where it is no object, which is told.
    pub fn new(at: Pointer, value: &Json, found: &'f mut Found) -> Option<Self> {
        if value.shape() != Shape::Object {
            let is = value.shape().with_article();
            found.fault(&at, format!("write an object; it is {is}"));
            return None;
        }
        Some(Self {
            at,
            left: value.members(),
            known: Vec::new(),
            found,
        })
    }

    /// As it was written; what is null was not.
    pub fn take(&mut self, key: &'static str) -> Option<(Pointer, Json)> {
        self.known.push(key);
        let value = self.left.remove(key)?;
        (value.shape() != Shape::Null).then(|| (self.at.key(key), value))
    }

    pub fn needed(&mut self, key: &'static str) -> Option<(Pointer, Json)> {
        let taken = self.take(key);
        if taken.is_none() {
            self.found.fault(&self.at.key(key), "is missing");
        }
        taken
    }

    pub fn text(&mut self, key: &'static str) -> Option<String> {
        let (at, value) = self.take(key)?;
        text(&at, &value, self.found)
    }

    pub fn bool(&mut self, key: &'static str) -> Option<bool> {
        let (at, value) = self.take(key)?;
        let is = value.as_bool();
        if is.is_none() {
            self.expected(&at, "true or false", &value);
        }
        is
    }

    pub fn object(&mut self, key: &'static str) -> Option<Json> {
        let (at, value) = self.take(key)?;
        if value.shape() != Shape::Object {
            self.expected(&at, "an object", &value);
            return None;
        }
        Some(value)
    }

    pub fn name(&mut self, key: &'static str) -> Option<WorkName> {
        let (at, value) = self.needed(key)?;
        name(&at, &value, self.found)
    }

    /// `500ms`, `30s`, `5m`.
    pub fn span(&mut self, key: &'static str) -> Option<Duration> {
        let (at, value) = self.take(key)?;
        let text = text(&at, &value, self.found)?;
        match humantime::parse_duration(&text) {
            Ok(span) if !span.is_zero() => Some(span),
            _ => {
                let why = format!("{text:?} is no time; write one as in 500ms, 30s, 5m");
                self.found.fault(&at, why);
                None
            }
        }
    }

    pub fn count(&mut self, key: &'static str) -> Option<u64> {
        let (at, value) = self.take(key)?;
        let count = value.as_count();
        if count.is_none() {
            self.expected(&at, "a whole number of 0 or more", &value);
        }
        count
    }

    pub fn expected(&mut self, at: &Pointer, what: &str, value: &Json) {
        expected(at, what, value, self.found);
    }

    /// What nobody asked for: a newer station may, so it is kept.
    pub fn others(self) -> BTreeMap<String, Json> {
        for key in self.left.keys() {
            let near = words::nearest(key, self.known.iter().copied());
            let meant = match near.first() {
                Some(near) => format!("; {near}?"),
                None => String::new(),
            };
            let text = format!("is not known to this version, and kept as it is{meant}");
            self.found.warn(&self.at.key(key), text);
        }
        self.left
    }
}

fn expected(at: &Pointer, what: &str, value: &Json, found: &mut Found) {
    let is = value.shape().with_article();
    found.fault(at, format!("write {what}; it is {is}"));
}

pub fn text(at: &Pointer, value: &Json, found: &mut Found) -> Option<String> {
    let text = value.as_text();
    if text.is_none() {
        expected(at, "a string", value, found);
    }
    text
}

pub fn name(at: &Pointer, value: &Json, found: &mut Found) -> Option<WorkName> {
    match WorkName::new(&text(at, value, found)?) {
        Ok(name) => Some(name),
        Err(bad) => {
            found.fault(at, bad.to_string());
            None
        }
    }
}
