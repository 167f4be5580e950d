//! Service models: what a description's controller says it is selects who checks it and plans what is ordered.
//!
//! A new model is a provider in the registry; nothing else changes. What can be ordered becomes a definition of an
//! orchestration; the others host something, and say what to do instead.

mod argo;
mod basic;
mod hosting;
mod legacy;
mod resources;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use mainstay_protocol::words;
use thiserror::Error;

use crate::activity_type::{ActivityType, Known};
use crate::fault::{Found, Pointer};
use crate::parameter::{self, Misgiven, Parameter, ParameterKind};
use crate::reader::{self, Reader};
use mainstay_protocol::ArtifactId;
use mainstay_protocol::json::{Json, Shape};

pub use self::argo::ArgoWorkflow;
pub use self::basic::Basic;
pub use self::hosting::{AppServer, ServiceProxy};

/// Who does what orders are made of: `container` and `script`, activities whose `task` is what the template says.
pub const MODEL: &str = "model";
/// What a template runs, and the type of activity that it becomes.
pub(crate) const RUNS: [&str; 2] = ["container", "script"];

/// The types of activities that the shipped models are made of.
pub fn types_of_models() -> Known {
    let types = RUNS.map(|name| {
        let text = Json::of(&[("type", Json::text(name)), ("provider", Json::text(MODEL))]);
        let read = ActivityType::read(&text, &mut Found::default());
        let of = read.expect("a name and a provider are all that a type needs");
        (of.name.clone(), of)
    });
    types.into()
}

pub const DESCRIPTION: &str = "urn:ivcap:schema:service.2";

/// Who knows one model.
pub trait ModelProvider: Send + Sync {
    /// Of the controller: with its version.
    fn schema(&self) -> &str;

    fn purpose(&self) -> Purpose<'_>;

    /// Everything that is wrong with a controller, before anybody orders it.
    fn check(&self, controller: &Json, parameters: &[Parameter], found: &mut Found);

    /// What a controller that was found right needs to be there.
    fn artifacts(&self, _controller: &Json) -> Vec<NeededArtifact> {
        Vec::new()
    }
}

/// An artifact that a description names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededArtifact {
    pub at: Pointer,
    pub id: ArtifactId,
    /// A site is served from it: it is an archive.
    pub is_site: bool,
    /// A file of it that is there as well.
    pub page: Option<(Pointer, String)>,
}

/// What a model is for.
pub enum Purpose<'p> {
    /// Each order is a run.
    Ordered(&'p dyn Planner),
    /// It stays as long as it is wanted.
    Hosted {
        what_for: &'static str,
        instead: &'static str,
    },
}

pub trait Planner {
    /// The definition of an orchestration that does what was ordered, of a description that was found right; or the parameters
    /// that it needs and nobody gave.
    fn plan(
        &self,
        description: &Description,
        values: &BTreeMap<String, Json>,
    ) -> Result<Json, NotOrdered>;
}

/// A service as it was registered, in the newest form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    pub id: String,
    pub name: String,
    pub description: String,
    pub parameters: Vec<Parameter>,
    pub controller: Json,
    /// Of the controller, in the one spelling.
    pub schema: String,
    /// As somebody wrote it.
    pub original: Json,
}

/// Why nothing was ordered; each is told differently, and has its own code.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotOrdered {
    #[error("nobody knows the model {schema}{}; known are {}", meant(.nearest), .known.join(", "))]
    ControllerUnknown {
        schema: String,
        nearest: Option<String>,
        known: Vec<String>,
    },
    #[error("{name} is not ordered: {what_for}; {instead}")]
    NotOrderable {
        name: String,
        what_for: &'static str,
        instead: &'static str,
    },
    #[error("{} of its parameters are wrong", .0.len())]
    Parameters(Vec<Misgiven>),
    #[error(
        "what it becomes is too large: templates put values together that grow with each of them"
    )]
    TooLarge,
}

