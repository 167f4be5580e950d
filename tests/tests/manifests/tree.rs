//! The files below `deploy/`, and the documents in those that are YAML.

use std::fs;
use std::path::{Path, PathBuf};

use mainstay_tests::outside;
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value};

pub fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

pub fn text(file: &str) -> String {
    fs::read_to_string(deploy().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// One document of a file.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Below `deploy/`.
    pub file: String,
    pub document: Value,
}

impl Manifest {
    /// Empty where there is none.
    pub fn text(&self, pointer: &str) -> &str {
        let found = self.document.pointer(pointer);
        found.and_then(Value::as_str).unwrap_or_default()
    }

    pub fn list(&self, pointer: &str) -> Vec<Value> {
        let found = self.document.pointer(pointer).and_then(Value::as_array);
        found.cloned().unwrap_or_default()
    }

    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }
}

/// All of them.
pub fn manifests() -> Vec<Manifest> {
    let deploy = deploy();
    let files = outside::files_below(&deploy).into_iter();
    let files = files.filter(|path| path.extension().is_some_and(|found| found == "yaml"));
    let manifests = files.flat_map(|path| {
        let file = path.strip_prefix(&deploy).expect("it is below").display();
        let (file, text) = (file.to_string(), text(&file.to_string()));
        let documents =
            Yaml::load_from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let documents: Vec<Value> = documents.iter().map(read).collect();
        let all = documents.into_iter().map(move |document| Manifest {
            file: file.clone(),
            document,
        });
        all.collect::<Vec<_>>()
    });
    manifests.collect()
}

/// As JSON, which every one of these documents could be.
fn read(node: &Yaml<'_>) -> Value {
    match node {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(yes)) => Value::Bool(*yes),
        Yaml::Value(Scalar::Integer(number)) => Value::from(*number),
        Yaml::Value(Scalar::FloatingPoint(number)) => Value::from(number.into_inner()),
        Yaml::Value(Scalar::String(text)) => Value::from(text.as_ref()),
        Yaml::Sequence(values) => values.iter().map(read).collect(),
        Yaml::Mapping(fields) => {
            let field = |(key, value)| match read(key) {
                Value::String(key) => (key, read(value)),
                other => panic!("a key that is no text: {other}"),
            };
            Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
        }
        other => panic!("not of JSON: {other:?}"),
    }
}
