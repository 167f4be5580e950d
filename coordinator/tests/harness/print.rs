//! How scripts show what happened: one line each.

use mainstay_coordinator::why::{self, Cause, node_reason};
use mainstay_coordinator::{Decision, Effect, Outcome, lookup, status};
use mainstay_protocol::command::{Answered, Command, Order, StopManner};
use mainstay_protocol::{InstanceKey, Timestamp};
use mainstay_resource_graph::{Key, Kind, Node, Vertex, View, ViewExt, slot_of};

use super::hosts;
use super::types::node_name;
use super::world::World;

/// `restart web@n1: did MS-BACKOFF: attempt 2 of 5 in 1.1 s; panicked: boom`.
pub fn decision_line(decision: &Decision) -> String {
    let (how, code, text) = match &decision.outcome {
        Outcome::Did { code, text } => ("did", code, text),
        Outcome::Declined { code, text } => ("declined", code, text),
    };
    format!(
        "{} {}: {how} {code}: {text}",
        decision.rule, decision.subject
    )
}

fn command_line(command: &Command) -> String {
    match &command.order {
        Order::Start(start) => {
            let addresses = start.addresses.iter();
            let reaches = addresses.map(|(name, address)| format!(", {name} is at {address}"));
            format!(
                "start {} incarnation {} {}{}",
                start.instance,
                start.incarnation,
                start.config,
                reaches.collect::<String>()
            )
        }
        Order::Answer(answer) => {
            let answered = match &answer.answered {
                Answered::Granted => "granted".to_owned(),
                Answered::Said(json) => json.clone(),
                Answered::Refused { code, text } => format!("refused {code}: {text}"),
            };
            format!(
                "answer {} incarnation {} question {}: {answered}",
                answer.instance, answer.incarnation, answer.question.0
            )
        }
        Order::Adopt(adopt) => {
            format!("adopt {} incarnation {}", adopt.instance, adopt.incarnation)
        }
        Order::Work(work) => {
            let (instance, incarnation) = (&work.instance, work.incarnation);
            let (step, attempt, call) = (&work.step, work.attempt, work.call);
            format!(
                "work {instance} incarnation {incarnation}: {step} attempt {attempt} call {call} {}",
                work.inputs
            )
        }
        Order::TakeBack(back) => {
            let (instance, incarnation) = (&back.instance, back.incarnation);
            format!(
                "take back {instance} incarnation {incarnation}: command {}",
                back.work
            )
        }
        Order::Reconfigure(change) => {
            format!(
                "reconfigure {} incarnation {} {}",
                change.instance, change.incarnation, change.config
            )
        }
        Order::Stop(stop) => {
            let manner = match stop.manner {
                StopManner::AskThenKill => "asks",
                StopManner::Kill => "kills",
            };
            format!(
                "stop {} incarnation {} {manner}, {:?}",
                stop.instance, stop.incarnation, stop.why
            )
        }
    }
}

pub fn effect_lines(effect: &Effect) -> Vec<String> {
    match effect {
        Effect::Applied(entry) => entry.decisions.iter().map(decision_line).collect(),
        Effect::Welcome {
            node,
            node_epoch,
            watermark,
            ..
        } => {
            vec![format!(
                "welcome {node}: its outbox {node_epoch} up to {watermark}"
            )]
        }
        // That they look is seen by what comes of it.
        Effect::Look(_) => Vec::new(),
        Effect::AskHost(ask) => vec![hosts::line(ask)],
        Effect::Guard { guards, .. } if guards.nodes.is_empty() => Vec::new(),
        Effect::Watch { watches, .. } if watches.instances.is_empty() => Vec::new(),
        Effect::Watch { node, watches } => {
            let keys: Vec<String> = watches.instances.keys().map(ToString::to_string).collect();
            vec![format!("{node} watches {}", keys.join(" and "))]
        }
        Effect::Guard { node, guards } => {
            let nodes: Vec<&str> = guards.nodes.keys().map(|node| node.as_str()).collect();
            vec![format!("{node} guards {}", nodes.join(" and "))]
        }
        Effect::Deny { node, refusal, .. } => {
            vec![format!("deny {node}: {}: {}", refusal.code, refusal.text)]
        }
        Effect::Acknowledge { node, up_to, .. } => {
            vec![format!("acknowledge {node} up to {up_to}")]
        }
        Effect::Send { node, command } => {
            let term = command.leadership.term;
            vec![format!(
                "send {node} in term {term}: {}",
                command_line(command)
            )]
        }
        Effect::Reply {
            answer: Ok(accepted),
            ..
        } => {
            let changed = if accepted.changed {
                ""
            } else {
                " (nothing changed)"
            };
            vec![format!("answer: {}{changed}", accepted.text)]
        }
        Effect::Reply {
            answer: Err(refusal),
            ..
        } => {
            let nearest = match refusal.nearest.as_slice() {
                [] => String::new(),
                names => format!(" [nearest: {}]", names.join(", ")),
            };
            vec![format!(
                "refused: {}: {}{nearest}",
                refusal.code, refusal.text
            )]
        }
    }
}

