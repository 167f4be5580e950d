//! `converge`: runs the rules over what changed until nothing changes any more.
//!
//! Every (rule, subject) runs in a savepoint. A panic undoes what it wrote and parks that pair; rules that undo each
//! other's work are parked by name. Output is bounded: what is over the bound stays dirty for the next step.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mainstay_protocol::code::{self, Code, Reason};
use mainstay_protocol::{codec, limits, words};
use mainstay_resource_graph::{
    Cause, Key, Kind, Parked, ParkedId, ParkedWhat, Record, Txn, Vertex, View, ViewExt,
};

use crate::describe;
use crate::entry::{Decision, Outcome, Saw};
use crate::env::Env;
use crate::hash;
use crate::judging;
use crate::rule::{RuleEntry, Rules, Verdict};

/// What a step takes of those that are left, and what a full batch of events changes: the vertices of an event, and what
/// follows from it. Without room for them the last in the order of keys would wait for as long as events come.
const SUBJECTS_MAX: usize = limits::STEP_SUBJECTS_MAX + 4 * limits::BATCH_EVENTS_MAX;

/// A step's decisions, and what it left for the next.
#[derive(Debug, Default)]
pub struct Converged {
    pub decisions: Vec<Decision>,
    pub rest: BTreeSet<Key>,
    /// What was written and decided so far.
    bytes: usize,
}

impl Converged {
    fn is_full(&self) -> bool {
        self.bytes >= limits::STEP_BYTES_MAX || self.decisions.len() >= limits::STEP_DECISIONS_MAX
    }

    fn decided(&mut self, decision: Decision) {
        self.bytes += codec::encoded_len(&decision);
        self.decisions.push(decision);
    }
}

pub fn converge(txn: &mut Txn<'_>, rules: &Rules, dirty: BTreeSet<Key>, env: &Env) -> Converged {
    let mut done = Converged::default();
    let mut current = dirty;
    let off = switched_off(txn);
    // Who wrote in the later half: a circle of rules may take several rounds.
    let mut wrote = BTreeSet::new();
    for round in 0..limits::CONVERGE_ROUNDS_MAX {
        hold_back(&mut current, &mut done.rest);
        if current.is_empty() {
            return done;
        }
        release_parked(txn, rules, &current);
        let mut looked = Looked::at(&current, txn);
        let mut next = BTreeSet::new();
        for rule in rules.entries() {
            if rules.is_suspended(rule) {
                continue;
            }
            let judge = match off.contains(rule.name) {
                true => judge_switched_off,
                false => judge,
            };
            for subject in subjects(rule, &looked, txn) {
                if done.is_full() {
                    done.rest.extend(current);
                    done.rest.extend(next);
                    return done;
                }
                let changed = judge(rule, &subject, txn, env, &mut done);
                if !changed.is_empty() {
                    looked.again(&changed, txn);
                    if round >= limits::CONVERGE_ROUNDS_MAX / 2 {
                        wrote.insert((rule.name, subject));
                    }
                    next.extend(changed);
                }
            }
        }
        current = next;
    }
    for (rule, subject) in wrote {
        let text = format!(
            "after {} rounds it still writes",
            limits::CONVERGE_ROUNDS_MAX
        );
        let why = Reason::new(code::RULES_OSCILLATE, text);
        park(txn, rule, &subject, why, env, &mut done);
    }
    // What the others make of where it ended is for the next step.
    done.rest.extend(current);
    done
}

/// Who changed and left what a rule watches does not concern it any more: nothing is set aside for that pair. Of what
/// cannot be seen for now nothing is known, so it stays.
fn release_parked(txn: &mut Txn<'_>, rules: &Rules, changed: &BTreeSet<Key>) {
    if !txn.may_have(Kind::Parked) {
        return;
    }
    for key in changed {
        let subject = txn.record(key);
        if subject
            .as_ref()
            .is_some_and(|subject| is_out_of_sight(subject))
        {
            continue;
        }
        for rule in rules.entries() {
            let parked = parked_key(rule.name, key);
            let stands = txn.record(&parked).is_none_or(|parked| {
                subject.as_ref().is_some_and(|subject| {
                    is_parked_at(&parked, subject) || (rule.watch)().matches(subject)
                })
            });
            if !stands {
                txn.remove(&parked);
            }
        }
    }
}

fn is_out_of_sight(subject: &Record) -> bool {
    matches!(
        &subject.vertex,
        Vertex::Instance(instance) if instance.state.out_of_sight().is_some()
    )
}

