//! A workflow with the values of an order, as the definition of an orchestration: each way from the entry to something that
//! runs is an activity.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::json::{Json, Shape};
use mainstay_protocol::limits;

use crate::models::argo::read::{Body, Task, Template, Workflow};
use crate::models::{Description, NotOrdered};
use crate::parameter::{Misgiven, MisgivenWhat};
use crate::substitute::{Output, Part, Reference, as_text, parts};

/// What becomes of a string: what is known now, and what activities before it will have put out. It is put together once, and
/// never read for more.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Output { activity: String, output: Output },
}

type Scope = BTreeMap<String, Vec<Piece>>;

struct Planner<'w> {
    workflow: &'w Workflow,
    values: &'w BTreeMap<String, Json>,
    activities: Vec<Json>,
    /// What each activity is to run.
    tasks: BTreeMap<String, Json>,
    missing: BTreeSet<String>,
    /// Bytes of all that was put together.
    spent: Cell<usize>,
}

/// What an order may become; of that, some is put together on the way.
const PLAN_BYTES_MAX: usize = 4 * limits::DEFINITION_BYTES_MAX;
const PIECE_BYTES: usize = 32;

pub(super) fn definition(
    workflow: &Workflow,
    description: &Description,
    values: &BTreeMap<String, Json>,
) -> Result<Json, NotOrdered> {
    let mut planner = Planner {
        workflow,
        values,
        activities: Vec::new(),
        tasks: BTreeMap::new(),
        missing: BTreeSet::new(),
        spent: Cell::new(0),
    };
    let entry = &workflow.templates[&workflow.entrypoint];
    let scope = planner.scope(entry, &[], |_| None);
    planner.expand(entry, "", &scope, &[]);
    if planner.spent.get() > PLAN_BYTES_MAX {
        return Err(NotOrdered::TooLarge);
    }
    if !planner.missing.is_empty() {
        let missing = planner.missing.into_iter();
        let misgiven = missing.map(|name| Misgiven {
            what: MisgivenWhat::Missing,
            name,
            value: None,
            reason: "the workflow needs it".to_owned(),
        });
        return Err(NotOrdered::Parameters(misgiven.collect()));
    }
    Ok(Json::of(&[
        ("type", Json::text("order")),
        ("description", Json::text(&description.name)),
        ("input", Json::object(&planner.tasks)),
        ("activities", Json::array(&planner.activities)),
    ]))
}

impl Planner<'_> {
    /// Gives back the activities that end it.
    fn expand(
        &mut self,
        template: &Template,
        path: &str,
        scope: &Scope,
        after: &[String],
    ) -> Vec<String> {
        match &template.body {
            Body::Leaf(runs, work) => {
                let id = if path.is_empty() {
                    &template.name
                } else {
                    path
                };
                let mut task = vec![(*runs, work.clone())];
                let outputs = template.outputs.iter().map(|(_, output)| output.clone());
                let outputs: Vec<Json> = outputs.collect();
                if !outputs.is_empty() {
                    let outputs = Json::of(&[("parameters", Json::array(&outputs))]);
                    task.push(("outputs", outputs));
                }
                self.activity((id, runs), &Json::of(&task), scope, after);
                vec![id.to_owned()]
            }
            Body::Tasks(tasks) => self.expand_all(tasks, path, scope, after),
        }
    }

    fn expand_all(
        &mut self,
        tasks: &[Task],
        path: &str,
        scope: &Scope,
        after: &[String],
    ) -> Vec<String> {
        let workflow = self.workflow;
        let mut ends: BTreeMap<&String, Vec<String>> = BTreeMap::new();
        // As long as there is one whose dependencies are planned: there is no circle.
        while let Some(task) = tasks.iter().find(|task| {
            let planned = task.dependencies.iter().all(|on| ends.contains_key(on));
            planned && !ends.contains_key(&task.name)
        }) {
            let before: Vec<String> = match task.dependencies.as_slice() {
                [] => after.to_vec(),
                some => some.iter().flat_map(|on| ends[on].clone()).collect(),
            };
            let template = &workflow.templates[&task.template];
            let own = self.scope(template, &task.arguments, |reference| {
                self.pieces_of(reference, path, scope)
            });
            let path = below(path, &task.name);
            let end = self.expand(template, &path, &own, &before);
            ends.insert(&task.name, end);
        }
        let waited_for: BTreeSet<&String> =
            tasks.iter().flat_map(|task| &task.dependencies).collect();
        let last = ends.into_iter();
        let last = last.filter(|(name, _)| !waited_for.contains(name));
        last.flat_map(|(_, ends)| ends).collect()
    }

    /// What each input of a template is: an argument, its default, a parameter of the order with its name.
    fn scope(
        &self,
        template: &Template,
        arguments: &[(String, Json)],
        known: impl Fn(&Reference) -> Option<Vec<Piece>>,
    ) -> Scope {
        let mut scope = Scope::new();
        for (name, default) in &template.inputs {
            let argument = arguments.iter().find(|(given, _)| given == name);
            let value = match argument {
                Some((_, value)) => Some(self.pieces(&as_text(value), &known)),
                None => match default {
                    Some(default) => {
                        let of_order =
                            |reference: &Reference| self.pieces_of(reference, "", &Scope::new());
                        Some(self.pieces(&as_text(default), &of_order))
                    }
                    None => {
                        let value = self.values.get(name);
                        value.map(|value| vec![Piece::Text(as_text(value))])
                    }
                },
            };
            scope.extend(value.map(|value| (name.clone(), value)));
        }
        scope
    }

    fn pieces(&self, text: &str, known: &impl Fn(&Reference) -> Option<Vec<Piece>>) -> Vec<Piece> {
        self.spend(pieces_or(text, known, &mut BTreeSet::new()))
    }

    /// Values that stand for themselves twice double with each template: nothing more is made once it is too much.
    fn spend(&self, pieces: Vec<Piece>) -> Vec<Piece> {
        let bytes = |piece: &Piece| match piece {
            Piece::Text(text) => text.len() + PIECE_BYTES,
            Piece::Output { .. } => PIECE_BYTES,
        };
        let spent = self.spent.get() + pieces.iter().map(bytes).sum::<usize>();
        self.spent.set(spent);
        match spent > PLAN_BYTES_MAX {
            true => Vec::new(),
            false => pieces,
        }
    }

    fn pieces_of(&self, reference: &Reference, path: &str, scope: &Scope) -> Option<Vec<Piece>> {
        match reference {
            Reference::Input(name) => scope.get(name).cloned(),
            Reference::Workflow(name) => {
                let value = self.values.get(name);
                value.map(|value| vec![Piece::Text(as_text(value))])
            }
            Reference::Task { task, output } => Some(vec![Piece::Output {
                activity: below(path, task),
                output: output.clone(),
            }]),
        }
    }

    fn activity(&mut self, (id, runs): (&str, &str), task: &Json, scope: &Scope, after: &[String]) {
        let mut outputs: Vec<(String, Output)> = Vec::new();
        let mut missing = BTreeSet::new();
        let task = filled(task, &mut |text| {
            let known = |reference: &Reference| self.pieces_of(reference, "", scope);
            let pieces = self.spend(pieces_or(text, &known, &mut missing));
            written(pieces, &mut outputs)
        });
        self.missing.extend(missing);
        let key = format!("task/{id}");
        let mut inputs = vec![mapping(&key, "task")];
        for (place, (activity, output)) in outputs.iter().enumerate() {
            let source = format!("{activity}.{output}");
            inputs.push(mapping(&source, &format!("output{place}")));
        }
        let after: Vec<Json> = after.iter().map(|id| Json::text(id)).collect();
        self.activities.push(Json::of(&[
            ("id", Json::text(id)),
            ("type", Json::text(runs)),
            ("dependsOn", Json::array(&after)),
            ("inputs", Json::array(&inputs)),
        ]));
        self.tasks.insert(key, task);
    }
}

