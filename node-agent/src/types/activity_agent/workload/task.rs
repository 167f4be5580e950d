//! What a call wants run, read from its inputs. What is wrong is said with its place.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::Json;
use mainstay_protocol::json::Shape;

use super::super::config::OURS;
use super::image;
use super::reader::Reader;
use super::resources::Resources;

const TASK: &str = "task";
const CONTAINER: &str = "container";
const SCRIPT: &str = "script";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) image: String,
    /// Empty: what the image says.
    pub(super) command: Vec<String>,
    pub(super) arguments: Vec<String>,
    /// Put into a file, whose path is the last argument.
    pub(super) source: Option<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) directory: Option<String>,
    pub(super) resources: Resources,
    pub(super) outputs: Vec<Wanted>,
    /// Members that nobody reads.
    pub(super) unknown: Vec<String>,
}

/// A file of it that others are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) default: Option<String>,
}

/// The members of one object; each is taken once.
struct Members<'a> {
    reader: &'a Reader<'a>,
    at: String,
    left: BTreeMap<String, Json>,
}

impl Task {
    pub(super) fn read(inputs: &Json) -> Result<Self, String> {
        let inputs = &inputs.members();
        let reader = &Reader { inputs };
        let task = inputs.get(TASK).ok_or("its input task is missing")?;
        let mut members = Members::of(reader, TASK.to_owned(), task)?;
        let (container, script) = (members.take(CONTAINER), members.take(SCRIPT));
        let (kind, body) = match (container, script) {
            (Some(container), None) => (CONTAINER, container),
            (None, Some(script)) => (SCRIPT, script),
            (Some(_), Some(_)) => return Err("task: is container and script: one of them".into()),
            (None, None) => return Err("task: is neither container nor script".into()),
        };
        let outputs = members.take("outputs");
        let mut task = Self::body(reader, kind, &body)?;
        if let Some(value) = outputs {
            let mut outputs = Members::of(reader, "task.outputs".to_owned(), &value)?;
            if let Some(list) = outputs.take("parameters") {
                task.outputs = wanted(reader, "task.outputs.parameters", &list)?;
            }
            task.unknown.extend(outputs.rest());
        }
        task.unknown.extend(members.rest());
        Ok(task)
    }

    fn body(reader: &Reader<'_>, kind: &str, body: &Json) -> Result<Self, String> {
        let mut members = Members::of(reader, format!("{TASK}.{kind}"), body)?;
        let mut task = Self {
            image: members.needed("image")?,
            command: members.texts("command")?,
            arguments: members.texts("args")?,
            directory: members.text("workingDir")?,
            ..Self::default()
        };
        if kind == SCRIPT {
            task.source = Some(members.needed("source")?);
        }
        if let Some(list) = members.take("env") {
            task.environment = environment(reader, &members.place("env"), &list)?;
        }
        if let Some(value) = members.take("resources") {
            task.resources = Resources::read(reader, &members.place("resources"), &value)?;
        }
        task.checked(&members.at)?;
        task.unknown = members.rest();
        Ok(task)
    }

