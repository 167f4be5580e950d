//! The node's instances: carries out Start and Stop, holds the names' locks, and keeps what is known of each until
//! nothing is left of it.

mod asked;
mod called;
mod given_up;
mod probe;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_protocol::command::{CheckSchedule, Reconfigure, Start, Stop, StopManner};
use mainstay_protocol::health::{Evidence, FailureKind, ProcessIdentity, RefusedStart};
use mainstay_protocol::report::{Presence, Report};
use mainstay_protocol::{CommandId, Incarnation, InstanceKey, NodeName, PlacementName, SlotName};
use mainstay_service::hosting::{
    self, ExitFact, Hosted, Launch, NotStarted, Phase, Running, Stage, StopOrder, StopOutcome,
};
use mainstay_service::{Beginning, Declared, HeldLease, Identity, Place, StopReason, TypeSet};
use mainstay_supervisor::{Came, Observation, SupervisorHandle, Watched};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub(crate) use self::called::DEADLINE_MAX;
use self::called::Outward;
use self::given_up::GivenUp;
use self::probe::HostedProbe;
use self::words::{could_not_start, reason};
use crate::artifacts::Artifacts;
use crate::directory::{Directory, HeldName};
use crate::held;
use crate::leases::{self, Leased};
use crate::lookups::Lookups;
use crate::mesh::Mesh;
use crate::own_logs;
use crate::secret_files::SecretFiles;
use crate::secrets::Secrets;
use crate::session::Pulse;
use crate::speech::{Checks, Speech};

/// For the Check behind a change of configuration: one that takes longer is seen by the next.
const CHANGED_CHECK_DEADLINE: Duration = Duration::from_secs(2);

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Instances {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    types: TypeSet,
    stage: Stage,
    directory: Directory,
    whom: Whom,
    /// Where actors live.
    process: ProcessIdentity,
    holding: Holding,
    /// The agent ends: what outlives it keeps what it was given.
    leaving: AtomicBool,
    /// From launch until nothing is left; at most one incarnation of each.
    hosted: Mutex<BTreeMap<InstanceKey, Living>>,
    calls: asked::Calls,
}

/// One that is hosted, with what it was started by.
#[derive(Debug, Clone)]
struct Living {
    hosted: Hosted,
    start: Arc<Start>,
    /// As long as this is there, its lease is renewed.
    _lease: Option<Arc<Leased>>,
}

/// Who is told what happens here, who watches it, and how others are reached from here.
#[derive(Debug, Clone)]
pub(crate) struct Whom {
    pub(crate) node: NodeName,
    pub(crate) observations: mpsc::Sender<Observation>,
    pub(crate) supervisor: SupervisorHandle,
    pub(crate) pulse: Pulse,
    /// Where what is kept elsewhere is asked for.
    pub(crate) asks: (Secrets, Artifacts),
    pub(crate) lookups: Lookups,
    pub(crate) mesh: Mesh,
    /// Where programs of this machine ask for others.
    pub(crate) socket: Option<PathBuf>,
}

/// What instances are started with.
#[derive(Debug, Clone)]
pub(crate) struct Holding {
    /// The program.
    pub(crate) hold: PathBuf,
    /// Control groups may be made below it.
    pub(crate) memory_groups: Option<PathBuf>,
    pub(crate) chaos: bool,
}

