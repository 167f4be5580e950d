//! Runs in the graph: what one goes by, its machine over a transaction, and what a call of an activity is given.
//!
//! A run reads two texts, kept once by their hashes: its plan (the definition and the types of its activities, as they
//! were when it began) and its input. What is worked out of a plan is remembered: the same text means the same for ever.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use mainstay_orchestrator::{
    Activity, ActivityType, DISPOSE, Definition, Fault, Found, Known, Machine, MissingInput, No,
    OnFatal, Plan, RetryPolicy, Schema, Source, Steps, definition as check, inputs, mapped,
    response,
};
use mainstay_protocol::command::{Order, TakeBack};
use mainstay_protocol::{CommandId, Json, NodeName, RunId, StepKey, WorkName, limits};
use mainstay_resource_graph::{
    Key, Relation, Run, RunState, Step, StepState, Text, TextHash, Txn, Vertex, View, ViewExt,
};

use crate::env::Env;
use crate::schema::Wrong;
use crate::{hash, schema, verb};

/// One section of a definition, as a run goes by it.
pub(crate) struct Program {
    pub definition: Definition,
    pub known: Known,
    pub activities: Vec<Activity>,
    plan: Plan,
}

const DEFINITION: &str = "definition";
const ACTIVITIES: &str = "activities";

/// What a run that begins now goes by, as it is kept: the definition, and the types it uses.
pub(crate) fn plan_text(definition: &Definition, known: &Known) -> Json {
    let used = definition.activities.all();
    let types: BTreeMap<String, Json> = used
        .filter_map(|activity| known.get(&activity.of))
        .map(|of| (of.name.to_string(), of.text.clone()))
        .collect();
    Json::of(&[
        (DEFINITION, definition.write()),
        (ACTIVITIES, Json::object(&types)),
    ])
}

impl Program {
    fn read(text: &Json, section: Option<&str>) -> Option<Self> {
        let mut found = Found::default();
        let types = text.member(ACTIVITIES)?;
        let types = types.members().into_values();
        let types = types.filter_map(|text| ActivityType::read(&text, &mut Found::default()));
        let known: Known = types.map(|of| (of.name.clone(), of)).collect();
        let definition = check(&text.member(DEFINITION)?, &known, &mut found)?;
        let activities = definition.activities.section(section)?.to_vec();
        let retry = RetryPolicy::default();
        let plan = Plan::of(&activities, definition.on_fatal, (&known, &retry));
        Some(Self {
            definition,
            known,
            activities,
            plan,
        })
    }

    /// The steps of a run: those of its section, or of a line of them.
    pub(crate) fn plan(&self, run: &Run) -> Cow<'_, Plan> {
        match &run.line {
            Some(line) => Cow::Owned(self.plan.in_line(line)),
            None => Cow::Borrowed(&self.plan),
        }
    }

    pub(crate) fn activity(&self, id: &WorkName) -> Option<&Activity> {
        self.activities.iter().find(|activity| activity.id == *id)
    }
}

/// Plans that are worked out and kept; a cluster has few that run at one time.
const PROGRAMS_KEPT: usize = 256;

type Remembered = BTreeMap<(TextHash, Option<String>), Rc<Program>>;

thread_local! {
    static REMEMBERED: RefCell<Remembered> = const { RefCell::new(BTreeMap::new()) };
}

/// The activities of a run, in the order of its definition; of one that undoes another, as it goes through them.
pub fn activities_of(view: &dyn View, run: &Run) -> Vec<Activity> {
    let Some(program) = program(view, run) else {
        return Vec::new();
    };
    let Some(line) = &run.line else {
        return program.activities.clone();
    };
    let mut before: Option<WorkName> = None;
    let mut all = Vec::new();
    for id in line {
        let Some(activity) = program.activity(id) else {
            continue;
        };
        let depends_on = before.replace(id.clone()).into_iter().collect();
        all.push(Activity {
            depends_on,
            ..activity.clone()
        });
    }
    all
}

/// It has come to its end: nothing of it is out, and nothing undoes it by itself.
pub fn is_over(view: &dyn View, id: &RunId, run: &Run) -> bool {
    let goes_on = match run.state {
        RunState::Running | RunState::Paused | RunState::Compensating => true,
        RunState::Errored => {
            program(view, run).is_some_and(|program| is_undone_when_it_fails(&program, run))
        }
        RunState::Completed
        | RunState::Compensated
        | RunState::CompensationFailed
        | RunState::Cancelled => false,
    };
    // Where all is complete nothing is out: of a long list of runs most are such.
    !goes_on && (run.left == 0 || !is_anything_out(view, id, run))
}

