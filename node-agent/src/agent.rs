//! The agent as a whole: types, start-up, the control thread, the end.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use mainstay_identity::{DIRECTORY, Keep, Renewing};
use mainstay_protocol::code;
use mainstay_protocol::health::ProcessIdentity;
use mainstay_protocol::{AgentRunId, NodeName, limits};
use mainstay_service::hosting::{self, Runtimes, Stage};
use mainstay_service::{Service, TypeSet, TypesClash};
use mainstay_supervisor::{
    Action, AgentCore, Clock, Observation, SupervisorConfig, SupervisorHandle, supervise,
};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::adoption;
use crate::agent_file::AgentFile;
use crate::arguments::{AgentArguments, AgentCommand, UserBinary, UserCommand};
use crate::artifacts::Artifacts;
use crate::directory::Directory;
use crate::driver::{Driver, Ended, Endings};
use crate::held::hold_program;
use crate::hosts::Hosts;
use crate::instances::{Holding, Instances, Whom};
use crate::lookups::Lookups;
use crate::machine;
use crate::mesh::{Guarding, Listening, Mesh, Watching};
use crate::options::{AgentOptions, CannotRun};
use crate::own_logs::OwnLogs;
use crate::programs::Programs;
use crate::requests::Requests;
use crate::secret_files;
use crate::secrets::Secrets;
use crate::session::{Pulse, Session};
use crate::types;

/// An agent ending in order gives its instances so long, all together.
const FAREWELL: Duration = Duration::from_secs(2);

/// An agent's service types. The system's own are always there.
#[derive(Debug)]
pub struct Agent {
    types: TypeSet,
    clash: Option<TypesClash>,
}

impl Default for Agent {
    fn default() -> Self {
        Self::new()
    }
}

impl Agent {
    pub fn new() -> Self {
        let mut types = TypeSet::default();
        let clash = types::add_to(&mut types).err();
        Self { types, clash }
    }

    /// Adds a type. What clashes is said when the agent runs, before anything is started.
    #[must_use]
    pub fn service<S: Service>(mut self) -> Self {
        if let Err(clash) = self.types.add::<S>() {
            self.clash.get_or_insert(clash);
        }
        self
    }

    /// The same, with the arguments of `agent run`.
    pub fn run_as_told(self, arguments: AgentArguments) -> ExitCode {
        match arguments.options() {
            Ok(options) => self.run_with(options),
            Err(cannot) => {
                eprintln!("{cannot}");
                cannot.exit_code()
            }
        }
    }

    /// Runs on this thread until it is asked to stop.
    pub fn run_with(self, options: AgentOptions) -> ExitCode {
        match self.try_run(options) {
            Ok(code) => code,
            Err(cannot) => {
                eprintln!("{cannot}");
                cannot.exit_code()
            }
        }
    }

    fn try_run(self, options: AgentOptions) -> Result<ExitCode, CannotRun> {
        if let Some(clash) = self.clash {
            return Err(CannotRun {
                what: "the agent's service types cannot be provided together".to_owned(),
                why: clash.to_string(),
                remedy: "change the types' TypeInfo in the agent's code".to_owned(),
                code: code::BAD_REQUEST,
                exit: 4,
            });
        }
        if options.stations.is_empty() {
            return Err(CannotRun {
                what: "the agent does not start".to_owned(),
                why: "it was told no station".to_owned(),
                remedy: "name at least one in AgentOptions.stations".to_owned(),
                code: code::BAD_REQUEST,
                exit: 2,
            });
        }
        if let Some(parent) = options.parent {
            die_with(parent)?;
        }
        log_to_stderr(options.log.as_deref());
        let directory = Directory::open(&options.dir)?;
        let runtimes = Runtimes::new().map_err(|error| broken("start its threads", &error))?;
        let control = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| broken("start its control thread", &error))?;
        let ended = control.block_on(live(self.types, options, directory, &runtimes))?;
        // Threads of services that never yield must not hold up the end.
        control.shutdown_background();
        Ok(match ended {
            Ended::Asked => ExitCode::SUCCESS,
            Ended::Broken => ExitCode::FAILURE,
        })
    }
}

