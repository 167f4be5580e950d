//! What an activity is: who does it, what it takes and gives.

use std::collections::BTreeMap;

use mainstay_protocol::Json;
use mainstay_protocol::WorkName;

use crate::fault::{Found, Pointer};
use crate::reader::Reader;
use crate::retry::Retry;
use crate::schema::Schema;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityType {
    pub name: WorkName,
    /// Whoever declares that they serve it.
    pub provider: String,
    pub description: String,
    pub input: Schema,
    pub output: Schema,
    pub retry: Retry,
    /// As it was written, in canonical form: what is kept.
    pub text: Json,
}

impl ActivityType {
    /// None where there are faults.
    pub fn read(value: &Json, found: &mut Found) -> Option<Self> {
        let mut reader = Reader::new(Pointer::root(), value, found)?;
        let name = reader.name("type");
        let provider = reader.needed("provider");
        let provider = provider.and_then(|(at, value)| {
            let text = crate::reader::text(&at, &value, reader.found)?;
            if text.is_empty() {
                reader.found.fault(&at, "name who does it");
            }
            Some(text)
        });
        let description = reader.text("description").unwrap_or_default();
        let input = reader.object("inputSchema");
        let output = reader.object("outputSchema");
        let retry = reader.take("retry");
        let retry = retry.map(|(at, value)| Retry::read(at, &value, reader.found));
        reader.object("modules");
        reader.others();
        if !found.faults.is_empty() {
            return None;
        }
        let schema = |given: Option<Json>| Schema::of(&given.unwrap_or_else(Json::empty_object));
        Some(Self {
            name: name?,
            provider: provider?,
            description,
            input: schema(input),
            output: schema(output),
            retry: retry.unwrap_or_default(),
            text: value.clone(),
        })
    }
}

/// The types that are known when a definition is checked.
pub type Known = BTreeMap<WorkName, ActivityType>;
