//! What follows for a run from what happened: writes to its steps and to itself, all of it one entry of the log.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_protocol::work::{Outside, WorkAnswer};
use mainstay_protocol::{
    CommandId, Incarnation, InstanceKey, Json, Timestamp, WorkName, limits, words,
};
use mainstay_resource_graph::{Run, RunState, Step, StepState};

use crate::definition::OnFatal;
use crate::plan::{Plan, Planned};

/// Where a run's steps are: in a transaction over the graph, or in a test's map.
pub trait Steps {
    fn step(&self, id: &WorkName) -> Option<Step>;
    fn put(&mut self, id: &WorkName, step: Step);
    /// Whoever has it is told that nobody wants it any more.
    fn take_back(&mut self, step: &Step);
}

impl Steps for BTreeMap<WorkName, Step> {
    fn step(&self, id: &WorkName) -> Option<Step> {
        self.get(id).cloned()
    }

    fn put(&mut self, id: &WorkName, step: Step) {
        self.insert(id.clone(), step);
    }

    /// Nobody has it.
    fn take_back(&mut self, _: &Step) {}
}

/// Why something is not done; nothing is changed then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum No {
    /// There is no such activity.
    Unknown,
    /// It names a token that is not the step's: what it says was said before, or by one that was given up.
    Stale,
    /// The run, or the step, is in a state in which this cannot be.
    NotNow,
}

/// How errors begin that no activity said: attempts that ran out, and what could not be given, taken or waited for.
const OWN_ERRORS: [&str; 4] = [
    "retries-exhausted: ",
    "wait-timeout: ",
    "missing-input: ",
    "invalid-output: ",
];

/// Whether an error of a step is not what its activity said, but what those say who look after it.
pub fn is_own_error(error: &str) -> bool {
    OWN_ERRORS.iter().any(|begins| error.starts_with(begins))
}

/// A run at one moment.
pub struct Machine<'a, S> {
    plan: &'a Plan,
    run: &'a mut Run,
    steps: &'a mut S,
    now: Timestamp,
    /// From 0 to 999: spreads what would be retried at one time.
    spread: u32,
}

impl<'a, S: Steps> Machine<'a, S> {
    pub fn new(
        plan: &'a Plan,
        run: &'a mut Run,
        steps: &'a mut S,
        (now, spread): (Timestamp, u32),
    ) -> Self {
        Self {
            plan,
            run,
            steps,
            now,
            spread,
        }
    }

    /// The first of its life: its steps are written, and what depends on nothing is due.
    pub fn begin(&mut self) {
        for (id, planned) in &self.plan.steps {
            let state = self.waits_for(planned.waits_for.len());
            let step = Step {
                state,
                ..Step::new(planned.skill.clone())
            };
            self.steps.put(id, step);
        }
        self.run.left = count(self.plan.steps.len());
        // What undoes nothing is done at once.
        if self.run.left == 0 {
            self.end(RunState::Completed);
        }
    }

    /// A step with so many dependencies that are not complete.
    fn waits_for(&self, left: usize) -> StepState {
        match (left, self.run.state) {
            (0, RunState::Running) => StepState::Queued { since: self.now },
            (left, _) => StepState::Pending { left: count(left) },
        }
    }

    /// A worker gets it.
    pub fn take(
        &mut self,
        id: &WorkName,
        token: CommandId,
        (worker, incarnation): (InstanceKey, Incarnation),
    ) -> Result<(), No> {
        let (planned, mut step) = self.look(id)?;
        if self.run.state != RunState::Running || !matches!(step.state, StepState::Queued { .. }) {
            return Err(No::NotNow);
        }
        step.attempt = step.attempt.max(1);
        step.calls += 1;
        step.first_try.get_or_insert(self.now);
        step.worker = Some(worker);
        step.state = StepState::Running {
            token,
            incarnation,
            until: planned.attempt_timeout.map(|time| self.now + time),
        };
        self.steps.put(id, step);
        Ok(())
    }

    /// What it needs is not there, and no attempt will find it.
    pub fn cannot(&mut self, id: &WorkName, error: String) -> Result<(), No> {
        let (_, step) = self.look(id)?;
        if !matches!(step.state, StepState::Queued { .. }) {
            return Err(No::NotNow);
        }
        self.fatal(id, step, error);
        Ok(())
    }

