//! `hand_out`: a step that is due goes to an instance that does such work and has a hand free.

use mainstay_protocol::code;
use mainstay_protocol::command::Order;
use mainstay_protocol::work::{Skill, Work};
use mainstay_protocol::{CommandId, InstanceKey, StepKey};
use mainstay_resource_graph::{
    Instance, Key, Run, RunState, Step, StepState, Txn, Vertex, View, ViewExt,
};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::runs::{self, Program};
use crate::verb;

pub struct HandOut;

impl Rule for HandOut {
    const NAME: &'static str = "hand_out";
    const ABOUT: &'static str =
        "Gives a step of a run that is due to an instance that does such work.";
    const SAFETY: Option<&'static str> = Some("no run would go on");
    type Subject = StepKey;

    fn watches() -> Watch {
        Watch::steps(|step| matches!(step.state, StepState::Queued { .. }))
    }

    /// Hands became free, or there are more: whoever waits longest is next, as many as there are free hands, wherever
    /// they are. A step that is due is asked about by itself, and one that was just taken frees nothing.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<StepKey> {
        let (worker, skill) = match changed {
            Key::Instance(worker) => (Some(worker.clone()), None),
            Key::Step(key) => match view.step(key) {
                Some(step) if frees(&step.state) => (step.worker, Some(step.skill)),
                Some(_) | None => return Vec::new(),
            },
            // It may do more by now.
            Key::Type(_) => return first_due(view, &view.skills_due()),
            _ => return Vec::new(),
        };
        let mut skills = view.skills_due();
        skills.retain(|one| {
            let does = |worker: &InstanceKey| free_of(view, worker, one) > 0;
            skill.as_ref() == Some(one) || worker.as_ref().is_some_and(does)
        });
        first_due(view, &skills)
    }

    fn judge(subject: StepKey, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some((step, run)) = txn.step(&subject).zip(txn.run(&subject.run)) else {
            return Verdict::Nothing;
        };
        let is_due = match step.state {
            StepState::Queued { since } => env.is_turn_of(&subject, since),
            _ => false,
        };
        if !is_due || run.state != RunState::Running {
            return Verdict::Nothing;
        }
        let Some(worker) = least_busy(txn, &step) else {
            return Verdict::Nothing;
        };
        let Some(program) = runs::program(txn, &run) else {
            return Verdict::Nothing;
        };
        match work(txn, (&subject, &step), &run, &program, &worker) {
            Ok(work) => give(txn, work, env),
            Err(missing) => {
                // It is due, and its run goes on.
                let _ = runs::change(txn, &subject.run, env, |machine| {
                    machine.cannot(&subject.activity, missing.clone())
                });
                Verdict::did(code::MISSING_INPUT, missing)
            }
        }
    }
}

/// As many of each as there are free hands for it.
fn first_due(view: &dyn View, skills: &[Skill]) -> Vec<StepKey> {
    let due = skills
        .iter()
        .flat_map(|skill| view.steps_due(skill, free_for(view, skill)));
    due.collect()
}

fn frees(state: &StepState) -> bool {
    match state {
        StepState::Pending { .. } | StepState::Queued { .. } | StepState::Running { .. } => false,
        StepState::Waiting { .. }
        | StepState::Scheduled { .. }
        | StepState::Retrying { .. }
        | StepState::Completed { .. }
        | StepState::Failed
        | StepState::Skipped
        | StepState::Cancelled => true,
    }
}

/// Hands that are free for such work.
pub(crate) fn free_for(view: &dyn View, skill: &Skill) -> usize {
    let hands = view.hands();
    hands
        .iter()
        .map(|worker| free_of(view, worker, skill))
        .sum()
}

/// Of one, if it does such work.
pub(crate) fn free_of(view: &dyn View, worker: &InstanceKey, skill: &Skill) -> usize {
    let does = |instance: &Instance| {
        let does = instance.has_hands() && serves(view, instance, skill);
        does.then_some(instance.hands as usize)
    };
    let hands = view.look_at_instance(worker, does).flatten();
    hands.map_or(0, |hands| hands.saturating_sub(view.count_at(worker)))
}

pub(crate) fn serves(view: &dyn View, instance: &Instance, skill: &Skill) -> bool {
    let of_type = || {
        let record = view.record(&Key::Type(instance.service_type.clone()));
        record.is_some_and(|record| match &record.vertex {
            Vertex::Type(found) => found.declaration.serves.skills.has(skill),
            _ => false,
        })
    };
    instance.skills.has(skill) || of_type()
}

/// Of those that do such work and have a hand free. Whoever failed at it is asked last: it may lack what another has.
fn least_busy(txn: &Txn<'_>, step: &Step) -> Option<(InstanceKey, Instance)> {
    let failed = step.worker.as_ref().filter(|_| step.attempt > 1);
    let able = txn.hands().into_iter().filter_map(|worker| {
        let is_free = free_of(txn, &worker, &step.skill) > 0;
        is_free.then(|| (failed == Some(&worker), txn.count_at(&worker), worker))
    });
    let (_, _, worker) = able.min()?;
    let instance = txn.instance(&worker)?;
    Some((worker, instance))
}

fn work(
    txn: &Txn<'_>,
    (key, step): (&StepKey, &Step),
    run: &Run,
    program: &Program,
    (worker, instance): &(InstanceKey, Instance),
) -> Result<Work, String> {
    let activity = program.activity(&key.activity).ok_or_else(|| {
        let definition = &program.definition.name;
        format!(
            "its definition, {definition}, has no activity {}",
            key.activity
        )
    })?;
    let inputs = runs::inputs_of(txn, (&key.run, run), program, activity);
    let discriminator = activity
        .discriminator
        .clone()
        .or_else(|| run.section.clone());
    let inputs = inputs.map_err(|missing| missing.to_string())?;
    if let Some(why) = runs::unkept(&inputs) {
        return Err(format!("too-large: what is mapped to it {why}"));
    }
    Ok(Work {
        instance: worker.clone(),
        incarnation: instance.incarnation,
        step: key.clone(),
        skill: step.skill.clone(),
        discriminator,
        attempt: step.attempt.max(1),
        call: step.calls + 1,
        inputs,
        scratch: step.scratch.clone(),
        context: run.context.clone(),
        time_ms: activity
            .attempt_timeout
            .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
    })
}

/// The command is the step's lease: whoever answers names it.
fn give(txn: &mut Txn<'_>, work: Work, env: &Env) -> Verdict {
    let (key, worker) = (work.step.clone(), work.instance.clone());
    let incarnation = work.incarnation;
    let text = format!("attempt {} goes to {worker}", work.attempt);
    let token: CommandId = verb::command(txn, &worker, Order::Work(Box::new(work)), env);
    let taken = runs::change(txn, &key.run, env, |machine| {
        machine.take(&key.activity, token, (worker, incarnation))
    });
    match taken {
        Ok(()) => Verdict::did(code::HANDED_OUT, text),
        Err(_) => {
            txn.remove(&Key::Command(token));
            Verdict::Nothing
        }
    }
}
