//! `mainstay` with one rule more: build it, then `mainstay dev --station-bin target/debug/own-rule`.

use std::process::ExitCode;

use mainstay_agent::Agent;
use mainstay_station::Station;
use own_rule::RestartDegraded;

fn main() -> ExitCode {
    mainstay_cli::main_with(Agent::new(), Station::new().rule::<RestartDegraded>())
}
