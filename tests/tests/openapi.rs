//! Every answer of real stations is as the API's document says: each way to look, and ways to change, those that are
//! refused too.

mod document;

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use document::http::{Answer, ask};
use document::spoiled::spoiled;
use document::{Document, Operation};
use mainstay_tests::{Cluster, DevOptions, Machines, command, outside, until};
use serde_json::{Value, json};

/// Ways to look at who may come: nobody comes to a cluster on one machine, so another test looks at these, over machines.
const OF_ACCESS: [&str; 4] = [
    "/v1/identities/{kind}/{name}",
    "/v1/identities/{kind}/{name}/{role}",
    "/v1/secrets/{name}",
    "/v1/tokens/{name}",
];

/// A station that is asked on its socket, and the document.
struct Asked {
    socket: PathBuf,
    document: Document,
}

impl Asked {
    fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
            document: Document::read(),
        }
    }

    fn get(&self, path: &str) -> Answer {
        ask(&self.socket, "GET", path, &[], None)
    }

    /// Fails unless the answer is as the document says.
    #[track_caller]
    fn hold(&self, operation: &Operation, path: &str, answer: &Answer) {
        let flaws = self.document.flaws(operation, answer);
        let (method, text) = (&operation.method, answer.text());
        assert!(flaws.is_empty(), "{method} {path}: {flaws:#?} in {text}");
    }

    /// Asks for a change, and holds the answer against the document; what was sent too, where it was taken.
    #[track_caller]
    fn change(&self, line: &str, route: &str, body: Option<Value>, status: u16) -> Value {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        let (path, header) = path.split_once(' ').unwrap_or((path, ""));
        let headers: Vec<(&str, &str)> = header.split_once(": ").into_iter().collect();
        let operation = self.document.operation(method, route);
        let text = body.as_ref().map(Value::to_string);
        let answer = ask(&self.socket, method, path, &headers, text.as_deref());
        assert_eq!(answer.status, status, "{line}: {}", answer.text());
        self.hold(&operation, path, &answer);
        if let Some(body) = body {
            let flaws = self.document.flaws_of_body(&operation, &body);
            match status {
                200 => assert!(flaws.is_empty(), "{line} {body}: {flaws:#?}"),
                // It is no JSON of the right shape, and the document knows.
                400 => assert!(!flaws.is_empty(), "{line} {body}"),
                _ => {}
            }
        }
        answer.json()
    }

    /// The path of a route, with what its list shows last in it; none where the list is empty.
    fn filled(&self, route: &str) -> Option<String> {
        let Some((list, _)) = route.split_once("/{") else {
            return Some(route.to_owned());
        };
        let rows = self.get(list).json();
        let rows = rows.as_array().expect("a list").clone();
        let mut segments: Vec<String> = route.split('/').map(str::to_owned).collect();
        let row = match list {
            "/v1/identities" => {
                let parts = segments.iter().filter(|one| one.starts_with('{')).count();
                let named = |row: &&Value| words(row).len() == parts;
                json!({ "parts": words(rows.iter().rfind(named)?) })
            }
            // What it is called is not what it is found by.
            "/v1/collected" => json!({ "id": rows.last()?["id"] }),
            _ => rows.last()?.clone(),
        };
        let mut parts = row["parts"].as_array().into_iter().flatten();
        for segment in segments.iter_mut().filter(|one| one.starts_with('{')) {
            let name = segment.trim_matches(['{', '}']);
            let text = |key: &str| row[key].as_str().map(str::to_owned);
            let found = parts.next().and_then(Value::as_str).map(str::to_owned);
            let found = found.or_else(|| text(name)).or_else(|| text("id"));
            let found = found.or_else(|| text("hash"));
            *segment = found.or_else(|| text("type"))?;
        }
        Some(segments.join("/"))
    }

    /// Every way to look, with whatever there is; those are returned of which there was nothing.
    fn look_everywhere(&self, reference: &str) -> BTreeSet<String> {
        let reference = reference.replace('@', "%40");
        let mut of_nothing = BTreeSet::new();
        for operation in self.document.operations() {
            if operation.method != "GET" {
                continue;
            }
            let route = &operation.route;
            let path = self.filled(route).unwrap_or_else(|| {
                of_nothing.insert(route.clone());
                route.replace(['{', '}'], "")
            });
            let needed = operation.parameters("query", true);
            let path = match needed.as_slice() {
                [] => path,
                [one] if one == "ref" => format!("{path}?ref={reference}"),
                other => panic!("how is {route} asked, which needs {other:?}?"),
            };
            for kind in operation.content() {
                let accept = [("accept", kind.as_str())];
                let answer = ask(&self.socket, "GET", &path, &accept, None);
                let wanted = match of_nothing.contains(route) {
                    true => [400, 404].contains(&answer.status),
                    false => answer.status == 200 && answer.kind() == kind,
                };
                assert!(wanted, "{path} as {kind}: {answer:#?}");
                self.hold(&operation, &path, &answer);
            }
            self.hold_to_its_words(&operation, &path);
        }
        of_nothing
    }

    /// A word of a query that is not there is refused, with those that are: the document has them.
    fn hold_to_its_words(&self, operation: &Operation, path: &str) {
        let mut written = operation.parameters("query", false);
        if written.is_empty() {
            return;
        }
        let and = if path.contains('?') { '&' } else { '?' };
        let answer = self.get(&format!("{path}{and}no-such=1"));
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        self.hold(operation, path, &answer);
        let why = answer.json()["why"].as_str().unwrap_or_default().to_owned();
        let told = why.split("; there are ").nth(1).unwrap_or_default();
        let mut told: Vec<&str> = told.split(", ").collect();
        told.sort_unstable();
        written.sort_unstable();
        assert_eq!(told, written, "{path}");
    }
}

