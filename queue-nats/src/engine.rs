//! The engine: each thing that is asked of the server, with a bound on how long its answer may take.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::message::{AckKind, Acker};
use async_nats::jetstream::stream::{
    self, DiscardPolicy, LastRawMessageErrorKind, RetentionPolicy, StorageType,
};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions, ServerAddr};
use futures::StreamExt;
use mainstay_orchestrator::{ActivityQueue, Doing, Due, QueueFault, Turn};
use mainstay_protocol::work::Skill;
use tokio::sync::Mutex as Turnstile;
use tokio::time::timeout;

use crate::message;
use crate::subject::{Names, consumer};

/// For an answer of the server.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// What was taken is taken by somebody else after that, if nobody asked for longer.
const LEASE: Duration = Duration::from_secs(30);
/// Published and not yet confirmed.
const UNCONFIRMED_MAX: usize = 256;

#[derive(Debug, Clone)]
pub struct NatsOptions {
    /// `nats://HOST:PORT` or `tls://HOST:PORT`, several with commas between.
    pub servers: String,
    pub login: Option<Login>,
    /// Certificates, as PEM, of whose word counts where the server is asked who it is; then it is talked to in secret alone.
    pub trusts: Option<PathBuf>,
}

/// What the server knows us by.
#[derive(Clone)]
pub enum Login {
    Token(String),
    Password { user: String, password: String },
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token"),
            Self::Password { user, .. } => write!(f, "Password of {user}"),
        }
    }
}

/// These are no addresses of servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotThese(pub String);

impl fmt::Display for NotThese {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotThese {}

pub struct Nats {
    options: NatsOptions,
    servers: Vec<ServerAddr>,
    names: Names,
    lease: Duration,
    /// Over a connection that the client keeps up by itself.
    way: Turnstile<Option<Context>>,
    consumers: Mutex<BTreeMap<Skill, PullConsumer>>,
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Nats {
    /// For what is due of this cluster, and of no other. Nothing is connected yet.
    pub fn new(options: NatsOptions, cluster: &str) -> Result<Self, NotThese> {
        Ok(Self {
            servers: servers(&options.servers)?,
            names: Names::of(cluster),
            options,
            lease: LEASE,
            way: Turnstile::new(None),
            consumers: Mutex::default(),
        })
    }

    /// What was taken is taken by somebody else after so long.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    async fn way(&self) -> Result<Context, QueueFault> {
        let mut way = self.way.lock().await;
        if let Some(way) = &*way {
            return Ok(way.clone());
        }
        let mut context = jetstream::new(self.connect().await?);
        context.set_timeout(ANSWERED_WITHIN);
        Ok(way.insert(context).clone())
    }

    async fn connect(&self) -> Result<Client, QueueFault> {
        const WHAT: &str = "connect";
        let mut options = ConnectOptions::new()
            .name("mainstay")
            .connection_timeout(ANSWERED_WITHIN)
            .request_timeout(Some(ANSWERED_WITHIN));
        options = match self.options.login.clone() {
            Some(Login::Token(token)) => options.token(token),
            Some(Login::Password { user, password }) => options.user_and_password(user, password),
            None => options,
        };
        if let Some(trusts) = self.options.trusts.clone() {
            options = options.add_root_certificates(trusts).require_tls(true);
        }
        let connecting = options.connect(self.servers.clone());
        within(WHAT, async {
            connecting
                .await
                .map_err(|error| QueueFault::new(WHAT, chain(&error)))
        })
        .await
    }

    async fn consumer(&self, skill: &Skill) -> Result<PullConsumer, QueueFault> {
        const WHAT: &str = "find the consumer";
        if let Some(known) = self.consumers().get(skill) {
            return Ok(known.clone());
        }
        let way = self.way().await?;
        let name = consumer(skill);
        let config = pull::Config {
            durable_name: Some(name.clone()),
            description: Some(skill.to_string()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.lease,
            filter_subject: self.names.of_skill(skill),
            max_ack_pending: -1,
            ..pull::Config::default()
        };
        let found = within(WHAT, async {
            let stream = way.get_stream(self.names.stream()).await;
            let stream = stream.map_err(|error| QueueFault::new(WHAT, chain(&error)))?;
            let found = stream.get_or_create_consumer(&name, config).await;
            found.map_err(|error| QueueFault::new(WHAT, chain(&error)))
        })
        .await?;
        self.consumers().insert(skill.clone(), found.clone());
        Ok(found)
    }

    fn consumers(&self) -> std::sync::MutexGuard<'_, BTreeMap<Skill, PullConsumer>> {
        // One insertion or removal under the lock: a panic leaves nothing half done.
        self.consumers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Says so to the server, which answers nothing: whatever is lost is taken again when its lease is over.
    async fn say(&self, what: &'static str, turn: &Turn, kind: AckKind) -> Result<(), QueueFault> {
        let way = self.way().await?;
        let acker = Acker::new(way, Some(turn.lease.as_str().into()));
        within(what, async {
            acker
                .ack_with(kind)
                .await
                .map_err(|error| QueueFault::new(what, error))
        })
        .await
    }
}

impl ActivityQueue for Nats {
    fn open(&self) -> Doing<'_, ()> {
        const WHAT: &str = "find the stream";
        Box::pin(async move {
            self.consumers().clear();
            let way = self.way().await?;
            let config = stream::Config {
                name: self.names.stream(),
                description: Some("Steps that are due, in a cluster of Mainstay".to_owned()),
                subjects: vec![self.names.all()],
                retention: RetentionPolicy::WorkQueue,
                max_messages_per_subject: 1,
                discard: DiscardPolicy::Old,
                storage: StorageType::File,
                ..stream::Config::default()
            };
            within(WHAT, async {
                let found = way.get_or_create_stream(config).await;
                found.map_err(|error| QueueFault::new(WHAT, chain(&error)))
            })
            .await
            .map(drop)
        })
    }

