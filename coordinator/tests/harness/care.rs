//! What people say of nodes, as verbs of scripts:
//!
//! ```text
//! cordon n1 an old disk | drain n1 [force] a new disk | uncordon n1 | label n1 role=db zone-
//! maintain n1 [for 30s] a new disk | maintained n1 | remove n1 | confirm-dead n1 no power
//! ```

use std::time::Duration;

use mainstay_coordinator::{NodeAct, Operation};

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
        ("maintain", ["for", seconds, rest @ ..]) => NodeAct::Maintain {
            why: why(rest),
            within: Some(Duration::from_secs(
                seconds.trim_end_matches('s').parse().unwrap(),
            )),
        },
        ("maintain", rest) => NodeAct::Maintain {
            why: why(rest),
            within: None,
        },
        ("maintained", []) => NodeAct::EndMaintenance,
        ("label", labels) => NodeAct::Label(labels.iter().map(|text| label(text)).collect()),
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

fn label(text: &str) -> (String, Option<String>) {
    match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text.trim_end_matches('-').to_owned(), None),
    }
}
