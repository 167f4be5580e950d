//! Waiting for what an applied plan comes to: until all that is wanted of each placement runs with what it was given, or
//! something will not come right by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use mainstay_api::client::InstanceFilter;
use mainstay_api::plan::SETTINGS_REFERENCE;
use mainstay_api::types::{Act, Placement, PlanChange, Until, WaitRequest};
use mainstay_api::{Client, Exit, Problem};
use mainstay_protocol::code;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::app::App;
use crate::commands::change::pointed;
use crate::commands::decisions;
use crate::console::Volume;
use crate::outcome::{Outcome, four_lines, worst};
use crate::program::named;
use crate::table::{Cell, Table};

/// What came of one change.
#[derive(Debug, Serialize)]
pub struct Came {
    #[serde(rename = "ref")]
    pub reference: String,
    pub act: Act,
    pub exit: Exit,
    /// As it is now; null where it is gone, and of settings.
    pub placement: Option<Placement>,
    pub problem: Option<Problem>,
}

/// So often people are told how it goes.
const PROGRESS: Duration = Duration::from_millis(200);
/// What the nodes say takes a station longer to find out: every so many looks.
const NODES_EVERY: u32 = 10;
/// Between the end of the last instance and the removal lies one step of the coordinator.
const REMOVAL: Duration = Duration::from_millis(20);

/// Waits for all of them at once: what depends on what is the coordinator's business. What stands on something that
/// failed is not waited for any longer.
pub async fn settle(
    app: &mut App<'_>,
    client: &Client,
    pending: &[&PlanChange],
    revision: u64,
    no_wait: bool,
) -> Vec<Came> {
    let mut problems: Vec<Option<Problem>> = vec![None; pending.len()];
    if !no_wait {
        let mut waits = JoinSet::new();
        let mut handles = Vec::new();
        for (index, change) in pending.iter().enumerate() {
            let wait = until_settled(client.clone(), change, revision, app.wait_timeout());
            handles.push(waits.spawn(async move { (index, wait.await) }));
        }
        let mut progress = Progress::default();
        loop {
            tokio::select! {
                ended = waits.join_next() => match ended {
                    None => break,
                    // One that was given up, because what it stands on failed.
                    Some(Err(_given_up)) => {}
                    Some(Ok((_, Ok(())))) => {}
                    Some(Ok((index, Err(problem)))) => {
                        problems[index] = Some(problem);
                        for other in standing_on(pending, index) {
                            if !handles[other].is_finished() && problems[other].is_none() {
                                handles[other].abort();
                                problems[other] = Some(left_waiting(pending[other], pending[index]));
                            }
                        }
                    }
                },
                () = tokio::time::sleep(PROGRESS) => progress.look(app, client, pending).await,
            }
        }
    }
    let mut came = Vec::new();
    for (change, problem) in pending.iter().zip(problems) {
        came.push(Came {
            reference: change.reference.clone(),
            act: change.act,
            exit: problem.as_ref().map_or(Exit::Ok, |problem| problem.exit),
            placement: placement(client, change).await,
            problem,
        });
    }
    came
}

/// What comes after a change, directly or through others.
fn standing_on(pending: &[&PlanChange], failed: usize) -> Vec<usize> {
    let mut found = vec![failed];
    let mut next = 0;
    while let Some(at) = found.get(next).copied() {
        for (index, change) in pending.iter().enumerate() {
            if change.after.contains(&pending[at].reference) && !found.contains(&index) {
                found.push(index);
            }
        }
        next += 1;
    }
    found.split_off(1)
}

fn left_waiting(change: &PlanChange, failed: &PlanChange) -> Problem {
    Problem::new(
        code::TARGET_FAILED,
        format!("apply {}", change.reference),
        format!("it waits for {}, which failed", failed.reference),
    )
    .to_do(format!("mainstay why {}", failed.reference))
}

fn until_settled(
    client: Client,
    change: &PlanChange,
    revision: u64,
    timeout: Duration,
) -> impl Future<Output = Result<(), Problem>> + Send + 'static {
    let reference = change.reference.clone();
    let deletes = change.act == Act::Delete;
    let is_placement = reference != SETTINGS_REFERENCE;
    let request = WaitRequest {
        reference: reference.clone(),
        until: match deletes {
            true => Until::Gone,
            false if change.act == Act::Unchanged => Until::Settled(Some(change.based_on)),
            false => Until::Settled(Some(change.based_on + 1)),
        },
        timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        unless_blocked: true,
        // What goes last is wanted for as long as others stand on it: that is no change of somebody's mind.
        after_revision: if deletes { 0 } else { revision },
    };
    async move {
        if !is_placement {
            return Ok(());
        }
        let started = Instant::now();
        let waited = client.wait(&request).await;
        waited.map_err(|problem| {
            pointed(named(problem, &format!("apply {reference}")), &reference)
        })?;
        if deletes {
            removed(
                &client,
                &reference,
                timeout.saturating_sub(started.elapsed()),
            )
            .await?;
        }
        Ok(())
    }
}

