//! Durable work over the API: what definitions are taken, what runs begin, and what each refusal says.

use mainstay_api::client::{RunFilter, RunVerb};
use mainstay_api::routes;
use mainstay_api::types::{Accepted, Exact, RunDetail, RunRequest, StepDone, Until};
use mainstay_api::{Exit, Problem};
use mainstay_protocol::Json;
use mainstay_protocol::code::{self, Code};
use mainstay_protocol::frame::{Frame, encode_frame};
use mainstay_protocol::handshake::Channel;
use mainstay_protocol::session::kinds;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::agent::{Act, Agent};
use crate::cluster::{Cluster, named, until};

fn exact(value: &Value) -> Exact {
    Exact(Json::parse(&value.to_string()).unwrap())
}

fn begins(id: &str, of: &str, payload: &Value) -> RunRequest {
    RunRequest {
        id: id.to_owned(),
        orchestration: of.to_owned(),
        correlation_id: Some(format!("order {id}")),
        section: None,
        payload: exact(payload),
    }
}

/// Somebody works, and there are types of activities, by what each does.
async fn cluster() -> (Cluster, Vec<Agent>) {
    let (cluster, agents) = Cluster::with(&["n1"]).await;
    cluster.client.start(&named("w", &["n1"])).await.unwrap();
    cluster.wait("w@n1", Until::Running).await.unwrap();
    for of in ["echo", "waits", "fails", "holds", "a.b", "a-b"] {
        put_activity(&cluster, &json!({"type": of, "provider": "p"})).await;
    }
    (cluster, agents)
}

async fn put_activity(cluster: &Cluster, definition: &Value) -> Accepted {
    let name = definition["type"].as_str().unwrap();
    let put = cluster.client.put_activity(name, &exact(definition)).await;
    put.unwrap()
}

async fn create(cluster: &Cluster, definition: &Value) -> Result<Accepted, Problem> {
    let path = routes::ORCHESTRATION_CREATE.path;
    cluster.client.post(path, &exact(definition)).await
}

async fn refused(cluster: &Cluster, definition: &Value) -> Problem {
    let problem = create(cluster, definition).await.unwrap_err();
    let stored = cluster.client.orchestrations().await.unwrap();
    assert!(
        stored.iter().all(|one| one.name != definition["type"]),
        "{problem}"
    );
    problem
}

async fn over(cluster: &Cluster, id: &str) -> RunDetail {
    until("the run is over", || async {
        let run = cluster.client.run(id).await;
        run.is_ok_and(|detail| detail.run.over)
    })
    .await;
    cluster.client.run(id).await.unwrap()
}

fn told(problem: &Problem) -> (u16, Exit, Code) {
    (problem.status, problem.exit, problem.code.clone())
}

