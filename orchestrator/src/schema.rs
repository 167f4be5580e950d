//! As much of JSON Schema as can be known of a definition before anything runs: which members there are, of which types, and
//! which are needed.

use std::collections::BTreeSet;

use mainstay_protocol::json::{Json, Shape};

/// What a schema says of one value. Where it says nothing, anything may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema(Json);

/// What a schema knows of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member {
    /// It is declared.
    Declared(Schema),
    /// The schema has nothing to say.
    MayBe,
    /// The schema lists its members, and this is none.
    Absent,
}

impl Schema {
    /// Also of what stands in `openAPIV3Schema`.
    pub fn of(value: &Json) -> Self {
        let wrapped = value.member("openAPIV3Schema");
        Self(wrapped.unwrap_or_else(|| value.clone()))
    }

    /// As it was written.
    pub fn text(&self) -> &Json {
        &self.0
    }

    pub fn member(&self, name: &str) -> Member {
        let Some(properties) = self.0.member("properties") else {
            return Member::MayBe;
        };
        match properties.member(name) {
            Some(schema) => Member::Declared(Self(schema)),
            None if properties.members().is_empty() => Member::MayBe,
            None => match self.0.member("additionalProperties") {
                Some(others) if others.as_bool() != Some(false) => Member::MayBe,
                _ => Member::Absent,
            },
        }
    }

    pub fn at(&self, path: &[String]) -> Member {
        let mut found = Member::Declared(self.clone());
        for step in path {
            found = match found {
                Member::Declared(schema) => schema.member(step),
                Member::MayBe | Member::Absent => return found,
            };
        }
        found
    }

    /// The members that there must be.
    pub fn required(&self) -> Vec<String> {
        let required = self.0.member("required");
        let required = required.map(|list| list.items()).unwrap_or_default();
        required.iter().filter_map(Json::as_text).collect()
    }

    pub fn needs(&self, name: &str) -> bool {
        self.required().iter().any(|one| one == name)
    }

    /// Whether a value of one may be one of the other: false only where both name types, and none is of both.
    pub fn may_take(&self, other: &Self) -> bool {
        let (Some(takes), Some(gives)) = (self.types(), other.types()) else {
            return true;
        };
        let fits = |given: &String| {
            takes.contains(given) || (given == "integer" && takes.contains("number"))
        };
        gives.iter().any(fits)
    }

    /// In words, for whoever mixed two up.
    pub fn type_name(&self) -> String {
        let types = self.types().unwrap_or_default();
        types.into_iter().collect::<Vec<_>>().join(" or ")
    }

    fn types(&self) -> Option<BTreeSet<String>> {
        let types = self.0.member("type")?;
        let named: BTreeSet<String> = match types.shape() {
            Shape::Array => types.items().iter().filter_map(Json::as_text).collect(),
            _ => types.as_text().into_iter().collect(),
        };
        (!named.is_empty()).then_some(named)
    }
}
