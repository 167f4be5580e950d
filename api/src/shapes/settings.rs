//! The shape of Settings, and how the cluster's settings become one and back. One table joins the three: the name a
//! person writes, the field of the graph, the unit.

use mainstay_protocol::limits;
use mainstay_resource_graph::Settings;
use serde_json::{Map, Value};

use super::check::{Flaw, check};
use super::duration::{duration, duration_text};
use super::path::Path;
use super::shape::{Field, Of, Shape};

const HOUR_MS: u64 = 3600 * 1000;

const fn time(min_ms: u64, max_ms: u64) -> Of {
    Of::Duration { min_ms, max_ms }
}

const KEPT: &str = "as it is";

pub static SETTINGS: Shape = Shape {
    name: "Settings",
    doc: "What the cluster's rules measure against. What is left out stays as it is.",
    fields: &[
        Field::new(
            "restart",
            Of::Object(&RESTART),
            KEPT,
            "When an instance counts as hopeless, and when as well again.",
        ),
        Field::new(
            "backoff",
            Of::Object(&BACKOFF),
            KEPT,
            "Pauses between tries; they double from the first to the longest.",
        ),
        Field::new(
            "update",
            Of::Object(&UPDATE),
            KEPT,
            "When a changed configuration counts as no good.",
        ),
        Field::new(
            "check",
            Of::Object(&CHECK),
            KEPT,
            "How instances are checked; taken up with the next start of each.",
        ),
        Field::new(
            "resend",
            Of::Object(&RESEND),
            KEPT,
            "How often a command is repeated that was not answered.",
        ),
        Field::new(
            "answer_margin",
            time(0, HOUR_MS),
            KEPT,
            "Beyond a node's own deadline, before its answer counts as overdue.",
        ),
        Field::new(
            "silence",
            time(2000, HOUR_MS),
            KEPT,
            "Without a heartbeat for so long, an agent is silent.",
        ),
        Field::new(
            "grace",
            time(1000, HOUR_MS),
            KEPT,
            "After a change of leader nodes have so long to be heard.",
        ),
        Field::new(
            "lost",
            Of::Object(&LOST),
            "",
            "When nodes that stay away are given up; a silence before comes on top.",
        ),
        Field::new(
            "host",
            Of::Object(&HOST),
            KEPT,
            "How machines are restarted, and switched off.",
        ),
    ],
    one_of: &[],
};

static RESTART: Shape = Shape {
    name: "restart",
    doc: "When an instance counts as hopeless, and when as well again.",
    fields: &[
        Field::new(
            "attempts",
            Of::Count {
                min: 1,
                max: limits::ATTEMPTS_KEPT_MAX as u64,
            },
            KEPT,
            "Restarts within the window before an instance is quarantined.",
        ),
        Field::new(
            "window",
            time(1000, 168 * HOUR_MS),
            KEPT,
            "The time in which attempts are counted.",
        ),
        Field::new(
            "healthy_after",
            time(1000, 24 * HOUR_MS),
            KEPT,
            "So long running and ok, and earlier failures are forgotten.",
        ),
    ],
    one_of: &[],
};

static BACKOFF: Shape = Shape {
    name: "backoff",
    doc: "Pauses between tries.",
    fields: &[
        Field::new(
            "first",
            time(100, HOUR_MS),
            KEPT,
            "The pause before the second try; the first comes at once.",
        ),
        Field::new(
            "max",
            time(1000, 24 * HOUR_MS),
            KEPT,
            "The longest pause; up to a quarter is added, so that many do not come back as one.",
        ),
    ],
    one_of: &[],
};

static UPDATE: Shape = Shape {
    name: "update",
    doc: "When a changed configuration counts as no good.",
    fields: &[
        Field::new(
            "failures",
            Of::Count { min: 1, max: 100 },
            KEPT,
            "So many failed starts with it, and it is taken back.",
        ),
        Field::new(
            "patience",
            time(1000, 24 * HOUR_MS),
            KEPT,
            "Beyond the start deadline: so long until a changed instance must be healthy.",
        ),
    ],
    one_of: &[],
};

static CHECK: Shape = Shape {
    name: "check",
    doc: "How instances are checked.",
    fields: &[
        Field::new(
            "interval",
            time(100, HOUR_MS),
            KEPT,
            "From one Check to the next.",
        ),
        Field::new(
            "deadline",
            time(10, HOUR_MS),
            KEPT,
            "An answer that takes longer is a missed one.",
        ),
        Field::new(
            "misses",
            Of::Count { min: 1, max: 100 },
            KEPT,
            "So many missed in a row, and the instance is restarted.",
        ),
    ],
    one_of: &[],
};