/// The `main` of a user's own agent: takes `agent run ...`, as `mainstay dev --agent-bin` starts it.
pub fn run(agent: Agent) -> ExitCode {
    let UserCommand::Agent { command } = UserBinary::parse().command;
    let AgentCommand::Run(arguments) = command;
    agent.run_as_told(arguments)
}

async fn live(
    types: TypeSet,
    options: AgentOptions,
    directory: Directory,
    runtimes: &Runtimes,
) -> Result<Ended, CannotRun> {
    let signals = told_to_end()?;
    let (host, host_ended) = hosting::spawn_host()
        .await
        .map_err(|error| broken("start its host", &error))?;
    let stage = runtimes.stage(host);
    let (observations, observed) = mpsc::channel(limits::OBSERVATIONS_MAX);
    let (supervisor, supervision_ended) = watched(&stage, &observations).await?;
    let shown = shown(directory.path())?;
    let listening = Listening::bind(&options, shown.as_ref()).await?;
    let recalled = recall(&options, &types, &directory)?;
    let (ask_to_end, asked_to_end) = mpsc::channel(1);
    let programs = Programs::bind(directory.path());
    let mesh = Mesh::new(options.node.clone(), options.cluster, shown.clone());
    let whom = Whom {
        socket: programs.as_ref().map(|programs| programs.path().to_owned()),
        ..whom(&options, observations.clone(), supervisor.clone(), mesh)
    };
    let instances = Instances::new(
        types,
        stage,
        directory,
        whom.clone(),
        process()?,
        holding(&options),
    );
    let requests = Requests::new(
        instances.clone(),
        supervisor,
        whom.mesh.clone(),
        Hosts::new(recalled.agent_run),
        options.chaos,
        ask_to_end,
    );
    let (events, happened) = mpsc::channel(limits::SESSION_QUEUE_MAX);
    let guarding = Guarding::new(whom.mesh.clone(), observations.clone());
    let watching = Watching::new(whom.mesh.clone(), observations);
    let session = Session::new(
        &options,
        shown,
        events,
        requests.clone(),
        whom.pulse.clone(),
        (whom.asks.clone(), whom.lookups),
        (guarding, watching, listening.whereabouts()),
    );
    tracing::info!(node = %options.node, dir = %options.dir.display(), "agent runs");
    let session = tokio::spawn(session.run());
    let listening = tokio::spawn(listening.serve(whom.mesh, requests));
    let besides = (instances.clone(), whom.asks.1);
    let programs = tokio::spawn(serve(programs, options.node, besides));
    let endings = Endings {
        signals,
        asked_to_end,
        host_ended,
        supervision_ended,
    };
    let driver = Driver::new(recalled.core, recalled.file, instances.clone(), whom.pulse);
    driver.begin_with(recalled.adoptions);
    let ended = driver.run(happened, observed, endings).await;
    session.abort();
    listening.abort();
    programs.abort();
    Ok(part(&instances, ended).await)
}

fn process() -> Result<ProcessIdentity, CannotRun> {
    machine::process().map_err(|error| broken("learn about its own process", &error))
}

fn whom(
    options: &AgentOptions,
    observations: mpsc::Sender<Observation>,
    supervisor: SupervisorHandle,
    mesh: Mesh,
) -> Whom {
    Whom {
        node: options.node.clone(),
        observations,
        pulse: Pulse::new(supervisor.clone()),
        supervisor,
        asks: (Secrets::default(), Artifacts::of(&options.dir)),
        lookups: Lookups::default(),
        mesh,
        socket: None,
    }
}

async fn serve(
    programs: Option<Programs>,
    node: NodeName,
    (instances, artifacts): (Instances, Artifacts),
) {
    let there = instances.clone();
    let looking = artifacts.look_through(move || there.incarnations());
    let serving = async {
        if let Some(programs) = programs {
            programs.serve(node, Arc::new(instances)).await;
        }
    };
    tokio::join!(looking, serving);
}

async fn watched(
    stage: &Stage,
    observations: &mpsc::Sender<Observation>,
) -> Result<(SupervisorHandle, JoinHandle<()>), CannotRun> {
    let supervision = supervise(SupervisorConfig {
        probes: stage.probes.clone(),
        observations: observations.clone(),
        pacing: Arc::new(Clock),
    });
    supervision
        .await
        .map_err(|error| broken("start its supervisor", &error))
}

