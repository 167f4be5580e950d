//! What a seed decides before anything happens: how large the cluster is, and how unkind the world.

use mainstay_protocol::report::{MessageDeclaration, RestartWhen, TypeDeclaration};
use mainstay_protocol::room::{Needs, Room};
use mainstay_protocol::work::{Serves, Skills};
use mainstay_resource_graph::Settings;

use crate::dice::Dice;

/// Chances are per thousand of the occasions on which the fault could happen.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub stations: usize,
    pub nodes: usize,
    /// Virtual time with faults.
    pub storm_ms: u64,
    /// Time after it within which everything has to hold.
    pub healing_ms_max: u64,
    pub settings: Settings,
    /// Between two stones thrown, at most.
    pub mischief_ms_max: u64,
    pub orders_ms_max: u64,
    pub delay_per_mille: u64,
    pub duplicate_per_mille: u64,
    pub crash_per_mille: u64,
    pub lost_per_mille: u64,
    /// Of the words between stations.
    pub word_lost_per_mille: u64,
    pub torn_write_per_mille: u64,
    pub start_fault_per_mille: u64,
    pub stop_fault_per_mille: u64,
    /// Between two turns of one actor's behaviour, at most.
    pub misbehave_ms_max: u64,
    pub file_bytes_max: usize,
    /// When somebody wants the group to be another, in milliseconds.
    pub changes: Vec<(u64, Growth)>,
}

/// By one station.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    Grow,
    Shrink,
}

/// Of a node; some of its instances together need more.
pub const MEMORY: u64 = 5;

/// What a node offers changes between its agent's lives: by so much, more or less.
pub const MEMORY_CHANGES: u64 = 2;
/// Whoever needs much also needs the one port that there is on a node.
const PORT: u16 = 8_000;
const MUCH: u64 = 2;

/// So much memory, in units of nothing.
pub fn memory(memory_bytes: u64) -> Room {
    Room {
        memory_bytes,
        ..Room::NONE
    }
}

pub fn some_needs(memory_bytes: u64) -> Needs {
    Needs {
        room: memory(memory_bytes),
        ports: (memory_bytes >= MUCH).then_some(PORT).into_iter().collect(),
    }
}

const STATIONS_MAX: usize = 5;
const CHANGES_MAX: u64 = 5;

/// What somebody wants of the group in the course of a storm: in about every second one nothing. By dice of its own, so that
/// what else a seed decides does not hang on it.
fn changes(seed: u64, stations: usize, storm_ms: u64) -> Vec<(u64, Growth)> {
    let mut dice = Dice::new(seed ^ 0x6d65_6d62_6572_7321);
    if dice.per_mille(550) {
        return Vec::new();
    }
    let count = dice.between(1, CHANGES_MAX);
    let mut times: Vec<u64> = (0..count)
        .map(|_| dice.between(3_000, storm_ms * 8 / 10))
        .collect();
    times.sort_unstable();
    let mut size = stations;
    let wish = |at_ms| {
        let grows = size == 1 || (size < STATIONS_MAX && dice.per_mille(550));
        let wish = if grows { Growth::Grow } else { Growth::Shrink };
        size = if grows { size + 1 } else { size - 1 };
        (at_ms, wish)
    };
    times.into_iter().map(wish).collect()
}

impl Plan {
    pub fn of(seed: u64, dice: &mut Dice) -> Self {
        let settings = Settings {
            restart_attempts: dice.between(2, 5) as u32,
            healthy_after_ms: dice.between(5_000, 60_000),
            check_interval_ms: dice.between(1_000, 4_000),
            check_deadline_ms: 500,
            backoff_max_ms: 16_000,
            resend_max_ms: 8_000,
            silence_ms: 2_500,
            grace_ms: 3_000,
            answer_margin_ms: 1_000,
            lost_closed_ms: dice.between(3_000, 9_000),
            lost_unseen_ms: 2_500,
            lost_silent_ms: 3_000,
            brake_ms: 4_000,
            host_restart: vec!["/sbin/reboot".to_owned()],
            host_fence: vec!["/bin/power".to_owned(), "cycle".to_owned()],
            host_within_ms: 3_000,
            host_back_ms: 5_000,
            ..Settings::LAN
        };
        let stations = dice.pick(&[1, 1, 3, 3, 5]).copied().unwrap_or(1);
        let nodes_max = if stations == 1 { 8 } else { 5 };
        let nodes = dice.between(3, nodes_max) as usize;
        let storm_ms = dice.between(20_000, 60_000);
        Self {
            seed,
            stations,
            changes: changes(seed, stations, storm_ms),
            nodes,
            storm_ms,
            healing_ms_max: 180_000,
            settings,
            mischief_ms_max: dice.between(1_500, 8_000),
            orders_ms_max: dice.between(500, 3_000),
            delay_per_mille: dice.between(0, 8),
            duplicate_per_mille: dice.between(0, 150),
            crash_per_mille: dice.between(0, 12),
            lost_per_mille: dice.between(0, 25),
            word_lost_per_mille: dice.between(0, 60),
            torn_write_per_mille: dice.between(0, 8),
            start_fault_per_mille: dice.between(50, 400),
            stop_fault_per_mille: dice.between(50, 500),
            misbehave_ms_max: dice.between(8_000, 60_000),
            file_bytes_max: dice.between(4, 64) as usize * 1024,
        }
    }
}

