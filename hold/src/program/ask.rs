//! `ask` and `clear`: a slot looked at, or cleaned, by hand.

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use mainstay_hold::{Client, Event, Request, Slot, exit_code, processes};

const PATIENCE: Duration = Duration::from_secs(5);
/// Killed processes are gone within moments, unless the kernel cannot let them go.
const CLEARED_WITHIN: Duration = Duration::from_secs(10);

pub fn run(slot: &Path, request: &Request) -> ExitCode {
    let asked = || -> io::Result<()> {
        let follows = *request == Request::Subscribe;
        let patience = if follows { Duration::MAX } else { PATIENCE };
        let mut client = Client::connect(&Slot::at(slot), patience)?;
        let mut event = client.ask(request)?;
        loop {
            println!("{}", event.to_line());
            if !follows || matches!(event, Event::Exit(_)) {
                return Ok(());
            }
            event = client.hear()?;
        }
    };
    match asked() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "error: the hold of {} does not answer: {error}",
                slot.display()
            );
            ExitCode::from(exit_code::SLOT)
        }
    }
}

pub fn clear(slot: &Path) -> ExitCode {
    let cleared = || -> io::Result<usize> {
        let slot = Slot::at(std::fs::canonicalize(slot)?);
        let hold = slot.state()?.map(|state| state.hold);
        if hold.is_some_and(processes::lives) {
            return Err(io::Error::other(
                "its hold lives; ask it: mainstay-hold ask --slot DIR kill",
            ));
        }
        Ok(processes::clear(slot.path(), hold, CLEARED_WITHIN).len())
    };
    match cleared() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(left) => {
            eprintln!("error: {left} processes do not end");
            ExitCode::from(exit_code::BROKEN)
        }
        Err(error) => {
            eprintln!("error: {} cannot be cleared: {error}", slot.display());
            ExitCode::from(exit_code::SLOT)
        }
    }
}