static LOST: Shape = Shape {
    name: "lost",
    doc: "When nodes that stay away are given up.",
    fields: &[
        Field::new(
            "closed",
            time(1000, 7 * 24 * HOUR_MS),
            KEPT,
            "One whose machine answers, after so long: its agent may be back.",
        ),
        Field::new(
            "unseen",
            // Two looks: one alone gives nobody up.
            time(
                limits::LOOK_EVERY_MS + limits::LOOK_WITHIN_MS,
                7 * 24 * HOUR_MS,
            ),
            KEPT,
            "One that neither a station nor those who guard it see, after so long.",
        ),
        Field::new(
            "silent",
            time(1000, 7 * 24 * HOUR_MS),
            KEPT,
            "One of which nobody could be asked, after so long.",
        ),
        Field::new(
            "brake",
            time(1000, 7 * 24 * HOUR_MS),
            KEPT,
            "While more than a third are away (more than one of five or fewer), none for so long.",
        ),
    ],
    one_of: &[],
};

static HOST: Shape = Shape {
    name: "host",
    doc: "How machines are restarted, and switched off.",
    fields: &[
        Field::new(
            "restart",
            Of::Words,
            KEPT,
            "The command with which an agent restarts its own machine; none if it is empty.",
        ),
        Field::new(
            "fence",
            Of::Words,
            KEPT,
            "The one with which it switches another's off: `MAINSTAY_NODE`, or off and on. Done says that it was off.",
        ),
        Field::new(
            "within",
            time(1000, HOUR_MS),
            KEPT,
            "So long either may take.",
        ),
        Field::new(
            "back",
            time(1000, 24 * HOUR_MS),
            KEPT,
            "So long the machine may take to be back; what is to be off for certain is tried again so often.",
        ),
    ],
    one_of: &[],
};

static RESEND: Shape = Shape {
    name: "resend",
    doc: "How often a command is repeated.",
    fields: &[
        Field::new(
            "first",
            time(100, HOUR_MS),
            KEPT,
            "The pause before the first repeat; doubled each time.",
        ),
        Field::new(
            "max",
            time(100, HOUR_MS),
            KEPT,
            "The longest pause between repeats.",
        ),
    ],
    one_of: &[],
};

/// One setting: what it is called, and where it is kept.
pub struct Setting {
    pub name: &'static str,
    place: Place,
}

enum Place {
    Count(fn(&mut Settings) -> &mut u32),
    Time(fn(&mut Settings) -> &mut u64),
    Words(fn(&mut Settings) -> &mut Vec<String>),
}

macro_rules! settings {
    ($($name:literal: $place:ident $field:ident;)*) => {
        /// Every setting, in the order of the shape.
        pub const ALL: &[Setting] = &[$(Setting {
            name: $name,
            place: Place::$place(|settings| &mut settings.$field),
        }),*];
    };
}

settings! {
    "restart.attempts": Count restart_attempts;
    "restart.window": Time restart_window_ms;
    "restart.healthy_after": Time healthy_after_ms;
    "backoff.first": Time backoff_first_ms;
    "backoff.max": Time backoff_max_ms;
    "update.failures": Count reconfigure_failures_max;
    "update.patience": Time update_patience_ms;
    "check.interval": Time check_interval_ms;
    "check.deadline": Time check_deadline_ms;
    "check.misses": Count check_misses_max;
    "resend.first": Time resend_ms;
    "resend.max": Time resend_max_ms;
    "answer_margin": Time answer_margin_ms;
    "silence": Time silence_ms;
    "grace": Time grace_ms;
    "lost.closed": Time lost_closed_ms;
    "lost.unseen": Time lost_unseen_ms;
    "lost.silent": Time lost_silent_ms;
    "lost.brake": Time brake_ms;
    "host.restart": Words host_restart;
    "host.fence": Words host_fence;
    "host.within": Time host_within_ms;
    "host.back": Time host_back_ms;
}

impl Setting {
    /// As it is written: `10m`, 5.
    pub fn get(&self, settings: &Settings) -> Value {
        let mut settings = settings.clone();
        match self.place {
            Place::Count(of) => Value::from(*of(&mut settings)),
            Place::Time(of) => Value::from(duration_text(*of(&mut settings))),
            Place::Words(of) => Value::from(of(&mut settings).clone()),
        }
    }

    /// A value that passed the shape's check; any other changes nothing.
    fn set(&self, settings: &mut Settings, value: &Value) {
        match self.place {
            Place::Count(of) => {
                if let Some(count) = value.as_u64().and_then(|count| u32::try_from(count).ok()) {
                    *of(settings) = count;
                }
            }
            Place::Time(of) => {
                if let Some(ms) = value.as_str().and_then(|text| duration(text).ok()) {
                    *of(settings) = ms;
                }
            }
            Place::Words(of) => {
                if let Some(words) = value.as_array() {
                    let words = words.iter().filter_map(Value::as_str);
                    *of(settings) = words.map(str::to_owned).collect();
                }
            }
        }
    }

