//! Starting and stopping a station: the data directory first, because its lock says that there is no other; then
//! the coordinator's supervisor; then the sockets.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use mainstay_api::Time;
use mainstay_coordinator::{CoreConfig, Found, Procedure, Rule, Rules, StationLife};
use mainstay_identity::{DIRECTORY, Keep, local};
use mainstay_orchestrator::{ModelProvider, Models, TwoForOne};
use mainstay_protocol::handshake::Handshake;
use mainstay_protocol::{Address, ClusterId, Epoch, StationRunId, limits};
use mainstay_queue_nats::Nats;
use mainstay_resource_graph::ViewExt;
use mainstay_store::{Opened, Store, StoreConfig};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::access::{self, Access};
use crate::clock::{Clock, wall_ms as wall_ms_now};
use crate::driver::Inputs;
use crate::group::{self, LogWays, Ways, introduction};
use crate::http;
use crate::options::StationOptions;
use crate::queue::Outside;
use crate::recovery_supervisor::{Over, RecoverySupervisor};
use crate::sessions::{self, Ground, ListenerConfig};
use crate::shared::{About, Shared};
use crate::start_error::{StartError, failed};
use crate::watchdog::{self, Watchdog};
use crate::{cluster, descriptors};

/// What the process ends with when its leader core panicked or its log closed by itself; its starter may start it
/// again.
pub const EXIT_CORE_GONE: u8 = 70;
/// Time for open requests to be answered when the station stops.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// A station, and the rules and service models linked into it.
#[derive(Debug)]
pub struct Station {
    rules: Rules,
    /// Or the model that two are there for.
    models: Result<Models, TwoForOne>,
}

/// A station at work.
pub struct Running {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    end: watch::Sender<bool>,
    coordinator: JoinHandle<Over>,
    listeners: Vec<JoinHandle<()>>,
    sockets: Vec<PathBuf>,
}

impl Default for Station {
    fn default() -> Self {
        Self::new()
    }
}

impl Station {
    /// With the rules and the models that come with the system.
    pub fn new() -> Self {
        Self {
            rules: Rules::shipped(),
            models: Ok(Models::shipped()),
        }
    }

    /// Links a rule in, behind those that are there; one of the same name takes the other's place.
    #[must_use]
    pub fn rule<R: Rule>(mut self) -> Self {
        self.rules = self.rules.with::<R>();
        self
    }

    /// The same for a rule that goes over several steps.
    #[must_use]
    pub fn procedure<P: Procedure>(mut self) -> Self {
        self.rules = self.rules.with_procedure::<P>();
        self
    }

    /// Links in who knows a service model of its own; a station with two for one does not start.
    #[must_use]
    pub fn model(mut self, provider: impl ModelProvider + 'static) -> Self {
        self.models = self.models.and_then(|models| models.with(provider));
        self
    }

    /// Runs until a signal says stop. Owns the process: an exit code is all that comes back.
    pub fn run(self, options: StationOptions) -> ExitCode {
        let runtime = match Runtime::new() {
            Ok(runtime) => runtime,
            Err(error) => return failed(&options.dir, &StartError::Process(error)),
        };
        let dir = options.dir.clone();
        let code = runtime.block_on(async {
            match self.start(options).await {
                Ok(running) => running.until_signal().await,
                Err(error) => failed(&dir, &error),
            }
        });
        runtime.shutdown_timeout(STOP_GRACE);
        code
    }