fn hold_back(current: &mut BTreeSet<Key>, rest: &mut BTreeSet<Key>) {
    if current.len() > SUBJECTS_MAX {
        let first_over = current.iter().nth(SUBJECTS_MAX).cloned();
        if let Some(first_over) = first_over {
            rest.append(&mut current.split_off(&first_over));
        }
    }
}

/// What changed, looked up once for all rules: a vertex among very many is far away.
struct Looked {
    /// In the order of their keys.
    all: Vec<(Key, Option<Arc<Record>>)>,
}

impl Looked {
    fn at(changed: &BTreeSet<Key>, txn: &Txn<'_>) -> Self {
        let look = |key: &Key| (key.clone(), txn.record(key));
        Self {
            all: changed.iter().map(look).collect(),
        }
    }

    /// Those that a rule has just written.
    fn again(&mut self, written: &[Key], txn: &Txn<'_>) {
        for key in written {
            if let Ok(at) = self.all.binary_search_by(|(known, _)| known.cmp(key)) {
                self.all[at].1 = txn.record(key);
            }
        }
    }
}

/// In the order of their keys, each once.
fn subjects(rule: &RuleEntry, changed: &Looked, txn: &Txn<'_>) -> Vec<Key> {
    let watch = (rule.watch)();
    let mut subjects = Vec::new();
    for (key, record) in &changed.all {
        let is_watched = |record: &Arc<Record>| watch.matches(record);
        if key.kind() == watch.kind && record.as_ref().is_some_and(is_watched) {
            subjects.push(key.clone());
        }
        for other in (rule.subjects_of)(key, txn) {
            if txn.record(&other).as_ref().is_some_and(is_watched) {
                subjects.push(other);
            }
        }
    }
    subjects.sort_unstable();
    subjects.dedup();
    subjects
}

/// Runs one rule on one subject; returns what it changed.
fn judge(
    rule: &RuleEntry,
    subject: &Key,
    txn: &mut Txn<'_>,
    env: &Env,
    done: &mut Converged,
) -> Vec<Key> {
    let Some(before) = txn.record(subject) else {
        return Vec::new();
    };
    let parked = txn
        .may_have(Kind::Parked)
        .then(|| parked_key(rule.name, subject));
    let stands = parked
        .as_ref()
        .and_then(|parked| txn.record(parked))
        .is_some_and(|record| is_parked_at(&record, &before));
    if stands {
        return Vec::new();
    }
    let point = txn.savepoint();
    txn.start_reads();
    txn.set_cause(Cause::Rule(rule.name.to_owned()));
    let judging = judging::begins(rule, subject);
    let judged = catch_unwind(AssertUnwindSafe(|| (rule.judge)(subject, txn, env)));
    drop(judging);
    let reads: Vec<Key> = txn.take_reads().into_iter().map(|(key, _)| key).collect();
    let bytes = txn.bytes_since(point);
    let judged = match judged {
        Ok(_) if bytes > limits::JUDGEMENT_BYTES_MAX => Err(too_large(bytes)),
        Ok(verdict) => {
            done.bytes += bytes;
            Ok(verdict)
        }
        Err(panic) => Err(Reason::new(
            code::RULE_PANICKED,
            words::of_panic(panic.as_ref()),
        )),
    };
    let (code, text, did) = match judged {
        Err(why) => {
            txn.rollback(point);
            park(txn, rule.name, subject, why, env, done);
            return Vec::new();
        }
        Ok(Verdict::Nothing) => {
            release(txn, parked.as_ref());
            return txn.changed_since(point);
        }
        Ok(Verdict::Did { code, text }) => (code, text, true),
        Ok(Verdict::Declined { code, text }) => {
            if !begins_to_stand(txn, rule.name, subject, &code) {
                return txn.changed_since(point);
            }
            (code, text, false)
        }
    };
    release(txn, parked.as_ref());
    let outcome = if did {
        Outcome::Did { code, text }
    } else {
        Outcome::Declined { code, text }
    };
    done.decided(decision(rule.name, &before, &reads, outcome, txn));
    txn.changed_since(point)
}

/// It judged without a panic: what was parked for an earlier state is over.
fn release(txn: &mut Txn<'_>, parked: Option<&Key>) {
    if let Some(parked) = parked {
        txn.remove(parked);
    }
}

fn switched_off(txn: &Txn<'_>) -> BTreeSet<String> {
    let cluster = txn.cluster();
    cluster.map_or_else(BTreeSet::new, |cluster| {
        cluster.rules_off.into_keys().collect()
    })
}

