//! `guard`: outlives whoever started it by a moment, and kills what carries a mark, containers too. Who is killed cannot
//! end what he began, so this one waits beside him: the other end of its input is his alone, and the kernel closes it with
//! his end, whatever that was.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mainstay_hold::{GUARD_VARIABLE, exit_code, processes};
use rustix::process::Signal;

use super::containers;

/// What was on its way when its parent ended does not carry the mark yet: it has that with its program.
const QUIET: Duration = Duration::from_secs(1);
/// Killed processes are gone within moments, unless the kernel cannot let them go; an engine may be busy.
const CLEARED_WITHIN: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);
/// Where engines are asked: each question is a process.
const ENGINE_PAUSE: Duration = Duration::from_millis(200);

pub fn run(mark: &str, engines: &[Vec<String>]) -> ExitCode {
    until_alone();
    match cleared(mark, engines) {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(exit_code::BROKEN),
    }
}

/// Says that it is there, and waits for the end of its input.
fn until_alone() {
    let mut output = io::stdout();
    let said = writeln!(output, "guards").and_then(|()| output.flush());
    if said.is_err() {
        // Who would have heard it has ended already.
        return;
    }
    let mut input = io::stdin().lock();
    let mut bytes = [0; 64];
    loop {
        match input.read(&mut bytes) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // One that cannot be read any more has no other end either.
            Err(_) => return,
        }
    }
}

/// False: something hangs in the kernel, or an engine does not answer.
fn cleared(mark: &str, engines: &[Vec<String>]) -> bool {
    let pause = match engines.is_empty() {
        true => PAUSE,
        false => ENGINE_PAUSE,
    };
    let began = Instant::now();
    let mut last_seen = began;
    while last_seen.elapsed() < QUIET {
        let left = processes::marked(GUARD_VARIABLE, Path::new(mark));
        // First who asks engines for more of them.
        let is_clear = match left.is_empty() {
            true => engines.iter().all(|engine| containers::clear(engine, mark)),
            false => false,
        };
        if !is_clear {
            last_seen = Instant::now();
        }
        for id in left {
            processes::signal(id, Signal::KILL);
        }
        if began.elapsed() > CLEARED_WITHIN {
            return false;
        }
        sleep(pause);
    }
    true
}
