//! # The API as an OpenAPI 3.1 document
//!
//! ```text
//!   routes (paths, who may, what for) --+
//!   table  (what is taken, answered)  --+--> document() --> docs/openapi.json, GET /v1/openapi.json
//!   types  (schemas, by schemars)     --+
//! ```
//! What must hold:
//! - It is made of the code and of nothing else: the same on every machine, in one order. A test compares it with what is
//!   checked in, so that a change of the API is seen in review.
//! - A route without an entry in `table` fails a test.
//! - Keys of answers are all required, since they are never omitted. They are not closed: more keys may come, and a program
//!   that holds answers against an older document is not to break. That none is answered which is not written down is
//!   tested against a real cluster.

mod query;
mod schemas;
mod table;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use crate::problem::Problem;
use crate::routes::{
    self, BACKUP_CONTENT, DATA_AGE_HEADER, IDEMPOTENCY_KEY_HEADER, Method, NEXT_CURSOR_HEADER,
    Needs, REQUEST_ID_HEADER, Route,
};
use query::{Shape, Word};
use schemas::{Of, Schemas};
use table::{Form, Spoken, TABLE};

/// The name under which `security` speaks of certificates.
const CERTIFICATE: &str = "certificate";

/// The whole document.
pub fn document() -> Value {
    let asked = TABLE.iter().filter_map(|spoken| spoken.body);
    let answered = TABLE.iter().map(|spoken| spoken.answer);
    let problem: Of = schemas::of::<Problem>;
    let mut schemas = Schemas::new(asked, answered.chain([problem]));
    let problem = schemas.answered(problem);
    let mut paths = Map::new();
    for spoken in TABLE {
        let operation = operation(spoken, &mut schemas);
        let of_path = paths.entry(spoken.route.path).or_insert_with(|| json!({}));
        of_path[spoken.route.method.as_str().to_lowercase()] = operation;
    }
    sorted(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Mainstay",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "paths": paths,
        "components": {
            "schemas": schemas.all(),
            "responses": { "Problem": refusal(problem) },
            "headers": headers(),
            "parameters": { IDEMPOTENCY_KEY_HEADER: idempotency_key() },
            "securitySchemes": { CERTIFICATE: { "type": "mutualTLS", "description": WHO } },
        },
    }))
}

/// As it is checked in and served.
pub fn text() -> String {
    format!("{:#}\n", document())
}

const ABOUT: &str = "What the command line does goes through this API, and nothing else does. Keys of answers are never \
omitted: what is unknown is null, an empty list is []. Keys may be added. Times are RFC 3339, UTC. Lists come in pages: \
where there is more, the header mainstay-next says what to ask for as cursor. Whatever goes wrong is one shape, Problem, \
whose code has a page (mainstay explain CODE). Any station answers; what only its leader can do is passed on to it.";

const WHO: &str = "A certificate of the cluster (mainstay join), and the role that it names: reader, operator or admin. On \
a station's own machine its Unix socket is asked without one: whoever may open it is an admin. x-needs says which role a \
request needs at least; station: another station of the group, and nobody else.";

fn operation(spoken: &Spoken, schemas: &mut Schemas) -> Value {
    let route = &spoken.route;
    let (summary, more) = about(route);
    let mut operation = json!({
        "operationId": route.name.to_lowercase(),
        "tags": [tag(route)],
        "summary": summary,
        "x-needs": needs(route.needs),
        "security": security(route.needs),
        "parameters": parameters(spoken),
        "responses": {
            "200": answer(spoken, schemas),
            "default": { "$ref": "#/components/responses/Problem" },
        },
    });
    if let Some(more) = more {
        operation["description"] = more.into();
    }
    let makes = [
        routes::ACTIVITY_CREATE,
        routes::ORCHESTRATION_CREATE,
        routes::RUN_START,
        routes::RUN_DISPOSE,
        routes::ARTIFACT_PUT,
    ];
    if makes.contains(route) {
        // There was none; 200 says that it was there already.
        operation["responses"]["201"] = answer(spoken, schemas);
    }
    if let Some(body) = spoken.body {
        let content = match *route == routes::ARTIFACT_PUT {
            true => json!({ "application/octet-stream": {} }),
            false => json!({ "application/json": { "schema": schemas.asked(body) } }),
        };
        operation["requestBody"] = json!({
            // A message without content has no body either.
            "required": *route != routes::INSTANCE_MESSAGE,
            "content": content,
        });
    }
    operation
}

/// The first sentence of its doc comment, and the others.
fn about(route: &Route) -> (String, Option<String>) {
    let text = route.about.trim();
    match text.split_once(". ") {
        Some((first, more)) => (format!("{first}."), Some(more.trim().to_owned())),
        None => (text.to_owned(), None),
    }
}

/// What the routes of one thing have in common: the first word of their path.
fn tag(route: &Route) -> &str {
    let path = route.path.trim_start_matches("/v1");
    path.split(['/', '.'])
        .find(|part| !part.is_empty())
        .unwrap_or_default()
}

fn needs(needs: Needs) -> &'static str {
    match needs {
        Needs::Nobody => "nobody",
        Needs::Reader => "reader",
        Needs::Operator => "operator",
        Needs::Admin => "admin",
        Needs::Station => "station",
    }
}

fn security(of: Needs) -> Value {
    match of {
        Needs::Nobody => json!([]),
        Needs::Reader | Needs::Operator | Needs::Admin | Needs::Station => {
            json!([{ CERTIFICATE: [needs(of)] }])
        }
    }
}

