//! Rules by name: listed, switched off with who and why, over a restart, and never by accident where safety needs
//! them. And the stream that says when to look again.

use mainstay_api::Exit;
use mainstay_api::types::RuleSwitch;
use mainstay_protocol::code;

use crate::cluster::Cluster;

fn by(who: &str) -> RuleSwitch {
    RuleSwitch {
        by: who.to_owned(),
        why: "a look".to_owned(),
        i_mean_it: false,
    }
}

// proves: S21
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_off_with_who_and_why_until_it_is_on_again_over_a_restart_too() {
    let mut cluster = Cluster::alone().await;
    let rules = cluster.client.rules().await.unwrap();
    assert!(
        rules
            .iter()
            .all(|rule| rule.enabled && rule.about.is_some()),
        "{rules:?}"
    );
    let off = cluster
        .client
        .rule_disable("restart", &by("ada"))
        .await
        .unwrap();
    assert!(off.changed);
    let again = cluster
        .client
        .rule_disable("restart", &by("bob"))
        .await
        .unwrap();
    assert!(!again.changed && again.text.contains("ada"), "{again:?}");
    cluster.stop().await;
    cluster.start().await;
    let rule = cluster.client.rule("restart").await.unwrap();
    let switched = rule.off.as_ref().unwrap();
    assert!(!rule.enabled);
    assert_eq!(
        (switched.by.as_str(), switched.why.as_deref()),
        ("ada", Some("a look"))
    );
    assert_eq!(
        cluster.client.status().await.unwrap().rules_off,
        ["restart"]
    );
    assert!(cluster.client.rule_enable("restart").await.unwrap().changed);
    assert!(!cluster.client.rule_enable("restart").await.unwrap().changed);
    assert!(cluster.client.rule("restart").await.unwrap().enabled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_safety_needs_is_switched_off_only_by_who_means_it() {
    let cluster = Cluster::alone().await;
    let refused = cluster
        .client
        .rule_disable("quarantine", &by("ada"))
        .await
        .unwrap_err();
    assert_eq!(
        (refused.exit, &refused.code),
        (Exit::Refused, &code::REFUSED_BY_SAFETY)
    );
    assert!(refused.to_do.ends_with("--i-mean-it"), "{refused}");
    let meant = RuleSwitch {
        i_mean_it: true,
        ..by("ada")
    };
    assert!(
        cluster
            .client
            .rule_disable("quarantine", &meant)
            .await
            .unwrap()
            .changed
    );
    for missing in [
        cluster.client.rule_disable("quarantin", &by("ada")).await,
        cluster.client.rule_enable("quarantin").await,
    ] {
        let missing = missing.unwrap_err();
        assert_eq!(
            (missing.exit, missing.nearest[0].as_str()),
            (Exit::NotFound, "quarantine")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_changes_is_told_at_once_and_whenever_something_is_committed() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    let mut changes = cluster.client.changes().await.unwrap();
    let first = changes.next().await.unwrap().unwrap();
    assert!(first.leads);
    cluster.start_on("greeter", &["n1"]).await.unwrap();
    let next = changes.next().await.unwrap().unwrap();
    assert!(next.revision > first.revision, "{next:?} after {first:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_is_bounded_and_its_parameters_are_judged() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    let near = cluster
        .client
        .graph(Some("greeter@n1"), Some(0))
        .await
        .unwrap();
    assert_eq!((near.vertices.len(), near.relations.len()), (1, 0));
    let whole = cluster.client.graph(None, None).await.unwrap();
    assert!(
        !whole.is_cut
            && whole
                .vertices
                .iter()
                .any(|one| one.reference == "greeter@n1")
    );
    assert_eq!(cluster.client.graph_check().await.unwrap(), []);
    let impact = cluster.client.impact("node/n1").await.unwrap();
    assert_eq!(impact.instances, ["greeter@n1"]);
    for path in [
        "/v1/graph?ref=greeter@n1&depth=99",
        "/v1/graph?depth=x",
        "/v1/impact",
        "/v1/graph?ref=nod/n1",
    ] {
        let problem = cluster
            .client
            .get::<serde_json::Value>(path)
            .await
            .unwrap_err();
        assert_eq!(problem.exit, Exit::Usage, "{path}: {problem}");
    }
    let missing = cluster.client.impact("gretter@n1").await.unwrap_err();
    assert_eq!(missing.exit, Exit::NotFound);
}
