//! `debug bundle`: what somebody who helps needs to see, in one file, without what nobody else is to learn. What cannot be had
//! is said in it, and is no reason not to have the rest.

mod files;

use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mainstay_api::routes::{self, Route};
use mainstay_api::{Client, Exit, Problem, Time};
use serde::Serialize;
use serde_json::{Value, json};

use super::aside::{Aside, failed, refuse_existing};
use super::doctor;
use crate::app::App;
use crate::arguments::{DebugArguments, DebugBundleArguments, DebugCommand, DoctorArguments};
use crate::bundle::{Bundle, LeftOut, Taken};
use crate::directories::{self, DataDirectory};
use crate::outcome::{Outcome, machine};
use crate::table::{Cell, Table};
use crate::text;

/// Of each answer, unless told otherwise: a bundle is made when things are slow.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const EVENTS: usize = 2000;
const DECISIONS: usize = 500;

/// Lists that a station answers, by the name they have in the bundle.
const LISTS: &[(&str, Route)] = &[
    ("nodes", routes::NODES),
    ("stations", routes::STATIONS),
    ("types", routes::TYPES),
    ("placements", routes::PLACEMENTS),
    ("instances", routes::INSTANCES),
    ("names", routes::NAMES),
    ("supervisors", routes::SUPERVISORS),
    ("configurations", routes::CONFIGURATIONS),
    ("resources", routes::RESOURCES),
    ("asked", routes::ASKED),
    ("procedures", routes::PROCEDURES),
    ("collected", routes::COLLECTED),
    ("parked", routes::PARKED),
    ("tokens", routes::TOKENS),
    ("identities", routes::IDENTITIES),
    ("groups", routes::GROUPS),
    ("certificates", routes::CERTIFICATES),
    ("secrets", routes::SECRETS),
    ("rules", routes::RULES),
    ("bad-frames", routes::BAD_FRAMES),
];

/// Single answers.
const ONES: &[(&str, Route)] = &[
    ("status.json", routes::STATUS),
    ("why.json", routes::WHY),
    ("settings.json", routes::SETTINGS),
    ("graph-check.json", routes::GRAPH_CHECK),
];

/// What was written.
#[derive(Serialize)]
struct Written {
    file: PathBuf,
    bytes: u64,
    taken: Vec<Taken>,
    left_out: Vec<LeftOut>,
}

pub async fn run(app: &mut App<'_>, arguments: DebugArguments) -> Outcome {
    let DebugCommand::Bundle(arguments) = arguments.command;
    bundle(app, &arguments).await
}

async fn bundle(app: &mut App<'_>, arguments: &DebugBundleArguments) -> Outcome {
    let made = SystemTime::now();
    let made_s = made
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let file = arguments.file.clone();
    let file = file.unwrap_or_else(|| PathBuf::from(name(app, made_s)));
    let what = format!("write a bundle to {}", file.display());
    refuse_existing(&what, &file)?;
    for dir in &arguments.here.dir {
        doctor::placed(dir)?;
    }
    // Before anything is asked: whether it can be written is known at once.
    let aside = Aside::create(&file).map_err(|error| failed(&what, &file, &error))?;
    let mut bundle = Bundle::default();
    for log in &arguments.log {
        let told = |error| machine(format!("read the log {}", log.display()), error);
        let read = files::tail(log)
            .map_err(|error| told(error).to_do(format!("ls -l {}", log.display())))?;
        bundle.text(&format!("logs/{}", files::plain(log)), read);
    }
    of_machine(app, arguments, &mut bundle).await;
    of_cluster(app, &mut bundle).await;
    let about = about(&bundle, made_s);
    bundle.json("about.json", about);
    let written = bundle.write(BufWriter::new(&aside.file), made_s);
    let whole = written.and_then(|()| aside.file.sync_all());
    whole
        .and_then(|()| aside.rename(&file))
        .map_err(|error| failed(&what, &file, &error))?;
    tell(app, file, &bundle)
}

/// Of this time, so that each has a name of its own.
fn name(app: &App<'_>, made_s: u64) -> String {
    let cluster = app
        .context()
        .map_or_else(|_| "machine".to_owned(), |one| one.name);
    let time = Time::from_wall_ms(made_s * 1000).to_string();
    let time: String = time.chars().filter(char::is_ascii_alphanumeric).collect();
    // Without its milliseconds, which are none.
    let time = time.get(..15).unwrap_or(&time);
    format!("mainstay-{cluster}-{time}Z.tar.gz")
}

fn about(bundle: &Bundle, made_s: u64) -> Value {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    json!({
        "made": Time::from_wall_ms(made_s * 1000),
        "program": env!("CARGO_PKG_VERSION"),
        "machine": host.trim(),
        "taken": bundle.taken(),
        "left_out": bundle.left_out(),
    })
}

