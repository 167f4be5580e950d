//! The other instances that a test says there are: up, on the nodes that it says, and answering what it says.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mainstay_protocol::code;
use mainstay_protocol::health::Health;
use mainstay_protocol::lookup::{Found, FoundInstance, Sought, SoughtBy};
use mainstay_protocol::request::{Answer, Called, Refusal};
use mainstay_protocol::{Incarnation, InstanceKey};
use serde_json::Value;
use tokio::sync::watch;

use crate::hosting::other_incarnation;
use crate::others::{Answered, Callee, Heard, Others, Watch};
use crate::outside::BoxFuture;

/// Answers a message, by its name and body.
pub type Answering = fn(&str, Value) -> Result<Value, Refusal>;

/// By their references, `db@n2`. Type and name of each are its placement's.
#[derive(Default)]
pub(super) struct Beside {
    answering: BTreeMap<InstanceKey, Answering>,
    /// Nothing changes, and nobody is told that it is over.
    told: Mutex<Vec<watch::Sender<Option<Answered>>>>,
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.answering.keys()).finish()
    }
}

impl Beside {
    pub(super) fn new(others: &[(&str, Answering)]) -> Self {
        let parsed = others.iter().map(|(reference, answering)| {
            let (placement, node) = reference.split_once('@').expect("it is like db@n2");
            let node = node.parse().expect("a node's name");
            let placement = placement.parse().expect("a placement's name");
            (InstanceKey::new(node, placement), *answering)
        });
        Self {
            answering: parsed.collect(),
            told: Mutex::default(),
        }
    }

    fn answer(&self, callee: &Callee, what: Called) -> Result<Answer, Refusal> {
        let instance = &callee.instance;
        let answering = self.answering.get(instance).ok_or_else(|| {
            Refusal::new(code::NOT_RUNNING, format!("the test has no {instance}"))
        })?;
        if let Some(called) = callee.incarnation.filter(|called| *called != first()) {
            return Err(other_incarnation(instance, called, first()));
        }
        Ok(match what {
            Called::Message { message, body } => {
                let body = serde_json::from_str(&body).unwrap_or(Value::Null);
                let body = answering(&message, body)?.to_string();
                Answer::Reply { body }
            }
            Called::Check => Answer::Health {
                health: Health::Ok,
                detail: String::new(),
                took_ms: 0,
                incarnation: first(),
            },
            Called::Status => Answer::Status {
                text: format!("{instance}, as the test has it"),
            },
        })
    }
}

impl Others for Beside {
    fn follow(&self, sought: Sought) -> Result<Watch, Refusal> {
        let wanted = match &sought.by {
            SoughtBy::Placement(name) => name.as_str(),
            SoughtBy::Type(name) => name.as_str(),
            SoughtBy::Name(name) => name.as_str(),
        };
        let mut keys: Vec<&InstanceKey> = self.answering.keys().collect();
        keys.retain(|key| key.placement.as_str() == wanted);
        keys.retain(|key| sought.node.as_ref().is_none_or(|node| *node == key.node));
        let found = Found {
            sought: sought.clone(),
            instances: keys.into_iter().map(found).collect(),
            left_out: 0,
        };
        let (told, known) = watch::channel(Some(Answered {
            found,
            heard: Heard::default(),
        }));
        let mut all = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(told);
        Ok(Watch::new(sought, known))
    }

    fn call(&self, callee: Callee, what: Called, _: Duration) -> BoxFuture<Answer> {
        let answer = self.answer(&callee, what).unwrap_or_else(Answer::Refused);
        Box::pin(async move { answer })
    }
}

fn first() -> Incarnation {
    Incarnation::default().next()
}

fn found(instance: &InstanceKey) -> FoundInstance {
    let name = instance.placement.as_str();
    FoundInstance {
        service_type: name.parse().expect("all names have one grammar"),
        name: name.parse().expect("all names have one grammar"),
        instance: instance.clone(),
        incarnation: first(),
        state: "Running".to_owned(),
        health: Health::Ok,
        address: String::new(),
        ports: BTreeMap::new(),
    }
}
