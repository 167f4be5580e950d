//! Rules that go over several events: each step has a deadline, so that every one comes to its end.
//!
//! ```text
//!   watched subject --begin--> step --changed--> go_on --> stays | next step | end
//!                               |                ^
//!                               '---deadline-----'
//! ```
//! What it remembers between two steps is a vertex of the graph, `procedure/ID`: it survives the coordinator, and
//! people see it. One at a time of each rule and subject. Like every rule it runs in a savepoint and may panic.

use mainstay_protocol::code::{self, Code};
use mainstay_protocol::{Timestamp, limits};
use mainstay_resource_graph::{
    Key, Procedure as ProcedureVertex, ProcedureId, Txn, Vertex, View, ViewExt,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

use crate::env::Env;
use crate::hash;
use crate::rule::{RuleEntry, Subject, Verdict, Watch};

/// Several steps on one subject.
pub trait Procedure {
    const NAME: &'static str;
    /// What it does, in a sentence for people.
    const ABOUT: &'static str = "";
    /// What goes wrong without it, where something does.
    const SAFETY: Option<&'static str> = None;
    type Subject: Subject;
    /// What it remembers from one step to the next; small.
    type Step: Serialize + DeserializeOwned;

    /// On whom it begins. A subject on which it came to its end has to leave its state before it begins there again.
    fn watches() -> Watch;

    /// `Next::Stay`: nothing to begin.
    fn begin(subject: Self::Subject, txn: &mut Txn<'_>, env: &Env) -> Next<Self::Step>;

    /// Its subject changed, or the step's time is up. Staying is no answer to the latter: it ends there.
    fn go_on(
        subject: Self::Subject,
        step: Self::Step,
        turn: Turn,
        txn: &mut Txn<'_>,
        env: &Env,
    ) -> Next<Self::Step>;
}

/// Why it is asked how to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Changed,
    TimeIsUp,
}

/// How it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<S> {
    Stay,
    /// From now on this step, for so long.
    Step {
        step: S,
        within: Duration,
        /// What it waits for, for people.
        text: String,
    },
    End {
        code: Code,
        text: String,
    },
}

impl<S> Next<S> {
    pub fn step(step: S, within: Duration, text: impl Into<String>) -> Self {
        Self::Step {
            step,
            within,
            text: text.into(),
        }
    }

    pub fn end(text: impl Into<String>) -> Self {
        Self::End {
            code: code::PROCEDURE_ENDED,
            text: text.into(),
        }
    }
}

/// As converge runs it: a rule that is asked about every change of its kind.
pub(crate) fn entry<P: Procedure>() -> RuleEntry {
    RuleEntry {
        name: P::NAME,
        about: P::ABOUT,
        safety: P::SAFETY,
        watch: || P::watches().widened(),
        subjects_of: |changed, view| match changed {
            Key::Procedure(id) => subject_of(view, id, P::NAME).into_iter().collect(),
            _ => Vec::new(),
        },
        judge: judge::<P>,
        users: true,
    }
}

fn subject_of(view: &dyn View, id: &ProcedureId, rule: &str) -> Option<Key> {
    let found = view.procedure(id).filter(|found| found.rule == rule)?;
    Some(found.subject)
}

pub fn id_of(rule: &str, subject: &Key) -> ProcedureId {
    let hash = hash::stable(&format!("procedure {rule} {subject}"));
    ProcedureId(format!("{hash:016x}"))
}

fn judge<P: Procedure>(key: &Key, txn: &mut Txn<'_>, env: &Env) -> Verdict {
    let (Some(subject), Some(record)) = (P::Subject::from_key(key), txn.record(key)) else {
        return Verdict::Nothing;
    };
    let id = id_of(P::NAME, key);
    let watched = P::watches().matches(&record);
    let Some(under_way) = txn.procedure(&id) else {
        if !watched {
            return Verdict::Nothing;
        }
        let next = P::begin(subject, txn, env);
        return write(txn, key, P::NAME, next, 0, env);
    };
    let Some(deadline) = under_way.deadline else {
        // It left the state it was in when this ended, whether or not that was seen: it may begin again.
        let ended = txn
            .record(&Key::Procedure(id.clone()))
            .map(|record| record.since);
        if watched && ended.is_some_and(|ended| record.since > ended) {
            let next = P::begin(subject, txn, env);
            return write(txn, key, P::NAME, next, 0, env);
        }
        if !watched {
            txn.remove(&Key::Procedure(id));
        }
        return Verdict::Nothing;
    };
    let time_is_up = deadline <= env.now;
    let next = match serde_json::from_str::<P::Step>(&under_way.step) {
        Ok(step) => {
            let turn = match time_is_up {
                true => Turn::TimeIsUp,
                false => Turn::Changed,
            };
            P::go_on(subject, step, turn, txn, env)
        }
        Err(error) => Next::end(format!(
            "its step is not one that this build knows: {error}"
        )),
    };
    match next {
        Next::Stay if time_is_up => {
            let text = format!(
                "its time was up and nothing was to follow: {}",
                under_way.text
            );
            write(txn, key, P::NAME, Next::<P::Step>::end(text), 0, env)
        }
        Next::Stay => Verdict::Nothing,
        next => write(txn, key, P::NAME, next, under_way.count, env),
    }
}

fn write<S: Serialize>(
    txn: &mut Txn<'_>,
    subject: &Key,
    rule: &str,
    next: Next<S>,
    steps: u32,
    env: &Env,
) -> Verdict {
    match next {
        Next::Stay => Verdict::Nothing,
        Next::Step { step, within, text } => {
            let step = serde_json::to_string(&step).expect("a step is plain data");
            assert!(
                step.len() <= limits::PROCEDURE_STEP_BYTES_MAX,
                "a step of {} bytes, and at most {} are kept",
                step.len(),
                limits::PROCEDURE_STEP_BYTES_MAX
            );
            let deadline = Some(env.now + within);
            put(
                txn,
                subject,
                rule,
                (step, text.clone(), deadline, steps + 1),
            );
            Verdict::did(code::PROCEDURE_STEP, text)
        }
        Next::End { code, text } => {
            put(
                txn,
                subject,
                rule,
                ("null".to_owned(), text.clone(), None, steps + 1),
            );
            Verdict::did(code, text)
        }
    }
}

fn put(
    txn: &mut Txn<'_>,
    subject: &Key,
    rule: &str,
    (step, text, deadline, count): (String, String, Option<Timestamp>, u32),
) {
    let vertex = ProcedureVertex {
        rule: rule.to_owned(),
        subject: subject.clone(),
        step,
        text,
        deadline,
        count,
    };
    txn.put(
        Key::Procedure(id_of(rule, subject)),
        Vertex::Procedure(vertex),
    )
    .expect("a procedure has no transitions");
}
