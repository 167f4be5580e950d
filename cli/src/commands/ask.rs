//! `check`, `ask-status` and `call`: questions to instances, answered by them, changing nothing.

use mainstay_api::types::{CheckAnswer, Health, StatusAnswer};
use mainstay_api::{Client, Exit, Problem};
use mainstay_protocol::InstanceKey;
use mainstay_protocol::code;
use mainstay_resource_graph::Key;
use serde::Serialize;
use serde_json::Value;

use crate::app::App;
use crate::arguments::{CallArguments, CheckArguments};
use crate::commands::{change, several};
use crate::outcome::{Outcome, four_lines, worst};
use crate::table::{Cell, Table};
use crate::text::{printable, span};

pub async fn check(app: &mut App<'_>, arguments: &CheckArguments) -> Outcome {
    let client = app.client().await?;
    if let Key::Supervisor(node) = &arguments.reference {
        let answer = client.supervisor_check(node.as_str()).await?;
        return show_checks(app, true, vec![Ok((answer, Exit::Ok))]);
    }
    if let Key::Station(station) = &arguments.reference {
        let answer = client.station_check(&station.to_string()).await?;
        return show_checks(app, true, vec![Ok((answer, Exit::Ok))]);
    }
    let keys = several::instances(&client, &arguments.reference).await?;
    let answers = several::each(keys, |key| {
        let client = client.clone();
        async move { checked(&client, &key).await }
    })
    .await;
    let one = matches!(arguments.reference, Key::Instance(_));
    let without = |reference, why| CheckAnswer {
        reference,
        health: Health::Unknown,
        detail: Some(why),
        took_ms: 0,
    };
    show_checks(app, one, completed(one, answers, without))
}

/// Of several, one that cannot answer has its line as well: what is in its way is what there is to say.
fn completed<T>(
    one: bool,
    answers: Vec<(InstanceKey, Result<T, Problem>)>,
    without: impl Fn(String, String) -> T,
) -> Vec<Result<(T, Exit), Problem>> {
    answers
        .into_iter()
        .map(|(key, answer)| match answer {
            Ok(answer) => Ok((answer, Exit::Ok)),
            Err(problem) if one || !concerns_the_target(problem.exit) => Err(problem),
            Err(problem) => Ok((without(key.to_string(), problem.why), problem.exit)),
        })
        .collect()
}

/// A station that is not there or does not understand is no answer about anybody.
fn concerns_the_target(exit: Exit) -> bool {
    matches!(
        exit,
        Exit::TargetFailed | Exit::TimedOut | Exit::NotFound | Exit::Conflict
    )
}

/// A Check that missed its deadline is an answer as well: the instance is unresponsive.
async fn checked(client: &Client, key: &InstanceKey) -> Result<CheckAnswer, Problem> {
    match client
        .check(key.node.as_str(), key.placement.as_str())
        .await
    {
        Err(problem) if problem.code == code::UNRESPONSIVE => Ok(CheckAnswer {
            reference: key.to_string(),
            health: Health::Unresponsive,
            detail: Some(problem.why),
            took_ms: u64::try_from(client.timeout().as_millis()).unwrap_or(u64::MAX),
        }),
        answer => answer,
    }
}

fn show_checks(
    app: &mut App<'_>,
    one: bool,
    answers: Vec<Result<(CheckAnswer, Exit), Problem>>,
) -> Outcome {
    let mut table = Table::new(&["REF", "HEALTH", "DETAIL", "TOOK"]);
    let row = |answer: &CheckAnswer| {
        vec![
            Cell::new(&answer.reference),
            Cell::state(answer.health.as_str()),
            Cell::new(answer.detail.as_deref().unwrap_or_default()),
            Cell::new(format!("{} ms", answer.took_ms)),
        ]
    };
    let outcome = |answer: &CheckAnswer| match answer.health {
        Health::Ok | Health::Degraded => Exit::Ok,
        Health::Failed | Health::Unresponsive | Health::Unknown => Exit::TargetFailed,
    };
    let reference = |answer: &CheckAnswer| answer.reference.clone();
    show(app, one, answers, &mut table, reference, row, outcome)
}

