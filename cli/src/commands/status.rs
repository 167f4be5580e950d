//! `status`: the cluster at a glance; what is wrong, by its root; what is being done about it.

use mainstay_api::Exit;
use mainstay_api::types::{Status, Verdict, Work};

use crate::app::App;
use crate::arguments::StatusArguments;
use crate::outcome::Outcome;
use crate::table::{Cell, Table, Tone};
use crate::text::{age, age_of};

pub async fn run(app: &mut App<'_>, arguments: &StatusArguments) -> Outcome {
    let status = app.client().await?.status().await?;
    if app.console.style.json {
        app.console.json(&status)?;
    } else {
        let text = text(&status, app.console.style.colour);
        app.console.data(&text)?;
    }
    Ok(match (arguments.exit_code, status.verdict) {
        (true, Verdict::Degraded | Verdict::Down | Verdict::Unknown) => Exit::NotHealthy,
        (true, Verdict::Healthy) | (false, _) => Exit::Ok,
    })
}

fn text(status: &Status, colour: bool) -> String {
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
    if !status.problems.is_empty() {
        let mut table = Table::new(&["PROBLEM", "FOR", "CODE", "REASON", "ROOT", "EXPLAINED BY"]);
        for problem in &status.problems {
            let reason = problem.reason.as_ref();
            table.row(vec![
                Cell::new(&problem.reference),
                Cell::new(age_of(problem.since)),
                Cell::new(reason.map_or("", |reason| reason.code.as_str())),
                Cell::new(reason.map_or("", |reason| reason.text.as_str())),
                Cell::new(&problem.root),
                Cell::new(&problem.why),
            ]);
        }
        out.push('\n');
        out.push_str(&table.render(colour));
    }
    work(&mut out, "WORKING ON", &status.working_on, colour);
    work(&mut out, "SCHEDULED", &status.scheduled, colour);
    out
}

fn work(out: &mut String, heading: &'static str, works: &[Work], colour: bool) {
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
    out.push_str(&table.render(colour));
}
