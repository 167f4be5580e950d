//! Orders and outcomes in the words of services, and of reports.

use mainstay_protocol::command::{Start, StopWhy};
use mainstay_protocol::health::RefusedStart;
use mainstay_protocol::report::Report;
use mainstay_service::StopReason;
use mainstay_supervisor::Observation;

pub(super) fn could_not_start(start: &Start, refused: RefusedStart, why: &str) -> Observation {
    Observation::Seen(Report::CouldNotStart {
        instance: start.instance.clone(),
        incarnation: start.incarnation,
        refused,
        text: why.to_owned(),
    })
}

pub(super) fn reason(why: StopWhy) -> StopReason {
    match why {
        StopWhy::NotWanted => StopReason::NotWanted,
        StopWhy::Restart | StopWhy::Reconfigure => StopReason::Restart,
        StopWhy::Failed | StopWhy::Unresponsive | StopWhy::StartDeadline => StopReason::Failed,
    }
}