    /// Starts within a runtime that is there already.
    pub async fn start(self, options: StationOptions) -> Result<Running, StartError> {
        let models = self.models?;
        prepare_process(&options)?;
        let access = Access::of_directory(&options.dir)?.map(Arc::new);
        let keep = Keep::at(options.dir.join(DIRECTORY));
        store_is_there(&options, &keep)?;
        let cluster = cluster::of_directory(&options, access.as_deref())?;
        let life = life(&options);
        let shown = access.as_ref().map(|access| access.shown().clone());
        let ways = Ways::new(introduction(&options, cluster, &life), shown);
        let queue = outside_queue(&options, cluster)?;
        let (store, opened) = open(&options, cluster, &ways).await?;
        let clock = Clock::new();
        let prepared = match both_there(&options, &keep, access.as_deref(), &store) {
            Ok(()) => prepare(&options, access.as_deref(), clock).await,
            Err(error) => Err(error),
        };
        let (sockets, watchdog) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                end_log(move || store.shutdown()).await;
                return Err(error);
            }
        };
        let (inbox, submitted) = mpsc::channel(limits::INBOX_EVENTS_MAX);
        let known = opened.graph.cluster().map(|cluster| cluster.epoch);
        let known = known.max(opened.begun);
        ways.of_epoch(known.unwrap_or_default());
        let log_time = store.view().log_time();
        let rules = runnable(self.rules, &options.dir);
        let founded = access.as_deref().and_then(Access::founded);
        let about = about(&options, &rules, life.clone());
        let shared = pinned(Shared::new(store, about, inbox, ways, access, queue));
        shared.applied(opened.report.revision);
        let end = watch::Sender::new(false);
        let supervisor = RecoverySupervisor {
            config: CoreConfig {
                found: Found {
                    authority: founded,
                    ..found(&options, cluster, &life)
                },
                epoch: known.unwrap_or(Epoch(1)),
                models: Arc::new(models),
                outside_queue: shared.queue.is_some(),
            },
            rules,
            graph: opened.graph,
            log_time,
            log: opened.log,
            inputs: Inputs {
                inbox: submitted,
                log: opened.events,
            },
            shared: Arc::clone(&shared),
            clock,
            watchdog,
            end: end.subscribe(),
        };
        let stop = watch::Sender::new(false);
        let handshake = introduction(&options, cluster, &life);
        beside(&shared, &options, &stop);
        Ok(Running {
            coordinator: tokio::spawn(supervisor.run()),
            listeners: sockets.serve(&shared, handshake, &stop),
            shared,
            stop,
            end,
            sockets: vec![options.sessions_socket, options.api_socket],
        })
    }
}

/// Nothing is connected before this station leads: a queue that is away ends no station.
fn outside_queue(
    options: &StationOptions,
    cluster: ClusterId,
) -> Result<Option<Arc<Outside>>, StartError> {
    let Some(nats) = options.nats.clone() else {
        return Ok(None);
    };
    let at = nats.servers.clone();
    let engine = Nats::new(nats, &cluster.to_string())?;
    Ok(Some(Outside::new(Arc::new(engine), at)))
}

fn life(options: &StationOptions) -> StationLife {
    StationLife {
        run: StationRunId(Uuid::new_v4()),
        build: env!("CARGO_PKG_VERSION").to_owned(),
        node: options.node.clone(),
    }
}

/// A station that voted and has forgotten it must not vote again.
fn store_is_there(options: &StationOptions, keep: &Keep) -> Result<(), StartError> {
    let gone = keep.had_store() && mainstay_store::identity(&options.dir)?.is_none();
    let name = options.station.to_string();
    match gone {
        true => Err(StartError::StoreGone { name }),
        false => Ok(()),
    }
}

/// The store and what is shown belong together; each is noted by the other.
fn both_there(
    options: &StationOptions,
    keep: &Keep,
    access: Option<&Access>,
    store: &Store,
) -> Result<(), StartError> {
    let cluster = store.view().cluster();
    let has_authority = cluster.is_some_and(|cluster| cluster.authority.is_some());
    if access.is_none() {
        let dir = keep.directory().to_owned();
        return match has_authority && options.listen.is_none() {
            true => Err(StartError::IdentityGone { dir }),
            false => Ok(()),
        };
    }
    keep.note_store()?;
    if has_authority {
        keep.forget_founding()?;
    }
    Ok(())
}

/// Everything that a station needs of its machine, before anything serves.
async fn prepare(
    options: &StationOptions,
    access: Option<&Access>,
    clock: Clock,
) -> Result<(Sockets, Watchdog), StartError> {
    let sockets = Sockets::open(options, access).await?;
    let watchdog = Watchdog::start(clock, &options.dir, options.profile.core_call());
    Ok((sockets, watchdog.map_err(StartError::Process)?))
}

