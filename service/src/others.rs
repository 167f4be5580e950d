//! Other instances: found in the graph, called directly, and watched.
//!
//! ```text
//!   lookup, watch: Context --> agent --> what it follows of the graph (told by the station that leads)
//!   call:          Context --> agent --> agent of the other's node --> instance, and the answer back
//! ```
//! A call does not pass through a station, and needs none once the other is found.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mainstay_protocol::health::Health;
use mainstay_protocol::lookup::{Found, FoundInstance, Sought};
use mainstay_protocol::request::{Answer, Called, Refusal};
use mainstay_protocol::{Incarnation, InstanceKey, code, limits};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::context::Context;
use crate::outside::BoxFuture;

/// How long a lookup waits for a first answer. What was answered once is there at once.
const FOUND_WITHIN: Duration = Duration::from_secs(5);

/// How instances reach others; whatever hosts them has it.
pub trait Others: fmt::Debug + Send + Sync + 'static {
    /// Follows it for as long as the watch is kept. Refused where too much is followed.
    fn follow(&self, sought: Sought) -> Result<Watch, Refusal>;

    /// There is always an answer, at the latest a moment after `within`.
    fn call(&self, callee: Callee, what: Called, within: Duration) -> BoxFuture<Answer>;
}

/// What was found, and how old that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// Those that are up come first, of these those on the own node.
    pub instances: Vec<FoundInstance>,
    /// So many more there are than are told.
    pub left_out: u64,
    /// How long ago a station last stood by it. It grows while no station that leads is heard.
    pub age: Duration,
}

impl Lookup {
    /// The first that is up: on the own node, if there is one.
    pub fn up(&self) -> Option<&FoundInstance> {
        self.instances.iter().find(|one| one.is_up())
    }
}

/// Whom a call is for: `&FoundInstance`, and then that incarnation alone, or `&InstanceKey`, whichever runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callee {
    pub instance: InstanceKey,
    /// No other one answers.
    pub incarnation: Option<Incarnation>,
    /// Where its agent was when it was found; none: it is looked up.
    pub address: Option<String>,
}

impl From<&FoundInstance> for Callee {
    fn from(found: &FoundInstance) -> Self {
        Self {
            instance: found.instance.clone(),
            incarnation: Some(found.incarnation),
            address: Some(found.address.clone()),
        }
    }
}

impl From<&InstanceKey> for Callee {
    fn from(instance: &InstanceKey) -> Self {
        Self {
            instance: instance.clone(),
            incarnation: None,
            address: None,
        }
    }
}

/// The last answer to something that is followed.
#[derive(Debug, Clone)]
pub struct Answered {
    pub found: Found,
    pub heard: Heard,
}

/// When the station that answered was last heard: one for all that it answered.
#[derive(Debug, Clone)]
pub struct Heard(Arc<Mutex<Instant>>);

impl Default for Heard {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Heard {
    pub fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn age(&self) -> Duration {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.elapsed()
    }
}

/// Something that is followed, until it is dropped.
#[derive(Debug, Clone)]
pub struct Watch {
    sought: Sought,
    known: watch::Receiver<Option<Answered>>,
}

impl Watch {
    pub fn new(sought: Sought, known: watch::Receiver<Option<Answered>>) -> Self {
        Self { sought, known }
    }

    /// What is known now; waits for so long where nothing was ever answered.
    pub async fn now(&mut self, within: Duration) -> Result<Lookup, Refusal> {
        let answered = timeout(within, self.known.wait_for(Option::is_some)).await;
        match answered {
            Ok(Ok(known)) => known.as_ref().map(read).ok_or_else(ending),
            Ok(Err(_)) => Err(ending()),
            Err(_) => {
                let (sought, ms) = (&self.sought, within.as_millis());
                let text = format!(
                    "what is known of {sought} was never told here, and no station that leads has answered for {ms} ms"
                );
                Err(Refusal::new(code::NO_SERVER, text))
            }
        }
    }

    /// Waits until it is something else than when this was last asked.
    pub async fn changed(&mut self) -> Result<Lookup, Refusal> {
        loop {
            self.known.changed().await.map_err(|_| ending())?;
            if let Some(answered) = &*self.known.borrow_and_update() {
                return Ok(read(answered));
            }
        }
    }
}

fn read(answered: &Answered) -> Lookup {
    Lookup {
        instances: answered.found.instances.clone(),
        left_out: answered.found.left_out,
        age: answered.heard.age(),
    }
}

fn ending() -> Refusal {
    Refusal::new(code::NOT_RUNNING, "its agent is ending")
}

/// One incarnation of another instance, watched until it runs no more.
#[derive(Debug)]
pub struct Monitor {
    watch: Watch,
    last: FoundInstance,
}

impl Monitor {
    /// As it was when it was last looked at.
    pub fn last(&self) -> &FoundInstance {
        &self.last
    }

