//! A machine with a host and instances that do as they are told, watched by a real supervisor.
#![expect(
    clippy::unwrap_used,
    reason = "only tests use it; the failing line is the explanation"
)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay_protocol::command::CheckSchedule;
use mainstay_protocol::health::{Evidence, FailureKind, Health};
use mainstay_protocol::report::{Ending, Report};
use mainstay_protocol::{Incarnation, InstanceKey, NodeName, PlacementName, limits};
use mainstay_supervisor::{
    CheckFuture, ExitFact, ExitHow, Observation, Pacing, PauseFuture, Probe, SupervisorConfig,
    SupervisorHandle, Watched, supervise,
};
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

pub fn key(number: u64) -> InstanceKey {
    InstanceKey::new(
        NodeName::new("n1").unwrap(),
        PlacementName::new(format!("p{number}")).unwrap(),
    )
}

pub fn first() -> Incarnation {
    Incarnation::default().next()
}

/// What an instance is told.
pub enum Told {
    Count,
    HowMany(oneshot::Sender<u64>),
    Panic(String),
    End,
}

struct Service;

impl Actor for Service {
    type Msg = Told;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Told>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        myself: ActorRef<Told>,
        told: Told,
        count: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match told {
            Told::Count => *count += 1,
            Told::HowMany(reply) => reply.send(*count).unwrap(),
            Told::Panic(text) => panic!("{text}"),
            Told::End => myself.stop(None),
        }
        Ok(())
    }
}

/// The host: owns instances and keeps how they ended, no more.
struct Host;

type Exit = watch::Sender<Option<ExitFact>>;

/// Not told by message: supervision events overtake messages, and an end would come before its instance.
type Hosted = Arc<Mutex<HashMap<ActorId, (Exit, JoinHandle<()>)>>>;

impl Actor for Host {
    type Msg = ();
    type State = Hosted;
    type Arguments = Hosted;

