//! `apply`, and `delete -f`: the plan is shown, carried out as one, and awaited.

mod settle;
mod stale;

use mainstay_api::types::{
    Act, ApplyRequest, ChangeRequest, Plan, PlanChange, PlanMode, SettingsRequest,
};
use mainstay_api::{Client, Exit, Problem};
use mainstay_protocol::code;

use crate::app::App;
use crate::arguments::ApplyArguments;
use crate::commands::{plan, wishes};
use crate::outcome::{Outcome, bug, usage};
use crate::program::named;

pub async fn run(app: &mut App<'_>, arguments: &ApplyArguments) -> Outcome {
    let (client, plan) = match &arguments.plan {
        Some(file) => {
            let kept = plan::kept(file)?;
            let client = app.client().await?;
            stale::refuse(&client, &kept).await?;
            (client, kept)
        }
        None => {
            let wishes = wishes::read(&mut app.console, &arguments.files)?;
            let client = app.client().await?;
            let mode = plan::mode(arguments.prune);
            let plan = wishes::plan(app, &client, &wishes, mode).await?;
            (client, plan)
        }
    };
    if arguments.dry_run {
        plan::show(app, &plan)?;
        return Ok(Exit::Ok);
    }
    // What a kept plan deletes was read by whoever kept it.
    let deletes = plan.count(Act::Delete);
    if deletes > 0 && arguments.plan.is_none() && !arguments.yes {
        plan::show(app, &plan)?;
        let why = format!("--prune would delete {deletes} that the files do not name");
        return Err(usage("apply", why).to_do("mainstay apply --prune --yes -f PATH"));
    }
    carry_out(app, &client, &plan, arguments.no_wait).await
}

/// `delete -f`.
pub async fn delete(app: &mut App<'_>, files: &[String], dry_run: bool, no_wait: bool) -> Outcome {
    let wishes = wishes::read(&mut app.console, files)?;
    let client = app.client().await?;
    let plan = wishes::plan(app, &client, &wishes, PlanMode::Delete).await?;
    if dry_run {
        plan::show(app, &plan)?;
        return Ok(Exit::Ok);
    }
    carry_out(app, &client, &plan, no_wait).await
}

async fn carry_out(app: &mut App<'_>, client: &Client, plan: &Plan, no_wait: bool) -> Outcome {
    for line in plan::in_words(plan).lines() {
        app.console.say(line);
    }
    let pending: Vec<&PlanChange> = plan.pending().collect();
    let mut revision = plan.revision;
    if !pending.is_empty() {
        let request = request(&pending)?;
        let accepted = client.apply(&request).await.map_err(refused)?;
        app.console.say("all of it is decided");
        revision = accepted.revision;
    }
    // What was so already is waited for like the rest, and told where it is not as wanted.
    let awaited: Vec<&PlanChange> = plan
        .changes
        .iter()
        .filter(|change| change.act != Act::Unchanged || plan.mode != PlanMode::Delete)
        .collect();
    let mut outcomes = settle::settle(app, client, &awaited, revision, no_wait).await;
    outcomes.retain(|came| came.act != Act::Unchanged || came.problem.is_some());
    settle::show(app, outcomes)
}

/// What the station is asked for: each change with the generation the plan saw.
pub fn request(pending: &[&PlanChange]) -> Result<ApplyRequest, Problem> {
    let mut request = ApplyRequest {
        changes: Vec::new(),
        settings: None,
    };
    for change in pending {
        let generation = Some(change.based_on);
        match (&change.wish, change.act) {
            (_, Act::Delete) => request.changes.push(ChangeRequest::Delete {
                placement: settle::name(change).to_owned(),
                generation,
            }),
            (Some(wish), _) if wish.kind == "Settings" => {
                request.settings = Some(SettingsRequest {
                    settings: wish.spec.clone(),
                    based_on: generation,
                });
            }
            (Some(wish), _) => {
                let placement = mainstay_api::plan::placement_spec(&wish.spec)
                    .map_err(|why| bug("apply the plan", why))?;
                request.changes.push(ChangeRequest::Put {
                    placement: Box::new(placement),
                    generation,
                });
            }
            (None, Act::Create | Act::Change | Act::Unchanged) => {
                let why = format!("the plan does not say what {} shall be", change.reference);
                return Err(usage("apply the plan", why).to_do("mainstay plan --help"));
            }
        }
    }
    Ok(request)
}

fn refused(problem: Problem) -> Problem {
    let mut problem = named(problem, "apply");
    if [code::TIMEOUT, code::NO_SERVER, code::ANSWER_LOST].contains(&problem.code) {
        problem
            .why
            .push_str("; all of it may have been done all the same, or nothing");
        return problem.to_do("mainstay plan -f PATH");
    }
    problem.why.push_str("; nothing was changed");
    match problem.exit {
        Exit::Conflict => problem.to_do("mainstay plan -f PATH"),
        _ => problem,
    }
}
