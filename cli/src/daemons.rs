//! `station run` and `agent run`: the daemons on this thread, with a log on stderr.

use std::io;
use std::process::ExitCode;

use mainstay_station::{Station, StationOptions};
use tracing_subscriber::EnvFilter;

use crate::arguments::StationRunArguments;

pub fn station(station: Station, arguments: &StationRunArguments) -> ExitCode {
    log_to_stderr(arguments.log.as_deref());
    station.run(StationOptions::from(arguments))
}

/// Structured, without colour: it goes to files and journals.
fn log_to_stderr(filter: Option<&str>) {
    let filter = filter.map_or_else(
        || EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")),
        EnvFilter::new,
    );
    // A program that has its own log keeps it.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(io::stderr)
        .try_init();
}
