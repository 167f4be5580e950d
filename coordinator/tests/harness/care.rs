//! What people say of nodes, as verbs of scripts:
//!
//! ```text
//! cordon n1 an old disk | drain n1 [force] a new disk | uncordon n1 | label n1 role=db zone-
//! restart-host n1 [force] it hangs
//! maintain n1 [for 30s] a new disk | maintain all | maintain placement/web | maintained n1 | remove n1 | confirm-dead n1 no power
//! ```

use std::time::Duration;

use mainstay_coordinator::{Maintain, NodeAct, Operation, WorkedOn};

pub fn operation(line: &str) -> Option<Operation> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (verb, node, rest) = match words.as_slice() {
        [verb, node, rest @ ..] => (*verb, *node, rest),
        _ => return None,
    };
    let why = |rest: &[&str]| rest.join(" ");
    let act = match (verb, rest) {
        ("cordon", rest) => NodeAct::Cordon { why: why(rest) },
        ("drain", ["force", rest @ ..]) => NodeAct::Drain {
            why: why(rest),
            force: true,
        },
        ("drain", rest) => NodeAct::Drain {
            why: why(rest),
            force: false,
        },
        ("uncordon", []) => NodeAct::Uncordon,
        ("maintain", rest) => return Some(maintenance(node, Some(maintain(rest)))),
        ("maintained", []) => return Some(maintenance(node, None)),
        ("label", labels) => NodeAct::Label {
            force: labels.contains(&"force"),
            labels: labels
                .iter()
                .filter(|text| **text != "force")
                .map(|text| label(text))
                .collect(),
        },
        ("restart-host", ["force", rest @ ..]) => NodeAct::Restart {
            why: why(rest),
            force: true,
        },
        ("restart-host", rest) => NodeAct::Restart {
            why: why(rest),
            force: false,
        },
        ("confirm-dead", rest) => NodeAct::ConfirmDead { why: why(rest) },
        ("remove", []) => NodeAct::Remove,
        _ => return None,
    };
    Some(Operation::Node {
        node: node.parse().unwrap(),
        act,
        by: "ada".to_owned(),
    })
}

/// `n1`, `all`, `placement/web`.
fn maintenance(what: &str, on: Option<Maintain>) -> Operation {
    let of = match (what, what.strip_prefix("placement/")) {
        ("all", _) => WorkedOn::EveryNode,
        (_, Some(name)) => WorkedOn::Placement(name.parse().unwrap()),
        (node, None) => WorkedOn::Node(node.parse().unwrap()),
    };
    Operation::Maintenance {
        of,
        on,
        by: "ada".to_owned(),
    }
}

/// `for 30s a new disk`, or `a new disk`.
pub fn maintain(words: &[&str]) -> Maintain {
    let (within, why) = match words {
        ["for", seconds, why @ ..] => (seconds.trim_end_matches('s').parse().ok(), why),
        why => (None, why),
    };
    Maintain {
        why: why.join(" "),
        within: within.map(Duration::from_secs),
    }
}

fn label(text: &str) -> (String, Option<String>) {
    match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text.trim_end_matches('-').to_owned(), None),
    }
}
