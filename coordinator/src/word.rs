//! What rules make of an instance's own words: answers to what it asks, and its collected records.

use mainstay_protocol::command::{Answer, Answered, Order};
use mainstay_protocol::{Incarnation, InstanceKey, QuestionId, limits};
use mainstay_resource_graph::{AskedId, Collected, CollectedId, Key, Txn, Vertex, ViewExt};
use serde::Serialize;

use crate::env::Env;
use crate::verb;

/// Answers what an instance asked; what it makes of the answer is its type's business. False: it is not asked any
/// more, or the answer is longer than `limits::WORD_BYTES_MAX`.
pub fn answer(txn: &mut Txn<'_>, id: AskedId, said: &impl Serialize, env: &Env) -> bool {
    let Some(asked) = txn.asked(id) else {
        return false;
    };
    let Ok(json) = serde_json::to_string(said) else {
        return false;
    };
    if json.len() > limits::WORD_BYTES_MAX {
        return false;
    }
    txn.remove(&Key::Asked(id));
    let to = (&asked.instance, asked.incarnation, asked.question);
    order_answer(txn, to, Answered::Said(json), env);
    true
}

pub(crate) fn order_answer(
    txn: &mut Txn<'_>,
    (instance, incarnation, question): (&InstanceKey, Incarnation, QuestionId),
    answered: Answered,
    env: &Env,
) {
    let answer = Answer {
        instance: instance.clone(),
        incarnation,
        question,
        answered,
    };
    verb::command(txn, instance, Order::Answer(answer), env);
}

/// A record, the first time this rule takes it; none after that, or when its time is up.
pub fn take(txn: &mut Txn<'_>, id: CollectedId, rule: &str) -> Option<Collected> {
    let record = txn.collected(id)?;
    let mut taken = record.clone();
    if !taken.taken_by.insert(rule.to_owned()) {
        return None;
    }
    txn.put(Key::Collected(id), Vertex::Collected(taken))
        .expect("a record has no transitions");
    Some(record)
}
