//! A disk that is almost full: changes are refused, and who looks is told.

use mainstay_api::Time;
use mainstay_api::types::{Status, StatusProblem, Verdict};
use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::request::Refusal;
use mainstay_resource_graph::Key;
use mainstay_store::Shortage;

use crate::shared::Shared;

const MIB: u64 = 1024 * 1024;

/// What a change is refused with.
pub fn refusal(shortage: &Shortage) -> Refusal {
    Refusal::new(
        code::DISK_FULL,
        format!("{}; nothing was changed", text(shortage)),
    )
}

fn text(shortage: &Shortage) -> String {
    format!(
        "{} MiB are free on the disk of {}, and nothing is changed until {} MiB are",
        shortage.free_bytes / MIB,
        shortage.dir.display(),
        shortage.wanted_bytes / MIB
    )
}

/// That this station's disk is almost full is no fact of the graph: nothing more is written into that.
pub fn tell(shared: &Shared, status: &mut Status) {
    let Some(shortage) = shared.store.short_of_space() else {
        return;
    };
    let reference = Key::Station(shared.about.station).to_string();
    status.problems.push(StatusProblem {
        reason: Some(Reason::new(code::DISK_FULL, text(&shortage))),
        root: reference.clone(),
        since: Time::from_wall_ms(shortage.since_ms),
        why: "mainstay explain MS-DISK-FULL".to_owned(),
        reference,
    });
    if status.verdict == Verdict::Healthy {
        status.verdict = Verdict::Degraded;
    }
}
