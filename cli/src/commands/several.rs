//! Several targets of one command: which instances a reference means, and doing something with each, a bounded
//! number at a time, with the answers in the order of the targets.

use std::future::Future;

use mainstay_api::client::InstanceFilter;
use mainstay_api::{Client, Problem};
use mainstay_protocol::{InstanceKey, NodeName, PlacementName};
use mainstay_resource_graph::Key;
use tokio::task::JoinSet;

use crate::outcome::{bug, usage};

/// Requests under way at once; a station takes far more, a terminal has no use for it.
const AT_ONCE_MAX: usize = 32;

/// An instance for itself, a placement for its instances in order of node.
pub async fn instances(client: &Client, reference: &Key) -> Result<Vec<InstanceKey>, Problem> {
    match reference {
        Key::Instance(key) => Ok(vec![key.clone()]),
        Key::Placement(name) => of_placement(client, name).await,
        other => Err(usage(
            format!("find the instances of {other}"),
            format!(
                "{} has none; write PLACEMENT@NODE or PLACEMENT",
                other.kind().with_article()
            ),
        )),
    }
}

async fn of_placement(client: &Client, name: &PlacementName) -> Result<Vec<InstanceKey>, Problem> {
    let filter = InstanceFilter {
        placement: Some(name.to_string()),
        ..InstanceFilter::default()
    };
    let found = client.instances(&filter).await?;
    if found.is_empty() {
        // Says "not found" with the nearest name where there is no such placement.
        client.placement(name.as_str()).await?;
    }
    found
        .iter()
        .map(|instance| {
            NodeName::new(&instance.node).map(|node| InstanceKey::new(node, name.clone()))
        })
        .collect::<Result<_, _>>()
        .map_err(|why| bug("read the list of instances", why))
}

/// Runs `act` for every target; the answers keep the targets' order.
pub async fn each<T, F, A>(targets: Vec<T>, act: A) -> Vec<(T, F::Output)>
where
    T: Clone,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    A: Fn(T) -> F,
{
    let mut running = JoinSet::new();
    let mut answers: Vec<Option<(T, F::Output)>> = targets.iter().map(|_| None).collect();
    let mut waiting = targets.iter().enumerate();
    loop {
        while running.len() < AT_ONCE_MAX {
            let Some((at, target)) = waiting.next() else {
                break;
            };
            let future = act(target.clone());
            running.spawn(async move { (at, future.await) });
        }
        let Some(joined) = running.join_next().await else {
            break;
        };
        let (at, answer) =
            joined.expect("no task is cancelled, and one that panics is a defect to be seen");
        answers[at] = Some((targets[at].clone(), answer));
    }
    answers.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_keep_the_order_of_their_targets() {
        let targets: Vec<u32> = (0..100).collect();
        let answers = each(targets, |n| async move {
            for _ in 0..(100 - n) {
                tokio::task::yield_now().await;
            }
            n * 2
        })
        .await;
        assert!(
            answers
                .iter()
                .enumerate()
                .all(|(at, (n, twice))| at as u32 == *n && n * 2 == *twice)
        );
        assert_eq!(answers.len(), 100);
    }
}
