//! The guard of an instance's programs, for when the agent is killed.
//!
//! In order, or when its threads end, an agent ends its programs itself. Killed with SIGKILL it cannot, and they would go on
//! beside the next attempt, which the run gives out as soon as it hears of that. A death signal of the kernel would
//! reach a script, and not what the script waits for; and to ask for one takes code between fork and exec, which this
//! crate has none of. So the hold's program waits beside the agent, one for each instance that has programs: its input ends
//! when the agent does, and then it kills all that carries its mark.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_hold::{GUARD_VARIABLE, processes};
use mainstay_service::Context;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// It says so at once; a machine may be busy.
const UP_WITHIN: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Guard {
    hold: PathBuf,
    mark: String,
    /// Never killed from here: it ends by itself once it is dropped, after whatever is left.
    process: Mutex<Child>,
}

impl Guard {
    /// None where whoever hosts the instance has no hold, as in tests: that ends its programs with its threads.
    pub(super) async fn begun(ctx: &Context) -> Result<Option<Arc<Self>>, String> {
        let hold = &ctx.place().hold;
        if hold.as_os_str().is_empty() {
            return Ok(None);
        }
        let mark = new_mark();
        Ok(Some(Arc::new(Self {
            process: Mutex::new(begin(hold, &mark).await?),
            hold: hold.clone(),
            mark,
        })))
    }

    /// For the environment of a program.
    pub(super) fn variable(&self) -> (String, String) {
        (GUARD_VARIABLE.to_owned(), self.mark.clone())
    }

    /// Makes sure of it, before a program begins: somebody may have killed it.
    pub(super) async fn is_there(&self) -> Result<(), String> {
        let mut process = self.process.lock().await;
        if !matches!(process.try_wait(), Ok(None)) {
            *process = begin(&self.hold, &self.mark).await?;
        }
        Ok(())
    }
}

/// With the agent's start, because a pid alone comes again.
fn new_mark() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let agent = processes::look(std::process::id());
    let agent = agent.map(|seen| seen.id.to_string()).unwrap_or_default();
    format!("{agent}:{count}")
}

async fn begin(hold: &Path, mark: &str) -> Result<Child, String> {
    let cannot = |why: String| {
        let hold = hold.display();
        format!("nobody would end its programs if the agent were killed: {hold} guard {why}")
    };
    let mut child = Command::new(hold)
        .args(["guard", "--mark", mark])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // What a terminal sends to its foreground is not for it.
        .process_group(0)
        .spawn()
        .map_err(|error| cannot(format!("cannot be run: {error}")))?;
    let output = child.stdout.take();
    let output = output.expect("its output was asked to be a pipe");
    let mut said = String::new();
    let mut reading = BufReader::new(output);
    let heard = timeout(UP_WITHIN, reading.read_line(&mut said)).await;
    match heard {
        Ok(Ok(_)) if said == "guards\n" => Ok(child),
        Ok(Ok(_)) => Err(cannot(format!("said \"{}\"", said.trim_end()))),
        Ok(Err(error)) => Err(cannot(format!("cannot be heard: {error}"))),
        Err(_) => Err(cannot("says nothing".to_owned())),
    }
}