fn parameters(spoken: &Spoken) -> Value {
    let route = &spoken.route;
    let of_path = route.path.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        Some(json!({
            "name": name,
            "in": "path",
            "required": true,
            "schema": { "type": "string" },
        }))
    });
    let of_query = spoken.query.iter().map(query_parameter);
    let based_on: &[(&str, &str)] = match *route {
        routes::PLACEMENT_PUT | routes::ACTIVITY_PUT | routes::ORCHESTRATION_PUT => {
            &[IF_MATCH, IF_NONE_MATCH]
        }
        routes::PLACEMENT_DELETE => &[IF_MATCH],
        _ => &[],
    };
    let based_on = based_on.iter().map(|(name, about)| {
        json!({ "name": name, "in": "header", "schema": { "type": "string" }, "description": about })
    });
    let key = (route.method != Method::Get).then(|| {
        let reference = format!("#/components/parameters/{IDEMPOTENCY_KEY_HEADER}");
        json!({ "$ref": reference })
    });
    of_path.chain(of_query).chain(based_on).chain(key).collect()
}

const IF_MATCH: (&str, &str) = (
    "if-match",
    "The generation that the change is based on, as in \"3\"; * for whatever there is.",
);
const IF_NONE_MATCH: (&str, &str) = ("if-none-match", "*: there is to be none yet.");

fn query_parameter(word: &Word) -> Value {
    let schema = match word.shape {
        Shape::Text => json!({ "type": "string" }),
        Shape::Number => json!({ "type": "integer", "minimum": 0 }),
        Shape::Set => json!({ "type": "string", "enum": ["1"] }),
    };
    json!({
        "name": word.name,
        "in": "query",
        "required": word.is_needed,
        "schema": schema,
        "description": word.about,
    })
}

/// Of what is asked for, rather than done: there the same question is put anew each time, and the key is not looked at.
fn idempotency_key() -> Value {
    json!({
        "name": IDEMPOTENCY_KEY_HEADER,
        "in": "header",
        "schema": { "type": "string", "maxLength": 128 },
        "description": "With the same key the same change gets the first answer again, and is not made twice. What changes \
                        nothing (wait, plan, check, status) and chaos are asked anew each time.",
    })
}

fn answer(spoken: &Spoken, schemas: &mut Schemas) -> Value {
    let schema = schemas.answered(spoken.answer);
    let whole = |schema: Value| json!({ "schema": schema });
    let list = |schema: &Value| json!({ "type": "array", "items": schema });
    let (content, about) = match spoken.form {
        Form::One => (
            json!({ "application/json": whole(schema) }),
            "What was asked for.",
        ),
        Form::List => (
            json!({ "application/json": whole(list(&schema)) }),
            "All of them.",
        ),
        Form::Page => (
            json!({ "application/json": whole(list(&schema)) }),
            "A page of them.",
        ),
        Form::PageOrStream => (
            json!({ "application/json": whole(list(&schema)), "text/event-stream": stream(schema) }),
            "A page of them; or each as it comes.",
        ),
        Form::Stream => (
            json!({ "text/event-stream": stream(schema) }),
            "Each as it comes.",
        ),
        Form::Text => (
            json!({ "text/plain": whole(schema) }),
            "What was asked for, as text.",
        ),
        Form::Backup => (
            json!({ BACKUP_CONTENT: {} }),
            "The file. Its end says whether it is whole.",
        ),
        Form::Bytes => (
            json!({ "application/octet-stream": {} }),
            "The bytes as they were put.",
        ),
    };
    let mut headers = vec![REQUEST_ID_HEADER, DATA_AGE_HEADER];
    if matches!(spoken.form, Form::Page | Form::PageOrStream) {
        headers.push(NEXT_CURSOR_HEADER);
    }
    let with_generation = [
        routes::PLACEMENT,
        routes::ACTIVITY,
        routes::ORCHESTRATION,
        routes::SERVICE,
    ];
    if with_generation.contains(&spoken.route) {
        headers.push(ETAG);
    }
    json!({ "description": about, "content": content, "headers": referred(&headers) })
}

/// Server-sent events have no schema of their own in OpenAPI 3.1: the text is described, and what its data are.
fn stream(schema: Value) -> Value {
    json!({
        "schema": { "type": "string", "description": "Server-sent events." },
        "x-data": schema,
    })
}

fn refusal(schema: Value) -> Value {
    json!({
        "description": "Refused, or failed: what, why, and what to do about it.",
        "content": { "application/problem+json": { "schema": schema } },
        "headers": referred(&[REQUEST_ID_HEADER, DATA_AGE_HEADER]),
    })
}

const ETAG: &str = "etag";

fn headers() -> Value {
    let header = |about: &str| json!({ "description": about, "schema": { "type": "string" } });
    json!({
        REQUEST_ID_HEADER: header("The request's id; its own, where it came with one."),
        DATA_AGE_HEADER: header("How old what is said may be, in milliseconds."),
        NEXT_CURSOR_HEADER: header("What to ask for as cursor; absent on the last page."),
        ETAG: header("Its generation, as in \"3\": what a change is based on."),
    })
}

fn referred(headers: &[&str]) -> Value {
    let referred = headers.iter().map(|name| {
        let reference = format!("#/components/headers/{name}");
        ((*name).to_owned(), json!({ "$ref": reference }))
    });
    Value::Object(referred.collect())
}

/// In one order, however objects of JSON are kept: what is built with others may keep them as they came.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            let fields = fields.into_iter();
            Value::Object(fields.map(|(key, value)| (key, sorted(value))).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(sorted).collect()),
        whole @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => whole,
    }
}
