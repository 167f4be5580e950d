//! What an idle cluster costs: processor time and memory of the station and of its agents.
//!
//! Targets: agent < 0.2 % of a core and <= 25 MiB; station with 100 agents < 1 % of a core. Here with 20 agents on one
//! machine; the station's figure is also shown per 100 agents.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use mainstay_tests::measure::of_status;
use mainstay_tests::{Cluster, DevOptions, outside};

const AGENTS: usize = 20;
const WATCHED: Duration = Duration::from_secs(30);
const TICKS_PER_SECOND: f64 = 100.0;
const AGENT_PERCENT: f64 = 0.2;
const AGENT_MIB: f64 = 25.0;
const STATION_PERCENT: f64 = 1.0;
const MISS_MAX: f64 = 3.0;

fn main() -> ExitCode {
    let cluster = Cluster::with(&DevOptions {
        nodes: AGENTS,
        ..DevOptions::default()
    });
    let agents: Vec<u32> = (1..=AGENTS)
        .map(|n| cluster.agent_pid(&format!("n{n}")))
        .collect();
    let station = cluster.station_pid();
    let before: u64 = agents.iter().map(|pid| ticks(*pid)).sum();
    let station_before = ticks(station);
    let begun = Instant::now();
    std::thread::sleep(WATCHED); // tidy: waits because an idle cluster is watched for a time
    let seconds = begun.elapsed().as_secs_f64();
    let share = |ticks: u64| ticks as f64 / TICKS_PER_SECOND / seconds * 100.0;
    let agent = share(agents.iter().map(|pid| ticks(*pid)).sum::<u64>() - before) / AGENTS as f64;
    let station_share = share(ticks(station) - station_before);
    let per_hundred = station_share / AGENTS as f64 * 100.0;
    let memory = agents.iter().map(|pid| resident_mib(*pid)).sum::<f64>() / AGENTS as f64;
    println!("watched {seconds:.0} s, {AGENTS} agents");
    println!(
        "agent    {agent:.3} % of a core (target {AGENT_PERCENT}), {memory:.1} MiB (target {AGENT_MIB})"
    );
    println!(
        "station  {station_share:.3} % of a core, {per_hundred:.2} % per 100 agents (target {STATION_PERCENT}), {:.1} MiB",
        resident_mib(station)
    );
    let worst = [
        agent / AGENT_PERCENT,
        memory / AGENT_MIB,
        per_hundred / STATION_PERCENT,
    ]
    .into_iter()
    .fold(0.0, f64::max);
    println!("worst ratio to its target {worst:.2}");
    if worst <= MISS_MAX {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn ticks(pid: u32) -> u64 {
    outside::process(pid).map_or(0, |process| process.ticks)
}

fn resident_mib(pid: u32) -> f64 {
    f64::from(of_status(pid, "VmRSS")) / 1024.0
}
