//! The configuration of type `activity-agent`, and what can be said of it without looking at the node.

use std::collections::{BTreeMap, BTreeSet};

use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use hyper::header::{HeaderName, HeaderValue};
use mainstay_protocol::secret::SecretReference;
use mainstay_protocol::work::ANY;
use mainstay_protocol::{WorkName, limits};
use mainstay_service::Faults;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::http::IDEMPOTENCY_KEY;
use crate::types::http_url::Url;

/// What it does of its own.
pub(super) const BUILTIN: &str = "builtin";
/// So many calls at once, unless it is said.
pub(super) const HANDS: u32 = 8;
/// Variables that tell a program of its call begin like this.
pub(super) const OURS: &str = "MAINSTAY_";

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivityAgentConfig {
    /// So many calls at once, of all that it does.
    #[serde(default = "hands")]
    pub hands: u32,
    /// By provider and type of activity, how it is done. The type `*` is every one that is not named. Beside these it does
    /// sleep, echo and fail of builtin.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub activities: BTreeMap<String, BTreeMap<String, Way>>,
    /// Faults of calls, made on purpose, to try out what does them: how likely each is, 0 to 1. Only an agent that was started
    /// with --chaos has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inject: Option<Faults>,
}

/// How an activity is done: one of the three.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Way {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessWay>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpWay>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadWay>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessWay {
    /// The program, by its whole path or its name in PATH, and its arguments; no shell reads them. It is run once for each
    /// call. `secret://NAME` or `file:///PATH`, as a whole argument, becomes the path of a file with that secret.
    pub command: Vec<String>,
    /// Its environment, beside PATH, MAINSTAY_INSTANCE, MAINSTAY_NODE and what tells it of its call; nothing else is
    /// inherited. `secret://NAME` or `file:///PATH` becomes the path of a file, as in `command`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Its working directory; the root directory, unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpWay {
    /// Where each call is posted to: http://HOST[:PORT][/PATH].
    pub url: String,
    /// Sent with each. `secret://NAME` or `file:///PATH`, as a whole value, becomes that secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

/// The container, or the script in one, that each call's inputs describe.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadWay {
    /// What runs containers.
    #[serde(default)]
    pub engine: EngineName,
    /// Words for the engine itself, before what it is asked, as in `["--runtime", "runc"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// Words for each container that is made, as in `["--network", "none"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// When an image is fetched.
    #[serde(default)]
    pub pull: Pull,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EngineName {
    /// Podman if it answers, else Docker.
    #[default]
    Auto,
    Podman,
    Docker,
    /// None: the command of a container runs on the machine itself, without its image and with the agent's rights.
    Host,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pull {
    /// When the node does not have it.
    #[default]
    Missing,
    Always,
    /// When the registry has another; Podman alone knows that.
    Newer,
    Never,
}

impl Pull {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Always => "always",
            Self::Newer => "newer",
            Self::Never => "never",
        }
    }
}

fn hands() -> u32 {
    HANDS
}

impl ActivityAgentConfig {
    /// What can never work, with the field and what is wrong with it.
    pub(super) fn check(&self) -> Result<(), String> {
        if !(1..=limits::HANDS_MAX).contains(&self.hands) {
            return Err(format!("hands: can be 1 to {}", limits::HANDS_MAX));
        }
        if let Some(faults) = &self.inject {
            faults.check().map_err(|why| format!("inject: {why}"))?;
        }
        for (provider, types) in &self.activities {
            provider_is_one(provider)?;
            if types.is_empty() {
                return Err(format!(
                    "activities: {provider} has no type of activity; name some, or {ANY} for every one"
                ));
            }
            for (activity, way) in types {
                let field = |why: String| format!("activities: {activity} of {provider}: {why}");
                if activity != ANY {
                    WorkName::new(activity).map_err(|bad| field(bad.to_string()))?;
                }
                way.check().map_err(field)?;
            }
        }
        Ok(())
    }

    /// What its programs are given as files, each once.
    pub(super) fn secrets(&self) -> BTreeSet<SecretReference> {
        let ways = self.activities.values().flat_map(BTreeMap::values);
        let programs = ways.filter_map(|way| way.process.as_ref());
        let texts = programs.flat_map(|way| way.command.iter().chain(way.env.values()));
        texts
            .filter_map(|text| SecretReference::of(text)?.ok())
            .collect()
    }
}

/// A free name; what nobody could have meant is none.
fn provider_is_one(provider: &str) -> Result<(), String> {
    if provider == BUILTIN {
        return Err(format!(
            "activities: {BUILTIN} is what every activity-agent does of its own; choose another name for the provider"
        ));
    }
    let is_odd = |c: char| c.is_control() || c.is_whitespace();
    if provider.is_empty() || provider == ANY || provider.contains(is_odd) {
        return Err(format!(
            "activities: \"{}\" is no provider's name; one is a word, like deploy.example.com",
            provider.escape_debug()
        ));
    }
    Ok(())
}

