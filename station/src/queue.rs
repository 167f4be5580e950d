//! The outside queue of a station that leads: what is due is published there, and whose turn it is comes from there.
//!
//! ```text
//!   driver --due, gone, hands--> Errands --> Feeder --publish, take, complete--> ActivityQueue
//!      ^                                        |
//!      +---- core.turn <-------- turns ---------+
//! ```
//! The graph alone says what is due. Whenever anything fails, the feeder opens the queue again and publishes all of that
//! anew; what it finds missing where it should be, it publishes anew as well. So nothing that the queue loses is lost, and
//! what it still has from before is found to be due no more.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mainstay_api::Time;
use mainstay_coordinator::LeaderCore;
use mainstay_orchestrator::{ActivityQueue, Due, QueueFault, Turn};
use mainstay_protocol::work::Skill;
use mainstay_protocol::{StepKey, Timestamp, limits};
use mainstay_resource_graph::{Change, Graph, Key, StepState, Vertex, View, ViewExt};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::clock::wall_ms;

/// Between two tries to open a queue that cannot be used.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A turn that no hand was free for yet is held for longer, and whether the queue is there is looked at.
const EXTENDED_EVERY: Duration = Duration::from_secs(10);
/// What is published and is not there is asked for again after so long, then twice as long ..
const MISSED_PAUSE_MIN: Duration = Duration::from_millis(5);
const MISSED_PAUSE_MAX: Duration = Duration::from_millis(500);
/// .. and published again from then on: a server may need a moment for what it has confirmed already.
const MISSED_BEFORE: u32 = 4;
const MISSED_MAX: u32 = 20;

/// The queue that this station uses whenever it leads.
pub struct Outside {
    engine: Arc<dyn ActivityQueue>,
    /// Where it is.
    pub at: String,
    away: Mutex<Option<Away>>,
}

/// It cannot be used.
#[derive(Debug, Clone)]
pub struct Away {
    pub since: Time,
    pub why: String,
}

impl Outside {
    pub fn new(engine: Arc<dyn ActivityQueue>, at: String) -> Arc<Self> {
        Arc::new(Self {
            engine,
            at,
            away: Mutex::new(None),
        })
    }

    pub fn away(&self) -> Option<Away> {
        self.lock().clone()
    }

    fn is_there(&self) {
        if let Some(away) = self.lock().take() {
            let at = &self.at;
            tracing::info!(at, since = %away.since, "the outside queue is there again");
        }
    }

