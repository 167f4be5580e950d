//! The configuration of type `ocf`, and what can be said of it without looking at the node.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use mainstay_protocol::secret::SecretReference;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::meta_data::MetaData;

/// A start and what belongs to it (two monitors, a validation) fit the type's start deadline.
pub(super) const START_MS_MAX: u64 = 8 * 60 * 1000;
pub(super) const STOP_MS_MAX: u64 = 4 * 60 * 1000;
/// A monitor that takes longer says nothing of the present.
pub(super) const MONITOR_MS_MAX: u64 = 60 * 1000;
pub(super) const VALIDATE_MS_MAX: u64 = 60 * 1000;
/// Where neither the configuration nor the script says how long; the value that Pacemaker takes.
const ACTION_DEFAULT: Duration = Duration::from_secs(20);
const MONITOR_EVERY_DEFAULT: Duration = Duration::from_secs(10);
/// A script takes some milliseconds of a processor; more often would be a load of its own.
pub(super) const MONITOR_EVERY_MS_MIN: u64 = 100;
pub(super) const MONITOR_EVERY_MS_MAX: u64 = 60 * 60 * 1000;
/// Of all names and values together; they travel in the environment.
const PARAMS_BYTES_MAX: usize = 16 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OcfConfig {
    /// The resource agent: PROVIDER:TYPE, as in heartbeat:Dummy, or the absolute path of a script.
    pub agent: String,
    /// Its parameters, as its meta-data describes them (OCF_RESKEY_*). `secret://NAME` or `file:///PATH` becomes the path
    /// of a file with that secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Param>,
    /// How long actions may take; as the script's meta-data says, unless given here.
    #[serde(default, skip_serializing_if = "Timeouts::is_default")]
    pub timeouts: Timeouts,
    /// Between two monitors; as the script's meta-data says, unless given here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor_every_ms: Option<u64>,
    /// How deep monitors look (OCF_CHECK_LEVEL).
    #[serde(default)]
    pub check_level: u32,
    /// Where resource agents are installed (OCF_ROOT).
    #[serde(default = "ocf_root")]
    pub ocf_root: String,
    /// Where scripts keep their state until the machine restarts (HA_RSCTMP); a directory of the instance's own, unless
    /// given here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rsctmp: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate_ms: Option<u64>,
}

/// A parameter's value; scripts see its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Param {
    Flag(bool),
    Number(Number),
    Text(String),
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => flag.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

fn ocf_root() -> String {
    "/usr/lib/ocf".to_owned()
}

impl Timeouts {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl OcfConfig {
    /// What its parameters refer to, each once.
    pub(super) fn secrets(&self) -> BTreeSet<SecretReference> {
        let texts = self.params.values().map(ToString::to_string);
        texts
            .filter_map(|text| SecretReference::of(&text)?.ok())
            .collect()
    }

    /// What is wrong whatever the node has installed.
    pub(super) fn check(&self) -> Result<(), String> {
        let timeouts = &self.timeouts;
        for (field, value, least, most) in [
            ("timeouts.start_ms", timeouts.start_ms, 1, START_MS_MAX),
            ("timeouts.stop_ms", timeouts.stop_ms, 1, STOP_MS_MAX),
            (
                "timeouts.monitor_ms",
                timeouts.monitor_ms,
                1,
                MONITOR_MS_MAX,
            ),
            (
                "timeouts.validate_ms",
                timeouts.validate_ms,
                1,
                VALIDATE_MS_MAX,
            ),
            (
                "monitor_every_ms",
                self.monitor_every_ms,
                MONITOR_EVERY_MS_MIN,
                MONITOR_EVERY_MS_MAX,
            ),
        ] {
            if value.is_some_and(|value| !(least..=most).contains(&value)) {
                return Err(format!("{field}: it can be from {least} to {most}"));
            }
        }
        let directories = [
            ("ocf_root", Some(&self.ocf_root)),
            ("rsctmp", self.rsctmp.as_ref()),
        ];
        for (field, path) in directories {
            if path.is_some_and(|path| !path.starts_with('/')) {
                return Err(format!("{field}: it is no absolute path"));
            }
        }
        self.check_params()
    }

    fn check_params(&self) -> Result<(), String> {
        let mut bytes = 0;
        for (name, value) in &self.params {
            let value = value.to_string();
            bytes += name.len() + value.len();
            let letter = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
            if name.is_empty() || !name.chars().all(letter) {
                return Err(format!("params: \"{name}\" is no name of a parameter"));
            }
            if value.contains('\0') {
                return Err(format!(
                    "params.{name}: a zero byte cannot be given to a script"
                ));
            }
        }
        if bytes > PARAMS_BYTES_MAX {
            return Err(format!(
                "params: they have {bytes} bytes, more than {PARAMS_BYTES_MAX}"
            ));
        }
        Ok(())
    }

