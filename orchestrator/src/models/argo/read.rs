//! The controller of a workflow, with every fault of its form.

use std::collections::BTreeMap;

use mainstay_protocol::json::{Json, Shape};

use crate::fault::{Found, Pointer};
use crate::models::{needed_text, strings};
use crate::reader::{self, Reader};

pub(super) struct Workflow {
    pub entrypoint: String,
    pub templates: BTreeMap<String, Template>,
}

pub(super) struct Template {
    pub name: String,
    pub at: Pointer,
    /// Each with what it is unless somebody says otherwise.
    pub inputs: Vec<(String, Option<Json>)>,
    pub body: Body,
}

pub(super) enum Body {
    /// A graph, or steps as one.
    Tasks(Vec<Task>),
    /// What runs: an object with `container` or `script`.
    Leaf(Json),
}

pub(super) struct Task {
    pub name: String,
    pub at: Pointer,
    pub template: String,
    pub dependencies: Vec<String>,
    pub arguments: Vec<(String, Json)>,
}

const BODIES: [&str; 4] = ["dag", "steps", "container", "script"];

impl Workflow {
    pub(super) fn read(controller: &Json, found: &mut Found) -> Option<Self> {
        let at = Pointer::root().key("controller");
        let mut reader = Reader::new(at, controller, found)?;
        reader.take("$schema");
        let entrypoint = needed_text(&mut reader, "entrypoint");
        let (at, all) = reader.needed("templates")?;
        reader.others();
        if all.shape() != Shape::Array {
            let is = all.shape().with_article();
            found.fault(&at, format!("write an array of templates; it is {is}"));
        }
        let mut templates = BTreeMap::new();
        for (place, item) in all.items().iter().enumerate() {
            let at = at.index(place);
            let Some(template) = Template::read(at.clone(), item, found) else {
                continue;
            };
            let name = template.name.clone();
            if templates.insert(name.clone(), template).is_some() {
                found.fault(&at.key("name"), format!("{name} is another's name"));
            }
        }
        Some(Self {
            entrypoint: entrypoint?,
            templates,
        })
    }
}

impl Template {
    fn read(at: Pointer, value: &Json, found: &mut Found) -> Option<Self> {
        let mut reader = Reader::new(at.clone(), value, found)?;
        let name = needed_text(&mut reader, "name");
        let inputs = reader.object("inputs");
        let inputs = inputs.map(|inputs| parameters(&at.key("inputs"), &inputs, reader.found));
        let mut bodies = BODIES.map(|key| Some((key, reader.take(key)?)));
        reader.others();
        let mut bodies = bodies.iter_mut().filter_map(Option::take);
        let (first, second) = (bodies.next(), bodies.next());
        let Some((key, (body_at, body))) = first else {
            found.fault(
                &at,
                format!("does nothing: write one of {}", BODIES.join(", ")),
            );
            return None;
        };
        if let Some((other, _)) = second {
            found.fault(&at, format!("is {key} and {other}: write one of them"));
        }
        let body = match key {
            "dag" => Body::Tasks(dag(body_at, &body, found)?),
            "steps" => Body::Tasks(steps(&body_at, &body, found)),
            _ => {
                leaf(key, body_at, &body, found);
                Body::Leaf(Json::object(&[(key.to_owned(), body)].into()))
            }
        };
        Some(Self {
            name: name?,
            at,
            inputs: inputs.unwrap_or_default(),
            body,
        })
    }
}

/// `parameters: [{name, value?}]`.
fn parameters(at: &Pointer, value: &Json, found: &mut Found) -> Vec<(String, Option<Json>)> {
    let Some(mut reader) = Reader::new(at.clone(), value, found) else {
        return Vec::new();
    };
    let list = reader.take("parameters");
    reader.others();
    let Some((at, list)) = list else {
        return Vec::new();
    };
    if list.shape() != Shape::Array {
        let is = list.shape().with_article();
        found.fault(&at, format!("write an array; it is {is}"));
    }
    let mut all = Vec::new();
    for (place, item) in list.items().iter().enumerate() {
        let Some(mut reader) = Reader::new(at.index(place), item, found) else {
            continue;
        };
        let name = needed_text(&mut reader, "name");
        let value = reader.take("value").map(|(_, value)| value);
        reader.others();
        all.extend(name.map(|name| (name, value)));
    }
    all
}

fn dag(at: Pointer, value: &Json, found: &mut Found) -> Option<Vec<Task>> {
    let mut reader = Reader::new(at, value, found)?;
    let tasks = reader.needed("tasks");
    reader.others();
    let (at, tasks) = tasks?;
    let items = tasks.items();
    if items.is_empty() {
        found.fault(&at, "there is no task; write an array with one at least");
    }
    let read = items.iter().enumerate();
    let read = read.filter_map(|(place, item)| Task::read(at.index(place), item, found));
    Some(read.collect())
}

/// Groups one after the other; those of one group at the same time.
fn steps(at: &Pointer, value: &Json, found: &mut Found) -> Vec<Task> {
    let groups = value.items();
    if groups.is_empty() {
        found.fault(at, "there is no step; write an array of arrays of steps");
    }
    let (mut all, mut before): (Vec<Task>, Vec<String>) = (Vec::new(), Vec::new());
    for (place, group) in groups.iter().enumerate() {
        let at = at.index(place);
        let single = group.shape() == Shape::Object;
        if !single && group.shape() != Shape::Array {
            let is = group.shape().with_article();
            found.fault(
                &at,
                format!("write a step, or an array of steps; it is {is}"),
            );
        }
        let items = if single {
            vec![group.clone()]
        } else {
            group.items()
        };
        let mut names = Vec::new();
        for (place, item) in items.iter().enumerate() {
            let at = if single { at.clone() } else { at.index(place) };
            if let Some(mut task) = Task::read(at, item, found) {
                task.dependencies.clone_from(&before);
                names.push(task.name.clone());
                all.push(task);
            }
        }
        before = names;
    }
    all
}

impl Task {
    fn read(at: Pointer, value: &Json, found: &mut Found) -> Option<Self> {
        let mut reader = Reader::new(at.clone(), value, found)?;
        let name = reader.name("name");
        let template = needed_text(&mut reader, "template");
        let dependencies = strings(&mut reader, "dependencies").unwrap_or_default();
        let arguments = reader.object("arguments");
        let arguments =
            arguments.map(|given| parameters(&at.key("arguments"), &given, reader.found));
        reader.others();
        let arguments = arguments.unwrap_or_default().into_iter();
        Some(Self {
            name: name?.to_string(),
            at,
            template: template?,
            dependencies,
            arguments: arguments
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
        })
    }
}

fn leaf(key: &str, at: Pointer, value: &Json, found: &mut Found) {
    let Some(mut reader) = Reader::new(at, value, found) else {
        return;
    };
    needed_text(&mut reader, "image");
    strings(&mut reader, "command");
    if key == "script" {
        let source = reader.needed("source");
        source.map(|(at, value)| reader::text(&at, &value, reader.found));
    } else {
        strings(&mut reader, "args");
    }
    reader.object("resources");
    reader.others();
}
