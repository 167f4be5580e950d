//! A definition of an orchestration: read with every fault of its form, written back in its canonical form.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_protocol::WorkName;
use mainstay_protocol::json::{Json, Shape};
use mainstay_protocol::limits;

use crate::fault::{Found, Pointer};
use crate::mapping::Mapping;
use crate::reader::{self, Reader};
use crate::retry::Retry;

/// The section whose activities undo what the others did.
pub const DISPOSE: &str = "dispose";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    pub name: WorkName,
    pub description: String,
    /// Inactive ones begin no runs.
    pub active: bool,
    pub schema: Json,
    /// Stands under what a run is given.
    pub input: Json,
    pub output: Vec<Mapping>,
    pub on_fatal: OnFatal,
    pub activities: Sections,
    /// Keys of a newer version.
    pub other: BTreeMap<String, Json>,
}

/// What follows an error that no attempt can mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OnFatal {
    Stop,
    Compensate,
}

/// Activities as one list, or by what is done: deploy, dispose. The key is their discriminator then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sections {
    One(Vec<Activity>),
    Named(BTreeMap<String, Vec<Activity>>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    pub id: WorkName,
    pub of: WorkName,
    pub discriminator: Option<String>,
    /// As it was written, each once.
    pub depends_on: Vec<WorkName>,
    /// None: it is given all of the run's input.
    pub inputs: Option<Vec<Mapping>>,
    pub retry: Option<Json>,
    pub attempt_timeout: Option<Duration>,
    pub wait_timeout: Option<Duration>,
    pub other: BTreeMap<String, Json>,
}

impl Sections {
    /// Each section with its name, if it has one, and its place.
    pub fn each(&self) -> Vec<(Option<&str>, Pointer, &[Activity])> {
        let at = Pointer::root().key("activities");
        match self {
            Self::One(activities) => vec![(None, at, activities)],
            Self::Named(sections) => sections
                .iter()
                .map(|(name, all)| (Some(name.as_str()), at.key(name), all.as_slice()))
                .collect(),
        }
    }

    /// The activities of all sections.
    pub fn all(&self) -> impl Iterator<Item = &Activity> {
        let sections: Vec<&Vec<Activity>> = match self {
            Self::One(activities) => vec![activities],
            Self::Named(sections) => sections.values().collect(),
        };
        sections.into_iter().flatten()
    }

    /// The one of this name, or the only one.
    pub fn section(&self, name: Option<&str>) -> Option<&[Activity]> {
        match (self, name) {
            (Self::One(activities), None) => Some(activities),
            (Self::Named(sections), Some(name)) => sections.get(name).map(Vec::as_slice),
            (Self::One(_), Some(_)) | (Self::Named(_), None) => None,
        }
    }

    /// What the runs that a section undoes did: all of the other sections. None of any section but `dispose`.
    pub fn undone_by(&self, section: Option<&str>) -> Vec<&Activity> {
        match self {
            Self::Named(sections) if section == Some(DISPOSE) => {
                let others = sections.iter().filter(|(name, _)| *name != DISPOSE);
                others.flat_map(|(_, activities)| activities).collect()
            }
            Self::Named(_) | Self::One(_) => Vec::new(),
        }
    }

    /// None of a definition that has only one.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::One(_) => Vec::new(),
            Self::Named(sections) => sections.keys().map(String::as_str).collect(),
        }
    }
}

impl Definition {
    /// As much of it as can be read, for what else may be wrong with it; whether it may be taken is in what was found.
    pub fn read(value: &Json, found: &mut Found) -> Option<Self> {
        let mut reader = Reader::new(Pointer::root(), value, found)?;
        let name = reader.name("type");
        let description = reader.text("description").unwrap_or_default();
        let active = reader.bool("active").unwrap_or(true);
        let schema = reader.object("schema");
        let input = reader.object("input");
        let output = reader.take("output");
        let output = output.map(|(at, value)| mappings(&at, &value, reader.found));
        let on_fatal = on_fatal(&mut reader);
        let activities = reader.needed("activities");
        let activities = activities.map(|(at, value)| sections(&at, &value, reader.found));
        Some(Self {
            other: reader.others(),
            name: name.unwrap_or_else(WorkName::unreadable),
            description,
            active,
            schema: schema.unwrap_or_else(Json::empty_object),
            input: input.unwrap_or_else(Json::empty_object),
            output: output.unwrap_or_default(),
            on_fatal,
            activities: activities?,
        })
    }

    /// Canonical: read again it is the same, and so is its text.
    pub fn write(&self) -> Json {
        let mut members = self.other.clone();
        let mut put = |key: &str, value: Json| _ = members.insert(key.to_owned(), value);
        put("type", Json::text(self.name.as_str()));
        if !self.description.is_empty() {
            put("description", Json::text(&self.description));
        }
        put("active", Json::bool(self.active));
        put("schema", self.schema.clone());
        if self.input != Json::empty_object() {
            put("input", self.input.clone());
        }
        if !self.output.is_empty() {
            put("output", written(&self.output, Mapping::write));
        }
        if self.on_fatal == OnFatal::Compensate {
            put("onFatal", Json::text("compensate"));
        }
        put(
            "activities",
            match &self.activities {
                Sections::One(activities) => written(activities, Activity::write),
                Sections::Named(sections) => {
                    let sections = sections.iter();
                    let sections = sections
                        .map(|(key, all)| (key.clone(), written(all, Activity::write)))
                        .collect();
                    Json::object(&sections)
                }
            },
        );
        Json::object(&members)
    }
}

