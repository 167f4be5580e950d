//! A no: one condition that fails, with what was asked, what there is, and what would do.

use std::borrow::Cow;
use std::fmt;

use mainstay_protocol::code::Code;
use mainstay_protocol::room::{Bytes, Millicores, Rough};

/// One condition that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct No {
    pub code: Code,
    pub class: Class,
    /// The field of the wish that asks for it; empty where it is not for the wish to say.
    pub path: Cow<'static, str>,
    pub requested: Option<Value>,
    /// The most that could ever be had there.
    pub limit: Option<Value>,
    /// What is to be had now.
    pub available: Option<Value>,
    /// The smallest change of that field that would do on this node; none where others have to lift it, or nothing is free.
    pub fix: Option<Fix>,
    /// In words, where numbers do not say it.
    pub said: Option<String>,
}

/// What kind of no it is, and so what helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// What is asked for makes no sense. Another wish helps.
    Invalid,
    /// The node cannot do that.
    Unsupported,
    /// Somebody wants it so: labels, a cordon, affinity.
    Policy,
    /// Never, however empty the node.
    TooBig,
    /// Others have it: later, perhaps.
    NotNow,
    /// What it names is not there.
    Unresolved,
    /// Nothing that can be trusted is known.
    Unknown,
}

/// A value of a field, with its unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Millicores(u64),
    Bytes(u64),
    Port(u16),
    Text(String),
}

/// Another value for a field; none: leave it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    pub path: Cow<'static, str>,
    pub value: Option<Value>,
}

impl Class {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "INVALID",
            Self::Unsupported => "UNSUPPORTED",
            Self::Policy => "POLICY",
            Self::TooBig => "TOO_BIG",
            Self::NotNow => "NOT_NOW",
            Self::Unresolved => "UNRESOLVED",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl Value {
    pub fn unit(&self) -> &'static str {
        match self {
            Self::Millicores(_) => "millicores",
            Self::Bytes(_) => "bytes",
            Self::Port(_) => "port",
            Self::Text(_) => "text",
        }
    }

    pub(crate) fn amount(&self) -> Option<u64> {
        match self {
            Self::Millicores(amount) | Self::Bytes(amount) => Some(*amount),
            Self::Port(_) | Self::Text(_) => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Millicores(amount) => write!(f, "{}", Millicores(*amount)),
            Self::Bytes(amount) => write!(f, "{}", Rough(Bytes(*amount))),
            Self::Port(port) => write!(f, "{port}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// `needs.memory: 2GiB`, `target.all.rack left out`.
impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(Value::Bytes(amount)) => {
                // It is to be written into a file: exact, and not in single bytes where nobody would miss them.
                let amount = match *amount >> 30 {
                    0 => *amount,
                    _ => *amount >> 20 << 20,
                };
                write!(f, "{}: {}", self.path, Bytes(amount))
            }
            Some(value) => write!(f, "{}: {value}", self.path),
            None => write!(f, "{} left out", self.path),
        }
    }
}

/// Without the node's name: "8GiB of memory are needed, and 2GiB of 10GiB are free".
impl fmt::Display for No {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(said) = &self.said {
            return f.write_str(said);
        }
        let what = match self.path.rsplit('.').next() {
            Some(what @ ("cores" | "memory" | "disk")) => what,
            Some(_) | None => "it",
        };
        let Some(requested) = &self.requested else {
            return write!(f, "{}", self.code);
        };
        match (&self.available, &self.limit) {
            (Some(free), Some(offers)) => {
                write!(f, "{what}: {requested} needed, {free} free of {offers}")
            }
            (None, Some(offers)) => {
                write!(f, "{what}: {requested} needed, {offers} offered in all")
            }
            (_, None) => write!(f, "{what}: {requested} needed"),
        }
    }
}
