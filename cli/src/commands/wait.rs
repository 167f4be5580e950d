//! `wait`: until something is as wanted, also something that does not exist yet.

use std::time::Duration;

use mainstay_api::types::{self, Until, WaitRequest};
use mainstay_api::{Exit, Problem};
use mainstay_resource_graph::{Key, Kind};

use crate::app::App;
use crate::arguments::WaitArguments;
use crate::commands::{change, get, why};
use crate::outcome::{Outcome, usage};
use crate::text::span;

pub async fn run(app: &mut App<'_>, arguments: &WaitArguments) -> Outcome {
    possible(&arguments.reference, &arguments.goal)?;
    let client = app.client().await?;
    let reference = arguments.reference.to_string();
    let request = WaitRequest {
        reference: reference.clone(),
        until: arguments.goal.clone(),
        timeout_ms: u64::try_from(app.wait_timeout().as_millis()).unwrap_or(u64::MAX),
        unless_blocked: false,
        after_revision: 0,
    };
    app.console
        .detail(&format!("waiting for {reference} to be {}", arguments.goal));
    let answer = match client.wait(&request).await {
        Ok(answer) => answer,
        Err(problem) => return Err(failed(app, &client, problem, &reference).await),
    };
    app.console.say(&format!(
        "{reference} is {} after {}",
        in_words(&arguments.goal),
        span(Duration::from_millis(answer.waited_ms))
    ));
    let mut references: Vec<String> = answer
        .instances
        .iter()
        .map(|instance| instance.reference.clone())
        .collect();
    if references.is_empty() {
        references.push(reference);
    }
    app.console.answer(&answer, &references, |look| {
        match answer.instances.is_empty() {
            true => String::new(),
            false => get::instance_table(&answer.instances).render(look),
        }
    })?;
    Ok(Exit::Ok)
}

/// What runs can be waited for to run; what has a state, to have one.
fn possible(reference: &Key, goal: &Until) -> Result<(), Problem> {
    let kind = reference.kind();
    let runs = matches!(kind, Kind::Instance | Kind::Placement);
    let has_state = !types::states_of(kind).is_empty();
    let can = match goal {
        Until::Running | Until::Healthy | Until::Gone | Until::Settled(_) => runs,
        Until::State(_) => has_state,
    };
    if can {
        return Ok(());
    }
    let why = if has_state {
        format!(
            "{} can be waited for with --for state=STATE",
            kind.with_article()
        )
    } else {
        format!(
            "{} does not run; instances and placements can be waited for, and nodes, stations and supervisors with \
             --for state=STATE",
            kind.with_article()
        )
    };
    Err(usage(
        format!("wait for {reference} to be {}", in_words(goal)),
        why,
    )
    .to_do("mainstay wait --help"))
}

fn in_words(goal: &Until) -> String {
    match goal {
        Until::State(state) => state.clone(),
        Until::Settled(_) => "settled".to_owned(),
        Until::Running | Until::Healthy | Until::Gone => goal.to_string(),
    }
}

async fn failed(
    app: &mut App<'_>,
    client: &mainstay_api::Client,
    problem: Problem,
    reference: &str,
) -> Problem {
    let explained = !matches!(problem.exit, Exit::TargetFailed | Exit::TimedOut)
        || why::talk(app, client, reference).await;
    if explained {
        change::pointed(problem, reference)
    } else {
        // It does not exist: nobody can say why.
        problem.to_do("mainstay status")
    }
}