/// The status of an answer, as it stands on the wire.
async fn status(cluster: &Cluster, method: &str, path: &str, body: &Value) -> u16 {
    let body = body.to_string();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = cluster.exchange(&request).await;
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn one(activity: &str) -> Value {
    json!({"type": format!("of-{activity}"), "activities": [{"id": "a", "type": activity}]})
}

// case: orchestrations 1
// proves: O1
#[tokio::test(flavor = "multi_thread")]
async fn a_definition_is_created_once_and_read_back_in_its_canonical_form() {
    let (cluster, _agents) = cluster().await;
    let definition = json!({
        "type": "tenant.example.com", "active": true, "schema": {},
        "activities": [
            {"id": "one", "type": "echo", "inputs": ["cell"]},
            {"id": "two", "type": "echo", "dependsOn": "one", "inputs": [{"source": "one.cell", "target": "id"}], "newer": 7},
        ],
    });
    let path = routes::ORCHESTRATION_CREATE.path;
    assert_eq!(status(&cluster, "POST", path, &definition).await, 201);
    let shown = cluster
        .client
        .orchestration("tenant.example.com")
        .await
        .unwrap();
    let definition_now = shown.definition.clone().unwrap();
    let read: Value = serde_json::from_str(definition_now.0.as_str()).unwrap();
    assert_eq!(read["activities"][1]["dependsOn"], json!(["one"]));
    // Of a newer version: kept, and warned about.
    assert_eq!(read["activities"][1]["newer"], 7);
    assert_eq!((shown.generation, shown.activities), (1, 2));

    // case: orchestrations 7
    let again = create(&cluster, &definition).await.unwrap_err();
    assert_eq!(told(&again), (409, Exit::Conflict, code::EXISTS));
    let changed =
        json!({"type": "tenant.example.com", "activities": [{"id": "x", "type": "echo"}]});
    create(&cluster, &changed).await.unwrap_err();
    let still = cluster
        .client
        .orchestration("tenant.example.com")
        .await
        .unwrap();
    assert_eq!(still, shown);
    // To put it replaces it, for whoever knows the generation.
    let exactly = exact(&changed);
    let put = cluster
        .client
        .put_orchestration("tenant.example.com", &exactly);
    assert!(put.await.unwrap().changed);
    let now = cluster
        .client
        .orchestration("tenant.example.com")
        .await
        .unwrap();
    assert_eq!((now.generation, now.activities), (2, 1));
}

// case: orchestrations 7
// proves: O1
#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_create_one_type_at_once_one_was_first() {
    let (cluster, _agents) = cluster().await;
    let mut asking = JoinSet::new();
    for number in 0..20 {
        let client = cluster.client.clone();
        let definition =
            json!({"type": "t", "activities": [{"id": format!("a{number}"), "type": "echo"}]});
        asking.spawn(async move {
            let path = routes::ORCHESTRATION_CREATE.path;
            client.post::<_, Accepted>(path, &exact(&definition)).await
        });
    }
    let answers = asking.join_all().await;
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    let codes: Vec<Code> = refused.map(|problem| problem.code.clone()).collect();
    assert_eq!(codes, vec![code::EXISTS; 19]);
    let shown = cluster.client.orchestration("t").await.unwrap();
    assert_eq!(shown.generation, 1);
}

// acceptance: issue 6, line 3
// proves: O1
#[tokio::test(flavor = "multi_thread")]
async fn ten_faults_are_ten_pointers_in_one_answer_and_nothing_is_stored() {
    let (cluster, _agents) = cluster().await;
    let problem = refused(
        &cluster,
        &json!({
            "type": "bad", "onFatal": "maybe", "schema": 7, "active": "yes",
            "activities": [
                {"id": "x", "type": "echo"},
                {"id": "y", "type": "none", "dependsOn": ["x", "absent"]},
                {"id": "z", "type": "echo", "dependsOn": "y", "inputs": [7]},
                {"id": "z", "type": "other", "attemptTimeout": "soon"},
                {"id": "w w", "type": "echo"},
            ],
        }),
    )
    .await;
    assert_eq!(told(&problem), (400, Exit::Usage, code::BAD_DEFINITION));
    let pointers: Vec<&str> = problem
        .faults
        .iter()
        .map(|fault| fault.pointer.as_str())
        .collect();
    for wanted in [
        "/active",
        "/onFatal",
        "/schema",
        "/activities/1/type",
        "/activities/1/dependsOn/1",
        "/activities/2/inputs/0",
        "/activities/3/id",
        "/activities/3/type",
        "/activities/3/attemptTimeout",
        "/activities/4/id",
    ] {
        assert!(
            pointers.contains(&wanted),
            "{wanted} is not told: {pointers:?}"
        );
    }
    // case: orchestrations 2, 3, 5
    assert!(pointers.len() >= 10, "{pointers:?}");
    // case: orchestrations 4
    let waits = |id: &str, on: &str| json!({"id": id, "type": "echo", "dependsOn": on});
    let round =
        json!({"type": "round", "activities": [waits("x", "y"), waits("y", "z"), waits("z", "x")]});
    let round = refused(&cluster, &round).await;
    assert!(round.why.contains("x -> y -> z -> x"), "{}", round.why);

    // case: orchestrations 6
    let none = refused(&cluster, &json!({"type": "empty", "activities": []})).await;
    assert_eq!(none.faults[0].pointer, "/activities");
    // case: orchestrations 12
    for name in ["a b", "a@b", "a#b", ""] {
        let definition = json!({"type": name, "activities": [{"id": "a", "type": "echo"}]});
        let bad = refused(&cluster, &definition);
        assert_eq!(bad.await.faults[0].pointer, "/type", "{name}");
    }
}

