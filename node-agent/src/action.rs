//! An action: an outside program that runs to its own end, within bounds.
//!
//! ```text
//!   run --> own process group, marked by a variable in its environment
//!     |  exits                     code or signal
//!     |  deadline, flood, swarm    TERM to the group, a moment, KILL to all
//!     |  nobody waits any more     KILL to all
//!     v
//!   whatever of it still runs is killed, wherever it went; unless a success may leave something behind
//! ```
//! What daemonises out of an action that may leave something behind carries that action's mark for ever, and no other
//! action's: so no later action ends it.

mod crowd;
mod lines;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::future::pending;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use mainstay_protocol::limits;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::Span;

use crowd::{Cleared, Crowd, Guard};
use lines::Lines;

/// Where outside programs look for others.
pub(crate) const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What one action may write; a resource agent's description of itself has some tens of kilobytes.
pub(crate) const OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// Processes that one action may have at a time; a shell script has a handful.
pub(crate) const PROCESSES_MAX: usize = 256;
/// Between the request to end and the kill: time to remove temporary files and locks.
pub(crate) const GRACE: Duration = Duration::from_millis(500);
/// When its processes are counted first, and again; an action that is quicker is not counted at all. After twice that, and so on,
/// up to, where it has no deadline: to count is to look at all processes of the machine, and such an action may take hours,
/// beside others.
const CENSUS: Duration = Duration::from_millis(250);
const CENSUS_MAX: Duration = Duration::from_secs(4);
/// For what is still in the pipes after its end. Only one that left something behind, with its pipes, uses it up.
const DRAIN: Duration = Duration::from_millis(100);
/// A program that was just written may still be open for writing in another thread's child, for a moment.
const BUSY_TRIES: usize = 20;
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// What is to be run.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// All of it: nothing is inherited.
    pub(crate) environment: BTreeMap<String, String>,
    /// The root directory, unless it is said.
    pub(crate) directory: Option<PathBuf>,
    /// What it reads from its standard input; it need not.
    pub(crate) input: Option<Vec<u8>>,
    /// None: it may take as long as somebody waits for it.
    pub(crate) deadline: Option<Duration>,
    pub(crate) leftovers: Leftovers,
    pub(crate) output: Kept,
    /// Where the lines of its standard error are told as they come, beside being kept for its end. Of these there may be any
    /// number.
    pub(crate) log: Option<Heard>,
}

/// What is kept of its standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// All of it; more than `OUTPUT_BYTES_MAX` ends the action.
    Whole,
    /// The last so many bytes, of any number; its lines are told like those of standard error.
    End(usize),
}

/// The span that lines belong to, and whose they are.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) within: Span,
    pub(crate) by: String,
}

/// What becomes of processes that outlive the action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leftovers {
    Killed,
    /// They are what the action was for, if it exits with 0; else they are killed.
    KeptAfterSuccess,
}

/// How an action ended.
#[derive(Debug)]
pub(crate) enum How {
    Exited(i32),
    /// By somebody else's hand.
    Signalled(i32),
    /// It was killed: it took longer than this.
    Deadline(Duration),
    /// It was killed: it wrote more than `OUTPUT_BYTES_MAX`.
    Flood,
    /// It was killed: it had so many processes.
    Swarm(usize),
    /// It was killed: nobody waited for it any more.
    Abandoned,
    /// It did not begin.
    CannotRun(io::Error),
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit code {code}"),
            Self::Signalled(signal) => write!(f, "was ended by signal {signal}"),
            Self::Deadline(deadline) => write!(
                f,
                "did not finish within {} ms and was killed",
                deadline.as_millis()
            ),
            Self::Flood => write!(f, "wrote more than {OUTPUT_BYTES_MAX} bytes and was killed"),
            Self::Swarm(count) => write!(
                f,
                "had {count} processes, more than {PROCESSES_MAX}, and was killed"
            ),
            Self::Abandoned => f.write_str("was broken off"),
            Self::CannotRun(error) => write!(f, "cannot be run: {error}"),
        }
    }
}

/// What is known of a finished action.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) how: How,
    pub(crate) stdout: Vec<u8>,
    /// The last `EVIDENCE_BYTES_MAX` of it.
    pub(crate) stderr: String,
    pub(crate) took: Duration,
    /// Processes that outlived it and were killed.
    pub(crate) cleared: usize,
    /// Processes that could not be killed (they hang in the kernel).
    pub(crate) stuck: usize,
}