/// Its instances have ended; it goes with the coordinator's next step.
async fn removed(client: &Client, reference: &str, left: Duration) -> Result<(), Problem> {
    let started = Instant::now();
    let name = reference.strip_prefix("placement/").unwrap_or(reference);
    loop {
        match client.placement(name).await {
            Err(problem) if problem.code == code::NOT_FOUND => return Ok(()),
            Err(problem) => return Err(problem),
            Ok(_) if started.elapsed() >= left => {
                let why = "its instances have ended, and it is still there";
                return Err(Problem::new(code::TIMEOUT, format!("delete {name}"), why)
                    .to_do(format!("mainstay why {name}")));
            }
            Ok(_) => tokio::time::sleep(REMOVAL).await,
        }
    }
}

pub fn name(change: &PlanChange) -> &str {
    let reference = change.reference.as_str();
    reference.strip_prefix("placement/").unwrap_or(reference)
}

/// As it is now; none of what is gone, and of settings.
async fn placement(client: &Client, change: &PlanChange) -> Option<Placement> {
    match change.reference == SETTINGS_REFERENCE {
        true => None,
        false => client.placement(name(change)).await.ok(),
    }
}

/// Tells each change of an instance's state once. Its looks may fail: the waits themselves say what is wrong.
#[derive(Default)]
struct Progress {
    told: BTreeMap<String, String>,
    looks: u32,
}

impl Progress {
    async fn look(&mut self, app: &mut App<'_>, client: &Client, pending: &[&PlanChange]) {
        if app.console.style.volume == Volume::Quiet {
            return;
        }
        let Ok(instances) = client.instances(&InstanceFilter::default()).await else {
            return;
        };
        if self.looks.is_multiple_of(NODES_EVERY) {
            self.look_for_nodes(app, client, pending).await;
        }
        self.looks += 1;
        let names: BTreeSet<&str> = pending.iter().map(|change| name(change)).collect();
        for instance in instances {
            if !names.contains(instance.placement.as_str()) {
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

    /// What found no node is waited for, which only a person may be able to end.
    async fn look_for_nodes(
        &mut self,
        app: &mut App<'_>,
        client: &Client,
        pending: &[&PlanChange],
    ) {
        for change in pending.iter().filter(|change| change.is_of_so_many()) {
            let reason = placement(client, change).await.and_then(|now| now.reason);
            let Some(reason) = reason.filter(|reason| reason.code == code::TOO_FEW_NODES) else {
                continue;
            };
            let told = self
                .told
                .insert(change.reference.clone(), reason.text.clone());
            if told.as_ref() != Some(&reason.text) {
                let reason = decisions::told(Some(&reason));
                app.console
                    .say(&format!("{}: waits, {reason}", change.reference));
            }
        }
    }
}

/// A row for each change, then four lines for each that did not come to what was wanted.
pub fn show(app: &mut App<'_>, came: Vec<Came>) -> Outcome {
    let mut table = Table::new(&["REF", "ACT", "GENERATION", "STATE", "HEALTHY", "REASON"]);
    for one in &came {
        let placement = one.placement.as_ref();
        let text = |of: &dyn Fn(&Placement) -> String| placement.map_or(String::new(), of);
        table.row(vec![
            Cell::new(&one.reference),
            Cell::new(one.act.as_str()),
            Cell::new(text(&|placement| placement.generation.to_string())),
            Cell::state(text(&|placement| placement.state.clone())),
            Cell::new(text(&|placement| {
                format!("{}/{}", placement.healthy, placement.want)
            })),
            Cell::new(text(&|placement| {
                decisions::told(placement.reason.as_ref())
            })),
        ]);
    }
    if !app.console.style.is_text() || !came.is_empty() {
        let reference = |one: &Came| one.reference.clone();
        app.console.list(&came, reference, &table, "")?;
    }
    let mut exit = Exit::Ok;
    for one in &came {
        exit = worst(exit, one.exit);
        if let Some(problem) = &one.problem {
            app.console.complain(&four_lines(problem));
        }
    }
    Ok(exit)
}
