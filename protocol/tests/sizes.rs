//! The largest things that may travel do fit, and what does not fit is cut into pieces that do.
#![allow(
    clippy::unwrap_used,
    reason = "in a test the failing line is the explanation"
)]

mod samples;

use std::collections::BTreeMap;

use mainstay_protocol::frame::{Channel, encode_frame};
use mainstay_protocol::health::{Evidence, FailureKind, Health};
use mainstay_protocol::report::{
    DigestEntry, LiveInstance, LiveState, NodeUp, Numbered, Presence, Report, SysInfo,
};
use mainstay_protocol::session::{AgentMessage, Heartbeat, StationMessage, batch};
use mainstay_protocol::sight::Watches;
use mainstay_protocol::{
    AgentRunId, BootId, Epoch, Incarnation, InstanceKey, NodeEpoch, NodeName, PlacementName,
    Revision, Sequence, limits,
};
use uuid::Uuid;

fn fits(message: &AgentMessage) -> bool {
    encode_frame(&message.to_frame(), Channel::Control, &mut Vec::new()).is_ok()
}

fn widest_instances() -> impl Iterator<Item = InstanceKey> {
    (0..limits::INSTANCES_PER_NODE_MAX).map(|number| {
        InstanceKey::new(
            NodeName::new("n".repeat(limits::NAME_BYTES_MAX)).unwrap(),
            PlacementName::new(format!("{number:063}")).unwrap(),
        )
    })
}

const WIDEST: Incarnation = Incarnation {
    epoch: Epoch(u64::MAX),
    created: Revision(u64::MAX),
    count: u64::MAX,
};

#[test]
fn a_node_up_of_the_fullest_node_fits_its_frame() {
    let live = Some(LiveInstance {
        incarnation: WIDEST,
        state: LiveState::Running,
        health: Health::Ok,
        service_type: None,
    });
    let entry = DigestEntry {
        floor: WIDEST,
        live,
    };
    let node_up = NodeUp {
        node: NodeName::new("n1").unwrap(),
        node_id: None,
        boot_id: BootId("boot".to_owned()),
        agent_run: AgentRunId(Uuid::from_u128(1)),
        node_epoch: None,
        build: "0.1.0".to_owned(),
        address: String::new(),
        sysinfo: SysInfo::default(),
        provides: vec![],
        digest: widest_instances().map(|key| (key, entry.clone())).collect(),
        supervisor: 1,
    };
    assert!(fits(&AgentMessage::NodeUp(Box::new(node_up))));
}

#[test]
fn heartbeats_of_the_fullest_node_fit_their_frames_and_speak_of_every_instance() {
    let ages: BTreeMap<_, _> = widest_instances().map(|key| (key, u64::MAX)).collect();
    let parts = Heartbeat::spread(ages.clone(), u64::MAX);
    assert!(
        parts
            .iter()
            .all(|part| fits(&AgentMessage::Heartbeat(part.clone())))
    );
    let spoken: BTreeMap<_, _> = parts
        .into_iter()
        .flat_map(|part| part.checked_ms_ago)
        .collect();
    assert_eq!(spoken, ages);
    assert_eq!(Heartbeat::spread(BTreeMap::new(), 1).len(), 1);
}

#[test]
fn a_batch_takes_as_many_reports_as_fit_and_at_least_one() {
    let words = "x".repeat(limits::EVIDENCE_BYTES_MAX);
    let failed = |number| Numbered {
        sequence: Sequence(number),
        report: Report::Failed {
            instance: samples::instance(1),
            incarnation: WIDEST,
            kind: FailureKind::Panic,
            presence: Presence::Gone,
            evidence: Evidence {
                stderr_tail: words.clone(),
                ..Evidence::text(words.clone())
            },
        },
    };
    let waiting: Vec<Numbered> = (1..=100).map(failed).collect();
    let mut left = waiting.as_slice();
    while !left.is_empty() {
        let reports = batch(Epoch(u64::MAX), NodeEpoch(u64::MAX), left);
        assert!(!reports.reports.is_empty());
        assert_eq!(reports.reports, left[..reports.reports.len()]);
        left = &left[reports.reports.len()..];
        assert!(fits(&AgentMessage::Reports(reports)));
    }
}

#[test]
fn all_that_one_agent_is_told_to_watch_fits_its_frame() {
    let instances: BTreeMap<_, _> = widest_instances()
        .take(limits::WATCHED_ELSEWHERE_MAX)
        .map(|key| (key, WIDEST))
        .collect();
    // Two are guarded from one node.
    let addresses = ["a", "b"].map(|first| {
        let node = NodeName::new(first.repeat(limits::NAME_BYTES_MAX)).unwrap();
        (node, "x".repeat(limits::ADDRESS_BYTES_MAX))
    });
    let watches = StationMessage::Watches(Watches {
        instances,
        addresses: addresses.into(),
        interval_ms: u64::MAX,
        deadline_ms: u64::MAX,
    });
    let mut bytes = Vec::new();
    encode_frame(&watches.to_frame(), Channel::Control, &mut bytes).unwrap();
}
