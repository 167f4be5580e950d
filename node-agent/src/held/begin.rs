//! Starts a hold, or finds the one that an earlier life of the agent started.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mainstay_hold::{Fields, ProcessId, Spec, State, limits, processes};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use super::follow::follow;
use super::{Held, Over};

/// A hold says how it went before its process runs. A machine may be busy.
const UP_WITHIN: Duration = Duration::from_secs(20);

/// Why there is no hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum NotBegun {
    /// Somebody has the slot.
    #[error("{0}")]
    NameHeld(String),
    #[error("{0}")]
    Broken(String),
}

impl Held {
    /// Starts a hold that starts the process. In a task of its own: whoever waits may go away, and what is begun is
    /// still known to `clear`.
    pub(crate) async fn begin(self: &Arc<Self>, hold: &Path, spec: Spec) -> Result<(), NotBegun> {
        self.begun.store(true, Ordering::Release);
        let (held, hold) = (Arc::clone(self), hold.to_owned());
        let begun = tokio::spawn(async move {
            match bring_up(&held, &hold, &spec).await {
                Ok(hold) => {
                    held.known(hold);
                    tokio::spawn(follow(held, hold));
                    Ok(())
                }
                Err(error) => {
                    held.over.send_replace(Some(Over::NotBegun));
                    Err(error)
                }
            }
        });
        begun
            .await
            .unwrap_or_else(|error| Err(NotBegun::Broken(error.to_string())))
    }

    /// Follows the hold that the slot's state names, whether it lives or not.
    pub(crate) fn attach(self: &Arc<Self>) -> io::Result<()> {
        self.begun.store(true, Ordering::Release);
        let state = self.slot.state()?.filter(|state| {
            state.incarnation == self.incarnation
                && processes::boot_id().is_ok_and(|boot| boot == state.boot_id)
        });
        let Some(state) = state else {
            self.over.send_replace(Some(Over::NotBegun));
            let text = "its slot speaks of another incarnation";
            return Err(io::Error::new(ErrorKind::NotFound, text));
        };
        let hold = state.hold;
        self.state.send_replace(Some(state));
        tokio::spawn(follow(Arc::clone(self), hold));
        Ok(())
    }

    /// What is in the slot, or as much as is known: whoever waits for a hold waits for this.
    fn known(&self, hold: ProcessId) {
        let written = self.slot.state().ok().flatten();
        let state = written.filter(|state| state.hold == hold);
        self.state.send_if_modified(|known| {
            let first = known.is_none() && state.is_some();
            if first {
                known.clone_from(&state);
            }
            first
        });
    }
}

/// The hold is up, and has the name.
async fn bring_up(held: &Held, program: &Path, spec: &Spec) -> Result<ProcessId, NotBegun> {
    let slot = &held.slot;
    let doing = |what: &str, error: &dyn std::fmt::Display| {
        NotBegun::Broken(format!("{what} {}: {error}", slot.path().display()))
    };
    // Only whoever has the lock writes in a slot; the hold then takes it for good.
    let lock = slot
        .lock_within(Duration::from_millis(limits::LOCK_PATIENCE_MS))
        .map_err(|error| doing("locking the slot", &error))?;
    let Some(lock) = lock else {
        return Err(NotBegun::NameHeld(holder_of(held)));
    };
    slot.write_spec(spec)
        .map_err(|error| doing("writing into the slot", &error))?;
    drop(lock);
    let mut child = Command::new(program)
        .arg("run")
        .arg("--slot")
        .arg(slot.path())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| NotBegun::Broken(cannot_run(program, &error)))?;
    let output = child
        .stdout
        .take()
        .expect("its output was asked to be a pipe");
    let mut first = String::new();
    let heard = timeout(UP_WITHIN, BufReader::new(output).read_line(&mut first)).await;
    // Ours while this agent lives: somebody has to wait for it.
    tokio::spawn(async move { child.wait().await });
    match heard {
        Ok(Ok(_)) => up(held, first.trim_end(), spec),
        Ok(Err(error)) => Err(doing("hearing the hold of", &error)),
        Err(_) => Err(doing("waiting for the hold of", &"it says nothing")),
    }
}

fn up(held: &Held, line: &str, spec: &Spec) -> Result<ProcessId, NotBegun> {
    let (word, fields) = Fields::from_line(line)
        .map_err(|error| NotBegun::Broken(format!("the hold said \"{line}\": {error}")))?;
    let text = || fields.text("text").unwrap_or_else(|_| line.to_owned());
    match word {
        "up" => {
            let hold = fields.number("hold");
            let hold = hold.map_err(|error| NotBegun::Broken(error.to_string()))?;
            let state = held.slot.state().ok().flatten();
            if state.is_none_or(|State { incarnation, .. }| incarnation == spec.incarnation) {
                return Ok(hold);
            }
            // Somebody was quicker, twice: what runs is theirs.
            Err(NotBegun::NameHeld(holder_of(held)))
        }
        "held" => Err(NotBegun::NameHeld(text())),
        _ => Err(NotBegun::Broken(text())),
    }
}

fn holder_of(held: &Held) -> String {
    let name = held.slot.name();
    match held.slot.state() {
        Ok(Some(state)) if processes::lives(state.hold) => format!(
            "the name {name} is held by {}, process {}",
            state.instance,
            state.process.map_or(0, |process| process.pid)
        ),
        Ok(_) | Err(_) => format!("the name {name} is held by somebody on this node"),
    }
}

fn cannot_run(program: &Path, error: &io::Error) -> String {
    format!(
        "the program that holds outside processes, {}, cannot be run: {error}; it belongs beside the agent's own, or where \
         `agent run --hold` says",
        program.display()
    )
}

/// Beside the agent's own program, unless it is said.
pub(crate) fn hold_program(said: Option<PathBuf>) -> PathBuf {
    const NAME: &str = "mainstay-hold";
    said.unwrap_or_else(|| {
        let beside = std::env::current_exe()
            .ok()
            .and_then(|own| Some(own.parent()?.join(NAME)));
        beside.unwrap_or_else(|| PathBuf::from(NAME))
    })
}