/// `web@n1 Running incarnation 2 wanted Running, 1 restarts, holds noisy`.
pub fn instance_line(view: &dyn View, key: &InstanceKey, now: Timestamp) -> String {
    let Some(facts) = view.instance(key) else {
        return format!("{key} does not exist");
    };
    let mut line = format!(
        "{key} {:?} incarnation {} wanted {}",
        facts.state,
        facts.incarnation,
        facts.desired.as_str()
    );
    if !facts.attempts.is_empty() {
        line.push_str(&format!(", {} restarts", facts.attempts.len()));
    }
    let slot = slot_of(key, &facts);
    if view.holder(&slot).as_ref() == Some(key) {
        line.push_str(&format!(", holds {}", facts.name));
    }
    if view.waiters(&slot).contains(key) {
        line.push_str(&format!(", waits for {}", facts.name));
    }
    line.push_str(&format!(", health {}", facts.health.as_str()));
    for (what, at) in [("next try", facts.next_try), ("deadline", facts.deadline)] {
        if let Some(at) = at {
            line.push_str(&format!(", {what} in {:.1} s", at.since(now).as_secs_f64()));
        }
    }
    if let Some(reason) = &facts.reason {
        line.push_str(&format!(", because {}: {}", reason.code, reason.text));
    }
    line
}

fn node_line(name: &str, node: &Node) -> String {
    let key = Key::Node(name.parse().expect("it is a node's"));
    let reason = node_reason(&key, node).map_or_else(String::new, |reason| {
        format!(": {}: {}", reason.code, reason.text)
    });
    format!("node/{name} {}{reason}", node.state.as_str())
}

/// Nodes, instances and parked items, or one of them.
pub fn show(view: &dyn View, only: Option<&Key>, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    for kind in [Kind::Node, Kind::Instance, Kind::Parked] {
        for key in view.keys(kind) {
            if only.is_some_and(|only| *only != key) {
                continue;
            }
            let record = view.record(&key).expect("it is listed");
            match (&key, &record.vertex) {
                (Key::Instance(instance), _) => lines.push(instance_line(view, instance, now)),
                (Key::Node(name), Vertex::Node(node)) => lines.push(node_line(name.as_str(), node)),
                (_, Vertex::Parked(parked)) => lines.push(format!("{key} {}", parked.why.text)),
                (_, _) => {}
            }
        }
    }
    lines
}

pub fn commands(view: &dyn View) -> Vec<String> {
    view.keys(Kind::Command)
        .iter()
        .filter_map(|key| view.command(key))
        .map(|command| {
            let (instance, incarnation) = command.order.instance();
            let name = command.order.name();
            format!(
                "{name} {instance} incarnation {incarnation}, sent {} times",
                command.sends
            )
        })
        .collect()
}

pub fn why(view: &dyn View, key: &Key, now: Timestamp) -> Vec<String> {
    let Some(why) = why::why(view, key) else {
        return vec![format!("{key} does not exist")];
    };
    let mut lines = Vec::new();
    cause(&why.tree, 0, &mut lines);
    if !why.affects.is_empty() {
        let names: Vec<String> = why.affects.iter().map(ToString::to_string).collect();
        lines.push(format!("affects {}", names.join(", ")));
    }
    if let Some(will) = why.system_will {
        let at = will.at.map_or_else(String::new, |at| {
            format!(" in {:.1} s", at.since(now).as_secs_f64())
        });
        lines.push(format!("{} will {}{at}", will.rule, will.action));
    }
    lines.extend(
        why.you_can
            .iter()
            .map(|command| format!("you can: {command}")),
    );
    lines
}

fn cause(cause: &Cause, depth: usize, lines: &mut Vec<String>) {
    let mut line = format!("{}{}: {}", "  ".repeat(depth), cause.key, cause.state);
    if let Some(reason) = &cause.reason {
        line.push_str(&format!(", {}: {}", reason.code, reason.text));
    }
    if let Some(evidence) = &cause.evidence {
        line.push_str(&format!(" | {evidence}"));
    }
    lines.push(line);
    for behind in &cause.because {
        self::cause(behind, depth + 1, lines);
    }
}

pub fn status(view: &dyn View) -> Vec<String> {
    let status = status::status(view);
    let mut lines = vec![format!(
        "{:?}: {} of {} nodes, {} of {} instances",
        status.verdict,
        status.nodes.ok,
        status.nodes.total,
        status.instances.ok,
        status.instances.total
    )];
    for problem in &status.problems {
        let reason = problem
            .reason
            .as_ref()
            .map_or_else(String::new, |reason| format!(": {}", reason.code));
        lines.push(format!(
            "problem {}{reason}, root {}",
            problem.key, problem.root
        ));
    }
    for (list, works) in [
        ("working on", &status.working_on),
        ("scheduled", &status.scheduled),
    ] {
        lines.extend(
            works
                .iter()
                .map(|work| format!("{list} {}: {} by {}", work.key, work.action, work.rule)),
        );
    }
    lines
}

/// What an agent on a node is told.
pub fn lookup(view: &dyn View, sought: &str, from: &str) -> Vec<String> {
    let found = lookup::found(view, &node_name(from), &sought.parse().unwrap());
    let shown = found.instances.iter().map(|one| {
        let ports: Vec<String> = one
            .ports
            .iter()
            .map(|(name, port)| format!("{name}={port}"))
            .collect();
        format!(
            "{} {} incarnation {} as {}, {} {}, agent at \"{}\", ports [{}]",
            one.service_type,
            one.instance,
            one.incarnation,
            one.name,
            one.state,
            one.health.as_str(),
            one.address,
            ports.join(" ")
        )
    });
    let mut shown: Vec<String> = shown.collect();
    if shown.is_empty() {
        shown.push("nothing".to_owned());
    }
    shown
}

/// The answer to `why`, as scripts show it.
pub fn why_lines(world: &World, key: &Key) -> Vec<String> {
    why(world.graph(), key, world.log_now())
}