    /// Whether what another configuration started is what this one means.
    pub(super) fn same_resource(&self, other: &Self) -> bool {
        (&self.agent, &self.params, &self.ocf_root, &self.rsctmp)
            == (&other.agent, &other.params, &other.ocf_root, &other.rsctmp)
    }

    pub(super) fn timeout(&self, action: &str, meta: &MetaData) -> Duration {
        let (given, most) = match action {
            "start" => (self.timeouts.start_ms, START_MS_MAX),
            "stop" => (self.timeouts.stop_ms, STOP_MS_MAX),
            "monitor" => (self.timeouts.monitor_ms, MONITOR_MS_MAX),
            _ => (self.timeouts.validate_ms, VALIDATE_MS_MAX),
        };
        let depth = if action == "monitor" {
            self.check_level
        } else {
            0
        };
        let described = || meta.action(action, depth).and_then(|action| action.timeout);
        given
            .map(Duration::from_millis)
            .or_else(described)
            .unwrap_or(ACTION_DEFAULT)
            .clamp(Duration::from_millis(1), Duration::from_millis(most))
    }

    pub(super) fn monitor_every(&self, meta: &MetaData) -> Duration {
        let described = || {
            let action = meta.action("monitor", self.check_level)?;
            action.interval.filter(|interval| !interval.is_zero())
        };
        self.monitor_every_ms
            .map(Duration::from_millis)
            .or_else(described)
            .unwrap_or(MONITOR_EVERY_DEFAULT)
            .clamp(
                Duration::from_millis(MONITOR_EVERY_MS_MIN),
                Duration::from_millis(MONITOR_EVERY_MS_MAX),
            )
    }
}

#[cfg(test)]
mod tests {
    use mainstay_service::json;

    use super::*;

    fn config(value: mainstay_service::Value) -> OcfConfig {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn values_of_parameters_are_told_to_scripts_as_text() {
        let config = config(
            json!({ "agent": "a:b", "params": { "a": true, "b": 1.5, "c": "x y", "d": -3 } }),
        );
        config.check().unwrap();
        let texts: Vec<String> = config.params.values().map(ToString::to_string).collect();
        assert_eq!(texts, ["true", "1.5", "x y", "-3"]);
        // As it is reported: with its defaults, without what was not said.
        let said = serde_json::to_value(&config).unwrap();
        assert_eq!(said["ocf_root"], "/usr/lib/ocf");
        assert!(said.get("timeouts").is_none(), "{said}");
    }

    #[test]
    fn what_no_node_could_accept_is_said_by_field() {
        for (with, word) in [
            (
                json!({ "timeouts": { "start_ms": 0 } }),
                "timeouts.start_ms",
            ),
            (
                json!({ "timeouts": { "stop_ms": 999_999_999 } }),
                "timeouts.stop_ms",
            ),
            (json!({ "monitor_every_ms": 1 }), "monitor_every_ms"),
            (json!({ "ocf_root": "lib" }), "ocf_root"),
            (json!({ "rsctmp": "tmp" }), "rsctmp"),
            (json!({ "params": { "a=b": 1 } }), "a=b"),
            (json!({ "params": { "a": "x\0y" } }), "params.a"),
            (
                json!({ "params": { "a": "x".repeat(20_000) } }),
                "more than",
            ),
        ] {
            let mut value = with;
            value["agent"] = json!("a:b");
            let told = config(value).check().unwrap_err();
            assert!(told.contains(word), "{told}");
        }
    }

    #[test]
    fn times_come_from_the_configuration_then_the_script_then_a_default() {
        let xml = r#"<resource-agent name="x"><actions>
            <action name="start" timeout="90s"/><action name="monitor" timeout="5s" interval="3s"/>
            <action name="stop" timeout="9999s"/></actions></resource-agent>"#;
        let meta = MetaData::parse(xml).unwrap();
        let given = config(json!({ "agent": "a:b", "timeouts": { "monitor_ms": 70 } }));
        assert_eq!(given.timeout("start", &meta).as_secs(), 90);
        assert_eq!(given.timeout("monitor", &meta).as_millis(), 70);
        assert_eq!(given.timeout("validate-all", &meta).as_secs(), 20);
        assert_eq!(given.timeout("stop", &meta).as_millis() as u64, STOP_MS_MAX);
        assert_eq!(given.monitor_every(&meta).as_secs(), 3);
        assert_eq!(given.monitor_every(&MetaData::default()).as_secs(), 10);
    }
}