    /// Told once for each absence.
    fn is_away(&self, fault: &QueueFault) {
        let mut away = self.lock();
        let since = away.as_ref().map(|away| away.since);
        if since.is_none() {
            tracing::warn!(at = self.at, why = %fault, "the outside queue cannot be used: what is due waits for it");
        }
        *away = Some(Away {
            since: since.unwrap_or_else(|| Time::from_wall_ms(wall_ms())),
            why: fault.to_string(),
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Away>> {
        // One assignment under the lock: a panic leaves nothing half done.
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on until the feeding is dropped.
    pub fn feed(self: &Arc<Self>) -> Feeding {
        // Whether it was there meanwhile is not known: what this finds counts from now on.
        *self.lock() = None;
        let errands = Arc::new(Errands::default());
        let (told, turns) = mpsc::channel(limits::BATCH_EVENTS_MAX);
        let feeder = Feeder {
            outside: Arc::clone(self),
            errands: Arc::clone(&errands),
            told,
            lines: BTreeMap::new(),
            since: BTreeMap::new(),
            held: BTreeMap::new(),
            hands: BTreeMap::new(),
            missed: BTreeMap::new(),
        };
        Feeding {
            errands,
            turns,
            task: tokio::spawn(feeder.run()),
        }
    }
}

/// What a driver has of it while it drives.
pub struct Feeding {
    errands: Arc<Errands>,
    turns: mpsc::Receiver<(StepKey, Timestamp)>,
    task: JoinHandle<()>,
}

impl Drop for Feeding {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Feeding {
    /// The next turn. None: the feeder is gone, which does not end by itself.
    pub async fn turn(&mut self) -> Option<(StepKey, Timestamp)> {
        self.turns.recv().await
    }

    /// All that is due of a graph, and the hands there are.
    pub fn began(&self, core: &LeaderCore) {
        let due = all_due(core.graph());
        self.errands.told(|news| {
            news.steps = due
                .into_iter()
                .map(|due| (due.step.clone(), Some(due)))
                .collect();
            news.hands = core.free_hands();
        });
    }

    pub fn applied(&self, changes: &[Change], core: &LeaderCore) {
        let hands = core.free_hands();
        self.errands.told(|news| {
            for change in changes {
                match change {
                    Change::Put(record) => {
                        if let (Key::Step(step), Vertex::Step(found)) =
                            (&record.key, &record.vertex)
                        {
                            let due = due_since(&found.state).map(|since| Due {
                                since,
                                step: step.clone(),
                                skill: found.skill.clone(),
                            });
                            news.steps.insert(step.clone(), due);
                        }
                    }
                    Change::Remove(Key::Step(step)) => _ = news.steps.insert(step.clone(), None),
                    Change::Remove(_) | Change::Link(_) | Change::Unlink { .. } => {}
                }
            }
            news.hands = hands;
        });
    }
}

fn due_since(state: &StepState) -> Option<Timestamp> {
    match state {
        StepState::Queued { since } => Some(*since),
        _ => None,
    }
}

fn all_due(graph: &Graph) -> Vec<Due> {
    let skills = graph.skills_due().into_iter();
    let due = skills.flat_map(|skill| {
        let steps = graph.steps_due(&skill, usize::MAX).into_iter();
        let due = steps.filter_map(move |step| {
            let since = due_since(&graph.step(&step)?.state)?;
            let skill = skill.clone();
            Some(Due { since, step, skill })
        });
        due.collect::<Vec<_>>()
    });
    due.collect()
}

/// What the driver leaves for the feeder, which fetches it: the newest of each step, so that it is bounded by what there is.
#[derive(Default)]
struct Errands {
    news: Mutex<News>,
    left: Notify,
}

#[derive(Default)]
struct News {
    /// Due since then; none: no more.
    steps: BTreeMap<StepKey, Option<Due>>,
    hands: BTreeMap<Skill, usize>,
}

impl Errands {
    fn told(&self, tell: impl FnOnce(&mut News)) {
        // A panic leaves what was told before it, and ends the driver, whose next begins with all there is.
        tell(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner));
        self.left.notify_one();
    }

    fn fetch(&self) -> (BTreeMap<StepKey, Option<Due>>, BTreeMap<Skill, usize>) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut news.steps), news.hands.clone())
    }
}

struct Feeder {
    outside: Arc<Outside>,
    errands: Arc<Errands>,
    told: mpsc::Sender<(StepKey, Timestamp)>,
    /// What is due, in order.
    lines: BTreeMap<Skill, BTreeSet<Due>>,
    since: BTreeMap<StepKey, Due>,
    /// Whose turn it is, until it is handed out.
    held: BTreeMap<StepKey, Turn>,
    hands: BTreeMap<Skill, usize>,
    /// How often in a row nothing was there of what should be.
    missed: BTreeMap<Skill, u32>,
}

/// What has become of steps.
#[must_use = "it is said once"]
struct Fetched {
    /// Due now, in order.
    new: Vec<Due>,
    /// Their turns are over.
    done: Vec<Turn>,
    /// Due no more, before it was their turn.
    gone: Vec<Due>,
}

impl Feeder {
    async fn run(mut self) {
        let mut pause = PAUSE_MIN;
        loop {
            let began = Instant::now();
            let Err(fault) = self.serve().await;
            self.outside.is_away(&fault);
            // What is due is published as a whole once it is there; what is due no more is not to be kept until then.
            drop(self.fetch());
            // One that was there for a while may be there again at once.
            if began.elapsed() > PAUSE_MAX {
                pause = PAUSE_MIN;
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Ends by a fault alone.
    async fn serve(&mut self) -> Result<Infallible, QueueFault> {
        let outside = Arc::clone(&self.outside);
        let queue = &*outside.engine;
        queue.open().await?;
        drop(self.fetch());
        self.held.clear();
        self.missed.clear();
        let all: Vec<Due> = self.lines.values().flatten().cloned().collect();
        queue.publish(&all).await?;
        outside.is_there();
        let mut extended = Instant::now();
        loop {
            self.take_all(queue).await?;
            let missed = self.missed.values().min();
            let next = missed.map_or(EXTENDED_EVERY, |missed| {
                (MISSED_PAUSE_MIN * (1 << missed.min(&10))).min(MISSED_PAUSE_MAX)
            });
            tokio::select! {
                () = self.errands.left.notified() => {}
                () = sleep(next) => {}
            }
            let Fetched { new, done, gone } = self.fetch();
            queue.publish(&new).await?;
            for turn in &done {
                queue.complete(turn).await?;
            }
            for due in &gone {
                queue.withdraw(due).await?;
            }
            if extended.elapsed() >= EXTENDED_EVERY {
                extended = Instant::now();
                // That it is away is noticed also where nothing is due.
                queue.open().await?;
                for turn in self.held.values() {
                    queue.extend(turn).await?;
                }
            }
        }
    }

    /// What the driver told.
    fn fetch(&mut self) -> Fetched {
        let (steps, hands) = self.errands.fetch();
        self.hands = hands;
        let (mut new, mut done, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for (step, due) in steps {
            let known = self.since.get(&step);
            if known == due.as_ref() {
                continue;
            }
            let known = self.since.remove(&step);
            if let Some(known) = &known
                && let Some(line) = self.lines.get_mut(&known.skill)
            {
                line.remove(known);
                if line.is_empty() {
                    self.lines.remove(&known.skill);
                }
            }
            match self.held.remove(&step) {
                Some(turn) => done.push(turn),
                // What is due anew takes its place by itself.
                None => gone.extend(known.filter(|_| due.is_none())),
            }
            if let Some(due) = due {
                self.since.insert(step, due.clone());
                let line = self.lines.entry(due.skill.clone()).or_default();
                line.insert(due.clone());
                new.push(due);
            }
        }
        new.sort();
        Fetched { new, done, gone }
    }

    async fn take_all(&mut self, queue: &dyn ActivityQueue) -> Result<(), QueueFault> {
        let skills: Vec<Skill> = self.lines.keys().cloned().collect();
        self.missed
            .retain(|skill, _| self.lines.contains_key(skill));
        for skill in skills {
            self.take(queue, &skill).await?;
        }
        Ok(())
    }

    async fn take(&mut self, queue: &dyn ActivityQueue, skill: &Skill) -> Result<(), QueueFault> {
        loop {
            let held = self.held.values();
            let held = held.filter(|turn| turn.due.skill == *skill).count();
            let due = self.lines.get(skill).map_or(0, BTreeSet::len) - held;
            let hands = self.hands.get(skill).copied().unwrap_or(0);
            let most = hands
                .saturating_sub(held)
                .min(due)
                .min(limits::BATCH_EVENTS_MAX);
            if most == 0 {
                self.missed.remove(skill);
                return Ok(());
            }
            let turns = queue.take(skill, most).await?;
            if turns.is_empty() {
                return self.missing(queue, skill, most).await;
            }
            self.missed.remove(skill);
            for turn in turns {
                self.took(queue, turn).await?;
            }
        }
    }

    async fn took(&mut self, queue: &dyn ActivityQueue, turn: Turn) -> Result<(), QueueFault> {
        let step = turn.due.step.clone();
        if self.since.get(&step) != Some(&turn.due) {
            return queue.complete(&turn).await;
        }
        let since = turn.due.since;
        if let Some(older) = self.held.insert(step.clone(), turn) {
            queue.complete(&older).await?;
        }
        // Nobody listens: the driver is gone, and so is this in a moment.
        drop(self.told.send((step, since)).await);
        Ok(())
    }

    /// It is due, hands are free, and the queue has it not: it was lost, or somebody who led before has taken it.
    async fn missing(
        &mut self,
        queue: &dyn ActivityQueue,
        skill: &Skill,
        most: usize,
    ) -> Result<(), QueueFault> {
        let missed = self.missed.entry(skill.clone()).or_default();
        *missed += 1;
        if *missed > MISSED_MAX {
            let why = format!("{skill} is due and published, and never there");
            return Err(QueueFault::new("take", why));
        }
        if *missed <= MISSED_BEFORE {
            return Ok(());
        }
        let line = self.lines.get(skill).into_iter().flatten();
        let lost = line.filter(|due| !self.held.contains_key(&due.step));
        let lost: Vec<Due> = lost.take(most).cloned().collect();
        queue.publish(&lost).await
    }
}
