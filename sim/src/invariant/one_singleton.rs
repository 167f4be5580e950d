//! Invariant 8: of a singleton at most one runs in the whole cluster, in what really lives.

use super::demand;
use crate::happening::{ActorId, NodeAt};
use crate::host::Actor;
use crate::world::Held;

pub fn others<'a>(
    new: &Actor,
    others: impl Iterator<Item = ((NodeAt, ActorId), &'a Actor)>,
) -> Held {
    if new.start.lease.is_none() {
        return Ok(());
    }
    let placement = &new.start.instance.placement;
    let other = others
        .map(|(_, other)| other)
        .find(|other| other.start.instance.placement == *placement && !other.is_dead());
    demand("one singleton", other.is_none(), || {
        let other =
            other.map(|other| format!("{}#{}", other.start.instance, other.start.incarnation));
        format!(
            "{}#{} starts while {} lives",
            new.start.instance,
            new.start.incarnation,
            other.unwrap_or_default()
        )
    })
}
