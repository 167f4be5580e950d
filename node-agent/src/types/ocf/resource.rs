//! One resource: its script's actions, one at a time, each with its words.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mainstay_service::{CannotStart, Health};
use tokio::sync::Mutex;

use super::code::{Code, Found, Severity};
use super::config::{OcfConfig, Param};
use super::meta_data::MetaData;
use super::script::{BadScript, Script};
use crate::action::{self, Action, How, Kept, Leftovers, Ran, SEARCH_PATH};
use crate::secret_files::SecretFiles;

/// The standard asks that it is quick, and needs nothing.
const META_DATA_DEADLINE: Duration = Duration::from_secs(10);
/// What the standard's version 1.1 says of itself.
const VERSION: [(&str, &str); 2] = [("OCF_RA_VERSION_MAJOR", "1"), ("OCF_RA_VERSION_MINOR", "1")];
/// What the scripts' own library puts before a reason.
const REASON_PREFIX: &str = "ocf-exit-reason:";

#[derive(Debug)]
pub(super) struct Resource {
    pub(super) config: OcfConfig,
    pub(super) meta: MetaData,
    script: Script,
    /// As in `OCF_RESOURCE_INSTANCE`.
    instance: String,
    scratch: PathBuf,
    secrets: SecretFiles,
    /// Scripts rely on it: one action of a resource at a time.
    gate: Arc<Mutex<()>>,
}

/// A finished action.
#[derive(Debug)]
pub(super) struct Acted {
    pub(super) end: End,
    pub(super) took: Duration,
    /// What happened, with the script's own words.
    pub(super) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Code(Code),
    /// It came to no exit code: not run, killed, ended by a signal.
    Broken(Severity),
}

impl Acted {
    pub(super) fn is(&self, code: Code) -> bool {
        self.end == End::Code(code)
    }

    pub(super) fn severity(&self) -> Severity {
        match self.end {
            End::Code(code) => code.severity(),
            End::Broken(severity) => severity,
        }
    }

    pub(super) fn found(&self) -> Found {
        match self.end {
            End::Code(code) => code.found(),
            End::Broken(severity) => Found::Failed(severity),
        }
    }

    pub(super) fn health(&self) -> Health {
        match self.found() {
            Found::Running => Health::ok(),
            Found::Limping => Health::degraded(self.text.clone()),
            Found::NotRunning | Found::Failed(_) => Health::failed(self.text.clone()),
        }
    }

    pub(super) fn cannot_start(&self) -> CannotStart {
        cannot_start(self.severity(), &self.text)
    }
}

pub(super) fn cannot_start(severity: Severity, why: impl fmt::Display) -> CannotStart {
    match severity {
        Severity::Soft => CannotStart::not_now(why),
        Severity::Hard => CannotStart::not_here(why),
        Severity::Fatal => CannotStart::config(why),
    }
}

impl Resource {
    /// Reads the script's own description.
    pub(super) async fn describe(
        config: OcfConfig,
        instance: String,
        scratch: PathBuf,
        secrets: SecretFiles,
    ) -> Result<Self, CannotStart> {
        let script = Script::named(&config.agent, Path::new(&config.ocf_root))
            .map_err(CannotStart::config)?;
        let scratch = config.rsctmp.as_ref().map_or(scratch, PathBuf::from);
        let mut resource = Self {
            config,
            meta: MetaData::default(),
            script,
            instance,
            scratch,
            secrets,
            gate: Arc::default(),
        };
        let (acted, described) = resource
            .run("meta-data", 0, Duration::ZERO, META_DATA_DEADLINE)
            .await;
        if !acted.is(Code::Success) {
            return Err(acted.cannot_start());
        }
        resource.meta = MetaData::parse(&String::from_utf8_lossy(&described)).map_err(|why| {
            let agent = &resource.config.agent;
            CannotStart::not_here(format!("the meta-data of {agent} cannot be read: {why}"))
        })?;
        Ok(resource)
    }

    /// Any action but `meta-data`.
    pub(super) async fn act(&self, action: &str) -> Acted {
        let level = self.config.check_level;
        self.act_at(action, level, Duration::ZERO).await
    }

    /// One of the monitors that are repeated: scripts tell them from a look that is taken once.
    pub(super) async fn monitor(&self, level: u32) -> Acted {
        let every = self.config.monitor_every(&self.meta);
        self.act_at("monitor", level, every).await
    }

    async fn act_at(&self, action: &str, level: u32, every: Duration) -> Acted {
        let deadline = self.config.timeout(action, &self.meta);
        self.run(action, level, every, deadline).await.0
    }

