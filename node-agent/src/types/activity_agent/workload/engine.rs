//! An engine of containers, asked through its command line: `podman` and `docker` understand the same words.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mainstay_service::CannotStart;
use serde::Deserialize;
use tokio::time::Instant;

use super::super::config::{EngineName, WorkloadWay};
use super::super::guard::Guard;
use super::super::program::last_words;
use crate::action::{self, Action, How, Kept, Leftovers, Ran, SEARCH_PATH};

/// Of the agent's own environment, what leads an engine to its images, its daemon and its registries.
const INHERITED: [&str; 19] = [
    "HOME",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "TMPDIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "CONTAINER_HOST",
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
    "CONTAINERS_REGISTRIES_CONF",
    "REGISTRY_AUTH_FILE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
];
/// What is asked of it is answered from its own books, on a machine that may be busy.
pub(super) const ANSWERS_WITHIN: Duration = Duration::from_secs(20);
/// Where the call does not say how long it may take: an image may have to be fetched.
pub(super) const CREATES_WITHIN: Duration = Duration::from_secs(15 * 60);
const REMOVE_TRIES: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Podman,
    Docker,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Podman => "podman",
            Self::Docker => "docker",
        })
    }
}

/// One that answers, with what its every question begins with.
#[derive(Debug)]
pub(in super::super) struct Engine {
    pub(super) kind: Kind,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    /// What could not be removed yet.
    leftovers: Mutex<BTreeSet<String>>,
}

/// What it knows of a container.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct State {
    pub(super) status: String,
    pub(super) exit_code: i32,
    #[serde(default, rename = "OOMKilled")]
    pub(super) oom_killed: bool,
    #[serde(default)]
    pub(super) error: String,
}

/// What it says that it holds a container to; 0 is nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct InForce {
    pub(super) memory_bytes: u64,
    pub(super) cpu_billionths: u64,
}

impl Engine {
    /// The one that is named, or the first that answers. None: none is wanted.
    pub(in super::super) async fn found(way: &WorkloadWay) -> Result<Option<Self>, CannotStart> {
        let kinds: &[Kind] = match way.engine {
            EngineName::Host => return Ok(None),
            EngineName::Podman => &[Kind::Podman],
            EngineName::Docker => &[Kind::Docker],
            EngineName::Auto => &[Kind::Podman, Kind::Docker],
        };
        let (mut words, mut is_there) = (Vec::new(), false);
        for kind in kinds {
            let engine = Self::of(*kind, &way.arguments);
            match engine.looked_at().await {
                Ok(version) => {
                    tracing::info!(engine = %kind, version, "runs containers");
                    return Ok(Some(engine));
                }
                Err(why) => {
                    is_there |= why.is_installed;
                    words.push(format!("{kind}: {}", why.words));
                }
            }
        }
        let names: Vec<String> = kinds.iter().map(Kind::to_string).collect();
        let why = format!(
            "no engine of containers answers ({}); install {}, or say engine: host for programs that this machine has itself",
            words.join("; "),
            names.join(" or "),
        );
        Err(match is_there {
            true => CannotStart::not_now(why),
            false => CannotStart::not_here(why),
        })
    }

    pub(super) fn of(kind: Kind, arguments: &[String]) -> Self {
        let inherited = INHERITED.iter().flat_map(|name| {
            // Proxies are written in small letters as well.
            let names = [(*name).to_owned(), name.to_lowercase()];
            names.map(|name| Some((std::env::var(&name).ok()?, name)))
        });
        let inherited = inherited.flatten().map(|(value, name)| (name, value));
        let mut environment: BTreeMap<String, String> = inherited.collect();
        environment.insert("PATH".to_owned(), SEARCH_PATH.to_owned());
        Self {
            kind,
            arguments: arguments.to_vec(),
            environment,
            leftovers: Mutex::default(),
        }
    }

    /// Whoever asks it from now on is ended by the guard.
    pub(in super::super) fn guarded_by(mut self, guard: Option<&Guard>) -> Arc<Self> {
        self.environment.extend(guard.map(Guard::variable));
        Arc::new(self)
    }

    /// For a guard, which asks it when nobody else can.
    pub(in super::super) fn words(&self) -> Vec<String> {
        let program = [self.kind.to_string()];
        program.into_iter().chain(self.arguments.clone()).collect()
    }

    pub(in super::super) fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// Its version, from whoever does the work: a daemon, where there is one.
    pub(super) async fn looked_at(&self) -> Result<String, NoAnswer> {
        let version = match self.kind {
            Kind::Podman => "{{.Version.Version}}",
            Kind::Docker => "{{.ServerVersion}}",
        };
        let ran = self.run(words(&["info", "--format", version]), ANSWERS_WITHIN, ());
        let ran = ran.await;
        let said = String::from_utf8_lossy(&ran.stdout).trim().to_owned();
        match &ran.how {
            How::Exited(0) if !said.is_empty() => Ok(said),
            how => Err(NoAnswer {
                words: why("info", &ran),
                is_installed: !matches!(how, How::CannotRun(_)),
            }),
        }
    }

