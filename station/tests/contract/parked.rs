//! A user's rule that panics on one subject: parked for that subject alone, over a restart too, until requeued.

use std::sync::atomic::{AtomicBool, Ordering};

use mainstay_api::Exit;
use mainstay_api::types::Until;
use mainstay_coordinator::{Env, Rule, Verdict, Watch};
use mainstay_protocol::InstanceKey;
use mainstay_resource_graph::{InstanceState, Txn, ViewExt};

use crate::cluster::Cluster;

/// Panics on running instances of `greeter`, until it is mended.
struct Allergic;

static MENDED: AtomicBool = AtomicBool::new(false);

impl Rule for Allergic {
    const NAME: &'static str = "allergic";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| instance.state == InstanceState::Running)
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, _env: &Env) -> Verdict {
        let running = txn.instance(&subject).is_some();
        let allergic = running && subject.placement.as_str() == "greeter";
        assert!(
            !allergic || MENDED.load(Ordering::Relaxed),
            "allergic to {subject}"
        );
        Verdict::Nothing
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_panics_on_a_state_is_parked_for_that_subject_and_everything_else_goes_on() {
    // acceptance: 7
    let mut cluster = Cluster::unstarted();
    cluster
        .start_with(|station| station.rule::<Allergic>())
        .await;
    let mut agent = cluster.agent(crate::agent::AgentConfig::named("n1")).await;
    cluster.run_on("greeter", &["n1"]).await;
    cluster.start_on("generic", &["n1"]).await.unwrap();
    cluster.wait("generic", Until::Running).await.unwrap();
    let parked = cluster.client.parked().await.unwrap();
    assert_eq!(parked.len(), 1, "{parked:?}");
    assert_eq!(parked[0].rule.as_deref(), Some("allergic"));
    assert_eq!(parked[0].subject.as_deref(), Some("greeter@n1"));
    assert!(parked[0].text.contains("allergic to greeter@n1"));
    let id = parked[0].id.clone();
    assert_eq!(cluster.client.parked_one(&id).await.unwrap().id, id);

    cluster.stop().await;
    agent.until(|seen| seen.closed).await;
    cluster
        .start_with(|station| station.rule::<Allergic>())
        .await;
    assert_eq!(cluster.client.parked().await.unwrap().len(), 1);
    let status = cluster.client.status().await.unwrap();
    assert!(
        status
            .problems
            .iter()
            .any(|problem| problem.reference == format!("parked/{id}"))
    );

    MENDED.store(true, Ordering::Relaxed);
    cluster.client.parked_requeue(&id).await.unwrap();
    // The requeue is committed with its judgement: nothing is parked any more.
    assert_eq!(cluster.client.parked().await.unwrap(), []);
    for missing in [
        cluster.client.parked_requeue(&id).await,
        cluster.client.parked_drop(&id).await,
    ] {
        assert_eq!(missing.unwrap_err().exit, Exit::NotFound);
    }
}