/// Runs it to its end. Whoever drops this future ends the action. `holding` is let go of when nothing of the action
/// runs any more, also then.
pub(crate) async fn run(action: Action, holding: impl Send + 'static) -> Ran {
    let began = Instant::now();
    let (waits, abandoned) = oneshot::channel::<()>();
    // In a task of its own, so that being dropped is something it can still act upon.
    let running = tokio::spawn(async move {
        let ran = carry_out(action, abandoned).await;
        drop(holding);
        ran
    });
    let ran = running.await;
    drop(waits);
    ran.unwrap_or_else(|error| Ran::not_begun(io::Error::other(error), began))
}

impl Ran {
    fn not_begun(error: io::Error, began: Instant) -> Self {
        Self {
            how: How::CannotRun(error),
            stdout: Vec::new(),
            stderr: String::new(),
            took: began.elapsed(),
            cleared: 0,
            stuck: 0,
        }
    }
}

async fn carry_out(action: Action, abandoned: oneshot::Receiver<()>) -> Ran {
    let began = Instant::now();
    let crowd = Crowd::new();
    let mut child = match begin(&action, &crowd).await {
        Ok(child) => child,
        Err(error) => return Ran::not_begun(error, began),
    };
    let crowd = crowd.led_by(child.id());
    let guard = Guard::over(&crowd);
    let mut output = Output::of(&mut child, action.output, action.log.clone());
    let mut how = watch(&action, &mut child, &mut output, &crowd, abandoned).await;
    let succeeded = matches!(how, How::Exited(0));
    let cleared = if succeeded && action.leftovers == Leftovers::KeptAfterSuccess {
        Cleared::default()
    } else {
        let cleared = spawn_blocking(move || crowd.clear()).await;
        cleared.unwrap_or_default()
    };
    guard.let_go();
    output.drain().await;
    // Some of what it said is lost, also where it ended before that was seen. What may leave something behind may find that
    // in its pipes.
    let ended = matches!(how, How::Exited(_) | How::Signalled(_));
    if output.bytes_read > OUTPUT_BYTES_MAX && ended && action.leftovers == Leftovers::Killed {
        how = How::Flood;
    }
    Ran {
        how,
        stdout: output.out.bytes,
        stderr: output.err.text(),
        took: began.elapsed(),
        cleared: cleared.killed,
        stuck: cleared.stuck,
    }
}

