//! `status`: the cluster at a glance; what is wrong, by its root; what is being done about it.

use mainstay_api::types::{OnPurpose, Status, Verdict, Work};
use mainstay_api::{Exit, Problem};

use crate::app::App;
use crate::arguments::StatusArguments;
use crate::commands::watch;
use crate::console::Style;
use crate::outcome::Outcome;
use crate::shown::Shown;
use crate::table::{Cell, Look, Table, Tone};
use crate::text::{age, age_of, one_line};

pub async fn run(app: &mut App<'_>, arguments: &StatusArguments) -> Outcome {
    let client = app.client().await?;
    let style = app.console.style;
    if arguments.watching.watch {
        return watch::run(app, &client, "status", async || {
            shown(style, &client.status().await?)
        })
        .await;
    }
    let status = client.status().await?;
    let shown = shown(style, &status)?;
    app.console.shown(&shown)?;
    Ok(match (arguments.exit_code, status.verdict) {
        (true, Verdict::Degraded | Verdict::Down | Verdict::Unknown) => Exit::NotHealthy,
        (true, Verdict::Healthy) | (false, _) => Exit::Ok,
    })
}

fn shown(style: Style, status: &Status) -> Result<Shown, Problem> {
    let problems = status.problems.iter();
    let references: Vec<String> = problems.map(|one| one.reference.clone()).collect();
    let subject = ("cluster".to_owned(), in_short(status));
    Shown::one(style, status, &references, subject, |look| {
        text(status, look)
    })
}

/// On one line: the verdict, and who is in trouble.
fn in_short(status: &Status) -> String {
    let problems = status.problems.iter().map(|one| {
        let code = one
            .reason
            .as_ref()
            .map_or("-", |reason| reason.code.as_str());
        format!("{} {code}", one.reference)
    });
    let works = status.working_on.iter().chain(&status.scheduled);
    let works = works.map(|work| format!("{} {}", work.reference, work.action));
    let said: Vec<String> = problems.chain(works).collect();
    let quorum = if status.quorum { "" } else { "no quorum  " };
    format!(
        "{}  {quorum}nodes {}/{}  instances {}/{} ok  {}",
        status.verdict.as_str(),
        status.nodes.ok,
        status.nodes.total,
        status.instances.ok,
        status.instances.total,
        one_line(&said.join(", ")),
    )
}

fn text(status: &Status, look: Look) -> String {
    let colour = look.colour;
    let verdict = status.verdict.as_str();
    let leader = match (&status.leader, status.term) {
        (Some(leader), Some(term)) => format!("leader {leader} (term {term})"),
        (Some(leader), None) => format!("leader {leader}"),
        (None, _) => "no leader".to_owned(),
    };
    let quorum = if status.quorum { "" } else { ", no quorum" };
    let mut out = format!(
        "{}  nodes {}/{}  instances {}/{} ok  {leader}{quorum}  data {} old\n",
        Tone::of(verdict).paint(verdict, colour),
        status.nodes.ok,
        status.nodes.total,
        status.instances.ok,
        status.instances.total,
        age(std::time::Duration::from_millis(status.data_age_ms)),
    );
    if !status.quorum {
        out.push_str(&format!(
            "\nno station leads: nothing is decided or changed until one does; this is as it was {} ago\n",
            age(std::time::Duration::from_millis(status.data_age_ms))
        ));
    }
    if !status.problems.is_empty() {
        let mut table = Table::new(&[
            "PROBLEM",
            "FOR",
            "SINCE",
            "CODE",
            "REASON",
            "ROOT",
            "EXPLAINED BY",
        ])
        .wide_only(&["SINCE"]);
        for problem in &status.problems {
            let reason = problem.reason.as_ref();
            table.row(vec![
                Cell::new(&problem.reference),
                Cell::new(age_of(problem.since)),
                Cell::new(problem.since.to_string()),
                Cell::new(reason.map_or("", |reason| reason.code.as_str())),
                Cell::new(reason.map_or("", |reason| reason.text.as_str())),
                Cell::new(&problem.root),
                Cell::new(&problem.why),
            ]);
        }
        out.push('\n');
        out.push_str(&table.render(look));
    }
    work(&mut out, "WORKING ON", &status.working_on, look);
    work(&mut out, "SCHEDULED", &status.scheduled, look);
    let broken = status.broken.as_deref().unwrap_or_default();
    on_purpose(&mut out, "BROKEN ON PURPOSE", broken, look);
    on_purpose(&mut out, "SET ASIDE", &status.set_aside, look);
    if !status.rules_off.is_empty() {
        let rules = one_line(&status.rules_off.join(", "));
        out.push_str(&format!(
            "\nrules switched off: {rules}; see mainstay rule list\n"
        ));
    }
    out
}

fn on_purpose(out: &mut String, heading: &'static str, all: &[OnPurpose], look: Look) {
    if all.is_empty() {
        return;
    }
    let mut table = Table::new(&[heading, "HOW", "UNDONE BY"]);
    for one in all {
        table.row(vec![
            Cell::new(&one.reference),
            Cell::new(&one.how),
            Cell::new(&one.undo),
        ]);
    }
    out.push('\n');
    out.push_str(&table.render(look));
}

fn work(out: &mut String, heading: &'static str, works: &[Work], look: Look) {
    if works.is_empty() {
        return;
    }
    let mut table = Table::new(&[heading, "ACTION", "AT", "RULE"]);
    for work in works {
        table.row(vec![
            Cell::new(&work.reference),
            Cell::new(&work.action),
            Cell::new(work.at.map(age_of).unwrap_or_default()),
            Cell::new(work.rule.as_deref().unwrap_or_default()),
        ]);
    }
    out.push('\n');
    out.push_str(&table.render(look));
}
