//! An instance's own words: what it uses, what it asks, what it announces, what it collects.

use std::collections::BTreeSet;
use std::time::Duration;

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::command::Answered;
use mainstay_protocol::report::{Manner, Report, TypedFailure, Use};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{Incarnation, InstanceKey, QuestionId, ResourceKey, limits};
use mainstay_resource_graph::{
    Asked, AskedId, Collected, CollectedId, Instance, Key, Kind, Relation, Resource, Txn, Vertex,
    View, ViewExt,
};

use super::operation::{Result_, recorded as taken};
use super::unknown;
use crate::env::Env;
use crate::verb;
use crate::word;

/// Who speaks.
#[derive(Clone, Copy)]
pub(super) struct Speaker<'a> {
    pub key: &'a InstanceKey,
    pub incarnation: Incarnation,
    pub instance: &'a Instance,
}

pub(super) fn said(txn: &mut Txn<'_>, who: Speaker<'_>, report: &Report, env: &Env) {
    match report {
        Report::Acquired {
            question,
            resource,
            manner,
            ..
        } => acquired(txn, who, *question, resource, *manner, env),
        Report::Released { resource, .. } => released(txn, who, resource),
        Report::Asked {
            question,
            failure,
            deadline_ms,
            ..
        } => asked(txn, who, *question, failure, *deadline_ms, env),
        Report::Announced { why, .. } => announced(txn, who, why),
        Report::Recorded { name, body, .. } => recorded(txn, who, name, body, env),
        _ => {}
    }
}

/// It has the resource, or is told why not.
fn acquired(
    txn: &mut Txn<'_>,
    who: Speaker<'_>,
    question: QuestionId,
    resource: &ResourceKey,
    manner: Manner,
    env: &Env,
) {
    if !who.instance.state.may_be_live() {
        return;
    }
    let answered = match refused(txn, who, resource, manner) {
        Some(refused) => Answered::Refused {
            code: refused.code,
            text: refused.text,
        },
        None => {
            let key = Key::Resource(resource.clone());
            txn.put(key.clone(), Vertex::Resource(Resource { manner }))
                .expect("a resource has no transitions");
            txn.link(Key::Instance(who.key.clone()), Relation::Uses, key)
                .expect("both ends exist");
            Answered::Granted
        }
    };
    word::order_answer(txn, (who.key, who.incarnation, question), answered, env);
}

/// It was granted by a graph that is no more. Who was granted it since keeps it too: the truth is that both have it.
pub(super) fn goes_on_using(txn: &mut Txn<'_>, key: &InstanceKey, used: &Use) {
    let resource = Key::Resource(used.resource.clone());
    let alone = txn.users(&used.resource).iter().all(|user| user == key);
    let manner = match alone {
        true => used.manner,
        false => Manner::Shared,
    };
    txn.put(resource.clone(), Vertex::Resource(Resource { manner }))
        .expect("a resource has no transitions");
    txn.link(Key::Instance(key.clone()), Relation::Uses, resource)
        .expect("both ends exist");
}

/// A stray wants something of a cluster that does not know it.
pub(super) fn refuse_stray(
    txn: &mut Txn<'_>,
    key: &InstanceKey,
    incarnation: Incarnation,
    report: &Report,
    env: &Env,
) {
    let (Report::Acquired { question, .. } | Report::Asked { question, .. }) = report else {
        return;
    };
    let answered = Answered::Refused {
        code: code::STRAY,
        text: "the cluster does not know it: no command started it, and it was not taken in"
            .to_owned(),
    };
    word::order_answer(txn, (key, incarnation, *question), answered, env);
}

fn refused(
    txn: &Txn<'_>,
    who: Speaker<'_>,
    resource: &ResourceKey,
    manner: Manner,
) -> Option<Reason> {
    let kinds = txn
        .service_type(&who.instance.service_type)
        .map(|found| found.declaration.may_use)
        .unwrap_or_default();
    if !kinds.iter().any(|kind| kind == resource.kind.as_str()) {
        let allowed = match kinds.is_empty() {
            true => "no resources at all".to_owned(),
            false => format!("only {}", kinds.join(", ")),
        };
        let text = format!(
            "{resource} is of kind {}, and its type {} may use {allowed}",
            resource.kind, who.instance.service_type
        );
        return Some(Reason::new(code::RESOURCE_NOT_ALLOWED, text));
    }
    let mut others = txn.users(resource);
    others.retain(|user| user != who.key);
    let have = txn.resource(resource).map(|found| found.manner);
    if !others.is_empty() && (manner == Manner::Alone || have == Some(Manner::Alone)) {
        let by: Vec<String> = others.iter().take(8).map(ToString::to_string).collect();
        let how = have.unwrap_or(Manner::Shared).as_str();
        let text = format!("{resource} is used by {} ({how})", by.join(", "));
        return Some(Reason::new(code::RESOURCE_HELD, text));
    }
    let uses = txn.uses(who.key);
    if uses.len() >= limits::RESOURCES_PER_INSTANCE_MAX && !uses.contains(resource) {
        let text = format!("it uses {} resources, which is all it may", uses.len());
        return Some(Reason::new(code::OVERLOADED, text));
    }
    None
}

