//! What guards are told, asked, and say.

use mainstay_protocol::health::Health;
use mainstay_protocol::host::{HostCommand, HostCommandId};
use mainstay_protocol::report::Report;
use mainstay_protocol::request::{Answer, Ask};
use mainstay_protocol::session::StationMessage;
use mainstay_protocol::sight::{Guards, InstanceSight, Sight, Watches};
use mainstay_protocol::{AgentRunId, Timestamp};
use uuid::Uuid;

use super::messages::incarnation;
use super::{Sample, enums, instance};

pub fn guards() -> (String, StationMessage) {
    let guards = Guards {
        nodes: [("n7", "10.0.0.7:4400"), ("n9", "unix:/n9/agent.sock")]
            .map(|(node, address)| (node.parse().unwrap(), address.to_owned()))
            .into(),
    };
    ("station-guards".to_owned(), StationMessage::Guards(guards))
}

pub fn asks() -> [Ask; 4] {
    let at = Ask::LookAt {
        node: "n7".parse().unwrap(),
        address: "10.0.0.7:4400".to_owned(),
    };
    let watched = Ask::WatcherCheck {
        instance: instance(7),
        incarnation: incarnation(),
    };
    [Ask::Look, at, watched, host_command()]
}

/// About a machine that is being restarted.
fn host_command() -> Ask {
    Ask::HostCommand(HostCommand {
        id: HostCommandId {
            node: "n7".parse().unwrap(),
            since: Timestamp(1_500_000),
            number: 2,
        },
        words: ["/usr/sbin/power", "cycle"].map(str::to_owned).to_vec(),
        environment: [("MAINSTAY_NODE".to_owned(), "n7".to_owned())].into(),
        within_ms: 60_000,
        only: Some(AgentRunId(Uuid::from_u128(5))),
    })
}

pub fn answer() -> Answer {
    Answer::Sight(Sight::Watching { supervisor: 2 })
}

pub fn reports() -> [Report; 2] {
    let guard = Report::GuardSaw {
        guarded: "n7".parse().unwrap(),
        sight: Sight::Unwatched { supervisor: 300 },
    };
    let watcher = Report::WatcherSaw {
        instance: instance(7),
        incarnation: incarnation(),
        sight: InstanceSight::NotReached,
    };
    [guard, watcher]
}

pub fn watches() -> (String, StationMessage) {
    let watches = Watches {
        instances: [(instance(7), incarnation())].into(),
        addresses: [("n1".parse().unwrap(), "10.0.0.1:4400".to_owned())].into(),
        interval_ms: 5000,
        deadline_ms: 2000,
    };
    (
        "station-watches".to_owned(),
        StationMessage::Watches(watches),
    )
}

/// All that can be seen of an instance, in order.
pub fn instance_sights() -> Sample {
    let health = Health::Degraded;
    let all = vec![
        InstanceSight::Answers { health },
        InstanceSight::NoAnswer,
        InstanceSight::NotReached,
        InstanceSight::NotThere,
    ];
    enums::sample("enum-instance-sight", all)
}
