//! `maintenance`, `placement_maintenance`: work that was announced for some time is over when that time is.

use mainstay_protocol::code;
use mainstay_protocol::{NodeName, PlacementName};
use mainstay_resource_graph::{Txn, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

pub struct Maintenance;

impl Rule for Maintenance {
    const NAME: &'static str = "maintenance";
    const ABOUT: &'static str = "Ends the maintenance of a node when its time is over.";
    const SAFETY: Option<&'static str> =
        Some("what fails on a node in maintenance would be left as it is for ever");
    type Subject = NodeName;

    fn watches() -> Watch {
        Watch::nodes(|node| {
            let maintenance = node.care.maintenance.as_ref();
            maintenance.is_some_and(|on| on.until.is_some())
        })
    }

    fn judge(subject: NodeName, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let maintenance = txn.node(&subject).and_then(|node| node.care.maintenance);
        let until = maintenance.and_then(|on| on.until);
        if until.is_none_or(|until| until > env.now) {
            return Verdict::Nothing;
        }
        verb::end_maintenance(txn, &subject, env);
        Verdict::did(
            code::MAINTENANCE_OVER,
            "its maintenance is over; what is there is judged again",
        )
    }
}

pub struct PlacementMaintenance;

impl Rule for PlacementMaintenance {
    const NAME: &'static str = "placement_maintenance";
    const ABOUT: &'static str = "Ends the maintenance of a placement when its time is over.";
    const SAFETY: Option<&'static str> =
        Some("what fails of a placement in maintenance would be left as it is for ever");
    type Subject = PlacementName;

    fn watches() -> Watch {
        Watch::placements(|placement| {
            let maintenance = placement.maintenance.as_ref();
            maintenance.is_some_and(|on| on.until.is_some())
        })
    }

    fn judge(subject: PlacementName, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let maintenance = txn.placement(&subject).and_then(|one| one.maintenance);
        let until = maintenance.and_then(|on| on.until);
        if until.is_none_or(|until| until > env.now) {
            return Verdict::Nothing;
        }
        verb::end_placement_maintenance(txn, &subject, env);
        Verdict::did(
            code::MAINTENANCE_OVER,
            "its maintenance is over; what is there is judged again",
        )
    }
}
