//! Edges live and die with their ends, and relations of at most one refuse a second.
#![allow(clippy::unwrap_used)] // helpers of tests too: the failing line is the explanation

mod world;

use mainstay_resource_graph::{
    Graph, Key, Relation, Vertex, View, ViewExt, WriteError, check, traverse,
};

use world::{at, commit, key, name_of, rule, seconds, small, stopped};

fn reloaded(graph: &Graph) -> Graph {
    let bytes = graph.snapshot();
    let again = Graph::from_snapshot(&bytes).unwrap();
    assert_eq!(again.snapshot(), bytes);
    assert_eq!(world::dump(&again), world::dump(graph));
    again
}

// case: services 56
// proves: S6
#[test]
fn after_connect_disconnect_and_reload_only_the_live_edges_are_there() {
    let mut graph = small();
    commit(&mut graph, 2, |txn| {
        txn.link(key("web@n1"), Relation::Wants, key("config/bb"))
            .unwrap();
        txn.link(key("web@n1"), Relation::Configured, key("config/aa"))
            .unwrap();
        txn.link(key("node/n1"), Relation::Provides, key("type/web"))
            .unwrap();
    });
    commit(&mut graph, 3, |txn| {
        assert!(txn.unlink(&key("web@n1"), Relation::Wants, &key("config/bb")));
        assert!(!txn.unlink(&key("web@n1"), Relation::Wants, &key("config/bb")));
    });
    let graph = reloaded(&graph);
    assert_eq!(graph.linked(&key("web@n1"), Relation::Wants), None);
    assert_eq!(graph.edges_to(&key("config/bb"), Relation::Wants), []);
    let configured = graph.linked(&key("web@n1"), Relation::Configured);
    assert_eq!(configured, Some(key("config/aa")));
    assert_eq!(graph.edge_count(), 2);
}

// case: services 57
// proves: S4
#[test]
fn a_second_holder_of_a_name_is_refused_and_the_first_is_named() {
    let mut graph = small();
    let name = name_of("n1", "web");
    commit(&mut graph, 2, |txn| {
        txn.link(key("web@n1"), Relation::Holds, name.clone())
            .unwrap();
        let error = txn
            .link(key("rival@n1"), Relation::Holds, name.clone())
            .unwrap_err();
        assert_eq!(error.to_string(), "name/n1/web is held by web@n1");
    });
    commit(&mut graph, 3, |txn| {
        let error = txn
            .link(key("rival@n1"), Relation::Holds, name.clone())
            .unwrap_err();
        let by = at("web@n1");
        assert_eq!(
            error,
            WriteError::NameHeld {
                name: name.clone(),
                by
            }
        );
        txn.link(key("rival@n1"), Relation::Waits, name.clone())
            .unwrap();
    });
    let Key::Name(web) = &name else {
        unreachable!("a name's key")
    };
    assert_eq!(graph.holder(web), Some(at("web@n1")));
    assert_eq!(graph.waiters(web), [at("rival@n1")]);
    assert_eq!(
        traverse::in_the_way(&graph, &at("rival@n1")),
        Some(at("web@n1"))
    );
}

// case: services 57
// proves: S6
#[test]
fn a_second_configuration_is_refused_and_the_first_is_named() {
    let mut graph = small();
    commit(&mut graph, 2, |txn| {
        txn.link(key("web@n1"), Relation::Configured, key("config/aa"))
            .unwrap();
        let error = txn
            .link(key("web@n1"), Relation::Configured, key("config/bb"))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "web@n1 already has Configured to config/aa"
        );
        txn.relink(key("web@n1"), Relation::Configured, key("config/bb"))
            .unwrap();
    });
    let configured = graph.linked(&key("web@n1"), Relation::Configured);
    assert_eq!(configured, Some(key("config/bb")));
}

/// A delta that would break the rule is refused as a whole, however it came about.
// proves: S4
#[test]
fn a_delta_with_a_second_holder_changes_nothing_at_all() {
    let mut graph = small();
    let name = name_of("n1", "web");
    let mut first = graph.begin(seconds(2), rule("test"));
    first
        .link(key("web@n1"), Relation::Holds, name.clone())
        .unwrap();
    let mut forged = first.finish();
    let mut second = graph.begin(seconds(2), rule("test"));
    second.link(key("rival@n1"), Relation::Holds, name).unwrap();
    forged.changes.append(&mut second.finish().changes);

    let before = graph.snapshot();
    let applied = graph.apply(&forged);
    assert!(!applied.changed);
    let why = applied.refused.unwrap().to_string();
    assert_eq!(why, "name/n1/web would have a second holder, rival@n1");
    assert_eq!(graph.snapshot(), before);
}

