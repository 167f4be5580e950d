//! The pods that manifests make, whatever makes them.

use serde_json::Value;

use super::tree::{Manifest, manifests};

#[derive(Debug)]
pub struct Pod {
    /// Of what makes it.
    pub name: String,
    pub namespace: String,
    pub labels: Value,
    pub spec: Value,
    /// What its volumes are made from, one for each.
    pub claims: Vec<Value>,
    /// Of a stateful set.
    pub service: Option<String>,
    /// How what makes it finds it; none: it needs not.
    found_by: Option<Value>,
}

/// By kustomizations their resources are in their namespace.
fn namespace(all: &[Manifest], of: &Manifest) -> String {
    let own = of.text("/metadata/namespace");
    let folder = |file: &str| file.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let mut kustomizations = all.iter().filter(|one| one.kind() == "Kustomization");
    let said = kustomizations.find(|one| folder(&one.file) == folder(&of.file));
    let said = said.map_or("", |one| one.text("/namespace"));
    let own = if own.is_empty() { said } else { own };
    own.to_owned()
}

pub fn pods() -> Vec<Pod> {
    let all = manifests();
    let makes = all.iter().filter_map(|manifest| {
        let (spec, labels) = match manifest.kind() {
            "Pod" => ("/spec", "/metadata/labels"),
            "StatefulSet" | "DaemonSet" | "Job" => {
                ("/spec/template/spec", "/spec/template/metadata/labels")
            }
            _ => return None,
        };
        let found = |pointer: &str| manifest.document.pointer(pointer).cloned();
        let service = manifest.text("/spec/serviceName");
        Some(Pod {
            name: manifest.name().to_owned(),
            namespace: namespace(&all, manifest),
            labels: found(labels).expect("a pod has labels"),
            spec: found(spec).expect("a pod has a specification"),
            claims: manifest.list("/spec/volumeClaimTemplates"),
            service: (!service.is_empty()).then(|| service.to_owned()),
            found_by: found("/spec/selector/matchLabels"),
        })
    });
    makes.collect()
}

impl Pod {
    pub fn containers(&self) -> impl Iterator<Item = &Value> {
        let lists = ["initContainers", "containers"].map(|list| self.spec[list].as_array());
        lists.into_iter().flatten().flatten()
    }

    /// The names of its ports.
    pub fn ports(&self) -> Vec<Value> {
        let ports = self.containers().filter_map(|one| one["ports"].as_array());
        ports.flatten().map(|port| port["name"].clone()).collect()
    }

    /// All words of its arguments.
    pub fn words(&self) -> Vec<String> {
        let all = self.containers().filter_map(|one| one["args"].as_array());
        let words = all.flatten().filter_map(Value::as_str);
        words.map(str::to_owned).collect()
    }

    /// The secrets that its variables are of.
    pub fn secrets(&self) -> Vec<&str> {
        let all = self.containers().filter_map(|one| one["env"].as_array());
        let named = all
            .flatten()
            .filter_map(|one| one.pointer("/valueFrom/secretKeyRef/name")?.as_str());
        named.collect()
    }

    /// All that is to find pods like it: what makes it, and what keeps them from each other.
    pub fn selectors(&self) -> Vec<&Value> {
        let mut found: Vec<&Value> = self.found_by.iter().collect();
        below(&self.spec, &mut found);
        found
    }
}

fn below<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("labelSelector").map(|one| &one["matchLabels"]));
            fields.values().for_each(|value| below(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| below(value, found)),
        _ => {}
    }
}
