//! `settings`: what the cluster's rules measure against, shown, changed, tried.

use mainstay_api::shapes::settings::ALL;
use mainstay_api::types::{Act, PlanMode, PlanRequest, SettingsRequest, WishBody};
use mainstay_api::{Exit, Problem};
use mainstay_protocol::code;
use mainstay_protocol::words::nearest;
use serde_json::{Map, Value};

use crate::app::App;
use crate::arguments::{ConfigPair, SettingsArguments, SettingsCommand};
use crate::outcome::Outcome;
use crate::table::{Cell, Table};

pub async fn run(app: &mut App<'_>, arguments: SettingsArguments) -> Outcome {
    match arguments.command {
        SettingsCommand::Get(get) => show(app, get.name.as_deref()).await,
        SettingsCommand::Set(set) => change(app, &set.pairs).await,
        SettingsCommand::Validate(set) => validate(app, &set.pairs).await,
    }
}

async fn show(app: &mut App<'_>, name: Option<&str>) -> Outcome {
    let names = names(name)?;
    let client = app.client().await?;
    let settings = client.settings().await?;
    let mut table = Table::new(&["NAME", "VALUE", "MEANING"]);
    for name in names {
        let value = at(&settings.settings, name).map_or(String::new(), plain);
        let doc = mainstay_api::shapes::SETTINGS
            .find(name)
            .map_or("", |field| field.doc);
        table.row(vec![Cell::new(name), Cell::new(value), Cell::new(doc)]);
    }
    let shown = match name {
        None => Some(&settings.settings),
        Some(name) => at(&settings.settings, name),
    };
    app.console.answer(&shown, &[], |look| table.render(look))?;
    Ok(Exit::Ok)
}

/// The settings meant: one, a group, all.
fn names(name: Option<&str>) -> Result<Vec<&'static str>, Problem> {
    let all = || ALL.iter().map(|setting| setting.name);
    let Some(name) = name else {
        return Ok(all().collect());
    };
    let found: Vec<&str> = all()
        .filter(|one| {
            *one == name
                || one
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('.'))
        })
        .collect();
    match found.is_empty() {
        false => Ok(found),
        true => Err(Problem::new(
            code::NOT_FOUND,
            format!("get the setting {name}"),
            format!("there is no setting \"{name}\""),
        )
        .near(nearest(name, all()))
        .to_do("mainstay settings get")),
    }
}

fn at<'v>(settings: &'v Value, name: &str) -> Option<&'v Value> {
    name.split('.')
        .try_fold(settings, |value, step| value.get(step))
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

async fn change(app: &mut App<'_>, pairs: &[ConfigPair]) -> Outcome {
    let client = app.client().await?;
    let request = SettingsRequest {
        settings: spec(pairs)?,
        based_on: None,
    };
    let accepted = client.set_settings(&request).await.map_err(explained)?;
    app.console.done(&accepted, &[], &accepted.text)?;
    Ok(Exit::Ok)
}

/// As a plan of the settings alone: judged by the station beside what is set there, and nothing is changed.
async fn validate(app: &mut App<'_>, pairs: &[ConfigPair]) -> Outcome {
    let client = app.client().await?;
    let request = PlanRequest {
        wishes: vec![WishBody {
            kind: "Settings".to_owned(),
            spec: spec(pairs)?,
        }],
        mode: PlanMode::Apply,
    };
    let plan = client.plan(&request).await.map_err(explained)?;
    if !app.console.style.is_text() {
        app.console.answer(&plan, &[], |_| String::new())?;
        return Ok(Exit::Ok);
    }
    let mut lines = Vec::new();
    for change in plan
        .changes
        .iter()
        .filter(|change| change.act == Act::Change)
    {
        for field in &change.fields {
            lines.push(format!(
                "{}: {} -> {}\n",
                field.path,
                plain(&field.old),
                plain(&field.new)
            ));
        }
    }
    app.console.data(&lines.concat())?;
    match lines.is_empty() {
        true => app.console.say("it is so already"),
        false => app.console.say("it would be taken; nothing was changed"),
    }
    Ok(Exit::Ok)
}

/// Pairs as a document of kind Settings.
fn spec(pairs: &[ConfigPair]) -> Result<Value, Problem> {
    let mut top = Map::new();
    for pair in pairs {
        super::start::insert(&mut top, &pair.path, pair.value.clone()).map_err(|why| {
            let what = format!("read the setting {}", pair.path.join("."));
            Problem::new(code::BAD_REQUEST, what, why).to_do("mainstay settings set --help")
        })?;
    }
    Ok(Value::Object(top))
}

/// Each flaw with the name of its setting.
fn explained(mut problem: Problem) -> Problem {
    if !problem.flaws.is_empty() {
        let told: Vec<String> = problem
            .flaws
            .iter()
            .map(|flaw| match flaw.flaw.path.is_empty() {
                true => flaw.flaw.why.clone(),
                false => format!("{}: {}", flaw.flaw.path, flaw.flaw.why),
            })
            .collect();
        problem.why = told.join("; ");
        let near = problem
            .flaws
            .iter()
            .flat_map(|flaw| flaw.flaw.nearest.clone());
        problem.nearest = near.collect();
        problem = problem.to_do("mainstay settings get");
    }
    problem
}
