//! The shape of a Placement.

use mainstay_coordinator::guarding;
use mainstay_protocol::{GroupName, NodeName, PlacementName, SlotName, TypeName, limits};

use super::shape::{Field, Of, Shape};

const DAY_MS: u64 = 24 * 3600 * 1000;

fn placement(text: &str) -> Result<(), String> {
    PlacementName::new(text)
        .map(drop)
        .map_err(|bad| bad.to_string())
}

fn service_type(text: &str) -> Result<(), String> {
    TypeName::new(text).map(drop).map_err(|bad| bad.to_string())
}

fn group(text: &str) -> Result<(), String> {
    GroupName::new(text)
        .map(drop)
        .map_err(|bad| bad.to_string())
}

fn slot(text: &str) -> Result<(), String> {
    SlotName::new(text).map(drop).map_err(|bad| bad.to_string())
}

fn node(text: &str) -> Result<(), String> {
    NodeName::new(text).map(drop).map_err(|bad| bad.to_string())
}

fn label(text: &str) -> Result<(), String> {
    mainstay_protocol::label::name(text).map_err(|bad| bad.to_string())
}

pub static PLACEMENT: Shape = Shape {
    name: "Placement",
    doc: "A wish: run this service type, with this configuration, on these nodes.",
    fields: &[
        Field::required(
            "name",
            Of::Name("a placement's name", placement),
            "Its name; instances are NAME@NODE.",
        ),
        Field::required(
            "type",
            Of::Name("a service type", service_type),
            "A service type, as `mainstay get types` lists them. It cannot be changed later.",
        ),
        Field::new(
            "holds",
            Of::Name("a name", slot),
            "the placement's name",
            "The exclusive name it takes on a node; generic types only. It cannot be changed later.",
        ),
        Field::new(
            "target",
            Of::Object(&TARGET),
            "{count: 1} for a singleton; else it has to be there",
            "Where its instances run.",
        ),
        Field::new(
            "config",
            Of::Free,
            "{}",
            "The configuration of the service type, as `mainstay describe type/TYPE` shows it.",
        ),
        Field::new(
            "policy",
            Of::Object(&POLICY),
            "the type's, then the cluster's settings",
            "When and how often it is restarted.",
        ),
        Field::new(
            "depends_on",
            Of::List(&Of::Object(&DEPENDENCY)),
            "[]",
            "What must be up before it starts, and stops after it.",
        ),
        Field::new(
            "update",
            Of::Object(&UPDATE),
            "one node after the other, taken back if it fails",
            "How a changed configuration reaches its instances.",
        ),
        Field::new(
            "restart_group",
            Of::Name("a restart group", group),
            "it restarts alone",
            "Placements of one group restart all together on a node when one of them fails there.",
        ),
        Field::new(
            "singleton",
            Of::Object(&SINGLETON),
            "several may run",
            "At most one in the cluster, whatever becomes of its node. It cannot be added or taken away later.",
        ),
        Field::new(
            "minimum",
            Of::Count {
                min: 0,
                max: limits::PLACEMENT_COUNT_MAX as u64,
            },
            "0",
            "So many must serve: a drain, a move, an update, a restart of the machine that would leave fewer is refused, or waits (`stop` and `restart` of instances ask nobody). Less than are wanted.",
        ),
        Field::new(
            "needs",
            Of::Object(&NEEDS),
            "nothing",
            "What each instance takes of its node: it starts only where so much is free, and nobody else is given it. It bounds nothing.",
        ),
    ],
    one_of: &[],
};

static TARGET: Shape = Shape {
    name: "target",
    doc: "Where instances run: on named nodes, on all that have certain labels, or on so many.",
    fields: &[
        Field::new(
            "nodes",
            Of::List(&Of::Name("a node", node)),
            "",
            "One on each of these nodes.",
        ),
        Field::new(
            "all",
            Of::Labels,
            "",
            "One on every node with these labels, also on those that come later; {} is every node. Beside `count`: nodes with these labels may have one.",
        ),
        Field::new(
            "count",
            Of::Count {
                min: 0,
                max: limits::PLACEMENT_COUNT_MAX as u64,
            },
            "",
            "So many, on nodes that the cluster chooses. One whose node is lost or drained is replaced.",
        ),
        Field::new(
            "spread",
            Of::Name("a label", label),
            "",
            "The label whose values `count` spreads over.",
        ),
        Field::new(
            "constraints",
            Of::Object(&CONSTRAINTS),
            "",
            "What a node must offer for `count` to choose it, whatever is taken of it.",
        ),
        Field::new(
            "affinity",
            Of::List(&Of::Object(&BESIDE)),
            "[]",
            "`count` chooses only nodes where an instance of each of these placements is.",
        ),
        Field::new(
            "anti_affinity",
            Of::List(&Of::Object(&BESIDE)),
            "[]",
            "`count` chooses only nodes where an instance of none of these placements is; its own may be among them.",
        ),
    ],
    one_of: &[&["nodes", "all", "count"]],
};

