//! Definitions as people write them for `orchestration apply`, `activity apply` and `service register`: JSON goes through as it was written, YAML as
//! it reads; what the station finds wrong is told at its place in the file.

use std::sync::Arc;

use mainstay_api::JsonFault;
use mainstay_api::shapes::{On, Path};
use mainstay_api::types::Exact;
use mainstay_protocol::Json;

use super::fault::{Fault, Faults};
use super::sources::{Format, Source};
use super::tree::{Node, Place, Value};
use super::{json, yaml};

#[derive(Debug)]
pub struct Definition {
    /// What it is called by.
    pub name: String,
    pub exact: Exact,
    source: usize,
    file: Arc<str>,
    tree: Node,
}

impl Definition {
    /// What the station found wrong with it, with its place.
    pub fn fault(&self, fault: &JsonFault) -> Fault {
        let mut faults = Faults::new(self.source, &self.file);
        let path = path(&self.tree, &fault.pointer);
        let at = self.tree.place(&path.0, On::Value);
        faults.full(at, fault.pointer.clone(), fault.text.clone(), Vec::new());
        let (mut list, _) = faults.done();
        list.remove(0)
    }
}

/// Every definition of every text; or every fault, and how many more there were.
pub fn definitions(
    sources: &[Source],
    called_by: &str,
) -> Result<Vec<Definition>, (Vec<Fault>, usize)> {
    let mut found = Vec::new();
    let (mut all, mut more) = (Vec::new(), 0);
    for (index, source) in sources.iter().enumerate() {
        let mut faults = Faults::new(index, &source.file);
        let trees = trees(source, &mut faults);
        if trees.is_empty() && faults.is_empty() {
            faults.add(Place::START, "there is no definition in it");
        }
        for tree in trees {
            found.extend(definition((index, source), tree, called_by, &mut faults));
        }
        let (list, beyond) = faults.done();
        all.extend(list);
        more += beyond;
    }
    match all.is_empty() {
        true => Ok(found),
        false => Err((all, more)),
    }
}

/// Of TOML, which has no text for `null`, nothing is read.
fn trees(source: &Source, faults: &mut Faults) -> Vec<Node> {
    match source.format {
        Format::Json => json::read(&source.text, faults),
        Format::Yaml => yaml::read(&source.text, faults),
        Format::Toml => {
            faults.add(Place::START, "write it in JSON or YAML");
            Vec::new()
        }
    }
}

/// What a run is given: one object, of one text.
pub fn payload(sources: &[Source]) -> Result<Json, (Vec<Fault>, usize)> {
    let mut all = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let mut faults = Faults::new(index, &source.file);
        let trees = trees(source, &mut faults);
        let read = match trees.as_slice() {
            [tree] if matches!(tree.value, Value::Fields(_)) => exact(source, tree, &mut faults),
            _ => {
                if faults.is_empty() {
                    faults.add(Place::START, "a payload is one object");
                }
                None
            }
        };
        match read {
            Some(read) if sources.len() == 1 => return Ok(read),
            Some(_) => faults.add(Place::START, "a payload is one file"),
            None => {}
        }
        all.extend(faults.done().0);
    }
    Err((all, 0))
}

/// As it was written, where it is JSON.
fn exact(source: &Source, tree: &Node, faults: &mut Faults) -> Option<Json> {
    if tree.has_bad() {
        return None;
    }
    let text = match source.format {
        Format::Json if source.text.trim_start().starts_with('[') => {
            let why = "a JSON file holds one object; several are documents of a YAML file, or files of a directory";
            faults.add(Place::START, why);
            return None;
        }
        Format::Json => source.text.clone(),
        Format::Yaml | Format::Toml => tree.json().to_string(),
    };
    let read = Json::parse(&text);
    read.map_err(|bad| faults.add(tree.at, bad.to_string()))
        .ok()
}

fn definition(
    (index, source): (usize, &Source),
    tree: Node,
    called_by: &str,
    faults: &mut Faults,
) -> Option<Definition> {
    let exact = Exact(exact(source, &tree, faults)?);
    let name = match tree.field(called_by).map(|field| &field.node.value) {
        Some(Value::Text(name)) => name.to_string(),
        Some(_) | None => {
            let text = match called_by {
                "type" => "a definition is an object with a type, as in type: tenant.example.com",
                _ => "a description is an object with an id, as in id: urn:ivcap:service:UUID",
            };
            faults.add(tree.at, text);
            return None;
        }
    };
    Some(Definition {
        name,
        exact,
        source: index,
        file: Arc::clone(&source.file),
        tree,
    })
}

/// A pointer's steps, as far as they lead; of what is missing, to where it is missing.
fn path(tree: &Node, pointer: &str) -> Path {
    let mut path = Path::default();
    let mut at = Some(tree);
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        let below = match at.map(|node| &node.value) {
            Some(Value::List(items)) => step.parse().ok().and_then(|index: usize| {
                path = path.index(index);
                items.get(index)
            }),
            _ => {
                path = path.field(&step);
                at.and_then(|node| node.field(&step))
                    .map(|field| &field.node)
            }
        };
        at = below;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(format: Format, text: &str) -> Source {
        Source {
            file: "t".into(),
            format,
            text: text.to_owned(),
        }
    }

    fn fault(pointer: &str) -> JsonFault {
        JsonFault {
            pointer: pointer.to_owned(),
            text: "wrong".to_owned(),
        }
    }

    #[test]
    fn a_fault_is_told_at_its_place_in_either_format() {
        let json = "{\"type\": \"t\",\n \"n\": 123456789012345678901234567890,\n \"activities\": [\n  {\"id\": 7}]}";
        let yaml = "type: t\nn: 1\nactivities:\n  - id: 7\n";
        let read = |format, text: &str| {
            definitions(&[source(format, text)], "type")
                .unwrap()
                .remove(0)
        };
        let json = read(Format::Json, json);
        assert!(
            json.exact
                .0
                .as_str()
                .contains("123456789012345678901234567890")
        );
        let told = json.fault(&fault("/activities/0/id")).to_string();
        assert_eq!(told, "t:4:10: /activities/0/id: wrong");
        let yaml = read(Format::Yaml, yaml);
        let told = yaml.fault(&fault("/activities/0/id")).to_string();
        assert!(told.starts_with("t:4:"), "{told}");
        let told = yaml.fault(&fault("/activities/0/type")).to_string();
        assert!(told.starts_with("t:4:"), "{told}");
    }

    #[test]
    fn what_is_no_definition_is_told() {
        for (format, text) in [
            (Format::Json, "[]"),
            (Format::Json, "[{\"type\": \"t\"}]"),
            (Format::Json, "{\"type\": 7}"),
            (Format::Json, "{"),
            (Format::Yaml, ""),
            (Format::Toml, "type = \"t\""),
        ] {
            assert!(
                definitions(&[source(format, text)], "type").is_err(),
                "{text}"
            );
        }
    }
}
