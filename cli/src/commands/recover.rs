//! `station recover` and `station repair`: a station made from what one of a lost group, or of a damaged disk, still has.

use std::io::{self, BufRead, IsTerminal};

use mainstay_api::{Exit, Problem, Time};
use mainstay_protocol::code;
use mainstay_protocol::{ClusterName, StationId};
use mainstay_store::{Survived, Survivor};

use super::rebuilt::{self, Rebuilt};
use crate::app::App;
use crate::arguments::{RecoverArguments, RepairArguments};
use crate::outcome::Outcome;
use crate::text;

pub fn recover(app: &mut App<'_>, arguments: &RecoverArguments) -> Outcome {
    let RecoverArguments {
        from,
        to,
        yes_cluster,
    } = arguments;
    let what = format!("recover {}", from.display());
    let survivor = Survivor::open(from).map_err(|error| rebuilt::refused(&what, &error))?;
    let found = &survivor.found;
    app.console.say(&told(found));
    let sure = format!(
        "mainstay station recover --from {} --to {} --yes-cluster {}",
        from.display(),
        to.display(),
        found.cluster
    );
    let typed = match yes_cluster {
        Some(name) => name.to_string(),
        None => typed(app, &found.cluster).ok_or_else(|| {
            let why = "it gives up what only the other stations have, so the cluster's name is to be said";
            Problem::new(code::REFUSED_BY_SAFETY, &what, why).to_do(sure.clone())
        })?,
    };
    if typed != found.cluster.as_str() {
        let why = format!(
            "the cluster in {} is {}, not \"{typed}\"; nothing was done",
            from.display(),
            found.cluster
        );
        return Err(Problem::new(code::REFUSED_BY_SAFETY, &what, why).to_do(sure));
    }
    let made = survivor.rebuild(to, rebuilt::now_ms());
    let made = made.map_err(|error| rebuilt::refused(&what, &error))?;
    Rebuilt::of(to, &found.cluster, &made, Vec::new()).tell(app, "recovered")
}

fn told(found: &Survived) -> String {
    let as_of = Time::from_wall_ms(found.wall_ms);
    let others: Vec<String> = found
        .voters
        .iter()
        .filter(|voter| **voter != found.identity.station)
        .map(StationId::to_string)
        .collect();
    let lost = match others.is_empty() {
        true => "it was the only station: nothing is lost but what it had not written".to_owned(),
        false => format!(
            "what was decided without it is lost: it may be up to all that {} took after {as_of} ({} ago); what it has and no majority had counts from now on",
            others.join(", "),
            text::age_of(as_of)
        ),
    };
    format!(
        "station {} of cluster {} (epoch {}) has the log up to entry {} of term {}, as of {as_of} (log time {}, revision {} and {} entries behind it)\n\
         votes in it: {}\n{lost}",
        found.identity.station,
        found.cluster,
        found.epoch,
        found.last.index,
        found.last.term,
        found.log_time,
        found.revision,
        found.entries_to_apply,
        found
            .voters
            .iter()
            .map(StationId::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    )
}

/// None: nobody is there to type it.
fn typed(app: &mut App<'_>, cluster: &ClusterName) -> Option<String> {
    if !io::stdin().is_terminal() {
        return None;
    }
    app.console.complain(&format!(
        "every other station of {cluster} must be gone for good; type the cluster's name to go on:"
    ));
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).ok()?;
    Some(line.trim().to_owned())
}

pub fn repair(app: &mut App<'_>, arguments: &RepairArguments) -> Outcome {
    let RepairArguments {
        dir,
        to,
        yes_cluster,
    } = arguments;
    let what = format!("repair {}", dir.display());
    let repaired = mainstay_store::repair(dir, to, rebuilt::now_ms(), yes_cluster.as_ref());
    let repaired = repaired.map_err(|error| {
        let problem = rebuilt::refused(&what, &error);
        match problem.exit {
            // It is what was asked for, and could not be done.
            Exit::TargetFailed => {
                problem.to_do(format!("mainstay restore FILE --dir {}", to.display()))
            }
            _ => problem,
        }
    })?;
    app.console.say(&format!(
        "the newest entry that can be read is {} of term {}, as of {} (log time {}); left out:",
        repaired.last.index,
        repaired.last.term,
        Time::from_wall_ms(repaired.wall_ms),
        repaired.log_time
    ));
    for dropped in &repaired.dropped {
        app.console.say(&format!("  {dropped}"));
    }
    let made = Rebuilt::of(
        to,
        &repaired.cluster,
        &repaired.rebuilt,
        repaired.dropped.clone(),
    );
    made.tell(app, "repaired")
}
