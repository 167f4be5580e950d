//! `station list`, `add`, `remove`, `lead`: who is in the group, and who leads it.

use mainstay_api::client::NOBODY_ANSWERS;
use mainstay_api::types::Accepted;
use mainstay_api::{Exit, Problem};
use mainstay_protocol::{StationId, code};

use super::{confirm, get, not_here, recover};
use crate::app::App;
use crate::arguments::{
    GetArguments, StationAddArguments, StationArguments, StationCommand, StationRemoveArguments,
    Table, WatchArguments,
};
use crate::outcome::Outcome;

pub async fn run(app: &mut App<'_>, arguments: StationArguments) -> Outcome {
    match arguments.command {
        StationCommand::Run(_) => Err(not_here()),
        StationCommand::List => {
            let stations = GetArguments {
                kind: Table::Stations,
                reference: None,
                watching: WatchArguments { watch: false },
            };
            get::run(app, &stations).await
        }
        StationCommand::Add(add) => add_one(app, &add).await,
        StationCommand::Remove(remove) => remove_one(app, &remove).await,
        StationCommand::Lead(one) => {
            let name = one.station.to_string();
            let answer = app.client().await?.lead_station(&name).await;
            accept(app, one.station, answer)
        }
        StationCommand::Recover(arguments) => recover::recover(app, &arguments),
        StationCommand::Repair(arguments) => recover::repair(app, &arguments),
    }
}

async fn add_one(app: &mut App<'_>, arguments: &StationAddArguments) -> Outcome {
    let client = app.client().await?;
    let name = arguments.station.to_string();
    app.console
        .detail(&format!("{name} is sent the state, then it votes"));
    let answer = client.add_station(&name, &arguments.at).await;
    accept(app, arguments.station, answer)
}

async fn remove_one(app: &mut App<'_>, arguments: &StationRemoveArguments) -> Outcome {
    let client = app.client().await?;
    let name = arguments.station.to_string();
    let question = format!("the number of a removed station is not used again; remove {name}?");
    if !arguments.yes && !confirm::confirmed(app, &question) {
        app.console.say("nothing was removed");
        return Ok(Exit::Ok);
    }
    let answer = client.remove_station(&name).await;
    accept(app, arguments.station, answer)
}

fn accept(app: &mut App<'_>, station: StationId, answer: Result<Accepted, Problem>) -> Outcome {
    let accepted = answer.map_err(unanswered)?;
    let references = [format!("station/{station}")];
    app.console.done(&accepted, &references, &accepted.text)?;
    Ok(Exit::Ok)
}

/// A change whose answer did not come may have been done.
fn unanswered(mut problem: Problem) -> Problem {
    let unknown = problem.is_of_route
        && [code::TIMEOUT, code::NO_SERVER, code::ANSWER_LOST].contains(&problem.code)
        && !problem.why.starts_with(NOBODY_ANSWERS);
    if unknown {
        problem.why.push_str("; it may have been done all the same");
        return problem.to_do("mainstay station list");
    }
    problem
}
