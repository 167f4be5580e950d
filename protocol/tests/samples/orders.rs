//! One of each order.

use mainstay_protocol::command::{
    Adopt, Answer as AnswerOrder, Answered, CheckSchedule, Lease, Order, Reconfigure, Start, Stop,
    StopManner, StopWhy, TakeBack,
};
use mainstay_protocol::room::Needs;
use mainstay_protocol::{CommandId, Epoch, QuestionId, Revision, TypeName};

use super::messages::{incarnation, slot};
use super::{instance, room, words};

pub fn orders() -> Vec<Order> {
    vec![
        Order::Start(Start {
            instance: instance(1),
            incarnation: incarnation(),
            service_type: TypeName::new("greeter").unwrap(),
            name: slot("front"),
            config: "{}".to_owned(),
            start_deadline_ms: 10_000,
            stop_deadline_ms: 5_000,
            checks: CheckSchedule {
                first_ms: 1_000,
                interval_ms: 30_000,
                deadline_ms: 2_000,
                misses_max: 3,
            },
            lease: Some(Lease {
                ms: 5_000,
                stop_ms: 4_000,
                epoch: Epoch(2),
                revision: Revision(70_000),
            }),
            needs: Needs {
                room: room(),
                ports: [80, 443].into(),
            },
            addresses: [("db".parse().unwrap(), "10.0.0.3:5432".to_owned())].into(),
        }),
        Order::Stop(Stop {
            instance: instance(2),
            incarnation: incarnation(),
            deadline_ms: 4_000,
            why: StopWhy::Restart,
            manner: StopManner::Kill,
        }),
        Order::Reconfigure(Reconfigure {
            instance: instance(3),
            incarnation: incarnation(),
            config: "{\"greeting\":\"Ahoy\"}".to_owned(),
            deadline_ms: 30_000,
        }),
        Order::Answer(AnswerOrder {
            instance: instance(4),
            incarnation: incarnation(),
            question: QuestionId(9),
            answered: Answered::Said("{\"wait_ms\":5}".to_owned()),
        }),
        Order::Adopt(Adopt {
            instance: instance(7),
            incarnation: incarnation(),
        }),
        Order::Work(Box::new(words::work())),
        Order::TakeBack(TakeBack {
            instance: instance(8),
            incarnation: incarnation(),
            work: CommandId(18),
        }),
    ]
}
