//! `delete`: a placement's instances end, then it is gone; whatever depends on it goes first.

use std::time::Instant;

use mainstay_api::types::{Accepted, Until, WaitRequest};
use mainstay_api::{Client, Exit, Problem};
use mainstay_protocol::code;

use crate::app::App;
use crate::arguments::DeleteArguments;
use crate::commands::apply;
use crate::commands::change::{pointed, unanswered};
use crate::outcome::Outcome;

/// Between the end of the last instance and the removal lies one step of the coordinator.
const LOOK: std::time::Duration = std::time::Duration::from_millis(20);

pub async fn run(app: &mut App<'_>, arguments: &DeleteArguments) -> Outcome {
    let Some(placement) = &arguments.placement else {
        let (files, dry_run) = (&arguments.files, arguments.dry_run);
        return apply::delete(app, files, dry_run, arguments.no_wait).await;
    };
    let name = placement.as_str();
    let client = app.client().await?;
    let accepted = client
        .delete_placement(name, None)
        .await
        .map_err(|problem| unanswered(problem, &format!("delete {name}"), name))?;
    app.console.say(&accepted.text);
    if !arguments.no_wait {
        gone(app, &client, name, &accepted).await?;
        app.console.say(&format!("{name} is gone"));
    }
    if !app.console.style.is_text() {
        let reference = format!("placement/{name}");
        app.console
            .answer(&accepted, &[reference], |_| String::new())?;
    }
    Ok(Exit::Ok)
}

/// Its instances have ended, and it is not in the graph any more.
pub async fn gone(
    app: &mut App<'_>,
    client: &Client,
    name: &str,
    accepted: &Accepted,
) -> Result<(), Problem> {
    let timeout = app.wait_timeout();
    let started = Instant::now();
    let request = WaitRequest {
        reference: name.to_owned(),
        until: Until::Gone,
        timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        unless_blocked: false,
        after_revision: accepted.revision,
    };
    client
        .wait(&request)
        .await
        .map_err(|problem| pointed(problem, name))?;
    loop {
        match client.placement(name).await {
            Err(problem) if problem.code == code::NOT_FOUND => return Ok(()),
            Err(problem) => return Err(problem),
            Ok(_) if started.elapsed() >= timeout => {
                let why = format!("after {} s it is still there", timeout.as_secs());
                return Err(Problem::new(code::TIMEOUT, format!("delete {name}"), why)
                    .to_do(format!("mainstay why {name}")));
            }
            Ok(_) => tokio::time::sleep(LOOK).await,
        }
    }
}
