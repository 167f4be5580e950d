//! Wishes as typed values. What shape alone can tell is told here.

use mainstay_coordinator::PlacementWish;
use mainstay_coordinator::schema::Wrong;
use mainstay_protocol::report::TypeDeclaration;
use mainstay_resource_graph::{Settings, View, ViewExt};

use crate::shapes::{self, Flaw, On, Path, Reader, Step};
use crate::spec;
use crate::types::{PlacementSpec, PlanMode, PlanRequest, WishBody, WishFlaw};

/// What could be read; a wish that could not is only in the flaws.
#[derive(Default)]
pub struct Wishes<'r> {
    pub placements: Vec<Placed<'r>>,
    pub settings: Option<SettingsWish<'r>>,
}

pub struct Placed<'r> {
    /// Its number in the request.
    pub number: usize,
    pub body: &'r WishBody,
    pub wish: PlacementWish,
}

pub struct SettingsWish<'r> {
    pub body: &'r WishBody,
    /// What the settings come to.
    pub settings: Settings,
}

impl Wishes<'_> {
    pub fn placed(&self, name: &mainstay_protocol::PlacementName) -> Option<&PlacementWish> {
        self.placements
            .iter()
            .map(|placed| &placed.wish)
            .find(|wish| wish.name == *name)
    }
}

pub fn wishes<'r>(
    view: &dyn View,
    request: &'r PlanRequest,
    flaws: &mut Vec<WishFlaw>,
) -> Wishes<'r> {
    let mut wishes = Wishes::default();
    for (number, body) in request.wishes.iter().enumerate() {
        let found = wish(view, number, body, request.mode, &mut wishes);
        flaws.extend(
            found
                .into_iter()
                .map(|flaw| WishFlaw { wish: number, flaw }),
        );
    }
    wishes
}

fn wish<'r>(
    view: &dyn View,
    number: usize,
    body: &'r WishBody,
    mode: PlanMode,
    wishes: &mut Wishes<'r>,
) -> Vec<Flaw> {
    match body.kind.as_str() {
        "Placement" => match placement(body) {
            Ok(wish) if wishes.placed(&wish.name).is_some() => {
                let why = format!("the placement \"{}\" is there twice", wish.name);
                vec![Flaw::new(Path::default().field("name"), why)]
            }
            Ok(wish) => {
                wishes.placements.push(Placed { number, body, wish });
                Vec::new()
            }
            Err(flaws) => flaws,
        },
        "Settings" if mode == PlanMode::Delete => {
            let why = "settings cannot be deleted, only changed";
            vec![Flaw::new(Path::default(), why)]
        }
        "Settings" if wishes.settings.is_some() => {
            let why = "there are two documents of kind Settings";
            vec![Flaw::new(Path::default(), why)]
        }
        "Settings" => {
            let current = view.cluster().map(|cluster| cluster.settings);
            match shapes::settings::changed(&current.unwrap_or(Settings::LAN), &body.spec) {
                Ok(settings) => {
                    wishes.settings = Some(SettingsWish { body, settings });
                    Vec::new()
                }
                Err(flaws) => flaws,
            }
        }
        other => vec![no_such_kind(other)],
    }
}

/// Of a kind that this reads not.
fn elsewhere(name: &str) -> String {
    format!("the kind {name} is what `mainstay bootstrap` reads; it is not planned")
}

fn no_such_kind(name: &str) -> Flaw {
    let why = match shapes::kind(name) {
        Some(kind) if kind.reader == Reader::Bootstrap => elsewhere(name),
        Some(kind) => kind.not_here(),
        None => format!("there is no kind {name:?}"),
    };
    let known = shapes::KINDS.iter().map(|kind| kind.name);
    let near = mainstay_protocol::words::nearest(name, known);
    Flaw::new(Path::default(), why).near(near)
}

/// The typed form of a specification that passed the check of its shape.
pub fn placement_spec(spec: &serde_json::Value) -> Result<PlacementSpec, serde_json::Error> {
    // Fields that are null are left out, wherever the typed form has no null.
    serde_json::from_value(without_nulls(spec))
}

fn placement(body: &WishBody) -> Result<PlacementWish, Vec<Flaw>> {
    let flaws = shapes::check(&shapes::PLACEMENT, &body.spec);
    if !flaws.is_empty() {
        return Err(flaws);
    }
    let spec = placement_spec(&body.spec)
        .map_err(|error| vec![Flaw::new(Path::default(), error.to_string())])?;
    spec::wish(&spec).map_err(|problems| {
        problems
            .into_iter()
            .map(|problem| Flaw::new(path(&problem.path), problem.text).near(problem.nearest))
            .collect()
    })
}

/// Of the top's fields and those of objects below it; not of a configuration, where a null may mean something.
fn without_nulls(spec: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match spec {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| match name.as_str() {
                    "config" => (name.clone(), value.clone()),
                    _ => (name.clone(), without_nulls(value)),
                })
                .collect(),
        ),
        other => other.clone(),
    }
}

/// `depends_on.0.until` as steps.
pub fn path(text: &str) -> Path {
    let step = |part: &str| match part.parse() {
        Ok(index) => Step::Index(index),
        Err(_) => Step::Field(part.to_owned()),
    };
    Path(
        text.split('.')
            .filter(|part| !part.is_empty())
            .map(step)
            .collect(),
    )
}

/// A flaw of a field's value.
pub fn flaw(number: usize, path: Path, why: String, nearest: Vec<String>) -> WishFlaw {
    WishFlaw {
        wish: number,
        flaw: Flaw {
            path,
            on: On::Value,
            why,
            nearest,
        },
    }
}

/// What a type does not take of a configuration, each with its path, the nearest names beside it.
pub fn config_flaws(
    declaration: &TypeDeclaration,
    config: &str,
) -> Vec<(Path, String, Vec<String>)> {
    let top = Path::default().field("config");
    let text = match mainstay_coordinator::config::canonical(config) {
        Ok((_, text)) => text,
        Err(bad) => return vec![(top, bad.to_string(), Vec::new())],
    };
    let wrong = mainstay_coordinator::schema::check(&declaration.schema, &text);
    in_config(wrong)
}

/// References to secrets that are not there.
pub fn secret_flaws(view: &dyn View, config: &str) -> Vec<(Path, String, Vec<String>)> {
    in_config(mainstay_coordinator::secrets::wrong_references(
        view, config,
    ))
}

fn in_config(wrong: Vec<Wrong>) -> Vec<(Path, String, Vec<String>)> {
    wrong
        .into_iter()
        .map(|wrong| {
            let mut at = Path::default().field("config");
            at.0.extend(path(&wrong.path).0);
            (at, wrong.text, wrong.nearest)
        })
        .collect()
}
