//! Answers that are not as the document says.

use serde_json::{Value, json};

use super::http::Answer;

/// Every answer that differs from this one by what must not be.
pub fn spoiled(answer: &Answer) -> Vec<(String, Answer)> {
    let whole = answer.json();
    let with = |value: &Value| Answer {
        body: value.to_string().into_bytes(),
        ..answer.clone()
    };
    let keys: Vec<String> = whole
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect();
    let mut spoiled = Vec::new();
    for key in keys {
        let mut without = whole.clone();
        without.as_object_mut().expect("an object").remove(&key);
        spoiled.push((format!("without {key}"), with(&without)));
        let mut other = whole.clone();
        other[&key] = json!(1.5);
        spoiled.push((format!("{key} is 1.5"), with(&other)));
    }
    let mut more = whole;
    more["surprise"] = Value::Null;
    spoiled.push(("one key more".to_owned(), with(&more)));
    for (header, value) in [("content-type", "text/html"), ("etag", "\"1\"")] {
        let mut other = answer.clone();
        other.headers.insert(header.to_owned(), value.to_owned());
        spoiled.push((format!("{header}: {value}"), other));
    }
    let mut other = answer.clone();
    other.headers.remove("x-request-id");
    spoiled.push(("without its request id".to_owned(), other));
    let status = if answer.status == 200 { 404 } else { 200 };
    let other = Answer {
        status,
        ..answer.clone()
    };
    spoiled.push((format!("as a {status}"), other));
    spoiled
}
