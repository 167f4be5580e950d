//! The socket where programs of this machine look instances up and call them, in whatever language they are written: a
//! line of JSON for each question, a line for each answer.
//!
//! ```text
//! {"lookup":"web"}                        {"instances":[{"instance":"web@n1",..}],"left_out":0,"age_ms":12}
//! {"watch":"type/greeter"}                the same now, and again whenever it is something else
//! {"call":"web@n1","message":"greet","body":{"name":"Ada"}}                {"answer":{..}}
//! what cannot be answered                 {"error":{"code":"MS-NOT-RUNNING","text":"..","nearest":[]}}
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mainstay_identity::local;
use mainstay_protocol::code;
use mainstay_protocol::lookup::{FoundInstance, Sought, SoughtBy};
use mainstay_protocol::request::{Answer, Called, Refusal};
use mainstay_protocol::{InstanceKey, NodeName, limits};
use mainstay_service::hosting::Others;
use mainstay_service::{Callee, Lookup, Watch};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// In the agent's directory; short, since a socket's path is.
const SOCKET: &str = "ask.sock";
/// How long a lookup waits for its first answer, and a call for its answer unless it says.
const WITHIN: Duration = Duration::from_secs(5);
/// After an accept that failed (too many open files): time for some to close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct Programs {
    listener: UnixListener,
    path: PathBuf,
}

/// One question: with exactly one of the first three.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Question {
    lookup: Option<String>,
    watch: Option<String>,
    call: Option<String>,
    message: Option<String>,
    body: Value,
    /// As people see it: its count.
    incarnation: Option<u64>,
    within_ms: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Shown {
    instances: Vec<ShownInstance>,
    left_out: u64,
    age_ms: u64,
}

#[derive(Debug, Serialize)]
struct ShownInstance {
    instance: String,
    placement: String,
    node: String,
    #[serde(rename = "type")]
    service_type: String,
    name: String,
    incarnation: u64,
    state: String,
    health: &'static str,
    /// Of its node's agent.
    agent: String,
    ports: BTreeMap<String, u16>,
    /// Of its port http, else its first, as reached from here.
    address: Option<String>,
}

