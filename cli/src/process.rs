//! Processes by number and start time: a number alone may be somebody else's by now.

use std::fs;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::home::ProcessId;

/// The calling process.
pub fn own() -> ProcessId {
    let pid = std::process::id();
    ProcessId {
        pid,
        started: started(pid).unwrap_or_default(),
    }
}

/// A child that was just spawned and not waited for, so that its number is still its own.
pub fn of_child(pid: u32) -> ProcessId {
    ProcessId {
        pid,
        started: started(pid).unwrap_or_default(),
    }
}

pub fn is_alive(process: ProcessId) -> bool {
    started(process.pid) == Some(process.started) && !is_zombie(process.pid)
}

/// A handle on a living process; none if it has ended.
pub fn open(process: ProcessId) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(process.pid).ok()?)?;
    let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    // Looked at after the handle was taken: whoever has this start time now is whom the handle means.
    is_alive(process).then_some(handle)
}

pub fn signal(handle: &OwnedFd, signal: Signal) {
    // Fails only where it has ended meanwhile, which is what a signal is for.
    let _ = pidfd_send_signal(handle, signal);
}

/// Whether the process ended within the time.
pub fn ended_within(handle: &OwnedFd, time: Duration) -> bool {
    let timeout = Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    };
    let mut fds = [PollFd::new(handle, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&timeout)), Ok(ready) if ready > 0)
}

/// Field 22 of `/proc/PID/stat`; the command's name before it may hold anything, also spaces and brackets.
fn started(pid: u32) -> Option<u64> {
    fields(pid)?.get(19)?.parse().ok()
}

fn is_zombie(pid: u32) -> bool {
    fields(pid).is_some_and(|fields| fields.first().is_some_and(|state| state == "Z"))
}

/// The fields after the command's name: state first.
fn fields(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start_time() {
        let own = own();
        assert!(is_alive(own));
        let other = ProcessId {
            started: own.started + 1,
            ..own
        };
        assert!(!is_alive(other));
        assert!(open(other).is_none());
        let handle = open(own).unwrap();
        assert!(!ended_within(&handle, Duration::ZERO));
    }

    #[test]
    fn an_ended_child_is_seen_before_it_is_waited_for() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = Pid::from_child(&child);
        let handle = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        assert!(ended_within(&handle, Duration::from_secs(10)));
        assert!(!is_alive(of_child(child.id())));
        child.wait().unwrap();
    }
}
