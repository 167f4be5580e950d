//! `start`: makes a placement, or adds nodes to it, and waits for what comes of it.

use mainstay_api::types::{Accepted, On, StartRequest, Until};
use mainstay_api::{Client, Problem};
use mainstay_protocol::code;
use serde_json::{Map, Value};

use crate::app::App;
use crate::arguments::{ConfigPair, StartArguments};
use crate::commands::change::{Settling, settle, show, unanswered};
use crate::commands::reconfigure;
use crate::outcome::Outcome;

pub async fn run(app: &mut App<'_>, arguments: StartArguments) -> Outcome {
    let request = StartRequest {
        service_type: arguments.service_type.to_string(),
        name: arguments.name.as_ref().map(ToString::to_string),
        holds: arguments.holds.as_ref().map(ToString::to_string),
        on: match (arguments.all, arguments.count) {
            (true, _) => On::All,
            (false, Some(count)) => On::Count {
                count,
                spread: arguments.spread.clone(),
            },
            (false, None) => On::Nodes(arguments.on.iter().map(ToString::to_string).collect()),
        },
        config: configuration(&arguments.config)?,
    };
    let client = app.client().await?;
    let placement = arguments.placement();
    if arguments.safe_mode {
        return safe_mode(app, &client, &arguments).await;
    }
    let what = format!("start {placement}");
    reconfigure::valid(&client, &request.service_type, &request.config, &what).await?;
    let accepted = client
        .start(&request)
        .await
        .map_err(|problem| unanswered(problem, &format!("start {placement}"), placement))?;
    if !accepted.text.is_empty() {
        app.console.say(&accepted.text);
    }
    let settling = Settling {
        until: Until::Running,
        unless_blocked: true,
        wait: !arguments.no_wait,
        unchanged: true,
    };
    let mut targets: Vec<_> = accepted
        .instances
        .iter()
        .map(|reference| (reference.clone(), Ok(accepted.clone())))
        .collect();
    let wanted = arguments.count.map_or(0, |count| count as usize);
    if accepted.instances.len() < wanted {
        targets.push(those_without_a_node(placement, &accepted));
    }
    let mut rows = settle(app, &client, &settling, targets).await;
    // That they found one is no row of its own, nor that they did not where one that did is in trouble.
    let waiting = format!("placement/{placement}");
    let in_trouble = rows
        .iter()
        .any(|row| row.reference != waiting && row.problem.is_some());
    rows.retain(|row| row.reference != waiting || (row.problem.is_some() && !in_trouble));
    show(app, &client, rows).await
}

/// Of so many, some found no node: they are waited for like the others.
fn those_without_a_node(
    placement: &str,
    accepted: &Accepted,
) -> (String, Result<Accepted, Problem>) {
    let reference = format!("placement/{placement}");
    let awaited = Accepted {
        instances: vec![reference.clone()],
        ..accepted.clone()
    };
    (reference, Ok(awaited))
}

/// The placement is there already: what is wanted of its configuration is ignored, not made.
async fn safe_mode(app: &mut App<'_>, client: &Client, arguments: &StartArguments) -> Outcome {
    let mut targets = Vec::new();
    for node in &arguments.on {
        let reference = format!("{}@{node}", arguments.placement());
        let accepted = client
            .safe_start(node.as_str(), arguments.placement())
            .await;
        if let Ok(accepted) = &accepted {
            app.console.say(&accepted.text);
        }
        targets.push((reference, accepted));
    }
    let settling = Settling {
        until: Until::Running,
        unless_blocked: true,
        wait: !arguments.no_wait,
        unchanged: true,
    };
    let rows = settle(app, client, &settling, targets).await;
    show(app, client, rows).await
}

/// One object of all pairs. A key that is a value and an object at once is a contradiction, as is one given twice.
pub fn configuration(pairs: &[ConfigPair]) -> Result<Value, Problem> {
    let mut object = Map::new();
    for pair in pairs {
        insert(&mut object, &pair.path, pair.value.clone()).map_err(|why| {
            Problem::new(
                code::BAD_REQUEST,
                format!("read --config {}", pair.path.join(".")),
                why,
            )
            .to_do("mainstay start --help")
        })?;
    }
    Ok(Value::Object(object))
}

pub fn insert(
    object: &mut Map<String, Value>,
    path: &[String],
    value: Value,
) -> Result<(), String> {
    let (key, rest) = path
        .split_first()
        .expect("a pair's path has at least one part");
    if rest.is_empty() {
        return match object.insert(key.clone(), value) {
            None => Ok(()),
            Some(_) => Err(format!("\"{key}\" is given twice")),
        };
    }
    let below = object
        .entry(key.clone())
        .or_insert_with(|| Value::Object(Map::new()));
    match below {
        Value::Object(below) => insert(below, rest, value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(format!(
                "\"{key}\" is given as a value, and again as an object with \"{}\" in it",
                rest.join(".")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::arguments::config_pair;

    fn of(texts: &[&str]) -> Result<Value, Problem> {
        let pairs: Vec<ConfigPair> = texts
            .iter()
            .map(|text| config_pair(text).unwrap())
            .collect();
        configuration(&pairs)
    }

    #[test]
    fn dotted_keys_reach_into_objects() {
        assert_eq!(
            of(&["a.b=1", "a.c=x", "d=[true]"]).unwrap(),
            json!({"a": {"b": 1, "c": "x"}, "d": [true]})
        );
        assert_eq!(of(&[]).unwrap(), json!({}));
    }

    #[test]
    fn contradictions_are_refused() {
        for bad in [["a=1", "a.b=2"], ["a.b=2", "a=1"], ["a=1", "a=1"]] {
            let problem = of(&bad).unwrap_err();
            assert_eq!(problem.exit, mainstay_api::Exit::Usage, "{problem}");
        }
    }
}
