//! Schemas of what is asked and what is answered. One type may stand in both, and is another schema in each: what may be
//! left out of a request is never omitted from an answer.

use std::collections::BTreeSet;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};

/// Makes the schema of one type.
pub type Of = fn(&mut SchemaGenerator) -> Schema;

pub fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

const WHERE: &str = "/components/schemas";
/// Behind the name of a type as it is asked, where that is another than answered.
const ASKED: &str = "Input";

pub struct Schemas {
    asked: SchemaGenerator,
    answered: SchemaGenerator,
    /// Types that are asked and answered, and are not the same in both, or speak of one that is not.
    apart: BTreeSet<String>,
}

impl Schemas {
    /// Everything must be known before the first schema is made: only then it is clear which types differ.
    pub fn new(asked: impl Iterator<Item = Of>, answered: impl Iterator<Item = Of>) -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = WHERE.into();
            settings.meta_schema = None;
        });
        let mut schemas = Self {
            asked: settings.clone().for_deserialize().into_generator(),
            answered: settings.for_serialize().into_generator(),
            apart: BTreeSet::new(),
        };
        asked.for_each(|of| drop(of(&mut schemas.asked)));
        answered.for_each(|of| drop(of(&mut schemas.answered)));
        schemas.apart = apart(schemas.asked.definitions(), schemas.answered.definitions());
        schemas
    }

    pub fn asked(&mut self, of: Of) -> Value {
        let schema = of(&mut self.asked).to_value();
        self.set_apart(schema)
    }

    pub fn answered(&mut self, of: Of) -> Value {
        of(&mut self.answered).to_value()
    }

    /// Every schema by its name.
    pub fn all(&self) -> Map<String, Value> {
        let asked = self.asked.definitions().iter().map(|(name, schema)| {
            let name = match self.apart.contains(name) {
                true => format!("{name}{ASKED}"),
                false => name.clone(),
            };
            (name, self.set_apart(schema.clone()))
        });
        let answered = self.answered.definitions().clone();
        asked.chain(answered).collect()
    }

    fn set_apart(&self, mut schema: Value) -> Value {
        each_reference(&mut schema, &mut |reference: &mut String| {
            if self.apart.contains(name(reference)) {
                reference.push_str(ASKED);
            }
        });
        schema
    }
}

fn apart(asked: &Map<String, Value>, answered: &Map<String, Value>) -> BTreeSet<String> {
    let mut apart = BTreeSet::new();
    loop {
        let differs = |name: &String, schema: &Value| {
            let other = answered.get(name);
            other.is_some_and(|other| other != schema || speaks_of(schema, &apart))
        };
        let more: Vec<String> = asked
            .iter()
            .filter(|(name, schema)| !apart.contains(*name) && differs(name, schema))
            .map(|(name, _)| name.clone())
            .collect();
        if more.is_empty() {
            return apart;
        }
        apart.extend(more);
    }
}

fn speaks_of(schema: &Value, names: &BTreeSet<String>) -> bool {
    let mut speaks = false;
    each_reference(&mut schema.clone(), &mut |reference: &mut String| {
        speaks |= names.contains(name(reference));
    });
    speaks
}

/// The name that a reference ends with.
fn name(reference: &str) -> &str {
    reference
        .rsplit_once('/')
        .map_or(reference, |(_, name)| name)
}

fn each_reference(value: &mut Value, with: &mut impl FnMut(&mut String)) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(reference) if key == "$ref" => with(reference),
                    value => each_reference(value, with),
                }
            }
        }
        Value::Array(values) => {
            for value in values {
                each_reference(value, with);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
