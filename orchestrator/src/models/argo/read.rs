//! The controller of a workflow, with every fault of its form.

use std::collections::BTreeMap;

use mainstay_protocol::json::{Json, Shape};

use crate::fault::{Found, Pointer};
use crate::models::{needed_text, resources, strings};
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
    /// Each with where it is found, once the template has run.
    pub outputs: Vec<(String, Json)>,
    pub body: Body,
}

pub(super) enum Body {
    /// A graph, or steps as one.
    Tasks(Vec<Task>),
    /// What runs: `container` or `script`, and what stands there.
    Leaf(&'static str, Json),
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
        let outputs = reader.object("outputs");
        let outputs = outputs.map(|outputs| outputs_of(&at.key("outputs"), &outputs, reader.found));
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
                Body::Leaf(key, body)
            }
        };
        let outputs = outputs.unwrap_or_default();
        if let (Body::Tasks(_), Some((name, _))) = (&body, outputs.first()) {
            let text = format!("{name} is of a {key}: only what runs puts out something");
            found.fault(&at.key("outputs"), text);
        }
        Some(Self {
            name: name?,
            at,
            inputs: inputs.unwrap_or_default(),
            outputs,
            body,
        })
    }
}

/// `parameters: [{name, value?}]`.
fn parameters(at: &Pointer, value: &Json, found: &mut Found) -> Vec<(String, Option<Json>)> {
    let mut all = Vec::new();
    for (at, item) in listed(at, value, found) {
        let Some(mut reader) = Reader::new(at, &item, found) else {
            continue;
        };
        let name = needed_text(&mut reader, "name");
        let value = reader.take("value").map(|(_, value)| value);
        reader.others();
        all.extend(name.map(|name| (name, value)));
    }
    all
}

/// `parameters: [{name, valueFrom: {path, default?}}]`.
fn outputs_of(at: &Pointer, value: &Json, found: &mut Found) -> Vec<(String, Json)> {
    let mut all = Vec::new();
    for (at, item) in listed(at, value, found) {
        let Some(mut reader) = Reader::new(at.clone(), &item, found) else {
            continue;
        };
        let name = reader.name("name");
        let from = reader.needed("valueFrom");
        reader.others();
        let Some((at, from)) = from else { continue };
        let Some(mut reader) = Reader::new(at, &from, found) else {
            continue;
        };
        let path = needed_text(&mut reader, "path");
        let default = reader.text("default");
        if path.as_deref().is_some_and(|path| !path.starts_with('/')) {
            let at = reader.at.key("path");
            reader
                .found
                .fault(&at, "write the whole path of a file, as in /tmp/id");
        }
        reader.others();
        let (Some(name), Some(path)) = (name, path) else {
            continue;
        };
        let mut output = vec![
            ("name", Json::text(name.as_str())),
            ("path", Json::text(&path)),
        ];
        output.extend(default.map(|default| ("default", Json::text(&default))));
        all.push((name.to_string(), Json::of(&output)));
    }
    all
}

/// What stands in `parameters`, each with where it is.
fn listed(at: &Pointer, value: &Json, found: &mut Found) -> Vec<(Pointer, Json)> {
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
    let items = list.items().into_iter().enumerate();
    items.map(|(place, item)| (at.index(place), item)).collect()
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
        if name
            .as_ref()
            .is_some_and(|name| name.as_str().contains('.'))
        {
            let at = reader.at.key("name");
            reader
                .found
                .fault(&at, "has a point in it; no reference could name it");
        }
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
    reader.text("workingDir");
    let env = reader.take("env");
    let resources = reader.object("resources");
    let at = reader.at.clone();
    reader.others();
    if let Some((at, env)) = env {
        variables(&at, &env, found);
    }
    if let Some(resources) = resources {
        resources::check(&at.key("resources"), &resources, found);
    }
}

/// `[{name, value}]`, as the variables of a program.
fn variables(at: &Pointer, value: &Json, found: &mut Found) {
    if value.shape() != Shape::Array {
        let is = value.shape().with_article();
        found.fault(
            at,
            format!("write an array of objects with name and value; it is {is}"),
        );
    }
    for (place, item) in value.items().iter().enumerate() {
        let Some(mut reader) = Reader::new(at.index(place), item, found) else {
            continue;
        };
        let name = needed_text(&mut reader, "name");
        needed_text(&mut reader, "value");
        if name.is_some_and(|name| name.is_empty() || name.contains(['=', '\0'])) {
            let at = reader.at.key("name");
            reader.found.fault(&at, "is no variable's name");
        }
        reader.others();
    }
}
