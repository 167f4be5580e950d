//! The parent of a dev cluster: starts the daemons, says when they are ready, restarts them, and ends them.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay_api::{Client, Exit, Problem};
use mainstay_protocol::code;
use rustix::process::setsid;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::daemon::{Asked, Daemon, Died};
use super::demo::Demo;
use super::identities;
use super::layout::{Layout, Removal, Size};
use super::lock::DevLock;
use super::logs::{self, Follower};
use super::ready::Wanted;
use super::reaper::{Plan, Reaper, keep_reaping};
use super::report::report;
use super::stations::Joining;
use crate::app::App;
use crate::arguments::DevArguments;
use crate::console::Volume;
use crate::home::{Context, DEV, DevCluster, Home};
use crate::outcome::{Outcome, bug, machine};
use crate::process;

/// The station that founds the cluster.
const FIRST: &str = "s1";
/// Coming up takes under 3 s; on a machine with better things to do, longer.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// A daemon that ends so often before the cluster was ready will not run at all.
const DEATHS_BEFORE_READY_MAX: u32 = 3;
/// Deaths told and not yet heard; more daemons than that end together only when all do.
const DEATHS_WAITING_MAX: usize = 64;
/// Between two looks at the logs: their size, and with -v what is new in them.
const LOGS_LOOK: Duration = Duration::from_secs(10);
const LOGS_FOLLOW: Duration = Duration::from_millis(100);

pub fn run(app: &mut App<'_>, arguments: &DevArguments) -> Outcome {
    let program = env::current_exe().map_err(|error| machine("find this program", error))?;
    let size = Size {
        stations: arguments.stations,
        nodes: arguments.nodes,
    };
    let layout = Layout::choose(arguments.dir.as_deref(), arguments.keep, size)?;
    let home_made = !app.home.directory().exists();
    let plan = Plan {
        parent: process::own(),
        removal: Removal::default(),
        directory: None,
        home: app.home.directory().to_owned(),
        home_made,
        previous: previous(&app.home)?,
    };
    // Before the lock, because even its file is something to remove; and nothing else yet, because without the lock
    // the directory may be another's.
    let mut reaper = Reaper::spawn(&program, plan.clone())?;
    let lock = match DevLock::try_take(&app.home.dev_lock()) {
        Ok(Some(lock)) => lock,
        Ok(None) => {
            // It finds that the lock and the context are another's, and leaves both.
            reaper.finish()?;
            return Err(second(&app.home));
        }
        Err(problem) => {
            // Where there can be no lock there is nothing to remove, and the reaper complains of the same.
            let _ = reaper.finish();
            return Err(problem);
        }
    };
    reaper.plan(Plan {
        removal: layout.removal.clone(),
        directory: Some(layout.root.clone()),
        ..plan.clone()
    })?;
    let reaper = Arc::new(Mutex::new(reaper));
    let cluster = DevCluster {
        parent: plan.parent,
        directory: layout.root.clone(),
        runtime: layout.runtime.clone(),
        previous: plan.previous,
    };
    let outcome = live(
        app,
        arguments,
        &program,
        &layout,
        cluster,
        Arc::clone(&reaper),
    );
    // The reaper takes the lock for its last act.
    drop(lock);
    let reaper = Arc::into_inner(reaper).expect("every daemon's task has ended with its runtime");
    let cleaned = reaper
        .into_inner()
        .expect("nobody panics while telling the reaper")
        .finish();
    let exit = outcome?;
    cleaned?;
    if arguments.keep || layout.reopened {
        app.console.say(&format!(
            "kept: mainstay dev --dir {}",
            layout.root.display()
        ));
    }
    Ok(exit)
}

