//! Check of a process: whether it is there, not stopped, and answers in the way its configuration says.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;
use std::sync::Arc;

use mainstay_hold::processes::{self, Seen};
use mainstay_hold::{Event, Request};
use mainstay_service::{Health, Probe};
use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::reach::{Goal, Reached};
use crate::held::{CHECK_VARIABLE, Held};

/// Of what a check's command says on standard error, its last.
const WORDS_BYTES_MAX: usize = 1024;

#[derive(Debug, Clone)]
pub struct ProcessProbe {
    held: Arc<Held>,
    how: Arc<How>,
}

/// How it is asked, with everything put in that the configuration leaves open.
#[derive(Debug)]
pub(super) enum How {
    Alive,
    Exec {
        command: Vec<String>,
        environment: Vec<(String, String)>,
        directory: String,
    },
    Reach(Goal),
    Watchdog {
        ms: u64,
    },
}

impl ProcessProbe {
    pub(super) fn new(held: Arc<Held>, how: How) -> Self {
        Self {
            held,
            how: Arc::new(how),
        }
    }
}

impl Probe for ProcessProbe {
    async fn check(&self) -> Health {
        let process = self.held.process();
        let seen = process.and_then(|id| processes::look(id.pid).filter(|seen| seen.id == id));
        let Some(seen) = seen.filter(|seen| seen.state != 'Z') else {
            // How it ended is about to be told, and is more than a Check can say.
            self.held.ended().await;
            return Health::failed("its process has ended");
        };
        let pid = seen.id.pid;
        match seen.state {
            'T' => {
                return Health::failed(format!(
                    "its process {pid} is stopped (SIGSTOP); `kill -CONT {pid}` lets it go on"
                ));
            }
            't' => return Health::degraded(format!("its process {pid} is being traced")),
            _ => {}
        }
        match &*self.how {
            How::Alive => Health::ok(),
            How::Reach(goal) => match goal.reach().await {
                Ok(Reached::Well) => Health::ok(),
                Ok(Reached::Warns(why)) => Health::degraded(why),
                Err(why) => Health::failed(why),
            },
            How::Watchdog { ms } => self.watchdog(*ms).await,
            How::Exec {
                command,
                environment,
                directory,
            } => match self.exec(seen, command, environment, directory).await {
                Ok(None) => Health::ok(),
                Ok(Some(why)) => Health::failed(why),
                Err(error) => {
                    Health::failed(format!("the check {} cannot be run: {error}", command[0]))
                }
            },
        }
    }
}

impl ProcessProbe {
    async fn watchdog(&self, ms: u64) -> Health {
        match self.held.ask(&Request::State).await {
            Ok(Event::State(state)) => match state.watchdog_ms {
                Some(ago) if ago <= ms => Health::ok(),
                Some(ago) => Health::failed(format!(
                    "it said WATCHDOG=1 last {ago} ms ago, and should every {ms} ms"
                )),
                None => Health::degraded("it has not said WATCHDOG=1 yet"),
            },
            Ok(other) => Health::failed(format!("its hold answered {other:?}")),
            Err(error) => Health::failed(format!("its hold does not answer: {error}")),
        }
    }

    /// None: it is well. As the same user as the process; all that it starts ends with it.
    async fn exec(
        &self,
        process: Seen,
        command: &[String],
        environment: &[(String, String)],
        directory: &str,
    ) -> io::Result<Option<String>> {
        let mut run = Command::new(&command[0]);
        run.args(&command[1..])
            .env_clear()
            .envs(environment.iter().map(|(key, value)| (key, value)))
            .env(CHECK_VARIABLE, self.held.slot().path())
            .current_dir(directory)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let who = fs::metadata(format!("/proc/{}", process.id.pid))?;
        if geteuid().is_root() && who.uid() != geteuid().as_raw() {
            run.uid(who.uid()).gid(who.gid());
        }
        let mut child = run.spawn()?;
        let group = child.id().and_then(|pid| i32::try_from(pid).ok());
        let _group = Group(group.and_then(Pid::from_raw));
        let errors = child.stderr.take();
        let (status, said) = tokio::join!(child.wait(), last_words(errors));
        let status = status?;
        if status.success() {
            return Ok(None);
        }
        let words = match said.trim() {
            "" => String::new(),
            words => format!(": {words}"),
        };
        Ok(Some(format!(
            "the check {} ended with {status}{words}",
            command[0]
        )))
    }
}

/// What a check's command started ends with it, also when nobody waits for it any more.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Gone, if nothing is left in it.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

async fn last_words(errors: Option<tokio::process::ChildStderr>) -> String {
    let Some(mut errors) = errors else {
        return String::new();
    };
    let mut said = Vec::new();
    let mut buffer = [0; WORDS_BYTES_MAX];
    while let Ok(count @ 1..) = errors.read(&mut buffer).await {
        said.extend_from_slice(&buffer[..count]);
        let surplus = said.len().saturating_sub(WORDS_BYTES_MAX);
        said.drain(..surplus);
    }
    String::from_utf8_lossy(&said).into_owned()
}