    /// Waits for its next change: another state, health or address. None when it runs no more, or another incarnation
    /// has its place: that is told once a station that leads is heard, which may be later than it is so.
    pub async fn changed(&mut self) -> Option<FoundInstance> {
        loop {
            let now = self.watch.changed().await.ok()?;
            let same = |one: &FoundInstance| one.incarnation == self.last.incarnation;
            let one = now.instances.into_iter().find(same)?;
            if one.is_over() {
                return None;
            }
            if one != self.last {
                self.last = one.clone();
                return Some(one);
            }
        }
    }
}

impl Context {
    /// Instances as the graph has them: `web` (a placement), `web@n1`, `type/greeter`, `name/front@n2`. The node keeps
    /// what it was told and is told of changes, so that asking often costs nothing, and asking goes on while no station
    /// answers: `age` says how old that is. None found is no error.
    pub async fn lookup(&self, sought: &str) -> Result<Lookup, Refusal> {
        let _waits = self.life.waits();
        self.watch(sought)?.now(FOUND_WITHIN).await
    }

    /// Follows what [`Context::lookup`] answers, for as long as it is kept.
    pub fn watch(&self, sought: &str) -> Result<Watch, Refusal> {
        let parsed = sought.parse::<Sought>();
        let sought = parsed.map_err(|bad| {
            let text = format!("\"{sought}\" is nothing to look for: {bad}");
            Refusal::new(code::BAD_REQUEST, text)
        })?;
        self.life.others().follow(sought)
    }

    /// Sends another instance one of its type's own messages, from agent to agent, and waits for the answer: `message`
    /// is its enum, or JSON like `json!({ "greet": { "name": "Ada" } })`. At most once: nothing is sent again, and after
    /// `MS-TIMEOUT` or `MS-ANSWER-LOST` it may have been taken or not. One that calls itself waits for itself.
    pub async fn call<A: DeserializeOwned>(
        &self,
        callee: impl Into<Callee>,
        message: impl Serialize,
        within: Duration,
    ) -> Result<A, Refusal> {
        let answer = self.put(callee.into(), named(&message)?, within).await;
        let Answer::Reply { body } = answer else {
            return Err(refused(answer));
        };
        serde_json::from_str(&body).map_err(|error| {
            let text = format!("the answer {body} is not what was expected: {error}");
            Refusal::new(code::BAD_REQUEST, text)
        })
    }

    /// What another instance's own Check says now, with its words.
    pub async fn check(
        &self,
        callee: impl Into<Callee>,
        within: Duration,
    ) -> Result<(Health, String), Refusal> {
        match self.put(callee.into(), Called::Check, within).await {
            Answer::Health { health, detail, .. } => Ok((health, detail)),
            other => Err(refused(other)),
        }
    }

    /// Another instance's status, which it writes to its log as well.
    pub async fn ask_status(
        &self,
        callee: impl Into<Callee>,
        within: Duration,
    ) -> Result<String, Refusal> {
        match self.put(callee.into(), Called::Status, within).await {
            Answer::Status { text } => Ok(text),
            other => Err(refused(other)),
        }
    }

    /// Watches one incarnation of another instance until it runs no more.
    pub async fn monitor(&self, callee: impl Into<Callee>) -> Result<Monitor, Refusal> {
        let Callee {
            instance,
            incarnation,
            ..
        } = callee.into();
        let _waits = self.life.waits();
        let mut watch = self.life.others().follow(Sought::from(&instance))?;
        let now = watch.now(FOUND_WITHIN).await?;
        let Some(last) = now
            .instances
            .into_iter()
            .next()
            .filter(|one| !one.is_over())
        else {
            let text = format!("{instance} does not run");
            return Err(Refusal::new(code::NOT_RUNNING, text));
        };
        match incarnation {
            Some(wanted) if wanted != last.incarnation => {
                Err(other_incarnation(&instance, wanted, last.incarnation))
            }
            Some(_) | None => Ok(Monitor { watch, last }),
        }
    }

    /// What it listens on, by a name for each port: told with its start to whoever looks it up. To be said in `start`.
    pub fn listens_on(&self, name: impl Into<String>, port: u16) {
        self.life.listens_on(name.into(), port);
    }