fn is_anything_out(view: &dyn View, id: &RunId, run: &Run) -> bool {
    let is_out = |key: StepKey| {
        let record = view.record(&Key::Step(key));
        record.is_some_and(|record| match &record.vertex {
            Vertex::Step(step) => out_with(step).is_some(),
            _ => false,
        })
    };
    steps(view, id, run).into_iter().any(is_out)
}

/// Of the types of activities that a definition names, those that there are.
pub(crate) fn types_of(view: &dyn View, definition: &Json) -> Known {
    let read = Definition::read(definition, &mut Found::default());
    let activities = read.iter().flat_map(|read| read.activities.all());
    let names: BTreeSet<WorkName> = activities.map(|activity| activity.of.clone()).collect();
    let read = |name: WorkName| match &view.record(&Key::Activity(name))?.vertex {
        Vertex::Activity(activity) => {
            ActivityType::read(&activity.definition, &mut Found::default())
        }
        _ => None,
    };
    let known = names.into_iter().filter_map(read);
    known.map(|of| (of.name.clone(), of)).collect()
}

/// None where the graph is not whole: a run holds its texts.
pub(crate) fn program(view: &dyn View, run: &Run) -> Option<Rc<Program>> {
    // Looked at also where it is remembered: what a decision saw does not depend on that.
    let text = text(view, &run.plan)?;
    let at = (run.plan.clone(), run.section.clone());
    let known = REMEMBERED.with_borrow(|all| all.get(&at).map(Rc::clone));
    if known.is_some() {
        return known;
    }
    let read = Rc::new(Program::read(&text, run.section.as_deref())?);
    REMEMBERED.with_borrow_mut(|all| {
        if all.len() >= PROGRAMS_KEPT {
            all.pop_first();
        }
        all.insert(at, Rc::clone(&read));
    });
    Some(read)
}

pub(crate) fn text(view: &dyn View, hash: &TextHash) -> Option<Json> {
    match &view.record(&Key::Text(hash.clone()))?.vertex {
        Vertex::Text(text) => Some(text.json.clone()),
        _ => None,
    }
}

pub(crate) fn hash_of(text: &Json) -> TextHash {
    TextHash(hash::digest(text.as_str(), 16))
}

/// A run that begins: its texts, its steps, and what is due.
pub(crate) fn begin(
    txn: &mut Txn<'_>,
    id: &RunId,
    run: Run,
    (plan, input): (&Json, &Json),
    env: &Env,
) {
    let key = Key::Run(id.clone());
    let texts = [(&run.plan, plan), (&run.input, input)];
    for (hash, json) in texts {
        let json = json.clone();
        put(txn, Key::Text(hash.clone()), Vertex::Text(Text { json }));
    }
    put(txn, key.clone(), Vertex::Run(run.clone()));
    for (hash, _) in texts {
        txn.link(key.clone(), Relation::Reads, Key::Text(hash.clone()))
            .expect("both were just written");
    }
    // It is new, and its plan was read before.
    let _ = change(txn, id, env, |machine| {
        machine.begin();
        Ok(())
    });
}

/// Begins the run that undoes another, which is over: what that did, in this order.
pub(crate) fn undo(
    txn: &mut Txn<'_>,
    id: &RunId,
    run: Run,
    order: Vec<WorkName>,
    env: &Env,
) -> Result<(), No> {
    let texts = text(txn, &run.plan).zip(text(txn, &run.input));
    let (plan, input) = texts.ok_or(No::Unknown)?;
    change(txn, id, env, |machine| machine.undoes())?;
    let undoing = Run {
        section: Some(DISPOSE.to_owned()),
        line: Some(order),
        state: RunState::Running,
        errors: BTreeMap::new(),
        done: 0,
        left: 0,
        began: env.now,
        ended: None,
        response: None,
        ..run
    };
    begin(txn, &id.undoing(), undoing, (&plan, &input), env);
    Ok(())
}

