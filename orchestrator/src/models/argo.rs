//! A workflow of templates: tasks in a graph or in steps, each of another template, the last of which run a container or a
//! script. It becomes the activities of an orchestration, one for each way to such a template.

mod plan;
mod read;

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::words;

use self::read::{Body, Task, Template, Workflow};
use crate::dag::Dag;
use crate::fault::{Found, Pointer};
use crate::models::{Description, ModelProvider, Planner, Purpose};
use crate::parameter::{Misgiven, Parameter};
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
    ) -> Result<Json, Vec<Misgiven>> {
        let mut found = Found::default();
        let workflow = Workflow::read(&description.controller, &mut found);
        let workflow = workflow.expect("it was found right when it was registered");
        plan::definition(&workflow, description, values)
    }
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
            match &template.body {
                Body::Tasks(tasks) => self.tasks(template, tasks, found),
                Body::Leaf(_, leaf) => self.referred(&template.at, leaf, (template, None), found),
            }
        }
        if let Some(circle) = self.circle() {
            let text = format!(
                "its templates are made of each other: {}",
                circle.join(" -> ")
            );
            found.fault(&at.key("templates"), text);
        }
    }

    fn no_template(&self, name: &str) -> String {
        let names = self.workflow.templates.keys().map(String::as_str);
        match words::nearest(name, names).first() {
            Some(near) => format!("there is no template {name}; {near}?"),
            None => format!("there is no template {name}"),
        }
    }

    fn tasks(&self, template: &Template, tasks: &[Task], found: &mut Found) {
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
                self.referred(&at, value, (template, Some((task, tasks))), found);
            }
        }
        if let Some(circle) = dag(tasks).circle() {
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

    /// What strings refer to is there.
    fn referred(
        &self,
        at: &Pointer,
        value: &Json,
        (template, task): (&Template, Option<(&Task, &[Task])>),
        found: &mut Found,
    ) {
        for reference in references(value) {
            let is_there = match &reference {
                Reference::Input(name) => template.inputs.iter().any(|(one, _)| one == name),
                Reference::Workflow(name) => self.parameters.iter().any(|one| one.name == *name),
                Reference::Task { task: of, output } => {
                    let before = task.filter(|(task, tasks)| is_before(of, task, tasks));
                    let Some((_, tasks)) = before else {
                        let text =
                            format!("unresolved-parameter: {reference}: {of} is no task before it");
                        found.fault(at, text);
                        continue;
                    };
                    self.puts_out(of, tasks, output)
                }
            };
            if !is_there {
                let text = format!("unresolved-parameter: {reference} is not declared");
                found.fault(at, text);
            }
        }
    }

    /// Of a template that there is none of, nobody knows.
    fn puts_out(&self, task: &str, tasks: &[Task], output: &Output) -> bool {
        let task = tasks.iter().find(|one| one.name == task);
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

/// A task is over before another begins.
fn is_before(first: &str, then: &Task, tasks: &[Task]) -> bool {
    let place = |name: &str| tasks.iter().position(|task| task.name == name);
    let both = place(first).zip(place(&then.name));
    both.is_some_and(|(first, then)| dag(tasks).before().is_before(first, then))
}
