//! What can happen, lowered to what nodes would truly say at that moment.

use mainstay_coordinator::{Operation, watching};
use mainstay_protocol::command::Order;
use mainstay_protocol::health::Health;
use mainstay_protocol::report::{CommandOutcome, LiveInstance, LiveState, Report};
use mainstay_protocol::sight::InstanceSight;
use mainstay_protocol::{CommandId, InstanceKey, code};
use mainstay_resource_graph::{InstanceState, Key, ViewExt};
use proptest::prelude::*;

use super::sights::{SEEN, SIGHTS, guard_saw, host_ran, seen, watcher_saw};
use super::words::{settles, word};
use super::work::{self, WorkAct};
use crate::harness::{Mode, World, at, care, node_name, start, wish};

#[derive(Debug, Clone)]
pub enum Act {
    Start {
        service_type: usize,
        name: usize,
        on: usize,
    },
    /// A whole wish: another configuration, other nodes, perhaps a dependency.
    Put {
        name: usize,
        on: usize,
        config: usize,
        depends: usize,
    },
    Delete(usize),
    Stop(usize),
    Restart(usize),
    Clear(usize),
    /// Something that lives says something.
    Says {
        node: usize,
        which: usize,
        what: usize,
    },
    /// Something fails as often as it is started.
    CrashLoops {
        node: usize,
        which: usize,
    },
    /// The last frame arrives once more.
    Again(usize),
    SessionCloses(usize),
    SessionOpens(usize),
    Muted(usize),
    Deaf(usize),
    Hears(usize),
    AgentRestarts {
        node: usize,
        keeps_file: bool,
    },
    Wait(usize),
    FailOver,
    Hold,
    Lose,
    ArrivesLate,
    Release,
    Requeue,
    Drop,
    /// Somebody says something of a node.
    Care {
        node: usize,
        what: usize,
    },
    /// What others see of a node from now on, where they are asked.
    Seen {
        node: usize,
        what: usize,
    },
    /// What a guard sees of the other node.
    GuardSaw {
        guard: usize,
        what: usize,
    },
    /// Somebody is to run a command about a machine, and does.
    HostRan {
        which: usize,
        done: bool,
    },
    /// What a node sees of an instance of the other one.
    WatcherSaw {
        watcher: usize,
        which: usize,
        what: usize,
    },
    /// Of orchestrations and runs.
    Work(WorkAct),
    /// A node comes back with something that nobody here started.
    Stray {
        node: usize,
        name: usize,
        ahead: usize,
    },
}

const TYPES: [&str; 9] = [
    "greeter", "twin", "flaky", "noisy", "always", "never", "pliant", "worker", "worker",
];
const PLACES: [&str; 6] = ["n1", "n2", "n1,n2", "all", "so-many:1", "so-many:2"];
const NAMES: [&str; 4] = ["alpha", "mike", "web", "zulu"];
pub const NODES: [&str; 2] = ["n1", "n2"];
const WAITS_MS: [u64; 7] = [1, 700, 2100, 5000, 13_000, 40_000, 700_000];

