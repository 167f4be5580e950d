//! One session as everybody else sees it: a bounded queue, questions under way, and how it is closed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_protocol::code;
use mainstay_protocol::request::{Answer, Ask, Refusal, Request};
use mainstay_protocol::session::StationMessage;
use mainstay_protocol::{AgentRunId, NodeName, limits};
use tokio::sync::{mpsc, oneshot, watch};

use super::denied;
use super::following::Following;

/// Beyond a question's own deadline: the way there and back.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub struct Link {
    pub node: NodeName,
    pub agent_run: AgentRunId,
    /// The peer's process.
    pub pid: Option<i32>,
    queue: mpsc::Sender<StationMessage>,
    welcome: AtomicBool,
    closing: watch::Sender<Option<&'static str>>,
    next_request: AtomicU64,
    asked: Mutex<Asked>,
    /// What is long goes here; without it, it goes with the rest.
    bulk: Mutex<Option<mpsc::Sender<StationMessage>>>,
    pub following: Following,
}

/// Questions without an answer yet. None once the session has ended.
type Asked = Option<BTreeMap<u64, oneshot::Sender<Answer>>>;

impl Link {
    pub fn new(
        node: NodeName,
        agent_run: AgentRunId,
        pid: Option<i32>,
        queue: mpsc::Sender<StationMessage>,
    ) -> Self {
        Self {
            node,
            agent_run,
            pid,
            queue,
            welcome: AtomicBool::new(false),
            closing: watch::Sender::new(None),
            next_request: AtomicU64::new(1),
            asked: Mutex::new(Some(BTreeMap::new())),
            bulk: Mutex::new(None),
            following: Following::default(),
        }
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn welcome(&self) {
        self.welcome.store(true, Ordering::Release);
    }

    pub fn is_welcome(&self) -> bool {
        self.welcome.load(Ordering::Acquire)
    }

    /// Queues a message; a peer whose queue is full does not read, and its session is closed.
    pub fn send(&self, message: StationMessage) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.queue.try_send(message) {
            self.close("the peer does not read: its queue is full");
        }
    }

    /// Queues what can come later as well. False: there was no room.
    pub fn send_if_room(&self, message: StationMessage) -> bool {
        let sent = self.queue.try_send(message).is_ok();
        if !sent {
            tracing::debug!(node = %self.node, "no room in the session's queue; it is sent again later");
        }
        sent
    }

    pub fn deny(&self, refusal: &Refusal) {
        self.send(denied(refusal));
        self.close("refused");
    }

    /// Closes the session behind what is queued. The first reason stands.
    pub fn close(&self, why: &'static str) {
        self.closing.send_if_modified(|reason| {
            let first = reason.is_none();
            reason.get_or_insert(why);
            first
        });
    }

    pub fn closing(&self) -> watch::Receiver<Option<&'static str>> {
        self.closing.subscribe()
    }

    fn bulk(&self) -> MutexGuard<'_, Option<mpsc::Sender<StationMessage>>> {
        self.bulk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest connection counts: the one before is dead, or the agent would not have opened another.
    pub fn bulk_opened(&self, queue: mpsc::Sender<StationMessage>) {
        *self.bulk() = Some(queue);
    }

    pub fn bulk_closed(&self, queue: &mpsc::Sender<StationMessage>) {
        let mut bulk = self.bulk();
        if bulk.as_ref().is_some_and(|now| now.same_channel(queue)) {
            *bulk = None;
        }
    }

    /// Over the bulk connection if it is long and there is one.
    fn put(&self, request_id: u64, request: Request) -> Result<(), Refusal> {
        let bulk = self.bulk().clone().filter(|_| request.ask.is_bulky());
        let message = StationMessage::Request {
            request_id,
            request,
        };
        let message = match bulk.map(|bulk| bulk.try_send(message.clone())) {
            Some(Ok(())) => return Ok(()),
            Some(Err(mpsc::error::TrySendError::Full(_))) => {
                let text = format!("too much is on its way to {}", self.node);
                return Err(Refusal::new(code::OVERLOADED, text));
            }
            Some(Err(mpsc::error::TrySendError::Closed(message))) => message,
            None => message,
        };
        self.send(message);
        Ok(())
    }

    /// The session is over: whoever waits for an answer is told, and its bulk connection goes too.
    pub fn end(&self) {
        self.close("the session ended");
        // Dropping the senders is the answer.
        drop(self.asked().take());
    }

    pub async fn ask(&self, ask: Ask, deadline: Duration) -> Answer {
        let (answer, answered) = oneshot::channel();
        let request_id = self.next_request.fetch_add(1, Ordering::Relaxed);
        if let Err(refusal) = self.register(request_id, answer) {
            return Answer::Refused(refusal);
        }
        let request = Request {
            deadline_ms: deadline.as_millis() as u64,
            ask,
        };
        let outcome = match self.put(request_id, request) {
            Ok(()) => tokio::time::timeout(deadline + ANSWER_MARGIN, answered).await,
            Err(refusal) => Ok(Ok(Answer::Refused(refusal))),
        };
        if let Some(asked) = self.asked().as_mut() {
            asked.remove(&request_id);
        }
        match outcome {
            Ok(Ok(answer)) => answer,
            Ok(Err(_ended)) => Answer::Refused(self.gone()),
            Err(_elapsed) => {
                let text = format!(
                    "{} gave no answer within {} ms",
                    self.node,
                    deadline.as_millis()
                );
                Answer::Refused(Refusal::new(code::TIMEOUT, text))
            }
        }
    }

    fn register(&self, request_id: u64, answer: oneshot::Sender<Answer>) -> Result<(), Refusal> {
        let mut asked = self.asked();
        let Some(asked) = asked.as_mut() else {
            return Err(self.gone());
        };
        if asked.len() >= limits::REQUESTS_IN_FLIGHT_MAX {
            let text = format!("too many questions to {} are under way", self.node);
            return Err(Refusal::new(code::OVERLOADED, text));
        }
        asked.insert(request_id, answer);
        Ok(())
    }

    fn gone(&self) -> Refusal {
        Refusal::new(
            code::AGENT_DOWN,
            format!("the agent of {} left before it answered", self.node),
        )
    }

    /// An answer came. One that nobody waits for any more is dropped.
    pub fn answered(&self, request_id: u64, answer: Answer) {
        let waiting = self
            .asked()
            .as_mut()
            .and_then(|asked| asked.remove(&request_id));
        if let Some(waiting) = waiting {
            // The asker may have given up in this very moment.
            drop(waiting.send(answer));
        }
    }
}
