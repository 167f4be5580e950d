//! `/metrics` after something really happened.

use crate::agent::Act;
use crate::cluster::{Cluster, instance, until};

/// Sample lines of one family, without the comments.
fn samples<'a>(text: &'a str, family: &str) -> Vec<&'a str> {
    text.lines()
        .filter(|line| line.starts_with(family))
        .collect()
}

fn value(text: &str, sample: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(sample))?;
    line.strip_prefix(sample)?.trim().parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_counted_by_its_reason_and_its_recovery_measured_by_stage() {
    let (cluster, mut agents) = Cluster::with(&["n1"]).await;
    cluster.run_on("greeter", &["n1"]).await;
    let before = cluster.raw("/metrics").await;
    for family in [
        "mainstay_restarts_total",
        "mainstay_recovery_duration_seconds",
    ] {
        assert!(before.contains(&format!("# HELP {family} ")), "{before}");
        assert!(samples(&before, family).is_empty(), "nothing failed yet");
    }
    let greeter = instance("greeter@n1");
    let words = "boom {of=\"greeter\"}\n".to_owned();
    agents[0].act(Act::Fail(greeter, words)).await;
    agents[0].until(|seen| seen.starts == 2).await;
    let measured = r#"mainstay_recovery_duration_seconds_count{stage="total"}"#;
    until("the recovery is measured", || async {
        value(&cluster.raw("/metrics").await, measured) == Some(1.0)
    })
    .await;
    let text = cluster.raw("/metrics").await;
    assert_eq!(
        samples(&text, "mainstay_restarts_total"),
        [r#"mainstay_restarts_total{reason="panic"} 1"#]
    );
    for stage in ["decide", "start", "total"] {
        let family = "mainstay_recovery_duration_seconds";
        let count = format!(r#"{family}_count{{stage="{stage}"}}"#);
        let all = format!(r#"{family}_bucket{{stage="{stage}",le="+Inf"}}"#);
        assert_eq!(value(&text, &count), Some(1.0), "{stage}");
        assert_eq!(value(&text, &all), Some(1.0), "{stage}");
    }
    let sum = value(
        &text,
        r#"mainstay_recovery_duration_seconds_sum{stage="total"}"#,
    );
    assert!(sum.is_some_and(|seconds| seconds > 0.0 && seconds < 20.0));
    assert!(!text.contains("boom"), "no failure's own words in a label");
    cluster.client.restart("n1", "greeter").await.unwrap();
    until("the restart that was asked for is counted", || async {
        let text = cluster.raw("/metrics").await;
        value(&text, r#"mainstay_restarts_total{reason="asked"}"#) == Some(1.0)
            && value(&text, measured) == Some(2.0)
    })
    .await;
}
