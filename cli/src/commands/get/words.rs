//! What instances use and ask, what rules are in the middle of, what collectors brought.

use mainstay_api::Problem;
use mainstay_api::types::{Asked as Question, Collected, Procedure, Resource};

use super::{Asked, Wanted};
use crate::shown::Shown;
use crate::table::{Cell, Table};
use crate::text::age_of;

pub(super) async fn look(asked: &Asked<'_>, kind: Wanted) -> Result<Shown, Problem> {
    let client = asked.client;
    match kind {
        Wanted::Asked => {
            let reference = |one: &Question| format!("asked/{}", one.id);
            let rows = client.asked().await?;
            asked.rows(rows, question_table, reference).await
        }
        Wanted::Procedures => {
            let reference = |one: &Procedure| format!("procedure/{}", one.id);
            let rows = client.procedures().await?;
            asked.rows(rows, procedure_table, reference).await
        }
        Wanted::Collected => {
            let reference = |one: &Collected| format!("collected/{}", one.id);
            let rows = client.collected().await?;
            asked.rows(rows, collected_table, reference).await
        }
        _ => {
            let reference = |one: &Resource| format!("resource/{}/{}", one.kind, one.name);
            let rows = client.resources().await?;
            asked.rows(rows, resource_table, reference).await
        }
    }
}

fn resource_table(rows: &[Resource]) -> Table {
    let mut table = Table::new(&["KIND", "NAME", "STATE", "FOR", "USED BY"]);
    for one in rows {
        table.row(vec![
            Cell::new(&one.kind),
            Cell::new(&one.name),
            Cell::state(&one.state),
            Cell::new(age_of(one.since)),
            Cell::new(one.used_by.join(",")),
        ]);
    }
    table
}

fn question_table(rows: &[Question]) -> Table {
    let mut table = Table::new(&["ID", "INSTANCE", "FAILURE", "FOR", "UNTIL", "BODY"]);
    for one in rows {
        table.row(vec![
            Cell::new(&one.id),
            Cell::new(&one.instance),
            Cell::new(&one.failure),
            Cell::new(age_of(one.since)),
            Cell::new(age_of(one.deadline)),
            Cell::new(one.body.to_string()),
        ]);
    }
    table
}

fn procedure_table(rows: &[Procedure]) -> Table {
    let mut table = Table::new(&[
        "ID", "RULE", "SUBJECT", "STATE", "STEPS", "FOR", "UNTIL", "TEXT",
    ]);
    for one in rows {
        table.row(vec![
            Cell::new(&one.id),
            Cell::new(&one.rule),
            Cell::new(&one.subject),
            Cell::state(&one.state),
            Cell::new(one.steps.to_string()),
            Cell::new(age_of(one.since)),
            Cell::new(one.deadline.map(age_of).unwrap_or_default()),
            Cell::new(&one.text),
        ]);
    }
    table
}

fn collected_table(rows: &[Collected]) -> Table {
    let mut table = Table::new(&["ID", "INSTANCE", "NAME", "FOR", "TAKEN BY", "BODY"]);
    for one in rows {
        table.row(vec![
            Cell::new(&one.id),
            Cell::new(&one.instance),
            Cell::new(&one.name),
            Cell::new(age_of(one.since)),
            Cell::new(one.taken_by.join(",")),
            Cell::new(one.body.to_string()),
        ]);
    }
    table
}
