//! Exit codes of resource agents, and what each means for a start and for health: the tables of `docs/types.md`.

use std::fmt;

/// An exit code, by the meaning that the OCF gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    Success,
    Generic,
    Arguments,
    Unimplemented,
    Permissions,
    Installed,
    Configured,
    NotRunning,
    RunningPromoted,
    FailedPromoted,
    Degraded,
    DegradedPromoted,
    /// The OCF does not know it.
    Other(i32),
}

/// What an error says about trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// It may pass: tried again, and counted.
    Soft,
    /// It will not pass on this node.
    Hard,
    /// It will pass nowhere until the configuration changes.
    Fatal,
}

/// What `monitor` found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Running,
    /// It runs, with something that an operator should know.
    Limping,
    /// Cleanly: nothing of it is there.
    NotRunning,
    /// Neither running nor cleanly stopped, or not to be told.
    Failed(Severity),
}

impl Code {
    pub(super) fn of(code: i32) -> Self {
        match code {
            0 => Self::Success,
            1 => Self::Generic,
            2 => Self::Arguments,
            3 => Self::Unimplemented,
            4 => Self::Permissions,
            5 => Self::Installed,
            6 => Self::Configured,
            7 => Self::NotRunning,
            8 => Self::RunningPromoted,
            9 => Self::FailedPromoted,
            190 => Self::Degraded,
            191 => Self::DegradedPromoted,
            other => Self::Other(other),
        }
    }

    pub(super) fn number(self) -> i32 {
        match self {
            Self::Success => 0,
            Self::Generic => 1,
            Self::Arguments => 2,
            Self::Unimplemented => 3,
            Self::Permissions => 4,
            Self::Installed => 5,
            Self::Configured => 6,
            Self::NotRunning => 7,
            Self::RunningPromoted => 8,
            Self::FailedPromoted => 9,
            Self::Degraded => 190,
            Self::DegradedPromoted => 191,
            Self::Other(code) => code,
        }
    }

    /// Of an action that should have ended with success.
    pub(super) fn severity(self) -> Severity {
        match self {
            Self::Arguments | Self::Unimplemented | Self::Permissions | Self::Installed => {
                Severity::Hard
            }
            Self::Configured => Severity::Fatal,
            Self::Success
            | Self::Generic
            | Self::NotRunning
            | Self::RunningPromoted
            | Self::FailedPromoted
            | Self::Degraded
            | Self::DegradedPromoted
            | Self::Other(_) => Severity::Soft,
        }
    }

    /// Of `monitor`.
    pub(super) fn found(self) -> Found {
        match self {
            Self::Success => Found::Running,
            Self::RunningPromoted | Self::Degraded | Self::DegradedPromoted => Found::Limping,
            Self::NotRunning => Found::NotRunning,
            Self::Generic
            | Self::Arguments
            | Self::Unimplemented
            | Self::Permissions
            | Self::Installed
            | Self::Configured
            | Self::FailedPromoted
            | Self::Other(_) => Found::Failed(self.severity()),
        }
    }

    /// Whether `start` did what it is for.
    pub(super) fn started(self) -> bool {
        matches!(
            self,
            Self::Success | Self::RunningPromoted | Self::Degraded | Self::DegradedPromoted
        )
    }

    fn words(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Generic => "a general error",
            Self::Arguments => "a parameter is not valid on this node",
            Self::Unimplemented => "the script does not implement it",
            Self::Permissions => "a right is missing on this node",
            Self::Installed => "something is not installed on this node",
            Self::Configured => "the configuration is not valid",
            Self::NotRunning => "not running",
            Self::RunningPromoted => "running, and promoted by somebody",
            Self::FailedPromoted => "failed, and promoted by somebody",
            Self::Degraded => "running, degraded",
            Self::DegradedPromoted => "running, degraded, and promoted by somebody",
            Self::Other(_) => "no code of the OCF",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (OCF code {})", self.words(), self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_means_what_the_documentation_says() {
        use Found::{Failed, Limping, NotRunning, Running};
        use Severity::{Fatal, Hard, Soft};
        for (number, started, found, severity) in [
            (0, true, Running, Soft),
            (1, false, Failed(Soft), Soft),
            (2, false, Failed(Hard), Hard),
            (3, false, Failed(Hard), Hard),
            (4, false, Failed(Hard), Hard),
            (5, false, Failed(Hard), Hard),
            (6, false, Failed(Fatal), Fatal),
            (7, false, NotRunning, Soft),
            (8, true, Limping, Soft),
            (9, false, Failed(Soft), Soft),
            (190, true, Limping, Soft),
            (191, true, Limping, Soft),
            (10, false, Failed(Soft), Soft),
            (255, false, Failed(Soft), Soft),
        ] {
            let code = Code::of(number);
            assert_eq!(code.number(), number);
            assert_eq!(
                (code.started(), code.found(), code.severity()),
                (started, found, severity),
                "{code}"
            );
            assert!(code.to_string().contains(&format!("OCF code {number})")));
        }
    }
}
