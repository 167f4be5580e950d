//! Transactions, one trait at a time: minimal deltas, times and causes, read sets, refusals.
#![allow(clippy::unwrap_used)] // helpers of tests too: the failing line is the explanation

mod world;

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::{Revision, Timestamp, limits};
use mainstay_resource_graph::{
    Change, Graph, InstanceState, Key, Kind, Relation, Unfit, Vertex, View, ViewExt, WriteError,
};

use world::{at, commit, key, name_of, node, rule, seconds, small, starting, stopped};

#[test]
fn a_vertex_written_back_is_no_change() {
    let mut graph = small();
    let mut txn = graph.begin(seconds(5), rule("test"));
    txn.update_instance(&at("web@n1"), |instance| instance.restart_asked = true)
        .unwrap();
    txn.link(key("web@n1"), Relation::Waits, name_of("n1", "web"))
        .unwrap();
    assert!(!txn.is_unchanged());
    txn.update_instance(&at("web@n1"), |instance| instance.restart_asked = false)
        .unwrap();
    txn.unlink(&key("web@n1"), Relation::Waits, &name_of("n1", "web"));
    assert!(txn.is_unchanged());
    assert_eq!(txn.record(&key("web@n1")), graph.record(&key("web@n1")));
    let delta = txn.finish();
    assert!(delta.is_empty());

    let revision = graph.revision();
    assert!(graph.apply(&delta).changed);
    assert_eq!(graph.revision(), revision.next(), "an empty delta counts");
}

#[test]
fn since_moves_with_the_state_and_not_with_every_field() {
    let mut graph = small();
    let since = |graph: &Graph| graph.record(&key("web@n1")).unwrap().since;
    commit(&mut graph, 5, |txn| {
        txn.update_instance(&at("web@n1"), |instance| {
            instance.health_detail = "x".into()
        })
        .unwrap();
    });
    assert_eq!(since(&graph), seconds(1));
    commit(&mut graph, 6, |txn| {
        txn.update_instance(&at("web@n1"), |instance| {
            instance.state = InstanceState::Pending
        })
        .unwrap();
    });
    assert_eq!(since(&graph), seconds(6));
    let record = graph.record(&key("web@n1")).unwrap();
    assert_eq!(record.rev, graph.revision());
    assert_eq!(record.cause, rule("test"));
}

#[test]
fn an_illegal_step_names_both_states_and_is_not_taken() {
    let graph = small();
    let mut txn = graph.begin(seconds(5), rule("test"));
    let error = txn
        .update_instance(&at("web@n1"), |instance| {
            instance.state = InstanceState::Running
        })
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "web@n1: instance: Stopped -> Running is not a transition"
    );
    assert!(txn.is_unchanged());
}

#[test]
fn a_vertex_of_another_kind_is_refused() {
    let graph = small();
    let mut txn = graph.begin(seconds(5), rule("test"));
    let error = txn.put(key("web@n2"), Vertex::Node(node())).unwrap_err();
    let wrong = WriteError::WrongKind {
        key: key("web@n2"),
        kind: Kind::Node,
    };
    assert_eq!(error, wrong);
    let error = txn.update_instance(&at("web@n2"), |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "web@n2 does not exist");
}

#[test]
fn changes_come_as_unlinks_removes_puts_links() {
    let mut graph = small();
    commit(&mut graph, 2, |txn| {
        txn.link(key("web@n1"), Relation::Waits, name_of("n1", "web"))
            .unwrap();
    });
    let mut txn = graph.begin(seconds(5), rule("test"));
    txn.put(key("new@n2"), Vertex::Instance(stopped("web", "new")))
        .unwrap();
    txn.link(key("new@n2"), Relation::Wants, key("config/aa"))
        .unwrap();
    txn.remove(&key("web@n1"));
    let order: Vec<&str> = txn
        .finish()
        .changes
        .iter()
        .map(|change| match change {
            Change::Unlink { .. } => "unlink",
            Change::Remove(_) => "remove",
            Change::Put(_) => "put",
            Change::Link(_) => "link",
        })
        .collect();
    assert_eq!(order, ["unlink", "remove", "remove", "put", "link"]);
}

#[test]
fn what_changed_since_a_savepoint_is_told_with_its_earlier_image() {
    let graph = small();
    let mut txn = graph.begin(seconds(5), rule("test"));
    txn.put(key("web@n1"), Vertex::Instance(starting_from_stopped()))
        .unwrap();
    let point = txn.savepoint();
    txn.update_instance(&at("web@n1"), |instance| {
        instance.state = InstanceState::Starting
    })
    .unwrap();
    txn.link(key("web@n1"), Relation::Holds, name_of("n1", "web"))
        .unwrap();
    assert_eq!(
        txn.changed_since(point),
        [key("web@n1"), name_of("n1", "web")]
    );
    let state = |record: Option<std::sync::Arc<mainstay_resource_graph::Record>>| match &record
        .unwrap()
        .vertex
    {
        Vertex::Instance(instance) => instance.state.as_str(),
        other => panic!("{other:?}"),
    };
    assert_eq!(state(txn.before(&key("web@n1"))), "Stopped");
    assert_eq!(state(txn.at(point, &key("web@n1"))), "Pending");
    assert_eq!(state(txn.record(&key("web@n1"))), "Starting");
    assert_eq!(txn.images_at(point).len(), 2);
    txn.rollback(point);
    assert_eq!(txn.changed_since(point), []);
    assert_eq!(txn.dirty_keys(), [key("web@n1")]);
}

fn starting_from_stopped() -> mainstay_resource_graph::Instance {
    let mut instance = stopped("web", "web");
    instance.state = InstanceState::Pending;
    instance.reason = Some(Reason::new(code::WANTED, "wanted"));
    instance
}