/// What goes on for as long as the station runs, whoever leads.
fn beside(shared: &Arc<Shared>, options: &StationOptions, stop: &watch::Sender<bool>) {
    tokio::spawn(group::watch(Arc::clone(shared), stop.subscribe()));
    if shared.access.is_some() {
        let renewing = access::keep_renewed(Arc::clone(shared));
        tokio::spawn(until_stopped(renewing, stop.subscribe()));
    }
    if !options.group.is_empty() {
        let group = options.group.clone();
        let joining = group::ask_in(Arc::clone(shared), address(options), group);
        tokio::spawn(until_stopped(joining, stop.subscribe()));
    }
}

async fn until_stopped(work: impl Future<Output = ()>, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = work => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

fn prepare_process(options: &StationOptions) -> Result<(), StartError> {
    if options.die_with_parent {
        let signal = Some(rustix::process::Signal::TERM);
        rustix::process::set_parent_process_death_signal(signal)
            .map_err(|error| StartError::Process(error.into()))?;
    }
    descriptors::allow();
    Ok(())
}

/// Without the users' rules, where one of them has ended this station again and again.
fn runnable(rules: Rules, directory: &Path) -> Rules {
    match watchdog::reason_to_suspend(directory) {
        Some(why) => {
            tracing::error!(why, "users' rules are not run");
            rules.suspend_users(why)
        }
        None => rules,
    }
}

fn about(options: &StationOptions, rules: &Rules, life: StationLife) -> About {
    About {
        station: options.station,
        life,
        rules: rules.clone(),
        started: Time::from_wall_ms(wall_ms_now()),
        chaos: options.chaos,
    }
}

/// Log time is told as the wall clock was when the newest entry was written.
fn pinned(shared: Arc<Shared>) -> Arc<Shared> {
    let (log_time, wall_ms) = {
        let view = shared.store.view();
        (view.log_time(), view.wall_ms())
    };
    if wall_ms > 0 {
        shared.pin_wall(log_time, wall_ms);
    }
    shared
}

/// Both listeners, open before anything serves.
struct Sockets {
    sessions: UnixListener,
    api: UnixListener,
    network: Option<Arc<TcpListener>>,
}

impl Sockets {
    async fn open(options: &StationOptions, access: Option<&Access>) -> Result<Self, StartError> {
        let open = |path: &Path| {
            local::listen(path).map_err(|cause| StartError::Socket {
                path: path.to_owned(),
                cause,
            })
        };
        Ok(Self {
            sessions: open(&options.sessions_socket)?,
            api: open(&options.api_socket)?,
            network: Self::network(options, access).await?,
        })
    }

    async fn network(
        options: &StationOptions,
        access: Option<&Access>,
    ) -> Result<Option<Arc<TcpListener>>, StartError> {
        let Some(Address::Tls { host, port }) = &options.listen else {
            return Ok(None);
        };
        let address = || format!("{host}:{port}");
        if access.is_none() {
            return Err(StartError::NothingToShow { address: address() });
        }
        let bound = sessions::bind(host, *port).await;
        bound
            .map(Arc::new)
            .map(Some)
            .map_err(|cause| StartError::Address {
                address: address(),
                cause,
            })
    }

    fn serve(
        self,
        shared: &Arc<Shared>,
        handshake: Handshake,
        stop: &watch::Sender<bool>,
    ) -> Vec<JoinHandle<()>> {
        let (passed_on, to_api) = mpsc::channel(limits::HANDSHAKES_MAX);
        let sessions = sessions::listen(ListenerConfig {
            local: self.sessions,
            network: self.network,
            stop: stop.subscribe(),
            ground: Ground {
                shared: Arc::clone(shared),
                handshake: Arc::new(handshake),
                to_api: passed_on,
            },
        });
        let api = http::serve(self.api, to_api, Arc::clone(shared), stop.subscribe());
        vec![tokio::spawn(sessions), tokio::spawn(api)]
    }
}

/// The log's own runtime may only end where blocking is allowed.
async fn end_log(shutdown: impl FnOnce() + Send + 'static) {
    if tokio::task::spawn_blocking(shutdown).await.is_err() {
        tracing::error!("ending the log panicked");
    }
}

impl Running {
    async fn until_signal(mut self) -> ExitCode {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut terminate), Ok(mut interrupt)) = (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
        ) else {
            tracing::error!("signals cannot be received");
            return ExitCode::FAILURE;
        };
        let unasked = tokio::select! {
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
            over = &mut self.coordinator => Some(over.unwrap_or(Over::CorePanicked)),
        };
        match unasked {
            None => {
                self.stop().await;
                ExitCode::SUCCESS
            }
            // The coordinator has been waited for; there is nothing left to stop in order.
            Some(over) => ended_unasked(over),
        }
    }

    /// Closes the sockets, lets open requests end, then ends the log.
    pub async fn stop(self) {
        group::hand_over(&self.shared).await;
        self.stop.send_replace(true);
        for listener in self.listeners {
            let abort = listener.abort_handle();
            if tokio::time::timeout(STOP_GRACE, listener).await.is_err() {
                abort.abort();
            }
        }
        for socket in &self.sockets {
            drop(std::fs::remove_file(socket));
        }
        let farewell = async {
            match self.shared.leads() {
                true => self.shared.farewell().await,
                false => http::say_farewell(&self.shared).await,
            }
        };
        if tokio::time::timeout(STOP_GRACE, farewell).await.is_err() {
            tracing::warn!(
                "the log took no last words; the next start will say that this life did not end in order"
            );
        }
        self.end.send_replace(true);
        let abort = self.coordinator.abort_handle();
        if tokio::time::timeout(STOP_GRACE, self.coordinator)
            .await
            .is_err()
        {
            abort.abort();
        }
        let shared = self.shared;
        end_log(move || shared.store.shutdown()).await;
    }
}

