//! What the log's own word means for a change of the group.

use mainstay_protocol::StationId;
use mainstay_resource_graph::StationState;
use mainstay_store::LogStatus;

use super::{SILENCE, majority};

/// Whether it votes for good. What stands in the log may yet be truncated with its leader; what the graph shows stands
/// behind it, and is committed.
pub fn votes(status: &LogStatus, station: StationId, shown: Option<StationState>) -> bool {
    status.voters.contains(&station) && !matches!(shown, None | Some(StationState::Joining))
}

/// Why those that are left could decide nothing; none if they could.
pub fn would_stop(status: &LogStatus, own: StationId, leaving: StationId) -> Option<String> {
    if !status.voters.contains(&leaving) {
        return None;
    }
    let left = status.voters.iter().filter(|id| **id != leaving);
    let needed = majority(status.voters.len() - 1);
    let (heard, missing): (Vec<StationId>, Vec<StationId>) = left
        .copied()
        .partition(|id| *id == own || is_heard(status, *id));
    let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
    (heard.len() < needed).then(|| {
        format!(
            "the group would need {needed} stations to decide, and only {} would be heard: {} would not",
            heard.len(),
            missing.join(", ")
        )
    })
}

pub fn is_heard(status: &LogStatus, station: StationId) -> bool {
    status.heard.get(&station).is_some_and(|ago| *ago < SILENCE)
}

/// The next one behind the leader that is heard, so that each has its turn.
pub fn heir(status: &LogStatus, leader: StationId) -> Option<StationId> {
    let (before, behind): (Vec<StationId>, Vec<StationId>) =
        status.voters.iter().partition(|id| **id < leader);
    let mut others = behind.into_iter().chain(before);
    others.find(|id| *id != leader && is_heard(status, *id))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const S1: StationId = StationId(1);
    const S2: StationId = StationId(2);
    const S3: StationId = StationId(3);

    /// A group of three that s1 leads, which heard these just now and the others long ago.
    fn heard(just_now: &[StationId]) -> LogStatus {
        let others = [S2, S3];
        let ago = |id: &StationId| match just_now.contains(id) {
            true => Duration::ZERO,
            false => SILENCE,
        };
        LogStatus {
            leads: true,
            leader: Some(S1),
            voters: vec![S1, S2, S3],
            heard: others.iter().map(|id| (*id, ago(id))).collect(),
            ..LogStatus::default()
        }
    }

    #[test]
    fn who_stands_in_the_log_votes_once_the_graph_shows_it() {
        // proves: S17
        let status = heard(&[S2, S3]);
        for (shown, expected) in [
            (None, false),
            (Some(StationState::Joining), false),
            (Some(StationState::Running), true),
            (Some(StationState::Away), true),
        ] {
            assert_eq!(votes(&status, S3, shown), expected, "{shown:?}");
        }
        assert!(!votes(&status, StationId(4), Some(StationState::Running)));
    }

    #[test]
    fn nobody_is_taken_out_without_whom_nothing_could_be_decided() {
        // proves: S17
        assert_eq!(would_stop(&heard(&[S2, S3]), S1, S3), None);
        assert_eq!(
            would_stop(&heard(&[S2]), S1, S3),
            None,
            "the silent one goes"
        );
        let why = would_stop(&heard(&[S2]), S1, S2).unwrap();
        assert!(
            why.ends_with("only 1 would be heard: s3 would not"),
            "{why}"
        );
        assert_eq!(
            would_stop(&heard(&[]), S1, StationId(4)),
            None,
            "it has no vote"
        );
    }

    #[test]
    fn the_next_one_behind_that_is_heard_leads_after_it() {
        // proves: S17
        assert_eq!(heir(&heard(&[S2, S3]), S1), Some(S2));
        assert_eq!(heir(&heard(&[S3]), S1), Some(S3));
        assert_eq!(
            heir(&heard(&[S2, S3]), S3),
            Some(S2),
            "s1 itself is never heard"
        );
        assert_eq!(heir(&heard(&[]), S1), None);
    }
}
