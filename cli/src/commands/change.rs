//! `stop`, `restart` and `clear`; and how every change is awaited: progress on stderr, a row for each instance on
//! stdout, four lines for each that did not come to what was wanted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mainstay_api::client::{InstanceFilter, NOBODY_ANSWERS};
use mainstay_api::types::{Accepted, Health, Instance, Until, WaitRequest};
use mainstay_api::{Client, Exit, Problem};
use mainstay_protocol::{InstanceKey, code};
use mainstay_resource_graph::Key;
use serde::Serialize;

use crate::app::App;
use crate::arguments::{ChangeArguments, MoveArguments};
use crate::commands::{decisions, several, why};
use crate::console::Volume;
use crate::outcome::{Outcome, four_lines, worst};
use crate::program::named;
use crate::table::{Cell, Table};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Stop,
    Restart,
    Clear,
}

/// How a change is awaited.
pub struct Settling {
    pub until: Until,
    /// A held name ends the wait.
    pub unless_blocked: bool,
    pub wait: bool,
    /// Also where everything was already so: it may still be on its way there.
    pub unchanged: bool,
}

/// What came of one instance.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    #[serde(rename = "ref")]
    pub reference: String,
    /// False where everything was already so; null where nothing was decided.
    pub changed: Option<bool>,
    pub text: String,
    pub exit: Exit,
    /// As it was when the wait for it ended; where none did, as it is now; null if it is not there.
    pub instance: Option<Instance>,
    pub problem: Option<Problem>,
}

/// What was started is looked at for so long, so often, until its first Check is in.
const FIRST_CHECK_MAX: Duration = Duration::from_millis(300);
const FIRST_CHECK_LOOK: Duration = Duration::from_millis(10);

/// So often people are told how it goes.
const PROGRESS: Duration = Duration::from_millis(200);

pub async fn run(app: &mut App<'_>, change: Change, arguments: &ChangeArguments) -> Outcome {
    let client = app.client().await?;
    let keys = match &arguments.reference {
        Key::Instance(key) => vec![key.clone()],
        reference => several::instances(&client, reference).await?,
    };
    let asked = several::each(keys, |key| {
        let client = client.clone();
        async move { ask(&client, change, &key).await }
    })
    .await;
    let targets: Vec<(String, Result<Accepted, Problem>)> = asked
        .into_iter()
        .map(|(key, accepted)| (key.to_string(), accepted))
        .collect();
    let settling = Settling {
        until: match change {
            Change::Stop => Until::State("Stopped".to_owned()),
            Change::Restart | Change::Clear => Until::Running,
        },
        unless_blocked: true,
        wait: !arguments.no_wait,
        // With nothing to clear nothing starts that was not starting.
        unchanged: change != Change::Clear,
    };
    for (_, accepted) in &targets {
        if let Ok(accepted) = accepted {
            app.console.say(&accepted.text);
        }
    }
    let rows = settle(app, &client, &settling, targets).await;
    show(app, &client, rows).await
}

/// The other comes up, then the first is gone; where the other does not, the first is still there, and that is said.
pub async fn move_to(app: &mut App<'_>, arguments: &MoveArguments) -> Outcome {
    let client = app.client().await?;
    let key = &arguments.instance;
    let (node, placement, to) = (
        key.node.as_str(),
        key.placement.as_str(),
        arguments.to.as_str(),
    );
    let what = format!("move {key} to {to}");
    let accepted = client.move_to(node, placement, to).await;
    let accepted = accepted.map_err(|problem| unanswered(problem, &what, &key.to_string()))?;
    app.console.say(&accepted.text);
    let there = format!("{placement}@{to}");
    if arguments.no_wait {
        return show(
            app,
            &client,
            vec![row(&client, there, Ok(accepted), Ok(Vec::new())).await],
        )
        .await;
    }
    let until = Instant::now() + app.wait_timeout();
    while client
        .placement(placement)
        .await?
        .moves
        .iter()
        .any(|one| one.from == node)
    {
        if Instant::now() >= until {
            let why = "it is not over in time, and goes on";
            return Err(
                Problem::new(code::TIMEOUT, what, why).to_do(format!("mainstay why {there}"))
            );
        }
        tokio::time::sleep(PROGRESS).await;
    }
    // It was taken back where the first is still wanted.
    let is_wanted = |one: Option<Instance>| one.is_some_and(|one| one.desired == "Running");
    let stays = is_wanted(now(&client, &key.to_string()).await);
    if stays || !is_wanted(now(&client, &there).await) {
        let why = format!("{there} did not serve, and {key} is wanted where it was");
        return Err(Problem::new(code::MOVE_FAILED, what, why)
            .to_do(format!("mainstay decisions placement/{placement}")));
    }
    let settling = |until| Settling {
        until,
        unless_blocked: false,
        wait: true,
        unchanged: true,
    };
    let one = |reference: String| {
        // It is decided already.
        let one = Accepted {
            revision: 0,
            ..accepted.clone()
        };
        vec![(reference, Ok(one))]
    };
    let mut rows = settle(app, &client, &settling(Until::Running), one(there)).await;
    rows.extend(settle(app, &client, &settling(Until::Gone), one(key.to_string())).await);
    show(app, &client, rows).await
}

