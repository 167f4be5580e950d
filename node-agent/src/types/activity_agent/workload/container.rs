//! One attempt in a container.
//!
//! ```text
//!   rm NAME   what an earlier attempt left behind
//!   create    the image is there, the command is as it was wanted
//!   start     its output is heard to its end
//!   inspect   how it ended: the engine's own exit code does not tell
//!   cp        what it leaves behind
//!   rm        whatever became of it
//! ```

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mainstay_protocol::Json;
use mainstay_service::{Processed, json};
use tokio::sync::watch;
use tokio::time::sleep;

use super::super::config::Pull;
use super::super::program::last_words;
use super::engine::{ANSWERS_WITHIN, CREATES_WITHIN, Engine, InForce, Kind, State, words};
use super::evidence;
use super::outputs::{self, Found, OUTPUT_BYTES_KEPT};
use super::quantity::Quantity;
use super::scratch::Scratch;
use super::tar::{self, Entry};
use super::task::Task;
use super::{Fault, exited, out_of_memory};
use crate::action::{self, Action, Heard, How, Kept, Ran};
use crate::data::DIRECTORY_INSIDE;

/// In a container, where its script is.
const SCRIPT: &str = "/mainstay/script";
/// Between two looks at what a container has written, where that is limited.
const STORAGE_EVERY: Duration = Duration::from_secs(2);
/// What conmon leaves in the directory it was begun in: not every version of podman finds it again.
const OUT_OF_MEMORY: &str = "oom";
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) engine: Arc<Engine>,
    pub(super) task: Task,
    pub(super) name: String,
    pub(super) labels: Vec<String>,
    /// The directory of the data-proxy's socket, where it is asked through that.
    pub(super) data: Option<PathBuf>,
    pub(super) pull: Pull,
    pub(super) options: Vec<String>,
    pub(super) scratch: Scratch,
    pub(super) heard: Heard,
    pub(super) time: Option<Duration>,
    /// What of it is under way has a receiver.
    pub(super) under_way: watch::Sender<()>,
    /// By what it is removed; none, before an engine was asked for one.
    pub(super) container: Mutex<Option<String>>,
}

impl Attempt {
    pub(super) async fn run(&self) -> Result<Processed, Fault> {
        self.engine.remove_leftovers().await;
        // `create` says what is wrong, if that did not help.
        let _ = self.engine.remove(&self.name).await;
        let id = self.created().await?;
        let ran = self.ran(&id).await?;
        let (state, in_force) = self.engine.state(&id, self.holds()).await?;
        self.ended_well(&ran, &state)?;
        // It may have written and ended between two looks.
        if let Some(limit) = &self.task.resources.storage.limit {
            let bytes = self.engine.size(&id, self.holds()).await?;
            beyond(bytes, limit).map_or(Ok(()), |why| Err(Fault::Work(why)))?;
        }
        let mut parameters = BTreeMap::new();
        for wanted in &self.task.outputs {
            let found = self.found(&id, &wanted.path).await?;
            parameters.insert(wanted.name.clone(), outputs::parameter(wanted, found)?);
        }
        let kind = self.engine.kind.to_string();
        let evidence = self.evidence(&in_force);
        let processed = outputs::complete(&kind, &ran.stdout, &parameters, evidence);
        Ok(processed)
    }

    fn holds(&self) -> watch::Receiver<()> {
        self.under_way.subscribe()
    }

