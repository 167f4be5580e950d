//! Failures seen by a supervisor and queued as reports: actors that fail together, watched by a real supervisor, each end
//! taken by the agent core, its record encoded as it goes into the agent's file.
//!
//! Target: 100,000 a second. A node has at most 10,000 instances, so that many fail.
#![allow(
    clippy::unwrap_used,
    reason = "a bench's failing line is its explanation"
)]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_protocol::command::{CheckSchedule, Command, Order, Start};
use mainstay_protocol::health::{Evidence, FailureKind, Health};
use mainstay_protocol::report::{Report, SysInfo};
use mainstay_protocol::{
    AgentRunId, BootId, CommandId, Epoch, Incarnation, InstanceKey, Leadership, NodeName,
    PlacementName, Revision, SlotName, Term, TypeName, limits,
};
use mainstay_supervisor::{
    AgentCore, CheckFuture, Clock, ExitFact, ExitHow, Identity, Input, Observation, Output, Probe,
    Recovered, SupervisorConfig, Watched, encode_record, supervise,
};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

const INSTANCES: usize = limits::INSTANCES_PER_NODE_MAX;
const TARGET: f64 = 100_000.0;
/// A miss of the target needs a cause and a plan; a miss by more than this fails.
const MISS_MAX: f64 = 3.0;

struct Fails;

impl Actor for Fails {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<()>, (): (), (): &mut ()) -> Result<(), ActorProcessingErr> {
        Err("boom".into())
    }
}

struct AlwaysOk;

impl Probe for AlwaysOk {
    fn check(&self) -> CheckFuture {
        Box::pin(async { (Health::Ok, String::new()) })
    }
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_time()
        .build()
        .unwrap();
    let took = runtime.block_on(wave());
    let rate = INSTANCES as f64 / took.as_secs_f64();
    println!(
        "{INSTANCES} failures seen and queued in {took:.1?}: {rate:.0}/s (target {TARGET:.0}/s)"
    );
    println!("ratio to the target {:.2}", TARGET / rate);
    match TARGET / rate <= MISS_MAX {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

async fn wave() -> Duration {
    let (sender, mut observations) = mpsc::channel(limits::OBSERVATIONS_MAX);
    let (supervisor, _ended) = supervise(SupervisorConfig {
        probes: tokio::runtime::Handle::current(),
        observations: sender,
        pacing: Arc::new(Clock),
    })
    .await
    .unwrap();
    let (mut core, _) = AgentCore::new(identity(), Recovered::default());
    let mut file = Vec::new();
    let mut all = Vec::with_capacity(INSTANCES);
    for number in 0..INSTANCES {
        let command = Input::Command(start(number));
        write(&mut file, core.step(0, command));
        write(&mut file, core.step(0, Input::Observed(started(number))));
        let (actor, task) = Actor::spawn(None, Fails, ()).await.unwrap();
        let (exit, seen) = watch::channel(None);
        supervisor.watch(Watched {
            instance: key(number),
            incarnation: incarnation(),
            cell: actor.get_cell(),
            exit: seen,
            probe: Arc::new(AlwaysOk),
            checks: never(),
        });
        tokio::spawn(async move {
            task.await.unwrap();
            exit.send_replace(Some(ExitFact {
                how: ExitHow::Failed(FailureKind::Reported, Evidence::text("boom")),
                ran_ms: 1,
            }));
        });
        all.push(actor);
    }
    // What the beginning caused is over.
    while observations.try_recv().is_ok() {}
    file.clear();
    let begun = Instant::now();
    tokio::spawn(async move {
        for actor in all {
            actor.cast(()).unwrap();
        }
    });
    let mut seen = 0;
    while seen < INSTANCES {
        let observation = observations.recv().await.unwrap();
        seen += usize::from(matches!(
            observation,
            Observation::Seen(Report::Failed { .. })
        ));
        write(&mut file, core.step(0, Input::Observed(observation)));
    }
    let took = begun.elapsed();
    assert!(core.outbox_depth() >= INSTANCES as u64, "each is queued");
    took
}

fn write(file: &mut Vec<u8>, output: Output) {
    for record in &output.persist {
        file.extend(encode_record(record));
    }
}

fn key(number: usize) -> InstanceKey {
    InstanceKey::new(
        NodeName::new("n1").unwrap(),
        PlacementName::new(format!("p{number}")).unwrap(),
    )
}

fn incarnation() -> Incarnation {
    Incarnation {
        epoch: Epoch(1),
        created: Revision(1),
        count: 1,
    }
}

fn identity() -> Identity {
    Identity {
        node: NodeName::new("n1").unwrap(),
        agent_run: AgentRunId(Uuid::from_u128(1)),
        boot_id: BootId("boot".to_owned()),
        build: "bench".to_owned(),
        address: String::new(),
        sysinfo: SysInfo::default(),
        provides: Vec::new(),
    }
}

/// Failures alone are measured.
fn never() -> CheckSchedule {
    CheckSchedule {
        first_ms: 3_600_000,
        interval_ms: 3_600_000,
        deadline_ms: 1_000,
        misses_max: 3,
    }
}

fn start(number: usize) -> Command {
    let instance = key(number);
    Command {
        id: CommandId(number as u64),
        leadership: Leadership {
            epoch: Epoch(1),
            term: Term(1),
        },
        order: Order::Start(Start {
            name: SlotName::new(instance.placement.as_str()).unwrap(),
            instance,
            incarnation: incarnation(),
            service_type: TypeName::new("flaky").unwrap(),
            config: "{}".to_owned(),
            start_deadline_ms: 30_000,
            stop_deadline_ms: 10_000,
            checks: never(),
            lease: None,
            needs: Default::default(),
            addresses: Default::default(),
        }),
    }
}

fn started(number: usize) -> Observation {
    Observation::Seen(Report::Started {
        instance: key(number),
        incarnation: incarnation(),
        version: "1.0.0".to_owned(),
        config: "{}".to_owned(),
        process: Vec::new(),
        ports: Default::default(),
    })
}
