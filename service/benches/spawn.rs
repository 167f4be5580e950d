//! Instances started per second and the memory of an idle one, beside bare actors in the same run.
//!
//! Targets: at least half of the bare actors' rate; at most 4 KiB more than a bare actor. Each side is measured in a
//! process of its own: memory that one has given back would be found again by the other.
#![allow(
    clippy::unwrap_used,
    reason = "a bench's failing line is its explanation"
)]

use std::fs;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use mainstay_protocol::{Incarnation, InstanceKey, NodeName, PlacementName, SlotName};
use mainstay_service::hosting::{self, Launch, Phase, Runtimes};
use mainstay_service::{
    Beginning, Busy, CannotStart, Context, Declared, Identity, NoConfig, NoMessage, Place, Service,
    TypeInfo,
};
use ractor::{Actor, ActorProcessingErr, ActorRef};

const INSTANCES: usize = 20_000;
const RATE_MIN: f64 = 0.5;
const MORE_BYTES_MAX: f64 = 4096.0;
/// A miss of a target needs a cause and a plan; a miss by more than this fails.
const MISS_MAX: f64 = 3.0;

struct Idle;

impl Service for Idle {
    type Config = NoConfig;
    type Message = NoMessage;
    type Probe = Busy;
    const TYPE: TypeInfo = TypeInfo::new("idle", "1.0.0").generic();

    async fn start(_: NoConfig, ctx: &Context) -> Result<(Self, Busy), CannotStart> {
        Ok((Self, ctx.busy()))
    }
}

struct Bare;

impl Actor for Bare {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

fn main() -> ExitCode {
    let side = std::env::args().find(|word| word == "bare" || word == "instances");
    match side.as_deref() {
        Some("bare") => say(bare()),
        Some(_) => say(instances()),
        None => compare(),
    }
}

/// Of one side: seconds, and bytes for each.
type Measured = (f64, f64);

fn say((seconds, bytes): Measured) -> ExitCode {
    println!("{seconds} {bytes}");
    ExitCode::SUCCESS
}

fn compare() -> ExitCode {
    let (bare, bare_bytes) = measured("bare");
    let (ours, our_bytes) = measured("instances");
    let rate = |seconds: f64| INSTANCES as f64 / seconds;
    let part = rate(ours) / rate(bare);
    let more = our_bytes - bare_bytes;
    println!("{INSTANCES} of each       per second     bytes of an idle one");
    println!(
        "bare actors      {:>12.0}     {bare_bytes:>12.0}",
        rate(bare)
    );
    println!(
        "instances        {:>12.0}     {our_bytes:>12.0}",
        rate(ours)
    );
    println!("part of the bare rate    {part:.2} (target {RATE_MIN})");
    println!("bytes over a bare actor  {more:.0} (target {MORE_BYTES_MAX})");
    let worst = (RATE_MIN / part).max(more / MORE_BYTES_MAX);
    println!("worst ratio to its target {worst:.2}");
    match worst <= MISS_MAX {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn measured(side: &str) -> Measured {
    let output = Command::new(std::env::current_exe().unwrap())
        .arg(side)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<f64> = text
        .split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect();
    (numbers[0], numbers[1])
}

fn bare() -> Measured {
    let runtime = control();
    runtime.block_on(async {
        let before = resident();
        let begun = Instant::now();
        let mut all = Vec::with_capacity(INSTANCES);
        for _ in 0..INSTANCES {
            all.push(Actor::spawn(None, Bare, ()).await.unwrap());
        }
        per_one(begun.elapsed(), before)
    })
}

/// Launched one after another, as commands come, and each waited for.
fn instances() -> Measured {
    let declared = Declared::of::<Idle>().unwrap();
    let runtimes = Runtimes::new().unwrap();
    control().block_on(async {
        let (host, _) = hosting::spawn_host().await.unwrap();
        let stage = runtimes.stage(host);
        let before = resident();
        let begun = Instant::now();
        let mut all = Vec::with_capacity(INSTANCES);
        for number in 0..INSTANCES {
            let identity = identity(number);
            let launch = Launch {
                span: hosting::span(&identity),
                identity,
                config: "{}".to_owned(),
                deadline: Duration::from_secs(30),
                beginning: Beginning::Anew,
                place: Place::default(),
                others: mainstay_service::testing::nobody(),
            };
            all.push(hosting::launch(&declared, &stage, launch));
        }
        for hosted in &all {
            assert!(matches!(hosted.started().await, Phase::Running(_)));
        }
        per_one(begun.elapsed(), before)
    })
}

fn identity(number: usize) -> Identity {
    let name = format!("p{number}");
    Identity {
        instance: InstanceKey::new(
            NodeName::new("n1").unwrap(),
            PlacementName::new(name.as_str()).unwrap(),
        ),
        incarnation: Incarnation::default().next(),
        name: SlotName::new(name).unwrap(),
    }
}

fn control() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn per_one(took: Duration, before: u64) -> Measured {
    let bytes = resident().saturating_sub(before) as f64 / INSTANCES as f64;
    (took.as_secs_f64(), bytes)
}

fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib * 1024
}
