//! Exit codes: part of the contract, one for each way a command can end.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Exit {
    Ok = 0,
    /// A defect of Mainstay.
    Bug = 1,
    /// Usage, or an invalid specification.
    Usage = 2,
    NotFound = 3,
    /// A conflict, or a stale plan.
    Conflict = 4,
    NotAllowed = 5,
    NoServer = 6,
    NoQuorum = 7,
    TimedOut = 8,
    TargetFailed = 9,
    /// Refused by a safety rule.
    Refused = 10,
    ChangesPending = 11,
    NotHealthy = 12,
    VersionMismatch = 13,
    Interrupted = 130,
}

impl Exit {
    pub const ALL: [Self; 15] = [
        Self::Ok,
        Self::Bug,
        Self::Usage,
        Self::NotFound,
        Self::Conflict,
        Self::NotAllowed,
        Self::NoServer,
        Self::NoQuorum,
        Self::TimedOut,
        Self::TargetFailed,
        Self::Refused,
        Self::ChangesPending,
        Self::NotHealthy,
        Self::VersionMismatch,
        Self::Interrupted,
    ];

    pub fn code(self) -> u8 {
        self as u8
    }

    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| exit.code() == code)
    }

    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Bug => "bug",
            Self::Usage => "usage or invalid spec",
            Self::NotFound => "not found",
            Self::Conflict => "conflict or stale plan",
            Self::NotAllowed => "not allowed",
            Self::NoServer => "no server reachable",
            Self::NoQuorum => "no quorum",
            Self::TimedOut => "wait timed out",
            Self::TargetFailed => "target failed",
            Self::Refused => "refused by a safety rule",
            Self::ChangesPending => "changes pending",
            Self::NotHealthy => "not healthy",
            Self::VersionMismatch => "version mismatch",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl Serialize for Exit {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(self.code())
    }
}

impl<'de> Deserialize<'de> for Exit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let code = u8::deserialize(from)?;
        Self::from_code(code).ok_or_else(|| de::Error::custom(format!("{code} is no exit code")))
    }
}
