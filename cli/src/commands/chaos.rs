//! `chaos`: breaking things on purpose, in dev clusters or where somebody means it.

use mainstay_api::types::{ChaosAct, ChaosRequest};
use mainstay_api::{Exit, Problem};
use mainstay_protocol::code;
use mainstay_resource_graph::Key;

use crate::app::App;
use crate::arguments::{BreakArguments, ChaosArguments, ChaosCommand};
use crate::outcome::{Outcome, usage};

pub async fn run(app: &mut App<'_>, arguments: ChaosArguments) -> Outcome {
    let (act, word, target) = match arguments.command {
        ChaosCommand::Kill(target) => (ChaosAct::Kill, "kill", target),
        ChaosCommand::Panic(target) => (ChaosAct::Panic, "panic", target),
        ChaosCommand::Hang(target) => (ChaosAct::Hang, "hang", target),
        ChaosCommand::Stop(target) => (ChaosAct::Stop, "stop", target),
    };
    possible(act, word, &target.reference)?;
    permitted(app, word, &target)?;
    let request = ChaosRequest {
        reference: target.reference.to_string(),
        act,
    };
    let done = app.client().await?.chaos(&request).await?;
    let references = [done.reference.clone()];
    app.console.done(&done, &references, &done.text)?;
    if app.console.style.is_text() {
        app.console
            .say(&format!("see: {}", look(&target.reference)));
    }
    Ok(Exit::Ok)
}

/// Not everything breaks in every way; what always works is said.
fn possible(act: ChaosAct, word: &str, struck: &Key) -> Result<(), Problem> {
    let can = match (struck, act) {
        (Key::Supervisor(_), ChaosAct::Hang | ChaosAct::Stop) => {
            "a supervisor can be killed or made to panic"
        }
        (Key::Station(_), ChaosAct::Panic | ChaosAct::Hang) => "a station can be killed or stopped",
        _ => return Ok(()),
    };
    Err(usage(format!("chaos {word} {struck}"), can).to_do(format!("mainstay chaos kill {struck}")))
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

#[cfg(test)]
mod tests {
    use mainstay_api::Exit;

    use super::*;

    #[test]
    fn what_cannot_be_broken_so_is_refused_with_a_way_that_works() {
        for (act, word, struck) in [
            (ChaosAct::Hang, "hang", "supervisor/n1"),
            (ChaosAct::Stop, "stop", "supervisor/n1"),
            (ChaosAct::Panic, "panic", "station/s1"),
        ] {
            let key: Key = struck.parse().unwrap();
            let problem = possible(act, word, &key).unwrap_err();
            assert_eq!(problem.exit, Exit::Usage, "{problem}");
            assert_eq!(problem.to_do, format!("mainstay chaos kill {struck}"));
            assert_eq!(possible(ChaosAct::Kill, "kill", &key), Ok(()));
        }
    }
}
