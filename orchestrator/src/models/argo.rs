//! A workflow of templates: tasks in a graph or in steps, each of another template, the last of which run a container or a
//! script. It becomes the activities of an orchestration, one for each way to such a template.

mod plan;
mod read;

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::{limits, words};

use self::read::{Body, Task, Template, Workflow};
use crate::dag::{Before, Dag};
use crate::fault::{Found, Pointer};
use crate::models::{Description, ModelProvider, NotOrdered, Planner, Purpose};
use crate::parameter::Parameter;
use crate::substitute::{Output, Reference, references};
use mainstay_protocol::Json;

#[derive(Debug, Clone, Copy)]
pub struct ArgoWorkflow;

impl ModelProvider for ArgoWorkflow {
    fn schema(&self) -> &str {
        "urn:ivcap:schema:service.argo-wf.1"
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::Ordered(self)
    }

    fn check(&self, controller: &Json, parameters: &[Parameter], found: &mut Found) {
        if let Some(workflow) = Workflow::read(controller, found) {
            Check {
                workflow: &workflow,
                parameters,
            }
            .all(found);
        }
    }
}

impl Planner for ArgoWorkflow {
    fn plan(
        &self,
        description: &Description,
        values: &BTreeMap<String, Json>,
    ) -> Result<Json, NotOrdered> {
        let mut found = Found::default();
        let workflow = Workflow::read(&description.controller, &mut found);
        let workflow = workflow.expect("it was found right when it was registered");
        plan::definition(&workflow, description, values)
    }
}

/// What becomes of a template: so many activities, the longest of whose names below it has so many bytes.
#[derive(Clone, Copy, Default)]
struct Grown {
    activities: usize,
    way: usize,
}

struct Check<'w> {
    workflow: &'w Workflow,
    parameters: &'w [Parameter],
}

