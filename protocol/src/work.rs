//! Work: what a run asks an instance to do, and what that says at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use thiserror::Error;

use crate::ids::InstanceKey;
use crate::json::Json;
use crate::limits;
use crate::numbers::Incarnation;
use crate::texts::texts;

/// An orchestration, an activity type, an activity of a definition. Of `A-Z a-z 0-9 . _ -`; any two that differ are two,
/// also `a.b` and `a-b`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct WorkName(SmolStr);

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{text:?} is no name: write 1 to {most} of A to Z, a to z, 0 to 9, '.', '_' and '-'",
    text = .0,
    most = limits::WORK_NAME_BYTES_MAX
)]
pub struct BadWorkName(String);

fn is_work_name(text: &str) -> bool {
    let is_of_one = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=limits::WORK_NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_of_one)
}

impl WorkName {
    pub fn new(text: &str) -> Result<Self, BadWorkName> {
        match is_work_name(text) {
            true => Ok(Self(text.into())),
            false => Err(BadWorkName(text.to_owned())),
        }
    }

    /// In the place of one that is wrong, so that what else is wrong is told as well; nobody can write it.
    pub fn unreadable() -> Self {
        Self(SmolStr::default())
    }

    pub fn is_readable(&self) -> bool {
        !self.0.is_empty()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What undoes a run is called like it, with this behind.
const UNDOES: &str = "~dispose";

/// One execution of an orchestration: a name of the same letters, which whoever begins it chooses or is given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct RunId(SmolStr);

impl RunId {
    /// As people write it; of the one that undoes another as well.
    pub fn new(text: &str) -> Result<Self, BadWorkName> {
        match is_work_name(text.strip_suffix(UNDOES).unwrap_or(text)) {
            true => Ok(Self(text.into())),
            false => Err(BadWorkName(text.to_owned())),
        }
    }

    /// The run that undoes this one.
    #[must_use]
    pub fn undoing(&self) -> Self {
        Self(format!("{}{UNDOES}", self.0).into())
    }

    /// The run that this one undoes.
    pub fn undone(&self) -> Option<Self> {
        self.0.strip_suffix(UNDOES).map(|run| Self(run.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A service that can be ordered, or is hosted: what its description says it is called by, a URN for most.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct ServiceId(SmolStr);

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{text:?} is no service's id: write 1 to {most} of A to Z, a to z, 0 to 9, '.', '_', ':' and '-', as in urn:ivcap:service:UUID",
    text = .0,
    most = limits::WORK_NAME_BYTES_MAX
)]
pub struct BadServiceId(String);

impl ServiceId {
    pub fn new(text: &str) -> Result<Self, BadServiceId> {
        let is_of_one = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
        let fits = (1..=limits::WORK_NAME_BYTES_MAX).contains(&text.len());
        match fits && text.bytes().all(is_of_one) {
            true => Ok(Self(text.into())),
            false => Err(BadServiceId(text.to_owned())),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

texts! {
    WorkName: BadWorkName
    RunId: BadWorkName
    ServiceId: BadServiceId
}

/// An activity's execution in a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepKey {
    pub run: RunId,
    pub activity: WorkName,
}

impl StepKey {
    pub fn new(run: RunId, activity: WorkName) -> Self {
        Self { run, activity }
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.run, self.activity)
    }
}

/// What a step takes: a type of activity, and who provides it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Skill {
    pub provider: String,
    pub activity: WorkName,
}

impl fmt::Display for Skill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.activity, self.provider)
    }
}

/// By provider, types of activities; none: whatever of it there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Skills(pub BTreeMap<String, Option<BTreeSet<WorkName>>>);

impl Skills {
    pub fn has(&self, skill: &Skill) -> bool {
        match self.0.get(&skill.provider) {
            Some(Some(activities)) => activities.contains(&skill.activity),
            Some(None) => true,
            None => false,
        }
    }

    /// Those that a configuration names: `activities: { PROVIDER: { TYPE: .. } }`, where the type `*` is any.
    pub fn of_config(config: &Json) -> Self {
        let providers = config.member(ACTIVITIES).map(|said| said.members());
        let skills = providers.into_iter().flatten().map(|(provider, types)| {
            let types = types.members();
            let named = types.keys().filter_map(|name| WorkName::new(name).ok());
            let named = (!types.contains_key(ANY)).then(|| named.collect());
            (provider, named)
        });
        Self(skills.collect())
    }
}

/// What a configuration names them by.
const ACTIVITIES: &str = "activities";
/// Whatever there is of a provider.
pub const ANY: &str = "*";

/// What instances of a type do for runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Serves {
    pub skills: Skills,
    /// So many at once.
    pub hands: u32,
    /// Each also does what its configuration names, and has the `hands` that it says there.
    pub by_config: bool,
}

impl Serves {
    /// What an instance with this configuration does beside what all of its type do.
    pub fn configured(&self, config: &str) -> (u32, Skills) {
        let config = self.by_config.then(|| Json::parse(config).ok()).flatten();
        let Some(config) = config else {
            return (self.hands.min(limits::HANDS_MAX), Skills::default());
        };
        let hands = config.member("hands").and_then(|hands| hands.as_count());
        let hands = hands.and_then(|hands| u32::try_from(hands).ok());
        let hands = hands.unwrap_or(self.hands).min(limits::HANDS_MAX);
        (hands, Skills::of_config(&config))
    }
}