fn released(txn: &mut Txn<'_>, who: Speaker<'_>, resource: &ResourceKey) {
    txn.unlink(
        &Key::Instance(who.key.clone()),
        Relation::Uses,
        &Key::Resource(resource.clone()),
    );
}

fn asked(
    txn: &mut Txn<'_>,
    who: Speaker<'_>,
    question: QuestionId,
    failure: &TypedFailure,
    deadline_ms: u64,
    env: &Env,
) {
    if !who.instance.state.may_be_live() {
        return;
    }
    let open = txn
        .keys(Kind::Asked)
        .into_iter()
        .filter(|key| match key {
            Key::Asked(id) => txn
                .asked(*id)
                .is_some_and(|asked| asked.instance == *who.key),
            _ => false,
        })
        .count();
    if open >= limits::QUESTIONS_OPEN_MAX {
        let answered = Answered::Refused {
            code: code::OVERLOADED,
            text: format!("{open} of its questions wait for their answer already"),
        };
        return word::order_answer(txn, (who.key, who.incarnation, question), answered, env);
    }
    let within = Duration::from_millis(deadline_ms.min(limits::QUESTION_MS_MAX));
    let asked = Asked {
        instance: who.key.clone(),
        incarnation: who.incarnation,
        question,
        failure: failure.clone(),
        deadline: env.now + within,
    };
    let id = AskedId(env.command_id().0);
    txn.put(Key::Asked(id), Vertex::Asked(asked))
        .expect("its number is new");
}

/// Said of what is up; how it ends is told when it does.
fn announced(txn: &mut Txn<'_>, who: Speaker<'_>, why: &str) {
    if !who.instance.state.is_up() {
        return;
    }
    let text = format!("it said that it is about to stop: {why}");
    verb::change(txn, who.key, |instance| {
        instance.reason = Some(Reason::new(code::ANNOUNCED_STOP, text));
    });
}

fn recorded(txn: &mut Txn<'_>, who: Speaker<'_>, name: &str, body: &str, env: &Env) {
    if txn.base().count(Kind::Collected) >= limits::COLLECTED_KEPT_MAX {
        return;
    }
    let record = Collected {
        instance: who.key.clone(),
        incarnation: who.incarnation,
        name: name.to_owned(),
        body: body.to_owned(),
        taken_by: BTreeSet::new(),
        until: env.now + Duration::from_millis(limits::COLLECTED_KEPT_MS),
    };
    let id = CollectedId(env.command_id().0);
    txn.put(Key::Collected(id), Vertex::Collected(record))
        .expect("its number is new");
}

/// As a rule would answer it.
pub(super) fn answer_by_hand(txn: &mut Txn<'_>, id: AskedId, answer: &str, env: &Env) -> Result_ {
    let Some(asked) = txn.asked(id) else {
        let number = id.0.to_string();
        return Err(unknown(
            code::NOT_FOUND,
            "the question",
            &number,
            txn,
            Kind::Asked,
        ));
    };
    let bad = |text: String| Refusal::new(code::BAD_REQUEST, text);
    let json: serde_json::Value = serde_json::from_str(answer)
        .map_err(|error| bad(format!("the answer is no JSON: {error}")))?;
    if !word::answer(txn, id, &json, env) {
        return Err(bad(format!(
            "the answer has {} bytes, and at most {} are taken",
            answer.len(),
            limits::WORD_BYTES_MAX
        )));
    }
    let text = format!("{} of {} is answered", asked.failure.name, asked.instance);
    Ok(taken(vec![asked.instance], text))
}

/// Collected records whose time is up: every rule had its chance. Nothing is decided by it, and nothing told.
pub fn forget(txn: &mut Txn<'_>, due: &BTreeSet<Key>, env: &Env) {
    for key in due {
        if let Key::Collected(id) = key
            && txn
                .collected(*id)
                .is_some_and(|record| record.until <= env.now)
        {
            txn.remove(key);
        }
    }
}
