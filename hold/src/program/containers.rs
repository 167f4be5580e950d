//! Containers with a guard's mark as their label: what is asked of the engine that has them.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use mainstay_hold::GUARD_LABEL;

/// A busy machine takes a second or two.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(5);

/// Removes what it finds. False: there was something, or nobody can tell.
pub fn clear(engine: &[String], mark: &str) -> bool {
    let filter = format!("label={GUARD_LABEL}={mark}");
    let all = ["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter];
    let Some(ids) = ask(engine, &all) else {
        return false;
    };
    let ids: Vec<&str> = ids.split_ascii_whitespace().collect();
    if ids.is_empty() {
        return true;
    }
    // What comes of it the next look says.
    ask(
        engine,
        &[&["rm", "--force", "--volumes"][..], &ids].concat(),
    );
    false
}

/// What it says, if it can do that.
fn ask(engine: &[String], words: &[&str]) -> Option<String> {
    let (program, arguments) = engine.split_first()?;
    let mut process = Command::new(program)
        .args(arguments)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut output = process.stdout.take()?;
    // Beside the waiting: one that has more to say than a pipe holds waits for us.
    let reading = thread::spawn(move || {
        let mut said = String::new();
        output.read_to_string(&mut said).map(|_| said).ok()
    });
    let began = Instant::now();
    let status = loop {
        match process.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if began.elapsed() < ANSWERS_WITHIN => sleep(PAUSE),
            Ok(None) | Err(_) => {
                let _ = process.kill();
                let _ = process.wait();
                return None;
            }
        }
    };
    reading.join().ok()?.filter(|_| status.success())
}
