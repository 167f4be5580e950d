//! The parent of a dev cluster: starts the daemons, says when they are ready, restarts them, and ends them.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay_api::{Client, Exit, Problem};
use mainstay_protocol::code;
use rustix::process::setsid;
use rustix::stdio::{dup2_stderr, dup2_stdout};
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::daemon::{Asked, Daemon, Died};
use super::demo::Demo;
use super::layout::{Layout, Removal};
use super::lock::DevLock;
use super::logs::{self, Follower};
use super::ready::Wanted;
use super::reaper::{Plan, Reaper, keep_reaping};
use crate::app::App;
use crate::arguments::DevArguments;
use crate::console::Volume;
use crate::home::{Context, DEV, DevCluster, Home};
use crate::outcome::{Outcome, bug, machine};
use crate::process;

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
    let layout = Layout::choose(arguments.dir.as_deref(), arguments.keep, arguments.nodes)?;
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
        layout.make(arguments.keep, arguments.nodes)?;
        let wanted = Wanted {
            nodes: arguments.nodes,
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
            socket: layout.api_socket(),
            dev: Some(cluster),
        })?;
        app.home.make_current(DEV)?;
        let (ask, asked) = watch::channel(Asked::Run);
        let (tell, mut died) = mpsc::channel(DEATHS_WAITING_MAX);
        let mut running = JoinSet::new();
        for daemon in daemons(arguments, program, layout) {
            running.spawn(daemon.keep_running(Arc::clone(&reaper), asked.clone(), tell.clone()));
        }
        running.spawn(keep_reaping(reaper, asked, tell));
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
    let names = daemon_names(arguments.nodes);
    let mut followers: Vec<Follower> = match app.console.style.volume {
        Volume::Verbose => names
            .iter()
            .map(|name| Follower::new(name, layout.log(name)))
            .collect(),
        Volume::Quiet | Volume::Normal => Vec::new(),
    };
    let client = Client::new(layout.api_socket());
    let coming_up = wanted.come_up(&client);
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
                up.map_err(|problem| with_log(problem, layout, "s1"))?;
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

fn daemon_names(nodes: u16) -> Vec<String> {
    let agents = (1..=nodes).map(|node| format!("n{node}"));
    std::iter::once("s1".to_owned()).chain(agents).collect()
}

/// The station, then an agent for each node.
fn daemons(arguments: &DevArguments, program: &Path, layout: &Layout) -> Vec<Daemon> {
    let daemon = |name: &str, binary: &Option<PathBuf>, words: Vec<OsString>| Daemon {
        name: name.to_owned(),
        launcher: program.to_owned(),
        program: binary.clone().unwrap_or_else(|| program.to_owned()),
        arguments: words,
        log: layout.log(name),
    };
    let mut station: Vec<OsString> = [
        "station",
        "run",
        "--chaos",
        "--cluster",
        "dev",
        "--profile",
        "dev",
        "--node",
        "n1",
    ]
    .map(OsString::from)
    .to_vec();
    station.extend(["--dir".into(), layout.data("s1").into()]);
    station.extend(["--api".into(), layout.api_socket().into()]);
    station.extend(["--agents".into(), layout.session_socket().into()]);
    let mut all = vec![daemon("s1", &arguments.station_bin, station)];
    for node in 1..=arguments.nodes {
        let name = format!("n{node}");
        let mut agent: Vec<OsString> = ["agent", "run", "--chaos", "--node", &name]
            .map(OsString::from)
            .to_vec();
        agent.extend(["--dir".into(), layout.data(&name).into()]);
        agent.extend(["--station".into(), layout.session_socket().into()]);
        all.push(daemon(&name, &arguments.agent_bin, agent));
    }
    all
}

/// Where things are, and what to try.
#[derive(Serialize)]
struct Report {
    context: &'static str,
    socket: PathBuf,
    directory: PathBuf,
    logs: PathBuf,
    nodes: Vec<String>,
    demo: Option<DemoReport>,
    #[serde(rename = "try")]
    to_try: [String; 3],
}

#[derive(Serialize)]
struct DemoReport {
    /// Of what was applied.
    file: PathBuf,
    page: String,
}

fn to_try(nodes: u16, demo: bool) -> [String; 3] {
    match demo {
        true => [
            "mainstay status".to_owned(),
            format!("mainstay chaos kill worker@n{}", nodes.min(2)),
            "mainstay why web".to_owned(),
        ],
        false => [
            "mainstay status",
            "mainstay get nodes",
            "mainstay get types",
        ]
        .map(str::to_owned),
    }
}

fn report(
    app: &mut App<'_>,
    arguments: &DevArguments,
    layout: &Layout,
    demo: Option<&Demo>,
) -> Result<(), Problem> {
    let demo = match demo {
        Some(demo) => Some(DemoReport {
            file: demo.file.clone(),
            page: demo.page()?,
        }),
        None => None,
    };
    let report = Report {
        context: DEV,
        socket: layout.api_socket(),
        directory: layout.root.clone(),
        logs: layout.logs(),
        nodes: (1..=arguments.nodes)
            .map(|node| format!("n{node}"))
            .collect(),
        to_try: to_try(arguments.nodes, demo.is_some()),
        demo,
    };
    let references: Vec<String> = report
        .nodes
        .iter()
        .map(|node| format!("node/{node}"))
        .collect();
    app.console.answer(&report, &references, |_| {
        let [first, second, third] = &report.to_try;
        let nodes = report.nodes.join(", ");
        let demo = match &report.demo {
            Some(DemoReport { file, page }) => {
                format!("demo       {}\npage       {page}\n", file.display())
            }
            None => String::new(),
        };
        format!(
            "ready: {nodes} and station s1\ncontext    {DEV} (now the current one)\ndata       {}\nlogs       {}\nsocket     {}\n\
             {demo}try        {first}\n           {second}\n           {third}\n",
            report.directory.display(),
            report.logs.display(),
            report.socket.display(),
        )
    })?;
    let end = match arguments.detached {
        true => "`mainstay dev stop`",
        false => "Ctrl-C",
    };
    let kept = arguments.keep || layout.reopened;
    app.console.say(&match kept {
        true => format!("{end} ends it; its data stays in {}", layout.root.display()),
        false => format!("{end} ends it and removes everything it made"),
    });
    match arguments.detached {
        true => let_go_of_the_terminal(layout),
        false => Ok(()),
    }
}

/// Whoever started a detached cluster reads until its streams end, and that is now. The last byte says that it is
/// ready: a parent that merely ended does not write it.
fn let_go_of_the_terminal(layout: &Layout) -> Result<(), Problem> {
    let doing = |error: io::Error| machine("write the parent's log", error);
    io::stdout()
        .write_all(&[super::detach::READY])
        .and_then(|()| io::stdout().flush())
        .map_err(doing)?;
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(layout.log("dev"))
        .map_err(doing)?;
    dup2_stdout(&log).map_err(|error| doing(error.into()))?;
    dup2_stderr(&log).map_err(|error| doing(error.into()))
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
