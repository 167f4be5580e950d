//! The guard of an instance's programs, for when the agent is killed.
//!
//! In order, or when its threads end, an agent ends its programs itself. Killed with SIGKILL it cannot, and they would go on
//! beside the next attempt, which the run gives out as soon as it hears of that. A death signal of the kernel would
//! reach a script, and not what the script waits for; and to ask for one takes code between fork and exec, which this
//! crate has none of. So the hold's program waits beside the agent, one for each instance that has programs: its input ends
//! when the agent does, and then it kills all that carries its mark. Containers are no children of the agent: they carry it as a
//! label, and the guard has their engine remove them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_hold::{GUARD_VARIABLE, processes};
use mainstay_service::Context;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};
use tracing::{Instrument, Span};

use super::workload::Engine;

/// It says so at once; a machine may be busy.
const UP_WITHIN: Duration = Duration::from_secs(20);

/// Between two that ended, or could not begin.
const AGAIN: Duration = Duration::from_secs(1);

/// Never killed from here: once this is dropped it ends by itself, after whatever is left.
#[derive(Debug)]
pub(super) struct Guard {
    mark: String,
    state: watch::Receiver<State>,
    keeper: AbortHandle,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Up,
    /// Somebody has ended it, and another begins.
    Beginning,
    /// There is none, for this reason; it is tried again.
    Cannot(String),
}