/// What the rule would do is undone; where it would do something, that it does not is recorded once.
fn judge_switched_off(
    rule: &RuleEntry,
    subject: &Key,
    txn: &mut Txn<'_>,
    env: &Env,
    done: &mut Converged,
) -> Vec<Key> {
    let Some(before) = txn.record(subject) else {
        return Vec::new();
    };
    let point = txn.savepoint();
    txn.start_reads();
    txn.set_cause(Cause::Rule(rule.name.to_owned()));
    let judging = judging::begins(rule, subject);
    let judged = catch_unwind(AssertUnwindSafe(|| (rule.judge)(subject, txn, env)));
    drop(judging);
    let reads: Vec<Key> = txn.take_reads().into_iter().map(|(key, _)| key).collect();
    txn.rollback(point);
    // A panic of a rule that is switched off is nobody's trouble.
    let Ok(Verdict::Did { text, .. }) = judged else {
        return Vec::new();
    };
    let code = code::RULE_OFF;
    if !begins_to_stand(txn, rule.name, subject, &code) {
        return Vec::new();
    }
    let text = format!("the rule {} is switched off; it would: {text}", rule.name);
    let outcome = Outcome::Declined { code, text };
    done.decided(decision(rule.name, &before, &reads, outcome, txn));
    txn.changed_since(point)
}

fn too_large(bytes: usize) -> Reason {
    let text = format!(
        "it would write {bytes} bytes at once, and at most {} fit",
        limits::JUDGEMENT_BYTES_MAX
    );
    Reason::new(code::ENTRY_TOO_LARGE, text)
}

/// A refusal is recorded when it begins: the subject remembers, for each rule, the one that stands.
fn begins_to_stand(txn: &mut Txn<'_>, rule: &str, subject: &Key, code: &Code) -> bool {
    let Key::Instance(key) = subject else {
        return false;
    };
    let Some(instance) = txn.instance(key) else {
        return false;
    };
    if instance.refusals.get(rule) == Some(code) {
        return false;
    }
    txn.update_instance(key, |instance| {
        instance.refusals.insert(rule.to_owned(), code.clone());
    })
    .is_ok()
}

fn decision(
    rule: &str,
    before: &Arc<Record>,
    reads: &[Key],
    outcome: Outcome,
    txn: &Txn<'_>,
) -> Decision {
    let mut saw = vec![saw(before)];
    let mut bytes = saw[0].text.len();
    for key in reads {
        // As it was before this step: what the rule itself wrote is in the outcome.
        let Some(record) = txn.before(key).filter(|record| record.key != before.key) else {
            continue;
        };
        let next = self::saw(&record);
        bytes += next.text.len();
        if saw.len() >= limits::DECISION_READS_MAX || bytes > limits::DECISION_BYTES_MAX {
            break;
        }
        saw.push(next);
    }
    Decision {
        rule: rule.to_owned(),
        subject: before.key.clone(),
        saw,
        outcome,
    }
}

fn saw(record: &Record) -> Saw {
    let mut text = describe::record(record);
    words::cut(&mut text, limits::DECISION_BYTES_MAX / 8);
    Saw {
        key: record.key.clone(),
        rev: record.rev,
        text,
    }
}

pub fn parked_key(rule: &str, subject: &Key) -> Key {
    let hash = hash::stable(&format!("{rule} {subject}"));
    Key::Parked(ParkedId(format!("{:08x}", hash >> 32)))
}

fn is_parked_at(parked: &Record, subject: &Record) -> bool {
    match &parked.vertex {
        Vertex::Parked(Parked {
            what: ParkedWhat::Rule { rev, .. },
            ..
        }) => *rev == subject.rev,
        _ => false,
    }
}

fn park(
    txn: &mut Txn<'_>,
    rule: &str,
    subject: &Key,
    mut why: Reason,
    env: &Env,
    done: &mut Converged,
) {
    let Some(record) = txn.record(subject) else {
        return;
    };
    words::cut(&mut why.text, limits::EVIDENCE_BYTES_MAX);
    let parked = Parked {
        what: ParkedWhat::Rule {
            rule: rule.to_owned(),
            subject: subject.clone(),
            rev: record.rev,
        },
        why: why.clone(),
        at: env.now,
    };
    txn.put(parked_key(rule, subject), Vertex::Parked(parked))
        .expect("what is parked has no transitions");
    let Reason { code, text, .. } = why;
    let outcome = Outcome::Declined { code, text };
    done.decided(decision(rule, &record, &[], outcome, txn));
}

/// How many of each rule's decisions there are: what the simulator shows to have fired.
pub fn count_by_rule(decisions: &[Decision]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for decision in decisions {
        *counts.entry(decision.rule.as_str()).or_default() += 1;
    }
    counts
}
