//! `systemd`: a unit of systemd as a service. Generic in its name. Refused, with the reason, wherever it cannot be: where
//! systemd does not run, and, until it is built, also where it does.

use std::path::Path;

use mainstay_service::{Busy, CannotStart, Context, NoMessage, Service, TypeInfo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// There exactly where systemd is the init system (`sd_booted(3)`).
const BOOTED: &str = "/run/systemd/system";

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemdConfig {
    /// The unit, as in nginx.service.
    pub unit: String,
}

/// None of them exists yet: `start` always refuses.
#[derive(Debug)]
pub struct Systemd {}

impl Service for Systemd {
    type Config = SystemdConfig;
    type Message = NoMessage;
    type Probe = Busy;
    const TYPE: TypeInfo = TypeInfo::new("systemd", "1.0.0").generic().without_lease();

    async fn start(config: SystemdConfig, _: &Context) -> Result<(Self, Busy), CannotStart> {
        Err(refusal(&config.unit, Path::new(BOOTED)))
    }
}

fn refusal(unit: &str, booted: &Path) -> CannotStart {
    if !is_unit(unit) {
        return CannotStart::config(format!(
            "unit: \"{unit}\" is no name of a unit; write one with its kind, as in nginx.service"
        ));
    }
    if !booted.is_dir() {
        return CannotStart::not_here(format!(
            "systemd does not run on this node ({} is not there), so it has no unit {unit}; use the type process or ocf",
            booted.display()
        ));
    }
    CannotStart::not_here(format!(
        "systemd runs on this node, but this version of Mainstay cannot control its units yet; run what {unit} runs with the type process"
    ))
}

/// As `systemd.unit(5)` has it, for the kinds that run something.
fn is_unit(unit: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    let Some((name, kind)) = unit.rsplit_once('.') else {
        return false;
    };
    !name.is_empty()
        && unit.len() <= 255
        && unit.chars().all(letter)
        && ["service", "socket", "mount", "timer", "target"].contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_refused_with_what_stands_against_them() {
        let there = tempfile::tempdir().unwrap();
        let missing = there.path().join("missing");
        for (unit, booted, words) in [
            ("nginx", there.path(), "no name of a unit"),
            ("a b.service", there.path(), "no name of a unit"),
            (".service", there.path(), "no name of a unit"),
            (
                "nginx.service",
                missing.as_path(),
                "does not run on this node",
            ),
            (
                "nginx.service",
                there.path(),
                "cannot control its units yet",
            ),
            (
                "getty@tty1.service",
                there.path(),
                "cannot control its units yet",
            ),
        ] {
            let (is_config, text) = match refusal(unit, booted) {
                CannotStart::Config(text) => (true, text),
                CannotStart::NotHere(text) => (false, text),
                CannotStart::NotNow(text) => panic!("it would be tried again: {text}"),
            };
            assert!(text.contains(words), "{text}");
            assert_eq!(is_config, words == "no name of a unit", "{text}");
        }
    }
}