fn below(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

fn mapping(source: &str, target: &str) -> Json {
    Json::of(&[
        ("source", Json::text(source)),
        ("target", Json::text(target)),
    ])
}

/// Nothing stands where nothing is known; its name is told.
fn pieces_or(
    text: &str,
    known: &impl Fn(&Reference) -> Option<Vec<Piece>>,
    missing: &mut BTreeSet<String>,
) -> Vec<Piece> {
    let mut all = Vec::new();
    for part in parts(text) {
        match part {
            Part::Text(text) => all.push(Piece::Text(text.to_owned())),
            Part::Reference(reference) => match (known(&reference), reference) {
                (Some(pieces), _) => all.extend(pieces),
                (None, Reference::Input(name) | Reference::Workflow(name)) => {
                    missing.insert(name);
                }
                (None, Reference::Task { .. }) => {}
            },
        }
    }
    all
}

/// A string where everything is known; else its parts, of which some come from the activity's inputs.
fn written(pieces: Vec<Piece>, outputs: &mut Vec<(String, Output)>) -> Json {
    let mut parts: Vec<Json> = Vec::new();
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(more) => text.push_str(&more),
            Piece::Output { activity, output } => {
                if !text.is_empty() {
                    parts.push(Json::text(&std::mem::take(&mut text)));
                }
                let output = (activity, output);
                let place = outputs.iter().position(|one| *one == output);
                let place = place.unwrap_or_else(|| {
                    outputs.push(output);
                    outputs.len() - 1
                });
                parts.push(Json::of(&[(
                    "input",
                    Json::text(&format!("output{place}")),
                )]));
            }
        }
    }
    if parts.is_empty() {
        return Json::text(&text);
    }
    if !text.is_empty() {
        parts.push(Json::text(&text));
    }
    Json::of(&[("parts", Json::array(&parts))])
}

fn filled(value: &Json, string: &mut impl FnMut(&str) -> Json) -> Json {
    match value.shape() {
        Shape::Text => string(&value.as_text().unwrap_or_default()),
        Shape::Array => {
            let items: Vec<Json> = value
                .items()
                .iter()
                .map(|item| filled(item, string))
                .collect();
            Json::array(&items)
        }
        Shape::Object => {
            let members = value.members().into_iter();
            Json::object(
                &members
                    .map(|(key, member)| (key, filled(&member, string)))
                    .collect(),
            )
        }
        Shape::Null | Shape::Bool | Shape::Number => value.clone(),
    }
}