static POLICY: Shape = Shape {
    name: "policy",
    doc: "When and how often an instance that ended is started again.",
    fields: &[
        Field::new(
            "restart",
            Of::OneOf(&["always", "on-failure", "never"]),
            "the type's",
            "After which ends it is started again.",
        ),
        Field::new(
            "attempts",
            Of::Count {
                min: 1,
                max: limits::ATTEMPTS_KEPT_MAX as u64,
            },
            "setting restart.attempts",
            "Restarts within the window before it is quarantined.",
        ),
        Field::new(
            "window",
            Of::Duration {
                min_ms: 1000,
                max_ms: 7 * DAY_MS,
            },
            "setting restart.window",
            "The time in which attempts are counted.",
        ),
        Field::new(
            "backoff",
            Of::Object(&BACKOFF),
            "setting backoff",
            "The pause before a further try.",
        ),
        Field::new(
            "escalate",
            Of::OneOf(&["quarantine", "move"]),
            "quarantine",
            "What follows when the attempts are used up: it rests there, or, of `count`, another node is tried.",
        ),
        Field::new(
            "on_isolation",
            Of::Object(&ON_ISOLATION),
            "it is left alone",
            "What becomes of it on a node that lives and is cut off.",
        ),
        Field::new(
            "watched_from",
            Of::Count {
                min: 0,
                max: guarding::GUARDS_EACH as u64,
            },
            "0",
            "So many other nodes Check it as well: one that none of them gets an answer from is Degraded, and not restarted.",
        ),
    ],
    one_of: &[],
};

static BACKOFF: Shape = Shape {
    name: "backoff",
    doc: "Pauses double from the first to the longest.",
    fields: &[Field::new(
        "max",
        Of::Duration {
            min_ms: 1000,
            max_ms: DAY_MS,
        },
        "setting backoff.max",
        "The longest pause between two tries; up to a quarter is added.",
    )],
    one_of: &[],
};

static ON_ISOLATION: Shape = Shape {
    name: "on_isolation",
    doc: "On a node that others see, and the station does not.",
    fields: &[Field::new(
        "replace",
        Of::Duration {
            min_ms: 1000,
            max_ms: 7 * DAY_MS,
        },
        "never",
        "After so long it is given up, and replaced where so many are wanted. It may run twice meanwhile.",
    )],
    one_of: &[],
};

static DEPENDENCY: Shape = Shape {
    name: "depends_on",
    doc: "Another placement that must be up first.",
    fields: &[
        Field::required(
            "placement",
            Of::Name("a placement's name", placement),
            "The placement it stands on.",
        ),
        Field::new(
            "until",
            Of::OneOf(&["healthy", "started"]),
            "healthy",
            "How far that one must be.",
        ),
    ],
    one_of: &[],
};

static SINGLETON: Shape = Shape {
    name: "singleton",
    doc: "At most one in the cluster: its node ends it when it has not been heard for so long.",
    fields: &[
        Field::new(
            "lease",
            Of::Duration {
                min_ms: limits::LEASE_MS_MIN,
                max_ms: limits::LEASE_MS_MAX,
            },
            "5s",
            "How long it goes on without being heard; another starts elsewhere when that is over, and the time its stop may take.",
        ),
        Field::new(
            "fenced",
            Of::Bool,
            "false",
            "Another starts elsewhere only when the machine was switched off: by the setting host.fence, or by somebody who says so.",
        ),
    ],
    one_of: &[],
};

static NEEDS: Shape = Shape {
    name: "needs",
    doc: "What an instance takes of its node.",
    fields: &[
        Field::new("cores", Of::Cores, "0", "Of its cores."),
        Field::new("memory", Of::Bytes, "0", "Of its memory."),
        Field::new("disk", Of::Bytes, "0", "Of its disk."),
        Field::new(
            "ports",
            Of::List(&Of::Count {
                min: 1,
                max: 65_535,
            }),
            "[]",
            "Numbers of ports that no other instance there needs.",
        ),
    ],
    one_of: &[],
};

static CONSTRAINTS: Shape = Shape {
    name: "constraints",
    doc: "What a node must offer.",
    fields: &[
        Field::new("cores", Of::Cores, "0", "So many cores."),
        Field::new("memory", Of::Bytes, "0", "So much memory."),
        Field::new("disk", Of::Bytes, "0", "So much disk."),
    ],
    one_of: &[],
};

static BESIDE: Shape = Shape {
    name: "affinity",
    doc: "Where the instances of a placement are.",
    fields: &[
        Field::required(
            "placement",
            Of::Name("a placement's name", placement),
            "The placement.",
        ),
        Field::new(
            "label",
            Of::Name("a label", label),
            "each node is a place",
            "Nodes with one value of this label are one place.",
        ),
    ],
    one_of: &[],
};

static UPDATE: Shape = Shape {
    name: "update",
    doc: "How a changed configuration reaches the instances.",
    fields: &[
        Field::new(
            "strategy",
            Of::OneOf(&["rolling", "all", "canary"]),
            "rolling",
            "Some at a time, all at once, or one first and then the rest.",
        ),
        Field::new(
            "at_once",
            Of::Count {
                min: 1,
                max: limits::INSTANCES_PER_NODE_MAX as u64,
            },
            "1",
            "With rolling: so many at a time; the next when those are healthy.",
        ),
        Field::new(
            "wait",
            Of::Duration {
                min_ms: 0,
                max_ms: DAY_MS,
            },
            "2s",
            "So long an instance must be healthy before the next is changed, and before the change counts as good.",
        ),
        Field::new(
            "rollback",
            Of::Bool,
            "true",
            "Whether a change that makes an instance fail is taken back everywhere.",
        ),
    ],
    one_of: &[],
};
