//! `parked`: what was set aside because a rule or the recording of an event failed on it; look at it, judge it again, or throw it away.

use mainstay_api::Exit;
use mainstay_api::types::{Accepted, Parked};

use super::confirm;
use crate::app::App;
use crate::arguments::{ParkedArguments, ParkedCommand, ParkedDropArguments};
use crate::outcome::Outcome;
use crate::table::{Cell, Table};
use crate::text::{age_of, printable};

pub async fn run(app: &mut App<'_>, arguments: ParkedArguments) -> Outcome {
    match arguments.command {
        ParkedCommand::List => list(app).await,
        ParkedCommand::Show(one) => show(app, &one.id).await,
        ParkedCommand::Requeue(one) => {
            let accepted = app.client().await?.parked_requeue(&one.id).await?;
            accept(app, &accepted)
        }
        ParkedCommand::Drop(one) => drop_one(app, &one).await,
    }
}

async fn list(app: &mut App<'_>) -> Outcome {
    let parked = app.client().await?.parked().await?;
    let mut table =
        Table::new(&["ID", "RULE", "SUBJECT", "EVENT", "FOR", "CODE", "TEXT"]).wide_only(&["CODE"]);
    for one in &parked {
        table.row(vec![
            Cell::new(&one.id),
            Cell::new(one.rule.as_deref().unwrap_or_default()),
            Cell::new(one.subject.as_deref().unwrap_or_default()),
            Cell::new(one.event.as_deref().unwrap_or_default()),
            Cell::new(age_of(one.since)),
            Cell::new(&one.code),
            Cell::new(&one.text),
        ]);
    }
    app.console
        .list(&parked, reference, &table, "nothing is parked")?;
    Ok(Exit::Ok)
}

fn reference(parked: &Parked) -> String {
    format!("parked/{}", parked.id)
}

async fn show(app: &mut App<'_>, id: &str) -> Outcome {
    let parked = app.client().await?.parked_one(id).await?;
    app.console
        .answer(&parked, &[reference(&parked)], |_| text(&parked))?;
    Ok(Exit::Ok)
}

fn text(parked: &Parked) -> String {
    let what = match (&parked.rule, &parked.subject, &parked.event) {
        (Some(rule), Some(subject), _) => format!("rule {rule} on {subject}"),
        (Some(rule), None, _) => format!("rule {rule}"),
        (None, _, Some(event)) => format!("event {event}"),
        (None, _, None) => "-".to_owned(),
    };
    format!(
        "id:     {}\nwhat:   {what}\nsince:  {} ({})\nwhy:    {}\ntext:   {}\n",
        parked.id,
        parked.since,
        age_of(parked.since),
        parked.code,
        printable(&parked.text),
    )
}

async fn drop_one(app: &mut App<'_>, arguments: &ParkedDropArguments) -> Outcome {
    let client = app.client().await?;
    let question = format!("what is dropped does not come back; drop {}?", arguments.id);
    if !arguments.yes && !confirm::confirmed(app, &question) {
        app.console.say("nothing was dropped");
        return Ok(Exit::Ok);
    }
    let accepted = client.parked_drop(&arguments.id).await?;
    accept(app, &accepted)
}

fn accept(app: &mut App<'_>, accepted: &Accepted) -> Outcome {
    app.console
        .done(accepted, &accepted.instances, &accepted.text)?;
    Ok(Exit::Ok)
}
