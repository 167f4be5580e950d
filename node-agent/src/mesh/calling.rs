//! Calls to instances of other nodes: one connection to each agent, opened by the first call, shared by all, and closed
//! when it was not needed for a while; beside them those of Checks of what this node watches elsewhere. Nothing is sent twice: a call that was sent and not answered is lost, and says so.
//!
//! ```text
//!   call --queue--> speak --frames--> the other agent
//!     ^                                   |
//!     +----------- by number <--hear------+
//! ```

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_protocol::code;
use mainstay_protocol::frame::{Channel, FrameDecoder, encode_frame};
use mainstay_protocol::request::{Answer, Ask, Refusal, Request};
use mainstay_protocol::session::{AgentMessage, Received, StationMessage};
use mainstay_protocol::sight::Sight;
use mainstay_protocol::{NodeName, limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::Mesh;
use super::call::{Call, Patience};
use crate::session::{ReadHalf, WriteHalf};

/// The other agent's own word about a deadline comes at that deadline.
const LAST_WORD: Duration = Duration::from_millis(500);
/// While something is waited for: a question that every agent answers at once.
const PULSE: Duration = Duration::from_secs(2);
/// Whoever does not answer even that is gone.
const SILENCE_MAX: Duration = Duration::from_secs(6);
const IDLE: Duration = Duration::from_millis(limits::CALLS_IDLE_MS);
const READ_BYTES: usize = 16 * 1024;
/// Whoever waits for less than this has its own deadline.
const OPENED_WITHIN: Patience = Patience {
    connected: Duration::from_secs(2),
    introduced: Duration::from_secs(3),
};
/// The number of the pulse; those of calls are above it.
const PULSE_NUMBER: u64 = 0;

/// The connections that calls go over.
#[derive(Debug)]
pub(super) struct Lines {
    open: Mutex<BTreeMap<NodeName, Line>>,
    under_way: Semaphore,
}

#[derive(Debug)]
struct Line {
    address: String,
    questions: mpsc::Sender<Question>,
}

#[derive(Debug)]
struct Question {
    ask: Ask,
    until: Instant,
    answer: oneshot::Sender<Answer>,
}

/// Sent, by number, and not answered yet.
type Waiting = Mutex<BTreeMap<u64, oneshot::Sender<Answer>>>;

/// Whom a connection is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Callers,
    Watching,
}

