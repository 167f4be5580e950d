//! `mainstay` with rules of its own: build it, then `mainstay dev --station-bin target/debug/own-rule`.

use std::process::ExitCode;

use mainstay_agent::Agent;
use mainstay_station::Station;
use own_rule::{MakeRoom, RestartDegraded, RestartOnRecord, SecondChance};

fn main() -> ExitCode {
    let station = Station::new()
        .rule::<RestartDegraded>()
        .rule::<MakeRoom>()
        .rule::<RestartOnRecord>()
        .procedure::<SecondChance>();
    mainstay_cli::main_with(Agent::new(), station)
}