impl Programs {
    /// None: the agent runs without it.
    pub(crate) fn bind(dir: &Path) -> Option<Self> {
        let path = std::path::absolute(dir.join(SOCKET)).unwrap_or_else(|_| dir.join(SOCKET));
        match local::listen(&path) {
            Ok(listener) => Some(Self { listener, path }),
            Err(error) => {
                let path = path.display();
                tracing::warn!(%path, %error, "programs of this machine cannot look anything up");
                None
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// For as long as the agent runs. Dropped, it ends every connection.
    pub(crate) async fn serve(self, node: NodeName, others: Arc<dyn Others>) {
        let places = Arc::new(Semaphore::new(limits::LOCAL_CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(ended) = connections.join_next(), if !connections.is_empty() => {
                    if let Err(error) = ended && error.is_panic() {
                        tracing::error!(%error, "a program's connection panicked; the others go on");
                    }
                    continue;
                }
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "accepting a program failed");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let place = Arc::clone(&places).try_acquire_owned();
            let program = Program {
                node: node.clone(),
                others: Arc::clone(&others),
            };
            connections.spawn(async move {
                let refusal = match (admitted(&stream), &place) {
                    (Err(stranger), _) => Some(Refusal::new(code::NOT_ALLOWED, stranger)),
                    (Ok(()), Err(_)) => {
                        let text = "as many programs as may be are connected already";
                        Some(Refusal::new(code::OVERLOADED, text))
                    }
                    (Ok(()), Ok(_)) => None,
                };
                // It went, or broke: nobody else needs to know.
                let _ = program.converse(stream, refusal).await;
                drop(place);
            });
        }
    }
}

fn admitted(stream: &UnixStream) -> Result<(), String> {
    match local::admit(stream) {
        Ok(Ok(_pid)) => Ok(()),
        Ok(Err(stranger)) => Err(stranger.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

type Lines = BufReader<OwnedReadHalf>;

/// One connection.
struct Program {
    node: NodeName,
    others: Arc<dyn Others>,
}

impl Program {
    async fn converse(self, stream: UnixStream, refused: Option<Refusal>) -> std::io::Result<()> {
        let (read, mut write) = stream.into_split();
        if let Some(refusal) = refused {
            return say(&mut write, &error(&refusal)).await;
        }
        let mut lines = BufReader::new(read);
        while let Some(line) = next(&mut lines).await? {
            let question = match line.and_then(|line| parsed(&line)) {
                Ok(question) => question,
                Err(refusal) => {
                    say(&mut write, &error(&refusal)).await?;
                    // Where the next line begins is not known.
                    if refusal.code == code::OVERLOADED {
                        return Ok(());
                    }
                    continue;
                }
            };
            if let Some(sought) = &question.watch {
                match self.follow(sought) {
                    Ok(watch) => return self.tell(watch, lines, write).await,
                    Err(refusal) => say(&mut write, &error(&refusal)).await?,
                }
                continue;
            }
            let answer = self.answer(question).await;
            say(
                &mut write,
                &answer.unwrap_or_else(|refusal| error(&refusal)),
            )
            .await?;
        }
        Ok(())
    }

    /// Until the program closes its end, or the agent ends.
    async fn tell(
        &self,
        mut watch: Watch,
        mut lines: Lines,
        mut write: OwnedWriteHalf,
    ) -> std::io::Result<()> {
        let mut now = watch.now(WITHIN).await;
        loop {
            let told = match &now {
                Ok(lookup) => self.shown(lookup),
                Err(refusal) => error(refusal),
            };
            say(&mut write, &told).await?;
            now = loop {
                tokio::select! {
                    changed = watch.changed() => match changed {
                        Ok(lookup) => break Ok(lookup),
                        Err(_) => return Ok(()),
                    },
                    // Whatever it says more, nobody hears.
                    line = next(&mut lines) => match line? {
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => return Ok(()),
                    },
                }
            };
        }
    }

    async fn answer(&self, question: Question) -> Result<Value, Refusal> {
        if let Some(sought) = &question.lookup {
            let lookup = self.follow(sought)?.now(within(&question)).await?;
            return Ok(self.shown(&lookup));
        }
        let callee = self.callee(&question).await?;
        let message = question.message.clone().unwrap_or_default();
        let body = match &question.body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let called = Called::Message { message, body };
        let answer = self.others.call(callee, called, within(&question)).await;
        match answer {
            Answer::Reply { body } => {
                let answer = serde_json::from_str(&body).unwrap_or(Value::String(body));
                Ok(serde_json::json!({ "answer": answer }))
            }
            Answer::Refused(refusal) => Err(refusal),
            other => Err(Refusal::new(
                code::INTERNAL,
                format!("{other:?} answers another question"),
            )),
        }
    }

    /// The incarnation that it names is that of the count, as far as this node knows the graph.
    async fn callee(&self, question: &Question) -> Result<Callee, Refusal> {
        let reference = question.call.as_deref().unwrap_or_default();
        let instance = instance(reference)?;
        let Some(count) = question.incarnation else {
            return Ok(Callee::from(&instance));
        };
        let mut watch = self.others.follow(Sought::from(&instance))?;
        let found = watch.now(within(question)).await?.instances;
        let Some(found) = found.first() else {
            let text = format!("the graph has no {instance}");
            return Err(Refusal::new(code::NOT_RUNNING, text));
        };
        if found.incarnation.count != count {
            let runs = found.incarnation;
            let text = format!(
                "incarnation {count} of {instance} is called, and the graph has incarnation {runs}"
            );
            return Err(Refusal::new(code::OTHER_INCARNATION, text));
        }
        Ok(Callee::from(found))
    }

    fn follow(&self, sought: &str) -> Result<Watch, Refusal> {
        let parsed = sought.parse::<Sought>();
        let sought = parsed.map_err(|bad| bad_request(format!("\"{sought}\": {bad}")))?;
        self.others.follow(sought)
    }

    fn shown(&self, lookup: &Lookup) -> Value {
        let shown = Shown {
            instances: lookup.instances.iter().map(|one| self.one(one)).collect(),
            left_out: lookup.left_out,
            age_ms: u64::try_from(lookup.age.as_millis()).unwrap_or(u64::MAX),
        };
        serde_json::to_value(shown).expect("its keys are texts")
    }

    fn one(&self, found: &FoundInstance) -> ShownInstance {
        ShownInstance {
            instance: found.instance.to_string(),
            placement: found.instance.placement.to_string(),
            node: found.instance.node.to_string(),
            service_type: found.service_type.to_string(),
            name: found.name.to_string(),
            incarnation: found.incarnation.count,
            state: found.state.clone(),
            health: found.health.as_str(),
            agent: found.address.clone(),
            ports: found.ports.clone(),
            address: found.address_from(&self.node),
        }
    }
}

fn within(question: &Question) -> Duration {
    question.within_ms.map_or(WITHIN, Duration::from_millis)
}

fn instance(reference: &str) -> Result<InstanceKey, Refusal> {
    match reference.parse() {
        Ok(Sought {
            by: SoughtBy::Placement(placement),
            node: Some(node),
        }) => Ok(InstanceKey::new(node, placement)),
        Ok(_) | Err(_) => Err(bad_request(format!(
            "\"{reference}\" is no instance; say PLACEMENT@NODE"
        ))),
    }
}

/// None: it said its last. Too long a line is refused.
async fn next(lines: &mut Lines) -> std::io::Result<Option<Result<String, Refusal>>> {
    let most = limits::LOCAL_LINE_BYTES_MAX;
    let mut line = Vec::new();
    let mut limited = lines.take(most as u64);
    if limited.read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    if line.len() >= most && line.last() != Some(&b'\n') {
        let text = format!("a line has at most {most} bytes");
        return Ok(Some(Err(Refusal::new(code::OVERLOADED, text))));
    }
    let text = String::from_utf8(line).map_err(|_| bad_request("a line is UTF-8".to_owned()));
    Ok(Some(text))
}

fn parsed(line: &str) -> Result<Question, Refusal> {
    let question: Question = serde_json::from_str(line)
        .map_err(|error| bad_request(format!("the line is no question: {error}")))?;
    let asks = [&question.lookup, &question.watch, &question.call];
    match asks.into_iter().flatten().count() {
        1 if question.call.is_some() != question.message.is_some() => Err(bad_request(
            "a call, and nothing else, has a message".to_owned(),
        )),
        1 => Ok(question),
        _ => Err(bad_request(
            "a question has one of lookup, watch and call".to_owned(),
        )),
    }
}

fn bad_request(text: String) -> Refusal {
    Refusal::new(code::BAD_REQUEST, text)
}

fn error(refusal: &Refusal) -> Value {
    serde_json::json!({ "error": {
        "code": refusal.code.as_str(),
        "text": refusal.text,
        "nearest": refusal.nearest,
    } })
}

async fn say(write: &mut OwnedWriteHalf, said: &Value) -> std::io::Result<()> {
    let mut line = said.to_string();
    line.push('\n');
    write.write_all(line.as_bytes()).await
}