/// One call of an activity. The command that brings it is its lease: whoever answers names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    pub instance: InstanceKey,
    pub incarnation: Incarnation,
    pub step: StepKey,
    pub skill: Skill,
    pub discriminator: Option<String>,
    /// From 1.
    pub attempt: u32,
    /// From 1; of the same attempt there are several where it asked for another call.
    pub call: u32,
    /// Exactly what is mapped to it.
    pub inputs: Json,
    /// Its own, as its last call left it.
    pub scratch: Json,
    /// What the activities of the run share.
    pub context: Json,
    /// Then the attempt has failed, whatever comes of it.
    pub time_ms: Option<u64>,
}

impl Work {
    /// Stable over attempts: an outside system that has seen it does nothing again.
    pub fn idempotency_key(&self) -> String {
        match &self.discriminator {
            Some(discriminator) => format!("{}/{discriminator}", self.step),
            None => self.step.to_string(),
        }
    }
}

/// What a processor says at the end of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkAnswer {
    Complete {
        output: Json,
        context: Changes,
    },
    /// Somebody outside says when it is done.
    Wait,
    /// Another call after this time.
    Schedule {
        after: Duration,
        scratch: Changes,
    },
    /// The attempt failed; another may not.
    Retry {
        error: String,
        /// The processor knows better than the policy.
        after: Option<Duration>,
        scratch: Changes,
    },
    /// No attempt will do, and no effect is left.
    Fatal {
        error: String,
    },
}

impl WorkAnswer {
    /// As decisions and people call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Complete { .. } => "complete",
            Self::Wait => "wait",
            Self::Schedule { .. } => "schedule",
            Self::Retry { .. } => "retry",
            Self::Fatal { .. } => "fatal",
        }
    }
}

/// To an object: members that are set, and members that are gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    pub set: BTreeMap<String, Json>,
    pub delete: BTreeSet<String>,
}

impl Changes {
    pub fn of(&self, object: &Json) -> Json {
        if self.set.is_empty() && self.delete.is_empty() {
            return object.clone();
        }
        let mut members = object.members();
        members.retain(|key, _| !self.delete.contains(key));
        members.extend(self.set.clone());
        Json::object(&members)
    }
}

/// What somebody outside says of a step that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outside {
    Complete { output: Json },
    Fail { error: String },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics fails")]

    use super::*;

    // case: orchestrations 12
    #[test]
    fn a_name_has_no_spaces_and_signs_and_is_not_empty() {
        for good in ["a.b", "a-b", "cnapi.wait_on_vm_ticket", "A", "0"] {
            assert_eq!(WorkName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a@b", "a#b", "ü", "a/b", "a~dispose"] {
            let said = WorkName::new(bad).unwrap_err().to_string();
            assert!(said.contains("is no name"), "{said}");
        }
        assert_ne!(WorkName::new("a.b"), WorkName::new("a-b"));
    }

    #[test]
    fn the_run_that_undoes_another_is_called_like_it() {
        let run = RunId::new("r1").unwrap();
        let undoing = run.undoing();
        assert_eq!(undoing.as_str(), "r1~dispose");
        assert_eq!((undoing.undone(), run.undone()), (Some(run.clone()), None));
        assert_eq!(RunId::new("r1~dispose").unwrap(), undoing);
        assert!(RunId::new("~dispose").is_err());
        assert!(RunId::new("r1~dispose~dispose").is_err());
    }

    #[test]
    fn who_serves_a_provider_serves_what_it_names_or_everything() {
        let skill = |provider: &str, activity: &str| Skill {
            provider: provider.to_owned(),
            activity: WorkName::new(activity).unwrap(),
        };
        let only = [WorkName::new("a.b").unwrap()].into();
        let skills = Skills([("p".to_owned(), Some(only)), ("q".to_owned(), None)].into());
        assert!(skills.has(&skill("p", "a.b")));
        assert!(!skills.has(&skill("p", "a-b")));
        assert!(skills.has(&skill("q", "anything")));
        assert!(!skills.has(&skill("r", "a.b")));
    }

    #[test]
    fn a_configuration_says_what_its_instance_does_where_the_type_lets_it() {
        let config = r#"{"hands":2,"activities":{"p":{"a.b":{}},"q":{"*":{},"c":{}}}}"#;
        let mut serves = Serves {
            hands: 8,
            ..Serves::default()
        };
        assert_eq!(serves.configured(config), (8, Skills::default()));
        serves.by_config = true;
        let only = [WorkName::new("a.b").unwrap()].into();
        let skills = [("p".to_owned(), Some(only)), ("q".to_owned(), None)].into();
        assert_eq!(serves.configured(config), (2, Skills(skills)));
        assert_eq!(serves.configured("{}"), (8, Skills::default()));
        assert_eq!(serves.configured("{").0, 8);
    }
}