/// From the first directory to the last daemon's end. On return nothing of it runs.
fn live(
    app: &mut App<'_>,
    arguments: &DevArguments,
    program: &Path,
    layout: &Layout,
    cluster: DevCluster,
    reaper: Arc<Mutex<Reaper>>,
) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| bug("start the parent's runtime", error))?;
    if arguments.detached {
        // Fails only for a leader of a process group, whom the terminal does not know either.
        let _ = setsid();
    }
    runtime.block_on(async {
        let mut signals = Signals::listen()?;
        layout.make(arguments.keep)?;
        identities::make(layout)?;
        let wanted = Wanted {
            size: layout.size,
            joining: Joining::all(layout),
            // Once: later the operator's word counts, also where it was "stop".
            demo: match !arguments.no_demo && layout.fresh {
                true => Some(Demo::prepare(
                    &mut app.console,
                    program,
                    layout,
                    arguments.nodes,
                )?),
                false => None,
            },
            timeout: app.global.timeout.unwrap_or(READY_TIMEOUT),
        };
        app.home.write(&Context {
            name: DEV.to_owned(),
            sockets: layout.api_sockets(),
            stations: Vec::new(),
            identity: None,
            dev: Some(cluster),
        })?;
        app.home.make_current(DEV)?;
        let (ask, asked) = watch::channel(Asked::Run);
        let (tell, mut died) = mpsc::channel(DEATHS_WAITING_MAX);
        let mut running = start_all(arguments, program, layout, reaper, &asked, &tell);
        // Each has its own: with the last of them the news of deaths end.
        drop((asked, tell));
        let outcome = watch_over(
            app,
            arguments,
            layout,
            &wanted,
            &mut signals,
            &mut died,
            &mut running,
        )
        .await;
        // Closed, not merely unread: no daemon's task waits for a listener.
        drop(died);
        ask.send_replace(Asked::End);
        loop {
            tokio::select! {
                ended = running.join_next() => if ended.is_none() { break },
                () = signals.next() => { ask.send_replace(Asked::Kill); }
            }
        }
        outcome
    })
}

/// The daemons, and whoever clears up after them: each kept running until it is asked to end.
fn start_all(
    arguments: &DevArguments,
    program: &Path,
    layout: &Layout,
    reaper: Arc<Mutex<Reaper>>,
    asked: &watch::Receiver<Asked>,
    tell: &mpsc::Sender<Died>,
) -> JoinSet<Result<(), Problem>> {
    let mut running = JoinSet::new();
    let agents = agents(arguments, program, layout);
    for daemon in stations(arguments, program, layout)
        .into_iter()
        .chain(agents)
    {
        running.spawn(daemon.keep_running(Arc::clone(&reaper), asked.clone(), tell.clone()));
    }
    running.spawn(keep_reaping(reaper, asked.clone(), tell.clone()));
    running
}

/// Until a signal: ready, then whatever happens.
async fn watch_over(
    app: &mut App<'_>,
    arguments: &DevArguments,
    layout: &Layout,
    wanted: &Wanted,
    signals: &mut Signals,
    died: &mut mpsc::Receiver<Died>,
    running: &mut JoinSet<Result<(), Problem>>,
) -> Outcome {
    let names: Vec<String> = layout.size.daemons().collect();
    let mut followers: Vec<Follower> = match app.console.style.volume {
        Volume::Verbose => names
            .iter()
            .map(|name| Follower::new(name, layout.log(name)))
            .collect(),
        Volume::Quiet | Volume::Normal => Vec::new(),
    };
    let sockets = layout.api_sockets();
    let each: Vec<Client> = sockets.iter().map(Client::new).collect();
    let all = Client::of(sockets);
    let coming_up = wanted.come_up(&each, &all);
    tokio::pin!(coming_up);
    let mut ready = false;
    let mut follow = tokio::time::interval(if followers.is_empty() {
        LOGS_LOOK
    } else {
        LOGS_FOLLOW
    });
    loop {
        tokio::select! {
            () = signals.next() => return Ok(Exit::Ok),
            up = &mut coming_up, if !ready => {
                up.map_err(|problem| with_log(problem, layout, FIRST))?;
                ready = true;
                report(app, arguments, layout, wanted.demo.as_ref())?;
            }
            Some(death) = died.recv() => {
                let fatal = !ready && death.times >= DEATHS_BEFORE_READY_MAX;
                app.console.say(&format!("{} {}; again in {} ms", death.name, death.how, death.again_in.as_millis()));
                if fatal {
                    return Err(will_not_run(layout, &death));
                }
            }
            Some(ended) = running.join_next() => match ended {
                // Only a failure to spawn ends a task while nobody asked.
                Ok(result) => result?,
                Err(error) => return Err(bug("run the dev cluster", error)),
            },
            _ = follow.tick() => {
                for line in followers.iter_mut().flat_map(Follower::new_lines) {
                    app.console.detail(&line);
                }
                for name in &names {
                    // A log that is not there yet has no size.
                    let _ = logs::bound(&layout.log(name));
                }
            }
        }
    }
}

