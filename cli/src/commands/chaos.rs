//! `chaos`: breaking things on purpose, in dev clusters or where somebody means it.

use std::time::Duration;

use mainstay_api::types::{ChaosAct, ChaosRequest};
use mainstay_api::{Exit, Problem};
use mainstay_protocol::code;
use mainstay_resource_graph::Key;

use crate::app::App;
use crate::arguments::{ChaosArguments, ChaosCommand};
use crate::outcome::{Outcome, usage};

pub async fn run(app: &mut App<'_>, arguments: ChaosArguments) -> Outcome {
    let (request, struck, meant) = asked(arguments.command);
    possible(request.act, &struck)?;
    permitted(app, &request, meant)?;
    let done = app.client().await?.chaos(&request).await?;
    let references = [done.reference.clone()];
    app.console.done(&done, &references, &done.text)?;
    if app.console.style.is_text() {
        app.console.say(&format!("see: {}", look(&struck)));
    }
    Ok(Exit::Ok)
}

/// What is asked for, of what, and whether somebody means it.
fn asked(command: ChaosCommand) -> (ChaosRequest, Key, bool) {
    let ms = |by: Duration| i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    let mut cut = false;
    let (act, struck, by_ms, meant) = match command {
        ChaosCommand::Kill(target) => (ChaosAct::Kill, target.reference, None, target.meant),
        ChaosCommand::Panic(target) => (ChaosAct::Panic, target.reference, None, target.meant),
        ChaosCommand::Hang(target) => (ChaosAct::Hang, target.reference, None, target.meant),
        ChaosCommand::Stop(target) => (ChaosAct::Stop, target.reference, None, target.meant),
        ChaosCommand::Partition {
            node,
            from_station,
            meant,
        } => {
            cut = from_station;
            (ChaosAct::Partition, Key::Node(node), None, meant)
        }
        ChaosCommand::Delay { node, by, meant } => {
            (ChaosAct::Delay, Key::Node(node), Some(ms(by)), meant)
        }
        ChaosCommand::SlowDisk { station, by, meant } => (
            ChaosAct::SlowDisk,
            Key::Station(station),
            Some(ms(by)),
            meant,
        ),
        ChaosCommand::Skew {
            station,
            by,
            back,
            meant,
        } => {
            let by_ms = if back { -ms(by) } else { ms(by) };
            (ChaosAct::Skew, Key::Station(station), Some(by_ms), meant)
        }
        ChaosCommand::Heal { what, meant } => (ChaosAct::Heal, what, None, meant),
    };
    let request = ChaosRequest {
        reference: struck.to_string(),
        act,
        by_ms,
        from_station: cut,
    };
    (request, struck, meant.i_mean_it)
}

/// Not everything breaks in every way; what always works is said.
fn possible(act: ChaosAct, struck: &Key) -> Result<(), Problem> {
    let word = act.as_str();
    let can = match (struck, act) {
        (Key::Supervisor(_), ChaosAct::Hang | ChaosAct::Stop) => {
            "a supervisor can be killed or made to panic"
        }
        (Key::Station(_), ChaosAct::Panic | ChaosAct::Hang) => {
            "a station can be killed or stopped, its disk be slow, its clock be wrong"
        }
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

fn permitted(app: &App<'_>, request: &ChaosRequest, meant: bool) -> Result<(), Problem> {
    let context = app.context()?;
    // Nobody need mean it that something is as it was.
    if context.dev.is_some() || meant || request.act == ChaosAct::Heal {
        return Ok(());
    }
    let what = format!("chaos {} {}", request.act.as_str(), request.reference);
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
        for (act, struck) in [
            (ChaosAct::Hang, "supervisor/n1"),
            (ChaosAct::Stop, "supervisor/n1"),
            (ChaosAct::Panic, "station/s1"),
        ] {
            let key: Key = struck.parse().unwrap();
            let problem = possible(act, &key).unwrap_err();
            assert_eq!(problem.exit, Exit::Usage, "{problem}");
            assert_eq!(problem.to_do, format!("mainstay chaos kill {struck}"));
            assert_eq!(possible(ChaosAct::Kill, &key), Ok(()));
        }
    }
}