pub fn act() -> impl Strategy<Value = Act> {
    let number = 0..64usize;
    prop_oneof![
        8 => (number.clone(), number.clone(), number.clone())
            .prop_map(|(service_type, name, on)| Act::Start { service_type, name, on }),
        5 => (number.clone(), number.clone(), number.clone(), number.clone())
            .prop_map(|(name, on, config, depends)| Act::Put { name, on, config, depends }),
        1 => number.clone().prop_map(Act::Delete),
        3 => number.clone().prop_map(Act::Stop),
        2 => number.clone().prop_map(Act::Restart),
        2 => number.clone().prop_map(Act::Clear),
        24 => (number.clone(), number.clone(), number.clone())
            .prop_map(|(node, which, what)| Act::Says { node, which, what }),
        2 => (number.clone(), number.clone())
            .prop_map(|(node, which)| Act::CrashLoops { node, which }),
        2 => number.clone().prop_map(Act::Again),
        2 => number.clone().prop_map(Act::SessionCloses),
        5 => number.clone().prop_map(Act::SessionOpens),
        1 => number.clone().prop_map(Act::Muted),
        1 => number.clone().prop_map(Act::Deaf),
        2 => number.clone().prop_map(Act::Hears),
        2 => (number.clone(), any::<bool>())
            .prop_map(|(node, keeps_file)| Act::AgentRestarts { node, keeps_file }),
        2 => (number.clone(), number.clone(), number.clone())
            .prop_map(|(node, name, ahead)| Act::Stray { node, name, ahead }),
        3 => (number.clone(), number.clone())
            .prop_map(|(node, what)| Act::Care { node, what }),
        2 => (number.clone(), any::<bool>())
            .prop_map(|(which, done)| Act::HostRan { which, done }),
        2 => (number.clone(), number.clone())
            .prop_map(|(node, what)| Act::Seen { node, what }),
        1 => (number.clone(), number.clone())
            .prop_map(|(guard, what)| Act::GuardSaw { guard, what }),
        3 => (number.clone(), number.clone(), number.clone())
            .prop_map(|(watcher, which, what)| Act::WatcherSaw { watcher, which, what }),
        9 => number.prop_map(Act::Wait),
        12 => work::act().prop_map(Act::Work),
        1 => Just(Act::FailOver),
        2 => Just(Act::Hold),
        1 => Just(Act::Lose),
        1 => Just(Act::ArrivesLate),
        3 => Just(Act::Release),
        1 => Just(Act::Requeue),
        1 => Just(Act::Drop),
    ]
}

pub fn pick<T: Copy>(list: &[T], number: usize) -> T {
    list[number % list.len()]
}

fn reference(number: usize) -> String {
    format!("{}@{}", pick(&NAMES, number / 2), pick(&NODES, number))
}

pub fn carry_out(world: &mut World, act: &Act) {
    match *act {
        Act::Start {
            service_type,
            name,
            on,
        } => {
            let (service_type, on) = (pick(&TYPES, service_type), pick(&PLACES, on));
            let holds = (name % 5 == 0 && service_type == "noisy").then_some("greeter");
            world.ask(start(service_type, pick(&NAMES, name), on, holds, ""));
        }
        Act::Put {
            name,
            on,
            config,
            depends,
        } => put(world, name, on, config, depends),
        Act::Delete(name) => {
            world.ask(wish(&format!("delete {}", pick(&NAMES, name))));
        }
        Act::Stop(which) => {
            world.ask(Operation::Stop {
                instance: at(&reference(which)),
            });
        }
        Act::Restart(which) => {
            world.ask(Operation::Restart {
                instance: at(&reference(which)),
            });
        }
        Act::Clear(which) => {
            world.ask(Operation::Clear {
                instance: at(&reference(which)),
            });
        }
        Act::Says { node, which, what } => says(world, pick(&NODES, node), which, what),
        Act::CrashLoops { node, which } => crash_loop(world, pick(&NODES, node), which),
        Act::Again(node) => world.send_again(pick(&NODES, node)),
        Act::SessionCloses(node) => world.gone(pick(&NODES, node)),
        Act::SessionOpens(node) => open_session(world, pick(&NODES, node)),
        Act::Muted(node) => world.scripted(pick(&NODES, node)).muted = true,
        Act::Deaf(node) => world.scripted(pick(&NODES, node)).deaf = true,
        Act::Hears(node) => world.scripted(pick(&NODES, node)).deaf = false,
        Act::AgentRestarts { node, keeps_file } => {
            world.agent_restarts(pick(&NODES, node), keeps_file);
        }
        Act::Wait(which) => world.wait_ms(pick(&WAITS_MS, which)),
        Act::FailOver => world.fail_over(),
        Act::Hold => world.hold(),
        Act::Lose if world.log.held.is_empty() => {}
        Act::Lose => world.lose(),
        Act::ArrivesLate if world.log.lost.is_empty() || world.log.mode != Mode::Hold => {}
        Act::ArrivesLate => world.arrive_late(),
        Act::Release => world.release(),
        Act::Requeue => parked(world, |parked| Operation::Requeue { parked }),
        Act::Stray { node, name, ahead } => stray(world, pick(&NODES, node), name, ahead),
        Act::Drop => parked(world, |parked| Operation::Drop { parked }),
        Act::Seen { node, what } => seen(world, pick(&NODES, node), what),
        Act::GuardSaw { guard, what } => guard_saw(world, guard, pick(&SIGHTS, what)),
        Act::WatcherSaw {
            watcher,
            which,
            what,
        } => watcher_saw(world, pick(&NODES, watcher), which, pick(&SEEN, what)),
        Act::Care { node, what } => say(world, node, what),
        Act::HostRan { which, done } => host_ran(world, which, done),
        Act::Work(ref act) => work::carry_out(world, act),
    }
    world.run();
}