// case: services 58
// proves: S6
#[test]
fn removing_a_vertex_drops_its_edges_both_ways() {
    let mut graph = small();
    commit(&mut graph, 2, |txn| {
        for reference in ["web@n1", "rival@n1"] {
            txn.link(key(reference), Relation::Configured, key("config/aa"))
                .unwrap();
        }
        txn.link(key("web@n1"), Relation::Holds, name_of("n1", "web"))
            .unwrap();
        txn.link(key("rival@n1"), Relation::Waits, name_of("n1", "web"))
            .unwrap();
    });
    commit(&mut graph, 3, |txn| assert!(txn.remove(&key("web@n1"))));
    assert_eq!(graph.edges_to(&name_of("n1", "web"), Relation::Holds), []);
    assert_eq!(
        graph
            .edges_to(&key("config/aa"), Relation::Configured)
            .len(),
        1
    );

    commit(&mut graph, 4, |txn| assert!(txn.remove(&key("config/aa"))));
    assert_eq!(graph.edges_from(&key("rival@n1"), Relation::Configured), []);

    commit(&mut graph, 5, |txn| assert!(txn.remove(&key("rival@n1"))));
    assert_eq!(graph.record(&name_of("n1", "web")), None, "nobody needs it");
    assert_eq!(graph.edge_count(), 0);
    reloaded(&graph);
}

// case: services 59
// proves: S6
#[test]
fn removed_placements_and_nodes_leave_nothing_dangling() {
    let mut graph = small();
    assert_eq!(check(&graph), []);
    commit(&mut graph, 2, |txn| {
        txn.link(key("node/n2"), Relation::Provides, key("type/web"))
            .unwrap();
        txn.link(key("web@n1"), Relation::Waits, name_of("n1", "web"))
            .unwrap();
    });
    commit(&mut graph, 3, |txn| {
        txn.remove(&key("node/n2"));
        txn.remove(&key("web@n1"));
        txn.remove(&key("web"));
    });
    assert_eq!(check(&graph), []);
    assert_eq!(graph.edge_count(), 0);

    commit(&mut graph, 4, |txn| assert!(txn.remove(&key("node/n1"))));
    let left: Vec<String> = check(&graph).iter().map(ToString::to_string).collect();
    assert_eq!(
        left,
        [
            "rival: needs node/n1, which does not exist",
            "rival@n1: needs node/n1, which does not exist",
        ],
        "what a removal forgets is told"
    );
}

#[test]
fn a_name_lives_as_long_as_it_is_held_or_waited_for() {
    let mut graph = small();
    let name = name_of("n1", "web");
    commit(&mut graph, 2, |txn| {
        txn.link(key("web@n1"), Relation::Holds, name.clone())
            .unwrap();
        txn.link(key("rival@n1"), Relation::Waits, name.clone())
            .unwrap();
    });
    commit(&mut graph, 3, |txn| {
        txn.unlink(&key("web@n1"), Relation::Holds, &name);
    });
    assert!(graph.record(&name).is_some(), "it is waited for");
    commit(&mut graph, 4, |txn| {
        txn.unlink(&key("rival@n1"), Relation::Waits, &name);
    });
    assert_eq!(graph.record(&name), None);
}

#[test]
fn waiters_stand_in_the_order_in_which_they_came() {
    let mut graph = small();
    let name = name_of("n1", "web");
    commit(&mut graph, 2, |txn| {
        txn.put(key("aaa@n1"), Vertex::Instance(stopped("web", "web")))
            .unwrap();
        txn.link(key("web@n1"), Relation::Waits, name.clone())
            .unwrap();
    });
    commit(&mut graph, 3, |txn| {
        txn.link(key("rival@n1"), Relation::Waits, name.clone())
            .unwrap();
    });
    commit(&mut graph, 4, |txn| {
        txn.link(key("aaa@n1"), Relation::Waits, name.clone())
            .unwrap();
    });
    let Key::Name(web) = &name else {
        unreachable!("a name's key")
    };
    assert_eq!(
        graph.waiters(web),
        [at("web@n1"), at("rival@n1"), at("aaa@n1")]
    );
}

#[test]
fn edges_that_make_no_sense_are_refused_by_name() {
    let graph = small();
    let mut txn = graph.begin(seconds(2), rule("test"));
    let mut refused = |from: &str, relation, to: Key| {
        let before = world::dump(&txn);
        let error = txn.link(key(from), relation, to).unwrap_err();
        assert_eq!(world::dump(&txn), before);
        error.to_string()
    };
    let error = refused("node/n1", Relation::Holds, name_of("n1", "web"));
    assert_eq!(error, "Holds does not lead from node/n1 to name/n1/web");
    let error = refused("web@n2", Relation::Holds, name_of("n2", "web"));
    assert_eq!(error, "web@n2 does not exist");
    let error = refused("web@n1", Relation::Configured, key("config/cc"));
    assert_eq!(error, "config/cc does not exist");
    let error = refused("web@n1", Relation::Holds, name_of("n2", "web"));
    assert_eq!(
        error,
        "web@n1 cannot have name/n2/web: its own is name/n1/web"
    );
}
