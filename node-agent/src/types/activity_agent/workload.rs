//! The provider `workload`: a container for each call, or its command on the machine itself.
//!
//! ```text
//!   call --> task       what is to be run, with what other activities left behind filled in
//!        --> container  by an engine of the node
//!        --> host       where that is said
//! ```
//! What must hold:
//! - A container is a child of its engine, and not of this agent: whatever becomes of an attempt, its container is removed,
//!   and when the agent is killed, the guard removes it by its label.
//! - What the work says by its exit code is fatal: nobody else's fault. What the engine says is a failed attempt.

mod container;
mod engine;
mod evidence;
mod found;
mod groups;
mod host;
mod image;
mod outputs;
mod quantity;
mod reader;
mod resources;
mod scratch;
mod tar;
mod task;

use std::future::pending;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay_hold::GUARD_LABEL;
use mainstay_protocol::revision::{SEED, hash};
use mainstay_protocol::words;
use mainstay_service::{Call, CannotStart, Context, Processed};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep};

pub(super) use self::engine::{Engine, look};
use self::groups::Places;
use self::scratch::Scratch;
use self::task::Task;
use super::answer;
use super::calls::{self, Hold};
use super::config::{Pull, WorkloadWay};
use super::guard::Guard;
use crate::action::Heard;
use crate::data::{self, Endpoint, Side};

/// In the instance's directory.
const SCRATCH: &str = "workloads";
/// Its instance, and where that keeps its own: of two clusters on a machine each has its own.
const OWNER_LABEL: &str = "mainstay.owner";
/// To remove a container takes longer than to kill a process.
const REMOVAL: Duration = Duration::from_millis(500);
/// Of an idempotency key in a container's name, for people to read.
const KEY_BYTES_MAX: usize = 80;

/// Why an attempt came to nothing.
#[derive(Debug)]
enum Fault {
    /// The work's own; no other attempt would do.
    Work(String),
    /// Of whoever was to run it.
    Engine(String),
}

impl From<String> for Fault {
    fn from(engine: String) -> Self {
        Self::Engine(engine)
    }
}

#[derive(Debug)]
pub(super) struct Workload {
    runs: Runs,
    owner: String,
    scratch: PathBuf,
    guard: Option<Arc<Guard>>,
}

#[derive(Debug)]
enum Runs {
    InContainers {
        engine: Arc<Engine>,
        pull: Pull,
        options: Vec<String>,
    },
    OnHost {
        places: Places,
        hold: Option<PathBuf>,
    },
}

/// What carries one call out.
#[derive(Debug)]
enum Attempt {
    Container(Box<container::Attempt>),
    Host(Box<host::Attempt>),
}

impl Attempt {
    async fn run(&self) -> Processed {
        let came = match self {
            Self::Container(attempt) => attempt.run().await,
            Self::Host(attempt) => attempt.run().await,
        };
        match came {
            Ok(processed) => processed,
            Err(Fault::Work(why)) => Processed::fatal(answer::told(why)),
            Err(Fault::Engine(why)) => Processed::retry(answer::told(format!("engine: {why}"))),
        }
    }

    async fn end(&self) {
        match self {
            Self::Container(attempt) => attempt.end().await,
            Self::Host(attempt) => attempt.end().await,
        }
    }
}

impl Workload {
    /// Removes what an agent that was killed has left. `engine` is the one that was found for it; none: the host.
    pub(super) async fn of(
        way: &WorkloadWay,
        engine: Option<Arc<Engine>>,
        guard: Option<Arc<Guard>>,
        ctx: &Context,
    ) -> Result<Self, CannotStart> {
        let directory = ctx.directory().map_err(CannotStart::not_now)?;
        let owner = format!("{} {}", ctx.identity().instance, directory.display());
        let scratch = directory.join(SCRATCH);
        Scratch::swept(&scratch).map_err(CannotStart::not_now)?;
        let runs = match engine {
            Some(engine) => {
                let label = format!("{OWNER_LABEL}={owner}");
                let left = engine.labelled(&label).await;
                for id in left.map_err(CannotStart::not_now)? {
                    tracing::warn!(container = id, "removes what an earlier life has left");
                    engine.remove(&id).await.map_err(CannotStart::not_now)?;
                }
                Runs::InContainers {
                    engine,
                    pull: way.pull,
                    options: way.options.clone(),
                }
            }
            None => {
                let place = ctx.place();
                let places = Places::of_agent(place.memory_groups.as_deref());
                places.sweep(&prefix(&owner));
                let hold = Some(&place.hold).filter(|hold| !hold.as_os_str().is_empty());
                Runs::OnHost {
                    places,
                    hold: hold.cloned(),
                }
            }
        };
        Ok(Self {
            runs,
            owner,
            scratch,
            guard,
        })
    }