#[test]
fn reads_are_noted_once_in_their_order_and_only_when_asked() {
    let graph = small();
    let mut txn = graph.begin(seconds(5), rule("test"));
    txn.link(key("web@n1"), Relation::Waits, name_of("n1", "web"))
        .unwrap();
    assert_eq!(txn.take_reads(), []);
    txn.start_reads();
    txn.node(&at("web@n1").node);
    txn.instance(&at("web@n1"));
    txn.instance(&at("web@n1"));
    txn.instance(&at("web@n2"));
    txn.edges_to(&name_of("n1", "web"), Relation::Waits);
    let next = graph.revision().next();
    assert_eq!(
        txn.take_reads(),
        [
            (key("node/n1"), Revision(1)),
            (key("web@n1"), Revision(1)),
            (key("web@n2"), Revision(0)),
            (name_of("n1", "web"), next),
        ]
    );
    assert_eq!(txn.take_reads(), []);
}

#[test]
fn the_read_set_is_bounded() {
    let graph = small();
    let txn = graph.begin(seconds(5), rule("test"));
    txn.start_reads();
    for id in 0..2 * limits::DECISION_READS_MAX as u64 {
        txn.record(&world::command(id));
    }
    assert_eq!(txn.take_reads().len(), limits::DECISION_READS_MAX);
}

#[test]
fn a_delta_that_is_not_closed_is_refused_as_a_whole() {
    let mut graph = small();
    commit(&mut graph, 2, |txn| {
        txn.link(key("web@n1"), Relation::Wants, key("config/aa"))
            .unwrap();
    });
    let mut txn = graph.begin(seconds(3), rule("test"));
    txn.remove(&key("web@n1"));
    let mut delta = txn.finish();
    delta
        .changes
        .retain(|change| !matches!(change, Change::Unlink { .. }));
    let before = graph.snapshot();
    let refused = graph.apply(&delta).refused.unwrap();
    assert_eq!(refused, Unfit::EdgesLeft { key: key("web@n1") });

    let mut txn = graph.begin(seconds(3), rule("test"));
    txn.put(key("new@n2"), Vertex::Instance(starting("web", "new", 1)))
        .unwrap();
    txn.link(key("new@n2"), Relation::Wants, key("config/aa"))
        .unwrap();
    let mut delta = txn.finish();
    delta
        .changes
        .retain(|change| !matches!(change, Change::Put(_)));
    let refused = graph.apply(&delta).refused.unwrap();
    assert_eq!(refused, Unfit::Missing { key: key("new@n2") });
    assert_eq!(graph.snapshot(), before);
}

#[test]
fn a_deadline_that_has_passed_hides_no_later_one_of_the_same() {
    let mut graph = small();
    commit(&mut graph, 2, |txn| {
        txn.update_instance(&at("web@n1"), |instance| {
            instance.next_try = Some(seconds(4));
            instance.deadline = Some(seconds(9));
        })
        .unwrap();
    });
    assert_eq!(graph.next_deadline_after(seconds(4)), Some(seconds(9)));
    commit(&mut graph, 3, |txn| {
        txn.update_instance(&at("web@n1"), |instance| instance.next_try = None)
            .unwrap();
    });
    assert_eq!(graph.due(seconds(8)), [].into());
    assert_eq!(graph.due(seconds(9)), [key("web@n1")].into());
}

#[test]
fn deadlines_come_in_their_order_and_go_with_their_vertex() {
    let mut graph = small();
    let command = world::command(7);
    commit(&mut graph, 2, |txn| {
        let stop = world::stop_command("web@n1", 0, Some(seconds(9)));
        txn.put(command.clone(), Vertex::Command(stop)).unwrap();
        txn.update_instance(&at("web@n1"), |instance| {
            instance.next_try = Some(seconds(4))
        })
        .unwrap();
    });
    assert_eq!(graph.next_deadline_after(seconds(3)), Some(seconds(4)));
    assert_eq!(graph.next_deadline_after(seconds(4)), Some(seconds(9)));
    assert_eq!(graph.next_deadline_after(seconds(9)), None);
    assert_eq!(graph.due(seconds(3)), [].into());
    assert_eq!(graph.due(seconds(4)), [key("web@n1")].into());
    let both = [key("web@n1"), command.clone()];
    assert_eq!(graph.due(seconds(9)), both.into());
    commit(&mut graph, 3, |txn| {
        txn.update_instance(&at("web@n1"), |instance| instance.next_try = None)
            .unwrap();
        txn.remove(&command);
    });
    assert_eq!(graph.next_deadline_after(Timestamp::ZERO), None);
    assert_eq!(graph.count(Kind::Command), 0);
    assert_eq!(graph.counts()[&Kind::Instance], 2);
}

#[test]
fn keys_of_a_node_end_where_the_next_node_begins() {
    let mut graph = small();
    commit(&mut graph, 2, |txn| {
        for name in ["n", "n10", "n1.a"] {
            txn.put(Key::Node(world::node_name(name)), Vertex::Node(node()))
                .unwrap();
            for placement in ["web", "0"] {
                let at = at(&format!("{placement}@{name}"));
                txn.put(Key::Instance(at), Vertex::Instance(stopped("web", "web")))
                    .unwrap();
            }
        }
    });
    assert_eq!(
        graph.instances_on(&world::node_name("n1")),
        [at("rival@n1"), at("web@n1")]
    );
    assert_eq!(
        graph.instances_on(&world::node_name("n")),
        [at("0@n"), at("web@n")]
    );
    assert_eq!(graph.instances_of(&at("web@n1").placement).len(), 4);
}