// case: orchestrations 13
// proves: O1
#[tokio::test(flavor = "multi_thread")]
async fn what_orchestrations_use_is_not_deleted() {
    let (cluster, _agents) = cluster().await;
    for name in ["t", "u"] {
        let definition = json!({"type": name, "activities": [{"id": "a", "type": "echo"}]});
        create(&cluster, &definition).await.unwrap();
    }
    let used = cluster.client.delete_activity("echo").await.unwrap_err();
    assert_eq!(told(&used), (409, Exit::Refused, code::IN_USE));
    assert!(
        used.why.contains("orchestration/t") && used.why.contains("orchestration/u"),
        "{used}"
    );
    for name in ["t", "u"] {
        cluster.client.delete_orchestration(name).await.unwrap();
    }
    cluster.client.delete_activity("echo").await.unwrap();
    let unknown = cluster.client.delete_activity("echo").await.unwrap_err();
    assert_eq!(told(&unknown), (404, Exit::NotFound, code::NOT_FOUND));
}

// case: orchestrations 15, 16, 19
// proves: O11
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_may_not_begin_is_refused_with_what_is_wrong() {
    let (cluster, _agents) = cluster().await;
    let schema = json!({"type": "object", "required": ["size"], "properties": {"size": {"type": "integer"}, "who": {"type": "string"}}});
    let mut definition = json!({"type": "t", "active": false, "schema": schema, "activities": [{"id": "a", "type": "echo"}]});
    create(&cluster, &definition).await.unwrap();
    let start = |payload: Value| {
        let client = cluster.client.clone();
        async move { client.start_run(&begins("r1", "t", &payload)).await }
    };
    let inactive = start(json!({"size": 1})).await.unwrap_err();
    assert_eq!(told(&inactive), (409, Exit::Refused, code::INACTIVE));
    definition["active"] = json!(true);
    let exactly = exact(&definition);
    let put = cluster.client.put_orchestration("t", &exactly);
    put.await.unwrap();

    let wrong = start(json!({"size": "big", "who": 7})).await.unwrap_err();
    assert_eq!(told(&wrong), (422, Exit::Usage, code::BAD_INPUT));
    let pointers: Vec<&str> = wrong
        .faults
        .iter()
        .map(|fault| fault.pointer.as_str())
        .collect();
    assert_eq!(pointers, ["/size", "/who"]);
    assert!(
        cluster
            .client
            .runs(&RunFilter::default())
            .await
            .unwrap()
            .is_empty()
    );

    let unknown = cluster
        .client
        .start_run(&begins("r1", "tt", &json!({})))
        .await
        .unwrap_err();
    assert_eq!(told(&unknown), (404, Exit::NotFound, code::NOT_FOUND));
    for (body, field) in [(json!({"type": "t"}), "id"), (json!({"id": "r1"}), "type")] {
        let missing = cluster
            .client
            .post::<_, Accepted>(routes::RUN_START.path, &body);
        let missing = missing.await.unwrap_err();
        assert_eq!(told(&missing), (400, Exit::Usage, code::BAD_REQUEST));
        assert!(missing.why.contains(&format!("`{field}`")), "{missing}");
    }
    let listed = start(json!([{"size": 1}])).await.unwrap_err();
    assert_eq!(told(&listed), (400, Exit::Usage, code::BAD_REQUEST));
    start(json!({"size": 1})).await.unwrap();
    assert_eq!(over(&cluster, "r1").await.run.state, "Completed");
}