impl Lines {
    pub(super) fn for_so_many(under_way: usize) -> Self {
        Self {
            open: Mutex::default(),
            under_way: Semaphore::new(under_way),
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<NodeName, Line>> {
        // Every write under the lock is one insertion or removal.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mesh {
    /// Asks another agent. There is always an answer, at the latest a moment after `within`.
    pub(crate) async fn call(
        &self,
        node: &NodeName,
        address: &str,
        ask: Ask,
        within: Duration,
    ) -> Answer {
        self.ask_over(For::Callers, (node, address), ask, within)
            .await
    }

    /// The same, for an instance that this node watches.
    pub(super) async fn watch(
        &self,
        node: &NodeName,
        address: &str,
        ask: Ask,
        within: Duration,
    ) -> Answer {
        self.ask_over(For::Watching, (node, address), ask, within)
            .await
    }

    async fn ask_over(
        &self,
        whose: For,
        (node, address): (&NodeName, &str),
        ask: Ask,
        within: Duration,
    ) -> Answer {
        let Ok(_place) = self.lines(whose).under_way.try_acquire() else {
            return refused(code::OVERLOADED, "this node has too many calls under way");
        };
        let (answer, answered) = oneshot::channel();
        let until = Instant::now() + within;
        let question = Question { ask, until, answer };
        if let Err(refusal) = self.put(whose, node, address, question) {
            return Answer::Refused(refusal);
        }
        match timeout_at(until + LAST_WORD, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Answer::Refused(lost(node)),
            Err(_) => {
                let ms = within.as_millis();
                let text = format!("the agent of {node} gave no answer within {ms} ms");
                refused(code::TIMEOUT, text)
            }
        }
    }

    fn put(
        &self,
        whose: For,
        node: &NodeName,
        address: &str,
        question: Question,
    ) -> Result<(), Refusal> {
        let full = |text: String| Refusal::new(code::OVERLOADED, text);
        let mut question = question;
        let mut open = self.lines(whose).open();
        if let Some(line) = open.get(node).filter(|line| line.address == address) {
            match line.questions.try_send(question) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(_)) => {
                    return Err(full(format!("too many calls to {node} wait to be sent")));
                }
                // It has just ended.
                Err(mpsc::error::TrySendError::Closed(back)) => question = back,
            }
        }
        open.retain(|_, line| !line.questions.is_closed());
        if open.len() >= limits::CALLED_NODES_MAX && !open.contains_key(node) {
            let most = limits::CALLED_NODES_MAX;
            return Err(full(format!("this node has calls to {most} others open")));
        }
        let (questions, asked) = mpsc::channel(limits::CALLS_PER_NODE_MAX);
        let fresh = questions.try_send(question);
        debug_assert!(fresh.is_ok(), "nothing was in it");
        let address = address.to_owned();
        // Where the node's agent was before, what was sent is still waited for.
        open.insert(
            node.clone(),
            Line {
                address: address.clone(),
                questions,
            },
        );
        let (mesh, node) = (self.clone(), node.clone());
        // Whoever calls may be on a thread that it blocks.
        self.0
            .runtime
            .spawn(mesh.keep_line(whose, node, address, asked));
        Ok(())
    }

    async fn keep_line(
        self,
        whose: For,
        node: NodeName,
        address: String,
        mut asked: mpsc::Receiver<Question>,
    ) {
        let waiting = Waiting::default();
        let why = match Call::open(&self, &node, &address, OPENED_WITHIN).await {
            Ok(call) => {
                let (read, write, decoder) = call.halves();
                tokio::select! {
                    why = speak(write, &mut asked, &waiting) => why,
                    why = hear(read, decoder, &waiting) => why,
                }
            }
            Err(Sight::Nothing) => Some(format!("nothing answers at {address}")),
            Err(_) => Some(format!("no agent that could be asked answers at {address}")),
        };
        for (_, answer) in std::mem::take(&mut *locked(&waiting)) {
            let _ = answer.send(Answer::Refused(lost(&node)));
        }
        asked.close();
        while let Ok(question) = asked.try_recv() {
            match &why {
                Some(why) => {
                    let text = format!("the agent of {node} cannot be called: {why}");
                    let _ = question.answer.send(refused(code::NOT_REACHED, text));
                }
                // It came when the connection was about to be closed as idle.
                None => {
                    if let Err(refusal) = self.put(whose, &node, &address, question) {
                        tracing::debug!(%node, why = refusal.text, "a call finds no place");
                    }
                }
            }
        }
    }
}

/// Until it is idle (none), or broken.
async fn speak(
    mut write: WriteHalf,
    asked: &mut mpsc::Receiver<Question>,
    waiting: &Waiting,
) -> Option<String> {
    let mut last = PULSE_NUMBER;
    let mut used = Instant::now();
    let mut pulse_at = Instant::now() + PULSE;
    loop {
        let (number, request) = if Instant::now() >= pulse_at {
            // However much is asked meanwhile: an answer to this says that it is there, when all others take long.
            pulse_at = Instant::now() + PULSE;
            match is_idle(waiting) {
                false => (PULSE_NUMBER, pulse()),
                true if used.elapsed() >= IDLE => return None,
                true => continue,
            }
        } else {
            match timeout_at(pulse_at, asked.recv()).await {
                Ok(Some(question)) => {
                    used = Instant::now();
                    last += 1;
                    match taken(question, last, waiting) {
                        Some(request) => (last, request),
                        None => continue,
                    }
                }
                // Its node's agent is somewhere else now; what was sent here is waited for.
                Ok(None) if is_idle(waiting) => return None,
                Ok(None) => {
                    sleep_until(pulse_at).await;
                    continue;
                }
                Err(_) => continue,
            }
        };
        let frame = StationMessage::Request {
            request_id: number,
            request,
        };
        let mut bytes = Vec::new();
        if let Err(error) = encode_frame(&frame.to_frame(), Channel::Control, &mut bytes) {
            if let Some(answer) = locked(waiting).remove(&number) {
                let _ = answer.send(refused(code::BAD_REQUEST, error.to_string()));
            }
            continue;
        }
        let writing = async {
            write.write_all(&bytes).await?;
            write.flush().await
        };
        match timeout(SILENCE_MAX, writing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Some(error.to_string()),
            Err(_) => return Some("it reads nothing".to_owned()),
        }
    }
}

/// None: its deadline is over, or too many wait already.
fn taken(question: Question, number: u64, waiting: &Waiting) -> Option<Request> {
    let Some(left) = question.until.checked_duration_since(Instant::now()) else {
        let text = "its deadline was over before it could be sent";
        let _ = question.answer.send(refused(code::TIMEOUT, text));
        return None;
    };
    let mut waiting = locked(waiting);
    waiting.retain(|_, answer| !answer.is_closed());
    if waiting.len() >= limits::CALLS_PER_NODE_MAX {
        let text = "too many calls to its node are not answered yet";
        let _ = question.answer.send(refused(code::OVERLOADED, text));
        return None;
    }
    waiting.insert(number, question.answer);
    Some(Request {
        deadline_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1),
        ask: question.ask,
    })
}

