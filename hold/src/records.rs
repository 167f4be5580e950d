//! What a hold says of its process: while it is there, and how it ended.

use std::fmt;
use std::str::FromStr;

use crate::fields::{BadFields, Fields};
use crate::processes::ProcessId;

/// The state file, and the answer to `state`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub instance: String,
    pub incarnation: String,
    /// The kernel's boot: process ids of another one mean nothing.
    pub boot_id: String,
    pub hold: ProcessId,
    pub process: Option<ProcessId>,
    pub phase: Phase,
    /// Its output had the line that says that it is ready.
    pub line_seen: bool,
    /// It said READY=1.
    pub ready: bool,
    /// What it said last with STATUS=.
    pub status: String,
    /// Since it last said WATCHDOG=1.
    pub watchdog_ms: Option<u64>,
    /// Lines that could not be written to the log.
    pub lines_lost: u64,
    /// When its lease runs out, or ran out, by the boot clock. None: it has none, or a hold that knows of none.
    pub lease_until_ms: Option<u64>,
}

/// How far a process has come; only ever moves down this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// From the hold's start until the program itself runs.
    Starting,
    Running,
    /// It was asked to stop, or its lease has run out.
    Stopping,
    /// It has ended; what it left is being killed.
    Clearing,
    /// Nothing is left.
    Ended,
}

/// The exit file, and the last event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    pub instance: String,
    pub incarnation: String,
    pub boot_id: String,
    pub process: Option<ProcessId>,
    pub how: How,
    /// A stop was asked for before it ended.
    pub asked: bool,
    /// The stop had to come to SIGKILL.
    pub killed: bool,
    /// Its lease had run out before its end was seen.
    pub lease_ran_out: bool,
    pub ran_ms: u64,
    /// Wall clock, for display.
    pub ended_unix_ms: u64,
    /// Of its descendants, killed because they were still there.
    pub leftovers: u32,
    pub lines_lost: u64,
    pub stderr_tail: String,
}

/// How a process came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    Code(i32),
    Signal(i32),
    /// The kernel killed it, or one of its own, for the group's memory.
    OutOfMemory {
        signal: Option<i32>,
        code: Option<i32>,
    },
    /// The program never ran: what was being done, the error's number, and in words.
    NotStarted {
        doing: String,
        errno: i32,
        text: String,
    },
}

const PHASES: [(&str, Phase); 5] = [
    ("starting", Phase::Starting),
    ("running", Phase::Running),
    ("stopping", Phase::Stopping),
    ("clearing", Phase::Clearing),
    ("ended", Phase::Ended),
];

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = PHASES.iter().find(|(_, phase)| phase == self);
        f.pad(name.map_or("", |(name, _)| name))
    }
}

impl FromStr for Phase {
    type Err = BadFields;
    fn from_str(text: &str) -> Result<Self, BadFields> {
        let phase = PHASES.iter().find(|(name, _)| *name == text);
        phase
            .map(|(_, phase)| *phase)
            .ok_or_else(|| BadFields(format!("\"{text}\" is no phase")))
    }
}

impl State {
    pub fn to_fields(&self) -> Fields {
        let mut fields = Fields::new()
            .with("instance", &self.instance)
            .with("incarnation", &self.incarnation)
            .with("boot", &self.boot_id)
            .with("hold", self.hold);
        fields.push_some("process", self.process);
        fields.push("phase", self.phase);
        fields.push("line-seen", u8::from(self.line_seen));
        fields.push("ready", u8::from(self.ready));
        fields.push("status", &self.status);
        fields.push_some("watchdog-ms", self.watchdog_ms);
        fields.push("lines-lost", self.lines_lost);
        fields.push_some("lease-until-ms", self.lease_until_ms);
        fields
    }

    pub fn from_fields(fields: &Fields) -> Result<Self, BadFields> {
        Ok(Self {
            instance: fields.text("instance")?,
            incarnation: fields.text("incarnation")?,
            boot_id: fields.text("boot")?,
            hold: fields.number("hold")?,
            process: fields.number_if_any("process")?,
            phase: fields.text("phase")?.parse()?,
            line_seen: fields.number::<u8>("line-seen")? != 0,
            ready: fields.number::<u8>("ready")? != 0,
            status: fields.text("status")?,
            watchdog_ms: fields.number_if_any("watchdog-ms")?,
            lines_lost: fields.number("lines-lost")?,
            lease_until_ms: fields.number_if_any("lease-until-ms")?,
        })
    }
}