const SAID: [&str; 21] = [
    "confirm-dead NODE",
    "cordon NODE",
    "drain NODE",
    "drain NODE force",
    "uncordon NODE",
    "uncordon NODE",
    "maintain NODE for 7s",
    "maintain NODE",
    "maintained NODE",
    "maintain placement/NAME for 7s",
    "maintained placement/NAME",
    "maintain all for 7s",
    "label NODE role=web",
    "label NODE role-",
    "remove NODE",
    "restart-host NODE it hangs",
    "move NAME@NODE to OTHER",
    "move NAME@NODE to OTHER",
    "move NAME@NODE to OTHER",
    "move NAME@NODE to OTHER",
    "move NAME@NODE to OTHER",
];

fn say(world: &mut World, node: usize, what: usize) {
    let said = pick(&SAID, what)
        .replace("NODE", pick(&NODES, node))
        .replace("OTHER", pick(&NODES, node + 1))
        .replace("NAME", pick(&NAMES, what / SAID.len()));
    let operation = care::operation(&said).unwrap_or_else(|| wish(&said));
    world.ask(operation);
}

/// Of the type it has, where it is there already: another one would be refused.
fn put(world: &mut World, name: usize, on: usize, config: usize, depends: usize) {
    let placement = pick(&NAMES, name);
    let existing = world.graph().placement(&placement.parse().unwrap());
    let only = existing.as_ref().map(|one| one.wish.singleton.is_some());
    let only = only.unwrap_or(depends.is_multiple_of(4));
    let only_one = match config.is_multiple_of(3) {
        true => "so-many:1 lease_ms 20000 isolated_ms 5000 fenced",
        false => "so-many:1 lease_ms 20000 isolated_ms 5000",
    };
    let places = ["n1", "n2", "n1,n2", "all", "so-many:2", only_one];
    let on = places[if only { 5 } else { on % 5 }];
    let keeps_apart = on.starts_with("so-many") && config.is_multiple_of(5);
    let (service_type, holds) = match existing {
        Some(existing) => (existing.service_type.to_string(), existing.holds),
        None => (pick(&TYPES, config).to_owned(), None),
    };
    let holds = holds.map_or(String::new(), |holds| format!("holds {holds}"));
    let depends = match depends % 3 {
        0 => format!("depends {}:started", pick(&NAMES, depends / 3)),
        1 if depends > 32 => format!("depends {}", pick(&NAMES, depends / 3)),
        _ => String::new(),
    };
    let needs = [0, 0, 1, 2, 3, 4, 7][config % 7];
    let apart = match keeps_apart {
        true => format!("apart {}", pick(&NAMES, config / 7)),
        false => String::new(),
    };
    let escalates = match on.starts_with("so-many") && config.is_multiple_of(2) {
        true => "escalate move attempts 2",
        false => "",
    };
    let minimum = usize::from(["n1,n2", "all", "so-many:2"].contains(&on)) * (config % 2);
    let watched = config / 3 % 3;
    let config = config % 3;
    let group = if config == 2 { "" } else { "group shop" };
    world.ask(wish(&format!(
        "put {placement} {service_type} on {on} needs 0,{needs} {escalates} minimum {minimum} watched {watched} {apart} {holds} {group} {depends} {{\"a\":{config}}}"
    )));
}

