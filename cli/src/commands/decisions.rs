//! `decisions`: which rule did or declined what, for whom, and what it saw.

use mainstay_api::Exit;
use mainstay_api::client::DecisionFilter;
use mainstay_api::types::{Decision, Reason};

use crate::app::App;
use crate::arguments::DecisionsArguments;
use crate::outcome::Outcome;
use crate::table::{Cell, Table};

/// More than anybody reads at once; JSON has no other bound than the station's.
const SHOWN_MAX: usize = 100;

pub async fn run(app: &mut App<'_>, arguments: &DecisionsArguments) -> Outcome {
    let filter = DecisionFilter {
        reference: arguments.reference.as_ref().map(ToString::to_string),
        limit: (!app.console.style.json).then_some(SHOWN_MAX),
        ..DecisionFilter::default()
    };
    let decisions = app.client().await?.decisions(&filter).await?;
    let table = table(&decisions);
    app.console
        .list(&decisions, &table, "no decision is recorded")?;
    Ok(Exit::Ok)
}

pub fn table(decisions: &[Decision]) -> Table {
    let mut table = Table::new(&["TIME", "RULE", "SUBJECT", "DID", "DECLINED", "SAW"]);
    for decision in decisions {
        let saw: Vec<String> = decision
            .saw
            .iter()
            .map(|saw| match saw.text.is_empty() {
                true => saw.reference.clone(),
                false => format!("{} {}", saw.reference, saw.text),
            })
            .collect();
        table.row(vec![
            Cell::new(decision.time.to_string()),
            Cell::new(&decision.rule),
            Cell::new(&decision.subject),
            Cell::new(told(decision.did.as_ref())),
            Cell::new(told(decision.declined.as_ref())),
            Cell::new(saw.join("; ")),
        ]);
    }
    table
}

pub fn told(reason: Option<&Reason>) -> String {
    match reason {
        None => String::new(),
        Some(reason) if reason.text.is_empty() => reason.code.to_string(),
        Some(reason) => format!("{}: {}", reason.code, reason.text),
    }
}