/// Something happens to a run: what follows is written.
pub(crate) fn change<T>(
    txn: &mut Txn<'_>,
    id: &RunId,
    env: &Env,
    act: impl FnOnce(&mut Machine<'_, InGraph<'_, '_>>) -> Result<T, No>,
) -> Result<T, No> {
    let mut run = txn.run(id).ok_or(No::Unknown)?;
    let program = program(txn, &run).ok_or(No::Unknown)?;
    let plan = program.plan(&run);
    let spread = (hash::stable(&format!("{id} {}", env.revision)) % 1_000) as u32;
    let mut steps = InGraph { txn, run: id, env };
    let mut machine = Machine::new(&plan, &mut run, &mut steps, (env.now, spread));
    let done = act(&mut machine)?;
    if run.state == RunState::Completed && run.response.is_none() {
        let outputs = outputs(txn, id, program.activities.iter().map(|one| &one.id));
        let input = text(txn, &run.input).unwrap_or_else(Json::empty_object);
        run.response = Some(response(
            &program.definition,
            &program.activities,
            &input,
            &outputs,
        ));
    }
    put(txn, Key::Run(id.clone()), Vertex::Run(run));
    Ok(done)
}

/// The steps of a run in a transaction. A step that is out no more takes the command that brought it out along.
pub(crate) struct InGraph<'t, 'g> {
    txn: &'t mut Txn<'g>,
    run: &'t RunId,
    env: &'t Env,
}

impl Steps for InGraph<'_, '_> {
    fn step(&self, id: &WorkName) -> Option<Step> {
        self.txn.step(&StepKey::new(self.run.clone(), id.clone()))
    }

    fn put(&mut self, id: &WorkName, step: Step) {
        let key = StepKey::new(self.run.clone(), id.clone());
        if let Some(was) = self.txn.step(&key).as_ref().and_then(out_with)
            && out_with(&step) != Some(was)
        {
            self.txn.remove(&Key::Command(was));
        }
        put(self.txn, Key::Step(key), Vertex::Step(step));
    }

    fn take_back(&mut self, step: &Step) {
        let StepState::Running {
            token, incarnation, ..
        } = &step.state
        else {
            return;
        };
        if let Some(worker) = &step.worker {
            let back = Order::TakeBack(TakeBack {
                instance: worker.clone(),
                incarnation: *incarnation,
                work: *token,
            });
            verb::command(self.txn, worker, back, self.env);
        }
    }
}

fn out_with(step: &Step) -> Option<CommandId> {
    match step.state {
        StepState::Running { token, .. } => Some(token),
        _ => None,
    }
}

/// What undoes is not undone, whoever began it.
pub(crate) fn is_undone_when_it_fails(program: &Program, run: &Run) -> bool {
    program.definition.on_fatal == OnFatal::Compensate && can_be_undone(program, run)
}

/// There is a section that does, and this is no run of it.
pub(crate) fn can_be_undone(program: &Program, run: &Run) -> bool {
    let disposes = program.definition.activities.section(Some(DISPOSE));
    disposes.is_some() && run.section.as_deref() != Some(DISPOSE)
}

/// The steps of a run.
fn steps(view: &dyn View, id: &RunId, run: &Run) -> Vec<StepKey> {
    let Some(program) = program(view, run) else {
        return Vec::new();
    };
    let plan = program.plan(run);
    let activities = plan.steps.keys().cloned();
    activities
        .map(|activity| StepKey::new(id.clone(), activity))
        .collect()
}

/// A run that is over is removed, with the one that undid it. False: something of them is still out.
pub(crate) fn forget(txn: &mut Txn<'_>, id: &RunId, run: &Run) -> bool {
    let by = id.undoing();
    let both = [
        Some((id.clone(), run.clone())),
        txn.run(&by).map(|run| (by, run)),
    ];
    let both: Vec<(RunId, Run)> = both.into_iter().flatten().collect();
    let is_out = |(id, run): &(RunId, Run)| run.state.is_open() || is_anything_out(txn, id, run);
    if both.iter().any(is_out) {
        return false;
    }
    for (id, run) in &both {
        remove(txn, id, run);
    }
    true
}

/// A run with its steps, and whatever brings them.
fn remove(txn: &mut Txn<'_>, id: &RunId, run: &Run) {
    for key in steps(txn, id, run) {
        if let Some(token) = txn.step(&key).and_then(|step| step.token()) {
            txn.remove(&Key::Command(token));
        }
        txn.remove(&Key::Step(key));
    }
    txn.remove(&Key::Run(id.clone()));
}

/// What activities left behind, of those that are complete.
fn outputs<'a>(
    view: &dyn View,
    run: &RunId,
    of: impl Iterator<Item = &'a WorkName>,
) -> BTreeMap<WorkName, Json> {
    let output = |id: &WorkName| {
        let step = view.step(&StepKey::new(run.clone(), id.clone()))?;
        Some((id.clone(), step.output?))
    };
    of.filter_map(output).collect()
}

