//! `bootstrap`: a whole cluster from one file. Every machine is asked once; what is left to do is planned from what they say,
//! and carried out step by step. Run again, it goes on where it stopped.
//!
//! ```text
//!   file -> Cluster -----+
//!                        +-> steps (pure) -> a dry run prints them, else each is run in its turn
//!   look -> Seen, here --+
//! ```

mod file;
mod look;
mod runner;
mod shell;
mod steps;

use std::path::Path;
use std::time::Duration;

use mainstay_api::shapes::Reader;
use mainstay_api::{Exit, Problem};
use mainstay_identity::Keep;
use mainstay_protocol::{PersonName, code};
use serde::Serialize;
use serde_json::Value;

use self::file::{Cluster, Machine, Role};
use self::look::{Kind, Seen, Trouble};
use self::runner::{Ended, Script};
use self::steps::{Person, Step, Token};
use super::access::{Joining, enter};
use crate::app::App;
use crate::arguments::{BootstrapArguments, parsed_token};
use crate::commands::wishes;
use crate::home::Context;
use crate::outcome::{Outcome, bug, usage};
use crate::text::one_line;

/// A machine is there, or it is not.
const LOOK_WITHIN: Duration = Duration::from_secs(30);
/// Machines that are asked at the same time.
const LOOKS_AT_ONCE: usize = 32;
/// Longer than every time that a script sets itself.
const STEP_WITHIN: Duration = Duration::from_secs(600);
/// A station that just came may have no leader yet.
const TOKEN_TRIES: u32 = 30;
const TOKEN_PAUSE: Duration = Duration::from_secs(1);
const JOIN_WITHIN: Duration = Duration::from_secs(30);

/// What came of it.
#[derive(Serialize)]
struct Made {
    cluster: String,
    stations: usize,
    nodes: usize,
    /// How many steps were needed.
    steps: usize,
    /// Under which name this machine knows it.
    context: String,
}

/// A step as a dry run shows it to programs.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    step: &'a Step,
    command: String,
}

pub async fn run(app: &mut App<'_>, arguments: &BootstrapArguments) -> Outcome {
    let cluster = read(app, &arguments.file)?;
    let context = app.global.context.clone();
    let person = Person {
        name: person(arguments.person.as_ref()),
        context: context.unwrap_or_else(|| cluster.name.to_string()),
    };
    let stations = cluster.count(Role::Station);
    if stations % 2 == 0 {
        app.console.say(&format!(
            "note: {stations} stations bear the loss of no more than {} do",
            stations - 1
        ));
    }
    if arguments.dry_run {
        let seen = vec![Seen::default(); cluster.machines.len()];
        let here = cluster
            .with(Role::Station)
            .any(|(_, machine)| machine.is_here());
        let steps = steps::steps(&cluster, &seen, Some(&person).filter(|_| !here));
        return print(app, &cluster, &steps);
    }
    let again = format!("mainstay bootstrap {}", shell::word(&arguments.file));
    let what = format!("bootstrap cluster {}", cluster.name);
    app.console
        .say(&format!("asking {} machines", cluster.machines.len()));
    let (seen, mut troubles) = asked(&cluster).await;
    if troubles.is_empty() {
        troubles = look::troubles(&cluster, &seen);
    }
    let needs = match knows(app, &cluster, &seen, &person.context)? {
        Here::Knows => false,
        Here::Needs => {
            if let Some(why) = elsewhere(app, &cluster, &seen, &person) {
                troubles.push(Trouble::new(Kind::Taken, "here", &why));
            }
            true
        }
        Here::Another(why) => {
            troubles.push(Trouble::new(Kind::Taken, "here", &why));
            false
        }
    };
    for trouble in &troubles {
        app.console.complain(&one_line(&trouble.text));
    }
    if let Some(problem) = look::problem(&what, &troubles, &again) {
        return Err(problem);
    }
    let steps = steps::steps(&cluster, &seen, Some(&person).filter(|_| needs));
    carry_out(app, &cluster, &steps, &again).await?;
    let made = Made {
        cluster: cluster.name.to_string(),
        stations,
        nodes: cluster.count(Role::Agent),
        steps: steps.len(),
        context: person.context,
    };
    app.console.answer(&made, &[], |_| told(&made))?;
    Ok(Exit::Ok)
}