// case: orchestrations 17, 18
// proves: O6, O7
#[tokio::test(flavor = "multi_thread")]
async fn fifty_who_begin_one_run_begin_one() {
    let (cluster, agents) = cluster().await;
    create(&cluster, &one("echo")).await.unwrap();
    let mut asking = JoinSet::new();
    for _ in 0..50 {
        let client = cluster.client.clone();
        asking.spawn(async move {
            client
                .start_run(&begins("r1", "of-echo", &json!({"n": 1})))
                .await
        });
    }
    let answers = asking.join_all().await;
    let begun = answers
        .iter()
        .filter(|answer| answer.as_ref().unwrap().changed);
    assert_eq!(begun.count(), 1);
    over(&cluster, "r1").await;
    assert_eq!(agents[0].seen().works, 1);
    let others = begins("r1", "of-echo", &json!({"n": 2}));
    let other = cluster.client.start_run(&others);
    let other = other.await.unwrap_err();
    assert_eq!(told(&other), (409, Exit::Conflict, code::RUN_DIFFERS));
    let body = json!({"id": "r2", "type": "of-echo"});
    assert_eq!(
        status(&cluster, "POST", routes::RUN_START.path, &body).await,
        201
    );
    assert_eq!(
        status(&cluster, "POST", routes::RUN_START.path, &body).await,
        200
    );
}

