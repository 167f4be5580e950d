//! The clock of what a hold does by itself, and the timer that wakes it for the next of it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, clock_gettime,
    timerfd_create, timerfd_settime,
};

use super::end::milliseconds;

pub struct Alarm {
    timer: OwnedFd,
    clock: ClockId,
}

/// Whether time in which the machine sleeps goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sleep {
    /// A lease goes on elsewhere while this machine sleeps.
    Counts,
    /// What a process is given to end in peace is time in which it can run.
    DoesNotCount,
}

impl Alarm {
    pub fn new(sleep: Sleep) -> io::Result<Self> {
        let (clock, timer) = match sleep {
            Sleep::Counts => (ClockId::Boottime, TimerfdClockId::Boottime),
            Sleep::DoesNotCount => (ClockId::Monotonic, TimerfdClockId::Monotonic),
        };
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(timer, flags)?;
        Ok(Self { timer, clock })
    }

    pub fn now_ms(&self) -> u64 {
        Duration::try_from(clock_gettime(self.clock)).map_or(0, milliseconds)
    }

    /// Readable from the time on for which it is set.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }

    /// For a time of its clock, in the place of what it was set for; past ones are readable at once.
    pub fn set(&self, due_ms: Option<u64>) {
        // Zero would be never.
        let due = due_ms.map_or(Duration::ZERO, |ms| Duration::from_millis(ms.max(1)));
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let time = Itimerspec {
            it_interval: zero,
            it_value: Timespec::try_from(due).unwrap_or(zero),
        };
        // Every time above is one for the kernel. Were it refused all the same, the hold's tick looks.
        let _ = timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};

    fn rings(alarm: &Alarm, within_ms: i64) -> bool {
        let pause = Timespec {
            tv_sec: within_ms / 1_000,
            tv_nsec: within_ms % 1_000 * 1_000_000,
        };
        let mut fds = [PollFd::new(&alarm.timer, PollFlags::IN)];
        poll(&mut fds, Some(&pause)).unwrap() == 1
    }

    #[test]
    fn an_alarm_rings_when_it_is_due_and_not_before() {
        for sleep in [Sleep::Counts, Sleep::DoesNotCount] {
            let alarm = Alarm::new(sleep).unwrap();
            assert!(!rings(&alarm, 0), "it was never set");
            let due_ms = alarm.now_ms() + 30;
            alarm.set(Some(due_ms));
            assert!(rings(&alarm, 10_000));
            assert!(alarm.now_ms() >= due_ms);
            for past in [0, 1, due_ms] {
                alarm.set(Some(past));
                assert!(rings(&alarm, 10_000), "{past}");
            }
            for never in [None, Some(u64::MAX)] {
                alarm.set(never);
                assert!(!rings(&alarm, 0), "{never:?}");
            }
        }
    }
}