    /// The worker answers.
    pub fn answered(
        &mut self,
        id: &WorkName,
        token: CommandId,
        answer: WorkAnswer,
    ) -> Result<(), No> {
        let (planned, mut step) = self.look(id)?;
        if step.token() != Some(token) || !matches!(step.state, StepState::Running { .. }) {
            return Err(No::Stale);
        }
        match answer {
            WorkAnswer::Complete { output, context } => {
                self.run.context = context.of(&self.run.context);
                self.complete(id, step, output);
            }
            WorkAnswer::Wait => match step.early.take() {
                Some(outside) => self.outside(id, step, outside),
                None => {
                    let waits = StepState::Waiting {
                        token,
                        until: planned.wait_timeout.map(|time| self.now + time),
                    };
                    self.again(id, step, waits);
                }
            },
            WorkAnswer::Schedule { after, scratch } => {
                step.scratch = scratch.of(&step.scratch);
                let at = self.now + bounded(after);
                self.again(id, step, StepState::Scheduled { at });
            }
            WorkAnswer::Retry {
                error,
                after,
                scratch,
            } => {
                step.scratch = scratch.of(&step.scratch);
                self.failed_once(id, step, (error, after));
            }
            WorkAnswer::Fatal { error } => self.fatal(id, step, error),
        }
        Ok(())
    }

    /// The worker is gone, or says that it panicked: an attempt that counts.
    pub fn lost(&mut self, id: &WorkName, token: CommandId, why: &str) -> Result<(), No> {
        let (_, step) = self.look(id)?;
        if step.token() != Some(token) || !matches!(step.state, StepState::Running { .. }) {
            return Err(No::Stale);
        }
        self.failed_once(id, step, (why.to_owned(), None));
        Ok(())
    }

    /// The worker is out of sight and given up: it may be at work all the same, and may come back.
    pub fn given_up(&mut self, id: &WorkName, token: CommandId, why: &str) -> Result<(), No> {
        let (_, step) = self.look(id)?;
        self.lost(id, token, why)?;
        self.steps.take_back(&step);
        Ok(())
    }

    /// Somebody outside says what became of it; before the activity itself said that it waits, that is kept.
    pub fn from_outside(
        &mut self,
        id: &WorkName,
        token: CommandId,
        said: Outside,
    ) -> Result<(), No> {
        let (_, mut step) = self.look(id)?;
        if step.token() != Some(token) {
            return Err(No::Stale);
        }
        match step.state {
            StepState::Waiting { .. } => self.outside(id, step, said),
            _ if step.early.is_some() => return Err(No::Stale),
            _ => {
                step.early = Some(match said {
                    Outside::Fail { mut error } => {
                        words::cut(&mut error, limits::EVIDENCE_BYTES_MAX);
                        Outside::Fail { error }
                    }
                    complete @ Outside::Complete { .. } => complete,
                });
                self.steps.put(id, step);
            }
        }
        Ok(())
    }

    /// Its time has come.
    pub fn due(&mut self, id: &WorkName) -> Result<(), No> {
        let (_, mut step) = self.look(id)?;
        if step.due().is_none_or(|at| at > self.now) {
            return Err(No::NotNow);
        }
        match step.state {
            StepState::Scheduled { .. } | StepState::Retrying { .. } => {
                step.state = self.waits_for(0);
                self.steps.put(id, step);
            }
            StepState::Waiting { .. } => {
                let text = "wait-timeout: nobody said in time that it is done";
                self.fatal(id, step, text.to_owned());
            }
            _ => {
                self.steps.take_back(&step);
                let text = "attempt-timeout: it did not answer in time";
                self.failed_once(id, step, (text.to_owned(), None));
            }
        }
        Ok(())
    }

    /// What is due waits, out of the line of those that are handed out.
    pub fn pause(&mut self) -> Result<(), No> {
        self.turn(RunState::Running, RunState::Paused)?;
        self.each(|step| match step.state {
            StepState::Queued { .. } => Some(StepState::Pending { left: 0 }),
            _ => None,
        });
        Ok(())
    }

    pub fn resume(&mut self) -> Result<(), No> {
        self.turn(RunState::Paused, RunState::Running)?;
        let since = self.now;
        self.each(|step| match step.state {
            StepState::Pending { left: 0 } => Some(StepState::Queued { since }),
            _ => None,
        });
        Ok(())
    }

    fn turn(&mut self, from: RunState, to: RunState) -> Result<(), No> {
        if self.run.state != from {
            return Err(No::NotNow);
        }
        self.run.state = to;
        Ok(())
    }

