//! What instances use: asked of their nodes when somebody wants to see it, all nodes at once, and put into the rows.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mainstay_api::present::find;
use mainstay_api::time::Time;
use mainstay_api::types::{self, Instance};
use mainstay_protocol::request::{Answer, Ask, Usage};
use mainstay_protocol::{InstanceKey, NodeName, limits};
use mainstay_resource_graph::Key;
use serde::Deserialize;
use serde_json::Value;
use tokio::task::JoinSet;

use super::Api;

/// The parameter that asks for it.
pub const WORD: &str = "usage";

/// A node that is slower than this is shown without: who looks at a hundred waits for none.
const SAID_WITHIN: Duration = Duration::from_millis(500);

/// Rows of instances as the API shows them. Of what did not answer, the usage stays unknown.
pub async fn put_in(api: &Api, rows: &mut [Value]) {
    let mut asked: BTreeMap<NodeName, Vec<InstanceKey>> = BTreeMap::new();
    for row in rows.iter() {
        let reference = row["ref"].as_str().unwrap_or_default();
        if let Ok(Key::Instance(key)) = find::parse(reference) {
            asked.entry(key.node.clone()).or_default().push(key);
        }
    }
    let mut asking = JoinSet::new();
    for (node, instances) in asked {
        for some in instances.chunks(limits::USAGES_MAX) {
            let (api, node, instances) = (api.clone(), node.clone(), some.to_vec());
            asking.spawn(async move { of_node(&api, &node, instances).await });
        }
    }
    let mut used = BTreeMap::new();
    while let Some(answered) = asking.join_next().await {
        // A question that broke is one without an answer.
        used.extend(answered.unwrap_or_default());
    }
    for row in rows {
        let reference = row["ref"].as_str().unwrap_or_default();
        let usage = used.get(reference).and_then(|usage| shown(row, usage));
        if let Some(usage) = usage {
            row[WORD] = usage;
        }
    }
}

async fn of_node(
    api: &Api,
    node: &NodeName,
    instances: Vec<InstanceKey>,
) -> BTreeMap<String, Usage> {
    let asking = api
        .shared
        .sessions
        .ask(node, Ask::Usage { instances }, SAID_WITHIN);
    match tokio::time::timeout(SAID_WITHIN, asking).await {
        Ok(Answer::Usage(used)) => used
            .into_iter()
            .map(|(key, usage)| (key.to_string(), usage))
            .collect(),
        Ok(_) | Err(_) => BTreeMap::new(),
    }
}

/// None: it speaks of another incarnation than the row does.
fn shown(row: &Value, usage: &Usage) -> Option<Value> {
    let row = Instance::deserialize(row).ok()?;
    if row.incarnation != usage.incarnation.count {
        return None;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let now = u64::try_from(now.as_millis()).ok()?;
    let outside = usage.outside.as_ref();
    serde_json::to_value(types::Usage {
        restarts: row.incarnation.saturating_sub(1),
        started: Time::from_wall_ms(now.saturating_sub(usage.age_ms)),
        cpu_ms: outside.map(|outside| outside.cpu_ms),
        memory_bytes: outside.map(|outside| outside.memory_bytes),
        processes: outside.map(|outside| u64::from(outside.processes)),
        busy_ms: usage.busy_ms,
        served: usage.served,
    })
    .ok()
}
