//! Looks for a node that is away: at its agent's own address, and through the nodes that guard it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mainstay_coordinator::{Event, Look};
use mainstay_identity::way;
use mainstay_protocol::request::{Answer, Ask};
use mainstay_protocol::sight::Sight;
use mainstay_protocol::{Address, limits};
use mainstay_resource_graph::Sightings;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::faults::Fault;
use crate::shared::{Shared, Submitted};

const KNOCK: Duration = Duration::from_millis(limits::LOOK_WITHIN_MS);
/// The guard looks in that time, and its word has to come here.
const GUARD: Duration = Duration::from_millis(limits::LOOK_WITHIN_MS * 3 / 2);

/// What is seen goes to the coordinator, in any case.
pub async fn look(shared: Arc<Shared>, look: Look) {
    let mut asking = JoinSet::new();
    let fault = shared.faults.of(&look.node);
    let gone = fault == Some(Fault::Gone);
    for guard in look.guards.clone() {
        let shared = Arc::clone(&shared);
        let ask = Ask::LookAt {
            node: look.node.clone(),
            address: look.address.clone(),
        };
        asking.spawn(async move {
            if gone {
                return (guard, Some(Sight::Nothing));
            }
            let sight = match shared.sessions.ask(&guard, ask, GUARD).await {
                Answer::Sight(sight) => Some(sight),
                // It has no session, or says nothing in time.
                _ => None,
            };
            (guard, sight)
        });
    }
    let knock = match fault {
        Some(Fault::Gone | Fault::CutOff) => Sight::Nothing,
        Some(Fault::Slow(_)) | None => knock(&look.address).await,
    };
    let mut guards: BTreeMap<_, _> = look.guards.into_iter().map(|guard| (guard, None)).collect();
    while let Some(asked) = asking.join_next().await {
        guards.extend(asked);
    }
    let sighted = Submitted {
        event: Event::Sighted {
            node: look.node,
            since: look.since,
            seen: Sightings { knock, guards },
        },
        answer: None,
    };
    // With the station's end nobody needs to know.
    drop(shared.inbox.send(sighted).await);
}

/// Whether anything answers there; not whether it speaks.
async fn knock(address: &str) -> Sight {
    let Ok(address) = address.parse::<Address>() else {
        return Sight::Nothing;
    };
    match timeout(KNOCK, way::reach(&address)).await {
        Ok(Ok(_bare)) => Sight::Machine,
        Ok(Err(error)) if way::is_its_word(&error) => Sight::Machine,
        Ok(Err(_)) | Err(_) => Sight::Nothing,
    }
}