    fn publish<'a>(&'a self, due: &'a [Due]) -> Doing<'a, ()> {
        const WHAT: &str = "publish";
        Box::pin(async move {
            let way = self.way().await?;
            for some in due.chunks(UNCONFIRMED_MAX) {
                within(WHAT, async {
                    let mut confirmed = Vec::with_capacity(some.len());
                    for one in some {
                        let subject = self.names.of_step(&one.skill, &one.step);
                        let sent = way.publish(subject, message::written(one).into()).await;
                        confirmed.push(sent.map_err(|error| QueueFault::new(WHAT, chain(&error)))?);
                    }
                    for one in confirmed {
                        one.await
                            .map_err(|error| QueueFault::new(WHAT, chain(&error)))?;
                    }
                    Ok(())
                })
                .await?;
            }
            Ok(())
        })
    }

    fn take<'a>(&'a self, skill: &'a Skill, most: usize) -> Doing<'a, Vec<Turn>> {
        const WHAT: &str = "take";
        Box::pin(async move {
            let consumer = self.consumer(skill).await?;
            let mut turns = Vec::new();
            within(WHAT, async {
                let batch = consumer.fetch().max_messages(most).messages().await;
                let mut batch = batch.map_err(|error| QueueFault::new(WHAT, chain(&error)))?;
                while let Some(came) = batch.next().await {
                    let came = came.map_err(|error| QueueFault::new(WHAT, error))?;
                    match (message::read(&came.payload), &came.reply) {
                        (Some(due), Some(reply)) if due.skill == *skill => {
                            turns.push(Turn {
                                due,
                                lease: reply.to_string(),
                            });
                        }
                        // Nobody could do anything with it, now or later.
                        _ => {
                            let subject = came.subject.as_str();
                            tracing::warn!(
                                subject,
                                "what lies in the queue is none of ours, and is dropped"
                            );
                            let dropped = came.ack_with(AckKind::Term).await;
                            dropped.map_err(|error| QueueFault::new(WHAT, error))?;
                        }
                    }
                }
                Ok(())
            })
            .await?;
            Ok(turns)
        })
    }

    fn extend<'a>(&'a self, turn: &'a Turn) -> Doing<'a, ()> {
        Box::pin(self.say("extend", turn, AckKind::Progress))
    }

    fn complete<'a>(&'a self, turn: &'a Turn) -> Doing<'a, ()> {
        Box::pin(self.say("complete", turn, AckKind::Ack))
    }

    fn withdraw<'a>(&'a self, due: &'a Due) -> Doing<'a, ()> {
        const WHAT: &str = "withdraw";
        Box::pin(async move {
            let way = self.way().await?;
            let subject = self.names.of_step(&due.skill, &due.step);
            within(WHAT, async {
                let stream = way.get_stream_no_info(self.names.stream()).await;
                let stream = stream.map_err(|error| QueueFault::new(WHAT, chain(&error)))?;
                // By its number: a purge of one subject lets some servers' consumers pass over others.
                let last = match stream.get_last_raw_message_by_subject(&subject).await {
                    Ok(last) => last,
                    Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                        return Ok(());
                    }
                    Err(error) => return Err(QueueFault::new(WHAT, chain(&error))),
                };
                let deleted = stream.delete_message(last.sequence).await;
                deleted
                    .map(drop)
                    .map_err(|error| QueueFault::new(WHAT, chain(&error)))
            })
            .await
        })
    }

    fn give_up<'a>(&'a self, turn: &'a Turn) -> Doing<'a, ()> {
        Box::pin(self.say("give up", turn, AckKind::Nak(None)))
    }

    fn depth<'a>(&'a self, skill: &'a Skill) -> Doing<'a, u64> {
        const WHAT: &str = "count";
        Box::pin(async move {
            let consumer = self.consumer(skill).await?;
            within(WHAT, async {
                let info = consumer.get_info().await;
                let info = info.map_err(|error| QueueFault::new(WHAT, chain(&error)))?;
                Ok(info.num_pending + info.num_ack_pending as u64)
            })
            .await
        })
    }
}

/// Whether these are addresses of servers: `nats://HOST:PORT` or `tls://HOST:PORT`, with commas between.
pub fn servers(text: &str) -> Result<Vec<ServerAddr>, NotThese> {
    text.split(',').map(|one| server(one.trim())).collect()
}

fn server(text: &str) -> Result<ServerAddr, NotThese> {
    let is_one = ["nats://", "tls://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    let read: Option<ServerAddr> = text.parse().ok().filter(|_| is_one);
    let read = read.filter(|read| !read.host().is_empty());
    match read {
        None => Err(NotThese(format!(
            "{text:?} is no address of a NATS server; write nats://HOST:PORT or tls://HOST:PORT"
        ))),
        // Whoever lists processes would read it.
        Some(read) if read.has_user_pass() || read.username().is_some() => Err(NotThese(format!(
            "the address of {} names who logs in; a file does that",
            read.host()
        ))),
        Some(read) => Ok(read),
    }
}

async fn within<T>(
    what: &'static str,
    doing: impl Future<Output = Result<T, QueueFault>>,
) -> Result<T, QueueFault> {
    timeout(2 * ANSWERED_WITHIN, doing)
        .await
        .unwrap_or_else(|_late| Err(QueueFault::new(what, "no answer in time")))
}

/// With all that caused it, once each.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(one) = cause {
        let more = one.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = one.source();
    }
    text
}
