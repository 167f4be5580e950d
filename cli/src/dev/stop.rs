//! `dev stop`: asks the parent to end, and waits until nothing is left. Clears away what a dead one left.

use std::time::Duration;

use mainstay_api::{Exit, Problem};
use mainstay_protocol::code;
use rustix::process::Signal;

use super::layout::Removal;
use super::reaper::{Plan, clean};
use crate::app::App;
use crate::home::{DEV, DevCluster};
use crate::outcome::Outcome;
use crate::process;

/// The parent waits for its daemons, they for their services.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn run(app: &mut App<'_>) -> Outcome {
    let context = app.home.context(DEV)?;
    let stations = context.as_ref().map_or(1, |context| context.sockets.len());
    let Some(dev) = context.and_then(|context| context.dev) else {
        return Err(Problem::new(
            code::NOT_FOUND,
            "stop the dev cluster",
            format!("none runs in {}", app.home.directory().display()),
        )
        .to_do("mainstay dev"));
    };
    let Some(parent) = process::open(dev.parent) else {
        return clear_away(app, dev);
    };
    process::signal(&parent, Signal::TERM);
    app.console.say(&format!(
        "ending the dev cluster (process {})",
        dev.parent.pid
    ));
    let patience = app.global.timeout.unwrap_or(PATIENCE);
    if process::ended_within(&parent, patience) {
        if dev.directory.exists() {
            let with = match stations {
                1 => String::new(),
                several => format!(" --stations {several}"),
            };
            app.console.say(&format!(
                "ended; its data is kept: mainstay dev --dir {}{with}",
                dev.directory.display()
            ));
        } else {
            app.console.say("ended; nothing is left of it");
        }
        return Ok(Exit::Ok);
    }
    Err(Problem::new(
        code::TIMEOUT,
        "stop the dev cluster",
        format!(
            "process {} did not end within {} s",
            dev.parent.pid,
            patience.as_secs()
        ),
    )
    .to_do(format!("kill -9 {}", dev.parent.pid)))
}

/// The parent is gone and its reaper did not do its work: only a context and perhaps directories are left.
fn clear_away(app: &mut App<'_>, dev: DevCluster) -> Outcome {
    let plan = Plan {
        parent: dev.parent,
        removal: Removal {
            // Its data stays: whether it was to be kept went with the reaper.
            trees: vec![dev.runtime],
            files: Vec::new(),
            empty_directories: Vec::new(),
        },
        directory: Some(dev.directory.clone()),
        home: app.home.directory().to_owned(),
        home_made: false,
        previous: dev.previous,
    };
    clean(&plan)?;
    app.console.say(&format!(
        "its parent (process {}) had ended without cleaning up; its context is removed",
        dev.parent.pid
    ));
    if dev.directory.exists() {
        app.console
            .say(&format!("its data is still in {}", dev.directory.display()));
    }
    Ok(Exit::Ok)
}