    /// What it says, or why it did not do that.
    pub(super) async fn ask(
        &self,
        words: Vec<OsString>,
        within: Duration,
        holding: impl Send + 'static,
    ) -> Result<Vec<u8>, String> {
        let verb = words[0].to_string_lossy().into_owned();
        let ran = self.run(words, within, holding).await;
        match ran.how {
            How::Exited(0) => Ok(ran.stdout),
            _ => Err(why(&verb, &ran)),
        }
    }

    async fn run(
        &self,
        words: Vec<OsString>,
        within: Duration,
        holding: impl Send + 'static,
    ) -> Ran {
        let action = Action {
            deadline: Some(within),
            // Podman without root leaves a process behind that its other calls need.
            leftovers: Leftovers::KeptAfterSuccess,
            ..self.action(words)
        };
        action::run(action, holding).await
    }

    pub(super) fn action(&self, words: Vec<OsString>) -> Action {
        let arguments = self.arguments.iter().map(OsString::from);
        Action {
            program: PathBuf::from(self.kind.to_string()),
            arguments: arguments.chain(words).collect(),
            environment: self.environment.clone(),
            directory: None,
            input: None,
            deadline: None,
            leftovers: Leftovers::Killed,
            output: Kept::Whole,
            log: None,
        }
    }

    pub(super) async fn state(
        &self,
        id: &str,
        holding: impl Send + 'static,
    ) -> Result<(State, InForce), String> {
        const FORMAT: &str = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{json .State}}";
        let words = words(&["inspect", "--type", "container", "--format", FORMAT, id]);
        let said = self.ask(words, ANSWERS_WITHIN, holding).await?;
        let said = String::from_utf8_lossy(&said).into_owned();
        let odd = |_| format!("{}: inspect said {}", self.kind, said.trim());
        let mut parts = said.trim().splitn(3, ' ');
        let mut number = || parts.next().and_then(|number| number.parse().ok());
        let in_force = InForce {
            memory_bytes: number().unwrap_or_default(),
            cpu_billionths: number().unwrap_or_default(),
        };
        let state = serde_json::from_str(parts.next().unwrap_or_default()).map_err(odd)?;
        Ok((state, in_force))
    }

    /// Bytes that a container has written to its own layer.
    pub(super) async fn size(&self, id: &str, holding: impl Send + 'static) -> Result<u64, String> {
        let format = ["--size", "--format", "{{.SizeRw}}"];
        let words = words(&[&["inspect", "--type", "container"], &format[..], &[id]].concat());
        let said = self.ask(words, ANSWERS_WITHIN, holding).await?;
        let said = String::from_utf8_lossy(&said);
        let odd = |_| format!("{}: inspect said {} of a size", self.kind, said.trim());
        said.trim().parse().map_err(odd)
    }

    /// All containers with a label, running or not.
    pub(super) async fn labelled(&self, label: &str) -> Result<Vec<String>, String> {
        let filter = format!("label={label}");
        let all = words(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter]);
        let said = self.ask(all, ANSWERS_WITHIN, ()).await?;
        let said = String::from_utf8_lossy(&said);
        Ok(said.split_ascii_whitespace().map(str::to_owned).collect())
    }

    /// By id or name, killed if it runs. One that is not there is none the worse for it.
    pub(super) async fn remove(&self, container: &str) -> Result<(), String> {
        match self.ask(removal(container), ANSWERS_WITHIN, ()).await {
            Err(why) if !why.to_lowercase().contains("no such container") => Err(why),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// What cannot be removed is tried again with the next attempt of any activity.
    pub(super) async fn remove_for_good(&self, container: &str) {
        for tries_left in (0..REMOVE_TRIES).rev() {
            match self.remove(container).await {
                Ok(()) => {
                    self.left().remove(container);
                    return;
                }
                Err(_) if tries_left > 0 => {}
                Err(why) => {
                    tracing::warn!(container, "cannot be removed, and is tried again: {why}");
                    self.left().insert(container.to_owned());
                }
            }
        }
    }

    /// What could not be removed before.
    pub(super) async fn remove_leftovers(&self) {
        let left = self.left().clone();
        for container in left {
            self.remove_for_good(&container).await;
        }
    }

    /// Where nothing can be waited for any more.
    pub(super) fn remove_now(&self, container: &str) {
        let mut command = Command::new(self.kind.to_string());
        command.args(&self.arguments).args(removal(container));
        command.env_clear().envs(&self.environment);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let _ = command.stderr(Stdio::null()).status();
    }

    fn left(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.leftovers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an engine cannot be used.
#[derive(Debug)]
pub(super) struct NoAnswer {
    pub(super) words: String,
    is_installed: bool,
}

pub(super) fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn removal(container: &str) -> Vec<OsString> {
    words(&["rm", "--force", "--volumes", container])
}

/// Its own words, where it said any.
fn why(verb: &str, ran: &Ran) -> String {
    match (&ran.how, last_words(&ran.stderr)) {
        (How::Exited(_), Some(words)) => words,
        (how, Some(words)) => format!("{verb} {how}: {words}"),
        (how, None) => format!("{verb} {how}"),
    }
}

/// Whether it still answers, for Checks.
pub(in super::super) async fn look(engine: &Engine) -> (Result<String, String>, Duration) {
    let began = Instant::now();
    let answer = engine.looked_at().await;
    let answer = answer.map_err(|why| format!("{} does not answer: {}", engine.kind, why.words));
    (answer, began.elapsed())
}
