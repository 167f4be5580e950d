//! Invariant 8: of a singleton at most one runs in the whole cluster, in what really lives.

use super::demand;
use crate::host::Actor;
use crate::world::Held;

/// It begins, beside all that others have.
pub fn begins<'a>(new: &Actor, mut others: impl Iterator<Item = &'a Actor>) -> Held {
    let placement = &new.start.instance.placement;
    let is_twin = |other: &&Actor| other.start.instance.placement == *placement && !other.is_dead();
    let twin = others.find(is_twin).filter(|_| new.start.lease.is_some());
    demand("one singleton", twin.is_none(), || {
        let name = |actor: &Actor| format!("{}#{}", actor.start.instance, actor.start.incarnation);
        format!(
            "{} starts while {} lives",
            name(new),
            twin.map_or_else(String::new, name)
        )
    })
}
