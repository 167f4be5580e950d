//! A run followed to its end: a line for each thing that becomes of it. Goes on over restarts of the station.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mainstay_api::types::{RunDetail, Step};
use mainstay_api::{Client, Problem};
use mainstay_protocol::{RunId, code};
use tokio::time::timeout;

use super::draw;
use crate::app::App;
use crate::text::one_line;

/// Between two tries to reach a station that went away.
const RETRY: Duration = Duration::from_millis(200);
/// What changes within this time is one look.
const GATHER: Duration = Duration::from_millis(100);
/// Longer than a station that lives is silent.
const SILENT_MAX: Duration = Duration::from_secs(30);
/// A station that is away longer is told as such, where nobody said how long to wait.
const AWAY_MAX: Duration = Duration::from_secs(60);

/// For how long.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    until: Option<Instant>,
    for_: Option<Duration>,
}

impl Patience {
    pub fn of(for_: Option<Duration>) -> Self {
        Self {
            until: for_.map(|time| Instant::now() + time),
            for_,
        }
    }

    fn is_over(self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    fn left(self) -> Duration {
        let left = |until: Instant| until.saturating_duration_since(Instant::now());
        self.until.map_or(Duration::MAX, left)
    }
}

/// What was told of it last.
#[derive(Default)]
struct Told {
    /// What a station knew before that is old news: another one may be behind.
    not_before: Option<u64>,
    run: String,
    steps: BTreeMap<String, (String, u32, u32)>,
}

impl Told {
    /// That it is there is known: it was seen, or has just been begun.
    fn is_known(&self) -> bool {
        self.not_before.is_some() || !self.run.is_empty()
    }
}

/// Another station may be asked, or the same a little later.
fn goes_on(problem: &Problem) -> bool {
    problem.is_retryable() || [code::TIMEOUT, code::ANSWER_LOST].contains(&problem.code)
}

pub async fn to_its_end(
    app: &mut App<'_>,
    client: &Client,
    (id, since): (&RunId, Option<u64>),
    patience: Patience,
) -> Result<RunDetail, Problem> {
    let mut told = Told {
        not_before: since,
        ..Told::default()
    };
    let mut away: Option<Instant> = None;
    loop {
        match until_over(app, client, id, (&mut told, &mut away), patience).await {
            Ok(Some(detail)) => return Ok(detail),
            Ok(None) => {}
            Err(problem) if goes_on(&problem) && told.is_known() => {
                let since = *away.get_or_insert_with(|| {
                    app.console
                        .say("the station went away; going on when it is back");
                    Instant::now()
                });
                if patience.until.is_none() && since.elapsed() >= AWAY_MAX {
                    return Err(problem);
                }
            }
            Err(problem) => return Err(problem),
        }
        if patience.is_over() {
            return Err(time_is_up(id, patience));
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// None: the stream of changes ended, or time is up.
async fn until_over(
    app: &mut App<'_>,
    client: &Client,
    id: &RunId,
    (told, away): (&mut Told, &mut Option<Instant>),
    patience: Patience,
) -> Result<Option<RunDetail>, Problem> {
    let mut changes = client.changes().await?;
    loop {
        // A station without a sign of life is asked anew, in case it has gone without a word.
        let Ok(newest) = timeout(patience.left().min(SILENT_MAX), changes.newest()).await else {
            return Ok(None);
        };
        let Some(newest) = newest? else {
            return Ok(None);
        };
        if told.not_before.is_some_and(|since| newest.revision < since) {
            continue;
        }
        let detail = client.run(id.as_str()).await?;
        if away.take().is_some() {
            app.console.say("the station is back");
        }
        tell(app, &detail, told);
        if detail.run.over {
            return Ok(Some(detail));
        }
        tokio::time::sleep(GATHER.min(patience.left())).await;
    }
}

fn tell(app: &mut App<'_>, detail: &RunDetail, told: &mut Told) {
    for step in &detail.steps {
        let now = (step.state.clone(), step.attempt, step.calls);
        let before = told.steps.insert(step.activity.clone(), now.clone());
        let is_new = before.as_ref() != Some(&now);
        let untouched = ["Pending", "Skipped"].contains(&step.state.as_str());
        if is_new && !(before.is_none() && untouched) {
            app.console.say(&line(step));
        }
    }
    let run = &detail.run;
    if run.state != told.run {
        told.run.clone_from(&run.state);
        let reason = run.reason.as_ref();
        let reason = reason.map(|reason| format!(": {}", one_line(&reason.text)));
        app.console.say(&format!(
            "run/{} {}{}",
            run.id,
            run.state,
            reason.unwrap_or_default()
        ));
    }
}

fn line(step: &Step) -> String {
    let worker = step.worker.as_deref().unwrap_or("nobody yet");
    let more = match step.state.as_str() {
        "Running" => format!("attempt {} on {worker}", step.attempt),
        "Completed" => draw::took(step),
        _ => {
            let reason = step.reason.as_ref();
            reason.map_or_else(String::new, |reason| one_line(&reason.text))
        }
    };
    format!("  {:<20} {:<10} {more}", step.activity, step.state)
        .trim_end()
        .to_owned()
}

fn time_is_up(id: &RunId, patience: Patience) -> Problem {
    let time = patience.for_.unwrap_or_default();
    let why = format!(
        "it has not come to its end in {}; it goes on",
        humantime::format_duration(time)
    );
    Problem::new(code::TIMEOUT, format!("wait for run/{id}"), why)
        .to_do(format!("mainstay run follow {id}"))
}