    async fn put(&self, callee: Callee, what: Called, within: Duration) -> Answer {
        let _waits = self.life.waits();
        self.life.others().call(callee, what, within).await
    }
}

/// The incarnation that is called is not the one that runs.
pub fn other_incarnation(
    instance: &InstanceKey,
    called: Incarnation,
    runs: Incarnation,
) -> Refusal {
    let text = format!("incarnation {called} of {instance} is called, and incarnation {runs} runs");
    Refusal::new(code::OTHER_INCARNATION, text)
}

/// The name and the body of a message, which is an externally tagged enum.
fn named(message: &impl Serialize) -> Result<Called, Refusal> {
    let bad = |text: String| Err(Refusal::new(code::BAD_REQUEST, text));
    let (message, body) = match serde_json::to_value(message) {
        Ok(Value::String(name)) => (name, String::new()),
        Ok(Value::Object(fields)) if fields.len() == 1 => match fields.into_iter().next() {
            Some((name, body)) => (name, body.to_string()),
            None => return bad("a message has a name".to_owned()),
        },
        Ok(other) => {
            return bad(format!(
                "{other} is no message: say its name, or {{name: body}}"
            ));
        }
        Err(error) => return bad(format!("the message is no JSON: {error}")),
    };
    let most = limits::JSON_BYTES_MAX;
    if message.len() > limits::NAME_BYTES_MAX || body.len() > most {
        let bytes = message.len() + body.len();
        return bad(format!(
            "a message of {bytes} bytes; at most {most} are taken"
        ));
    }
    Ok(Called::Message { message, body })
}

fn refused(answer: Answer) -> Refusal {
    match answer {
        Answer::Refused(refusal) => refusal,
        other => Refusal::new(
            code::INTERNAL,
            format!("{other:?} answers another question"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    fn one(count: u64, state: &str) -> Answered {
        let instance = InstanceKey::new("n2".parse().unwrap(), "db".parse().unwrap());
        let incarnation = Incarnation {
            count,
            ..Incarnation::default()
        };
        Answered {
            found: Found {
                sought: Sought::from(&instance),
                instances: vec![FoundInstance {
                    instance,
                    service_type: "process".parse().unwrap(),
                    name: "db".parse().unwrap(),
                    incarnation,
                    state: state.to_owned(),
                    health: Health::Ok,
                    address: String::new(),
                    ports: Default::default(),
                }],
                left_out: 0,
            },
            heard: Heard::default(),
        }
    }

    async fn monitored() -> (watch::Sender<Option<Answered>>, Monitor) {
        let (told, known) = watch::channel(Some(one(1, "Running")));
        let mut watch = Watch::new("db@n2".parse().unwrap(), known);
        let now = watch.now(SOON).await.unwrap();
        let last = now.instances.into_iter().next().unwrap();
        (told, Monitor { watch, last })
    }

    // proves: S14
    #[tokio::test]
    async fn a_monitor_tells_each_change_and_ends_with_its_incarnation() {
        for end in [Some(one(1, "Backoff")), Some(one(2, "Running")), None] {
            let (told, mut monitor) = monitored().await;
            told.send(Some(one(1, "Unknown"))).unwrap();
            assert_eq!(monitor.changed().await.unwrap().state, "Unknown");
            match end {
                Some(end) => drop(told.send(Some(end))),
                // Its agent ends.
                None => drop(told),
            }
            assert_eq!(monitor.changed().await, None);
            assert_eq!(monitor.last().incarnation.count, 1);
        }
    }

    // proves: S14
    #[tokio::test]
    async fn what_was_answered_grows_old_and_is_answered_all_the_same() {
        let (told, known) = watch::channel(None);
        let mut watch = Watch::new("db".parse().unwrap(), known);
        let unknown = watch.now(Duration::ZERO).await.unwrap_err();
        assert_eq!(unknown.code, code::NO_SERVER);
        let answered = one(1, "Running");
        let heard = answered.heard.clone();
        told.send(Some(answered)).unwrap();
        let first = watch.now(SOON).await.unwrap().age;
        let later = watch.now(SOON).await.unwrap().age;
        assert!(later > first);
        let mut old = later;
        while old < Duration::from_millis(20) {
            tokio::task::yield_now().await;
            old = watch.now(SOON).await.unwrap().age;
        }
        heard.now();
        assert!(watch.now(SOON).await.unwrap().age < old);
    }

    #[test]
    fn a_message_is_an_enum_with_its_name_outside() {
        // proves: S14
        let named = |message: Value| match named(&message) {
            Ok(Called::Message { message, body }) => (message, body),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => (refusal.code.to_string(), String::new()),
        };
        let text = |text: &str| text.to_owned();
        assert_eq!(named(json!("Stop")), (text("Stop"), text("")));
        let body = json!({ "Greet": { "name": "Ada" } });
        assert_eq!(named(body), (text("Greet"), text("{\"name\":\"Ada\"}")));
        for wrong in [json!(7), json!({}), json!({ "a": 1, "b": 2 })] {
            assert_eq!(named(wrong).0, code::BAD_REQUEST.as_str());
        }
        let long = json!({ "Greet": "x".repeat(limits::JSON_BYTES_MAX) });
        assert_eq!(named(long).0, code::BAD_REQUEST.as_str());
    }
}