/// A coordinator that is gone without anybody's wish leaves a station that can decide nothing: the process ends, and
/// whoever started it starts it again from disk.
fn ended_unasked(over: Over) -> ExitCode {
    let why = match over {
        Over::CorePanicked => "the leader core panicked",
        Over::LogClosed => "the log closed by itself",
        Over::Stopped => "the coordinator ended by itself",
    };
    tracing::error!(why, "the process ends; what is on disk stands");
    eprintln!(
        "mainstay: {why}; the station ends and must be started again, what is on disk stands"
    );
    ExitCode::from(EXIT_CORE_GONE)
}

async fn open(
    options: &StationOptions,
    cluster: ClusterId,
    ways: &Arc<Ways>,
) -> Result<(Store, Opened), StartError> {
    let mut config = StoreConfig::new(&options.dir, cluster, options.station);
    config.address = address(options);
    config.snapshot_entries = options.snapshot_entries;
    config.history_bytes = options.history_bytes;
    config.founds = options.joins.is_none();
    let reach = Arc::new(LogWays(Arc::clone(ways)));
    let opened = tokio::task::spawn_blocking(move || Store::open_in_group(config, reach)).await;
    Ok(opened.map_err(|panic| StartError::Process(std::io::Error::other(panic)))??)
}

fn found(options: &StationOptions, cluster: ClusterId, life: &StationLife) -> Found {
    Found {
        cluster,
        name: options.cluster_name.clone(),
        settings: options.profile.settings(),
        station: options.station,
        address: address(options),
        life: life.clone(),
        authority: None,
    }
}

fn address(options: &StationOptions) -> String {
    if let Some(listen) = &options.listen {
        return listen.to_string();
    }
    format!("unix:{}", options.sessions_socket.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_orchestrator::Basic;
    use mainstay_protocol::ClusterName;

    // case: orchestrations 64
    #[tokio::test]
    async fn a_station_with_two_providers_of_one_model_does_not_start() {
        let dir = tempfile::tempdir().unwrap();
        let options = StationOptions::new(dir.path(), ClusterName::new("test").unwrap());
        let twice = Station::new().model(Basic).start(options).await;
        let error = twice.err().expect("it starts with neither");
        assert!(matches!(error, StartError::Models(_)), "{error}");
        assert!(error.to_string().contains("service.basic.1"), "{error}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_log_that_closes_by_itself_ends_the_station_with_its_own_code() {
        let dir = tempfile::tempdir().unwrap();
        let options = StationOptions::new(dir.path(), ClusterName::new("test").unwrap());
        let running = Station::new().start(options).await.unwrap();
        let shared = Arc::clone(&running.shared);
        let ended = tokio::spawn(running.until_signal());
        end_log(move || shared.store.shutdown()).await;
        let code = tokio::time::timeout(Duration::from_secs(60), ended).await;
        let code = code.expect("it ends").expect("it does not panic");
        assert_eq!(code, ExitCode::from(EXIT_CORE_GONE));
    }
}