pub async fn status(app: &mut App<'_>, arguments: &CheckArguments) -> Outcome {
    let client = app.client().await?;
    let one = !matches!(arguments.reference, Key::Placement(_));
    let answers = match &arguments.reference {
        Key::Supervisor(node) => {
            let answer = client.supervisor_status(node.as_str()).await;
            vec![answer.map(|answer| (answer, Exit::Ok))]
        }
        Key::Station(station) => {
            let answer = client.station_status(&station.to_string()).await;
            vec![answer.map(|answer| (answer, Exit::Ok))]
        }
        reference => {
            let keys = several::instances(&client, reference).await?;
            let answers = several::each(keys, |key| {
                let client = client.clone();
                async move {
                    client
                        .ask_status(key.node.as_str(), key.placement.as_str())
                        .await
                }
            })
            .await;
            completed(one, answers, |reference, why| StatusAnswer {
                reference,
                text: format!("none: {why}"),
            })
        }
    };
    let mut table = Table::new(&["REF", "STATUS"]);
    let row = |answer: &StatusAnswer| vec![Cell::new(&answer.reference), Cell::new(&answer.text)];
    let reference = |answer: &StatusAnswer| answer.reference.clone();
    show(app, one, answers, &mut table, reference, row, |_| Exit::Ok)
}

/// Answers as a table or as JSON (an object for one target, else an array); then the problems of those without one.
fn show<T: Serialize>(
    app: &mut App<'_>,
    one: bool,
    answers: Vec<Result<(T, Exit), Problem>>,
    table: &mut Table,
    reference: fn(&T) -> String,
    row: impl Fn(&T) -> Vec<Cell>,
    outcome: impl Fn(&T) -> Exit,
) -> Outcome {
    let mut exit = Exit::Ok;
    let mut good = Vec::new();
    let mut problems: Vec<Problem> = Vec::new();
    for answer in answers {
        match answer {
            Ok((answer, of_it)) => {
                exit = worst(exit, worst(of_it, outcome(&answer)));
                table.row(row(&answer));
                good.push(answer);
            }
            // The same cause is told once.
            Err(problem) if problems.iter().any(|told| told.why == problem.why) => {}
            Err(problem) => problems.push(problem),
        }
    }
    if one && let (Some(problem), true) = (problems.first(), good.is_empty()) {
        return Err(problem.clone());
    }
    match good.first() {
        Some(answer) if one => app
            .console
            .answer(answer, &[reference(answer)], |look| table.render(look))?,
        _ => app.console.list(
            &good,
            reference,
            table,
            "nothing to ask: there is no instance",
        )?,
    }
    for problem in problems {
        exit = worst(exit, problem.exit);
        app.console.complain(&four_lines(&problem));
    }
    Ok(exit)
}

pub async fn call(app: &mut App<'_>, arguments: CallArguments) -> Outcome {
    let client = app.client().await?;
    let InstanceKey { node, placement } = &arguments.reference;
    let body = arguments.body.unwrap_or(Value::Null);
    let answer = client
        .call(node.as_str(), placement.as_str(), &arguments.message, &body)
        .await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(problem) => {
            let mut problem = late(&client, &arguments.reference, problem);
            problem.what = format!("call {} {}", arguments.reference, arguments.message);
            return Err(advised(&client, &arguments.reference, problem).await);
        }
    };
    if app.console.style.is_text() && answer.answer.is_null() {
        app.console
            .say(&format!("{} took {}", answer.reference, answer.message));
        return Ok(Exit::Ok);
    }
    let references = [answer.reference.clone()];
    app.console
        .answer(&answer, &references, |_| match &answer.answer {
            Value::String(text) => format!("{}\n", printable(text)),
            value => format!("{value:#}\n"),
        })?;
    Ok(Exit::Ok)
}

/// A station that lives waited for the instance: it is the instance that was late.
fn late(client: &Client, key: &InstanceKey, mut problem: Problem) -> Problem {
    if problem.code == code::TIMEOUT && problem.is_of_route {
        problem.why = format!(
            "{key} did not answer within {}; what was asked may be done all the same",
            span(client.timeout())
        );
    }
    problem
}

/// Of a message that its type does not know or cannot read, the type says more; of one that failed, `why` does.
async fn advised(client: &Client, key: &InstanceKey, problem: Problem) -> Problem {
    if problem.code != code::UNKNOWN_MESSAGE && problem.code != code::BAD_REQUEST {
        return change::pointed(problem, &key.to_string());
    }
    match client
        .instance(key.node.as_str(), key.placement.as_str())
        .await
    {
        Ok(instance) => problem.to_do(format!("mainstay describe type/{}", instance.service_type)),
        Err(_) => problem,
    }
}