/// Not what lives there, nor what has its name.
fn stray(world: &mut World, node: &str, name: usize, ahead: usize) {
    // They come with a restored graph, and then nothing is on its way.
    if world.log.mode == Mode::Hold || !world.log.held.is_empty() || !world.log.lost.is_empty() {
        return;
    }
    let placement = pick(&NAMES, name);
    let instance = at(&format!("{placement}@{node}"));
    let known = world.graph().instance(&instance);
    let slot = known
        .as_ref()
        .map_or_else(|| placement.parse().unwrap(), |known| known.name.clone());
    let scripted = world.scripted(node);
    let taken = scripted.live(&instance).is_some()
        || scripted.names.values().any(|held| *held == slot)
        || !scripted.open.is_empty();
    if taken || !scripted.connected || scripted.deaf {
        return;
    }
    let floor = scripted
        .digest
        .get(&instance)
        .map(|entry| entry.floor.count);
    let count = known.map_or(0, |known| known.incarnation.count);
    world.gone(node);
    world.runs_stray(
        &instance,
        count.max(floor.unwrap_or(0)) + 1 + ahead as u64 % 3,
    );
    world.scripted(node).names.insert(instance, slot);
    world.up(node);
}

fn open_session(world: &mut World, node: &str) {
    if !world.scripted(node).connected {
        world.up(node);
    }
}

fn parked(world: &mut World, operation: fn(mainstay_resource_graph::ParkedId) -> Operation) {
    if let Some(Key::Parked(id)) = world.parked().into_iter().next() {
        world.ask(operation(id));
    }
}

/// One of the living on a node says what its state lets it say; what nobody lives for is answered so.
fn says(world: &mut World, node: &str, which: usize, what: usize) {
    let living: Vec<(InstanceKey, LiveInstance)> = world
        .scripted(node)
        .digest
        .iter()
        .filter_map(|(key, entry)| Some((key.clone(), entry.live.clone()?)))
        .collect();
    if living.is_empty() {
        return;
    }
    let (instance, live) = &living[which % living.len()];
    let open = open_about(world, node, instance);
    if live.state == LiveState::Starting && what % 12 == 6 {
        refuse(world, node, open);
        return;
    }
    let mut reports = vec![word(instance, live, what)];
    if settles(&reports[0]) {
        let done = |command| Report::CommandDone {
            command,
            outcome: CommandOutcome::Done,
        };
        reports.extend(open.into_iter().map(done));
    }
    // Now and then in two frames.
    for report in reports {
        if what.is_multiple_of(3) {
            world.report(report, node);
        } else {
            world.scripted(node).note(report);
        }
    }
    world.send_what_is_left(node);
}

/// It has less room than it said.
fn refuse(world: &mut World, node: &str, open: Vec<CommandId>) {
    for command in open {
        let outcome = CommandOutcome::Refused {
            code: code::NO_ROOM,
            text: "memory: 2B needed, 1B free of 6B".to_owned(),
        };
        world
            .scripted(node)
            .note(Report::CommandDone { command, outcome });
    }
    world.send_what_is_left(node);
}

fn crash_loop(world: &mut World, node: &str, which: usize) {
    for _ in 0..14 {
        // Starting: it starts. Running: it panics.
        says(world, node, which, 12);
        world.wait_ms(5000);
    }
}

fn open_about(world: &mut World, node: &str, instance: &InstanceKey) -> Vec<CommandId> {
    world
        .scripted(node)
        .open
        .values()
        .filter(|command| command.order.instance().0 == instance)
        .map(|command| command.id)
        .collect()
}