fn meant(near: &Option<String>) -> String {
    near.as_ref()
        .map_or(String::new(), |near| format!("; {near}?"))
}

/// All models, by their schema.
pub struct Models {
    providers: BTreeMap<String, Box<dyn ModelProvider>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("two providers are registered for {0}: a model has one")]
pub struct TwoForOne(pub String);

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.providers.keys()).finish()
    }
}

impl Models {
    pub fn shipped() -> Self {
        let all: [Box<dyn ModelProvider>; 4] = [
            Box::new(Basic),
            Box::new(ArgoWorkflow),
            Box::new(AppServer),
            Box::new(ServiceProxy),
        ];
        let by_schema = all.map(|provider| (one_spelling(provider.schema()), provider));
        Self {
            providers: by_schema.into(),
        }
    }

    /// A model that somebody adds.
    pub fn with(mut self, provider: impl ModelProvider + 'static) -> Result<Self, TwoForOne> {
        let schema = one_spelling(provider.schema());
        match self.providers.entry(schema) {
            Entry::Vacant(free) => {
                free.insert(Box::new(provider));
                Ok(self)
            }
            Entry::Occupied(taken) => Err(TwoForOne(taken.key().clone())),
        }
    }

    /// A description with everything that is wrong with it.
    pub fn read(&self, value: &Json, found: &mut Found) -> Option<Description> {
        let upgraded = legacy::upgraded(value, found)?;
        let mut reader = Reader::new(Pointer::root(), &upgraded, found)?;
        let form = reader.needed("$schema");
        let id = needed_text(&mut reader, "id");
        let name = needed_text(&mut reader, "name");
        if name.as_deref().is_some_and(|name| name.trim().is_empty()) {
            let at = reader.at.key("name");
            reader
                .found
                .fault(&at, "is blank; people order it by its name");
        }
        let description = reader.text("description").unwrap_or_default();
        let parameters = reader.take("parameters");
        let parameters =
            parameters.map(|(at, value)| parameter::declared(&at, &value, reader.found));
        let parameters = parameters.unwrap_or_default();
        let controller = reader.object("controller");
        let said = reader.text("controller-schema");
        let at = reader.at.clone();
        reader.take("policy");
        reader.take("tags");
        reader.others();
        if let Some((at, form)) = form
            && form.as_text().map(|form| one_spelling(&form)).as_deref() != Some(DESCRIPTION)
        {
            found.fault(&at, format!("write {DESCRIPTION}; it is {form}"));
        }
        let Some(controller) = controller else {
            if upgraded.member("controller").is_none() {
                found.fault(&at.key("controller"), "is missing");
            }
            return None;
        };
        let schema = self.controller(&at.key("controller"), &controller, said, found)?;
        if let Some(provider) = self.providers.get(&schema) {
            provider.check(&controller, &parameters, found);
        }
        Some(Description {
            id: id?,
            name: name?,
            description,
            parameters,
            controller,
            schema,
            original: value.clone(),
        })
    }

    fn controller(
        &self,
        at: &Pointer,
        controller: &Json,
        said: Option<String>,
        found: &mut Found,
    ) -> Option<String> {
        let at = at.key("$schema");
        let Some(schema) = controller.member("$schema") else {
            found.fault(&at, "is missing: it selects who provides the service");
            return None;
        };
        let schema = one_spelling(&reader::text(&at, &schema, found)?);
        if let Some(said) = said.filter(|said| one_spelling(said) != schema) {
            let text = format!("controller-schema says {said}, and the controller {schema}");
            found.fault(&at, text);
        }
        if let Err(unknown) = self.provider(&schema) {
            found.fault(&at, unknown.to_string());
        }
        Some(schema)
    }