impl Way {
    fn check(&self) -> Result<(), String> {
        const THREE: &str = "process, http and workload";
        match (&self.process, &self.http, &self.workload) {
            (Some(process), None, None) => process.check().map_err(|why| format!("process.{why}")),
            (None, Some(http), None) => http.check().map_err(|why| format!("http.{why}")),
            (None, None, Some(workload)) => {
                workload.check().map_err(|why| format!("workload.{why}"))
            }
            (None, None, None) => Err(format!("it has none of {THREE}; one of them does it")),
            _ => Err(format!("it has several of {THREE}; one of them does it")),
        }
    }
}

impl ProcessWay {
    fn check(&self) -> Result<(), String> {
        let program = self.command.first().map_or("", String::as_str);
        if program.is_empty() {
            return Err(
                "command: is empty; it is a list of words, as in [\"/usr/bin/deploy\", \"--fast\"]"
                    .to_owned(),
            );
        }
        if SecretReference::of(program).is_some() {
            return Err(format!(
                "command: \"{program}\" is a secret, which is no program; the first word is what is run"
            ));
        }
        if program.contains('/') && !program.starts_with('/') {
            return Err(format!(
                "command: \"{program}\" is a relative path; write its whole path, or a name that is found in PATH"
            ));
        }
        for word in &self.command {
            can_be_given("command", word)?;
        }
        for (key, value) in &self.env {
            if key.is_empty() || key.contains(['=', '\0']) {
                let key = key.escape_debug();
                return Err(format!("env: \"{key}\" is no variable's name"));
            }
            if key.starts_with(OURS) {
                return Err(format!(
                    "env: {key} is not yours to set: what begins with {OURS} tells of the call"
                ));
            }
            can_be_given("env", value)?;
        }
        match &self.directory {
            Some(path) if !path.starts_with('/') => {
                Err(format!("directory: \"{path}\" is no absolute path"))
            }
            Some(path) => can_be_given("directory", path),
            None => Ok(()),
        }
    }
}

impl WorkloadWay {
    fn check(&self) -> Result<(), String> {
        let lists = [("arguments", &self.arguments), ("options", &self.options)];
        for (field, words) in lists {
            if self.engine == EngineName::Host && !words.is_empty() {
                return Err(format!("{field}: are for an engine, and host has none"));
            }
            if words.iter().any(|word| word.contains('\0')) {
                return Err(format!("{field}: a word has a zero byte in it"));
            }
        }
        match (self.engine, self.pull) {
            (EngineName::Docker, Pull::Newer) => {
                Err("pull: newer is known to podman alone, not to docker".to_owned())
            }
            _ => Ok(()),
        }
    }
}

fn can_be_given(field: &str, text: &str) -> Result<(), String> {
    if text.contains('\0') {
        let text = text.escape_debug();
        return Err(format!("{field}: \"{text}\" has a zero byte in it"));
    }
    refers_well(field, text)
}

fn refers_well(field: &str, text: &str) -> Result<(), String> {
    match SecretReference::of(text) {
        Some(Err(bad)) => Err(format!("{field}: {bad}")),
        Some(Ok(_)) | None => Ok(()),
    }
}

impl HttpWay {
    fn check(&self) -> Result<(), String> {
        Url::parse(&self.url).map_err(|why| format!("url: {why}"))?;
        let mut seen = BTreeSet::new();
        for (name, value) in &self.headers {
            let parsed = HeaderName::try_from(name.as_str());
            let parsed = parsed.map_err(|_| {
                let name = name.escape_debug();
                format!("headers: \"{name}\" is no name of a header")
            })?;
            if is_ours(&parsed) {
                return Err(format!("headers: {name} is not yours to set"));
            }
            if !seen.insert(parsed.as_str().to_owned()) {
                return Err(format!(
                    "headers: {name} is there twice; upper and lower case are the same in a header's name"
                ));
            }
            HeaderValue::try_from(value.as_str())
                .map_err(|_| format!("headers: what {name} says cannot stand in a header"))?;
            refers_well("headers", value)?;
        }
        Ok(())
    }
}

fn is_ours(name: &HeaderName) -> bool {
    let ours = [
        HOST,
        CONNECTION,
        CONTENT_LENGTH,
        CONTENT_TYPE,
        TRANSFER_ENCODING,
        IDEMPOTENCY_KEY,
    ];
    ours.contains(name)
}

#[cfg(test)]
mod tests {
    use mainstay_service::{Value, json};

    use super::*;

    fn checked(config: Value) -> Result<(), String> {
        serde_json::from_value::<ActivityAgentConfig>(config)
            .map_err(|error| error.to_string())?
            .check()
    }

    fn way(way: Value) -> Value {
        json!({ "activities": { "example.com": { "copy": way } } })
    }

    #[test]
    fn what_is_not_said_is_eight_hands_and_nothing_but_its_own() {
        let config: ActivityAgentConfig = serde_json::from_value(json!({})).unwrap();
        config.check().unwrap();
        let said = serde_json::to_value(&config).unwrap();
        assert_eq!(said, json!({ "hands": 8 }));
        let whole = json!({ "hands": limits::HANDS_MAX, "activities": { "p": {
            "*": { "process": { "command": ["sh"], "env": { "A": "b" }, "directory": "/tmp" } },
            "a.b": { "http": { "url": "http://a/", "headers": { "Authorization": "secret://token" } } },
            "c": { "workload": {} },
            "d": { "workload": {
                "engine": "podman", "arguments": ["--runtime", "runc"], "options": ["--network", "none"], "pull": "newer",
            } },
        } } });
        checked(whole).unwrap();
    }