async fn begin(action: &Action, crowd: &Crowd) -> io::Result<Child> {
    let mut command = Command::new(&action.program);
    command
        .args(&action.arguments)
        .env_clear()
        .envs(&action.environment)
        .env(crowd::VARIABLE, crowd.mark())
        .current_dir(action.directory.as_deref().unwrap_or(Path::new("/")))
        .stdin(match action.input {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut tries = 0;
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES =>
            {
                tries += 1;
                sleep(BUSY_PAUSE).await;
            }
            Ok(child) => {
                no_core_file(&child);
                return Ok(child);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Nobody looks for one there. An action that is over already needs none either.
fn no_core_file(child: &Child) {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = prlimit(pid(child), Resource::Core, none);
}

fn pid(child: &Child) -> Option<Pid> {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    id.and_then(Pid::from_raw)
}

/// Until it ends by itself, or has to.
async fn watch(
    action: &Action,
    child: &mut Child,
    output: &mut Output,
    crowd: &Crowd,
    mut abandoned: oneshot::Receiver<()>,
) -> How {
    let late = late(action.deadline);
    let feeding = feed(child.stdin.take(), action.input.as_deref());
    let census = sleep(CENSUS);
    tokio::pin!(late, feeding, census);
    let mut fed = false;
    let mut pause = CENSUS;
    let must_end = loop {
        tokio::select! {
            exit = child.wait() => return exit.map_or_else(How::CannotRun, exited),
            () = output.read() => {
                if output.bytes_read > OUTPUT_BYTES_MAX {
                    break How::Flood;
                }
            }
            // Beside the reading: one that writes before it reads would wait for us, and we for it.
            () = &mut feeding, if !fed => fed = true,
            deadline = &mut late => break How::Deadline(deadline),
            () = &mut census => {
                let looked_at = crowd.clone();
                let count = spawn_blocking(move || looked_at.count()).await.unwrap_or_default();
                if count > PROCESSES_MAX {
                    break How::Swarm(count);
                }
                if action.deadline.is_none() {
                    pause = (pause * 2).min(CENSUS_MAX);
                }
                census.as_mut().reset(Instant::now() + pause);
            }
            _ = &mut abandoned => break How::Abandoned,
        }
    };
    end(child, output).await;
    must_end
}

async fn late(deadline: Option<Duration>) -> Duration {
    let Some(deadline) = deadline else {
        return pending().await;
    };
    sleep_until(Instant::now() + deadline).await;
    deadline
}

/// Closed behind what it is given. One that does not read it, or not to its end, is none the worse for it.
async fn feed(to: Option<ChildStdin>, input: Option<&[u8]>) {
    if let (Some(mut to), Some(input)) = (to, input) {
        let _ = to.write_all(input).await;
    }
}

fn exited(status: ExitStatus) -> How {
    match (status.code(), status.signal()) {
        (Some(code), _) => How::Exited(code),
        (None, signal) => How::Signalled(signal.unwrap_or_default()),
    }
}

/// It is asked first. The group cannot become another's, since its leader is not waited for yet.
async fn end(child: &mut Child, output: &mut Output) {
    let group = pid(child);
    let tell = |signal| {
        if let Some(group) = group {
            // It may be gone by now.
            let _ = kill_process_group(group, signal);
        }
    };
    tell(Signal::TERM);
    let obeyed = async {
        loop {
            tokio::select! {
                biased;
                _ = child.wait() => break,
                () = output.read() => {}
            }
        }
    };
    if timeout(GRACE, obeyed).await.is_err() {
        tell(Signal::KILL);
        let _ = child.wait().await;
    }
}

/// Both streams, with what is kept of them.
struct Output {
    out: Stream,
    err: Stream,
    /// Without what is told to a log, which bounds itself.
    bytes_read: usize,
}

struct Stream {
    from: Option<Box<dyn AsyncRead + Send + Unpin>>,
    bytes: Vec<u8>,
    bytes_max: usize,
    /// The end is kept instead of the beginning.
    tail: bool,
    lines: Option<Lines>,
}

impl Output {
    fn of(child: &mut Child, kept: Kept, log: Option<Heard>) -> Self {
        let stream = |from: Option<Box<dyn AsyncRead + Send + Unpin>>, bytes_max, tail| Stream {
            from,
            bytes: Vec::new(),
            bytes_max,
            tail,
            lines: None,
        };
        let out = child.stdout.take().map(|from| Box::new(from) as _);
        let err = child.stderr.take().map(|from| Box::new(from) as _);
        Self {
            out: match kept {
                Kept::Whole => stream(out, OUTPUT_BYTES_MAX, false),
                Kept::End(bytes) => Stream {
                    lines: log.clone().map(Lines::told),
                    ..stream(out, bytes, true)
                },
            },
            err: Stream {
                lines: log.map(Lines::told),
                ..stream(err, limits::EVIDENCE_BYTES_MAX, true)
            },
            bytes_read: 0,
        }
    }

    /// Some of either; never, when both are closed.
    async fn read(&mut self) {
        let bounded = |count, lines: &Option<Lines>| match lines {
            Some(_) => 0,
            None => count,
        };
        let count = tokio::select! {
            count = self.out.read() => bounded(count, &self.out.lines),
            count = self.err.read() => bounded(count, &self.err.lines),
        };
        self.bytes_read = self.bytes_read.saturating_add(count);
    }

    async fn drain(&mut self) {
        let all = async {
            while !(self.out.from.is_none() && self.err.from.is_none())
                && self.bytes_read <= OUTPUT_BYTES_MAX
            {
                self.read().await;
            }
        };
        // What was left behind may keep the pipes open.
        let _ = timeout(DRAIN, all).await;
    }
}

impl Stream {
    /// Cancel-safe: what is not kept was not read.
    async fn read(&mut self) -> usize {
        let Some(from) = &mut self.from else {
            return pending().await;
        };
        let mut piece = [0; 4096];
        let count = from.read(&mut piece).await.unwrap_or_default();
        if count == 0 {
            self.from = None;
        }
        if let Some(lines) = &mut self.lines {
            lines.hear(&piece[..count]);
        }
        self.bytes.extend_from_slice(&piece[..count]);
        let surplus = self.bytes.len().saturating_sub(self.bytes_max);
        if self.tail {
            self.bytes.drain(..surplus);
        } else {
            self.bytes.truncate(self.bytes_max);
        }
        count
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

#[cfg(test)]
mod tests;
