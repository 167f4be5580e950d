//! `doctor`: looks at this machine and at the cluster, and says what is wrong before it is felt.

use std::time::SystemTime;

use mainstay_api::{Exit, Problem};
use mainstay_protocol::{Address, code};

use crate::app::App;
use crate::arguments::DoctorArguments;
use crate::directories;
use crate::doctor::{self, Check, Facts, State, ask, gather};
use crate::outcome::{Outcome, usage};
use crate::table::{Cell, Table};

pub async fn run(app: &mut App<'_>, arguments: &DoctorArguments) -> Outcome {
    let checks = checks(app, arguments).await?;
    let mut table = Table::new(&["STATE", "CHECK", "OF", "WHAT", "DO"]);
    for check in &checks {
        table.row(vec![
            Cell::state(check.state.as_str()),
            Cell::new(check.check),
            Cell::new(check.subject.as_deref().unwrap_or_default()),
            Cell::new(&check.detail),
            Cell::new(check.to_do.as_deref().unwrap_or_default()),
        ]);
    }
    app.console
        .answer(&checks, &[], |look| table.render(look))?;
    let count = |state| checks.iter().filter(|check| check.state == state).count();
    app.console.say(&format!(
        "{} checks: {} ok, {} warn, {} fail",
        checks.len(),
        count(State::Ok),
        count(State::Warn),
        count(State::Fail)
    ));
    Ok(match doctor::worst(&checks) {
        State::Ok | State::Warn => Exit::Ok,
        State::Fail => Exit::NotHealthy,
    })
}

/// Also what a bundle has of it.
pub async fn checks(app: &App<'_>, arguments: &DoctorArguments) -> Result<Vec<Check>, Problem> {
    let context = app.context();
    if let Err(problem) = &context
        && app.global.context.is_some()
    {
        return Err(problem.clone());
    }
    for dir in &arguments.here.dir {
        placed(dir)?;
    }
    let known = directories::of_machine(context.as_ref().ok(), &arguments.here.dir);
    let person = context.as_ref().ok().and_then(|one| one.identity.clone());
    let listen = arguments.listen.as_ref();
    let listen = listen.filter(|address| !is_theirs(address, &known));
    let (kept, unreadable) = gather::kept(&known, person.as_deref());
    let facts = Facts {
        now: SystemTime::now(),
        build: env!("CARGO_PKG_VERSION").to_owned(),
        machine: gather::machine(),
        directories: gather::directories(&known, &arguments.here.dir),
        listens: gather::listens(&known, listen),
        kept,
        unreadable,
        cluster: ask::cluster(context, &known).await,
    };
    Ok(doctor::judge(&facts))
}

/// A station of this machine has it already, and it is looked at as that one's.
fn is_theirs(address: &Address, known: &[directories::DataDirectory]) -> bool {
    let theirs = known.iter().filter_map(|one| one.membership.as_ref());
    let mut theirs = theirs.filter_map(|one| one.listen.as_ref());
    theirs.any(|one| one == address)
}

/// A directory that could never be made is a mistake in the words, not of the machine.
pub fn placed(dir: &std::path::Path) -> Result<(), Problem> {
    let nearest = dir.ancestors().find(|path| path.exists());
    match nearest {
        Some(nearest) if !nearest.is_dir() => {
            let what = format!("look at {}", dir.display());
            let why = format!("{} is no directory", nearest.display());
            let mut problem = usage(what, why).to_do(format!("ls -ld {}", nearest.display()));
            problem.code = code::DATA_DIRECTORY;
            Err(problem)
        }
        Some(_) | None => Ok(()),
    }
}
