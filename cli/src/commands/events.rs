//! `events`: what happened, in order; followed over restarts of the station without loss or repetition.

use std::time::{Duration, Instant, SystemTime};

use mainstay_api::client::EventFilter;
use mainstay_api::types::Event;
use mainstay_api::{Client, Exit, Problem};
use mainstay_protocol::limits::PAGE_ROWS_MAX;

use crate::app::App;
use crate::arguments::{EventsArguments, Since};
use crate::commands::decisions;
use crate::outcome::{Outcome, usage};
use crate::table::{Cell, Table};
use crate::text::one_line;

/// Without `--since`: the newest so many.
const NEWEST: usize = 100;
/// Between two tries to reach a station that went away.
const RETRY: Duration = Duration::from_millis(200);

pub async fn run(app: &mut App<'_>, arguments: &EventsArguments) -> Outcome {
    let client = app.client().await?;
    let since = arguments.since.map(moment).transpose()?;
    if arguments.follow {
        return from_now(app, &client, since).await;
    }
    let mut events = match since {
        Some(since) => since_then(&client, since).await?,
        // One more tells whether there are more.
        None => newest(&client, NEWEST + 1).await?,
    };
    let more = since.is_none() && events.len() > NEWEST;
    if more {
        events.remove(0);
    }
    let references = decisions::each_once(events.iter().map(|event| event.subject.as_str()));
    match app.console.style.is_text() && events.is_empty() {
        true => app.console.say("nothing happened"),
        false => app
            .console
            .answer(&events, &references, |look| table(&events).render(look))?,
    }
    if more {
        app.console.say(&format!(
            "the newest {NEWEST}; --since shows more, as in --since 1h"
        ));
    }
    Ok(Exit::Ok)
}

/// What is to come; before it, only what `--since` asks for.
async fn from_now(app: &mut App<'_>, client: &Client, since: Option<SystemTime>) -> Outcome {
    let mut after = newest(client, 1).await?.last().map_or(0, |last| last.seq);
    if let Some(since) = since {
        for event in since_then(client, since).await? {
            after = after.max(event.seq);
            show(app, &event)?;
        }
    }
    app.console
        .say("waiting for what happens; Ctrl-C ends this");
    follow(app, client, after).await
}

fn moment(since: Since) -> Result<SystemTime, Problem> {
    since.moment(SystemTime::now()).ok_or_else(|| {
        usage("read events", "--since lies before the beginning of time")
            .to_do("mainstay events --since 10m")
    })
}

async fn newest(client: &Client, limit: usize) -> Result<Vec<Event>, Problem> {
    client
        .events(&EventFilter {
            limit: Some(limit),
            ..EventFilter::default()
        })
        .await
}

/// Mostly the newest page reaches back far enough; else everything is walked from the oldest on.
async fn since_then(client: &Client, since: SystemTime) -> Result<Vec<Event>, Problem> {
    let mut events = newest(client, PAGE_ROWS_MAX).await?;
    let reaches_back = events
        .first()
        .is_none_or(|oldest| oldest.time.system() < since);
    if !reaches_back && events.len() >= PAGE_ROWS_MAX {
        events = all(client, since).await?;
    }
    events.retain(|event| event.time.system() >= since);
    Ok(events)
}

async fn all(client: &Client, since: SystemTime) -> Result<Vec<Event>, Problem> {
    let mut events: Vec<Event> = Vec::new();
    let mut after = 0;
    loop {
        let filter = EventFilter {
            after: Some(after),
            limit: Some(PAGE_ROWS_MAX),
            ..EventFilter::default()
        };
        let page = client.events(&filter).await?;
        let Some(last) = page.last() else {
            return Ok(events);
        };
        after = last.seq;
        events.extend(
            page.into_iter()
                .filter(|event| event.time.system() >= since),
        );
    }
}

/// Until interrupted. A station that goes away is looked for again, for as long as `--timeout` says, else for ever.
async fn follow(app: &mut App<'_>, client: &Client, mut after: u64) -> Outcome {
    let mut lost: Option<Instant> = None;
    loop {
        match follow_once(app, client, &mut after, &mut lost).await {
            Ok(()) => {}
            Err(problem) if problem.is_retryable() => {
                let since = *lost.get_or_insert_with(|| {
                    app.console
                        .say("the station went away; going on when it is back");
                    Instant::now()
                });
                if app
                    .global
                    .timeout
                    .is_some_and(|timeout| since.elapsed() >= timeout)
                {
                    return Err(problem);
                }
            }
            Err(problem) => return Err(problem),
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn follow_once(
    app: &mut App<'_>,
    client: &Client,
    after: &mut u64,
    lost: &mut Option<Instant>,
) -> Result<(), Problem> {
    let filter = EventFilter {
        after: Some(*after),
        ..EventFilter::default()
    };
    let mut stream = client.follow(&filter).await?;
    if lost.take().is_some() {
        app.console.say("the station is back");
    }
    while let Some(event) = stream.next().await? {
        *after = event.seq;
        show(app, &event)?;
    }
    Ok(())
}

/// One event on one line.
fn show(app: &mut App<'_>, event: &Event) -> Result<(), Problem> {
    app.console.one_of_many(event, &event.subject, || {
        format!(
            "{}  {:<20}  {:<18}  {}",
            event.time,
            one_line(&event.subject),
            one_line(&event.kind),
            one_line(&format!("{} ({})", event.message, event.cause)),
        )
    })
}

pub fn table(events: &[Event]) -> Table {
    let mut table = Table::new(&["TIME", "SEQ", "SUBJECT", "TYPE", "CAUSE", "MESSAGE", "DATA"])
        .wide_only(&["DATA"]);
    for event in events {
        table.row(vec![
            Cell::new(event.time.to_string()),
            Cell::new(event.seq.to_string()),
            Cell::new(&event.subject),
            Cell::new(&event.kind),
            Cell::new(&event.cause),
            Cell::new(&event.message),
            Cell::new(event.data.to_string()),
        ]);
    }
    table
}
