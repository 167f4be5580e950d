//! What a placement says of a process, and what of it can be judged before anything is started.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::secret::SecretReference;
use mainstay_protocol::words;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A process has this long to become ready, unless it is said.
const READY_WITHIN_MS: u64 = 20_000;
/// Within the type's start deadline, with room for what is before and behind.
pub(super) const READY_WITHIN_MS_MAX: u64 = 300_000;
/// Between SIGTERM and SIGKILL, unless it is said.
const STOP_WAIT_MS: u64 = 10_000;
/// Of all steps of a stop together: within the type's stop deadline.
pub(super) const STOP_MS_MAX: u64 = 300_000;
const STOP_STEPS_MAX: usize = 7;
const PORTS_MAX: usize = 16;
/// As the hold knows them.
const SIGNALS: [&str; 9] = [
    "TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "WINCH", "ABRT", "KILL",
];

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessConfig {
    /// The program and its arguments. `${port:NAME}` is the number of a port. `secret://NAME` or `file:///PATH`, as a
    /// whole argument, becomes the path of a file with that secret, which is there while the process is.
    pub command: Vec<String>,
    /// Its environment, beside PATH, MAINSTAY_INSTANCE, MAINSTAY_NODE, MAINSTAY_NAME, MAINSTAY_INCARNATION and
    /// MAINSTAY_PORT_NAME for each port, MAINSTAY_SOCKET to look others up unless it runs as another user, and
    /// MAINSTAY_ADDR_PLACEMENT for what its placement depends on, as it was when it started; nothing else is inherited.
    /// `secret://NAME` or `file:///PATH` becomes the path of a file, as in `command`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Its working directory; the root directory, unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// The user that it runs as, by name or number; the agent's, unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Octal, as in "027".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub umask: Option<String>,
    #[serde(default, skip_serializing_if = "LimitsConfig::is_empty")]
    pub limits: LimitsConfig,
    /// Its TCP ports: "http" gets a free number, "http=8080" this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// When it counts as started.
    #[serde(default)]
    pub ready: Ready,
    /// One that is not ready by then is killed, and the start has failed.
    #[serde(default = "ready_within_ms")]
    pub ready_within_ms: u64,
    /// How it is asked whether it is well.
    #[serde(default)]
    pub check: Check,
    /// Signals, and how long each has to help; SIGKILL is always the last.
    #[serde(default = "stop_steps")]
    pub stop: Vec<StopStep>,
    #[serde(default, skip_serializing_if = "LogConfig::is_default")]
    pub log: LogConfig,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// Of it and all that descends from it where the agent was given a control group, else of its address space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// Of its user, all together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_bytes: Option<u64>,
}

impl LimitsConfig {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ready {
    /// As soon as the program runs.
    #[default]
    Started,
    /// A line of its output has this text in it.
    Line(String),
    /// This takes connections: a port's name, a number, or HOST:PORT.
    Tcp(String),
    /// This answers with 200 to 399: a path on its first port, or http://HOST:PORT/PATH.
    Http(String),
    /// It says READY=1 (sd_notify).
    Notify,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// It is there, and not stopped.
    #[default]
    Alive,
    /// This command, run with its environment, ends with 0.
    Exec(Vec<String>),
    /// This takes connections: a port's name, a number, or HOST:PORT.
    Tcp(String),
    /// This answers with 200 to 399: a path on its first port, or http://HOST:PORT/PATH. An answer of the type
    /// application/health+json whose status is "warn" says that it is degraded, and its output says why.
    Http(String),
    /// It says WATCHDOG=1 (sd_notify) at least so often.
    WatchdogMs(u64),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StopStep {
    /// "TERM", without SIG.
    pub signal: String,
    pub wait_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// Of one file.
    #[serde(default = "log_bytes_max")]
    pub bytes_max: u64,
    /// The one that is written and the older ones.
    #[serde(default = "log_files_max")]
    pub files_max: u32,
}

impl LogConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            bytes_max: log_bytes_max(),
            files_max: log_files_max(),
        }
    }
}

fn ready_within_ms() -> u64 {
    READY_WITHIN_MS
}

fn stop_steps() -> Vec<StopStep> {
    vec![StopStep {
        signal: "TERM".to_owned(),
        wait_ms: STOP_WAIT_MS,
    }]
}

fn log_bytes_max() -> u64 {
    mainstay_hold::limits::LOG_BYTES_DEFAULT
}

fn log_files_max() -> u32 {
    mainstay_hold::limits::LOG_FILES_DEFAULT
}

/// A port that the configuration asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PortWish {
    pub name: String,
    pub number: Option<u16>,
}