impl Exit {
    pub fn to_fields(&self) -> Fields {
        let mut fields = Fields::new()
            .with("instance", &self.instance)
            .with("incarnation", &self.incarnation)
            .with("boot", &self.boot_id);
        fields.push_some("process", self.process);
        match &self.how {
            How::Code(code) => fields.push("code", code),
            How::Signal(signal) => fields.push("signal", signal),
            How::OutOfMemory { signal, code } => {
                fields.push("oom", 1);
                fields.push_some("signal", *signal);
                fields.push_some("code", *code);
            }
            How::NotStarted { doing, errno, text } => {
                fields.push("not-started", doing);
                fields.push("errno", errno);
                fields.push("text", text);
            }
        }
        fields.push("asked", u8::from(self.asked));
        fields.push("killed", u8::from(self.killed));
        if self.lease_ran_out {
            fields.push("lease-ran-out", 1);
        }
        fields
            .with("ran-ms", self.ran_ms)
            .with("ended-unix-ms", self.ended_unix_ms)
            .with("leftovers", self.leftovers)
            .with("lines-lost", self.lines_lost)
            .with("stderr", &self.stderr_tail)
    }

    pub fn from_fields(fields: &Fields) -> Result<Self, BadFields> {
        let signal = fields.number_if_any("signal")?;
        let code = fields.number_if_any("code")?;
        let how = if let Some(doing) = fields.get("not-started") {
            How::NotStarted {
                doing: doing.to_owned(),
                errno: fields.number("errno")?,
                text: fields.text("text")?,
            }
        } else if fields.get("oom").is_some() {
            How::OutOfMemory { signal, code }
        } else {
            match (code, signal) {
                (Some(code), _) => How::Code(code),
                (None, Some(signal)) => How::Signal(signal),
                (None, None) => {
                    return Err(BadFields("an exit has a code or a signal".to_owned()));
                }
            }
        };
        Ok(Self {
            instance: fields.text("instance")?,
            incarnation: fields.text("incarnation")?,
            boot_id: fields.text("boot")?,
            process: fields.number_if_any("process")?,
            how,
            asked: fields.number::<u8>("asked")? != 0,
            killed: fields.number::<u8>("killed")? != 0,
            // Left out by holds that know of no lease.
            lease_ran_out: fields.number_if_any("lease-ran-out")? == Some(1u8),
            ran_ms: fields.number("ran-ms")?,
            ended_unix_ms: fields.number("ended-unix-ms")?,
            leftovers: fields.number("leftovers")?,
            lines_lost: fields.number("lines-lost")?,
            stderr_tail: fields.text("stderr")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_comes_back_as_it_was_written() {
        let out_of_memory = How::OutOfMemory {
            signal: Some(9),
            code: None,
        };
        let not_started = How::NotStarted {
            doing: "running /bin/web".to_owned(),
            errno: 2,
            text: "No such file or directory".to_owned(),
        };
        for (how, lease_ran_out) in [
            (How::Code(1), false),
            (How::Signal(9), true),
            (out_of_memory, false),
            (not_started, true),
        ] {
            let exit = Exit {
                instance: "web@n1".to_owned(),
                incarnation: "0-4-1".to_owned(),
                boot_id: "b".to_owned(),
                process: Some(ProcessId { pid: 7, started: 8 }),
                how,
                asked: true,
                killed: false,
                lease_ran_out,
                ran_ms: 12,
                ended_unix_ms: 13,
                leftovers: 2,
                lines_lost: 3,
                stderr_tail: "oh\nno %".to_owned(),
            };
            let fields = Fields::from_file(&exit.to_fields().to_file()).unwrap();
            // As holds without leases write it.
            assert_eq!(fields.get("lease-ran-out").is_some(), lease_ran_out);
            assert_eq!(Exit::from_fields(&fields), Ok(exit));
        }
    }

    #[test]
    fn a_state_comes_back_as_it_was_written() {
        for (process, phase, watchdog_ms, lease_until_ms) in [
            (None, Phase::Starting, None, None),
            (
                Some(ProcessId { pid: 7, started: 8 }),
                Phase::Clearing,
                Some(9),
                Some(10),
            ),
        ] {
            let state = State {
                instance: "web@n1".to_owned(),
                incarnation: "1".to_owned(),
                boot_id: "b".to_owned(),
                hold: ProcessId { pid: 1, started: 2 },
                process,
                phase,
                line_seen: true,
                ready: false,
                status: "2 of 3".to_owned(),
                watchdog_ms,
                lines_lost: 0,
                lease_until_ms,
            };
            let line = state.to_fields().to_line("state");
            let (_, fields) = Fields::from_line(&line).unwrap();
            assert_eq!(State::from_fields(&fields), Ok(state));
        }
    }
}
