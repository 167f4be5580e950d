//! One step: events and due subjects in, one delta with its decisions out. Pure: the same input gives the same output.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::command::Order;
use mainstay_protocol::report::{Numbered, Report, Reports};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{NodeName, codec, limits, words};
use mainstay_resource_graph::{
    Delta, Graph, Key, Kind, Parked, ParkedId, ParkedWhat, Savepoint, Txn, Vertex, View, ViewExt,
};

use crate::converge::converge;
use crate::entry::Decision;
use crate::env::Env;
use crate::event::{Event, Operation};
use crate::hash;
use crate::record::{self, Outcome};
use crate::rule::Rules;
use crate::verb;

#[derive(Debug)]
pub struct Stepped {
    pub delta: Delta,
    pub decisions: Vec<Decision>,
    /// One per event, in their order; the events behind them did not fit and are to be taken by the next step.
    pub outcomes: Vec<Outcome>,
    /// Subjects over the bound: to be judged in the next step.
    pub rest: BTreeSet<Key>,
}

pub fn step(
    graph: &Graph,
    rules: &Rules,
    events: &[Event],
    dirty: BTreeSet<Key>,
    env: &Env,
) -> Stepped {
    let mut txn = graph.begin(env.now, mainstay_resource_graph::Cause::Start);
    let mut dirty = dirty;
    let mut outcomes = Vec::with_capacity(events.len());
    let mut bytes = 0;
    for event in events {
        // The first is taken whatever it writes: `take` sees to its own bound.
        if bytes >= limits::STEP_BYTES_MAX {
            break;
        }
        dirty.extend(requeued_subject(&txn, event));
        dirty.extend(concerned_by_switch(&txn, rules, event));
        dirty.extend(let_go_of(&txn, event));
        let point = txn.savepoint();
        outcomes.push(take(&mut txn, event, env));
        bytes += txn.bytes_since(point);
    }
    record::forget(&mut txn, &dirty, env);
    dirty.extend(txn.dirty_keys());
    let converged = converge(&mut txn, rules, dirty, env);
    Stepped {
        delta: txn.finish(),
        decisions: converged.decisions,
        outcomes,
        rest: converged.rest,
    }
}