async fn ask(client: &Client, change: Change, key: &InstanceKey) -> Result<Accepted, Problem> {
    let (node, placement) = (key.node.as_str(), key.placement.as_str());
    let (verb, accepted) = match change {
        Change::Stop => ("stop", client.stop(node, placement).await),
        Change::Restart => ("restart", client.restart(node, placement).await),
        Change::Clear => ("clear", client.clear(node, placement).await),
    };
    let reference = key.to_string();
    accepted.map_err(|problem| {
        let problem = pointed(problem, &reference);
        unanswered(problem, &format!("{verb} {key}"), &reference)
    })
}

/// A change whose answer did not come may have been done: that is said, and how to look.
pub fn unanswered(problem: Problem, doing: &str, reference: &str) -> Problem {
    let mut problem = named(problem, doing);
    let unknown = [code::TIMEOUT, code::NO_SERVER, code::ANSWER_LOST].contains(&problem.code)
        && !problem.why.starts_with(NOBODY_ANSWERS);
    if unknown {
        problem.why.push_str("; it may have been done all the same");
        problem = problem.to_do(format!("mainstay get instances {reference}"));
    }
    problem
}

/// Waits for every target that was accepted; the rows keep the targets' order.
pub async fn settle(
    app: &mut App<'_>,
    client: &Client,
    settling: &Settling,
    targets: Vec<(String, Result<Accepted, Problem>)>,
) -> Vec<Row> {
    let timeout_ms = u64::try_from(app.wait_timeout().as_millis()).unwrap_or(u64::MAX);
    let references: Vec<String> = targets
        .iter()
        .map(|(reference, _)| reference.clone())
        .collect();
    let waits = several::each(targets, |(reference, accepted)| {
        let client = client.clone();
        let request = accepted
            .as_ref()
            .ok()
            .filter(|accepted| awaits(settling, accepted))
            .map(|accepted| WaitRequest {
                reference: reference.clone(),
                until: settling.until.clone(),
                timeout_ms,
                unless_blocked: settling.unless_blocked,
                after_revision: if accepted.changed {
                    accepted.revision
                } else {
                    0
                },
            });
        async move {
            match request {
                Some(request) => client.wait(&request).await.map(|answer| answer.instances),
                None => Ok(Vec::new()),
            }
        }
    });
    tokio::pin!(waits);
    let mut progress = Progress::new(references);
    let ended = loop {
        tokio::select! {
            ended = &mut waits => break ended,
            () = tokio::time::sleep(PROGRESS) => progress.look(app, client).await,
        }
    };
    let mut rows = Vec::new();
    for ((reference, accepted), waited) in ended {
        rows.push(row(client, reference, accepted, waited).await);
    }
    rows
}

/// What came of one, of its change and of the wait behind it.
async fn row(
    client: &Client,
    reference: String,
    accepted: Result<Accepted, Problem>,
    waited: Result<Vec<Instance>, Problem>,
) -> Row {
    let (reached, problem) = match waited {
        Ok(instances) => {
            let of_it = |one: &Instance| one.reference == reference;
            (instances.into_iter().find(of_it), None)
        }
        Err(problem) => (None, Some(problem)),
    };
    let (changed, text, problem) = match accepted {
        Ok(accepted) => {
            let problem = problem
                .map(|problem| named(problem, &format!("wait for {reference}")))
                .map(|problem| pointed(problem, &reference));
            (Some(accepted.changed), accepted.text, problem)
        }
        Err(problem) => (None, String::new(), Some(problem)),
    };
    let instance = match reached {
        Some(reached) => Some(checked(client, reached).await),
        None => now(client, &reference).await,
    };
    Row {
        instance,
        changed,
        text,
        exit: problem.as_ref().map_or(Exit::Ok, |problem| problem.exit),
        problem,
        reference,
    }
}

/// What was already so and concerns no instance ("not running") has nothing to wait for.
fn awaits(settling: &Settling, accepted: &Accepted) -> bool {
    settling.wait && !accepted.instances.is_empty() && (settling.unchanged || accepted.changed)
}