    async fn pre_start(
        &self,
        _: ActorRef<()>,
        hosted: Hosted,
    ) -> Result<Hosted, ActorProcessingErr> {
        Ok(hosted)
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        event: SupervisionEvent,
        hosted: &mut Hosted,
    ) -> Result<(), ActorProcessingErr> {
        let (cell, how) = match event {
            SupervisionEvent::ActorFailed(cell, error) => {
                let evidence = Evidence::text(error.to_string());
                (cell, ExitHow::Failed(FailureKind::Panic, evidence))
            }
            SupervisionEvent::ActorTerminated(cell, _, reason) => match reason.as_deref() {
                Some("killed") => (
                    cell,
                    ExitHow::Failed(FailureKind::Killed, Evidence::default()),
                ),
                _ => (cell, ExitHow::Ended(Ending::ByItself)),
            },
            _ => return Ok(()),
        };
        let ended = hosted.lock().unwrap().remove(&cell.get_id());
        if let Some((exit, join)) = ended {
            tokio::spawn(async move {
                join.await.unwrap();
                exit.send_replace(Some(ExitFact { how, ran_ms: 1 }));
            });
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
pub enum ChecksAre {
    Ok,
    Failed,
    Panicking,
    /// Waits for ever.
    Hanging,
    /// Never yields, until it is let go.
    Spinning,
}

struct TestProbe {
    checks: ChecksAre,
    asked: Arc<AtomicU64>,
    let_go: Arc<AtomicBool>,
}

impl Probe for TestProbe {
    fn check(&self) -> CheckFuture {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let (checks, let_go) = (self.checks, Arc::clone(&self.let_go));
        Box::pin(async move {
            match checks {
                ChecksAre::Ok => (Health::Ok, String::new()),
                ChecksAre::Failed => (Health::Failed, "no database".to_owned()),
                ChecksAre::Panicking => panic!("no luck"),
                ChecksAre::Hanging => std::future::pending().await,
                ChecksAre::Spinning => {
                    while !let_go.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                    (Health::Ok, String::new())
                }
            }
        })
    }
}

/// One instance, as a test holds it.
pub struct Instance {
    actor: ActorRef<Told>,
    pub cell: ActorCell,
    asked: Arc<AtomicU64>,
    let_go: Arc<AtomicBool>,
    exited: watch::Receiver<Option<ExitFact>>,
    /// Of an instance whose end the test confirms itself.
    exit: Option<Exit>,
}

impl Instance {
    pub fn tell(&self, told: Told) {
        self.actor.cast(told).unwrap();
    }

    pub async fn count(&self) -> u64 {
        let (reply, answer) = oneshot::channel();
        self.tell(Told::HowMany(reply));
        answer.await.unwrap()
    }

    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    pub fn let_go(&self) {
        self.let_go.store(true, Ordering::Relaxed);
    }

    /// Waits until the host has confirmed that nothing is left of it.
    pub async fn gone(&self) {
        let mut exited = self.exited.clone();
        let fact = timeout(PATIENCE, exited.wait_for(Option::is_some)).await;
        fact.expect("it is gone in time").unwrap();
    }

    pub fn confirm(&self, ending: Ending) {
        let fact = ExitFact {
            how: ExitHow::Ended(ending),
            ran_ms: 1,
        };
        self.exit.as_ref().unwrap().send_replace(Some(fact));
    }
}

/// Supervisors follow each other at once, unless a test holds the next one back.
#[derive(Debug, Clone)]
pub struct Gate {
    open: Arc<watch::Sender<bool>>,
}

impl Pacing for Gate {
    fn pause(&self, _: Duration) -> PauseFuture {
        let mut open = self.open.subscribe();
        Box::pin(async move {
            open.wait_for(|open| *open).await.unwrap();
        })
    }
}

impl Gate {
    pub fn close(&self) {
        self.open.send_replace(false);
    }

    pub fn open(&self) {
        self.open.send_replace(true);
    }
}

pub struct Machine {
    pub supervisor: SupervisorHandle,
    pub gate: Gate,
    ended: JoinHandle<()>,
    host: ActorRef<()>,
    hosted: Hosted,
    observations: mpsc::Receiver<Observation>,
    probes: Option<Runtime>,
}

impl Machine {
    pub async fn new() -> Self {
        let probes = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        let (sender, observations) = mpsc::channel(limits::OBSERVATIONS_MAX);
        let gate = Gate {
            open: Arc::new(watch::Sender::new(true)),
        };
        let (supervisor, ended) = supervise(SupervisorConfig {
            probes: probes.handle().clone(),
            observations: sender,
            pacing: Arc::new(gate.clone()),
        })
        .await
        .unwrap();
        let hosted = Hosted::default();
        let (host, _join) = Actor::spawn(None, Host, Arc::clone(&hosted)).await.unwrap();
        Self {
            supervisor,
            gate,
            ended,
            host,
            hosted,
            observations,
            probes: Some(probes),
        }
    }

    pub async fn start(&mut self, number: u64, checks: ChecksAre) -> Instance {
        self.start_as(number, first(), checks).await
    }

    pub async fn start_as(
        &mut self,
        number: u64,
        incarnation: Incarnation,
        checks: ChecksAre,
    ) -> Instance {
        let (exit, seen) = watch::channel(None);
        let (actor, join) = Actor::spawn_linked(None, Service, (), self.host.get_cell())
            .await
            .unwrap();
        self.hosted
            .lock()
            .unwrap()
            .insert(actor.get_id(), (exit, join));
        self.watch(actor, number, incarnation, checks, seen)
    }

    /// One whose end the host does not confirm until the test says so.
    pub async fn start_unconfirmed(&mut self, number: u64) -> Instance {
        let (exit, seen) = watch::channel(None);
        let (actor, _join) = Actor::spawn(None, Service, ()).await.unwrap();
        let mut instance = self.watch(actor, number, first(), ChecksAre::Ok, seen);
        instance.exit = Some(exit);
        instance
    }

    fn watch(
        &self,
        actor: ActorRef<Told>,
        number: u64,
        incarnation: Incarnation,
        checks: ChecksAre,
        exit: watch::Receiver<Option<ExitFact>>,
    ) -> Instance {
        let (asked, let_go) = (Arc::default(), Arc::default());
        let exited = exit.clone();
        let probe = TestProbe {
            checks,
            asked: Arc::clone(&asked),
            let_go: Arc::clone(&let_go),
        };
        self.supervisor.watch(Watched {
            instance: key(number),
            incarnation,
            cell: actor.get_cell(),
            exit,
            probe: Arc::new(probe),
            checks: CheckSchedule {
                first_ms: 1,
                interval_ms: 20,
                // A Check that is only late on a busy machine must not be missed.
                deadline_ms: if matches!(checks, ChecksAre::Hanging | ChecksAre::Spinning) {
                    30
                } else {
                    20_000
                },
                misses_max: 3,
            },
        });
        Instance {
            cell: actor.get_cell(),
            actor,
            asked,
            let_go,
            exited,
            exit: None,
        }
    }

    /// Kills the supervisor and returns when there is none; there will be none until the gate opens.
    pub async fn without_supervisor(&mut self) {
        self.gate.close();
        self.supervisor.kill_supervisor();
        timeout(PATIENCE, async {
            while self.supervisor.vacancy().is_none() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("a killed supervisor ends");
    }

    /// Waits until the keeper gives up.
    pub async fn given_up(&mut self) {
        timeout(PATIENCE, &mut self.ended)
            .await
            .expect("the keeper ends in time")
            .unwrap();
    }

    /// Nothing at all was observed since the last look.
    pub fn assert_silent(&mut self) {
        let observed = self.observations.try_recv();
        assert!(observed.is_err(), "{observed:?}");
    }

    pub async fn next(&mut self) -> Observation {
        timeout(PATIENCE, self.observations.recv())
            .await
            .expect("something is observed in time")
            .expect("the supervisor lives")
    }

    pub async fn next_end(&mut self) -> Observation {
        loop {
            let next = self.next().await;
            if matches!(
                next,
                Observation::Seen(Report::Ended { .. }) | Observation::Seen(Report::Failed { .. })
            ) {
                return next;
            }
        }
    }

    pub async fn next_end_key(&mut self) -> InstanceKey {
        match self.next_end().await {
            Observation::Seen(Report::Ended { instance, .. })
            | Observation::Seen(Report::Failed { instance, .. }) => instance,
            other => panic!("{other:?}"),
        }
    }

    pub async fn next_supervisor(&mut self) -> (u64, u32, String) {
        loop {
            if let Observation::Seen(Report::SupervisorChanged {
                incarnation,
                watches,
                why,
            }) = self.next().await
            {
                return (incarnation, watches, why);
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.supervisor.shut_down();
        self.host.stop(None);
        if let Some(probes) = self.probes.take() {
            probes.shutdown_background();
        }
    }
}