/// Records one event in a savepoint; one that panics, or writes too much, is parked and changes nothing else.
fn take(txn: &mut Txn<'_>, event: &Event, env: &Env) -> Outcome {
    if let Event::Reports { node, reports } = event {
        take_reports(txn, node, reports, env);
        return Outcome::Nothing;
    }
    let point = txn.savepoint();
    let recorded = catch_unwind(AssertUnwindSafe(|| record::event(txn, event, env)));
    let recorded = match recorded {
        Ok(outcome) => fits(txn, point).map(|()| outcome),
        Err(panic) => Err(panicked(panic.as_ref())),
    };
    match recorded {
        Ok(Outcome::Answer(Ok(recorded))) => {
            if let Some(again) = recorded.requeued.as_deref().and_then(decode) {
                take_again(txn, &again, env);
            }
            Outcome::Answer(Ok(recorded))
        }
        Ok(Outcome::Answer(Err(refusal))) => {
            txn.rollback(point);
            Outcome::Answer(Err(refusal))
        }
        Ok(outcome) => outcome,
        Err(why) => {
            txn.rollback(point);
            let text = format!(
                "recording it failed: {}; see mainstay parked list",
                why.text
            );
            let refusal = Refusal::new(why.code.clone(), text);
            park(txn, event, why, env);
            Outcome::Answer(Err(refusal))
        }
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Reason {
    Reason::new(code::EVENT_PARKED, words::of_panic(panic))
}

/// What one event writes goes into one entry. When a node with thousands of instances goes or comes, the words of
/// their old failures are what makes it large, and are cut short.
fn fits(txn: &mut Txn<'_>, point: Savepoint) -> Result<(), Reason> {
    if txn.bytes_since(point) <= limits::EVENT_BYTES_MAX {
        return Ok(());
    }
    for key in txn.changed_since(point) {
        if let Key::Instance(key) = &key
            && txn.instance(key).is_some()
        {
            verb::change(txn, key, verb::cut_words);
        }
    }
    let bytes = txn.bytes_since(point);
    if bytes <= limits::EVENT_BYTES_MAX {
        return Ok(());
    }
    let text = format!(
        "it would write {bytes} bytes at once, and at most {} fit; nothing was changed",
        limits::EVENT_BYTES_MAX
    );
    Err(Reason::new(code::ENTRY_TOO_LARGE, text))
}

/// Each report counts once: the watermark moves even if the report itself has to be parked.
fn take_reports(txn: &mut Txn<'_>, node: &NodeName, reports: &Reports, env: &Env) {
    for numbered in &reports.reports {
        if !record::take_sequence(txn, node, reports.node_epoch, numbered.sequence) {
            continue;
        }
        take_report(txn, node, reports, numbered, env);
    }
}

fn take_report(
    txn: &mut Txn<'_>,
    node: &NodeName,
    batch: &Reports,
    numbered: &Numbered,
    env: &Env,
) {
    let point = txn.savepoint();
    let recorded = catch_unwind(AssertUnwindSafe(|| {
        record::report(txn, node, &numbered.report, env);
    }));
    if let Err(panic) = recorded {
        txn.rollback(point);
        let reports = Reports {
            reports: vec![numbered.clone()],
            ..batch.clone()
        };
        let event = Event::Reports {
            node: node.clone(),
            reports,
        };
        park(txn, &event, panicked(panic.as_ref()), env);
    }
}

/// A requeued event goes past the watermark: it took its number when it was parked.
fn take_again(txn: &mut Txn<'_>, event: &Event, env: &Env) {
    match event {
        Event::Reports { node, reports } => {
            for numbered in &reports.reports {
                take_report(txn, node, reports, numbered, env);
            }
        }
        Event::Found(_)
        | Event::NodeUp { .. }
        | Event::AgentGone { .. }
        | Event::Stations(_)
        | Event::Sighted { .. }
        | Event::HostCommandRan { .. }
        | Event::StationStops { .. }
        | Event::Operator { .. } => {
            take(txn, event, env);
        }
    }
}

fn decode(payload: &[u8]) -> Option<Event> {
    codec::decode(payload, limits::DECODE_BYTES_MAX).ok()
}

/// Sets an event aside. An introduction comes again and again, so a node has one place for it; beyond the bound
/// nothing more is kept.
fn park(txn: &mut Txn<'_>, event: &Event, mut why: Reason, env: &Env) {
    if txn.keys(Kind::Parked).len() >= limits::PARKED_MAX {
        return;
    }
    words::cut(&mut why.text, limits::EVIDENCE_BYTES_MAX);
    let payload = codec::encode(event);
    // Nothing that came in over a session is as large.
    if payload.len() > limits::NODE_UP_BYTES_MAX {
        return;
    }
    let id = hash::stable(&match event {
        Event::NodeUp { up, .. } => format!("event node_up {}", up.node),
        Event::Found(_)
        | Event::Reports { .. }
        | Event::AgentGone { .. }
        | Event::Stations(_)
        | Event::Sighted { .. }
        | Event::HostCommandRan { .. }
        | Event::StationStops { .. }
        | Event::Operator { .. } => format!("event {} {payload:?}", env.revision),
    });
    let parked = Parked {
        what: ParkedWhat::Event {
            name: event.name().to_owned(),
            payload,
        },
        why,
        at: env.now,
    };
    txn.put(
        Key::Parked(ParkedId(format!("{:08x}", id >> 32))),
        Vertex::Parked(parked),
    )
    .expect("what is parked has no transitions");
}

/// A rule that is switched on finds what it missed; of one that is switched off it is said where it would act.
fn concerned_by_switch(txn: &Txn<'_>, rules: &Rules, event: &Event) -> Vec<Key> {
    let Event::Operator {
        operation: Operation::EnableRule { rule } | Operation::DisableRule { rule, .. },
        ..
    } = event
    else {
        return Vec::new();
    };
    let kind = rules.find(rule).map(|entry| (entry.watch)().kind);
    kind.map(|kind| txn.keys(kind)).unwrap_or_default()
}

/// Whoever has let go of what was taken back has a hand free, though nothing of it is written.
fn let_go_of(txn: &Txn<'_>, event: &Event) -> BTreeSet<Key> {
    let Event::Reports { reports, .. } = event else {
        return BTreeSet::new();
    };
    let reports = reports.reports.iter();
    let workers = reports.filter_map(|numbered| {
        let Report::CommandDone { command, .. } = &numbered.report else {
            return None;
        };
        match &txn.record(&Key::Command(*command))?.vertex {
            Vertex::Command(command) => match &command.order {
                Order::TakeBack(back) => Some(Key::Instance(back.instance.clone())),
                _ => None,
            },
            _ => None,
        }
    });
    workers.collect()
}

/// The subject of a rule that is taken out of the parking place is judged again: a rule that is not parked judges.
fn requeued_subject(txn: &Txn<'_>, event: &Event) -> Option<Key> {
    let Event::Operator {
        operation: Operation::Requeue { parked } | Operation::Drop { parked },
        ..
    } = event
    else {
        return None;
    };
    match &txn.record(&Key::Parked(parked.clone()))?.vertex {
        Vertex::Parked(Parked {
            what: ParkedWhat::Rule { subject, .. },
            ..
        }) => Some(subject.clone()),
        _ => None,
    }
}