fn told(made: &Made) -> String {
    let Made {
        cluster,
        stations,
        nodes,
        context,
        ..
    } = made;
    let all = format!("{stations} stations Running, {nodes} nodes Online");
    match made.steps {
        0 => format!("nothing to do: cluster {cluster} is as the file says, {all}\n"),
        _ => format!("cluster {cluster}: {all}; here it is context {context}\n"),
    }
}

/// One document of kind Cluster; all that is wrong with it is told at once.
fn read(app: &mut App<'_>, file: &str) -> Result<Cluster, Problem> {
    let files = [file.to_owned()];
    let read = wishes::read_for(Reader::Bootstrap, &mut app.console, &files)?;
    match read.as_slice() {
        [one] => Cluster::of(&one.spec),
        all => {
            let why = format!("it has {} clusters, and one is made at a time", all.len());
            Err(usage(format!("bootstrap {file}"), why).to_do("mainstay bootstrap --help"))
        }
    }
}

/// Who works here, if that is a name.
fn person(said: Option<&PersonName>) -> String {
    let user = || {
        let user = std::env::var("USER").ok()?.to_lowercase();
        PersonName::new(user).ok()
    };
    let name = said.cloned().or_else(user);
    name.map_or_else(|| "admin".to_owned(), |name| name.to_string())
}

fn print(app: &mut App<'_>, cluster: &Cluster, steps: &[Step]) -> Outcome {
    let typed = |step: &Step| match step.at {
        Some(at) => shell::typed(&cluster.machines[at].via, &step.script),
        None => step.script.clone(),
    };
    let printed: Vec<Printed<'_>> = steps
        .iter()
        .map(|step| Printed {
            step,
            command: typed(step),
        })
        .collect();
    app.console.answer(&printed, &[], |_| {
        let lines = printed.iter().enumerate().map(|(index, one)| {
            let (at, title) = (&one.step.machine, &one.step.title);
            format!("# {}. {at}: {title}\n{}\n", index + 1, one.command)
        });
        lines.collect()
    })?;
    Ok(Exit::Ok)
}

/// Every machine at the same time, within bounds.
async fn asked(cluster: &Cluster) -> (Vec<Seen>, Vec<Trouble>) {
    let (mut seen, mut troubles) = (Vec::new(), Vec::new());
    for some in cluster.machines.chunks(LOOKS_AT_ONCE) {
        let looks = some.iter().map(|machine| {
            let script = Script {
                via: machine.via.clone(),
                text: shell::look(cluster, machine),
                within: LOOK_WITHIN,
            };
            tokio::spawn(script.run())
        });
        let looks: Vec<_> = looks.collect();
        for (machine, ended) in some.iter().zip(looks) {
            let found = match ended.await {
                Ok(ended) => answer(&ended),
                Err(error) => Err(error.to_string()),
            };
            match found {
                Ok(found) => seen.push(found),
                Err(why) => {
                    seen.push(Seen::default());
                    let why = format!("it cannot be reached: {why}");
                    troubles.push(Trouble::new(Kind::Unreachable, &machine.name, &why));
                }
            }
        }
    }
    (seen, troubles)
}

fn answer(ended: &Ended) -> Result<Seen, String> {
    let read = Seen::read(&ended.stdout).filter(|_| ended.code == Some(0));
    read.ok_or_else(|| ended.last_words())
}

/// What this machine knows of the cluster.
enum Here {
    Knows,
    Needs,
    /// Its context of this name is another cluster's.
    Another(String),
}

fn knows(app: &App<'_>, cluster: &Cluster, seen: &[Seen], name: &str) -> Result<Here, Problem> {
    let id = look::cluster_of(cluster, seen);
    let mut own = cluster.with(Role::Station).filter(|(_, one)| one.is_here());
    let Some(context) = app.home.context(name)? else {
        // Who founds or joins as a station on this machine writes it.
        let comes = own.any(|(at, _)| seen[at].station.member().is_none());
        return Ok(if comes { Here::Knows } else { Here::Needs });
    };
    let is_ours = match &context.identity {
        Some(directory) => {
            let known = Keep::at(directory).membership().ok().flatten();
            known.is_some_and(|known| id == Some(known.cluster.to_string()))
        }
        None => own.any(|(_, machine)| is_of(&context, machine)),
    };
    let another =
        format!("the context {name} is of another cluster; say another name with --context");
    Ok(if is_ours {
        Here::Knows
    } else {
        Here::Another(another)
    })
}