/// One of them.
#[derive(Debug)]
struct Up {
    process: Child,
    /// Its end is what it waits for. Not in the process: to wait for that closes it.
    _input: ChildStdin,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Guard {
    /// None where whoever hosts the instance has no hold, as in tests: that ends its programs with its threads.
    pub(super) async fn begun(
        engines: &[&Engine],
        ctx: &Context,
    ) -> Result<Option<Arc<Self>>, String> {
        let hold = &ctx.place().hold;
        if hold.as_os_str().is_empty() {
            return Ok(None);
        }
        let wanted = Wanted {
            hold: hold.clone(),
            mark: new_mark(),
            engines: engines.iter().map(|engine| engine.words()).collect(),
            // They all have the same.
            environment: engines.first().map(|engine| engine.environment().clone()),
        };
        let guard = Self::of(wanted, ctx.span().clone()).await?;
        Ok(Some(Arc::new(guard)))
    }

    async fn of(wanted: Wanted, span: Span) -> Result<Self, String> {
        let first = wanted.begin().await?;
        let mark = wanted.mark.clone();
        let (says, state) = watch::channel(State::Up);
        let keeping = keep(first, wanted, says).instrument(span);
        Ok(Self {
            mark,
            state,
            keeper: tokio::spawn(keeping).abort_handle(),
        })
    }

    /// For the environment of a program.
    pub(super) fn variable(&self) -> (String, String) {
        (GUARD_VARIABLE.to_owned(), self.mark.clone())
    }

    /// Makes sure of it, before a program begins: somebody may have killed it.
    pub(super) async fn is_there(&self) -> Result<(), String> {
        let mut state = self.state.clone();
        let known = state.wait_for(|state| *state != State::Beginning).await;
        match known.as_deref() {
            Ok(State::Up | State::Beginning) => Ok(()),
            Ok(State::Cannot(why)) => Err(why.clone()),
            Err(_) => Err("its instance ends".to_owned()),
        }
    }
}

/// Another, whenever one ends: programs under way are to be guarded on.
async fn keep(mut up: Up, wanted: Wanted, says: watch::Sender<State>) {
    loop {
        let since = Instant::now();
        let how = up.process.wait().await;
        says.send_replace(State::Beginning);
        let how = how.map_or_else(|error| error.to_string(), |status| status.to_string());
        tracing::warn!("the guard of its programs has ended ({how}); another begins");
        if since.elapsed() < AGAIN {
            sleep(AGAIN).await;
        }
        up = loop {
            match wanted.begin().await {
                Ok(up) => break up,
                Err(why) => {
                    tracing::warn!("{why}");
                    says.send_replace(State::Cannot(why));
                    sleep(AGAIN).await;
                }
            }
        };
        says.send_replace(State::Up);
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

/// How one is begun, and begun again.
#[derive(Debug)]
struct Wanted {
    hold: PathBuf,
    mark: String,
    /// The words that ask each engine whose containers it removes, and what leads those to them.
    engines: Vec<Vec<String>>,
    environment: Option<BTreeMap<String, String>>,
}

impl Wanted {
    async fn begin(&self) -> Result<Up, String> {
        let mut command = Command::new(&self.hold);
        command.args(["guard", "--mark", &self.mark]).env_clear();
        for engine in &self.engines {
            command.arg("--engine").arg(engine.len().to_string());
            command.args(engine);
        }
        command.envs(self.environment.iter().flatten());
        begin(&self.hold, command).await
    }
}

async fn begin(hold: &Path, mut command: Command) -> Result<Up, String> {
    let cannot = |why: String| {
        let hold = hold.display();
        format!("nobody would end its programs if the agent were killed: {hold} guard {why}")
    };
    let mut process = command
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // What a terminal sends to its foreground is not for it.
        .process_group(0)
        .spawn()
        .map_err(|error| cannot(format!("cannot be run: {error}")))?;
    let input = process.stdin.take();
    let input = input.expect("its input was asked to be a pipe");
    match is_up(&mut process).await {
        Ok(()) => Ok(Up {
            process,
            _input: input,
        }),
        Err(why) => {
            // Before its input ends: it may guard all the same, late, and would kill what is under way.
            let _ = process.kill().await;
            drop(input);
            Err(cannot(why))
        }
    }
}

async fn is_up(process: &mut Child) -> Result<(), String> {
    let output = process.stdout.take();
    let output = output.expect("its output was asked to be a pipe");
    let mut said = String::new();
    let mut reading = BufReader::new(output);
    let heard = timeout(UP_WITHIN, reading.read_line(&mut said)).await;
    match heard {
        Ok(Ok(_)) if said == "guards\n" => Ok(()),
        Ok(Ok(_)) => Err(format!("said \"{}\"", said.trim_end())),
        Ok(Err(error)) => Err(format!("cannot be heard: {error}")),
        Err(_) => Err("says nothing".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    /// Writes down its pid, says this, and waits for the end of its input.
    fn holding(says: &str) -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hold");
        let script = format!("#!/bin/sh\necho $$ >>\"$0.pids\"\necho {says}\nexec /bin/cat\n");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        (dir, path)
    }

    fn wanted(hold: &Path) -> Wanted {
        Wanted {
            hold: hold.to_owned(),
            mark: "m".to_owned(),
            engines: Vec::new(),
            environment: None,
        }
    }

    fn pids(hold: &Path) -> Vec<u32> {
        let text = fs::read_to_string(hold.with_extension("pids")).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap()).collect()
    }

    fn lives(pid: u32) -> bool {
        processes::look(pid).is_some_and(|seen| seen.state != 'Z')
    }

    async fn until(what: impl Fn() -> bool) {
        let seen = async {
            while !what() {
                // tidy: waits because the condition is asked again
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(UP_WITHIN, seen).await.expect("it comes to be");
    }

    #[tokio::test]
    async fn a_guard_that_ends_is_replaced_and_the_last_one_ends_with_its_instance() {
        let (_dir, hold) = holding("guards");
        let guard = Guard::of(wanted(&hold), Span::none()).await.unwrap();
        guard.is_there().await.unwrap();
        let first = processes::look(pids(&hold)[0]).unwrap().id;
        assert!(processes::signal(first, rustix::process::Signal::KILL));
        until(|| pids(&hold).len() == 2).await;
        guard.is_there().await.unwrap();
        let second = pids(&hold)[1];
        assert!(lives(second));
        drop(guard);
        until(|| !lives(second)).await;
        assert_eq!(pids(&hold).len(), 2);
    }

    #[tokio::test]
    async fn what_does_not_say_that_it_guards_is_ended_and_told() {
        let (_dir, hold) = holding("no");
        let why = Guard::of(wanted(&hold), Span::none()).await;
        let why = why.expect_err("it is none");
        assert!(why.contains("guard said \"no\""), "{why}");
        assert!(!lives(pids(&hold)[0]));
    }
}