    /// What is out is taken back, and what it says is not heard any more. Of a run that has failed that is all there is to do.
    pub fn cancel(&mut self) -> Result<(), No> {
        if self.run.state == RunState::Errored && self.is_anything_out() {
            self.each(|step| step.at_work().is_some().then_some(StepState::Cancelled));
            return Ok(());
        }
        if !self.run.state.is_open() {
            return Err(No::NotNow);
        }
        self.end(RunState::Cancelled);
        self.each(|step| match step.state {
            StepState::Completed { .. } | StepState::Failed => None,
            _ => Some(StepState::Cancelled),
        });
        Ok(())
    }

    /// A run that failed goes on: what failed is tried anew, what was skipped waits again. One that undoes another also
    /// after it was cancelled: somebody has to.
    pub fn retry(&mut self) -> Result<(), No> {
        let undoes = self.run.line.is_some() && self.run.state == RunState::Cancelled;
        if self.run.state != RunState::Errored && !undoes {
            return Err(No::NotNow);
        }
        self.run.state = RunState::Running;
        self.run.ended = None;
        self.run.errors.clear();
        for (id, planned) in &self.plan.steps {
            let Some(mut step) = self.steps.step(id) else {
                continue;
            };
            let is_over = matches!(
                step.state,
                StepState::Failed | StepState::Skipped | StepState::Cancelled
            );
            if !is_over {
                continue;
            }
            let is_complete = |on: &&WorkName| {
                let step = self.steps.step(on);
                step.is_some_and(|step| matches!(step.state, StepState::Completed { .. }))
            };
            let complete = planned.waits_for.iter().filter(is_complete).count();
            step.state = self.waits_for(planned.waits_for.len() - complete);
            (step.attempt, step.first_try) = (0, None);
            (step.last_error, step.early) = (None, None);
            self.steps.put(id, step);
        }
        Ok(())
    }

    /// It is being undone by another run.
    pub fn undoes(&mut self) -> Result<(), No> {
        match self.run.state {
            RunState::Completed | RunState::Errored => {
                self.run.state = RunState::Compensating;
                Ok(())
            }
            // What was out when it was cancelled may have done some of it: nobody knows what there is to undo.
            RunState::Cancelled
            | RunState::Running
            | RunState::Paused
            | RunState::Compensating
            | RunState::Compensated
            | RunState::CompensationFailed => Err(No::NotNow),
        }
    }

    /// The run that undoes it came to its end.
    pub fn undone(&mut self, well: bool) -> Result<(), No> {
        let to = match well {
            true => RunState::Compensated,
            false => RunState::CompensationFailed,
        };
        self.turn(RunState::Compensating, to)?;
        self.run.ended = Some(self.now);
        Ok(())
    }

    /// The run that undoes it failed, and is tried again.
    pub fn undoes_again(&mut self) -> Result<(), No> {
        self.turn(RunState::CompensationFailed, RunState::Compensating)
    }

    /// What is to be undone, what was done last first; None as long as something is out, or where it is to be left.
    pub fn to_undo(&self) -> Option<Vec<WorkName>> {
        let is_wanted = self.run.state == RunState::Errored;
        if !is_wanted || self.plan.on_fatal != OnFatal::Compensate {
            return None;
        }
        self.done()
    }

    /// What did something, the last first; None as long as something is out.
    pub fn done(&self) -> Option<Vec<WorkName>> {
        let (mut ran, mut complete) = (Vec::new(), Vec::new());
        for id in self.plan.steps.keys() {
            let step = self.steps.step(id)?;
            match step.state {
                StepState::Running { .. } => return None,
                StepState::Completed { place } => complete.push((place, id.clone())),
                _ if step.may_have_run() => ran.push(id.clone()),
                _ => {}
            }
        }
        // What did not come to its end may have begun after all that did.
        complete.sort_unstable();
        ran.extend(complete.into_iter().rev().map(|(_, id)| id));
        Some(ran)
    }

    fn is_anything_out(&self) -> bool {
        let mut steps = self.plan.steps.keys();
        steps.any(|id| {
            let step = self.steps.step(id);
            step.is_some_and(|step| step.at_work().is_some())
        })
    }

    fn look(&self, id: &WorkName) -> Result<(&'a Planned, Step), No> {
        let planned = self.plan.steps.get(id).ok_or(No::Unknown)?;
        let step = self.steps.step(id).ok_or(No::Unknown)?;
        Ok((planned, step))
    }

    fn outside(&mut self, id: &WorkName, step: Step, said: Outside) {
        match said {
            Outside::Complete { output } => self.complete(id, step, output),
            Outside::Fail { error } => self.fatal(id, step, error),
        }
    }

