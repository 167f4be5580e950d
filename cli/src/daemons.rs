//! `station run` and `agent run`: the daemons on this thread, with a log on stderr.

use std::process::ExitCode;

use mainstay_agent::log_to_stderr;
use mainstay_station::{Station, StationOptions};

use crate::arguments::StationRunArguments;

pub fn station(station: Station, arguments: &StationRunArguments) -> ExitCode {
    log_to_stderr(arguments.log.as_deref());
    station.run(StationOptions::from(arguments))
}
