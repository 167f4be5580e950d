//! What is found wrong, and how it is said.

use serde_json::json;

use super::*;

fn told(schema: &Value, config: &Value) -> Vec<String> {
    check_values(schema, config)
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// As schemars writes it for a struct with an enum and an option in it.
fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Config",
        "type": "object",
        "properties": {
            "greeting": {"type": "string", "default": "hello"},
            "size": {"type": "integer", "format": "uint8", "minimum": 0, "maximum": 255},
            "mode": {"$ref": "#/$defs/Mode"},
            "note": {"type": ["string", "null"]},
            "check": {"anyOf": [{"$ref": "#/$defs/Check"}, {"type": "null"}]},
            "command": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "env": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "required": ["size"],
        "additionalProperties": false,
        "$defs": {
            "Mode": {"oneOf": [{"type": "string", "enum": ["fast", "slow"]}, {"type": "string", "const": "careful"}]},
            "Check": {
                "oneOf": [
                    {"type": "object", "properties": {"http": {"type": "string"}}, "required": ["http"], "additionalProperties": false},
                    {"type": "object", "properties": {"tcp": {"type": "integer"}}, "required": ["tcp"], "additionalProperties": false},
                ]
            },
        },
    })
}

#[test]
fn what_fits_is_not_complained_of() {
    for config in [
        json!({"size": 1}),
        json!({"size": 255, "mode": "fast", "note": null, "check": null}),
        json!({"size": 2, "mode": "careful", "check": {"tcp": 80}, "command": ["x"], "env": {"A": "b"}}),
    ] {
        assert_eq!(told(&schema(), &config), [""; 0], "{config}");
    }
}

#[test]
fn field_reason_and_nearest_name_are_said() {
    for (config, words) in [
        (json!({}), "size: it is missing"),
        (json!({"size": "a"}), "size: \"a\" is not a whole number"),
        (json!({"size": 2.0}), "size: 2.0 is not a whole number"),
        (
            json!({"size": 1, "check": {"htttp": "/"}}),
            "check: {\"htttp\":\"/\"} is none of {http: ..}, {tcp: ..}",
        ),
        (json!({"size": 300}), "size: 300 is more than 255"),
        (
            json!({"size": 1, "greeting": 7}),
            "greeting: 7 is not a text",
        ),
        (
            json!({"size": 1, "note": 7}),
            "note: 7 is not a text or null",
        ),
        (
            json!({"size": 1, "command": []}),
            "command: 0 items is less than 1",
        ),
        (
            json!({"size": 1, "command": [1]}),
            "command.0: 1 is not a text",
        ),
        (
            json!({"size": 1, "env": {"A": 1}}),
            "env.A: 1 is not a text",
        ),
        (
            json!({"size": 1, "check": {"tcp": "x"}}),
            "check.tcp: \"x\" is not a whole number",
        ),
        (
            json!({"size": 1, "mode": "best"}),
            "mode: \"best\" is none of \"fast\", \"slow\", \"careful\"",
        ),
        (json!([1]), "[1] is not an object"),
    ] {
        assert_eq!(told(&schema(), &config), [words], "{config}");
    }
}

#[test]
fn a_wrong_name_has_its_nearest() {
    let wrong = check_values(&schema(), &json!({"size": 1, "greting": "x"}));
    assert_eq!(wrong[0].path, "greting");
    assert_eq!(wrong[0].nearest, ["greeting"]);
    assert!(
        wrong[0].text.contains("there is no such field"),
        "{wrong:?}"
    );
    let wrong = check_values(&schema(), &json!({"size": 1, "mode": "fst"}));
    assert_eq!(wrong[0].nearest, ["fast"]);
}

#[test]
fn everything_is_said_at_once() {
    let config = json!({"greeting": 1, "sise": 2, "command": "x"});
    let found = told(&schema(), &config);
    assert_eq!(found.len(), 4, "{found:?}");
}

#[test]
fn a_schema_that_is_none_or_runs_in_circles_forbids_nothing() {
    assert_eq!(check("{", "{}"), []);
    assert_eq!(check("true", "{}"), []);
    let circle = json!({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}});
    assert_eq!(check_values(&circle, &json!({"a": 1})), []);
}

#[test]
fn a_schema_that_refers_to_itself_comes_to_an_end_and_lets_nothing_through() {
    let twice = json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]});
    let told_of = told(&twice, &json!({}));
    assert!(told_of[0].contains("more to check"), "{told_of:?}");
    let in_a_circle = json!({
        "anyOf": [{"$ref": "#/$defs/A", "required": ["x"]}],
        "$defs": {"A": {"$ref": "#/$defs/A"}},
    });
    assert_eq!(told(&in_a_circle, &json!({})).len(), 1);
}

#[test]
fn numbers_beyond_what_floats_tell_apart_are_compared_as_they_are() {
    let schema = json!({"type": "integer", "maximum": 9_007_199_254_740_992_u64});
    assert!(told(&schema, &json!(9_007_199_254_740_992_u64)).is_empty());
    assert_eq!(told(&schema, &json!(9_007_199_254_740_993_u64)).len(), 1);
    assert!(check(r#"{"type":"integer"}"#, "18446744073709551616").is_empty());
    assert_eq!(check(r#"{"type":"object"}"#, r#"{"n":1e400}"#).len(), 1);
    assert!(told(&json!({"type": "string", "nullable": true}), &json!(null)).is_empty());
}

#[test]
fn what_is_not_looked_at_is_named() {
    let schema = r#"{"properties":{"pattern":{"type":"string","pattern":"a+"}},"not":{},"default":{"not":1}}"#;
    let found = not_held(schema);
    let places: Vec<&str> = found.iter().map(|(_, place)| place.as_str()).collect();
    assert_eq!(places, ["/not", "/properties/pattern/pattern"]);
}
