//! Which of the users' rules is judging what, just now: for whoever watches that judgements come to an end. The rules
//! that come with the system are not noted; it would cost every judgement something.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mainstay_resource_graph::Key;

use crate::rule::RuleEntry;

/// A judgement under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    pub rule: &'static str,
    pub subject: Key,
}

/// One leader core judges in a process.
static NOW: Mutex<Option<Judgement>> = Mutex::new(None);

/// What is being judged, if it is by a rule of a user's.
pub fn now() -> Option<Judgement> {
    lock().clone()
}

/// Ends with the judgement, also with one that panics.
pub(crate) struct Judging(());

pub(crate) fn begins(rule: &RuleEntry, subject: &Key) -> Option<Judging> {
    if !rule.users {
        return None;
    }
    *lock() = Some(Judgement {
        rule: rule.name,
        subject: subject.clone(),
    });
    Some(Judging(()))
}

impl Drop for Judging {
    fn drop(&mut self) {
        *lock() = None;
    }
}

fn lock() -> MutexGuard<'static, Option<Judgement>> {
    NOW.lock().unwrap_or_else(PoisonError::into_inner)
}
