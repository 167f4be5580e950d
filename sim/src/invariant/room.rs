//! What begins on a node has its room and its ports beside all that lives there, whatever the coordinator knew. What runs
//! goes on where less is offered than before.

use mainstay_protocol::NodeName;
use mainstay_protocol::room::Room;

use super::demand;
use crate::host::Actor;
use crate::world::Held;

const NAME: &str = "room";

pub fn begins<'a>(
    (node, offers): (&NodeName, Room),
    new: &Actor,
    others: impl Iterator<Item = &'a Actor>,
) -> Held {
    let needs = &new.start.needs;
    let mut taken = needs.room;
    for other in others {
        taken = taken.plus(other.start.needs.room);
        let shared = needs.ports.intersection(&other.start.needs.ports).next();
        demand(NAME, shared.is_none(), || {
            let (new, other) = (&new.start.instance, &other.start.instance);
            format!("{new} begins with the port {shared:?} that {other} has")
        })?;
    }
    demand(
        NAME,
        needs.room == Room::NONE || taken.fits_into(offers),
        || format!("{taken} is taken of {node}, which offers {offers}"),
    )
}
