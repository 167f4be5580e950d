//! `orchestration` and `activity`: definitions, applied from files, shown, deleted.

use mainstay_api::types::{Accepted, Activity, Exact, Orchestration};
use mainstay_api::{Client, Exit, Problem};

use super::wishes;
use crate::app::App;
use crate::arguments::{DefinitionApplyArguments, DefinitionCommand};
use crate::files::{self, Definition, Fault};
use crate::outcome::Outcome;
use crate::table::{Cell, Table};
use crate::text::{age_of, laid_out, one_line};

/// What is applied from files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    Orchestration,
    Activity,
    Service,
}

impl Applied {
    fn kind(self) -> &'static str {
        match self {
            Self::Orchestration => "orchestration",
            Self::Activity => "activity",
            Self::Service => "service",
        }
    }

    /// The member that says what it is called by.
    fn called_by(self) -> &'static str {
        match self {
            Self::Orchestration | Self::Activity => "type",
            Self::Service => "id",
        }
    }

    async fn put(self, client: &Client, one: &Definition) -> Result<Accepted, Problem> {
        match self {
            Self::Orchestration => client.put_orchestration(&one.name, &one.exact).await,
            Self::Activity => client.put_activity(&one.name, &one.exact).await,
            Self::Service => client.put_service(&one.name, &one.exact).await,
        }
    }
}

/// What runs are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Orchestrations,
    Activities,
}

impl What {
    fn one(self) -> Applied {
        match self {
            Self::Orchestrations => Applied::Orchestration,
            Self::Activities => Applied::Activity,
        }
    }

    fn kind(self) -> &'static str {
        self.one().kind()
    }

    async fn delete(self, client: &Client, name: &str) -> Result<Accepted, Problem> {
        match self {
            Self::Orchestrations => client.delete_orchestration(name).await,
            Self::Activities => client.delete_activity(name).await,
        }
    }
}

pub async fn orchestrations(app: &mut App<'_>, command: DefinitionCommand) -> Outcome {
    run(app, What::Orchestrations, command).await
}

pub async fn activities(app: &mut App<'_>, command: DefinitionCommand) -> Outcome {
    run(app, What::Activities, command).await
}

async fn run(app: &mut App<'_>, what: What, command: DefinitionCommand) -> Outcome {
    match command {
        DefinitionCommand::Apply(arguments) => apply(app, what.one(), &arguments).await,
        DefinitionCommand::List => list(app, what).await,
        DefinitionCommand::Show(one) => show(app, what, one.name.as_str()).await,
        DefinitionCommand::Delete(one) => {
            let client = app.client().await?;
            let accepted = what.delete(&client, one.name.as_str()).await?;
            let references = [format!("{}/{}", what.kind(), one.name)];
            app.console.done(&accepted, &references, &accepted.text)?;
            Ok(Exit::Ok)
        }
    }
}

/// One after the other, in the order of the files: what went before stays where one is refused.
pub async fn apply(
    app: &mut App<'_>,
    what: Applied,
    arguments: &DefinitionApplyArguments,
) -> Outcome {
    let read = files::sources(&arguments.files, &mut std::io::stdin().lock())
        .map_err(|faults| (faults, 0))
        .and_then(|sources| files::definitions(&sources, what.called_by()));
    let definitions =
        read.map_err(|(faults, more)| wishes::told(&mut app.console, &faults, more))?;
    let client = app.client().await?;
    for one in &definitions {
        match what.put(&client, one).await {
            Ok(accepted) => {
                let references = [format!("{}/{}", what.kind(), one.name)];
                app.console.done(&accepted, &references, &accepted.text)?;
            }
            Err(problem) => return Err(placed(app, one, problem)),
        }
    }
    Ok(Exit::Ok)
}

/// What the station found wrong, at its place in the file.
fn placed(app: &mut App<'_>, one: &Definition, problem: Problem) -> Problem {
    if problem.faults.is_empty() {
        return problem;
    }
    let faults: Vec<Fault> = problem
        .faults
        .iter()
        .map(|fault| one.fault(fault))
        .collect();
    let told = wishes::told(&mut app.console, &faults, 0);
    Problem {
        why: told.why,
        ..problem
    }
}

async fn list(app: &mut App<'_>, what: What) -> Outcome {
    let client = app.client().await?;
    match what {
        What::Orchestrations => {
            let all = client.orchestrations().await?;
            let reference = |one: &Orchestration| format!("orchestration/{}", one.name);
            app.console.list(
                &all,
                reference,
                &orchestration_table(&all),
                "there is no orchestration",
            )?;
        }
        What::Activities => {
            let all = client.activities().await?;
            let reference = |one: &Activity| format!("activity/{}", one.name);
            app.console.list(
                &all,
                reference,
                &activity_table(&all),
                "there is no type of activity",
            )?;
        }
    }
    Ok(Exit::Ok)
}

fn orchestration_table(all: &[Orchestration]) -> Table {
    let headings = [
        "TYPE",
        "ACTIVE",
        "GENERATION",
        "ACTIVITIES",
        "SECTIONS",
        "BY",
        "SINCE",
        "DESCRIPTION",
    ];
    let mut table = Table::new(&headings).wide_only(&["BY", "DESCRIPTION"]);
    for one in all {
        table.row(vec![
            Cell::new(&one.name),
            Cell::new(if one.active { "yes" } else { "no" }),
            Cell::new(one.generation.to_string()),
            Cell::new(one.activities.to_string()),
            Cell::new(one.sections.join(", ")),
            Cell::new(&one.by),
            Cell::new(age_of(one.since)),
            Cell::new(one_line(one.description.as_deref().unwrap_or_default())),
        ]);
    }
    table
}

fn activity_table(all: &[Activity]) -> Table {
    let headings = [
        "TYPE",
        "PROVIDER",
        "SERVED BY",
        "USED BY",
        "GENERATION",
        "BY",
        "SINCE",
        "DESCRIPTION",
    ];
    let mut table = Table::new(&headings).wide_only(&["GENERATION", "BY", "DESCRIPTION"]);
    for one in all {
        let served = match one.served_by.is_empty() {
            true => "nobody".to_owned(),
            false => one.served_by.join(", "),
        };
        table.row(vec![
            Cell::new(&one.name),
            Cell::new(&one.provider),
            Cell::new(served),
            Cell::new(one.used_by.join(", ")),
            Cell::new(one.generation.to_string()),
            Cell::new(&one.by),
            Cell::new(age_of(one.since)),
            Cell::new(one_line(one.description.as_deref().unwrap_or_default())),
        ]);
    }
    table
}

async fn show(app: &mut App<'_>, what: What, name: &str) -> Outcome {
    let client = app.client().await?;
    let references = [format!("{}/{name}", what.kind())];
    match what {
        What::Orchestrations => {
            let one = client.orchestration(name).await?;
            app.console.answer(&one, &references, |look| {
                let table = orchestration_table(std::slice::from_ref(&one));
                shown(table.render(look), one.definition.as_ref())
            })?;
        }
        What::Activities => {
            let one = client.activity(name).await?;
            app.console.answer(&one, &references, |look| {
                let table = activity_table(std::slice::from_ref(&one));
                shown(table.render(look), one.definition.as_ref())
            })?;
        }
    }
    Ok(Exit::Ok)
}

/// The row, and the definition as it can be written into a file again.
fn shown(row: String, definition: Option<&Exact>) -> String {
    match definition {
        None => row,
        Some(Exact(json)) => format!("{row}\n{}\n", laid_out(json)),
    }
}