    fn complete(&mut self, id: &WorkName, mut step: Step, output: Json) {
        step.state = StepState::Completed {
            place: self.run.done,
        };
        step.output = Some(output);
        step.scratch = Json::empty_object();
        (step.last_error, step.early) = (None, None);
        self.steps.put(id, step);
        self.run.done += 1;
        self.run.left -= 1;
        if !self.run.state.is_open() {
            return;
        }
        for waiting in &self.plan.steps[id].before {
            let Some(mut step) = self.steps.step(waiting) else {
                continue;
            };
            if let StepState::Pending { left } = step.state {
                step.state = self.waits_for(left as usize - 1);
                self.steps.put(waiting, step);
            }
        }
        if self.run.left == 0 {
            self.end(RunState::Completed);
        }
    }

    fn failed_once(
        &mut self,
        id: &WorkName,
        mut step: Step,
        (mut error, after): (String, Option<Duration>),
    ) {
        words::cut(&mut error, limits::EVIDENCE_BYTES_MAX);
        let planned = &self.plan.steps[id];
        let first = step.first_try.unwrap_or(self.now);
        let wait = planned.retry.wait_after(step.attempt);
        let wait = wait.map(|wait| match after {
            Some(after) => bounded(after),
            None => self.spread_out(planned, wait),
        });
        let in_time = |wait: &Duration| {
            let total = planned.retry.total_timeout;
            total.is_none_or(|total| self.now + *wait <= first + total)
        };
        match wait.filter(in_time) {
            Some(wait) if self.run.state.is_open() => {
                step.last_error = Some(error);
                step.attempt += 1;
                let at = self.now + wait;
                self.again(id, step, StepState::Retrying { at });
            }
            // The run has failed already: nothing is tried any more.
            Some(_) => self.fatal(id, step, error),
            None => {
                let attempts = step.attempt;
                let text = format!("retries-exhausted: attempt {attempts} was the last: {error}");
                self.fatal(id, step, text);
            }
        }
    }

    fn spread_out(&self, planned: &Planned, wait: Duration) -> Duration {
        match planned.retry.jitter {
            // At most a fifth more.
            true => wait + wait * self.spread / 5_000,
            false => wait,
        }
    }

    /// It goes on later, unless the run has ended meanwhile.
    fn again(&mut self, id: &WorkName, mut step: Step, state: StepState) {
        step.early = None;
        step.state = match self.run.state {
            RunState::Running | RunState::Paused => state,
            RunState::Completed
            | RunState::Errored
            | RunState::Compensating
            | RunState::Compensated
            | RunState::CompensationFailed
            | RunState::Cancelled => StepState::Cancelled,
        };
        self.steps.put(id, step);
    }

    fn fatal(&mut self, id: &WorkName, mut step: Step, mut error: String) {
        words::cut(&mut error, limits::EVIDENCE_BYTES_MAX);
        step.state = StepState::Failed;
        step.last_error = Some(error.clone());
        step.early = None;
        self.steps.put(id, step);
        if self.run.errors.len() < limits::RUN_ERRORS_MAX {
            self.run.errors.insert(id.clone(), error);
        }
        if !self.run.state.is_open() {
            return;
        }
        self.end(RunState::Errored);
        self.each(|step| match step.state {
            // What is out settles: it is asked what came of it.
            StepState::Running { .. } | StepState::Completed { .. } | StepState::Failed => None,
            // Nobody is waited for that may never come.
            StepState::Waiting { .. } => Some(StepState::Cancelled),
            StepState::Pending { .. }
            | StepState::Queued { .. }
            | StepState::Scheduled { .. }
            | StepState::Retrying { .. }
            | StepState::Skipped
            | StepState::Cancelled => Some(StepState::Skipped),
        });
    }

    fn end(&mut self, state: RunState) {
        self.run.state = state;
        self.run.ended = Some(self.now);
    }

    fn each(&mut self, becomes: impl Fn(&Step) -> Option<StepState>) {
        for id in self.plan.steps.keys() {
            if let Some(mut step) = self.steps.step(id)
                && let Some(state) = becomes(&step)
            {
                if step.at_work().is_some() {
                    self.steps.take_back(&step);
                }
                step.state = state;
                step.early = None;
                if !goes_on(&step.state) {
                    step.scratch = Json::empty_object();
                }
                self.steps.put(id, step);
            }
        }
    }
}

fn goes_on(state: &StepState) -> bool {
    matches!(state, StepState::Pending { .. } | StepState::Queued { .. })
}

fn count(steps: usize) -> u32 {
    u32::try_from(steps).expect("activities are bounded")
}

/// What a processor asks for has no bound of its own.
fn bounded(wait: Duration) -> Duration {
    wait.min(Duration::from_millis(limits::WORK_WAIT_MS_MAX))
}
