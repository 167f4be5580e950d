//! `dev --detach`: the same cluster with a parent of its own session; returns when that says it is ready.

use std::env;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;

use mainstay_api::{Exit, Problem};

use crate::outcome::{Outcome, machine};

/// What a detached parent writes last, before it lets go of its streams.
pub const READY: u8 = 0;

pub fn run() -> Outcome {
    let program = env::current_exe().map_err(|error| machine("find this program", error))?;
    let words = env::args_os().skip(1).filter(|word| word != "--detach");
    let mut child = Command::new(&program)
        .args(words)
        .arg("--detached")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| machine(format!("start {}", program.display()), error))?;
    if pass_on(&mut child)? {
        return Ok(Exit::Ok);
    }
    let status = child
        .wait()
        .map_err(|error| machine("look after the dev cluster", error))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.and_then(Exit::from_code).unwrap_or(Exit::Bug))
}

/// What the parent says until it lets go: its own words are ours. Whether the last one was that it is ready.
fn pass_on(child: &mut Child) -> Result<bool, Problem> {
    let data = child
        .stdout
        .take()
        .expect("its output was asked to be a pipe");
    let talk = child
        .stderr
        .take()
        .expect("its error output was asked to be a pipe");
    let talker = thread::spawn(move || copy(talk, &mut io::stderr()));
    let ready = copy(data, &mut io::stdout());
    talker.join().map_err(|_panic| {
        machine(
            "read what the dev cluster says",
            "the reading thread panicked",
        )
    })?;
    Ok(ready)
}

/// To the end of what is read, also where nobody reads us any more. The sign of readiness is kept back.
fn copy(mut from: impl Read, to: &mut impl Write) -> bool {
    let mut bytes = [0; 4096];
    let mut ready = false;
    while let Ok(count) = from.read(&mut bytes) {
        if count == 0 {
            break;
        }
        let said = bytes[..count].strip_suffix(&[READY]);
        ready = said.is_some();
        let _ = to
            .write_all(said.unwrap_or(&bytes[..count]))
            .and_then(|()| to.flush());
    }
    ready
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_said_by_the_last_byte_alone() {
        let mut out = Vec::new();
        assert!(copy(&b"ready: n1\n\0"[..], &mut out));
        assert_eq!(out, b"ready: n1\n");
        assert!(!copy(&b"error\n"[..], &mut Vec::new()));
    }
}
