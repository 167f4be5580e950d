//! A leader that dies at each commit of something that takes several: what it was in the middle of ends exactly once.

use std::time::Duration;

use mainstay_coordinator::{Env, Next, NodeAct, Operation, Outcome, Procedure, Rules, Turn, Watch};
use mainstay_protocol::InstanceKey;
use mainstay_protocol::code::{self, Code};
use mainstay_protocol::health::Health;
use mainstay_protocol::report::Ending;
use mainstay_resource_graph::{
    HostAct, HostOutcome, HostRestart, InstanceState, Key, Kind, NodeState, Txn, View, ViewExt,
};

use crate::harness::wishes::operation;

use crate::harness::{Death, World, hosts, key, node_name};

/// More than any of these takes.
const TURNS_MAX: usize = 400;

/// What is asked for and what has to come of it, whoever leads.
struct Course {
    world: fn() -> World,
    /// Done again and again, as people do who have had no answer, and nodes that were not acknowledged.
    turn: fn(&mut World),
    is_over: fn(&World) -> bool,
    /// The decision that ends it.
    rule: &'static str,
    code: Code,
}

impl Course {
    fn ends(&self, world: &World) -> usize {
        let ended = world.decisions().filter(|decision| {
            let did = match &decision.outcome {
                Outcome::Did { code, .. } => code,
                Outcome::Declined { .. } => return false,
            };
            decision.rule == self.rule && *did == self.code
        });
        ended.count()
    }

    /// Its commits, with this death.
    fn run(&self, death: Option<(usize, Death)>) -> usize {
        let mut world = (self.world)();
        let before = world.entries.len();
        world.dies(death);
        for _ in 0..TURNS_MAX {
            if (self.is_over)(&world) {
                break;
            }
            (self.turn)(&mut world);
            world.run();
        }
        assert!((self.is_over)(&world), "it does not end, with {death:?}");
        let commits = world.entries.len() - before;
        // Nothing of it comes after its end.
        world.wait(Duration::from_secs(300));
        assert_eq!(self.ends(&world), 1, "{} with {death:?}", self.rule);
        assert!((self.is_over)(&world), "it is over no more, with {death:?}");
        commits
    }

    fn survives_every_death(&self) {
        let commits = self.run(None);
        assert!(commits >= 4, "{commits} commits are no course");
        for at in 0..commits {
            for death in [Death::BeforeCommit, Death::AfterCommit] {
                self.run(Some((at, death)));
            }
        }
    }
}

/// Everything that is asked of nodes is done there.
fn obey(world: &mut World) {
    for reference in ["web@n1", "web@n2"] {
        let Some(instance) = instance(world, reference) else {
            continue;
        };
        match instance.state {
            InstanceState::Starting => world.started(reference),
            InstanceState::Running if instance.health == Health::Unknown => {
                world.health_ok(reference);
            }
            InstanceState::Stopping { .. } => world.ended(reference, Ending::Asked),
            _ => {}
        }
    }
    world.wait_ms(500);
}

fn instance(world: &World, reference: &str) -> Option<mainstay_resource_graph::Instance> {
    match key(reference) {
        mainstay_resource_graph::Key::Instance(key) => world.graph().instance(&key),
        _ => None,
    }
}

fn two_nodes() -> World {
    let mut world = World::with(Rules::shipped().with_procedure::<Vigil>());
    world.up("n1");
    world.up("n2");
    world
        .operate(operation("put web pliant on n1"))
        .expect("it can be placed");
    world.started("web@n1");
    world.health_ok("web@n1");
    world
}

// proves: S25
// acceptance: issue 5, line 7
#[test]
fn a_move_ends_exactly_once_whichever_commit_its_leader_dies_at() {
    let moved = |world: &World| {
        let there = instance(world, "web@n2");
        let name = "web".parse().expect("a name");
        let placement = world.graph().placement(&name).expect("nobody deletes it");
        instance(world, "web@n1").is_none()
            && there.is_some_and(|one| one.health == Health::Ok)
            && placement.moves.is_empty()
    };
    Course {
        world: two_nodes,
        turn: |world| {
            world.ask(operation("move web@n1 to n2"));
            obey(world);
        },
        is_over: moved,
        rule: "move",
        code: code::MOVED,
    }
    .survives_every_death();
}

