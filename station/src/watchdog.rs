//! Ends the process when a call of the leader core does not come back: an endless loop in a rule must not leave a
//! station that looks alive. The log keeps what was committed.
//!
//! A user's rule that does this again and again would end every next life as well: which it was is written down
//! before the end, and a station that finds the same rule often enough starts without users' rules, and says so. A
//! program that was built anew begins with a clean sheet.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_coordinator::judging;
use mainstay_protocol::limits;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// In the station's directory.
const FILE: &str = "endless.json";
/// So many ends by the same rule are enough, whatever it looked at: a report that comes again is another subject.
const ENDS_MAX: usize = 3;

/// Knows since when a call is under way; zero is none.
#[derive(Debug, Clone)]
pub struct Watchdog {
    since: Arc<AtomicU64>,
    clock: Clock,
}

/// A call under way; ends with it.
pub struct Watched<'a>(&'a AtomicU64);

impl Watchdog {
    /// Watches until the last clone is gone. `within` is what a call may take.
    pub fn start(clock: Clock, directory: &Path, within: Duration) -> io::Result<Self> {
        let since = Arc::new(AtomicU64::new(0));
        let watched = Arc::downgrade(&since);
        let file = directory.join(FILE);
        std::thread::Builder::new()
            .name("core-watchdog".to_owned())
            .spawn(move || {
                while let Some(since) = watched.upgrade() {
                    look(&since, clock, within, &file);
                    drop(since);
                    std::thread::sleep(LOOK_EVERY);
                }
            })?;
        Ok(Self { since, clock })
    }

    pub fn enter(&self) -> Watched<'_> {
        self.since
            .store(self.clock.now().0.max(1), Ordering::Relaxed);
        Watched(&self.since)
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

fn look(since: &AtomicU64, clock: Clock, within: Duration, file: &Path) {
    let since = since.load(Ordering::Relaxed);
    let micros = clock.now().0.saturating_sub(since);
    if since == 0 || u128::from(micros) <= within.as_micros() {
        return;
    }
    let seconds = micros / 1_000_000;
    match judging::now() {
        Some(judgement) => {
            let (rule, subject) = (judgement.rule, judgement.subject.to_string());
            tracing::error!(
                seconds,
                rule,
                subject,
                "a rule does not come to an end; the process ends"
            );
            let end = End {
                rule: rule.to_owned(),
                subject,
                program: program(),
            };
            if let Err(error) = note(file, end) {
                tracing::error!(file = %file.display(), %error, "it cannot be noted");
            }
        }
        None => tracing::error!(
            seconds,
            "a call of the leader core does not come back; the process ends"
        ),
    }
    std::process::abort();
}

/// What a life of the station was doing when the watchdog ended it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    rule: String,
    subject: String,
    /// Which program it was: one built anew is another.
    program: String,
}

fn program() -> String {
    let known = std::env::current_exe().and_then(fs::metadata);
    known.map_or_else(
        |_| String::new(),
        |known| format!("{} bytes of {}", known.size(), known.mtime()),
    )
}

fn note(file: &Path, end: End) -> io::Result<()> {
    let mut ends = noted(file);
    ends.retain(|earlier| earlier.program == end.program);
    ends.push(end);
    // The last ones are all that is asked for.
    let surplus = ends.len().saturating_sub(limits::ENDS_NOTED_MAX);
    ends.drain(..surplus);
    let new: PathBuf = file.with_extension("new");
    fs::write(&new, serde_json::to_vec_pretty(&ends)?)?;
    fs::File::open(&new)?.sync_all()?;
    fs::rename(new, file)
}

/// Nothing, where there is no such file or it cannot be read: it is no reason not to start.
fn noted(file: &Path) -> Vec<End> {
    let bytes = fs::read(file).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Why users' rules are not to be run; none if they may.
pub fn reason_to_suspend(directory: &Path) -> Option<String> {
    let file = directory.join(FILE);
    let program = program();
    let mut ends = noted(&file);
    ends.retain(|end| end.program == program);
    let last = ends.last()?.clone();
    let times = ends.iter().filter(|end| end.rule == last.rule).count();
    (times >= ENDS_MAX).then(|| {
        format!(
            "the rule {} did not come to an end {times} times, at last over {}; users' rules run again with a program that was built anew, or when {} is removed",
            last.rule,
            last.subject,
            file.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(rule: &str, subject: &str) -> End {
        End {
            rule: rule.to_owned(),
            subject: subject.to_owned(),
            program: program(),
        }
    }

    #[test]
    fn the_same_rule_is_suspended_the_third_time() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(FILE);
        for (rule, subject) in [
            ("endless", "asked/1"),
            ("other", "web@n1"),
            ("endless", "asked/2"),
        ] {
            note(&file, end(rule, subject)).unwrap();
            assert_eq!(reason_to_suspend(directory.path()), None);
        }
        note(&file, end("endless", "web@n1")).unwrap();
        let why = reason_to_suspend(directory.path()).unwrap();
        assert!(why.contains("endless") && why.contains("web@n1"), "{why}");
    }

    #[test]
    fn a_program_built_anew_and_a_damaged_file_begin_with_a_clean_sheet() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(FILE);
        let old = End {
            program: "another".to_owned(),
            ..end("endless", "web@n1")
        };
        fs::write(
            &file,
            serde_json::to_vec(&vec![old.clone(), old.clone(), old]).unwrap(),
        )
        .unwrap();
        assert_eq!(reason_to_suspend(directory.path()), None);
        fs::write(&file, "[{").unwrap();
        assert_eq!(reason_to_suspend(directory.path()), None);
        note(&file, end("endless", "web@n1")).unwrap();
        assert_eq!(noted(&file).len(), 1);
    }
}