impl Check<'_> {
    fn all(&self, found: &mut Found) {
        let at = Pointer::root().key("controller");
        let templates = &self.workflow.templates;
        if !templates.contains_key(&self.workflow.entrypoint) {
            let text = self.no_template(&self.workflow.entrypoint);
            found.fault(&at.key("entrypoint"), text);
        } else {
            self.given(&at.key("entrypoint"), &self.workflow.entrypoint, &[], found);
        }
        for template in templates.values() {
            for default in template
                .inputs
                .iter()
                .filter_map(|(_, default)| default.as_ref())
            {
                self.of_the_order(&template.at.key("inputs"), default, found);
            }
            match &template.body {
                Body::Tasks(tasks) => self.tasks(template, tasks, found),
                Body::Leaf(_, leaf) => self.referred(&template.at, leaf, (template, None), found),
            }
        }
        match self.circle() {
            Some(circle) => {
                let text = format!(
                    "its templates are made of each other: {}",
                    circle.join(" -> ")
                );
                found.fault(&at.key("templates"), text);
            }
            None => self.bounded(&at.key("entrypoint"), found),
        }
    }

    /// What it becomes is known before anything of it is made: templates that name each other twice grow without end.
    fn bounded(&self, at: &Pointer, found: &mut Found) {
        let mut known = BTreeMap::new();
        let grown = self.grown(&self.workflow.entrypoint, 0, &mut known);
        let most = limits::ACTIVITIES_MAX;
        if grown.activities > most {
            let text = format!("becomes more than {most} activities");
            found.fault(at, text);
        }
        let most = limits::WORK_NAME_BYTES_MAX;
        if grown.way > most {
            let text = format!(
                "the names of tasks within tasks, with a point between them, have more than {most} bytes"
            );
            found.fault(at, text);
        }
    }

    /// There is no circle; deeper than any way may be long it is not followed.
    fn grown<'t>(
        &'t self,
        template: &'t str,
        level: usize,
        known: &mut BTreeMap<&'t str, Grown>,
    ) -> Grown {
        if let Some(grown) = known.get(template) {
            return *grown;
        }
        if level > limits::WORK_NAME_BYTES_MAX {
            return Grown {
                activities: 1,
                way: limits::WORK_NAME_BYTES_MAX,
            };
        }
        let grown = match self.workflow.templates.get(template).map(|one| &one.body) {
            Some(Body::Tasks(tasks)) => {
                let mut all = Grown::default();
                for task in tasks {
                    let below = self.grown(&task.template, level + 1, known);
                    all.activities = all.activities.saturating_add(below.activities);
                    all.way = all.way.max(task.name.len() + 1 + below.way);
                }
                all
            }
            Some(Body::Leaf(..)) | None => Grown {
                activities: 1,
                ..Grown::default()
            },
        };
        known.insert(template, grown);
        grown
    }

    fn no_template(&self, name: &str) -> String {
        let names = self.workflow.templates.keys().map(String::as_str);
        match words::nearest(name, names).first() {
            Some(near) => format!("there is no template {name}; {near}?"),
            None => format!("there is no template {name}"),
        }
    }

    fn tasks(&self, template: &Template, tasks: &[Task], found: &mut Found) {
        let most = limits::ACTIVITIES_MAX;
        if tasks.len() > most {
            let text = format!("has more than {most} tasks");
            found.fault(&template.at, text);
            return;
        }
        let dag = dag(tasks);
        let before = dag.before();
        let places = tasks.iter().enumerate();
        let places = places.map(|(place, task)| (task.name.as_str(), place));
        let around = Around {
            tasks,
            places: places.collect(),
            before: &before,
        };
        let mut names = BTreeSet::new();
        let known: BTreeSet<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
        for task in tasks {
            if !names.insert(&task.name) {
                found.fault(
                    &task.at.key("name"),
                    format!("{} is another's name", task.name),
                );
            }
            for on in task
                .dependencies
                .iter()
                .filter(|on| !known.contains(on.as_str()))
            {
                let text = format!("there is no task {on} in {}", template.name);
                found.fault(&task.at.key("dependencies"), text);
            }
            if self.workflow.templates.contains_key(&task.template) {
                self.given(&task.at, &task.template, &task.arguments, found);
            } else {
                found.fault(&task.at.key("template"), self.no_template(&task.template));
            }
            for (_, value) in &task.arguments {
                let at = task.at.key("arguments");
                self.referred(&at, value, (template, Some((task, &around))), found);
            }
        }
        if let Some(circle) = dag.circle() {
            let names = circle.iter().map(|place| tasks[*place].name.as_str());
            let path = names.collect::<Vec<_>>().join(" -> ");
            let text = format!("its tasks wait for each other: {path}");
            found.fault(&template.at, text);
        }
    }

    /// Each input of a template has a value wherever it is used.
    fn given(&self, at: &Pointer, template: &str, arguments: &[(String, Json)], found: &mut Found) {
        let template = &self.workflow.templates[template];
        for (name, default) in &template.inputs {
            let is_argument = arguments.iter().any(|(given, _)| given == name);
            let is_parameter = self.parameters.iter().any(|one| one.name == *name);
            if !is_argument && default.is_none() && !is_parameter {
                let text = format!(
                    "unresolved-parameter: {} needs {name}: give it as an argument, a default, or a parameter of the service",
                    template.name
                );
                found.fault(at, text);
            }
        }
    }

    /// A default stands for nothing but what the order says.
    fn of_the_order(&self, at: &Pointer, value: &Json, found: &mut Found) {
        let (all, odd) = references(value);
        let is_known = |reference: &Reference| match reference {
            Reference::Workflow(name) => self.parameters.iter().any(|one| one.name == *name),
            Reference::Input(_) | Reference::Task { .. } => false,
        };
        let unknown = all.iter().filter(|reference| !is_known(reference));
        for text in unknown.map(ToString::to_string).chain(odd) {
            let text = format!(
                "unresolved-parameter: {text}: a default may name workflow.parameters.X, of the service's parameters"
            );
            found.fault(at, text);
        }
    }

    /// What strings refer to is there.
    fn referred(
        &self,
        at: &Pointer,
        value: &Json,
        (template, task): (&Template, Option<(&Task, &Around<'_>)>),
        found: &mut Found,
    ) {
        let (all, odd) = references(value);
        for text in odd {
            let text = format!(
                "unresolved-parameter: {{{{{text}}}}} is no reference; write inputs.parameters.X, workflow.parameters.X, tasks.T.outputs.parameters.Y or tasks.T.outputs.result"
            );
            found.fault(at, text);
        }
        for reference in all {
            let is_there = match &reference {
                Reference::Input(name) => template.inputs.iter().any(|(one, _)| one == name),
                Reference::Workflow(name) => self.parameters.iter().any(|one| one.name == *name),
                Reference::Task { task: of, output } => {
                    let before = task.filter(|(task, around)| around.is_before(of, &task.name));
                    let Some((_, around)) = before else {
                        let text =
                            format!("unresolved-parameter: {reference}: {of} is no task before it");
                        found.fault(at, text);
                        continue;
                    };
                    self.puts_out(of, around, output)
                }
            };
            if !is_there {
                let text = format!("unresolved-parameter: {reference} is not declared");
                found.fault(at, text);
            }
        }
    }

    /// Of a template that there is none of, nobody knows.
    fn puts_out(&self, task: &str, around: &Around<'_>, output: &Output) -> bool {
        let task = around.places.get(task).map(|place| &around.tasks[*place]);
        let template = task.and_then(|task| self.workflow.templates.get(&task.template));
        template.is_none_or(|template| match (&template.body, output) {
            (Body::Tasks(_), _) => false,
            (Body::Leaf(..), Output::Result) => true,
            (Body::Leaf(..), Output::Parameter(name)) => {
                template.outputs.iter().any(|(one, _)| one == name)
            }
        })
    }

    /// Of templates.
    fn circle(&self) -> Option<Vec<&str>> {
        let made_of = |template: &'_ Template| match &template.body {
            Body::Tasks(tasks) => tasks.iter().map(|task| task.template.clone()).collect(),
            Body::Leaf(..) => Vec::new(),
        };
        let all = self.workflow.templates.iter();
        let all: Vec<(&str, Vec<String>)> = all
            .map(|(name, template)| (name.as_str(), made_of(template)))
            .collect();
        let names = all.iter();
        let names = names.map(|(name, of)| (*name, of.iter().map(String::as_str).collect()));
        let circle = Dag::named(&names.collect::<Vec<_>>()).circle()?;
        Some(circle.into_iter().map(|place| all[place].0).collect())
    }
}

fn dag(tasks: &[Task]) -> Dag {
    let all = tasks.iter().map(|task| {
        let on = task.dependencies.iter().map(String::as_str);
        (task.name.as_str(), on.collect())
    });
    Dag::named(&all.collect::<Vec<_>>())
}

/// The tasks of a template, and which of them is over before which: worked out once, however many references there are.
struct Around<'t> {
    tasks: &'t [Task],
    places: BTreeMap<&'t str, usize>,
    before: &'t Before,
}

impl Around<'_> {
    fn is_before(&self, first: &str, then: &str) -> bool {
        let both = self.places.get(first).zip(self.places.get(then));
        both.is_some_and(|(first, then)| self.before.is_before(*first, *then))
    }
}