fn written<T>(all: &[T], write: impl Fn(&T) -> Json) -> Json {
    let all: Vec<Json> = all.iter().map(write).collect();
    Json::array(&all)
}

fn on_fatal(reader: &mut Reader<'_>) -> OnFatal {
    let said = reader.text("onFatal");
    match said.as_deref() {
        None | Some("stop") => OnFatal::Stop,
        Some("compensate") => OnFatal::Compensate,
        Some(other) => {
            let at = reader.at.key("onFatal");
            let text = format!("{other:?} is neither stop nor compensate");
            reader.found.fault(&at, text);
            OnFatal::Stop
        }
    }
}

fn sections(at: &Pointer, value: &Json, found: &mut Found) -> Sections {
    match value.shape() {
        Shape::Array => Sections::One(section(at, value, found)),
        Shape::Object => {
            let sections = value.members();
            if sections.is_empty() {
                found.fault(at, "there is no activity; write one at least");
            }
            let read = sections.into_iter().map(|(key, value)| {
                let activities = section(&at.key(&key), &value, found);
                (key, activities)
            });
            Sections::Named(read.collect())
        }
        other => {
            let is = other.with_article();
            let text = format!(
                "write an array, or an object of arrays such as deploy and dispose; it is {is}"
            );
            found.fault(at, text);
            Sections::One(Vec::new())
        }
    }
}

fn section(at: &Pointer, value: &Json, found: &mut Found) -> Vec<Activity> {
    if value.shape() != Shape::Array {
        let is = value.shape().with_article();
        found.fault(at, format!("write an array of activities; it is {is}"));
        return Vec::new();
    }
    let items = value.items();
    if items.is_empty() {
        found.fault(at, "there is no activity; write one at least");
    }
    let most = limits::ACTIVITIES_MAX;
    if items.len() > most {
        let text = format!(
            "{} are more than {most}; split it into several",
            items.len()
        );
        found.fault(at, text);
        return Vec::new();
    }
    let read = items.iter().enumerate();
    let read = read.filter_map(|(place, item)| Activity::read(at.index(place), item, found));
    read.collect()
}

/// An array of them; of an object the keys are targets.
fn mappings(at: &Pointer, value: &Json, found: &mut Found) -> Vec<Mapping> {
    if value.shape() != Shape::Array {
        let is = value.shape().with_article();
        found.fault(at, format!("write an array; it is {is}"));
        return Vec::new();
    }
    let items = value.items();
    let read = items.iter().enumerate();
    let read = read.filter_map(|(place, item)| Mapping::read(at.index(place), item, found));
    read.collect()
}

impl Activity {
    fn read(at: Pointer, value: &Json, found: &mut Found) -> Option<Self> {
        let mut reader = Reader::new(at, value, found)?;
        let id = reader.name("id");
        let of = reader.name("type");
        let discriminator = reader.text("discriminator");
        let depends_on = reader.take("dependsOn");
        let depends_on = depends_on.map(|(at, value)| names(&at, &value, reader.found));
        let inputs = reader.take("inputs");
        let inputs = inputs.map(|(at, value)| mappings(&at, &value, reader.found));
        let retry = reader.take("retry");
        if let Some((at, value)) = &retry {
            Retry::read(at.clone(), value, reader.found);
        }
        let attempt_timeout = reader.span("attemptTimeout");
        let wait_timeout = reader.span("waitTimeout");
        let modules = ["modules", "modules_plus"].map(|key| Some((key, reader.object(key)?)));
        let mut other = reader.others();
        let modules = modules.into_iter().flatten();
        other.extend(modules.map(|(key, value)| (key.to_owned(), value)));
        Some(Self {
            id: id?,
            of: of.unwrap_or_else(WorkName::unreadable),
            discriminator,
            depends_on: depends_on.unwrap_or_default(),
            inputs,
            retry: retry.map(|(_, value)| value),
            attempt_timeout,
            wait_timeout,
            other,
        })
    }

    fn write(&self) -> Json {
        let mut members = self.other.clone();
        let mut put = |key: &str, value: Json| _ = members.insert(key.to_owned(), value);
        put("id", Json::text(self.id.as_str()));
        put("type", Json::text(self.of.as_str()));
        if let Some(discriminator) = &self.discriminator {
            put("discriminator", Json::text(discriminator));
        }
        if !self.depends_on.is_empty() {
            let names = written(&self.depends_on, |name| Json::text(name.as_str()));
            put("dependsOn", names);
        }
        if let Some(inputs) = &self.inputs {
            put("inputs", written(inputs, Mapping::write));
        }
        if let Some(retry) = &self.retry {
            put("retry", retry.clone());
        }
        let span = |span: Duration| Json::text(&humantime::format_duration(span).to_string());
        if let Some(timeout) = self.attempt_timeout {
            put("attemptTimeout", span(timeout));
        }
        if let Some(timeout) = self.wait_timeout {
            put("waitTimeout", span(timeout));
        }
        Json::object(&members)
    }
}

/// A string, or an array of them; each counts once.
fn names(at: &Pointer, value: &Json, found: &mut Found) -> Vec<WorkName> {
    let items = match value.shape() {
        Shape::Array => {
            let items = value.items().into_iter().enumerate();
            items.map(|(place, item)| (at.index(place), item)).collect()
        }
        _ => vec![(at.clone(), value.clone())],
    };
    let mut names = Vec::new();
    for (at, item) in items {
        let Some(name) = reader::name(&at, &item, found) else {
            continue;
        };
        match names.contains(&name) {
            true => found.warn(&at, format!("{name} is named twice")),
            false => names.push(name),
        }
    }
    names
}
