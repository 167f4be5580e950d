//! The end of a process: clearing what it left, telling how it ended, and only then ending the hold.

use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mainstay_hold::{Event, Exit, Fields, How, Phase, exit_code, limits, processes};
use rustix::io::Errno;
use rustix::process::{Signal, WaitOptions, WaitStatus, wait};

use super::hold::Hold;
use super::memory::Group;

/// The second stage's last words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotStarted {
    doing: String,
    errno: i32,
    text: String,
}

pub fn not_started(report: &[u8]) -> Option<NotStarted> {
    let report = String::from_utf8_lossy(report);
    let (_, fields) = Fields::from_line(&report).ok()?;
    Some(NotStarted {
        doing: fields.text("doing").ok()?,
        errno: fields.number("errno").ok()?,
        text: fields.text("text").ok()?,
    })
}

/// What allocators and runtimes say when they are given no more memory.
const OUT_OF_MEMORY: [&str; 6] = [
    "out of memory",
    "cannot allocate memory",
    "memory allocation of",
    "memory exhausted",
    "memoryerror",
    "bad_alloc",
];

impl Hold {
    /// Kills and reaps what the process left: all of it was left to us, the reaper. True: nothing is left. That it takes
    /// time is worth a word, not what is over at once.
    pub(super) fn clear(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((_, status))) => self.reaped(status),
                Ok(None) => break,
                Err(error) => return error == Errno::CHILD,
            }
        }
        if self.state.phase != Phase::Clearing {
            self.state.phase = Phase::Clearing;
            self.news();
        }
        // What these have for children becomes ours as soon as they are gone: then it is their turn.
        let itself = std::process::id();
        for seen in processes::all() {
            if seen.parent == itself && seen.state != 'Z' {
                processes::signal(seen.id, Signal::KILL);
            }
        }
        self.clearing_ms = (self.clearing_ms * 2).min(limits::CLEARING_MS_MAX);
        false
    }

    /// Nothing is left of it.
    pub(super) fn end(mut self, buffer: &mut [u8]) -> ExitCode {
        self.read_report();
        self.drain(buffer);
        let exit = self.exit();
        if let Some(group) = &self.group {
            group.remove();
        }
        loop {
            let written = self.slot.write_exit(&exit);
            self.state.phase = Phase::Ended;
            self.news();
            let farewell = Duration::from_millis(limits::FAREWELL_MS);
            let told = self.clients.farewell(&Event::Exit(exit.clone()), farewell);
            // How it ended is known to nobody but us: somebody must have it, on disk or in hand.
            if written.is_ok() || told || self.is_abandoned() {
                return ExitCode::from(exit_code::ENDED);
            }
            sleep(Duration::from_millis(limits::TICK_MS));
            self.clients.accept();
        }
    }

    fn exit(&mut self) -> Exit {
        let (status, ended) = self.status.expect("it ends after its process");
        let stderr_tail = self.process.streams[1].tail();
        let ran = ended.saturating_duration_since(self.began);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Exit {
            instance: self.spec.instance.clone(),
            incarnation: self.spec.incarnation.clone(),
            boot_id: self.state.boot_id.clone(),
            process: self.state.process,
            how: self.how(status, &stderr_tail),
            asked: self.stop.asked,
            killed: self.stop.killed,
            lease_ran_out: self.stop.lease_ran_out(),
            ran_ms: milliseconds(ran),
            ended_unix_ms: now.map_or(0, milliseconds),
            leftovers: self.leftovers,
            lines_lost: self.log.lines_lost,
            stderr_tail,
        }
    }

    fn how(&mut self, status: WaitStatus, stderr_tail: &str) -> How {
        if let Some(NotStarted { doing, errno, text }) = self.not_started.take() {
            return How::NotStarted { doing, errno, text };
        }
        let (code, signal) = (status.exit_status(), status.terminating_signal());
        if code != Some(0) && !self.stop.killed && self.ran_out_of_memory(stderr_tail) {
            return How::OutOfMemory { signal, code };
        }
        match (code, signal) {
            (Some(code), _) => How::Code(code),
            (None, signal) => How::Signal(signal.unwrap_or_default()),
        }
    }

    /// Seen by the group's count of kills; or, under a limit of its address space, where the kernel only refuses, by
    /// what the program said when it was refused.
    fn ran_out_of_memory(&self, stderr_tail: &str) -> bool {
        let killed = self.group.as_ref().is_some_and(Group::ran_out);
        let refused = || {
            let said = stderr_tail.to_lowercase();
            OUT_OF_MEMORY.iter().any(|words| said.contains(words))
        };
        killed || (self.spec.limits.address_space_bytes.is_some() && refused())
    }
}

pub(super) fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_stages_words_are_read_and_silence_is_a_start() {
        let line = b"cannot doing=running%20/x errno=2 text=No%20such%20file";
        let cannot = not_started(line).unwrap();
        assert_eq!((cannot.doing.as_str(), cannot.errno), ("running /x", 2));
        assert_eq!(not_started(b""), None);
    }
}