    fn is_called(&self, name: Option<&str>) -> Option<String> {
        let mut known = self.known();
        std::mem::replace(&mut *known, name.map(str::to_owned))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.container
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn created(&self) -> Result<String, Fault> {
        let script = self.task.source.as_ref();
        let script = script.map(|source| self.scratch.script(source)).transpose();
        let words = self.creation(script?.as_deref());
        self.is_called(Some(&self.name));
        let within = self.time.unwrap_or(CREATES_WITHIN);
        let said = self.engine.ask(words, within, self.holds()).await?;
        let said = String::from_utf8_lossy(&said);
        let id = said.lines().rev().find(|line| !line.trim().is_empty());
        let id = id.map(|line| line.trim().to_owned());
        let id = id.ok_or_else(|| Fault::Engine("create said no id".to_owned()))?;
        // Not by its name from now on: that may be another attempt's.
        self.is_called(Some(&id));
        Ok(id)
    }

    fn creation(&self, script: Option<&Path>) -> Vec<OsString> {
        let task = &self.task;
        let mut all = words(&["create", "--name", &self.name, "--log-driver", "none"]);
        // It is removed by force: podman would wait for ten seconds first.
        all.extend(words(&["--stop-timeout", "0", "--pull", self.pull.name()]));
        if self.engine.kind == Kind::Podman {
            // It would hand the agent's own proxies on, with the passwords in them.
            all.extend(words(&["--http-proxy=false"]));
        }
        for label in &self.labels {
            all.extend(words(&["--label", label]));
        }
        all.extend(self.options.iter().map(OsString::from));
        all.extend(self.bounds());
        if let Some(directory) = &task.directory {
            all.extend(words(&["--workdir", directory]));
        }
        for (name, value) in &task.environment {
            all.extend(words(&["--env", &format!("{name}={value}")]));
        }
        if let Some(path) = script {
            // Relabelled, where the kernel asks for that.
            let volume = format!("{}:{SCRIPT}:ro,Z", path.display());
            all.extend(words(&["--volume", &volume]));
        }
        if let Some(directory) = &self.data {
            // Relabelled as one that several containers share.
            let volume = format!("{}:{DIRECTORY_INSIDE}:ro,z", directory.display());
            all.extend(words(&["--volume", &volume]));
        }
        let mut command = task.command.iter().map(String::as_str);
        if let Some(program) = command.next() {
            let program = match self.engine.kind {
                // It takes a list as JSON too, so that a word which looks like one would become it.
                Kind::Podman => json!([program]).to_string(),
                Kind::Docker => program.to_owned(),
            };
            all.extend(words(&["--entrypoint", &program]));
        }
        all.push(OsString::from(&task.image));
        all.extend(command.map(OsString::from));
        all.extend(task.arguments.iter().map(OsString::from));
        all.extend(script.map(|_| OsString::from(SCRIPT)));
        all
    }

    /// A request is a share of what others leave; a limit holds.
    fn bounds(&self) -> Vec<OsString> {
        let resources = &self.task.resources;
        let mut all = Vec::new();
        if let Some(limit) = &resources.cpu.limit {
            let thousandths = limit.thousandths();
            let cpus = format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000);
            all.extend(words(&["--cpus", &cpus]));
        }
        if let Some(limit) = resources.memory.limit_bytes() {
            let bytes = limit.to_string();
            // As much with swap: none of it.
            all.extend(words(&["--memory", &bytes, "--memory-swap", &bytes]));
        }
        all
    }

    async fn ran(&self, id: &str) -> Result<Ran, Fault> {
        let action = Action {
            directory: Some(self.scratch.path().to_owned()),
            output: Kept::End(OUTPUT_BYTES_KEPT),
            log: Some(self.heard.clone()),
            ..self.engine.action(words(&["start", "--attach", id]))
        };
        tokio::select! {
            ran = action::run(action, self.holds()) => Ok(ran),
            why = self.beyond_storage(id) => Err(Fault::Work(why)),
        }
    }

    /// Returns when it has written more than it may.
    async fn beyond_storage(&self, id: &str) -> String {
        let limit = self.task.resources.storage.limit.as_ref();
        let Some(limit) = limit else {
            return std::future::pending().await;
        };
        loop {
            sleep(STORAGE_EVERY).await;
            let size = self.engine.size(id, self.holds()).await;
            let why = size.ok().and_then(|bytes| beyond(bytes, limit));
            if let Some(why) = why {
                return format!("{why}, and was killed");
            }
        }
    }

    fn ended_well(&self, ran: &Ran, state: &State) -> Result<(), Fault> {
        let said = last_words(&ran.stderr);
        match state.status.as_str() {
            "exited" | "stopped" | "dead" => {}
            "created" | "configured" | "initialized" => {
                let said = said.or_else(|| Some(state.error.clone()));
                return Err(not_begun(ran, state, said.unwrap_or_default()));
            }
            other => {
                let (how, said) = (&ran.how, said.unwrap_or_default());
                return Err(Fault::Engine(format!(
                    "start {how}, and its container is {other}: {said}"
                )));
            }
        }
        if state.exit_code == 0 {
            return Ok(());
        }
        let is_out_of_memory = state.oom_killed || self.scratch.path().join(OUT_OF_MEMORY).exists();
        Err(Fault::Work(match is_out_of_memory {
            true => out_of_memory(&self.task, &exited(state.exit_code, said.as_deref())),
            false => exited(state.exit_code, said.as_deref()),
        }))
    }