impl ProcessConfig {
    /// What can never work, with the field and what is wrong with it.
    pub(super) fn wishes(&self) -> Result<Vec<PortWish>, String> {
        self.command_is_one()?;
        self.umask()?;
        let wishes = self.port_wishes()?;
        for key in self.env.keys() {
            if key.is_empty() || key.contains(['=', '\0']) {
                return Err(format!("env: \"{key}\" is no variable's name"));
            }
        }
        let texts = self.command.iter().chain(self.env.values());
        for text in texts.chain(self.cwd.as_ref()).chain(self.probed()) {
            if text.contains('\0') {
                return Err(format!("\"{}\" has a zero byte in it", text.escape_debug()));
            }
            with_ports(text, |name| {
                let known = wishes.iter().find(|wish| wish.name == name);
                known.map(|_| 0).ok_or_else(|| no_such_port(name, &wishes))
            })?;
        }
        if self.ready == Ready::Line(String::new()) {
            return Err("ready: an empty text is in every line".to_owned());
        }
        if let Check::Exec(command) = &self.check
            && command.first().is_none_or(String::is_empty)
        {
            return Err("check: exec has no command".to_owned());
        }
        if !(1..=READY_WITHIN_MS_MAX).contains(&self.ready_within_ms) {
            return Err(format!(
                "ready_within_ms: can be 1 to {READY_WITHIN_MS_MAX}"
            ));
        }
        self.stop_is_one()?;
        Ok(wishes)
    }

    fn command_is_one(&self) -> Result<(), String> {
        match self.command.first() {
            Some(program) if !program.is_empty() => Ok(()),
            Some(_) | None => Err(
                "command: is empty; it is a list of words, as in [\"/usr/bin/web\", \"--port\", \"80\"]"
                    .to_owned(),
            ),
        }
    }

    pub(super) fn umask(&self) -> Result<Option<u32>, String> {
        let octal = |text: &String| {
            let mask = u32::from_str_radix(text, 8).ok();
            mask.filter(|mask| *mask <= 0o777)
                .ok_or_else(|| format!("umask: \"{text}\" is no octal number up to 777, as 027 is"))
        };
        self.umask.as_ref().map(octal).transpose()
    }

    fn port_wishes(&self) -> Result<Vec<PortWish>, String> {
        let mut wishes: Vec<PortWish> = Vec::new();
        for text in &self.ports {
            let wish = port_wish(text)?;
            if wishes.iter().any(|known| known.name == wish.name) {
                return Err(format!("ports: \"{}\" is there twice", wish.name));
            }
            wishes.push(wish);
        }
        if wishes.len() > PORTS_MAX {
            return Err(format!("ports: {PORTS_MAX} are the most"));
        }
        Ok(wishes)
    }

    fn stop_is_one(&self) -> Result<(), String> {
        if self.stop.len() > STOP_STEPS_MAX {
            return Err(format!("stop: {STOP_STEPS_MAX} steps are the most"));
        }
        for step in &self.stop {
            if !SIGNALS.contains(&step.signal.as_str()) {
                let signals = SIGNALS.join(", ");
                return Err(format!(
                    "stop: \"{}\" is no signal; {signals} are",
                    step.signal
                ));
            }
        }
        let all: u64 = self
            .stop
            .iter()
            .fold(0, |sum, step| sum.saturating_add(step.wait_ms));
        if all > STOP_MS_MAX {
            return Err(format!(
                "stop: its steps take {all} ms; {STOP_MS_MAX} ms are the most"
            ));
        }
        Ok(())
    }

    /// What it refers to, each once.
    pub(super) fn secrets(&self) -> BTreeSet<SecretReference> {
        let texts = self.command.iter().chain(self.env.values());
        let all = texts.chain(self.cwd.as_ref()).chain(self.probed());
        all.filter_map(|text| SecretReference::of(text)?.ok())
            .collect()
    }

    /// What readiness and check name.
    fn probed(&self) -> Vec<&String> {
        let mut probed = Vec::new();
        match &self.ready {
            Ready::Tcp(text) | Ready::Http(text) => probed.push(text),
            Ready::Started | Ready::Line(_) | Ready::Notify => {}
        }
        match &self.check {
            Check::Tcp(text) | Check::Http(text) => probed.push(text),
            Check::Exec(command) => probed.extend(command),
            Check::Alive | Check::WatchdogMs(_) => {}
        }
        probed
    }

    /// Whether it needs a NOTIFY_SOCKET.
    pub(super) fn notifies(&self) -> bool {
        self.ready == Ready::Notify || matches!(self.check, Check::WatchdogMs(_))
    }
}

