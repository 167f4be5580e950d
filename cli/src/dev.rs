//! `dev`: a whole cluster on this machine, of real processes, that leaves nothing behind.
//!
//! ```text
//!   mainstay dev (parent) --pipe--> reaper      outlives the parent; at the pipe's end it waits for the daemons'
//!      |        |                               end and removes sockets, directories and the context
//!      v        v
//!   station   agents n1..nN                     killed by the kernel when the parent's main thread ends
//! ```
//!
//! What must hold:
//! - However the parent ends (Ctrl-C, `dev stop`, kill -9), no process, socket or directory stays. There is one
//!   way of cleaning up, the reaper's, and it is taken every time.
//! - The reaper knows what to remove before the first of it is made.
//! - Daemons are spawned by the parent's main thread, because the kernel ties a death signal to the thread that
//!   forked.

mod daemon;
mod detach;
mod layout;
mod lock;
mod logs;
mod parent;
mod ready;
mod reaper;
mod stop;

use mainstay_api::Problem;

use crate::app::App;
use crate::arguments::{DevArguments, DevCommand};
use crate::outcome::{Outcome, usage};

pub use daemon::become_daemon;
pub use reaper::run as run_reaper;

/// Runs on the calling thread, which must be the one that lives as long as the process: the main thread.
pub fn run(app: &mut App<'_>, arguments: &DevArguments) -> Outcome {
    if let Some(DevCommand::Stop) = arguments.command {
        return stop::run(app);
    }
    if arguments.stations != 1 {
        return Err(one_station(arguments.stations));
    }
    if arguments.detach {
        return detach::run(app);
    }
    parent::run(app, arguments)
}

fn one_station(asked: u16) -> Problem {
    usage(
        format!("start a dev cluster with {asked} stations"),
        "a station group of more than one is not built yet; a dev cluster has one",
    )
    .to_do("mainstay dev --stations 1")
}