/// What a bearer's name is of: `agent`, `n1`.
fn words(row: &Value) -> Vec<String> {
    let name = row["name"].as_str().unwrap_or_default();
    name.split('/').map(str::to_owned).collect()
}

/// One node, and a station with a rule that panics and a procedure that lasts.
fn cluster() -> Arc<Cluster> {
    let cluster = Cluster::with(&DevOptions {
        nodes: 1,
        station_bin: Some(command::program("mainstay-cursed")),
        ..DevOptions::default()
    });
    cluster.sh("start greeter --on n1").ok();
    cluster.sh("wait greeter --for healthy").ok();
    Arc::new(cluster)
}

/// Writes into a followed file for as long as it lives, since what was brought is forgotten within seconds.
struct Feeder {
    over: Arc<AtomicBool>,
    writing: Option<JoinHandle<()>>,
}

impl Feeder {
    fn begin(log: PathBuf) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let until_over = Arc::clone(&over);
        let writing = thread::spawn(move || {
            while !until_over.load(Ordering::Relaxed) {
                let file = OpenOptions::new().create(true).append(true).open(&log);
                let written = file.and_then(|mut file| file.write_all(b"disk sdb fails\n"));
                written.expect("it can be written");
                // tidy: waits because a file that grows is what is followed
                thread::sleep(Duration::from_millis(200));
            }
        });
        Self {
            over,
            writing: Some(writing),
        }
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        drop(self.writing.take().map(JoinHandle::join));
    }
}

const SERVICE: &str = r#"{"$schema": "urn:ivcap:schema:service.2", "id": "urn:ivcap:service:1", "name": "one",
    "controller": {"$schema": "urn:ivcap:schema:service.basic.1", "image": "i", "command": ["true"]}}"#;

/// A run of one step, which is done, and an order.
fn durable_work(cluster: &Cluster) {
    let config = r#"activities={"model": {"*": {"workload": {"engine": "host"}}}}"#;
    cluster
        .sh(&format!("start activity-agent --on n1 --config '{config}'"))
        .ok();
    for (command, text) in [
        ("activity apply", "type: echo\nprovider: builtin\n"),
        (
            "orchestration apply",
            "type: hi\nactivities: [{id: one, type: echo}]\n",
        ),
        ("service register", SERVICE),
    ] {
        let file = cluster.home().join("definition.yaml");
        std::fs::write(&file, text).expect("a directory of its own");
        cluster.sh(&format!("{command} -f {}", file.display())).ok();
    }
    let put = cluster.home().join("definition.yaml");
    cluster.sh(&format!("artifact put {}", put.display())).ok();
    cluster.sh("run start hi --id r1").ok();
    cluster.sh("order one --id o1 --no-wait").ok();
}

