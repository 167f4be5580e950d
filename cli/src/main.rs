//! The `mainstay` program with the service types and rules that come with the system.

use std::process::ExitCode;

use mainstay_agent::Agent;
use mainstay_station::Station;

fn main() -> ExitCode {
    mainstay_cli::main_with(Agent::new(), Station::new())
}