// case: orchestrations 30, 32
// proves: O3, O6
#[tokio::test(flavor = "multi_thread")]
async fn a_run_leaves_what_its_definition_says_with_numbers_as_they_were() {
    let (cluster, _agents) = cluster().await;
    let definition = json!({
        "type": "t", "output": [{"source": "b.id", "target": "of"}],
        "activities": [
            {"id": "a", "type": "echo", "inputs": ["n", "ü"]},
            {"id": "b", "type": "echo", "dependsOn": "a", "inputs": [{"source": "a.n", "target": "id"}]},
        ],
    });
    create(&cluster, &definition).await.unwrap();
    let big = r#"{"n":123456789012345678901234567890,"ü":{}}"#;
    let request = RunRequest {
        payload: Exact(Json::parse(big).unwrap()),
        ..begins("r1", "t", &json!({}))
    };
    cluster.client.start_run(&request).await.unwrap();
    let detail = over(&cluster, "r1").await;
    assert_eq!(detail.run.state, "Completed");
    assert_eq!(detail.run.correlation_id.as_deref(), Some("order r1"));
    assert_eq!(detail.input.0.as_str(), big);
    let left = detail.outputs.unwrap();
    assert_eq!(left.0.as_str(), r#"{"of":123456789012345678901234567890}"#);
    let tiers: Vec<usize> = detail.steps.iter().map(|step| step.tier).collect();
    assert_eq!(tiers, [0, 1]);
    let counted = cluster.raw("/metrics").await;
    for sample in [
        r#"mainstay_runs_total{state="Running"} 1"#,
        r#"mainstay_runs_total{state="Completed"} 1"#,
        "mainstay_task_latency_seconds_count 2",
    ] {
        assert!(counted.contains(sample), "{sample}: {counted}");
    }
}

/// Runs that wait for somebody outside.
async fn waiting(ids: &[&str]) -> (Cluster, Vec<Agent>) {
    let (cluster, agents) = cluster().await;
    create(&cluster, &one("waits")).await.unwrap();
    for id in ids {
        let begins = begins(id, "of-waits", &json!({}));
        cluster.client.start_run(&begins).await.unwrap();
    }
    (cluster, agents)
}

async fn token(cluster: &Cluster, id: &str) -> String {
    until("it waits", || async {
        let detail = cluster.client.run(id).await.unwrap();
        detail.steps[0].state == "Waiting"
    })
    .await;
    let detail = cluster.client.run(id).await.unwrap();
    detail.steps[0].token.clone().unwrap()
}

fn done(token: &str, outputs: Option<Value>, error: Option<&str>) -> StepDone {
    StepDone {
        token: token.to_owned(),
        outputs: outputs.as_ref().map(exact),
        error: error.map(str::to_owned),
    }
}

// case: orchestrations 40
// proves: O5, O11
#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_said_to_be_done_or_failed_from_outside() {
    let (cluster, _agents) = waiting(&["r1", "r2"]).await;
    let client = &cluster.client;
    let right = token(&cluster, "r1").await;
    let refused =
        |said: StepDone| async move { client.step_done("r1", "a", &said).await.unwrap_err() };
    let stale = refused(done("999999", None, None)).await;
    assert_eq!(told(&stale), (409, Exit::Conflict, code::STALE_TOKEN));
    let both = refused(done(&right, Some(json!({})), Some("no"))).await;
    assert_eq!(told(&both), (400, Exit::Usage, code::BAD_REQUEST));
    let absent = client.step_done("r1", "b", &done(&right, None, None)).await;
    let absent = absent.unwrap_err();
    assert_eq!(told(&absent), (404, Exit::NotFound, code::NOT_FOUND));

    let said = done(&right, Some(json!({"by": "ada"})), None);
    client.step_done("r1", "a", &said).await.unwrap();
    let detail = over(&cluster, "r1").await;
    assert_eq!(detail.run.state, "Completed");
    let left = detail.steps[0].outputs.as_ref().unwrap();
    assert_eq!(left.0.as_str(), r#"{"by":"ada"}"#);
    refused(done(&right, None, None)).await;

    let right = token(&cluster, "r2").await;
    let said = done(&right, None, Some("nobody wants it"));
    client.step_done("r2", "a", &said).await.unwrap();
    let detail = over(&cluster, "r2").await;
    assert_eq!(detail.run.state, "Errored");
    assert_eq!(detail.run.errors[0].error, "nobody wants it");
    assert_eq!(detail.run.reason.unwrap().code, code::RUN_FAILED);
}

// case: orchestrations 61
// proves: O11
#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_cancelled_once() {
    let (cluster, _agents) = waiting(&["r1"]).await;
    let client = &cluster.client;
    token(&cluster, "r1").await;
    client.run_act("r1", RunVerb::Cancel).await.unwrap();
    assert_eq!(over(&cluster, "r1").await.run.state, "Cancelled");
    let again = client.run_act("r1", RunVerb::Cancel).await.unwrap_err();
    assert_eq!(told(&again), (409, Exit::Refused, code::NOT_NOW));
    let unknown = client.run_act("r9", RunVerb::Cancel).await.unwrap_err();
    assert_eq!(told(&unknown), (404, Exit::NotFound, code::NOT_FOUND));
    // Who waits for another end is told at once that there will be none.
    let waits = cluster.wait("run/r1", Until::State("Completed".to_owned()));
    let never = waits.await.unwrap_err();
    assert_eq!(told(&never), (409, Exit::TargetFailed, code::TARGET_FAILED));
    let waits = cluster.wait("run/r1", Until::State("Cancelled".to_owned()));
    waits.await.unwrap();
}

