//! The agent core under anything: commands lost, doubled and out of order, sessions that come and go, the agent
//! killed at every point where it writes. What must hold is looked at after every step.
// proves: S9, S12

mod world;

use std::collections::BTreeSet;

use mainstay_protocol::CommandId;
use mainstay_protocol::health::Health;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use world::World;

/// What the world does next. Numbers choose among what there is, so that shrinking stays meaningful.
#[derive(Debug, Clone)]
enum Act {
    Start {
        instance: u8,
        name: u8,
        ahead: u8,
        term: u8,
    },
    Stop {
        instance: u8,
        behind: u8,
        term: u8,
    },
    /// An earlier command arrives once more.
    Repeat(u8),
    Observe {
        instance: u8,
        what: Seen,
    },
    /// An observation that is late or was never true.
    Lie {
        instance: u8,
        count: u8,
        what: Seen,
    },
    Connect,
    Disconnect,
    /// The station commits so many of what it received.
    Commit(u8),
    /// The agent's process dies: after the write of its next step, or in the middle of it.
    Crash {
        cut: u16,
    },
    /// The agent is asked to end, and comes back.
    EndInOrder,
    Snapshot,
    Reboot,
    ForgetEpoch,
}

#[derive(Debug, Clone, Copy)]
enum Seen {
    Started,
    CouldNotStart,
    NameTaken,
    Ended,
    FailedGone,
    FailedLiving,
    Health(Health),
    Unresponsive,
    WillNotEnd,
}

fn seen() -> impl Strategy<Value = Seen> {
    prop_oneof![
        4 => Just(Seen::Started),
        1 => Just(Seen::CouldNotStart),
        1 => Just(Seen::NameTaken),
        2 => Just(Seen::Ended),
        2 => Just(Seen::FailedGone),
        1 => Just(Seen::FailedLiving),
        1 => Just(Seen::Health(Health::Ok)),
        1 => Just(Seen::Health(Health::Degraded)),
        1 => Just(Seen::Unresponsive),
        1 => Just(Seen::WillNotEnd),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..4u8, 0..3u8, 0..3u8, 0..8u8)
            .prop_map(|(instance, name, ahead, term)| Act::Start { instance, name, ahead, term }),
        4 => (0..4u8, 0..3u8, 0..8u8)
            .prop_map(|(instance, behind, term)| Act::Stop { instance, behind, term }),
        3 => any::<u8>().prop_map(Act::Repeat),
        8 => (0..4u8, seen()).prop_map(|(instance, what)| Act::Observe { instance, what }),
        1 => (0..4u8, 0..6u8, seen())
            .prop_map(|(instance, count, what)| Act::Lie { instance, count, what }),
        2 => Just(Act::Connect),
        1 => Just(Act::Disconnect),
        3 => any::<u8>().prop_map(Act::Commit),
        2 => any::<u16>().prop_map(|cut| Act::Crash { cut }),
        1 => Just(Act::EndInOrder),
        1 => Just(Act::Snapshot),
        1 => Just(Act::Reboot),
        1 => Just(Act::ForgetEpoch),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/core_properties/seeds"),
        ))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn names_floors_numbers_and_answers_hold_whatever_happens(
        acts in proptest::collection::vec(act(), 1..120),
    ) {
        let mut world = World::new();
        for act in &acts {
            world.act(act);
            world.check();
        }
        world.settle();
        prop_assert_eq!(world.core.outbox_depth(), 0);
    }

    #[test]
    fn without_a_loss_every_command_is_answered_exactly_once(
        acts in proptest::collection::vec(act(), 1..120),
    ) {
        let mut world = World::new();
        let undisturbed = |act: &&Act| !matches!(
            act,
            Act::Crash { .. } | Act::EndInOrder | Act::Reboot | Act::ForgetEpoch | Act::Snapshot | Act::Commit(_)
        );
        for act in acts.iter().filter(undisturbed) {
            world.act(act);
            world.check();
        }
        world.settle();
        let answered: BTreeSet<CommandId> = world.station.answers.keys().copied().collect();
        prop_assert_eq!(answered, world.obeyed);
    }
}
