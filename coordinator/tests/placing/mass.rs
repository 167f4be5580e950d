//! Many at once: a tenth of a large cluster is lost, and one node has more to start than it may at a time.

use mainstay_coordinator::candidates;
use mainstay_protocol::room::Room;
use mainstay_protocol::{NodeName, PlacementName, code, limits};
use mainstay_resource_graph::{Graph, InstanceState, Kind, NodeState, View, ViewExt, Waits};

use crate::harness::{World, at, wishes};

const NODES: usize = 500;
const LOST: usize = 50;
const PLACEMENTS: usize = 120;
const COUNT: usize = 25;

fn name(at: usize) -> String {
    format!("n{at}")
}

fn node(at: usize) -> NodeName {
    name(at).parse().unwrap()
}

fn all_start(world: &mut World) {
    for at in 0..NODES {
        if world.scripted(&name(at)).connected {
            world.starts_all(&name(at));
        }
    }
}

/// Five hundred nodes, a fifth of them twice as large, with placements of different needs.
fn cluster() -> World {
    let mut world = World::new();
    world.checks = false;
    for at in 0..NODES {
        let size = if at % 5 == 0 { 2 } else { 1 };
        world.scripted(&name(at)).offers = Room {
            millicores: 8_000 * size,
            memory_bytes: 64_000 * size,
            disk_bytes: 0,
        };
        world.scripted(&name(at)).types = ["noisy".to_owned()].into();
        world.up(&name(at));
    }
    for number in 0..PLACEMENTS {
        let (cores, memory) = (100 + number % 7 * 50, 1_000 + number % 5 * 700);
        let wish = format!("put p{number} noisy on so-many:{COUNT} needs {cores},{memory}");
        world.operate(wishes::operation(&wish)).unwrap();
    }
    all_start(&mut world);
    world
}

/// The scarcest of what a node offers, as a share.
fn load(graph: &Graph, node: &NodeName) -> f64 {
    let (taken, offers) = (
        graph.load_on(node).taken,
        graph.node(node).unwrap().sysinfo.offers,
    );
    let cores = taken.millicores as f64 / offers.millicores as f64;
    cores.max(taken.memory_bytes as f64 / offers.memory_bytes as f64)
}

fn max_over_mean(graph: &Graph) -> f64 {
    let alive = (0..NODES).map(node);
    let alive = alive.filter(|key| graph.node(key).unwrap().state == NodeState::Online);
    let loads: Vec<f64> = alive.map(|key| load(graph, &key)).collect();
    let mean = loads.iter().sum::<f64>() / loads.len() as f64;
    loads.iter().copied().fold(0.0, f64::max) / mean
}

// proves: S23, B8
// acceptance: issue 5, line 9
#[test]
fn five_hundred_nodes_lose_fifty_and_every_one_of_so_many_is_replaced_evenly() {
    let mut world = cluster();
    let mut replayed = world.graph().clone();
    let from = world.entries.len();
    // Those that are left have more to bear, not less.
    for at in 0..LOST {
        world.gone(&name(at * 7));
    }
    world.wait_ms(31_000);
    for at in 0..LOST {
        let lost = world.graph().node(&node(at * 7)).unwrap();
        assert_eq!(lost.state, NodeState::Lost);
    }
    for number in 0..PLACEMENTS {
        let placement: PlacementName = format!("p{number}").parse().unwrap();
        let facts = world.graph().placement(&placement).unwrap();
        let kept = candidates::kept(world.graph(), &placement, &facts);
        assert_eq!((kept.len(), facts.short), (COUNT, 0), "{placement}");
    }
    all_start(&mut world);
    let uneven = max_over_mean(world.graph());
    assert!(uneven <= 1.2, "max/mean load is {uneven:.3}");
    // At no moment more starts under way on a node than may be, and at none more taken than it offers.
    for entry in &world.entries[from..] {
        assert!(replayed.apply(&entry.delta).changed);
        for at in 0..NODES {
            let there = replayed.load_on(&node(at));
            assert!(there.starting <= limits::STARTS_PER_NODE_MAX);
            let offers = replayed.node(&node(at)).unwrap().sysinfo.offers;
            assert!(there.taken.fits_into(offers), "n{at}: {there:?}");
        }
    }
}

// proves: S23, B8
#[test]
fn more_starts_than_may_be_under_way_on_a_node_begin_in_order_and_none_is_passed_over() {
    let mut world = World::new();
    world.up("n1");
    let many = 3 * limits::STARTS_PER_NODE_MAX + 5;
    for number in 0..many {
        let wish = format!("put p{number:03} noisy on n1");
        world.operate(wishes::operation(&wish)).unwrap();
    }
    let n1: NodeName = "n1".parse().unwrap();
    let starting = |world: &World| world.graph().load_on(&n1).starting;
    assert_eq!(starting(&world), limits::STARTS_PER_NODE_MAX);
    let last = world.instance(&format!("p{:03}@n1", many - 1));
    let reason = last.reason.unwrap();
    assert_eq!(
        (last.state, reason.code),
        (InstanceState::Pending, code::STARTS_IN_TURN)
    );
    assert!(reason.text.contains("n1"), "{}", reason.text);
    // The next leader goes on where this one was.
    world.fail_over_with_sessions();
    let mut begun = limits::STARTS_PER_NODE_MAX;
    while begun < many {
        let waiting = world.graph().waiting_on(&n1, Waits::Turn, many);
        assert_eq!(waiting.len(), many - begun);
        // One ends its start, well or not; the one that waited longest is next.
        let under_way: Vec<_> = world.graph().keys(Kind::Instance);
        let done = under_way
            .iter()
            .map(ToString::to_string)
            .find(|one| world.state(one) == InstanceState::Starting)
            .unwrap();
        if begun.is_multiple_of(5) {
            world
                .operate(mainstay_coordinator::Operation::Stop {
                    instance: at(&done),
                })
                .unwrap();
        }
        world.started(&done);
        begun += 1;
        assert_eq!(
            world.state(&waiting[0].to_string()),
            InstanceState::Starting
        );
        assert_eq!(starting(&world), limits::STARTS_PER_NODE_MAX);
    }
    assert!(world.graph().waiting_on(&n1, Waits::Turn, 1).is_empty());
}
