//! Random transactions: rollback restores, a delta brings what was shown, a stale one nothing, bytes decide.
#![allow(clippy::unwrap_used)] // helpers of tests too: the failing line is the explanation

mod world;

use std::collections::BTreeSet;

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::report::{LiveState, Presence};
use mainstay_protocol::{CommandId, InstanceKey, PlacementName, Timestamp};
use mainstay_resource_graph::{
    Change, Cordon, Delta, Desired, Graph, Instance, InstanceState, Key, Kind, Node, NodeState,
    Relation, Said, Savepoint, StepState, Txn, Vertex, View, ViewExt, Waits, slot_of,
};
use proptest::prelude::*;

use world::{
    FIRST_PORT, Scanned, command, dump, incarnation, key, node_name, rule, seconds, small,
    stop_command, stopped,
};

/// What a random transaction does. Much of it is refused; then nothing may have changed.
#[derive(Debug, Clone)]
enum Act {
    Make(InstanceKey),
    Step(InstanceKey, InstanceState, u64),
    Time(InstanceKey, Option<u64>),
    Node(usize, NodeState),
    /// Its labels and types, and whether it is cordoned: what its marks are made of.
    Marked(usize, u8),
    /// It waits for what others have.
    Waits(InstanceKey, Waits),
    /// So many find no node.
    Short(usize, u32),
    Command(u64, InstanceKey, u64),
    /// A step that is due, or out, or neither.
    Due(usize, u8, InstanceKey, u64),
    Link(InstanceKey, Relation, usize),
    Unlink(InstanceKey, Relation, usize),
    Remove(usize),
    Savepoint,
    Rollback(usize),
}

fn instances() -> impl Strategy<Value = InstanceKey> {
    (1..3u8, 0..3usize).prop_map(|(node, placement)| {
        let placement = ["web", "rival", "other"][placement];
        InstanceKey::new(
            node_name(&format!("n{node}")),
            PlacementName::new(placement).unwrap(),
        )
    })
}

fn states() -> impl Strategy<Value = InstanceState> {
    prop_oneof![
        Just(InstanceState::Pending),
        Just(InstanceState::Blocked),
        Just(InstanceState::Starting),
        Just(InstanceState::Running),
        Just(InstanceState::Stopped { by_itself: true }),
        Just(InstanceState::Failed {
            presence: Presence::Gone
        }),
        Just(InstanceState::Backoff { attempt: 1, of: 5 }),
        Just(InstanceState::Unknown {
            was: LiveState::Running
        }),
    ]
}

fn relations() -> impl Strategy<Value = Relation> {
    prop_oneof![
        Just(Relation::Holds),
        Just(Relation::Waits),
        Just(Relation::Configured),
        Just(Relation::Wants),
    ]
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => instances().prop_map(Act::Make),
        4 => (instances(), states(), 0..3u64).prop_map(|(at, state, count)| Act::Step(at, state, count)),
        2 => (instances(), prop::option::of(0..50u64)).prop_map(|(at, time)| Act::Time(at, time)),
        1 => (0..2usize, prop_oneof![Just(NodeState::Online), Just(NodeState::Suspect)])
            .prop_map(|(node, state)| Act::Node(node, state)),
        2 => (0..2usize, 0..8u8).prop_map(|(node, marks)| Act::Marked(node, marks)),
        2 => (instances(), prop_oneof![Just(Waits::Room), Just(Waits::Turn)])
            .prop_map(|(at, what)| Act::Waits(at, what)),
        1 => (0..2usize, 0..3u32).prop_map(|(placement, count)| Act::Short(placement, count)),
        2 => (0..4u64, instances(), 0..9u64).prop_map(|(id, at, time)| Act::Command(id, at, time)),
        3 => (0..4usize, 0..3u8, instances(), 0..9u64)
            .prop_map(|(step, what, at, time)| Act::Due(step, what, at, time)),
        5 => (instances(), relations(), 0..2usize).prop_map(|(at, relation, to)| Act::Link(at, relation, to)),
        3 => (instances(), relations(), 0..2usize).prop_map(|(at, relation, to)| Act::Unlink(at, relation, to)),
        2 => (0..64usize).prop_map(Act::Remove),
        2 => Just(Act::Savepoint),
        1 => (0..4usize).prop_map(Act::Rollback),
    ]
}

fn target(view: &impl View, at: &InstanceKey, relation: Relation, which: usize) -> Option<Key> {
    match relation {
        Relation::Holds | Relation::Waits => {
            let record = view.record(&Key::Instance(at.clone()))?;
            let Vertex::Instance(instance) = &record.vertex else {
                return None;
            };
            Some(Key::Name(slot_of(at, instance)))
        }
        Relation::Configured | Relation::Wants => Some(key(["config/aa", "config/bb"][which])),
        Relation::Provides
        | Relation::DependsOn
        | Relation::Uses
        | Relation::Guards
        | Relation::Watches
        | Relation::Reads => None,
    }
}