/// What the activities of a run may be given.
pub(crate) fn texts_of(view: &dyn View, id: &RunId, run: &Run) -> Vec<Json> {
    let outputs = steps(view, id, run).into_iter();
    let outputs = outputs.filter_map(|step| view.step(&step)?.output);
    let texts = [text(view, &run.input), Some(run.context.clone())];
    texts.into_iter().flatten().chain(outputs).collect()
}

/// What a step is given that is at work.
pub(crate) fn inputs_at(view: &dyn View, step: &StepKey) -> Option<Json> {
    let run = view.run(&step.run)?;
    let program = program(view, &run)?;
    let activity = program.activity(&step.activity)?;
    inputs_of(view, (&step.run, &run), &program, activity).ok()
}

/// What an activity is called with.
pub(crate) fn inputs_of(
    view: &dyn View,
    (id, run): (&RunId, &Run),
    program: &Program,
    activity: &Activity,
) -> Result<Json, MissingInput> {
    let input = text(view, &run.input).unwrap_or_else(Json::empty_object);
    let mapped = mapped(
        &program.definition,
        run.section.as_deref(),
        activity,
        &program.known,
    );
    let Some(mut mapped) = mapped else {
        return Ok(input);
    };
    let sources = mapped.iter().filter_map(|one| match &one.source {
        Source::Output { of, .. } => Some(of.clone()),
        Source::Input(_) => None,
    });
    let sources: Vec<WorkName> = sources.collect();
    let mut outputs = outputs(view, id, sources.iter());
    // What undoes a run is given what that one left behind; where that did not come to its end, there is nothing.
    if let Some(undone) = id.undone() {
        let left = self::outputs(view, &undone, sources.iter());
        for one in &mut mapped {
            if let Source::Output { of, .. } = &one.source {
                one.optional |= !left.contains_key(of);
            }
        }
        outputs.extend(left);
    }
    inputs(&activity.id, &mapped, &input, &outputs)
}

/// Why a value is not kept, and passed on: what an activity is given travels in one frame.
pub(crate) fn unkept(value: &Json) -> Option<String> {
    let (bytes, most) = (value.as_str().len(), limits::WORK_BYTES_MAX);
    if bytes > most {
        return Some(format!(
            "has {bytes} bytes, and at most {most} are kept; leave the data elsewhere and its place here"
        ));
    }
    // One level is for the object that it may come to stand in.
    let (depth, most) = (value.depth(), limits::JSON_DEPTH_MAX + 1);
    (depth > most).then(|| format!("is nested {depth} levels deep, and at most {most} are kept"))
}

/// In what a value is not as a schema says, also one that stands in `openAPIV3Schema`: each with its pointer.
pub(crate) fn unlike(schema: &Json, value: &Json) -> Vec<String> {
    let schema = Schema::of(schema);
    let wrong = schema::check(schema.text().as_str(), value.as_str()).into_iter();
    let fault = |wrong: Wrong| Fault {
        pointer: wrong.pointer,
        text: wrong.text,
    };
    wrong.map(|wrong| fault(wrong).to_string()).collect()
}

/// In what the output of an activity is not as its type says, as that was when the run began.
pub(crate) fn unlike_output(view: &dyn View, step: &StepKey, output: &Json) -> Vec<String> {
    let program = view.run(&step.run).and_then(|run| program(view, &run));
    let of = program.as_ref().and_then(|program| {
        let activity = program.activity(&step.activity)?;
        program.known.get(&activity.of)
    });
    of.map(|of| unlike(of.output.text(), output))
        .unwrap_or_default()
}

/// An agent is back that does not know what it was given: its file is new, or it is of an epoch that is past. What its
/// instances took, nobody will answer for; what is still on its way to them is sent again.
pub(crate) fn forsaken(txn: &mut Txn<'_>, node: &NodeName, env: &Env) {
    for worker in txn.instances_on(node) {
        for key in txn.steps_at(&worker) {
            let token = txn.step(&key).and_then(|step| step.token());
            let Some(token) = token.filter(|token| txn.command(&Key::Command(*token)).is_none())
            else {
                continue;
            };
            let why = format!("the agent of {node} came back and does not know of it");
            // It is out with this token.
            let _ = change(txn, &key.run, env, |machine| {
                machine.lost(&key.activity, token, &why)
            });
        }
    }
}

pub(crate) fn put(txn: &mut Txn<'_>, key: Key, vertex: Vertex) {
    txn.put(key, vertex).expect("work has no transitions");
}
