//! The cluster's settings, changed as a whole: which of them a person named was worked out before.

use mainstay_protocol::code;
use mainstay_protocol::request::Refusal;
use mainstay_resource_graph::{Cluster, Key, Txn, Vertex, View, ViewExt};

use crate::event::SettingsChange;

/// What was done, in words.
pub fn set(txn: &mut Txn<'_>, change: &SettingsChange) -> Result<String, Refusal> {
    let (Some(cluster), Some(record)) = (txn.cluster(), txn.record(&Key::Cluster)) else {
        return Err(Refusal::new(code::NOT_FOUND, "there is no cluster yet"));
    };
    // Asked for once more, it is as was asked.
    if cluster.settings == change.settings {
        return Ok("the settings are so already".to_owned());
    }
    if record.rev != change.based_on {
        return Err(Refusal::new(
            code::GENERATION_PAST,
            format!(
                "the settings were changed at revision {}, and this change is based on {}",
                record.rev, change.based_on
            ),
        ));
    }
    let cluster = Cluster {
        settings: change.settings.clone(),
        ..cluster
    };
    txn.put(Key::Cluster, Vertex::Cluster(cluster))
        .expect("a cluster has no transitions");
    Ok("the settings are changed".to_owned())
}
