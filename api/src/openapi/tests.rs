//! The document as it is checked in, and what must hold of it whatever the API becomes.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

/// `UPDATE=1` rewrites it; the difference is reviewed like code.
#[test]
fn the_document_that_is_checked_in_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let made = text();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap();
    let mut lines = stored.lines().zip(made.lines()).enumerate();
    let differs = lines.find(|(_, (stored, made))| stored != made);
    assert!(
        stored == made,
        "docs/openapi.json is not what the code says, from {differs:?} on; UPDATE=1 rewrites it"
    );
}

#[test]
fn every_route_says_once_what_it_takes_and_answers() {
    for route in routes::ALL {
        let entries = TABLE.iter().filter(|spoken| spoken.route == *route).count();
        assert_eq!(
            entries, 1,
            "{route} stands {entries} times in api/src/openapi/table.rs"
        );
    }
    assert_eq!(TABLE.len(), routes::ALL.len());
    let document = document();
    for route in routes::ALL {
        let method = route.method.as_str().to_lowercase();
        let operation = &document["paths"][route.path][&method];
        assert_eq!(operation["x-needs"], needs(route.needs), "{route}");
        let summary = operation["summary"].as_str().unwrap();
        assert!(
            summary.ends_with('.') && !summary.contains('\n'),
            "the first sentence of {route} is {summary:?}"
        );
        assert!(!(route.method == Method::Get && operation.get("requestBody").is_some()));
    }
}

fn walk<'a>(at: String, value: &'a Value, visit: &mut impl FnMut(&str, &'a Value)) {
    visit(&at, value);
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                walk(format!("{at}/{key}"), value, visit);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                walk(format!("{at}/{index}"), value, visit);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_nothing_is_there_that_none_leads_to() {
    let document = document();
    let mut led_to = BTreeSet::new();
    walk(String::new(), &document, &mut |at, value| {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
            return;
        };
        let path = reference.strip_prefix('#').unwrap();
        assert!(
            document.pointer(path).is_some(),
            "{reference} at {at} leads nowhere"
        );
        led_to.insert(path.to_owned());
    });
    for kind in ["schemas", "headers", "parameters", "responses"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let path = format!("/components/{kind}/{name}");
            assert!(led_to.contains(&path), "nothing leads to {path}");
        }
    }
}

#[test]
fn everything_that_is_asked_or_answered_is_described() {
    let document = document();
    let mut missing = Vec::new();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        if schema.get("description").is_none() {
            missing.push(name.clone());
        }
        walk(name.clone(), schema, &mut |at, value| {
            for (key, property) in value["properties"].as_object().into_iter().flatten() {
                // What a reference leads to says it, where nothing is to be added; so does one of several ways, of its one key.
                let is_way = at.contains("/oneOf/") && value.get("description").is_some();
                let says = property.get("description").is_some() || property.get("$ref").is_some();
                if !says && !is_way {
                    missing.push(format!("{at}.{key}"));
                }
            }
        });
    }
    assert!(missing.is_empty(), "write a doc comment for {missing:?}");
}

#[test]
fn keys_of_answers_are_all_required_and_requests_say_what_may_be_left_out() {
    let document = document();
    let schema = |name: &str| document["components"]["schemas"][name].clone();
    let keys = |schema: &Value| -> BTreeSet<String> {
        let properties = schema["properties"].as_object().into_iter().flatten();
        properties.map(|(key, _)| key.clone()).collect()
    };
    let required = |schema: &Value| -> BTreeSet<String> {
        let required = schema["required"].as_array().into_iter().flatten();
        required
            .map(|key| key.as_str().unwrap().to_owned())
            .collect()
    };
    let mut answered = BTreeSet::new();
    for spoken in TABLE {
        let reference = Schemas::new([].into_iter(), [spoken.answer].into_iter());
        answered.extend(reference.all().into_iter().map(|(name, _)| name));
    }
    assert!(answered.contains("Instance") && answered.contains("PolicySpec"));
    for name in &answered {
        let schema = schema(name);
        assert_eq!(keys(&schema), required(&schema), "{name}");
    }
    // The same type, as it may be written and as it is answered.
    let policy = schema("PolicySpecInput");
    assert_eq!(keys(&policy), keys(&schema("PolicySpec")));
    assert!(required(&policy).is_empty(), "{policy:#}");
    assert_eq!(policy["additionalProperties"], false);
    let wish = schema("PlacementSpec");
    assert_eq!(
        wish["properties"]["policy"]["$ref"],
        "#/components/schemas/PolicySpecInput"
    );
}

#[test]
fn the_document_is_in_one_order() {
    let document = document();
    walk(String::new(), &document, &mut |at, value| {
        if let Value::Object(fields) = value {
            assert!(fields.keys().is_sorted(), "{at}");
        }
    });
    assert_eq!(text(), text());
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
}