fn mark(node: &mut Node, marks: u8) {
    node.labels = [("rack".to_owned(), (marks % 4).to_string())].into();
    let provided = ("web".parse().unwrap(), "1".to_owned());
    node.provides = marks
        .is_multiple_of(2)
        .then_some(provided)
        .into_iter()
        .collect();
    node.care.cordon = (marks >= 4).then(|| Cordon {
        said: Said {
            by: "ada".to_owned(),
            why: String::new(),
            at: seconds(1),
        },
        drains: false,
        forced: false,
    });
}

fn wait(instance: &mut Instance, what: Waits) {
    let code = match what {
        Waits::Room => code::NO_ROOM,
        Waits::Turn => code::STARTS_IN_TURN,
    };
    instance.state = InstanceState::Pending;
    instance.desired = Desired::Running;
    instance.has_room = what == Waits::Turn;
    instance.reason = Some(Reason::new(code, "random"));
}

fn find_too_few(txn: &mut Txn<'_>, which: usize, count: u32) -> bool {
    let name = PlacementName::new(["web", "rival"][which]).unwrap();
    txn.placement(&name).is_some_and(|mut placement| {
        placement.short = count;
        let vertex = Vertex::Placement(placement);
        txn.put(Key::Placement(name), vertex).is_ok()
    })
}

fn remove(txn: &mut Txn<'_>, which: usize) -> bool {
    let kinds = [
        Kind::Instance,
        Kind::Command,
        Kind::Configuration,
        Kind::Name,
        Kind::Node,
        Kind::Step,
    ];
    let all: Vec<Key> = kinds.iter().flat_map(|kind| txn.keys(*kind)).collect();
    all.get(which).is_some_and(|key| txn.remove(key))
}

fn due(txn: &mut Txn<'_>, (which, what): (usize, u8), at: &InstanceKey, time: u64) -> bool {
    let state = match what {
        0 => StepState::Queued {
            since: seconds(time),
        },
        1 => StepState::Running {
            token: CommandId(time),
            incarnation: incarnation(1),
            until: None,
        },
        _ => StepState::Failed,
    };
    let key = key(["step/r1/a", "step/r1/b", "step/r2/a", "step/r2/b"][which]);
    let step = world::step(which % 2, state, Some(at.clone()));
    txn.put(key, Vertex::Step(step)).is_ok()
}

/// Carries out one act; a refused one must leave no trace.
fn act(txn: &mut Txn<'_>, points: &mut Vec<(Savepoint, Vec<String>)>, act: &Act) {
    let before = dump(txn);
    let done = match act {
        Act::Make(at) => {
            let key = Key::Instance(at.clone());
            let name = if at.placement.as_str() == "other" {
                "other"
            } else {
                "web"
            };
            txn.put(key, Vertex::Instance(stopped("web", name))).is_ok()
        }
        Act::Step(at, state, count) => txn
            .update_instance(at, |instance| {
                instance.state = *state;
                instance.incarnation = incarnation(*count);
                instance.started = (*count > 0).then(|| seconds(*count));
                instance.needs.room.millicores = *count;
                instance.hands = (*count % 2) as u32;
                instance.needs.ports = (0..*count).map(|port| FIRST_PORT + port as u16).collect();
                instance.reason = Some(Reason::new(code::WANTED, "random"));
            })
            .is_ok(),
        Act::Due(which, what, at, time) => due(txn, (*which, *what), at, *time),
        Act::Time(at, time) => txn
            .update_instance(at, |instance| instance.next_try = time.map(seconds))
            .is_ok(),
        Act::Node(which, state) => txn
            .update_node(&node_name(["n1", "n2"][*which]), |node| {
                node.state = *state;
                node.sysinfo.offers.millicores += 1;
            })
            .is_ok(),
        Act::Marked(which, marks) => txn
            .update_node(&node_name(["n1", "n2"][*which]), |node| mark(node, *marks))
            .is_ok(),
        Act::Waits(at, what) => txn
            .update_instance(at, |instance| wait(instance, *what))
            .is_ok(),
        Act::Short(which, count) => find_too_few(txn, *which, *count),
        Act::Command(id, at, time) => {
            let vertex = stop_command(&at.to_string(), 0, Some(seconds(*time)));
            txn.put(command(*id), Vertex::Command(vertex)).is_ok()
        }
        Act::Link(at, relation, which) => target(txn, at, *relation, *which)
            .is_some_and(|to| txn.link(Key::Instance(at.clone()), *relation, to).is_ok()),
        Act::Unlink(at, relation, which) => target(txn, at, *relation, *which)
            .is_some_and(|to| txn.unlink(&Key::Instance(at.clone()), *relation, &to)),
        Act::Remove(which) => remove(txn, *which),
        Act::Savepoint => {
            points.push((txn.savepoint(), before.clone()));
            true
        }
        Act::Rollback(back) => {
            let Some(at) = points.len().checked_sub(back + 1) else {
                return;
            };
            let (point, then) = points.swap_remove(at);
            points.truncate(at);
            txn.rollback(point);
            assert_eq!(dump(txn), then, "rollback restores what was");
            assert_eq!(txn.changed_since(point), []);
            true
        }
    };
    if !done {
        assert_eq!(dump(txn), before, "refused, and yet changed: {act:?}");
    }
}