    fn refused(of: impl Fn(Value) -> Value, cases: &[(Value, &str)]) {
        for (config, word) in cases {
            let told = checked(of(config.clone())).unwrap_err();
            assert!(told.contains(word), "{config}: {told}");
        }
    }

    #[test]
    fn what_can_never_work_is_refused_with_its_field() {
        refused(
            |whole| whole,
            &[
                (json!({ "hands": 0 }), "hands: can be 1 to 1024"),
                (json!({ "hands": 1025 }), "hands: can be 1 to 1024"),
                (json!({ "hand": 1 }), "unknown field `hand`"),
                (
                    json!({ "activities": { "builtin": { "x": {} } } }),
                    "of its own",
                ),
                (
                    json!({ "activities": { "": { "x": {} } } }),
                    "no provider's name",
                ),
                (
                    json!({ "activities": { "a b": { "x": {} } } }),
                    "\"a b\" is no provider",
                ),
                (
                    json!({ "activities": { "*": { "x": {} } } }),
                    "\"*\" is no provider",
                ),
                (json!({ "activities": { "p": {} } }), "p has no type"),
                (
                    json!({ "activities": { "p": { "a b": {} } } }),
                    "a b of p: \"a b\" is no name",
                ),
                (way(json!({})), "copy of example.com: it has none of"),
                (
                    way(json!({ "process": { "command": ["a"] }, "http": { "url": "http://a/" } })),
                    "it has several of",
                ),
                (way(json!({ "shell": "ls" })), "unknown field `shell`"),
            ],
        );
    }

    #[test]
    fn a_program_that_can_never_work_is_refused_with_its_field() {
        refused(
            |of| way(json!({ "process": of })),
            &[
                (json!({}), "missing field `command`"),
                (json!({ "command": [] }), "process.command: is empty"),
                (json!({ "command": [""] }), "process.command: is empty"),
                (json!({ "command": ["./x"] }), "relative path"),
                (
                    json!({ "command": ["secret://x"] }),
                    "process.command: \"secret://x\" is a secret, which is no program",
                ),
                (json!({ "command": ["file:///x"] }), "which is no program"),
                (json!({ "command": ["x", "a\u{0}"] }), "zero byte"),
                (
                    json!({ "command": ["x", "secret://no name"] }),
                    "process.command: \"secret://no name\" refers to no secret",
                ),
                (
                    json!({ "command": ["x"], "env": { "A=B": "" } }),
                    "no variable's name",
                ),
                (
                    json!({ "command": ["x"], "env": { "MAINSTAY_RUN": "" } }),
                    "MAINSTAY_RUN is not yours",
                ),
                (
                    json!({ "command": ["x"], "directory": "tmp" }),
                    "process.directory: \"tmp\" is no absolute path",
                ),
                (
                    json!({ "command": ["x"], "cwd": "/" }),
                    "unknown field `cwd`",
                ),
            ],
        );
    }

    #[test]
    fn a_workload_that_can_never_work_is_refused_with_its_field() {
        refused(
            |of| way(json!({ "workload": of })),
            &[
                (json!({ "engine": "lxc" }), "unknown variant `lxc`"),
                (json!({ "pull": "often" }), "unknown variant `often`"),
                (json!({ "image": "a" }), "unknown field `image`"),
                (
                    json!({ "engine": "host", "options": ["--rm"] }),
                    "workload.options: are for an engine",
                ),
                (
                    json!({ "arguments": ["\u{0}"] }),
                    "workload.arguments: a word has a zero byte",
                ),
                (
                    json!({ "engine": "docker", "pull": "newer" }),
                    "workload.pull: newer is known to podman alone",
                ),
            ],
        );
    }

    #[test]
    fn an_endpoint_that_can_never_work_is_refused_with_its_field() {
        refused(
            |of| way(json!({ "http": of })),
            &[
                (json!({}), "missing field `url`"),
                (
                    json!({ "url": "https://a/" }),
                    "http.url: \"https://a/\" needs TLS",
                ),
                (json!({ "url": "a" }), "http.url: "),
                (
                    json!({ "url": "http://a/", "headers": { "a b": "" } }),
                    "no name of a header",
                ),
                (
                    json!({ "url": "http://a/", "headers": { "A": "x\ny" } }),
                    "cannot stand in a header",
                ),
                (
                    json!({ "url": "http://a/", "headers": { "X-Team": "a", "x-team": "b" } }),
                    "http.headers: x-team is there twice",
                ),
                (
                    json!({ "url": "http://a/", "headers": { "content-type": "x" } }),
                    "content-type is not yours",
                ),
                (
                    json!({ "url": "http://a/", "headers": { "Idempotency-Key": "x" } }),
                    "Idempotency-Key is not yours",
                ),
            ],
        );
    }
}
