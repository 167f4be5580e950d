//! `chaos`: breaking things on purpose, in dev clusters or where somebody means it.

use mainstay_api::types::{ChaosAct, ChaosRequest};
use mainstay_api::{Exit, Problem};
use mainstay_protocol::code;
use mainstay_resource_graph::Key;

use crate::app::App;
use crate::arguments::{BreakArguments, ChaosArguments, ChaosCommand};
use crate::outcome::Outcome;

pub async fn run(app: &mut App<'_>, arguments: ChaosArguments) -> Outcome {
    let (act, word, target) = match arguments.command {
        ChaosCommand::Kill(target) => (ChaosAct::Kill, "kill", target),
        ChaosCommand::Panic(target) => (ChaosAct::Panic, "panic", target),
        ChaosCommand::Hang(target) => (ChaosAct::Hang, "hang", target),
        ChaosCommand::Stop(target) => (ChaosAct::Stop, "stop", target),
    };
    permitted(app, word, &target)?;
    let request = ChaosRequest {
        reference: target.reference.to_string(),
        act,
    };
    let done = app.client().await?.chaos(&request).await?;
    if app.console.style.json {
        app.console.json(&done)?;
    } else {
        app.console.say(&done.text);
        app.console
            .say(&format!("see: {}", look(&target.reference)));
    }
    Ok(Exit::Ok)
}

/// Where what comes of it is seen.
fn look(struck: &Key) -> String {
    match struck {
        Key::Instance(_) => format!("mainstay get instances {struck}"),
        other => format!("mainstay why {other}"),
    }
}

fn permitted(app: &App<'_>, word: &str, target: &BreakArguments) -> Result<(), Problem> {
    let context = app.context()?;
    if context.dev.is_some() || target.i_mean_it {
        return Ok(());
    }
    let what = format!("chaos {word} {}", target.reference);
    Err(Problem::new(
        code::REFUSED_BY_SAFETY,
        &what,
        format!("context {} is not a dev cluster", context.name),
    )
    .to_do(format!("mainstay {what} --i-mean-it")))
}