fn touched(delta: &Delta) -> Vec<Key> {
    let mut keys: Vec<Key> = delta
        .changes
        .iter()
        .flat_map(|change| match change {
            Change::Put(record) => vec![record.key.clone()],
            Change::Remove(key) => vec![key.clone()],
            Change::Link(edge) => vec![edge.from.clone(), edge.to.clone()],
            Change::Unlink { from, to, .. } => vec![from.clone(), to.clone()],
        })
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

fn due_by_hand(graph: &Graph, now: Timestamp) -> BTreeSet<Key> {
    graph
        .records()
        .filter(|record| record.vertex.deadlines().iter().any(|at| *at <= now))
        .map(|record| record.key.clone())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_delta_brings_exactly_what_its_transaction_showed(
        rounds in prop::collection::vec(prop::collection::vec(acts(), 1..24), 1..5)
    ) {
        let mut graph = small();
        let mut log = Vec::new();
        for (round, acts_of_round) in rounds.iter().enumerate() {
            let mut txn = graph.begin(seconds(2 + round as u64), rule("random"));
            let mut points = Vec::new();
            for one in acts_of_round {
                act(&mut txn, &mut points, one);
            }
            let shown = dump(&txn);
            prop_assert_eq!(dump(&Scanned(&txn)), &shown[..]);
            let dirty = txn.dirty_keys();
            let delta = txn.finish();
            prop_assert_eq!(touched(&delta), dirty);

            let committed = dump(&graph);
            let mut stale = delta.clone();
            stale.expected = stale.expected.next();
            prop_assert!(!graph.apply(&stale).changed);
            prop_assert_eq!(dump(&graph), committed);

            let revision = graph.revision();
            let applied = graph.apply(&delta);
            prop_assert!(applied.changed, "{:?}", applied.refused);
            prop_assert_eq!(graph.revision(), revision.next());
            prop_assert_eq!(dump(&graph), &shown[..]);
            prop_assert_eq!(dump(&Scanned(&graph)), shown);

            let now = graph.snapshot();
            prop_assert!(!graph.apply(&delta).changed, "once only");
            prop_assert_eq!(graph.snapshot(), now);
            log.push(delta);
        }

        let bytes = graph.snapshot();
        let mut replayed = small();
        for delta in &log {
            prop_assert!(replayed.apply(delta).changed);
        }
        prop_assert_eq!(replayed.snapshot(), &bytes[..], "the same log, the same bytes");
        prop_assert_eq!(replayed.digest(), graph.digest());
        prop_assert_eq!(replayed.first_difference(&graph), None);

        let records: Vec<_> = graph.records().rev_order();
        let edges: Vec<_> = graph.edges().into_iter().rev().collect();
        let parts = Graph::from_parts(graph.revision(), records, edges).unwrap();
        prop_assert_eq!(parts.snapshot(), &bytes[..]);
        prop_assert_eq!(dump(&parts), dump(&graph));

        for now in [0, 3, 9, 60].map(seconds) {
            prop_assert_eq!(graph.due(now), due_by_hand(&graph, now));
        }
    }

    #[test]
    fn going_back_to_the_start_leaves_an_empty_delta(acts_done in prop::collection::vec(acts(), 1..40)) {
        let graph = small();
        let mut txn = graph.begin(seconds(2), rule("random"));
        let start = txn.savepoint();
        for one in acts_done.iter().filter(|act| !matches!(act, Act::Savepoint | Act::Rollback(_))) {
            act(&mut txn, &mut Vec::new(), one);
        }
        txn.rollback(start);
        prop_assert_eq!(dump(&txn), dump(&graph));
        prop_assert!(txn.is_unchanged());
        prop_assert!(txn.finish().is_empty());
    }
}

trait Reversed {
    fn rev_order(self) -> Vec<mainstay_resource_graph::Record>;
}

impl<'a, I: Iterator<Item = &'a std::sync::Arc<mainstay_resource_graph::Record>>> Reversed for I {
    fn rev_order(self) -> Vec<mainstay_resource_graph::Record> {
        let mut records: Vec<_> = self.map(|record| (**record).clone()).collect();
        records.reverse();
        records
    }
}
