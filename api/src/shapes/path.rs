//! Where in a specification something is: fields and indices from its top.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One step down.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(untagged)]
#[schemars(rename = "FlawStep")]
pub enum Step {
    /// Into a list.
    Index(usize),
    /// Into an object.
    Field(String),
}

/// Whether the name of a field is meant, or what it holds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "FlawOn")]
pub enum On {
    /// The name of the field.
    Key,
    /// What it holds.
    Value,
}

/// Fields and indices, from the top.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
#[schemars(rename = "FlawPath")]
pub struct Path(pub Vec<Step>);

impl Path {
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        let mut path = self.clone();
        path.0.push(Step::Field(name.to_owned()));
        path
    }

    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut path = self.clone();
        path.0.push(Step::Index(index));
        path
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `policy.backoff.max`, `depends_on[0].until`. A field whose name has a dot is written in quotes.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(at) => write!(f, "[{at}]")?,
                Step::Field(name) => {
                    if index > 0 {
                        f.write_str(".")?;
                    }
                    match is_plain(name) {
                        true => f.write_str(name)?,
                        false => write!(f, "{name:?}")?,
                    }
                }
            }
        }
        Ok(())
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_people_write_it() {
        let path = Path::default().field("depends_on").index(0).field("until");
        assert_eq!(path.to_string(), "depends_on[0].until");
        let odd = Path::default().field("config").field("a.b\n");
        assert_eq!(odd.to_string(), "config.\"a.b\\n\"");
        let json = serde_json::to_value(&path).unwrap();
        assert_eq!(json, serde_json::json!(["depends_on", 0, "until"]));
        assert_eq!(serde_json::from_value::<Path>(json).unwrap(), path);
    }
}