/// What needs nobody.
async fn of_machine(app: &App<'_>, arguments: &DebugBundleArguments, bundle: &mut Bundle) {
    let looked = DoctorArguments {
        here: arguments.here.clone(),
        listen: None,
    };
    match doctor::checks(app, &looked).await {
        Ok(checks) => bundle.json("doctor.json", json!(checks)),
        Err(problem) => bundle.leave_out("doctor.json", problem.why),
    }
    let context = app.context().ok();
    let known = directories::of_machine(context.as_ref(), &arguments.here.dir);
    for (number, one) in known.iter().enumerate() {
        let part = format!("directories/{}.txt", label(one, number));
        bundle.text(&part, files::listing(&one.path));
    }
    if known.is_empty() {
        bundle.leave_out(
            "directories",
            "no daemon has its data on this machine; --dir names one",
        );
    }
    let dev = context.and_then(|context| context.dev);
    let logs = dev.map(|dev| files::logs(&dev.directory.join("logs")));
    for log in logs.iter().flatten() {
        let part = format!("logs/{}", files::plain(log));
        match files::tail(log) {
            Ok(text) => bundle.text(&part, text),
            Err(error) => bundle.leave_out(&part, error.to_string()),
        }
    }
    if logs.is_none() && arguments.log.is_empty() {
        let why = "daemons write to their standard error, which their service units keep; --log adds a file";
        bundle.leave_out("logs", why);
    }
}

fn label(one: &DataDirectory, number: usize) -> String {
    let known = one
        .membership
        .as_ref()
        .map(|joined| joined.name.replace('/', "-"));
    let named = one
        .path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    format!("{}-{}", number + 1, known.or(named).unwrap_or_default())
}

/// What a station answers. Where none does, that is said once for each part, and nobody waits again.
async fn of_cluster(app: &mut App<'_>, bundle: &mut Bundle) {
    let own = json!({ "program": env!("CARGO_PKG_VERSION") });
    let client = match app.client().await {
        Ok(client) => client.with_timeout(app.global.timeout.unwrap_or(ANSWER_WITHIN)),
        Err(problem) => {
            bundle.json("version.json", own);
            return nothing(bundle, &problem.why);
        }
    };
    match client.version().await {
        Ok(version) => {
            let both = json!({ "program": env!("CARGO_PKG_VERSION"), "station": version });
            bundle.json("version.json", both);
        }
        Err(problem) => {
            bundle.json("version.json", own);
            return nothing(bundle, &problem.why);
        }
    }
    for (part, route) in ONES {
        taken(bundle, part, client.get(route.path).await);
    }
    for (name, route) in LISTS {
        let list: Result<Vec<Value>, Problem> = client.list(route.path).await;
        taken(bundle, &format!("get/{name}.json"), list.map(Value::from));
    }
    of_late(&client, bundle).await;
    match client.metrics().await {
        Ok(text) => bundle.text("metrics.txt", text),
        Err(problem) => bundle.leave_out("metrics.txt", problem.why),
    }
}

async fn of_late(client: &Client, bundle: &mut Bundle) {
    let limited = |route: &Route, limit: usize| {
        let query = routes::query(&[("limit", &limit.to_string())]);
        format!("{}{query}", route.path)
    };
    // One page: what is older is in the station's log, and not of late.
    let events = limited(&routes::EVENTS, EVENTS);
    taken(bundle, "events.json", client.get(&events).await);
    let decisions = limited(&routes::DECISIONS, DECISIONS);
    taken(bundle, "decisions.json", client.get(&decisions).await);
}

fn taken(bundle: &mut Bundle, part: &str, answer: Result<Value, Problem>) {
    match answer {
        Ok(value) => bundle.json(part, value),
        Err(problem) => bundle.leave_out(part, problem.why),
    }
}

fn nothing(bundle: &mut Bundle, why: &str) {
    let lists = LISTS.iter().map(|(name, _)| format!("get/{name}.json"));
    let ones = ONES.iter().map(|(part, _)| (*part).to_owned());
    let late = ["events.json", "decisions.json", "metrics.txt"].map(str::to_owned);
    for part in ones.chain(lists).chain(late) {
        bundle.leave_out(&part, why);
    }
}

fn tell(app: &mut App<'_>, file: PathBuf, bundle: &Bundle) -> Outcome {
    let bytes = std::fs::metadata(&file).map_or(0, |found| found.len());
    let written = Written {
        file,
        bytes,
        taken: bundle.taken(),
        left_out: bundle.left_out().to_vec(),
    };
    app.console.answer(&written, &[], |look| {
        let mut table = Table::new(&["PART", "SIZE", "LEFT OUT BECAUSE"]);
        for one in &written.taken {
            let size = text::bytes(one.bytes);
            table.row(vec![Cell::new(&one.part), Cell::new(size), Cell::new("")]);
        }
        for one in &written.left_out {
            table.row(vec![
                Cell::new(&one.part),
                Cell::new(""),
                Cell::new(&one.why),
            ]);
        }
        table.render(look)
    })?;
    app.console.say(&format!(
        "{}: {} parts, {}; {} left out. Secrets are taken out; configurations, names and addresses are in it",
        shown(&written.file),
        written.taken.len(),
        text::bytes(bytes),
        written.left_out.len()
    ));
    Ok(Exit::Ok)
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}