/// Three steps over what is not healthy; each has its time.
struct Vigil;

impl Procedure for Vigil {
    const NAME: &'static str = "vigil";
    type Subject = InstanceKey;
    type Step = u32;

    fn watches() -> Watch {
        Watch::instances(|instance| instance.state == InstanceState::Degraded)
    }

    fn begin(_: InstanceKey, _: &mut Txn<'_>, _: &Env) -> Next<u32> {
        Next::step(1, Duration::from_secs(2), "looks on")
    }

    fn go_on(_: InstanceKey, step: u32, turn: Turn, _: &mut Txn<'_>, _: &Env) -> Next<u32> {
        match (turn, step) {
            (Turn::Changed, _) => Next::Stay,
            (Turn::TimeIsUp, 3) => Next::end("it has looked on for long enough"),
            (Turn::TimeIsUp, step) => Next::step(step + 1, Duration::from_secs(2), "looks on"),
        }
    }
}

// proves: S21
// acceptance: issue 5, line 7
#[test]
fn a_procedure_ends_exactly_once_whichever_commit_its_leader_dies_at() {
    Course {
        world: || {
            let mut world = two_nodes();
            world.wait_ms(100);
            world
        },
        turn: |world| {
            let now = world.instance("web@n1");
            if now.state == InstanceState::Running {
                world.report_health("web@n1", Health::Degraded, "slow");
            }
            world.wait_ms(500);
        },
        is_over: |world| {
            let ended = world.decisions().any(|decision| {
                matches!(&decision.outcome, Outcome::Did { code, .. }
                    if decision.rule == "vigil" && *code == code::PROCEDURE_ENDED)
            });
            ended && world.instance("web@n1").state == InstanceState::Degraded
        },
        rule: "vigil",
        code: code::PROCEDURE_ENDED,
    }
    .survives_every_death();
}

/// Its own agent fails, a peer fails, the next one switches it off, and it comes back.
fn restarts(world: &mut World) {
    if let Some((what, on)) = hosts::asked(world, "n1") {
        let outcome = match what {
            HostAct::Fence if on.as_str() == "n3" => HostOutcome::Done,
            HostAct::Restart | HostAct::Fence => HostOutcome::Failed("exit code 1".to_owned()),
        };
        hosts::ran(world, on.as_str(), outcome);
    }
    world.wait_ms(500);
    let lost = world
        .graph()
        .node(&node_name("n1"))
        .expect("it stays")
        .state
        == NodeState::Lost;
    match () {
        () if lost => world.agent_restarts("n1", false),
        // Switched off, its session ends.
        () if text(world).contains("its session is to end") => world.gone("n1"),
        () => {}
    }
}

fn restart(world: &World) -> Option<HostRestart> {
    world.graph().node(&node_name("n1"))?.restart
}

/// Of the step that it is at.
fn text(world: &World) -> String {
    let keys = world.graph().keys(Kind::Procedure).into_iter();
    let mut texts = keys.filter_map(|key| match key {
        Key::Procedure(id) => Some(world.graph().procedure(&id)?.text),
        _ => None,
    });
    texts.next().unwrap_or_default()
}

// proves: S21, S23
// acceptance: issue 5, line 7
#[test]
fn a_restart_of_a_machine_ends_exactly_once_whichever_commit_its_leader_dies_at() {
    Course {
        world: || {
            let mut world = World::new();
            for node in ["n1", "n2", "n3"] {
                world.up(node);
            }
            hosts::set(&mut world, "restart", &["/sbin/reboot"]);
            hosts::set(&mut world, "fence", &["/bin/power", "off"]);
            world
        },
        turn: |world| {
            // Said until it is taken.
            if restart(world).is_none() {
                let act = NodeAct::Restart {
                    why: "it hangs".to_owned(),
                    force: false,
                };
                world.ask(Operation::Node {
                    node: node_name("n1"),
                    act,
                    by: "ada".to_owned(),
                });
                world.run();
            }
            restarts(world);
        },
        is_over: |world| restart(world).is_some_and(|restart| restart.ended.is_some()),
        rule: "restart_host",
        code: code::HOST_RESTARTED,
    }
    .survives_every_death();
}