    /// What an engine would take for something else.
    fn checked(&self, at: &str) -> Result<(), String> {
        if !image::is_name(&self.image) {
            let image = self.image.escape_debug();
            return Err(format!(
                "{at}.image: \"{image}\" is no name of an image, as {} is",
                image::FORM
            ));
        }
        if self.command.first().is_some_and(String::is_empty) {
            return Err(format!("{at}.command[0]: is empty; it is the program"));
        }
        match &self.directory {
            Some(path) if !path.starts_with('/') => {
                Err(format!("{at}.workingDir: \"{path}\" is no absolute path"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn environment(
    reader: &Reader<'_>,
    at: &str,
    list: &Json,
) -> Result<Vec<(String, String)>, String> {
    let mut variables = Vec::new();
    for (place, item) in reader.items(at, list)?.iter().enumerate() {
        let mut members = Members::of(reader, format!("{at}[{place}]"), item)?;
        let (name, value) = (members.needed("name")?, members.needed("value")?);
        if name.is_empty() || name.contains('=') {
            let name = name.escape_debug();
            let at = members.place("name");
            return Err(format!("{at}: \"{name}\" is no variable's name"));
        }
        if name.starts_with(OURS) {
            let at = members.place("name");
            return Err(format!(
                "{at}: {name} is not yours to set: what begins with {OURS} tells of the call"
            ));
        }
        variables.push((name, value));
    }
    Ok(variables)
}

fn wanted(reader: &Reader<'_>, at: &str, list: &Json) -> Result<Vec<Wanted>, String> {
    let mut names = BTreeSet::new();
    let mut all = Vec::new();
    for (place, item) in reader.items(at, list)?.iter().enumerate() {
        let mut members = Members::of(reader, format!("{at}[{place}]"), item)?;
        let (name, path) = (members.needed("name")?, members.needed("path")?);
        if !path.starts_with('/') {
            let at = members.place("path");
            return Err(format!("{at}: \"{path}\" is no absolute path"));
        }
        if !names.insert(name.clone()) {
            let at = members.place("name");
            return Err(format!("{at}: there are two of the name {name}"));
        }
        let default = members.text("default")?;
        all.push(Wanted {
            name,
            path,
            default,
        });
    }
    Ok(all)
}

impl<'a> Members<'a> {
    fn of(reader: &'a Reader<'a>, at: String, value: &Json) -> Result<Self, String> {
        let left = reader.object(&at, value)?;
        Ok(Self { reader, at, left })
    }

    fn place(&self, member: &str) -> String {
        format!("{}.{member}", self.at)
    }

    /// Null is what many write for what is not there.
    fn take(&mut self, member: &str) -> Option<Json> {
        let value = self.left.remove(member);
        value.filter(|value| value.shape() != Shape::Null)
    }

    fn text(&mut self, member: &str) -> Result<Option<String>, String> {
        let value = self.take(member);
        let value = value.map(|value| self.reader.text(&self.place(member), &value));
        value.transpose()
    }

    fn needed(&mut self, member: &str) -> Result<String, String> {
        let text = self.text(member)?;
        text.ok_or_else(|| format!("{}: is missing", self.place(member)))
    }

    fn texts(&mut self, member: &str) -> Result<Vec<String>, String> {
        match self.take(member) {
            Some(value) => self.reader.texts(&self.place(member), &value),
            None => Ok(Vec::new()),
        }
    }

    fn rest(self) -> Vec<String> {
        let at = self.at;
        let left = self.left.into_keys();
        left.map(|member| format!("{at}.{member}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use mainstay_service::{Value, json};

    use super::*;

    fn read(inputs: Value) -> Result<Task, String> {
        Task::read(&Json::parse(&inputs.to_string()).unwrap())
    }

    #[test]
    fn a_container_is_read_whole() {
        let task = read(json!({ "task": {
            "container": {
                "image": "a:1", "command": ["sh", "-c"], "args": ["echo $1", "x y"],
                "env": [{ "name": "A", "value": "b=c" }], "workingDir": "/w", "ports": [],
                "resources": {
                    "cpu": { "request": "250m", "limit": 1 }, "memory": { "limit": "64Mi" },
                    "ephemeral-storage": {},
                },
            },
            "outputs": { "parameters": [{ "name": "y", "path": "/tmp/y", "default": "" }] },
        } }));
        let task = task.unwrap();
        assert_eq!(task.command, ["sh", "-c"]);
        assert_eq!(task.arguments, ["echo $1", "x y"]);
        assert_eq!(task.environment, [("A".to_owned(), "b=c".to_owned())]);
        assert_eq!(task.directory.as_deref(), Some("/w"));
        let (cpu, memory) = (&task.resources.cpu, &task.resources.memory);
        assert_eq!(cpu.limit.as_ref().unwrap().thousandths(), 1_000);
        assert_eq!(cpu.request.as_ref().unwrap().thousandths(), 250);
        assert_eq!(memory.limit_bytes(), Some(64 << 20));
        assert_eq!(task.resources.storage.limit, None);
        assert_eq!(task.outputs[0].default.as_deref(), Some(""));
        assert_eq!(task.unknown, ["task.container.ports"]);
    }

    #[test]
    fn resources_are_read_as_a_pod_has_them_too() {
        let task = read(json!({ "task": { "script": {
            "image": "a", "command": ["sh"], "source": "echo",
            "resources": { "limits": { "memory": "1G" }, "requests": { "cpu": "1", "memory": null } },
        } } }));
        let task = task.unwrap();
        assert_eq!(task.source.as_deref(), Some("echo"));
        assert_eq!(task.resources.memory.limit_bytes(), Some(1_000_000_000));
        assert_eq!(task.resources.cpu.request.unwrap().thousandths(), 1_000);
    }

    #[test]
    fn parts_are_joined_once_and_what_they_bring_is_not_read_again() {
        let hostile = r#"{"parts":[{"input":"task"}]} {{x}} $(y) "q" 'a' \n"#;
        let task = read(json!({
            "task": { "container": { "image": { "parts": ["a:", { "input": "tag" }] }, "args": [
                { "parts": ["x-", { "input": "text" }, "-y", { "input": "text" }] },
                { "parts": [{ "input": "object" }] },
                { "parts": [] },
            ] } },
            "tag": 7, "text": format!("{hostile}\n"), "object": { "b": [1.50, null], "a": "1" },
        }));
        let task = task.unwrap();
        assert_eq!(task.image, "a:7");
        let twice = format!("x-{hostile}\n-y{hostile}\n");
        let object = r#"{"a":"1","b":[1.5,null]}"#;
        assert_eq!(task.arguments, [twice.as_str(), object, ""]);
    }

    fn are_refused(cases: &[(Value, &str)]) {
        for (inputs, wanted) in cases {
            assert_eq!(read(inputs.clone()).unwrap_err(), *wanted, "{inputs}");
        }
    }

    /// A container that has an image, and this.
    fn container(more: Value) -> Value {
        let mut task = json!({ "container": { "image": "a" } });
        let members = more.as_object().unwrap().clone();
        let container = task["container"].as_object_mut().unwrap();
        container.extend(members);
        json!({ "task": task })
    }

    #[test]
    fn what_is_no_task_is_said_with_its_place() {
        let output = |of: Value| json!({ "task": { "container": { "image": "a" }, "outputs": { "parameters": of } } });
        are_refused(&[
            (json!({}), "its input task is missing"),
            (json!({ "task": "x" }), "task: is an object, not a string"),
            (
                json!({ "task": {} }),
                "task: is neither container nor script",
            ),
            (
                json!({ "task": { "container": {}, "script": {} } }),
                "task: is container and script: one of them",
            ),
            (
                json!({ "task": { "container": {} } }),
                "task.container.image: is missing",
            ),
            (
                json!({ "task": { "script": { "image": "a" } } }),
                "task.script.source: is missing",
            ),
            (
                output(json!([{ "name": "y", "path": "y" }])),
                "task.outputs.parameters[0].path: \"y\" is no absolute path",
            ),
            (
                output(json!([{ "name": "y", "path": "/y" }, { "name": "y", "path": "/z" }])),
                "task.outputs.parameters[1].name: there are two of the name y",
            ),
            (
                output(json!({})),
                "task.outputs.parameters: is an array, not an object",
            ),
        ]);
    }

    #[test]
    fn what_no_engine_could_be_given_is_said_with_its_place() {
        let missing = json!({ "args": ["a", { "parts": ["x", { "input": "output0" }] }] });
        let strange = json!({ "args": [{ "parts": [{ "output": "x" }] }] });
        for (more, wanted) in [
            (
                json!({ "image": "dir:/x" }),
                "image: \"dir:/x\" is no name of an image, as [HOST[:PORT]/]NAME[/NAME..][:TAG][@DIGEST] is",
            ),
            (
                json!({ "env": [{ "name": "MAINSTAY_GUARD", "value": "" }] }),
                "env[0].name: MAINSTAY_GUARD is not yours to set: what begins with MAINSTAY_ tells of the call",
            ),
            (
                json!({ "command": "sh" }),
                "command: is an array, not a string",
            ),
            (
                json!({ "command": [""] }),
                "command[0]: is empty; it is the program",
            ),
            (json!({ "args": [1] }), "args[0]: is a string, not a number"),
            (
                json!({ "args": ["\u{0}"] }),
                "args[0]: has a zero byte in it",
            ),
            (missing, "args[1]: its input output0 is missing"),
            (strange, r#"args[0]: {"output":"x"} is no part of a string"#),
            (
                json!({ "env": [{ "name": "A=B", "value": "" }] }),
                "env[0].name: \"A=B\" is no variable's name",
            ),
            (
                json!({ "env": [{ "name": "A" }] }),
                "env[0].value: is missing",
            ),
            (
                json!({ "workingDir": "w" }),
                "workingDir: \"w\" is no absolute path",
            ),
        ] {
            are_refused(&[(container(more), &format!("task.container.{wanted}"))]);
        }
    }

    #[test]
    fn resources_that_nobody_could_give_are_said_with_their_place() {
        let no_quantity = "is no quantity; 500m, 1.5, 64Mi and 1G are some";
        for (resources, wanted) in [
            (
                json!({ "memory": { "limit": "64 MB" } }),
                format!("memory.limit: \"64 MB\" {no_quantity}"),
            ),
            (
                json!({ "limits": { "cpu": "x" } }),
                format!("limits.cpu: \"x\" {no_quantity}"),
            ),
            (
                json!({ "cpu": { "request": 2, "limit": "500m" } }),
                "cpu: its request 2 is above its limit 500m".to_owned(),
            ),
            (
                json!({ "cpu": { "limit": "0" } }),
                "cpu: its limit 0 leaves it nothing".to_owned(),
            ),
            (
                json!({ "gpu": { "limit": 1 } }),
                "gpu: nothing of that is given out here; known are cpu, memory, ephemeral-storage"
                    .to_owned(),
            ),
            (
                json!({ "cpu": "1" }),
                "cpu: is an object, not a string".to_owned(),
            ),
        ] {
            let inputs = container(json!({ "resources": resources }));
            are_refused(&[(inputs, &format!("task.container.resources.{wanted}"))]);
        }
    }
}