async fn now(client: &Client, reference: &str) -> Option<Instance> {
    let (placement, node) = reference.split_once('@')?;
    client.instance(node, placement).await.ok()
}

/// Where it runs as was wanted, its first Check is worth a moment: it comes right after the start, and `unknown` would be
/// told of what is well. What became of it meanwhile is another story: the row is what the exit code speaks of.
async fn checked(client: &Client, reached: Instance) -> Instance {
    let started = Instant::now();
    let mut shown = reached;
    while shown.state == "Running"
        && shown.health == Health::Unknown
        && started.elapsed() < FIRST_CHECK_MAX
    {
        tokio::time::sleep(FIRST_CHECK_LOOK).await;
        match now(client, &shown.reference).await {
            Some(later) if later.state == "Running" && later.incarnation == shown.incarnation => {
                shown = later;
            }
            Some(_) | None => break,
        }
    }
    shown
}

/// Of a target that failed, `why` tells more than the cluster's status.
pub fn pointed(problem: Problem, reference: &str) -> Problem {
    match problem.exit {
        Exit::TargetFailed | Exit::TimedOut | Exit::Conflict => {
            problem.to_do(format!("mainstay why {reference}"))
        }
        Exit::Ok
        | Exit::Bug
        | Exit::Usage
        | Exit::NotFound
        | Exit::NotAllowed
        | Exit::NoServer
        | Exit::NoQuorum
        | Exit::Refused
        | Exit::ChangesPending
        | Exit::NotHealthy
        | Exit::VersionMismatch
        | Exit::Interrupted => problem,
    }
}

/// Rows, then problems; of a single one that failed also the tree of causes.
pub async fn show(app: &mut App<'_>, client: &Client, rows: Vec<Row>) -> Outcome {
    let mut table = Table::new(&["REF", "STATE", "INCARNATION", "HEALTH", "CHANGED", "REASON"])
        .wide_only(&["CHANGED"]);
    // What is not there has no row; its problem says so.
    let there: Vec<&Row> = rows
        .iter()
        .filter(|row| row.instance.is_some() || row.problem.is_none())
        .collect();
    for row in &there {
        let instance = row.instance.as_ref();
        table.row(vec![
            Cell::new(&row.reference),
            Cell::state(instance.map_or("", |instance| instance.state.as_str())),
            Cell::new(instance.map_or(String::new(), |instance| instance.incarnation.to_string())),
            Cell::state(instance.map_or("", |instance| instance.health.as_str())),
            Cell::new(row.changed.map(|so| so.to_string()).unwrap_or_default()),
            Cell::new(decisions::told(
                instance.and_then(|instance| instance.reason.as_ref()),
            )),
        ]);
    }
    if !there.is_empty() || rows.is_empty() {
        app.console.list(
            &there,
            |row| row.reference.clone(),
            &table,
            "it concerns no instance",
        )?;
    }
    let failed: Vec<&Row> = rows.iter().filter(|row| row.problem.is_some()).collect();
    if let [row] = failed.as_slice()
        && matches!(
            row.exit,
            Exit::TargetFailed | Exit::TimedOut | Exit::Conflict
        )
    {
        why::talk(app, client, &row.reference).await;
    }
    let mut exit = Exit::Ok;
    for row in failed {
        exit = worst(exit, row.exit);
        if let Some(problem) = &row.problem {
            app.console.complain(&four_lines(problem));
        }
    }
    Ok(exit)
}

/// Tells each change of state once. Its looks may fail: the wait itself says what is wrong.
struct Progress {
    references: Vec<String>,
    told: BTreeMap<String, String>,
}

impl Progress {
    fn new(references: Vec<String>) -> Self {
        Self {
            references,
            told: BTreeMap::new(),
        }
    }

    async fn look(&mut self, app: &mut App<'_>, client: &Client) {
        if app.console.style.volume == Volume::Quiet {
            return;
        }
        let Some((placement, _)) = self
            .references
            .first()
            .and_then(|first| first.split_once('@'))
        else {
            return;
        };
        let filter = InstanceFilter {
            placement: Some(placement.to_owned()),
            ..InstanceFilter::default()
        };
        let Ok(instances) = client.instances(&filter).await else {
            return;
        };
        for instance in instances {
            if !self.references.contains(&instance.reference) {
                continue;
            }
            let told = self
                .told
                .insert(instance.reference.clone(), instance.state.clone());
            if told.as_ref() != Some(&instance.state) {
                let reason = decisions::told(instance.reason.as_ref());
                app.console.say(&format!(
                    "{}: {} {reason}",
                    instance.reference, instance.state
                ));
            }
        }
    }
}
