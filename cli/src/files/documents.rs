//! Documents: which kind each is, what it is called, whether its fields are right, and that none is there twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_api::shapes::{self, Flaw, KINDS, On, Reader, SpecKind, Step};
use mainstay_protocol::limits;
use serde_json::Value as Json;

use super::fault::{Fault, Faults};
use super::sources::{Format, Source};
use super::tree::{Node, Place, Value};
use super::{json, toml, yaml};

/// A document that reads well: what the station is asked for, and where each part of it stands.
#[derive(Debug)]
pub struct Wish {
    pub kind: &'static SpecKind,
    /// None of a kind whose documents have no names.
    pub name: Option<String>,
    /// Without `kind`.
    pub spec: Json,
    source: usize,
    file: Arc<str>,
    tree: Node,
}

impl Wish {
    /// What the station found wrong with it, with its place.
    pub fn fault(&self, flaw: &Flaw) -> Fault {
        let mut faults = Faults::new(self.source, &self.file);
        tell(&self.tree, flaw, &mut faults);
        let (mut list, _) = faults.done();
        list.remove(0)
    }

    /// `web.yaml:3:1`.
    #[cfg(test)]
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.tree.at)
    }
}

/// Every document of every text; or every fault of every text, in their order, and how many more there were.
pub fn documents(sources: &[Source], reader: Reader) -> Result<Vec<Wish>, (Vec<Fault>, usize)> {
    let mut wishes: Vec<Wish> = Vec::new();
    let mut seen: BTreeMap<(&'static str, Option<String>), String> = BTreeMap::new();
    let mut all = Vec::new();
    let mut more = 0;
    for (index, source) in sources.iter().enumerate() {
        let mut faults = Faults::new(index, &source.file);
        let trees = match source.format {
            Format::Yaml => yaml::read(&source.text, &mut faults),
            Format::Toml => toml::read(&source.text, reader, &mut faults),
            Format::Json => json::read(&source.text, &mut faults),
        };
        if trees.is_empty() && faults.is_empty() {
            faults.add(Place::START, "there is no document in it");
        }
        for tree in trees {
            let Some(wish) = wish(index, source, tree, reader, &mut faults) else {
                continue;
            };
            let place = wish.name_place();
            let told = format!("{}:{place}", source.file);
            match seen.insert((wish.kind.name, wish.name.clone()), told) {
                None => wishes.push(wish),
                Some(first) => {
                    faults.add(place, wish.twice(&first));
                    seen.insert((wish.kind.name, wish.name.clone()), first);
                }
            }
        }
        if wishes.len() > limits::APPLY_CHANGES_MAX {
            let why = format!(
                "more than {} documents at once are not taken",
                limits::APPLY_CHANGES_MAX
            );
            faults.add(Place::START, why);
        }
        let (list, beyond) = faults.done();
        all.extend(list);
        more += beyond;
    }
    match all.is_empty() {
        true => Ok(wishes),
        false => Err((all, more)),
    }
}

/// `placement` and `placements` of a TOML file are the kind Placement.
pub fn kind_of_table(table: &str) -> String {
    KINDS
        .iter()
        .map(|kind| kind.name)
        .find(|kind| {
            let table = table.strip_suffix('s').unwrap_or(table);
            let kind = kind.strip_suffix('s').unwrap_or(kind);
            kind.eq_ignore_ascii_case(table)
        })
        .map_or_else(|| table.to_owned(), str::to_owned)
}

impl Wish {
    fn name_place(&self) -> Place {
        match self.tree.field("name") {
            Some(name) if self.kind.named => name.node.at,
            Some(_) | None => self.tree.at,
        }
    }

    fn twice(&self, first: &str) -> String {
        match &self.name {
            Some(name) => format!(
                "the {} \"{name}\" is there twice; the first is at {first}",
                self.kind.name
            ),
            None => format!(
                "there are two documents of kind {}; the first is at {first}",
                self.kind.name
            ),
        }
    }
}

/// A document without fault; what is wrong with any other is told.
fn wish(
    index: usize,
    source: &Source,
    tree: Node,
    reader: Reader,
    faults: &mut Faults,
) -> Option<Wish> {
    let before = faults.count();
    let kind = kind(&tree, reader, faults)?;
    let shape = kind.shape?;
    let Json::Object(mut fields) = tree.json() else {
        return None;
    };
    fields.remove("kind");
    let spec = Json::Object(fields);
    let between = (kind.between)(&spec);
    for flaw in shapes::check(shape, &spec).into_iter().chain(between) {
        if !is_told(&tree, &flaw) {
            tell(&tree, &flaw, faults);
        }
    }
    let name = spec.get("name").and_then(Json::as_str).map(str::to_owned);
    let fine = faults.count() == before && !tree.has_bad();
    // A bad document still takes its name: that it is there twice is worth knowing too.
    (fine || (kind.named && name.is_some())).then(|| Wish {
        kind,
        name: name.filter(|_| kind.named),
        spec,
        source: index,
        file: Arc::clone(&source.file),
        tree,
    })
}

fn kind(tree: &Node, reader: Reader, faults: &mut Faults) -> Option<&'static SpecKind> {
    let names = || KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>();
    let example = match reader {
        Reader::Plan => "Placement",
        Reader::Bootstrap => "Cluster",
    };
    match &tree.value {
        Value::Bad => return None,
        Value::Fields(_) => {}
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => {
            faults.add(
                tree.at,
                format!("a document is an object that begins with its kind, as in kind: {example}"),
            );
            return None;
        }
    }
    let Some(field) = tree.field("kind") else {
        faults.add(
            tree.at,
            format!("the document does not say its kind: add kind: {example}, or what it is"),
        );
        return None;
    };
    let Value::Text(name) = &field.node.value else {
        if field.node.value != Value::Bad {
            let why = format!("a kind is a text, as in kind: {example}");
            faults.add(field.node.at, why);
        }
        return None;
    };
    match shapes::kind(name) {
        None => {
            let why = format!("there is no kind {name:?}");
            faults.unknown(field.node.at, why, name, &names());
            None
        }
        Some(kind) if kind.shape.is_none() => {
            faults.add(field.node.at, kind.not_here());
            None
        }
        Some(kind) if kind.reader != reader => {
            let why = match kind.reader {
                Reader::Bootstrap => format!("the kind {name} is what `mainstay bootstrap` reads"),
                Reader::Plan => {
                    format!("the kind {name} is what `mainstay apply -f` reads; here it is Cluster")
                }
            };
            faults.add(field.node.at, why);
            None
        }
        Some(kind) => Some(kind),
    }
}

/// What was reported while reading is not reported again as missing or of a wrong kind.
fn is_told(tree: &Node, flaw: &Flaw) -> bool {
    let mut node = tree;
    for step in &flaw.path.0 {
        let below = match (&node.value, step) {
            (Value::Fields(_), Step::Field(key)) => node.field(key).map(|field| &field.node),
            (Value::List(items), Step::Index(index)) => items.get(*index),
            _ => None,
        };
        match below {
            Some(below) => node = below,
            None => return false,
        }
    }
    let below_bad = match &node.value {
        Value::Fields(fields) => fields.iter().any(|field| field.node.value == Value::Bad),
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Text(_)
        | Value::List(_)
        | Value::Bad => false,
    };
    node.value == Value::Bad || (below_bad && flaw.on == On::Value)
}

fn tell(tree: &Node, flaw: &Flaw, faults: &mut Faults) {
    let at = tree.place(&flaw.path.0, flaw.on);
    faults.full(
        at,
        flaw.path.to_string(),
        flaw.why.clone(),
        flaw.nearest.clone(),
    );
}
