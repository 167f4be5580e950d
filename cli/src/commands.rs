//! The commands that speak to a station, a file each (or one for a family).

mod access;
mod answer;
pub mod apply;
mod artifacts;
mod aside;
mod ask;
mod backup;
mod bootstrap;
mod cert;
mod change;
mod chaos;
mod completion;
mod confirm;
mod debug;
mod decisions;
mod definitions;
mod delete;
mod describe;
mod doctor;
mod events;
mod explain;
mod get;
mod graph;
mod impact;
mod logs;
mod new;
mod node;
mod parked;
mod plan;
mod rebuilt;
mod reconfigure;
mod recover;
mod rule;
mod run;
mod services;
mod settings;
mod several;
mod start;
mod station;
mod status;
mod version;
mod wait;
mod watch;
mod why;
pub mod wishes;

use mainstay_api::Problem;

use crate::app::App;
use crate::arguments::{Command, Format};
use crate::outcome::{Outcome, bug, usage};

pub use cert::{Kept, read as read_certificate};

pub async fn run(app: &mut App<'_>, command: Command) -> Outcome {
    if app.global.output == Format::Name && !command.has_references() {
        let what = format!("{} -o name", command.told());
        let why = "it shows no resources; -o name prints references";
        return Err(usage(what, why).to_do("mainstay get instances -o name"));
    }
    match command {
        Command::Station(arguments) => station::run(app, arguments).await,
        Command::Status(arguments) => status::run(app, &arguments).await,
        Command::Get(arguments) => get::run(app, &arguments).await,
        Command::Describe(arguments) => describe::run(app, &arguments).await,
        Command::Plan(arguments) => plan::run(app, &arguments).await,
        Command::Apply(arguments) => apply::run(app, &arguments).await,
        Command::Settings(arguments) => settings::run(app, arguments).await,
        Command::Start(arguments) => start::run(app, arguments).await,
        Command::Stop(arguments) => change::run(app, change::Change::Stop, &arguments).await,
        Command::Move(arguments) => change::move_to(app, &arguments).await,
        Command::Restart(arguments) => change::run(app, change::Change::Restart, &arguments).await,
        Command::Reconfigure(arguments) => reconfigure::run(app, arguments).await,
        Command::Placement(arguments) => reconfigure::placement(app, arguments).await,
        Command::Delete(arguments) => delete::run(app, &arguments).await,
        Command::Clear(arguments) => change::run(app, change::Change::Clear, &arguments).await,
        Command::Check(arguments) => ask::check(app, &arguments).await,
        Command::AskStatus(arguments) => ask::status(app, &arguments).await,
        Command::Call(arguments) => ask::call(app, arguments).await,
        Command::Answer(arguments) => answer::run(app, &arguments).await,
        Command::Logs(arguments) => logs::run(app, &arguments).await,
        Command::Events(arguments) => events::run(app, &arguments).await,
        Command::Decisions(arguments) => decisions::run(app, &arguments).await,
        Command::Why(arguments) => why::run(app, &arguments).await,
        Command::Impact(arguments) => impact::run(app, &arguments).await,
        Command::Graph(arguments) => graph::run(app, &arguments).await,
        Command::Wait(arguments) => wait::run(app, &arguments).await,
        Command::Parked(arguments) => parked::run(app, arguments).await,
        Command::Rule(arguments) => rule::run(app, arguments).await,
        Command::Orchestration(one) => definitions::orchestrations(app, one.command).await,
        Command::Activity(one) => definitions::activities(app, one.command).await,
        Command::Run(arguments) => run::run(app, arguments.command).await,
        Command::Service(arguments) => services::run(app, arguments.command).await,
        Command::Artifact(arguments) => artifacts::run(app, arguments.command).await,
        Command::Order(arguments) => services::order(app, arguments).await,
        Command::Node(arguments) => node::run(app, arguments).await,
        Command::Maintenance(arguments) => node::maintenance(app, arguments).await,
        Command::Chaos(arguments) => chaos::run(app, arguments).await,
        Command::Backup(arguments) => backup::backup(app, &arguments).await,
        Command::Restore(arguments) => backup::restore(app, &arguments),
        Command::Explain(arguments) => explain::run(app, &arguments.subject),
        Command::New(arguments) => new::run(app, &arguments.command),
        Command::Completion(arguments) => completion::script(app, arguments.shell),
        Command::CompleteWords(arguments) => completion::names(app, &arguments.words).await,
        Command::Version => version::run(app).await,
        Command::Debug(arguments) => debug::run(app, arguments).await,
        Command::Doctor(arguments) => doctor::run(app, &arguments).await,
        Command::Init(arguments) => access::init(app, &arguments),
        Command::Join(arguments) => access::join(app, &arguments).await,
        Command::Bootstrap(arguments) => bootstrap::run(app, &arguments).await,
        Command::Token(arguments) => access::token(app, arguments).await,
        Command::Identity(arguments) => access::identity(app, arguments).await,
        Command::Cert(arguments) => cert::run(app, arguments).await,
        Command::Secret(arguments) => access::secret(app, arguments).await,
        Command::CanI(arguments) => access::can_i(app, &arguments).await,
        Command::Dev(_)
        | Command::Agent(_)
        | Command::Demo(_)
        | Command::DevDaemon(_)
        | Command::DevReaper(_) => Err(not_here()),
    }
}

/// Daemons have runtimes of their own and are dispatched before.
fn not_here() -> Problem {
    bug("run a command", "a daemon was asked for where commands run")
}