/// Something of every kind there is on one machine.
fn of_every_kind(cluster: &Arc<Cluster>) -> (Feeder, JoinHandle<()>) {
    for name in ["holder", "asker", "cursed", "patient"] {
        cluster
            .sh(&format!("start flaky --name {name} --on n1"))
            .ok();
    }
    cluster
        .sh(r#"call holder@n1 acquire '{"kind":"disk","name":"sda"}'"#)
        .ok();
    let asks = Arc::clone(cluster);
    let asking = thread::spawn(move || {
        let line =
            r#"call asker@n1 ask '{"failure":"disk-full","within_ms":600000}' --timeout 120s"#;
        asks.sh(line).ok();
    });
    durable_work(cluster);
    let log = cluster.home().join("followed.log");
    cluster
        .sh(&format!(
            "start collector --name tail --on n1 --config path={} record=smart every_ms=50 'only=disk (?<disk>\\w+) fails'",
            log.display()
        ))
        .ok();
    let feeder = Feeder::begin(log);
    for kind in ["asked", "collected", "procedures", "resources"] {
        until(
            &format!("there are {kind}"),
            || cluster.list(&format!("get {kind}")),
            |all| !all.is_empty(),
        );
    }
    until(
        "something is set aside",
        || cluster.list("parked list"),
        |all| !all.is_empty(),
    );
    (feeder, asking)
}

// proves: U3
#[test]
fn every_way_to_look_answers_as_the_document_says() {
    let cluster = cluster();
    let (_feeder, asking) = of_every_kind(&cluster);
    let asked = Asked::new(&cluster.api_socket());
    let of_nothing = asked.look_everywhere("greeter@n1");
    let of_nothing: Vec<&String> = of_nothing
        .iter()
        .filter(|route| !OF_ACCESS.contains(&route.as_str()))
        .collect();
    assert_eq!(of_nothing, Vec::<&String>::new());

    let served = asked.get("/v1/openapi.json").json();
    assert_eq!(&served, asked.document.value(), "what is served");
    // The same ways, asked otherwise.
    for (route, path) in [
        ("/v1/instances", "/v1/instances?usage=1&node=n1&limit=1"),
        (
            "/v1/instances/{node}/{placement}",
            "/v1/instances/n1/greeter?usage=1",
        ),
        ("/v1/why", "/v1/why?ref=greeter%40n1"),
        ("/v1/why", "/v1/why?ref=nobody%40n1"),
        ("/v1/graph", "/v1/graph?ref=greeter%40n1&depth=1"),
        ("/v1/graph", "/v1/graph?ref=greeter%40n1&depth=1000"),
        ("/v1/events", "/v1/events?after=0&limit=1"),
        ("/v1/events", "/v1/events?cursor=nonsense"),
        ("/v1/resource", "/v1/resource?ref=cluster"),
        ("/v1/resource", "/v1/resource"),
        ("/v1/nodes/{name}", "/v1/nodes/n9"),
        ("/v1/nodes/{name}", "/v1/nodes/%20"),
    ] {
        let operation = asked.document.operation("GET", route);
        asked.hold(&operation, path, &asked.get(path));
    }
    let kinds = "node/n1 station/s1 type/greeter greeter name/n1/greeter supervisor/n1";
    for reference in kinds.split(' ') {
        let path = format!("/v1/resource?ref={reference}");
        let answer = asked.get(&path);
        assert_eq!(answer.status, 200, "{path}");
        asked.hold(
            &asked.document.operation("GET", "/v1/resource"),
            &path,
            &answer,
        );
    }
    // What is no route at all is a problem too.
    for (method, path, status) in [("GET", "/v1/nope", 404), ("DELETE", "/v1/status", 405)] {
        let answer = ask(&asked.socket, method, path, &[], None);
        assert_eq!(answer.status, status, "{path}");
        asked.hold(
            &asked.document.operation("GET", "/v1/status"),
            path,
            &answer,
        );
    }

    let id = asked.get("/v1/asked").json()[0]["id"].clone();
    let answer = format!("POST /v1/asked/{}/answer", id.as_str().expect("an id"));
    asked.change(
        &answer,
        "/v1/asked/{name}/answer",
        Some(json!({ "drop": 3 })),
        200,
    );
    asking.join().expect("its question is answered");
}

// proves: U3
#[test]
fn every_change_is_taken_or_refused_as_the_document_says() {
    let cluster = cluster();
    let asked = Asked::new(&cluster.api_socket());
    starts(&asked);
    wishes(&asked);
    waits(&asked);
    asks_of_instances(&asked);
    cluster.sh("wait greeter --for healthy").ok();
    messages(&asked);
    plans_and_settings(&asked);
    rules(&asked);
    chaos(&asked);
}

fn starts(asked: &Asked) {
    let start = |body: Value, status: u16| {
        asked.change("POST /v1/start", "/v1/start", Some(body), status);
    };
    let on = |node: &str| json!({ "nodes": [node] });
    start(json!({ "type": 7 }), 400);
    start(
        json!({ "type": "greeter", "name": "away", "on": on("n9") }),
        404,
    );
    start(json!({ "type": "greeter", "on": on("n1") }), 200);
    let config = json!({ "greeting": "Hi" });
    start(
        json!({ "type": "greeter", "on": on("n1"), "config": config }),
        409,
    );
}

const PLACEMENT: &str = "/v1/placements/{name}";

fn wishes(asked: &Asked) {
    let put = |header: &str, body: Value, status: u16| {
        let line = format!("PUT /v1/placements/web {header}");
        asked.change(line.trim(), PLACEMENT, Some(body), status);
    };
    let web = json!({ "name": "web", "type": "flaky", "target": { "nodes": ["n1"] } });
    put("", json!({ "name": "web", "color": 1 }), 400);
    put("if-none-match: *", web, 200);
    let other = json!({ "name": "web", "type": "flaky", "target": { "all": {} } });
    put("if-match: \"7\"", other, 412);
    put("if-match: 7", Value::Null, 400);
    asked.change("DELETE /v1/placements/nobody", PLACEMENT, None, 404);
}

fn waits(asked: &Asked) {
    let wait = |goal: &str, timeout_ms: u64, status: u16| {
        let body = json!({ "ref": "web@n1", "for": goal, "timeout_ms": timeout_ms });
        asked.change("POST /v1/wait", "/v1/wait", Some(body), status);
    };
    wait("running", 30_000, 200);
    wait("gone", 1, 504);
}

fn asks_of_instances(asked: &Asked) {
    for what in ["check", "status", "restart", "stop", "clear", "safe-start"] {
        let route = format!("/v1/instances/{{node}}/{{placement}}/{what}");
        for (placement, status) in [("greeter", 200), ("nobody", 404)] {
            let line = format!("POST /v1/instances/n1/{placement}/{what}");
            asked.change(&line, &route, None, status);
        }
    }
    for what in ["check", "status"] {
        let line = format!("POST /v1/supervisors/n1/{what}");
        asked.change(
            &line,
            &format!("/v1/supervisors/{{node}}/{what}"),
            None,
            200,
        );
        let line = format!("POST /v1/stations/s1/{what}");
        asked.change(&line, &format!("/v1/stations/{{name}}/{what}"), None, 200);
    }
}

fn messages(asked: &Asked) {
    let route = "/v1/instances/{node}/{placement}/messages/{message}";
    let send = |message: &str, body: Value, status: u16| {
        let line = format!("POST /v1/instances/n1/greeter/messages/{message}");
        asked.change(&line, route, Some(body), status);
    };
    send("greet", json!({ "name": "Ada" }), 200);
    send("shout", json!({}), 404);
    // What a message holds is its type's business: the document takes any.
    let path = "/v1/instances/n1/greeter/messages/greet";
    let answer = ask(&asked.socket, "POST", path, &[], Some("{\"nam\": 1}"));
    assert_eq!(answer.status, 400, "{answer:?}");
    asked.hold(&asked.document.operation("POST", route), path, &answer);
}

fn plans_and_settings(asked: &Asked) {
    let delete = json!({ "changes": [{ "delete": { "placement": "web" } }] });
    asked.change("POST /v1/apply", "/v1/apply", Some(delete), 200);
    let nonsense = Some(json!({ "changes": 1 }));
    asked.change("POST /v1/apply", "/v1/apply", nonsense, 400);
    let plan = |spec: Value, status: u16| {
        let wishes = json!({ "wishes": [{ "kind": "Placement", "spec": spec }] });
        asked.change("POST /v1/plan", "/v1/plan", Some(wishes), status)
    };
    plan(
        json!({ "name": "db", "type": "flaky", "target": { "nodes": ["n1"] } }),
        200,
    );
    let refused = plan(json!({ "name": "db", "tipe": 1 }), 422);
    assert!(refused["flaws"][0]["path"].is_array(), "{refused:#}");
    let settings = |body: Value, status: u16| {
        asked.change("PUT /v1/settings", "/v1/settings", Some(body), status);
    };
    settings(json!({ "settings": { "restart": { "attempts": 4 } } }), 200);
    settings(
        json!({ "settings": { "restart": { "attempts": "many" } } }),
        422,
    );
}

fn rules(asked: &Asked) {
    let disable = |rule: &str, body: Value, status: u16| {
        let line = format!("POST /v1/rules/{rule}/disable");
        asked.change(&line, "/v1/rules/{name}/disable", Some(body), status);
    };
    disable("restart", json!({ "by": "ada", "why": "a look" }), 200);
    disable("restart", json!({ "why": 1 }), 400);
    // Safety needs it.
    disable("quarantine", json!({ "by": "ada" }), 409);
    // Who switched it off is told.
    let operation = asked.document.operation("GET", "/v1/rules");
    asked.hold(&operation, "/v1/rules", &asked.get("/v1/rules"));
    let enable = "/v1/rules/{name}/enable";
    asked.change("POST /v1/rules/restart/enable", enable, None, 200);
}

fn chaos(asked: &Asked) {
    let chaos = |act: &str, status: u16| {
        let body = json!({ "ref": "greeter@n1", "act": act });
        asked.change("POST /v1/chaos", "/v1/chaos", Some(body), status);
    };
    chaos("burn", 400);
    chaos("kill", 200);
}

// proves: U3
#[test]
fn who_may_come_is_told_as_the_document_says() {
    let mut machines = Machines::new(1);
    machines.init(1, "prod");
    machines.add_agent(1);
    machines.add_person(1, "operator");
    machines.until_online(1, 1);
    machines.sh(1, "start greeter --on n1").ok();
    machines.sh(1, "wait greeter --for healthy").ok();
    let files = outside::files_below(&machines.dir(1));
    let socket = files.iter().find(|path| path.ends_with("api.sock"));
    let asked = Asked::new(socket.unwrap_or_else(|| panic!("a socket of the API in {files:?}")));

    let tokens = "/v1/tokens";
    let token = json!({ "role": "agent", "name": null, "valid_ms": 60000 });
    let made = asked.change("POST /v1/tokens", tokens, Some(token), 200);
    asked.change("POST /v1/tokens", tokens, Some(json!({ "role": 7 })), 400);
    let secret = Some(json!({ "value": "hush" }));
    asked.change("PUT /v1/secrets/billing", "/v1/secrets/{name}", secret, 200);
    let ops = Some(json!({ "role": "operator", "members": ["ada"] }));
    asked.change("PUT /v1/groups/ops", "/v1/groups/{name}", ops, 200);
    let of_nothing = asked.look_everywhere("greeter@n1");
    let unseen = OF_ACCESS
        .iter()
        .filter(|route| of_nothing.contains(**route));
    assert_eq!(unseen.count(), 0, "{of_nothing:?}");

    let revoke = format!(
        "POST /v1/tokens/{}/revoke",
        made["id"].as_str().expect("an id")
    );
    asked.change(&revoke, "/v1/tokens/{name}/revoke", None, 200);
    let rotate = "/v1/certificates/{kind}/{name}/rotate";
    asked.change("POST /v1/certificates/agent/n1/rotate", rotate, None, 200);
    asked.change("POST /v1/certificates/agent/n9/rotate", rotate, None, 404);
    asked.change("POST /v1/join", "/v1/join", Some(json!({ "id": "x" })), 400);
    asked.change("DELETE /v1/groups/ops", "/v1/groups/{name}", None, 200);
    let why = Some(json!({ "why": "she left" }));
    let person = "POST /v1/identities/person/ada/operator/revoke";
    asked.change(
        person,
        "/v1/identities/{kind}/{name}/{role}/revoke",
        why,
        200,
    );
    let operation = asked.document.operation("GET", "/v1/identities");
    asked.hold(&operation, "/v1/identities", &asked.get("/v1/identities"));
}

#[test]
fn an_answer_that_is_not_as_the_document_says_is_seen() {
    let cluster = cluster();
    let asked = Asked::new(&cluster.api_socket());
    for (route, path) in [
        ("/v1/status", "/v1/status"),
        ("/v1/stations/{name}", "/v1/stations/s1"),
        ("/v1/supervisors/{node}", "/v1/supervisors/n1"),
        ("/v1/nodes/{name}", "/v1/nodes/n9"),
    ] {
        let operation = asked.document.operation("GET", route);
        let answer = asked.get(path);
        asked.hold(&operation, path, &answer);
        for (how, spoiled) in spoiled(&answer) {
            let flaws = asked.document.flaws(&operation, &spoiled);
            assert!(!flaws.is_empty(), "{path}, {how}: {}", spoiled.text());
        }
    }
}