    fn path(&self) -> Path {
        let steps = self.name.split('.');
        steps.fold(Path::default(), |path, step| path.field(step))
    }
}

/// The whole of the settings, in the shape of a file.
pub fn shown(settings: &Settings) -> Value {
    let mut top = Map::new();
    for setting in ALL {
        let value = setting.get(settings);
        match setting.name.split_once('.') {
            None => {
                top.insert(setting.name.to_owned(), value);
            }
            Some((group, name)) => {
                let group = top
                    .entry(group)
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(group) = group {
                    group.insert(name.to_owned(), value);
                }
            }
        }
    }
    Value::Object(top)
}

/// What the settings are to be when a specification has changed them; or all that is wrong with it.
pub fn changed(settings: &Settings, spec: &Value) -> Result<Settings, Vec<Flaw>> {
    let mut flaws = check(&SETTINGS, spec);
    if !flaws.is_empty() {
        return Err(flaws);
    }
    let mut settings = settings.clone();
    for setting in ALL {
        if let Some(value) = at(spec, setting) {
            setting.set(&mut settings, value);
        }
    }
    for (less, more, why) in CONTRADICTIONS {
        let [a, b] = [less, more].map(|name| ALL.iter().find(|setting| setting.name == *name));
        if let (Some(a), Some(b)) = (a, b)
            && milliseconds(a, &settings) > milliseconds(b, &settings)
        {
            let have = |setting: &Setting| setting.get(&settings).to_string();
            let why = format!(
                "{} is {}, and {} is {}: {why}",
                a.name,
                have(a),
                b.name,
                have(b)
            );
            // Told where the person wrote one of the two.
            let given = |setting: &&Setting| at(spec, setting).is_some();
            let written = [a, b].into_iter().find(given).unwrap_or(a);
            flaws.push(Flaw::new(written.path(), why));
        }
    }
    match flaws.is_empty() {
        true => Ok(settings),
        false => Err(flaws),
    }
}

/// The first must not be more than the second.
const CONTRADICTIONS: &[(&str, &str, &str)] = &[
    (
        "backoff.first",
        "backoff.max",
        "the first pause is longer than the longest",
    ),
    (
        "resend.first",
        "resend.max",
        "the first pause is longer than the longest",
    ),
    (
        "check.deadline",
        "check.interval",
        "a Check would begin before the last one is over",
    ),
    (
        "silence",
        "grace",
        "an agent that is well could be silent for so long after a change of leader",
    ),
    (
        "lost.unseen",
        "lost.silent",
        "a node of which nobody could be asked would be given up before one that others do not see",
    ),
    (
        "lost.silent",
        "lost.closed",
        "a node whose machine answers would be given up before one of which nobody hears",
    ),
];

fn milliseconds(setting: &Setting, settings: &Settings) -> u64 {
    let mut settings = settings.clone();
    match setting.place {
        Place::Count(of) => u64::from(*of(&mut settings)),
        Place::Time(of) => *of(&mut settings),
        Place::Words(_) => unreachable!("no contradiction is about words"),
    }
}

/// What a specification says of a setting.
fn at<'s>(spec: &'s Value, setting: &Setting) -> Option<&'s Value> {
    let mut steps = setting.name.split('.');
    steps.try_fold(spec, |value, step| value.get(step))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_shown_is_taken_back_and_changes_nothing() {
        for settings in [Settings::LAN, Settings::DEV, Settings::WAN] {
            let shown = shown(&settings);
            assert_eq!(changed(&Settings::LAN, &shown), Ok(settings));
        }
    }

    #[test]
    fn every_setting_is_a_field_of_the_shape_and_every_field_a_setting() {
        for setting in ALL {
            assert!(SETTINGS.find(setting.name).is_some(), "{}", setting.name);
        }
        let leaves: usize = SETTINGS
            .fields
            .iter()
            .map(|field| match field.of {
                Of::Object(shape) => shape.fields.len(),
                _ => 1,
            })
            .sum();
        assert_eq!(leaves, ALL.len());
    }

    #[test]
    fn only_what_is_said_changes() {
        let spec = json!({"restart": {"attempts": 9}, "silence": "5s"});
        let settings = changed(&Settings::LAN, &spec).unwrap();
        let expected = Settings {
            restart_attempts: 9,
            silence_ms: 5000,
            ..Settings::LAN
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused_where_they_were_written() {
        let flaws = changed(
            &Settings::LAN,
            &json!({"backoff": {"max": "1s", "first": "2s"}}),
        );
        let flaws = flaws.unwrap_err();
        assert_eq!(flaws[0].path.to_string(), "backoff.first");
        let flaws = changed(&Settings::LAN, &json!({"check": {"interval": "1s"}})).unwrap_err();
        assert_eq!(flaws[0].path.to_string(), "check.interval");
        assert!(flaws[0].why.contains("\"2s\""), "{}", flaws[0].why);
    }
}