    pub(super) async fn process(&self, call: &Call, hold: Hold) -> Processed {
        let began = Instant::now();
        if let Some(guard) = &self.guard
            && let Err(why) = guard.is_there().await
        {
            return Processed::retry(why);
        }
        let mut task = match Task::read(call.inputs()) {
            Ok(task) => task,
            Err(why) => return Processed::fatal(answer::told(why)),
        };
        if !task.unknown.is_empty() {
            tracing::warn!("nobody reads {} here", task.unknown.join(", "));
        }
        let time = calls::own_time(call).map(|time| {
            let left = time.saturating_sub(began.elapsed());
            left.saturating_sub(REMOVAL).max(left / 2)
        });
        let data = match self.data(call) {
            Ok(data) => data,
            Err(why) => return Processed::retry(answer::told(why)),
        };
        let told = data.iter().flat_map(|data| data.environment.clone());
        task.environment.extend(told);
        let directory = data.as_ref().and_then(|data| data.directory.clone());
        let attempt = match self.attempt(call, task, time, directory) {
            Ok(attempt) => attempt,
            Err(Fault::Work(why) | Fault::Engine(why)) => return Processed::retry(why),
        };
        let (waits, abandoned) = oneshot::channel::<()>();
        // In a task of its own: being dropped is something it has to act upon.
        let running = tokio::spawn(carry_out(attempt, time, abandoned, (data, hold)));
        let processed = running.await;
        drop(waits);
        processed.unwrap_or_else(|error| Processed::retry(format!("its attempt failed: {error}")))
    }

    /// Where its task reads the artifacts that it is given; none, where it is given none.
    fn data(&self, call: &Call) -> Result<Option<Endpoint>, String> {
        let from = match &self.runs {
            Runs::InContainers { .. } => Side::Container,
            Runs::OnHost { .. } => Side::Machine,
        };
        data::granted(call, from).transpose()
    }

    fn attempt(
        &self,
        call: &Call,
        task: Task,
        time: Option<Duration>,
        data: Option<PathBuf>,
    ) -> Result<Attempt, Fault> {
        let key = call.idempotency_key();
        let prefix = prefix(&self.owner);
        let scratch = Scratch::made(&self.scratch)?;
        let heard = Heard {
            within: call.ctx().span().clone(),
            by: format!("{}/{}", call.run(), call.activity()),
        };
        let under_way = watch::Sender::new(());
        Ok(match &self.runs {
            Runs::InContainers {
                engine,
                pull,
                options,
            } => Attempt::Container(Box::new(container::Attempt {
                engine: Arc::clone(engine),
                task,
                name: name(&self.owner, &key),
                labels: self.labels(call),
                data,
                pull: *pull,
                options: options.clone(),
                scratch,
                heard,
                time,
                under_way,
                container: Mutex::default(),
            })),
            Runs::OnHost { places, hold } => Attempt::Host(Box::new(host::Attempt {
                task,
                name: scratch.name(&prefix),
                places: places.clone(),
                marks: self.guard.iter().map(|guard| guard.variable()).collect(),
                hold: hold.clone(),
                scratch,
                heard,
                time,
                under_way,
                groups: Mutex::default(),
            })),
        })
    }

    fn labels(&self, call: &Call) -> Vec<String> {
        let instance = &call.ctx().identity().instance;
        let mut labels = vec![
            format!("{OWNER_LABEL}={}", self.owner),
            format!("mainstay.node={}", instance.node),
            format!("mainstay.instance={instance}"),
            format!("mainstay.key={}", call.idempotency_key()),
        ];
        let guard = self.guard.as_ref().map(|guard| guard.variable().1);
        labels.extend(guard.map(|mark| format!("{GUARD_LABEL}={mark}")));
        labels
    }
}

/// `hold` is let go of when nothing of it is left.
async fn carry_out(
    attempt: Attempt,
    time: Option<Duration>,
    abandoned: oneshot::Receiver<()>,
    (data, hold): (Option<Endpoint>, Hold),
) -> Processed {
    let processed = tokio::select! {
        biased;
        _ = abandoned => Processed::retry("was broken off"),
        ms = late(time) => Processed::retry(format!("did not finish within {ms} ms and was killed")),
        processed = attempt.run() => processed,
    };
    // What it may read is over before it is.
    drop(data);
    attempt.end().await;
    drop((attempt, hold));
    processed
}

async fn late(time: Option<Duration>) -> u128 {
    let Some(time) = time else {
        return pending().await;
    };
    sleep(time).await;
    time.as_millis()
}

fn exited(code: i32, said: Option<&str>) -> String {
    match said {
        Some(said) => format!("exited with {code}: {said}"),
        None => format!("exited with {code}"),
    }
}

fn out_of_memory(task: &Task, how: &str) -> String {
    match &task.resources.memory.limit {
        Some(limit) => format!("ran out of its memory of {}: {how}", limit.text),
        None => format!("ran out of memory: {how}"),
    }
}

/// Of everything of one owner that has a name on the machine.
fn prefix(owner: &str) -> String {
    format!("mainstay-{:016x}-", hash(SEED, owner.as_bytes()))
}

/// The same for every attempt, and for no other activity of the machine.
fn name(owner: &str, key: &str) -> String {
    let is_taken = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let mut readable = key.replace(|c| !is_taken(c), ".");
    words::cut(&mut readable, KEY_BYTES_MAX);
    let whole = hash(hash(SEED, owner.as_bytes()), key.as_bytes());
    format!("mainstay-{readable}-{whole:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_for_an_engine_and_nobody_elses() {
        let long = format!("r/{}", "\u{fc}'\"; $(x)/".repeat(100));
        let names = [
            name("w@n1 /a", "r1/cell/deploy"),
            name("w@n1 /b", "r1/cell/deploy"),
            name("w@n1 /a", "r1/cell.deploy"),
            name("w@n1 /a", &long),
        ];
        assert!(
            names[0].starts_with("mainstay-r1.cell.deploy-"),
            "{names:?}"
        );
        for (place, one) in names.iter().enumerate() {
            let is_taken = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
            assert!(one.len() < 128 && one.chars().all(is_taken), "{one}");
            assert!(!names[..place].contains(one), "{one}");
        }
    }
}
