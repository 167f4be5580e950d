//! `wait`: until something is as wanted, also something that does not exist yet.

use mainstay_api::types::WaitRequest;
use mainstay_api::{Exit, Problem};

use crate::app::App;
use crate::arguments::WaitArguments;
use crate::commands::{change, get, why};
use crate::outcome::Outcome;

pub async fn run(app: &mut App<'_>, arguments: &WaitArguments) -> Outcome {
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
        "{reference} is {} after {} ms",
        arguments.goal, answer.waited_ms
    ));
    if app.console.style.json {
        app.console.json(&answer)?;
    } else if !answer.instances.is_empty() {
        let text = get::instance_table(&answer.instances).render(app.console.style.colour);
        app.console.data(&text)?;
    }
    Ok(Exit::Ok)
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