// case: orchestrations 52, 62
// proves: O4, O11
#[tokio::test(flavor = "multi_thread")]
async fn runs_are_listed_in_pages_and_by_what_they_are_and_say_what_they_wait_for() {
    let (cluster, agents) = cluster().await;
    create(&cluster, &one("echo")).await.unwrap();
    create(&cluster, &one("holds")).await.unwrap();
    let client = &cluster.client;
    // Those that hold their hands for ever come last.
    for number in [5, 6, 0, 1, 2, 3, 4] {
        let of = if number < 5 { "of-holds" } else { "of-echo" };
        if number == 0 {
            over(&cluster, "r5").await;
            over(&cluster, "r6").await;
        }
        client
            .start_run(&begins(&format!("r{number}"), of, &json!({})))
            .await
            .unwrap();
    }
    let ids = |filter: RunFilter| async move {
        let runs = client.runs(&filter).await.unwrap();
        runs.into_iter().map(|run| run.id).collect::<Vec<_>>()
    };
    let completed = RunFilter {
        state: Some("completed".to_owned()),
        ..RunFilter::default()
    };
    assert_eq!(ids(completed).await, ["r5", "r6"]);
    let known = RunFilter {
        correlation: Some("order r3".to_owned()),
        ..RunFilter::default()
    };
    assert_eq!(ids(known).await, ["r3"]);
    let more = RunRequest {
        correlation_id: None,
        ..begins("r7", "of-echo", &json!({}))
    };
    client.start_run(&more).await.unwrap();
    assert_eq!(
        ids(RunFilter {
            correlation: Some("order r9".to_owned()),
            ..RunFilter::default()
        })
        .await,
        Vec::<String>::new()
    );
    let page = cluster.raw("/v1/runs?type=of-holds&limit=2").await;
    assert!(page.contains("mainstay-next: run/r1"), "{page}");
    let bad = cluster.raw("/v1/runs?typ=x").await;
    assert!(bad.starts_with("HTTP/1.1 400"), "{bad}");

    // Four hands have the first four; the fifth says so.
    until("four are out", || async { agents[0].seen().works >= 4 }).await;
    let waits = client.run("r4").await.unwrap();
    let step = &waits.steps[0];
    assert_eq!(step.state, "Queued");
    assert_eq!(step.reason.as_ref().unwrap().code, code::NO_HANDS);
    assert_eq!(waits.run.reason.unwrap().code, code::NO_HANDS);
    let why = cluster.json("/v1/why?ref=run/r4").await;
    assert_eq!(why["because"][0]["ref"], "step/r4/a", "{why}");
    let stops = cluster.client.stop("n1", "w").await;
    stops.unwrap();
    until("nobody does it", || async {
        let run = client.run("r4").await.unwrap().run;
        run.reason
            .is_some_and(|reason| reason.code == code::UNSERVED)
    })
    .await;
}

/// A worker's word that nobody can read.
fn garbage() -> Vec<u8> {
    let frame = Frame {
        kind: kinds::REPORTS,
        body_version: 1,
        compat: 1,
        codec: 1,
        request_id: 0,
        trace: [0; 24],
        term: 0,
        body: vec![0xff; 40],
    };
    let mut bytes = Vec::new();
    encode_frame(&frame, Channel::Control, &mut bytes).unwrap();
    bytes
}

// case: orchestrations 53
// proves: O4, O7
#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_says_that_nobody_can_read_is_counted_kept_and_ends_no_step() {
    let (cluster, mut agents) = cluster().await;
    create(&cluster, &one("holds")).await.unwrap();
    create(&cluster, &one("echo")).await.unwrap();
    let client = &cluster.client;
    let start = |id: &'static str, of: &'static str| async move {
        client.start_run(&begins(id, of, &json!({}))).await.unwrap();
    };
    start("r1", "of-holds").await;
    until("it is out", || async { agents[0].seen().works == 1 }).await;
    agents[0].act(Act::Raw(garbage())).await;
    until("it is counted", || async {
        let counted = cluster.raw("/metrics").await;
        counted.contains("mainstay_bad_frames_total 1")
    })
    .await;
    let step = client.run("r1").await.unwrap().steps.remove(0);
    assert_eq!((step.state.as_str(), step.attempt), ("Running", 1));

    // The same session goes on, and what can be read counts.
    start("r2", "of-echo").await;
    assert_eq!(over(&cluster, "r2").await.run.state, "Completed");
    agents.remove(0).kill().await;
    let node = cluster.wait("node/n1", Until::State("AgentDown".to_owned()));
    node.await.unwrap();
    let kept = client.bad_frames().await.unwrap();
    assert_eq!((kept[0].peer.as_str(), kept[0].total), ("n1", 1));
    let last = &kept[0].last[0];
    assert_eq!(last.kind, Some(kinds::REPORTS));
    assert!(
        !last.why.is_empty() && last.head.starts_with("ffff"),
        "{last:?}"
    );
}