    fn provider(&self, schema: &str) -> Result<&dyn ModelProvider, NotOrdered> {
        let known = || self.providers.keys().cloned().collect();
        let found = self.providers.get(schema).map(Box::as_ref);
        found.ok_or_else(|| NotOrdered::ControllerUnknown {
            schema: schema.to_owned(),
            nearest: words::nearest(schema, self.providers.keys().map(String::as_str))
                .into_iter()
                .next(),
            known: known(),
        })
    }

    /// Why nobody can do anything with it: its provider is not, or no longer, here.
    pub fn unknown(&self, description: &Description) -> Option<NotOrdered> {
        self.provider(&description.schema).err()
    }

    pub fn is_ordered(&self, description: &Description) -> bool {
        let provider = self.provider(&description.schema);
        provider.is_ok_and(|provider| matches!(provider.purpose(), Purpose::Ordered(_)))
    }

    /// What is to be there before anybody can order it, or have it hosted.
    pub fn artifacts(&self, description: &Description) -> Vec<NeededArtifact> {
        let provider = self.provider(&description.schema).ok();
        let of_controller = provider.map(|one| one.artifacts(&description.controller));
        let all = description.parameters.iter().enumerate();
        let of_parameters = all.filter(|(_, one)| one.kind == ParameterKind::Artifact);
        let of_parameters = of_parameters.filter_map(|(place, one)| {
            let at = Pointer::root().key("parameters").index(place);
            Some(NeededArtifact {
                at: at.key("default"),
                id: ArtifactId::new(&one.default.as_ref()?.as_text()?).ok()?,
                is_site: false,
                page: None,
            })
        });
        let of_controller = of_controller.unwrap_or_default().into_iter();
        of_controller.chain(of_parameters).collect()
    }

    /// What an order of it would become, with some value for each parameter; None of what is not ordered.
    pub fn rehearsed(&self, description: &Description) -> Option<Result<Json, NotOrdered>> {
        let provider = self.provider(&description.schema).ok()?;
        let Purpose::Ordered(planner) = provider.purpose() else {
            return None;
        };
        let parameters = description.parameters.iter();
        let values = parameters.map(|one| {
            let some = one.default.clone();
            (one.name.clone(), some.unwrap_or_else(|| Json::text("0")))
        });
        Some(planner.plan(description, &values.collect()))
    }

    /// The definition of what somebody ordered, and what each parameter is.
    pub fn order(
        &self,
        description: &Description,
        given: &[(String, Json)],
    ) -> Result<(Json, BTreeMap<String, Json>), NotOrdered> {
        let provider = self.provider(&description.schema)?;
        let planner = match provider.purpose() {
            Purpose::Ordered(planner) => planner,
            Purpose::Hosted { what_for, instead } => {
                return Err(NotOrdered::NotOrderable {
                    name: description.name.clone(),
                    what_for,
                    instead,
                });
            }
        };
        let values = parameter::given(&description.parameters, given);
        let values = values.map_err(NotOrdered::Parameters)?;
        Ok((planner.plan(description, &values)?, values))
    }
}

/// `urn:ivcap:schema.service.x` is `urn:ivcap:schema:service.x`.
fn one_spelling(schema: &str) -> String {
    match schema.strip_prefix("urn:ivcap:schema.") {
        Some(rest) => format!("urn:ivcap:schema:{rest}"),
        None => schema.to_owned(),
    }
}

fn needed_text(reader: &mut Reader<'_>, key: &'static str) -> Option<String> {
    let (at, value) = reader.needed(key)?;
    reader::text(&at, &value, reader.found)
}

/// Strings in an array: a command, its arguments.
fn strings(reader: &mut Reader<'_>, key: &'static str) -> Option<Vec<String>> {
    let (at, value) = reader.take(key)?;
    if value.shape() != Shape::Array {
        reader.expected(&at, "an array of strings", &value);
        return None;
    }
    let items = value.items();
    let read = items.iter().enumerate();
    let read = read.map(|(place, item)| reader::text(&at.index(place), item, reader.found));
    read.collect()
}