fn port_wish(text: &str) -> Result<PortWish, String> {
    let (name, number) = match text.split_once('=') {
        Some((name, number)) => (name, Some(number)),
        None => (text, None),
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(plain);
    if !is_name {
        return Err(format!(
            "ports: \"{name}\" is no port's name: lower-case letters, digits and _ are"
        ));
    }
    let number = match number.map(str::parse::<u16>) {
        None => None,
        Some(Ok(number)) if number > 0 => Some(number),
        Some(_) => {
            return Err(format!(
                "ports: \"{text}\" has no port number behind the =; 1 to 65535 are"
            ));
        }
    };
    Ok(PortWish {
        name: name.to_owned(),
        number,
    })
}

pub(super) fn no_such_port(name: &str, wishes: &[PortWish]) -> String {
    let names: Vec<&str> = wishes.iter().map(|wish| wish.name.as_str()).collect();
    let nearest = words::nearest(name, names.iter().copied());
    match (nearest.first(), names.is_empty()) {
        (Some(nearest), _) => format!("ports: there is no port \"{name}\"; {nearest} is one"),
        (None, true) => format!("ports: there is no port \"{name}\"; add it to ports"),
        (None, false) => format!(
            "ports: there is no port \"{name}\"; {} are",
            names.join(", ")
        ),
    }
}

/// The text with the number of each `${port:NAME}` in its place. What else has that form is left alone: it is the
/// program's own.
pub(super) fn with_ports(
    text: &str,
    mut number: impl FnMut(&str) -> Result<u16, String>,
) -> Result<String, String> {
    const OPEN: &str = "${port:";
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(OPEN) {
        let Some((name, after)) = behind.split_once('}') else {
            return Err(format!(
                "\"{text}\" has a ${{port: that is not closed by }}"
            ));
        };
        done.push_str(before);
        done.push_str(&number(name)?.to_string());
        rest = after;
    }
    done.push_str(rest);
    Ok(done)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn wishes(config: Value) -> Result<Vec<PortWish>, String> {
        serde_json::from_value::<ProcessConfig>(config)
            .map_err(|error| error.to_string())?
            .wishes()
    }

    #[test]
    fn ports_are_asked_for_by_name_and_put_where_they_are_named() {
        let config = json!({ "command": ["web", "${port:http}"], "ports": ["http", "admin=8081"] });
        let wished = wishes(config).unwrap();
        assert_eq!(wished[0].number, None);
        assert_eq!(
            (wished[1].name.as_str(), wished[1].number),
            ("admin", Some(8081))
        );
        let text = with_ports("a:${port:x}/${HOME}/${port:x}", |_| Ok(7)).unwrap();
        assert_eq!(text, "a:7/${HOME}/7");
    }

    #[test]
    fn what_can_never_work_is_refused_with_its_field() {
        for (config, word) in [
            (json!({ "command": [] }), "command: is empty"),
            (json!({}), "missing field `command`"),
            (json!({ "command": ["a"], "comand": [] }), "unknown field"),
            (
                json!({ "command": ["a", "${port:htp}"], "ports": ["http"] }),
                "http is one",
            ),
            (
                json!({ "command": ["a", "${port:http}"] }),
                "add it to ports",
            ),
            (
                json!({ "command": ["${port:http"], "ports": ["http"] }),
                "not closed",
            ),
            (
                json!({ "command": ["a"], "ports": ["Http"] }),
                "no port's name",
            ),
            (json!({ "command": ["a"], "ports": ["h=0"] }), "1 to 65535"),
            (json!({ "command": ["a"], "ports": ["h", "h=1"] }), "twice"),
            (json!({ "command": ["a"], "umask": "8" }), "umask"),
            (
                json!({ "command": ["a"], "env": { "A=B": "" } }),
                "no variable",
            ),
            (
                json!({ "command": ["a"], "ready": { "line": "" } }),
                "every line",
            ),
            (
                json!({ "command": ["a"], "ready_within_ms": 0 }),
                "ready_within_ms",
            ),
            (
                json!({ "command": ["a"], "check": { "exec": [] } }),
                "exec has no command",
            ),
            (
                json!({ "command": ["a"], "stop": [{ "signal": "SIGTERM", "wait_ms": 1 }] }),
                "TERM, INT",
            ),
            (
                json!({ "command": ["a"], "stop": [{ "signal": "INT", "wait_ms": 999_999_999 }] }),
                "are the most",
            ),
        ] {
            let error = wishes(config.clone()).unwrap_err();
            assert!(error.contains(word), "{config}: {error}");
        }
    }
}