impl Instances {
    pub(crate) fn new(
        types: TypeSet,
        stage: Stage,
        directory: Directory,
        whom: Whom,
        process: ProcessIdentity,
        holding: Holding,
    ) -> Self {
        let hosted = Mutex::new(BTreeMap::new());
        let shared = Shared {
            types,
            stage,
            directory,
            whom,
            process,
            holding,
            leaving: AtomicBool::new(false),
            hosted,
            calls: asked::Calls::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    pub(crate) fn get(&self, instance: &InstanceKey) -> Option<Hosted> {
        let hosted = self.hosted();
        hosted.get(instance).map(|living| living.hosted.clone())
    }

    /// The instances there are, for messages about those there are not.
    pub(crate) fn keys(&self) -> Vec<InstanceKey> {
        self.hosted().keys().cloned().collect()
    }

    /// Those there are, each as what it was last started.
    pub(crate) fn incarnations(&self) -> BTreeSet<(PlacementName, Incarnation)> {
        let named = |(key, living): (&InstanceKey, &Living)| {
            (key.placement.clone(), living.start.incarnation)
        };
        self.hosted().iter().map(named).collect()
    }

    /// Returns at once; what becomes of it is observed.
    pub(crate) fn start(&self, start: Start) {
        let attempt = self
            .declared(&start)
            .and_then(|declared| Ok((declared, self.name(&start, declared)?)));
        match attempt {
            Ok((declared, held)) => {
                tracing::info!(instance = %start.instance, incarnation = %start.incarnation, "starts");
                self.launch(start, declared, held, Beginning::Anew);
            }
            Err(observation) => self.refuse(observation),
        }
    }

    fn refuse(&self, observation: Observation) {
        let instances = self.clone();
        tokio::spawn(async move { instances.observe(observation).await });
    }

    /// Takes over what an earlier life of the agent began: its name is still its own.
    pub(crate) fn adopt(&self, start: Start, came: Came) {
        tracing::info!(instance = %start.instance, incarnation = %start.incarnation, ?came, "is adopted");
        let beginning = match came {
            Came::Begun => Beginning::Resumed,
            Came::Started => Beginning::Adopted,
        };
        match self.declared(&start) {
            Ok(declared) if declared.is_outside() => self.launch(start, declared, None, beginning),
            Ok(_) | Err(_) => {
                let why = format!(
                    "this agent has no service type {} that could take it over",
                    start.service_type
                );
                let given_up = GivenUp {
                    instances: self.clone(),
                    start: Arc::new(start),
                    beginning,
                };
                tokio::spawn(given_up.end(RefusedStart::NoSuchType, why));
            }
        }
    }

    fn declared(&self, start: &Start) -> Result<&Declared, Observation> {
        let name = &start.service_type;
        let declared = self.shared.types.get(name).ok_or_else(|| {
            let why = format!("this agent does not have the service type {name}");
            could_not_start(start, RefusedStart::NoSuchType, &why)
        })?;
        if start.lease.is_some() && !declared.declaration().keeps_lease {
            let why = format!("what this agent's type {name} starts cannot be ended with a lease");
            return Err(could_not_start(start, RefusedStart::NotHere, &why));
        }
        Ok(declared)
    }

    /// The name's lock, or nothing if the outside process is to have it itself. Then its slot gets what the next life of
    /// the agent needs.
    fn name(&self, start: &Start, declared: &Declared) -> Result<Option<HeldName>, Observation> {
        let (instance, incarnation) = (start.instance.clone(), start.incarnation);
        let taken = match declared.is_outside() {
            false => self.shared.directory.hold(&start.name),
            true => self.prepared(start),
        };
        match taken {
            Ok(Some(held)) => Ok(Some(held).filter(|_| !declared.is_outside())),
            Ok(None) => Err(Observation::Seen(Report::NameTaken {
                instance,
                incarnation,
                name: start.name.clone(),
                holder: None,
            })),
            Err(error) => {
                let why = format!("the name {} cannot be locked: {error}", start.name);
                Err(could_not_start(start, RefusedStart::NotNow, &why))
            }
        }
    }

    fn prepared(&self, start: &Start) -> io::Result<Option<HeldName>> {
        let held = self.shared.directory.hold(&start.name)?;
        if held.is_some() {
            held::write_start(&self.shared.directory.slot(&start.name)?, start)?;
        }
        Ok(held)
    }

    fn launch(
        &self,
        start: Start,
        declared: &Declared,
        held: Option<HeldName>,
        beginning: Beginning,
    ) {
        let identity = Identity {
            instance: start.instance.clone(),
            incarnation: start.incarnation,
            name: start.name.clone(),
        };
        let lease = self.shared.whom.pulse.leases().begin(&start, beginning);
        let held_lease = lease.as_ref().map(|(_, held)| held.clone());
        let begins_late = held_lease.as_ref().is_some_and(leases::is_over);
        if begins_late && beginning == Beginning::Anew {
            let why = "its lease was over before it began";
            return self.refuse(could_not_start(&start, RefusedStart::NotNow, why));
        }
        let span = hosting::span(&identity);
        if !declared.keeps_log() {
            own_logs::listen(&span, &self.log_directory(&start.name), start.incarnation);
        }
        let launch = Launch {
            identity,
            span,
            config: start.config.clone(),
            deadline: Duration::from_millis(start.start_deadline_ms),
            beginning,
            place: self.place_of(&start, held_lease),
            others: Arc::new(Outward(Arc::downgrade(&self.shared))),
        };
        let hosted = hosting::launch(declared, &self.shared.stage, launch);
        let start = Arc::new(start);
        let (renewals, lease) = lease.unzip();
        // What is outside has a hold for it.
        if let Some(lease) = lease.filter(|_| !declared.is_outside()) {
            tokio::spawn(leases::enforce(hosted.clone(), lease));
        }
        let living = Living {
            hosted: hosted.clone(),
            start: Arc::clone(&start),
            _lease: renewals,
        };
        self.hosted().insert(start.instance.clone(), living);
        let speech = Speech::new(
            hosted.take_words(),
            self.shared.whom.observations.clone(),
            self.shared.whom.pulse.clone(),
            Checks {
                supervisor: self.shared.whom.supervisor.clone(),
                identity: hosted.identity().clone(),
                deadline: Duration::from_millis(start.checks.deadline_ms),
            },
            self.shared.whom.asks.clone(),
        );
        let keeper = Keeper {
            instances: self.clone(),
            speech,
            hosted,
            held,
            version: declared.declaration().version.clone(),
            checks: start.checks,
            start,
            beginning,
        };
        tokio::spawn(keeper.keep());
    }

    fn place_of(&self, start: &Start, lease: Option<HeldLease>) -> Place {
        let directory = &self.shared.directory;
        Place {
            directory: directory.of_placement(&start.instance.placement),
            slot: self.slot_of(start),
            hold: self.shared.holding.hold.clone(),
            memory_groups: self.shared.holding.memory_groups.clone(),
            lease,
            socket: self.shared.whom.socket.clone(),
            addresses: start.addresses.clone(),
            chaos: self.shared.holding.chaos,
        }
    }

    /// Where the logs of whoever has this name are.
    pub(crate) fn log_directory(&self, name: &SlotName) -> PathBuf {
        self.shared
            .directory
            .slots()
            .join(name.as_str())
            .join("log")
    }

    /// Absolute, since it is the mark in environments; as it is said where nothing is there yet.
    fn slot_of(&self, start: &Start) -> PathBuf {
        let slot = self.shared.directory.slots().join(start.name.as_str());
        slot.canonicalize().unwrap_or(slot)
    }

    /// Returns at once. That it is gone is observed by whoever keeps it; here, only that it will not go.
    pub(crate) fn stop(&self, stop: &Stop) {
        let Some(hosted) = self.get(&stop.instance) else {
            return;
        };
        if hosted.identity().incarnation != stop.incarnation {
            return;
        }
        tracing::info!(instance = %stop.instance, incarnation = %stop.incarnation, "stops");
        let order = StopOrder {
            why: reason(stop.why),
            manner: stop.manner,
            deadline: Duration::from_millis(stop.deadline_ms),
        };
        let (instance, incarnation) = (stop.instance.clone(), stop.incarnation);
        let instances = self.clone();
        tokio::spawn(async move {
            match hosted.stop(order).await {
                StopOutcome::Gone(_) | StopOutcome::NotStarted(_) => {}
                StopOutcome::WillNotEnd => {
                    tracing::error!(%instance, %incarnation, "will not end: its task never yields");
                    instances
                        .observe(Observation::WillNotEnd {
                            instance,
                            incarnation,
                        })
                        .await;
                }
            }
        });
    }

    /// Gives a living instance another configuration; its word is the answer to the command.
    pub(crate) fn reconfigure(&self, command: CommandId, change: Reconfigure) {
        let Reconfigure {
            instance,
            incarnation,
            config,
            deadline_ms,
        } = change;
        let found = self.get(&instance);
        let instances = self.clone();
        tokio::spawn(async move {
            let outcome = match found {
                Some(hosted) if hosted.identity().incarnation == incarnation => {
                    let deadline = Duration::from_millis(deadline_ms);
                    let outcome = hosted.reconfigure(&config, deadline).await;
                    if outcome.is_ok() {
                        // What the change did to its health is told before the change itself.
                        let supervisor = &instances.shared.whom.supervisor;
                        supervisor
                            .check_now(&instance, CHANGED_CHECK_DEADLINE)
                            .await;
                    }
                    outcome
                }
                // Its end is on its way, and answers the command.
                Some(_) | None => return,
            };
            match &outcome {
                Ok(config) => {
                    tracing::info!(%instance, %incarnation, config, "goes on with another configuration")
                }
                Err(refusal) => {
                    tracing::warn!(%instance, %incarnation, why = refusal.text, "does not take a configuration")
                }
            }
            instances
                .observe(Observation::Reconfigured {
                    command,
                    instance,
                    incarnation,
                    outcome,
                })
                .await;
        });
    }

    /// The agent ends, in order or not: what lives outside goes on, and is taken over by its next life. To be said before
    /// anything of the agent is taken apart: the end of its host is the end of every actor.
    pub(crate) fn leave(&self) {
        self.shared.leaving.store(true, Ordering::Release);
        for living in self.hosted().values() {
            living.hosted.leave();
        }
    }

    /// The agent ends: all that lives in it may stop in order, for so long.
    pub(crate) async fn farewell(&self, within: Duration) {
        let order = StopOrder {
            why: StopReason::AgentStops,
            manner: StopManner::AskThenKill,
            deadline: within,
        };
        let mut all = self.all();
        all.retain(|hosted| hosted.processes().is_none());
        let mut stopping: JoinSet<()> = all
            .into_iter()
            .map(|hosted| async move {
                hosted.stop(order).await;
            })
            .collect();
        let _ = timeout(within, async {
            while stopping.join_next().await.is_some() {}
        })
        .await;
    }

    async fn observe(&self, observation: Observation) {
        // The driver is gone only when the agent ends.
        let _ = self.shared.whom.observations.send(observation).await;
    }

    /// An incarnation is over, and its name still its own. What secrets it had as files goes with it.
    fn forget(&self, start: &Start) {
        let (instance, incarnation) = (&start.instance, start.incarnation);
        if !self.shared.leaving.load(Ordering::Acquire) {
            SecretFiles::of_slot(&self.slot_of(start)).remove();
        }
        let mut hosted = self.hosted();
        if hosted
            .get(instance)
            .is_some_and(|living| living.start.incarnation == incarnation)
        {
            hosted.remove(instance);
        }
    }

    fn all(&self) -> Vec<Hosted> {
        let living = self.hosted();
        living.values().map(|one| one.hosted.clone()).collect()
    }

    fn hosted(&self) -> MutexGuard<'_, BTreeMap<InstanceKey, Living>> {
        self.shared
            .hosted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps one incarnation: says when it runs, gives it to the supervisor, and frees its name when it is gone.
struct Keeper {
    instances: Instances,
    hosted: Hosted,
    /// None: the outside process has it.
    held: Option<HeldName>,
    version: String,
    checks: CheckSchedule,
    start: Arc<Start>,
    beginning: Beginning,
    speech: Speech,
}

impl Keeper {
    async fn keep(mut self) {
        let started = tokio::select! {
            biased;
            phase = self.hosted.started() => phase,
            () = self.speech.pass_on() => self.hosted.started().await,
        };
        match started {
            Phase::Running(running) => self.running(running).await,
            Phase::NotStarted(why) => self.not_started(why).await,
            // Stopped while it started: there never was anything to watch.
            Phase::Gone(fact) => self.gone_unwatched(fact).await,
            Phase::Starting => unreachable!("`started` waits until it is over"),
        }
    }

    async fn running(mut self, running: Running) {
        let Identity {
            instance,
            incarnation,
            ..
        } = self.hosted.identity().clone();
        let observation = Observation::Seen(Report::Started {
            instance: instance.clone(),
            incarnation,
            version: self.version.clone(),
            config: running.config.clone(),
            process: self.instances.processes_of(&self.hosted),
            ports: self.hosted.ports(),
        });
        self.instances.observe(observation).await;
        let (exit, exited) = watch::channel(None);
        let supervisor = &self.instances.shared.whom.supervisor;
        supervisor.watch(Watched {
            instance: instance.clone(),
            incarnation,
            cell: running.cell(),
            exit: exited,
            probe: Arc::new(HostedProbe(self.hosted.clone())),
            checks: self.checks,
        });
        drop(running);
        let asides = async {
            tokio::join!(
                tell_failure(&self.instances, &self.hosted),
                self.speech.pass_on(),
            )
        };
        let fact = tokio::select! {
            biased;
            outcome = self.hosted.gone() => outcome,
            _ = asides => self.hosted.gone().await,
        };
        self.instances.forget(&self.start);
        // The lock first: the next incarnation may start as soon as the end is told.
        drop(self.held);
        tracing::info!(%instance, %incarnation, ?fact, "is gone");
        if let StopOutcome::Gone(fact) = fact {
            exit.send_replace(Some(fact));
        }
    }

    async fn not_started(self, why: NotStarted) {
        let Identity {
            instance,
            incarnation,
            ..
        } = self.hosted.identity().clone();
        tracing::warn!(%instance, %incarnation, why = why.text, "could not start");
        self.instances.forget(&self.start);
        drop(self.held);
        let NotStarted { refused, text } = why;
        let given_up = GivenUp {
            instances: self.instances,
            start: self.start,
            beginning: self.beginning,
        };
        given_up.end(refused, text).await;
    }

    async fn gone_unwatched(self, fact: ExitFact) {
        let Identity {
            instance,
            incarnation,
            ..
        } = self.hosted.identity().clone();
        self.instances.forget(&self.start);
        drop(self.held);
        let observation = fact.observed(instance, incarnation);
        self.instances.observe(observation).await;
    }
}

/// A failure that a living instance reports, once.
async fn tell_failure(instances: &Instances, hosted: &Hosted) {
    let text = hosted.reported_failure().await;
    let Identity {
        instance,
        incarnation,
        ..
    } = hosted.identity().clone();
    tracing::warn!(%instance, %incarnation, failure = text, "reports its failure");
    let observation = Observation::Seen(Report::Failed {
        instance,
        incarnation,
        kind: FailureKind::Reported,
        presence: Presence::Living,
        evidence: Evidence::text(text),
    });
    instances.observe(observation).await;
}