fn pulse() -> Request {
    Request {
        deadline_ms: PULSE.as_millis() as u64,
        ask: Ask::Look,
    }
}

fn is_idle(waiting: &Waiting) -> bool {
    let mut waiting = locked(waiting);
    waiting.retain(|_, answer| !answer.is_closed());
    waiting.is_empty()
}

async fn hear(mut read: ReadHalf, mut decoder: FrameDecoder, waiting: &Waiting) -> Option<String> {
    let mut bytes = vec![0; READ_BYTES];
    // Since when somebody waits and nothing came.
    let mut quiet = Instant::now();
    loop {
        while let Some(frame) = decoder.next() {
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => return Some(error.to_string()),
            };
            let (number, answer) = match AgentMessage::from_frame(&frame) {
                Ok(Received::Message(AgentMessage::Answer { request_id, answer })) => {
                    (request_id, answer)
                }
                Ok(Received::Message(AgentMessage::Unsupported { request_id, .. })) => {
                    let text = "the agent there is of a version that knows no calls";
                    (request_id, refused(code::VERSION_MISMATCH, text))
                }
                // Nothing that this build knows.
                Ok(_) | Err(_) => continue,
            };
            if let Some(waits) = locked(waiting).remove(&number) {
                let _ = waits.send(answer);
            }
        }
        let count = match timeout(PULSE, read.read(&mut bytes)).await {
            Ok(Ok(0)) => return Some("it closed the connection".to_owned()),
            Ok(Ok(count)) => count,
            Ok(Err(error)) => return Some(error.to_string()),
            Err(_) if is_idle(waiting) => {
                quiet = Instant::now();
                continue;
            }
            Err(_) if quiet.elapsed() < SILENCE_MAX => continue,
            Err(_) => return Some("it says nothing any more".to_owned()),
        };
        quiet = Instant::now();
        decoder.push(&bytes[..count]);
    }
}

fn locked(waiting: &Waiting) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<Answer>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lost(node: &NodeName) -> Refusal {
    let text =
        format!("the agent of {node} was lost before it answered; the call may have been taken");
    Refusal::new(code::ANSWER_LOST, text)
}

fn refused(code: mainstay_protocol::code::Code, text: impl Into<String>) -> Answer {
    Answer::Refused(Refusal::new(code, text))
}
