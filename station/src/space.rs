//! A disk that is almost full: changes are refused, and who looks is told.

use mainstay_api::Time;
use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::request::Refusal;
use mainstay_store::Shortage;

use crate::own_word::{HoldsUp, Trouble};
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
pub fn trouble(shared: &Shared) -> Option<Trouble> {
    let shortage = shared.store.short_of_space()?;
    Some(Trouble {
        state: "has no room on its disk",
        reason: Reason::new(code::DISK_FULL, text(&shortage)),
        since: Time::from_wall_ms(shortage.since_ms),
        command: "mainstay explain MS-DISK-FULL",
        holds_up: HoldsUp::Runs,
    })
}