/// One of a cluster's programs, tied to this one.
fn daemon(program: &Path, binary: &Option<PathBuf>, layout: &Layout, name: &str) -> Daemon {
    Daemon {
        name: name.to_owned(),
        launcher: program.to_owned(),
        program: binary.clone().unwrap_or_else(|| program.to_owned()),
        arguments: Vec::new(),
        log: layout.log(name),
    }
}

/// Station sN is on node nN, as far as there is one. Who it is, and of which cluster, lies in its directory.
fn stations(arguments: &DevArguments, program: &Path, layout: &Layout) -> Vec<Daemon> {
    let nodes: Vec<String> = layout.size.nodes().collect();
    let station = |(at, name): (usize, String)| {
        let mut station = daemon(program, &arguments.station_bin, layout, &name);
        let words = ["station", "run", "--chaos", "--profile", "dev"];
        station.arguments.extend(words.map(OsString::from));
        if let Some(node) = nodes.get(at) {
            station.arguments.extend(["--node".into(), node.into()]);
        }
        station.arguments.extend([
            "--dir".into(),
            layout.data(&name).into(),
            "--api".into(),
            layout.api_socket(&name).into(),
            "--agents".into(),
            layout.session_socket(&name).into(),
        ]);
        station
    };
    layout.size.stations().enumerate().map(station).collect()
}

/// One for each node; where the stations are lies in its directory.
fn agents(arguments: &DevArguments, program: &Path, layout: &Layout) -> Vec<Daemon> {
    let agent = |name: String| {
        let mut agent = daemon(program, &arguments.agent_bin, layout, &name);
        let words = ["agent", "run", "--chaos", "--node", &name];
        agent.arguments.extend(words.map(OsString::from));
        agent
            .arguments
            .extend(["--dir".into(), layout.data(&name).into()]);
        agent
    };
    layout.size.nodes().map(agent).collect()
}

/// The context to go back to. One that a killed dev cluster left current is looked through.
fn previous(home: &Home) -> Result<Option<String>, Problem> {
    let current = home.current()?;
    if current.as_deref() != Some(DEV) {
        return Ok(current);
    }
    Ok(home
        .context(DEV)?
        .and_then(|context| context.dev)
        .and_then(|dev| dev.previous))
}

fn second(home: &Home) -> Problem {
    let first = match home.context(DEV) {
        Ok(Some(Context { dev: Some(dev), .. })) => {
            format!(
                "process {} runs one, with its data in {}",
                dev.parent.pid,
                dev.directory.display()
            )
        }
        Ok(_) | Err(_) => "another one is just starting or ending".to_owned(),
    };
    let mut problem = Problem::new(
        code::DATA_DIRECTORY,
        "start a dev cluster",
        format!(
            "{first}, and a home ({}) has one at most",
            home.directory().display()
        ),
    )
    .to_do("mainstay status");
    problem.exit = Exit::Conflict;
    problem
}

fn with_log(mut problem: Problem, layout: &Layout, name: &str) -> Problem {
    if let Some(line) = logs::last_words(&layout.log(name)) {
        problem.why = format!("{}; the last words of {name}: {line}", problem.why);
    }
    problem
}

fn will_not_run(layout: &Layout, death: &Died) -> Problem {
    let problem = Problem::new(
        code::TARGET_FAILED,
        format!("start {}", death.name),
        format!("it {} {} times", death.how, death.times),
    )
    .to_do("mainstay dev -v");
    with_log(problem, layout, &death.name)
}

/// The ways a person or a machine asks for the end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Problem> {
        let listen = |kind| signal(kind).map_err(|error| machine("listen for signals", error));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
