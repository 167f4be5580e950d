//! What every answer of `why` and `status` must be, whatever the graph is like.

use mainstay_coordinator::status::{self, Verdict};
use mainstay_coordinator::verb;
use mainstay_coordinator::why::{self, Cause};
use mainstay_protocol::limits;
use mainstay_resource_graph::{Key, Kind, View, ViewExt};

use crate::harness::{World, rules_of};

/// The commands there are, with how many words stand before their reference.
const COMMANDS: [(&str, usize); 24] = [
    ("node", 2),
    ("maintenance", 2),
    ("status", 1),
    ("get", 1),
    ("describe", 1),
    ("start", 1),
    ("stop", 1),
    ("restart", 1),
    ("reconfigure", 1),
    ("check", 1),
    ("ask-status", 1),
    ("call", 1),
    ("answer", 1),
    ("events", 1),
    ("decisions", 1),
    ("why", 1),
    ("wait", 1),
    ("clear", 1),
    ("parked", 2),
    ("chaos", 2),
    ("version", 1),
    ("station", 2),
    ("agent", 2),
    ("run", 2),
];

/// Everything in the graph is explained, everything not as wanted has a reason, and every command printed can be typed.
pub fn sensible(world: &World) {
    let view = world.graph();
    for kind in Kind::ALL {
        for key in view.keys(kind) {
            explained(world, &key);
        }
    }
    let status = status::status(view);
    for problem in &status.problems {
        assert!(view.record(&problem.root).is_some(), "{problem:?}");
        assert!(
            problem
                .reason
                .as_ref()
                .is_some_and(|reason| !reason.text.is_empty()),
            "{problem:?}"
        );
    }
    let rules = rules_of(&world.rules);
    for work in status.working_on.iter().chain(&status.scheduled) {
        assert!(rules.contains(&work.rule), "{work:?}");
    }
    if status.verdict == Verdict::Healthy {
        assert!(status.problems.is_empty());
        let maintained = status
            .scheduled
            .iter()
            .any(|work| ["maintenance", "placement_maintenance"].contains(&work.rule));
        // Of what is drained nothing is missed where others serve.
        let drained = view
            .keys(Kind::Instance)
            .into_iter()
            .filter(|key| match key {
                Key::Instance(key) => verb::drained(view, key).is_some(),
                _ => false,
            });
        let (missed, drained) = (
            status.instances.total - status.instances.ok,
            drained.count(),
        );
        assert!(maintained || missed <= drained, "{status:#?}");
    }
}

fn explained(world: &World, key: &Key) {
    let why = why::why(world.graph(), key).unwrap_or_else(|| panic!("{key} is not explained"));
    assert!(depth(&why.tree) <= limits::WHY_DEPTH_MAX);
    if let Key::Instance(at) = key {
        let instance = world.graph().instance(at).unwrap();
        let reason = why.tree.reason.as_ref();
        if !instance.is_as_wanted() {
            assert!(
                reason.is_some_and(|reason| !reason.text.is_empty()),
                "{key}: {instance:?}"
            );
        }
        assert!(!why.you_can.is_empty(), "{key}");
    }
    if let Some(will) = &why.system_will {
        assert!(
            rules_of(&world.rules).contains(&will.rule.as_str()),
            "{will:?}"
        );
    }
    why.you_can.iter().for_each(|command| typed(world, command));
}

fn depth(cause: &Cause) -> usize {
    1 + cause.because.iter().map(depth).max().unwrap_or_default()
}

/// `mainstay`, a command, and a reference of something that exists.
fn typed(world: &World, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(words[0], "mainstay", "{line}");
    let (name, before) = COMMANDS
        .into_iter()
        .find(|(name, _)| *name == words[1])
        .unwrap_or_else(|| panic!("{line}"));
    let Some(reference) = words.get(1 + before).filter(|word| !word.starts_with("--")) else {
        return;
    };
    let key: Key = match name {
        "parked" => format!("parked/{reference}").parse().unwrap(),
        "answer" => format!("asked/{reference}").parse().unwrap(),
        "start" => format!("type/{reference}").parse().unwrap(),
        "run" => format!("run/{reference}").parse().unwrap(),
        _ => reference
            .parse()
            .unwrap_or_else(|error| panic!("{line}: {error}")),
    };
    assert!(
        world.graph().record(&key).is_some(),
        "{line}: there is no {key}"
    );
}