impl Plan {
    /// The same with two nodes and no faults.
    pub fn kind(self, stations: usize) -> Self {
        Self {
            stations,
            nodes: 2,
            delay_per_mille: 0,
            duplicate_per_mille: 0,
            crash_per_mille: 0,
            lost_per_mille: 0,
            word_lost_per_mille: 0,
            torn_write_per_mille: 0,
            start_fault_per_mille: 0,
            stop_fault_per_mille: 0,
            changes: Vec::new(),
            ..self
        }
    }
}

pub const TYPES: [&str; 5] = ["greeter", "flaky", "daemon", "once", OUTSIDE];

/// The kind of resource that its services may use.
pub const RESOURCES: &str = "disk";

/// The type whose instances are processes: they outlive their agent, and its next life finds them.
pub const OUTSIDE: &str = "vault";

/// The types of the simulated agents.
pub fn declarations() -> Vec<TypeDeclaration> {
    TYPES.iter().map(|name| declaration(name)).collect()
}

fn declaration(name: &str) -> TypeDeclaration {
    let restart = match name {
        "daemon" => RestartWhen::Always,
        "once" => RestartWhen::Never,
        _ => RestartWhen::OnFailure,
    };
    TypeDeclaration {
        name: name.parse().expect("a name"),
        version: "1.0.0".to_owned(),
        holds: (name == "greeter").then(|| "greeter".parse().expect("a name")),
        schema: "{}".to_owned(),
        messages: vec![MessageDeclaration {
            name: "hello".to_owned(),
            schema: "{}".to_owned(),
        }],
        restart,
        start_deadline_ms: 2_000,
        stop_deadline_ms: 1_000,
        may_use: vec![RESOURCES.to_owned()],
        in_place: name == "flaky",
        keeps_lease: true,
        serves: match name {
            "daemon" | "flaky" => Serves {
                skills: Skills([("p".to_owned(), None)].into()),
                hands: 2,
                by_config: false,
            },
            _ => Serves::default(),
        },
    }
}

/// A placement that operators may ask for: its name, its type, and the name it holds.
pub struct Wanted {
    pub placement: &'static str,
    pub service_type: &'static str,
    pub holds: Option<&'static str>,
}

/// Placements whose wishes change as wholes: `tail` depends on `base`.
pub const BASE: &str = "base";
pub const TAIL: &str = "tail";
/// One that wants so many, wherever they can be.
pub const SO_MANY: &str = "so-many";

/// In a configuration: every host refuses it, or its start panics.
pub const BAD_CONFIG: &str = "never taken";
pub const BAD_START: &str = "never starts";

/// Two of each pair want one name.
pub const PLACEMENTS: [Wanted; 8] = [
    Wanted {
        placement: "vault",
        service_type: OUTSIDE,
        holds: None,
    },
    Wanted {
        placement: "web",
        service_type: "greeter",
        holds: None,
    },
    Wanted {
        placement: "web-two",
        service_type: "greeter",
        holds: None,
    },
    Wanted {
        placement: "left",
        service_type: "flaky",
        holds: Some("port"),
    },
    Wanted {
        placement: "right",
        service_type: "flaky",
        holds: Some("port"),
    },
    Wanted {
        placement: "always",
        service_type: "daemon",
        holds: None,
    },
    Wanted {
        placement: "once",
        service_type: "once",
        holds: None,
    },
    Wanted {
        placement: "cursed",
        service_type: "flaky",
        holds: None,
    },
];
