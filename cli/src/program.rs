//! The program as a whole: words in, an exit code out; who runs where.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use mainstay_agent::Agent;
use mainstay_api::{Exit, Problem};
use mainstay_station::Station;

use crate::app::App;
use crate::arguments::{AgentCommand, Arguments, Command, StationArguments, StationCommand};
use crate::commands;
use crate::console::{Console, Style};
use crate::daemons;
use crate::demo;
use crate::dev;
use crate::home::Home;
use crate::outcome::{Outcome, bug, four_lines};
use crate::parse::{Parsed, parse};

/// The whole program, with the service types and rules that are linked into `agent` and `station`.
pub fn main_with(agent: Agent, station: Station) -> ExitCode {
    let words: Vec<OsString> = env::args_os().collect();
    unseen(&words);
    let arguments = match parse(&words) {
        Parsed::Run(arguments) => *arguments,
        Parsed::Show(text) => return show(&text).into(),
        Parsed::Wrong(problem) => return told(&problem).into(),
    };
    match arguments.command {
        Command::Agent(agent_arguments) => {
            let AgentCommand::Run(run) = agent_arguments.command;
            agent.run_as_told(run)
        }
        Command::Station(StationArguments {
            command: StationCommand::Run(run),
        }) => daemons::station(station, &run),
        // It runs with the environment that its placement gives it, and has no home.
        Command::Demo(demo_arguments) => demo::run(&demo_arguments).into(),
        command => {
            let arguments = Arguments {
                global: arguments.global,
                command,
            };
            let home = match Home::from_environment() {
                Ok(home) => home,
                Err(problem) => return told(&problem).into(),
            };
            let style = Style::of(&arguments.global);
            let (data, talk) = (&mut io::stdout(), &mut io::stderr());
            run(arguments, home, Console::new(data, talk, style)).into()
        }
    }
}

/// Every command but the daemons. Whatever goes wrong is told in four lines; a panic is a defect of ours and ends
/// with 1.
pub fn run(arguments: Arguments, home: Home, console: Console<'_>) -> Exit {
    let mut app = App {
        console,
        home,
        global: arguments.global,
        asked: None,
    };
    let told = arguments.command.told();
    let outcome = catch_unwind(AssertUnwindSafe(|| dispatch(&mut app, arguments.command)))
        .unwrap_or_else(|_panic| {
            Err(bug(
                "carry out the command",
                "it panicked; the lines above say where",
            ))
        });
    app.keep_told_stations();
    match outcome {
        Ok(exit) => exit,
        Err(problem) => {
            let problem = app.explain(helped(named(problem, &told), &app.global.help));
            app.console.complain(&four_lines(&problem));
            problem.exit
        }
    }
}

/// A problem of a request speaks of its route; people know the command.
pub fn named(mut problem: Problem, told: &str) -> Problem {
    if problem.is_of_route {
        problem.what = told.to_owned();
    }
    problem
}

/// A station knows no command, only that more is to be read; here it is known what.
fn helped(problem: Problem, help: &str) -> Problem {
    match problem.to_do == WHOLE_HELP && !help.is_empty() {
        true => problem.to_do(help),
        false => problem,
    }
}

const WHOLE_HELP: &str = "mainstay --help";

fn dispatch(app: &mut App<'_>, command: Command) -> Outcome {
    match command {
        Command::Dev(arguments) => dev::run(app, &arguments),
        Command::DevDaemon(arguments) => dev::become_daemon(&arguments),
        Command::DevReaper(_) => dev::run_reaper(),
        command => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| bug("start the command's runtime", error))?;
            runtime.block_on(async {
                tokio::select! {
                    outcome = commands::run(app, command) => outcome,
                    _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
                }
            })
        }
    }
}

/// Whoever lists processes sees their arguments: one that has a token among them becomes one that has it in its environment,
/// which its user alone can read.
fn unseen(words: &[OsString]) {
    const TOKEN: &str = "--token";
    let at = words.iter().position(|word| {
        let word = word.to_string_lossy();
        word == TOKEN || word.starts_with("--token=")
    });
    let joins = words.get(1).is_some_and(|word| word == "join");
    let (Some(at), true, Ok(program)) = (at, joins, env::current_exe()) else {
        return;
    };
    let mut rest = words[1..].to_vec();
    let first = rest.remove(at - 1).to_string_lossy().into_owned();
    let token = match first.split_once('=') {
        Some((_, token)) => OsString::from(token),
        None if at <= rest.len() => rest.remove(at - 1),
        None => return,
    };
    let again = std::process::Command::new(program)
        .args(rest)
        .env("MAINSTAY_TOKEN", token)
        .exec();
    // It goes on as it is: seen for a moment is better than not at all.
    drop(again);
}

/// Help is data.
fn show(text: &str) -> Exit {
    let (data, talk) = (&mut io::stdout(), &mut io::stderr());
    let mut console = Console::new(data, talk, Style::PLAIN);
    match console.data(text) {
        Ok(()) => Exit::Ok,
        Err(problem) => problem.exit,
    }
}

fn told(problem: &Problem) -> Exit {
    let (data, talk) = (&mut io::stdout(), &mut io::stderr());
    Console::new(data, talk, Style::PLAIN).complain(&four_lines(problem));
    problem.exit
}