/// What it shows over the network, if it joined.
fn shown(dir: &Path) -> Result<Option<Renewing>, CannotRun> {
    let keep = Keep::at(dir.join(DIRECTORY));
    if !keep.is_there() {
        return Ok(None);
    }
    let shown = Renewing::of(keep);
    shown
        .map(Some)
        .map_err(|error| broken("read what it shows over the network", &error))
}

async fn part(instances: &Instances, ended: Ended) -> Ended {
    instances.leave();
    if ended == Ended::Asked {
        instances.farewell(FAREWELL).await;
    }
    ended
}

/// What the agent knows from its earlier life, and what outlived that.
struct Recalled {
    agent_run: AgentRunId,
    core: AgentCore,
    file: AgentFile,
    adoptions: Vec<Action>,
}

fn recall(
    options: &AgentOptions,
    types: &TypeSet,
    directory: &Directory,
) -> Result<Recalled, CannotRun> {
    let identity = machine::identity(options, types.declarations())
        .map_err(|error| broken("learn about its machine", &error))?;
    let agent_run = identity.agent_run;
    let (mut file, recovered) =
        AgentFile::open(directory.path()).map_err(|error| broken("open its file", &error))?;
    let survivors = adoption::survey(&directory.slots(), &identity.node, &identity.boot_id);
    let (core, output) = AgentCore::adopting(identity, recovered, survivors);
    file.append(&output.persist)
        .map_err(|error| broken("write its file", &error))?;
    // What lives has its name, and what it was given.
    secret_files::sweep(directory.path(), |name| directory.is_held(name));
    Ok(Recalled {
        agent_run,
        core,
        file,
        adoptions: output.actions,
    })
}

fn holding(options: &AgentOptions) -> Holding {
    Holding {
        hold: hold_program(options.hold.clone()),
        memory_groups: options.memory_groups.clone(),
        chaos: options.chaos,
    }
}

type Listened = tokio::signal::unix::Signal;

/// Ends with the first signal that asks for the end.
fn told_to_end() -> Result<impl Future<Output = ()>, CannotRun> {
    let (terminate, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
    Ok(either(listen(terminate)?, listen(interrupt)?))
}

async fn either(mut one: Listened, mut other: Listened) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

fn listen(kind: SignalKind) -> Result<Listened, CannotRun> {
    signal(kind).map_err(|error| broken("listen to signals", &error))
}

/// The kernel kills us when the parent is gone; if it went before we asked, we go by ourselves.
fn die_with(parent: u32) -> Result<(), CannotRun> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| broken("bind its life to its parent's", &error))?;
    let now = getppid().map(Pid::as_raw_nonzero);
    if now.is_none_or(|now| u32::try_from(now.get()) != Ok(parent)) {
        return Err(CannotRun {
            what: "the agent does not start".to_owned(),
            why: format!("process {parent}, with which it was to live and end, is not its parent"),
            remedy: "start it again without --parent".to_owned(),
            code: code::BAD_REQUEST,
            exit: 2,
        });
    }
    Ok(())
}

/// The layer that writes what instances say into their own logs. [`run`] puts it up; a program that has a subscriber of
/// its own, over a [`Registry`](tracing_subscriber::Registry), adds it.
pub fn own_logs<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    OwnLogs.with_filter(LevelFilter::INFO)
}

/// The client of an outside queue tells each of its attempts; that it is away is told once, by whoever uses it.
const LOGGED: &str = "info,async_nats=off";

/// What a daemon has to tell goes to stderr, structured and without colour: it ends in files and journals.
pub fn log_to_stderr(filter: Option<&str>) {
    let filter = filter.map_or_else(
        || EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED)),
        EnvFilter::new,
    );
    let agents = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .with_filter(filter);
    // A program that has its own log keeps it.
    let _ = tracing_subscriber::registry()
        .with(agents)
        .with(own_logs())
        .try_init();
}

fn broken(what: &str, error: &dyn std::error::Error) -> CannotRun {
    CannotRun {
        what: format!("the agent cannot {what}"),
        why: error.to_string(),
        remedy: "mainstay status".to_owned(),
        code: code::INTERNAL,
        exit: 1,
    }
}