    async fn found(&self, id: &str, path: &str) -> Result<Found, Fault> {
        let follow: &[&str] = match self.engine.kind {
            // It follows links inside of the container anyway.
            Kind::Podman => &[],
            Kind::Docker => &["--follow-link"],
        };
        let from = format!("{id}:{path}");
        let words = words(&[&["cp"], follow, &[&from, "-"]].concat());
        let action = Action {
            deadline: Some(ANSWERS_WITHIN),
            ..self.engine.action(words)
        };
        let ran = action::run(action, self.holds()).await;
        match &ran.how {
            How::Exited(0) => Ok(match tar::first(&ran.stdout) {
                Entry::File(bytes) => Found::File(bytes.to_vec()),
                Entry::NoFile => Found::NoFile,
                Entry::Bad => {
                    let why = format!("cp {from} gave no archive that can be read");
                    return Err(Fault::Engine(why));
                }
            }),
            // Of a directory all that is in it came.
            How::Flood => Ok(match tar::first(&ran.stdout) {
                Entry::NoFile => Found::NoFile,
                Entry::File(_) | Entry::Bad => Found::TooLong,
            }),
            How::Exited(_) => {
                // Who still knows the container has no such file.
                self.engine.state(id, self.holds()).await?;
                Ok(Found::Missing(last_words(&ran.stderr).unwrap_or_default()))
            }
            how => Err(Fault::Engine(format!("cp {from} {how}"))),
        }
    }

    fn evidence(&self, in_force: &InForce) -> Json {
        let kind = self.engine.kind;
        let resources = &self.task.resources;
        let bytes = |bytes: u64| (bytes > 0).then(|| format!("{kind}: {bytes} bytes, no swap"));
        let cpus = in_force.cpu_billionths;
        let cpus = (cpus > 0).then(|| format!("{kind}: {} thousandths of one", cpus / 1_000_000));
        let every = STORAGE_EVERY.as_millis();
        let looks = format!("looked at every {every} ms, and killed; and at its end");
        evidence::of(
            &[
                ("cpu", &resources.cpu, cpus),
                ("memory", &resources.memory, bytes(in_force.memory_bytes)),
                ("ephemeral-storage", &resources.storage, Some(looks)),
            ],
            self.time,
        )
    }

    /// Nothing of it is left after that, and nothing of it is under way.
    pub(super) async fn end(&self) {
        self.under_way.closed().await;
        let container = self.known().clone();
        if let Some(container) = container {
            self.engine.remove_for_good(&container).await;
            self.is_called(None);
        }
    }
}

impl Drop for Attempt {
    /// Its threads have ended before it: nobody else removes what there is.
    fn drop(&mut self) {
        if let Some(container) = self.is_called(None) {
            self.engine.remove_now(&container);
        }
    }
}

fn beyond(bytes: u64, limit: &Quantity) -> Option<String> {
    let text = &limit.text;
    let why = || format!("wrote {bytes} bytes, more than its ephemeral-storage of {text}");
    (bytes > limit.whole()).then(why)
}

/// A command that is not there is the description's fault; anything else the engine's.
fn not_begun(ran: &Ran, state: &State, said: String) -> Fault {
    let told = said.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| told.contains(word));
    let code = match (&ran.how, state.exit_code) {
        (How::Exited(code @ (NOT_EXECUTABLE | NOT_FOUND)), _) => *code,
        (_, code @ (NOT_EXECUTABLE | NOT_FOUND)) => code,
        _ if says(&["executable file not found", "command that was not found"]) => NOT_FOUND,
        _ if says(&["exec:"]) && says(&["permission denied", "is a directory"]) => NOT_EXECUTABLE,
        _ if says(&["exec:"]) && says(&["no such file"]) => NOT_FOUND,
        (how, _) => return Fault::Engine(format!("start {how}: {said}")),
    };
    Fault::Work(exited(code, Some(&said)))
}

#[cfg(test)]
mod tests {
    use tracing::Span;

    use super::*;

    /// One that nobody begins.
    fn creation(kind: Kind, options: &[&str]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let attempt = Attempt {
            engine: Arc::new(Engine::of(kind, &[])),
            task: Task {
                image: "a:1".to_owned(),
                ..Task::default()
            },
            name: "n".to_owned(),
            labels: Vec::new(),
            data: None,
            pull: Pull::Never,
            options: options.iter().map(|word| (*word).to_owned()).collect(),
            scratch: Scratch::made(dir.path()).unwrap(),
            heard: Heard {
                within: Span::none(),
                by: String::new(),
            },
            time: None,
            under_way: watch::Sender::new(()),
            container: Mutex::default(),
        };
        let all = attempt.creation(None).into_iter();
        all.map(|word| word.into_string().unwrap()).collect()
    }

    // regresses: the agent's HTTP_PROXY, with its password, was in every container.
    #[test]
    fn the_agents_proxies_are_no_containers_unless_somebody_says_so() {
        let place = |all: &[String], word: &str| all.iter().position(|one| one == word);
        let all = creation(Kind::Podman, &["--http-proxy=true"]);
        let (ours, theirs) = (
            place(&all, "--http-proxy=false"),
            place(&all, "--http-proxy=true"),
        );
        assert!(ours.is_some() && ours < theirs, "{all:?}");
        // It hands none on, and does not know the word.
        let all = creation(Kind::Docker, &[]);
        assert_eq!(place(&all, "--http-proxy=false"), None, "{all:?}");
    }
}
