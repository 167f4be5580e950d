//! Descriptions of before: read as what they would be written as now. The original is kept as it is.

use mainstay_protocol::Json;

use crate::fault::{Found, Pointer};
use crate::models::{DESCRIPTION, one_spelling};

const FIRST: &str = "urn:ivcap:schema:service.1";
const BASIC: &str = "urn:ivcap:schema:service.basic.1";

/// Of a description that is new enough, itself.
pub(super) fn upgraded(value: &Json, found: &mut Found) -> Option<Json> {
    let schema = value.member("$schema").and_then(|schema| schema.as_text());
    if schema.map(|schema| one_spelling(&schema)).as_deref() != Some(FIRST) {
        return Some(value.clone());
    }
    let at = Pointer::root().key("workflow");
    let mut members = value.members();
    let Some(workflow) = members.remove("workflow") else {
        // One with a controller already is a new one that names the old form.
        if !members.contains_key("controller") {
            found.fault(&at, "is missing: what a service.1 does stands there");
            return None;
        }
        members.insert("$schema".to_owned(), Json::text(DESCRIPTION));
        return Some(Json::object(&members));
    };
    let kind = workflow.member("type").and_then(|kind| kind.as_text());
    if kind.as_deref() != Some("basic") {
        let is = kind.as_deref().unwrap_or("missing");
        let text =
            format!("of service.1 only basic is translated; it is {is}: write a {DESCRIPTION}");
        found.fault(&at.key("type"), text);
        return None;
    }
    let Some(basic) = workflow.member("basic") else {
        found.fault(&at.key("basic"), "is missing");
        return None;
    };
    let mut controller = basic.members();
    controller.insert("$schema".to_owned(), Json::text(BASIC));
    members.insert("$schema".to_owned(), Json::text(DESCRIPTION));
    members.insert("controller".to_owned(), Json::object(&controller));
    Some(Json::object(&members))
}