/// The trouble is over: the log commits, nodes are there and hear, and every instance does what it is asked.
pub fn settle(world: &mut World) {
    world.release();
    for node in NODES {
        let scripted = world.scripted(node);
        scripted.deaf = false;
        scripted.muted = false;
        // It may have been judged silent, or not have been welcomed.
        world.gone(node);
        world.up(node);
        for what in ["uncordon", "maintained"] {
            let operation = care::operation(&format!("{what} {node}"));
            world.ask(operation.expect("it is one of those"));
            world.run();
        }
    }
    for _ in 0..40 {
        while !world.host_asks.is_empty() {
            host_ran(world, 0, true);
        }
        for node in NODES {
            obey(world, node);
        }
        work::finish(world);
        world.wait_ms(5000);
    }
}

/// Everything that lives on a node does what it was asked to, and says that it is well.
fn obey(world: &mut World, node: &str) {
    for _ in 0..20 {
        let next = world.scripted(node).digest.iter().find_map(|(key, entry)| {
            let live = entry.live.clone()?;
            let well = live.state == LiveState::Running && live.health == Health::Ok;
            (!well).then(|| (key.clone(), live))
        });
        let Some((instance, live)) = next else { break };
        let what = match live.state {
            LiveState::Starting => 4,
            LiveState::Running => 10,
            LiveState::Stopping => 4,
        };
        let open = open_about(world, node, &instance);
        let report = word(&instance, &live, what);
        let settles = settles(&report);
        world.scripted(node).note(report);
        if settles {
            for command in open {
                let outcome = CommandOutcome::Done;
                world
                    .scripted(node)
                    .note(Report::CommandDone { command, outcome });
            }
        }
        world.send_what_is_left(node);
    }
    answer_the_rest(world, node);
    world.send_what_is_left(node);
    sees_all(world, node);
    let known = world.graph_instances(&node_name(node));
    for instance in known {
        let lives = world.scripted(node).live(&instance).is_some();
        let state = world.state(&instance.to_string());
        assert!(
            lives || !matches!(state, InstanceState::Running),
            "{instance} runs in the graph alone"
        );
    }
}

/// What it watches of the other node answers it.
fn sees_all(world: &mut World, node: &str) {
    for key in watching::watched_from(world.graph(), &node_name(node)) {
        let facts = world.graph().instance(&key).unwrap();
        let seen = facts.seen_from.get(&node_name(node));
        if facts.state.is_up() && seen.is_some_and(|seen| !seen.sight.is_of_it()) {
            let saw = Report::WatcherSaw {
                instance: key,
                incarnation: facts.incarnation,
                sight: InstanceSight::Answers { health: Health::Ok },
            };
            world.report(saw, node);
        }
    }
}

/// Commands about nothing that lives, and changes of what goes on.
fn answer_the_rest(world: &mut World, node: &str) {
    let idle: Vec<(CommandId, bool)> = world
        .scripted(node)
        .open
        .values()
        .map(|command| (command.id, matches!(command.order, Order::Stop(_))))
        .collect();
    for (command, is_stop) in idle {
        let instance = world.scripted(node).open[&command]
            .order
            .instance()
            .0
            .clone();
        let stops = world
            .scripted(node)
            .live(&instance)
            .is_some_and(|live| live.state == LiveState::Stopping);
        if stops {
            continue;
        }
        let order = world.scripted(node).open[&command].order.clone();
        if let Order::Reconfigure(change) = order {
            world.scripted(node).note(Report::ConfigChanged {
                instance: change.instance,
                incarnation: change.incarnation,
                config: change.config,
            });
        }
        let outcome = if is_stop {
            CommandOutcome::NotRunning
        } else {
            CommandOutcome::Done
        };
        world
            .scripted(node)
            .note(Report::CommandDone { command, outcome });
    }
}