    async fn run(
        &self,
        name: &str,
        level: u32,
        every: Duration,
        deadline: Duration,
    ) -> (Acted, Vec<u8>) {
        let alone = Arc::clone(&self.gate).lock_owned().await;
        let program = match self.script.trusted() {
            Ok(program) => program,
            Err(bad) => return (not_trusted(&bad), Vec::new()),
        };
        let mut environment = self.environment();
        environment.extend(
            [
                ("__OCF_ACTION", name.to_owned()),
                ("OCF_CHECK_LEVEL", level.to_string()),
                ("OCF_RESKEY_CRM_meta_name", name.to_owned()),
                (
                    "OCF_RESKEY_CRM_meta_timeout",
                    deadline.as_millis().to_string(),
                ),
                (
                    "OCF_RESKEY_CRM_meta_interval",
                    every.as_millis().to_string(),
                ),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        );
        let leftovers = if name == "start" {
            Leftovers::KeptAfterSuccess
        } else {
            Leftovers::Killed
        };
        let action = Action {
            program: program.clone(),
            arguments: vec![name.into()],
            environment,
            directory: None,
            input: None,
            deadline: Some(deadline),
            leftovers,
            output: Kept::Whole,
            log: None,
        };
        let ran = action::run(action, alone).await;
        let acted = self.read(name, &program, &ran);
        tracing::debug!(action = name, took_ms = ran.took.as_millis() as u64, text = %acted.text, "action");
        (acted, ran.stdout)
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let scratch = self.scratch.to_string_lossy();
        let mut environment: BTreeMap<String, String> = [
            // Nothing of the agent's own environment is handed on.
            ("PATH", SEARCH_PATH),
            ("LC_ALL", "C"),
            ("OCF_ROOT", &self.config.ocf_root),
            ("OCF_RESOURCE_INSTANCE", &self.instance),
            ("OCF_RESOURCE_TYPE", &self.script.kind),
            ("HA_RSCTMP", &scratch),
        ]
        .map(owned)
        .into();
        environment.extend(VERSION.map(owned));
        if let Some(provider) = &self.script.provider {
            environment.insert("OCF_RESOURCE_PROVIDER".to_owned(), provider.clone());
        }
        environment.extend(
            self.config
                .params
                .iter()
                .map(|(name, value)| (format!("OCF_RESKEY_{name}"), self.filled_in(value))),
        );
        environment
    }

    /// A reference to a secret becomes the path of its file.
    fn filled_in(&self, value: &Param) -> String {
        let text = value.to_string();
        let path = self.secrets.in_place_of(&text);
        path.and_then(Result::ok).unwrap_or(text)
    }

    fn read(&self, name: &str, program: &Path, ran: &Ran) -> Acted {
        let agent = &self.config.agent;
        let (end, mut text) = match &ran.how {
            How::Exited(code) => {
                let code = Code::of(*code);
                (End::Code(code), format!("{name} of {agent}: {code}"))
            }
            How::CannotRun(error) => {
                let severity = match error.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Severity::Hard,
                    _ if error.raw_os_error() == Some(ENOEXEC) => Severity::Hard,
                    _ => Severity::Soft,
                };
                let why = cannot_run(program, error);
                (
                    End::Broken(severity),
                    format!("{name} of {agent} cannot be run: {why}"),
                )
            }
            how @ (How::Signalled(_)
            | How::Deadline(_)
            | How::Flood
            | How::Swarm(_)
            | How::Abandoned) => (
                End::Broken(Severity::Soft),
                format!("{name} of {agent} {how}"),
            ),
        };
        if !matches!(end, End::Code(Code::Success))
            && let Some(reason) = reason(&ran.stderr)
        {
            text.push_str(": ");
            text.push_str(reason);
        }
        if ran.cleared > 0 && !matches!(end, End::Code(Code::Success)) {
            text.push_str(&format!(
                "; {} processes it left behind were killed",
                ran.cleared
            ));
        }
        if ran.stuck > 0 {
            text.push_str(&format!(
                "; {} of its processes cannot be killed",
                ran.stuck
            ));
        }
        Acted {
            end,
            took: ran.took,
            text,
        }
    }
}

/// The kernel knows no way to execute it.
const ENOEXEC: i32 = rustix::io::Errno::NOEXEC.raw_os_error();

fn not_trusted(bad: &BadScript) -> Acted {
    let severity = match bad {
        BadScript::Name(_) => Severity::Fatal,
        BadScript::Missing { .. }
        | BadScript::NotAProgram { .. }
        | BadScript::Owner { .. }
        | BadScript::WorldWritable { .. }
        | BadScript::Links(_) => Severity::Hard,
    };
    Acted {
        end: End::Broken(severity),
        took: Duration::ZERO,
        text: bad.to_string(),
    }
}

/// The last reason it gave, else the last line it wrote to standard error.
fn reason(stderr: &str) -> Option<&str> {
    let lines = || stderr.lines().rev().map(str::trim);
    lines()
        .find_map(|line| line.strip_prefix(REASON_PREFIX))
        .or_else(|| lines().find(|line| !line.is_empty()))
        .map(str::trim)
}

/// A script whose interpreter is missing looks as if it were missing itself.
fn cannot_run(program: &Path, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound
        && let Some(interpreter) = interpreter(program)
    {
        return format!("its interpreter {interpreter} is not there");
    }
    if error.raw_os_error() == Some(ENOEXEC) {
        return "it is neither a program nor a script that begins with #!".to_owned();
    }
    error.to_string()
}

fn interpreter(program: &Path) -> Option<String> {
    let mut first = [0; 256];
    let count = File::open(program).ok()?.read(&mut first).ok()?;
    let text = String::from_utf8_lossy(&first[..count]).into_owned();
    let line = text.lines().next()?.strip_prefix("#!")?.trim().to_owned();
    line.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_own_reason_is_preferred_to_its_other_words() {
        let told = "warming up\nocf-exit-reason:the disk is away\nbye\n\n";
        assert_eq!(reason(told), Some("the disk is away"));
        assert_eq!(reason("one\ntwo\n\n"), Some("two"));
        assert_eq!(reason("\n"), None);
    }
}
