//! Placements as whole wishes: put, deleted, several as one; each change based on a generation.

use mainstay_api::types::{ApplyRequest, ChangeRequest, PlacementSpec, Until};
use mainstay_api::{Exit, Problem};
use mainstay_protocol::code;
use serde_json::{Value, json};

use crate::cluster::Cluster;

fn spec(name: &str, more: &Value) -> PlacementSpec {
    let mut whole = json!({"name": name, "type": "generic", "target": {"nodes": ["n1"]}});
    let more = more.as_object().unwrap().clone();
    whole.as_object_mut().unwrap().extend(more);
    serde_json::from_value(whole).unwrap()
}

fn told(problem: &Problem) -> (Exit, mainstay_protocol::code::Code) {
    (problem.exit, problem.code.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_placement_is_shown_as_the_spec_that_would_make_it_again() {
    // proves: S20
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    let wanted = spec(
        "web",
        &json!({
            "config": {"a": 1},
            "policy": {"restart": "always", "attempts": 3, "window": "10m", "backoff": {"max": "1m"}, "escalate": "quarantine", "watched_from": 0},
            "update": {"strategy": "rolling", "at_once": 2, "rollback": false, "wait": "5s"},
        }),
    );
    let put = cluster
        .client
        .put_placement(&wanted, Some(0))
        .await
        .unwrap();
    assert!(put.changed, "{}", put.text);
    cluster.wait("web@n1", Until::Running).await.unwrap();
    let shown = cluster.client.placement("web").await.unwrap();
    assert_eq!(shown.spec(), wanted);
    assert_eq!((shown.generation, shown.leaving), (1, false));
    assert!(
        shown.made_by.starts_with("operator put by uid-"),
        "{}",
        shown.made_by
    );
    let again = cluster
        .client
        .put_placement(&shown.spec(), None)
        .await
        .unwrap();
    assert!(!again.changed, "{}", again.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_of_one_generation_one_wins_and_one_is_told_what_differs() {
    // proves: S19
    // acceptance: issue 3, line 4
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    let client = &cluster.client;
    client
        .put_placement(&spec("web", &json!({"config": {"a": 1}})), Some(0))
        .await
        .unwrap();
    let specs: Vec<PlacementSpec> = (2..10)
        .map(|a| spec("web", &json!({"config": {"a": a}})))
        .collect();
    let (mut won, mut lost) = (0, Vec::new());
    let mut tasks = tokio::task::JoinSet::new();
    for spec in specs {
        let client = client.clone();
        tasks.spawn(async move { client.put_placement(&spec, Some(1)).await });
    }
    while let Some(answer) = tasks.join_next().await {
        match answer.unwrap() {
            Ok(accepted) => won += usize::from(accepted.changed),
            Err(problem) => lost.push(problem),
        }
    }
    assert_eq!((won, lost.len()), (1, 7));
    for problem in &lost {
        assert_eq!(told(problem), (Exit::Conflict, code::GENERATION_PAST));
        assert_eq!(problem.status, 412);
        assert!(
            problem.why.contains("generation 2, by operator put")
                && problem.why.contains("based on generation 1")
                && problem.why.contains("a: 1 against"),
            "{problem}"
        );
    }
    assert_eq!(client.placement("web").await.unwrap().generation, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn preconditions_are_those_of_http() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    let body = |a: u32| {
        json!({"name": "web", "type": "generic", "target": {"all": {}}, "config": {"a": a}})
            .to_string()
    };
    let put = |headers: &str, a: u32| {
        let body = body(a);
        format!(
            "PUT /v1/placements/web HTTP/1.1\r\nhost: s\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let get = "GET /v1/placements/web HTTP/1.1\r\nhost: s\r\nconnection: close\r\n\r\n".to_owned();
    for (request, status, has) in [
        (put("if-none-match: *\r\n", 1), "200", "\"changed\":true"),
        (put("if-none-match: *\r\n", 2), "412", "MS-GENERATION-PAST"),
        (put("", 2), "412", "MS-GENERATION-PAST"),
        (put("if-match: \"1\"\r\n", 2), "200", "generation 2"),
        (
            put("if-match: \"1\"\r\n", 3),
            "412",
            "generation 2, by operator put",
        ),
        (put("if-match: *\r\n", 3), "200", "generation 3"),
        (put("if-match: nonsense\r\n", 4), "400", "is no generation"),
        (get, "200", "etag: \"3\""),
    ] {
        let answer = cluster.exchange(&request).await;
        let first = answer.lines().next().unwrap_or_default();
        assert!(
            first.contains(status) && answer.contains(has),
            "{request}\n{answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_ends_and_leaves_nothing_behind() {
    // case: services 59
    let (cluster, agents) = Cluster::with(&["n1", "n2"]).await;
    let client = &cluster.client;
    let wanted = spec(
        "web",
        &json!({"target": {"nodes": ["n1", "n2"]}, "config": {"a": 1}}),
    );
    client.put_placement(&wanted, Some(0)).await.unwrap();
    cluster.wait("web", Until::Running).await.unwrap();
    let refused = client.delete_placement("web", Some(7)).await.unwrap_err();
    assert_eq!(told(&refused), (Exit::Conflict, code::GENERATION_PAST));
    client.delete_placement("web", Some(1)).await.unwrap();
    cluster.wait("web", Until::Gone).await.unwrap();
    let gone = async {
        while client.placement("web").await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), gone)
        .await
        .expect("it is removed soon after its last instance ended");
    assert_eq!(cluster.json("/v1/instances").await, json!([]));
    assert_eq!(cluster.json("/v1/names").await, json!([]));
    assert_eq!(cluster.json("/v1/configurations").await, json!([]));
    for agent in &agents {
        assert_eq!(agent.seen().stops, 1);
    }
    let missing = client.delete_placement("wbe", None).await.unwrap_err();
    assert_eq!(told(&missing), (Exit::NotFound, code::NOT_FOUND));
    // Made anew it begins anew, on the same nodes.
    client.put_placement(&wanted, Some(0)).await.unwrap();
    cluster.wait("web", Until::Running).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn several_placements_change_as_one_or_not_at_all() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    let client = &cluster.client;
    let put = |name: &str, more: &Value| ChangeRequest::Put {
        placement: Box::new(spec(name, more)),
        generation: Some(0),
    };
    let on_db = json!({"depends_on": [{"placement": "db", "until": "started"}]});
    let wrong = ApplyRequest {
        changes: vec![
            put("db", &json!({"depends_on": [{"placement": "web"}]})),
            put("web", &on_db),
            put("other", &json!({"type": "genric"})),
        ],
        settings: None,
    };
    let refused = client.apply(&wrong).await.unwrap_err();
    assert!(
        refused.why.contains("db -> web -> db") && refused.why.contains("\"genric\""),
        "{refused}"
    );
    assert_eq!(cluster.json("/v1/placements").await, json!([]));
    let right = ApplyRequest {
        changes: vec![put("web", &on_db), put("db", &json!({}))],
        settings: None,
    };
    client.apply(&right).await.unwrap();
    cluster.wait("web", Until::Running).await.unwrap();
    let web = client.placement("web").await.unwrap();
    assert_eq!(web.depends_on[0].placement, "db");
    let refused = client.delete_placement("db", None).await.unwrap_err();
    assert_eq!(told(&refused), (Exit::Refused, code::DEPENDED_ON));
    let delete = |placement: &str| ChangeRequest::Delete {
        placement: placement.to_owned(),
        generation: None,
    };
    let both = ApplyRequest {
        changes: vec![delete("db"), delete("web")],
        settings: None,
    };
    client.apply(&both).await.unwrap();
    cluster.wait("db", Until::Gone).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_spec_is_refused_with_all_that_is_wrong() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    let wrong = spec(
        "web",
        &json!({
            "target": {"spread": "rack", "all": {}},
            "policy": {"restart": "alwys", "escalate": "elsewhere"},
            "depends_on": [{"placement": "db", "until": "soon"}],
        }),
    );
    let refused = cluster
        .client
        .put_placement(&wrong, Some(0))
        .await
        .unwrap_err();
    assert_eq!(told(&refused), (Exit::Usage, code::BAD_REQUEST));
    for field in [
        "target.spread",
        "policy.restart",
        "policy.escalate",
        "depends_on.0.until",
    ] {
        assert!(refused.why.contains(field), "{refused}");
    }
    assert_eq!(refused.nearest, ["always"]);
    let attempts = spec("web", &json!({"policy": {"attempts": 0}}));
    let refused = cluster
        .client
        .put_placement(&attempts, Some(0))
        .await
        .unwrap_err();
    assert!(refused.why.contains("policy.attempts"), "{refused}");
}