/// Why nobody can be let in here under this name: somebody is, and shows a key of its own.
fn elsewhere(app: &App<'_>, cluster: &Cluster, seen: &[Seen], person: &Person) -> Option<String> {
    let name = &person.name;
    let reference = format!("identity/person/{name}/admin");
    let mut states = seen.iter().filter_map(|one| one.states.get(&reference));
    let id = look::cluster_of(cluster, seen)?.replace('-', "");
    // Where it broke off here, the key that it showed is still here.
    let began = app.home.identity(&id).exists();
    let admitted = states.any(|state| state == "admitted") && !began;
    admitted.then(|| {
        format!("{name} is let in from elsewhere and would be shut out there; say another name with --as")
    })
}

fn is_of(context: &Context, machine: &Machine) -> bool {
    let socket = Path::new(&machine.dir_of(Role::Station)).join("api.sock");
    context.sockets.contains(&socket)
}

async fn carry_out(
    app: &mut App<'_>,
    cluster: &Cluster,
    steps: &[Step],
    again: &str,
) -> Result<(), Problem> {
    let mut token = String::new();
    for (index, step) in steps.iter().enumerate() {
        app.console.say(&format!(
            "[{}/{}] {}: {}",
            index + 1,
            steps.len(),
            step.machine,
            step.title
        ));
        let Some(at) = step.at else {
            join(app, cluster, steps, &token).await?;
            continue;
        };
        let script = Script {
            via: cluster.machines[at].via.clone(),
            text: step.script.replace(shell::TOKEN, &token),
            within: STEP_WITHIN,
        };
        let ended = match step.token {
            Token::Made => patiently(script).await,
            Token::None | Token::Shown => script.run().await,
        };
        if ended.code != Some(0) {
            return Err(failed(step, &ended, &token, again));
        }
        if step.token == Token::Made {
            token = made(&ended).ok_or_else(|| failed(step, &ended, &token, again))?;
        }
    }
    Ok(())
}

/// Where no station answers, or none leads, just now, it is asked again.
async fn patiently(script: Script) -> Ended {
    let mut tries = 1;
    loop {
        let ended = script.clone().run().await;
        let not_now = [Exit::NoServer, Exit::NoQuorum].map(|exit| Some(i32::from(exit.code())));
        if !not_now.contains(&ended.code) || tries >= TOKEN_TRIES {
            return ended;
        }
        tries += 1;
        tokio::time::sleep(TOKEN_PAUSE).await;
    }
}

fn made(ended: &Ended) -> Option<String> {
    let begin = ended.stdout.find('{')?;
    let made: Value = serde_json::from_str(&ended.stdout[begin..]).ok()?;
    made["token"].as_str().map(str::to_owned)
}

/// This machine, as a person, with the token of the step before.
async fn join(
    app: &mut App<'_>,
    cluster: &Cluster,
    steps: &[Step],
    token: &str,
) -> Result<(), Problem> {
    let from = steps
        .iter()
        .rev()
        .find_map(|step| step.at.filter(|_| step.token == Token::Made));
    let from = from.ok_or_else(|| bug("join as a person", "no step made a token"))?;
    let joining = Joining {
        station: cluster.machines[from].listen.clone(),
        token: parsed_token(token).map_err(|why| bug("join as a person", why))?,
        node: None,
        listen: None,
        dir: None,
    };
    let patience = app.global.timeout;
    app.global.timeout = patience.or(Some(JOIN_WITHIN));
    let joined = enter(app, &joining).await;
    app.global.timeout = patience;
    joined.map(drop)
}

/// What the machine said may repeat what it was told: a token never leaves.
fn failed(step: &Step, ended: &Ended, token: &str, again: &str) -> Problem {
    let mut why = ended.last_words();
    if !token.is_empty() {
        why = why.replace(token, "TOKEN");
    }
    let (code, what) = match ended.code {
        // As ssh ends where it comes to nobody.
        Some(255) | None => (code::MACHINE_UNREACHABLE, &step.title),
        Some(_) => (code::MACHINE_REFUSES, &step.title),
    };
    let what = format!("{}: {what}", step.machine);
    Problem::new(code, what, format!("{why}; what was done stays")).to_do(again)
}
