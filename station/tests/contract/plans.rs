//! Plans and settings over HTTP: what would change, what is wrong with its path, and applying with what the plan saw.

use mainstay_api::Exit;
use mainstay_api::types::{
    Act, ApplyRequest, ChangeRequest, PlanMode, PlanRequest, SettingsRequest, Until, WishBody,
};
use mainstay_protocol::code;
use serde_json::{Value, json};

use crate::cluster::{Cluster, contract, keys};

fn wish(kind: &str, spec: Value) -> WishBody {
    WishBody {
        kind: kind.to_owned(),
        spec,
    }
}

fn request(wishes: Vec<WishBody>) -> PlanRequest {
    PlanRequest {
        wishes,
        mode: PlanMode::Apply,
    }
}

fn generic(name: &str) -> Value {
    json!({"name": name, "type": "generic", "target": {"nodes": ["n1"]}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_has_every_key_of_the_contract_and_changes_nothing() {
    // proves: U3
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    let wishes = vec![
        wish("Placement", generic("web")),
        wish("Settings", json!({"grace": "7s"})),
    ];
    let plan: Value = cluster
        .client
        .post("/v1/plan", &request(wishes))
        .await
        .unwrap();
    assert_eq!(
        keys(&plan),
        contract("format, cluster, revision, mode, changes")
    );
    for change in plan["changes"].as_array().unwrap() {
        assert_eq!(
            keys(change),
            contract("ref, act, based_on, fields, instances, unplaced, after, steps, wish")
        );
    }
    assert_eq!(plan["changes"][0]["ref"], "settings");
    assert_eq!(plan["changes"][1]["ref"], "placement/web");
    assert_eq!(plan["changes"][1]["instances"][0]["ref"], "web@n1");
    assert_eq!(cluster.json("/v1/placements").await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_wishes_is_answered_with_wish_and_path() {
    // proves: S15
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    let mut elsewhere = generic("x");
    elsewhere["target"]["nodes"] = json!(["n1", "n2"]);
    let mut misspelt = generic("y");
    misspelt["polcy"] = json!({});
    let wishes = vec![
        wish("Placement", elsewhere),
        wish("Placement", misspelt),
        wish("Settings", json!({"silence": 3})),
        wish("Thing", json!({})),
    ];
    let problem = cluster.client.plan(&request(wishes)).await.unwrap_err();
    assert_eq!(
        (problem.status, problem.exit, &problem.code),
        (422, Exit::Usage, &code::BAD_SPEC)
    );
    let told: Vec<(usize, String)> = problem
        .flaws
        .iter()
        .map(|flaw| (flaw.wish, flaw.flaw.path.to_string()))
        .collect();
    let path = |text: &str| text.to_owned();
    assert_eq!(
        told,
        [
            (0, path("target.nodes[1]")),
            (1, path("polcy")),
            (2, path("silence")),
            (3, path(""))
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_and_placements_are_applied_together_or_not_at_all() {
    // proves: S15, S19
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    let seen = cluster.client.settings().await.unwrap();
    let apply = |name: &str, grace: &str, based_on: u64| ApplyRequest {
        changes: vec![ChangeRequest::Put {
            placement: Box::new(mainstay_api::plan::placement_spec(&generic(name)).unwrap()),
            generation: Some(0),
        }],
        settings: Some(SettingsRequest {
            settings: json!({"grace": grace}),
            based_on: Some(based_on),
        }),
    };
    let stale = apply("web", "7s", seen.revision + 1);
    let problem = cluster.client.apply(&stale).await.unwrap_err();
    assert_eq!(
        (problem.exit, &problem.code),
        (Exit::Conflict, &code::GENERATION_PAST)
    );
    assert_eq!(
        cluster.json("/v1/placements").await,
        json!([]),
        "nothing of it"
    );

    let right = apply("web", "7s", seen.revision);
    assert!(cluster.client.apply(&right).await.unwrap().changed);
    cluster.wait("web", Until::Settled(Some(1))).await.unwrap();
    let now = cluster.client.settings().await.unwrap();
    assert_eq!(now.settings["grace"], "7s");
    assert!(now.revision > seen.revision);

    // The placement is no longer what it is based on; the settings stay with it.
    let again = apply("web", "9s", now.revision);
    let mut again = again;
    if let ChangeRequest::Put { placement, .. } = &mut again.changes[0] {
        placement.policy.attempts = Some(2);
    }
    let problem = cluster.client.apply(&again).await.unwrap_err();
    assert_eq!(problem.code, code::GENERATION_PAST, "{problem}");
    let kept = cluster.client.settings().await.unwrap();
    assert_eq!(kept.settings["grace"], "7s");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_wrong_are_refused_and_right_ones_are_kept_over_a_restart() {
    let (mut cluster, _agents) = Cluster::with(&["n1"]).await;
    let set = |settings: Value| SettingsRequest {
        settings,
        based_on: None,
    };
    let wrong = set(json!({"backoff": {"first": "2m"}}));
    let problem = cluster.client.set_settings(&wrong).await.unwrap_err();
    assert_eq!(problem.exit, Exit::Usage);
    assert!(problem.why.contains("longer than the longest"), "{problem}");
    let right = set(json!({"backoff": {"max": "5m", "first": "2m"}}));
    assert!(cluster.client.set_settings(&right).await.unwrap().changed);
    assert!(!cluster.client.set_settings(&right).await.unwrap().changed);
    cluster.stop().await;
    cluster.start().await;
    let kept = cluster.client.settings().await.unwrap();
    assert_eq!(
        kept.settings["backoff"],
        json!({"first": "2m", "max": "5m"})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_generation_is_told_when_another_takes_its_place() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    let plan = request(vec![wish("Placement", generic("web"))]);
    let planned = cluster.client.plan(&plan).await.unwrap();
    assert_eq!(
        (planned.changes[0].act, planned.changes[0].based_on),
        (Act::Create, 0)
    );
    let spec = mainstay_api::plan::placement_spec(&generic("web")).unwrap();
    cluster.client.put_placement(&spec, Some(0)).await.unwrap();
    cluster.wait("web", Until::Settled(Some(1))).await.unwrap();
    let mut changed = spec.clone();
    changed.policy.attempts = Some(2);
    cluster
        .client
        .put_placement(&changed, Some(1))
        .await
        .unwrap();
    let problem = cluster
        .wait("web", Until::Settled(Some(1)))
        .await
        .unwrap_err();
    assert_eq!(problem.code, code::GENERATION_PAST, "{problem}");
    cluster.wait("web", Until::Settled(Some(2))).await.unwrap();
    cluster.wait("web", Until::Settled(None)).await.unwrap();
}
