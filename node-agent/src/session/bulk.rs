//! The bulk connection of a session: what is long goes over it, so that no heartbeat, report or command waits behind it.
//! It is opened when the session is up, again and again while that lives; without it everything goes over the session.

use std::time::Duration;

use mainstay_identity::Renewing;
use mainstay_protocol::Address;
use mainstay_protocol::frame::{Channel, FrameDecoder, encode_frame};
use mainstay_protocol::handshake::Handshake;
use mainstay_protocol::session::{AgentMessage, BulkUp, Received, StationMessage};
use mainstay_protocol::{AgentRunId, limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::connection::{ReadHalf, WriteHalf};
use super::opened::{Opened, in_time, unwelcome};
use super::{SessionError, jittered};
use crate::requests::Requests;

const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);

type Queue = mpsc::Sender<AgentMessage>;

/// The ways that answers may go. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    control: Queue,
    bulk: watch::Receiver<Option<Queue>>,
}

impl Answers {
    pub(super) fn new(control: Queue) -> (Self, watch::Sender<Option<Queue>>) {
        let (opens, bulk) = watch::channel(None);
        (Self { control, bulk }, opens)
    }

    /// Waits until there is room. With the session, or the bulk connection that had taken it, an answer is lost: its
    /// asker's deadline is over by then, or soon.
    pub(crate) async fn say(&self, message: AgentMessage) {
        let bulky = matches!(&message, AgentMessage::Answer { answer, .. } if answer.is_bulky());
        let bulk = self.bulk.borrow().clone().filter(|_| bulky);
        let message = match bulk {
            Some(bulk) => match bulk.send(message).await {
                Ok(()) => return,
                Err(mpsc::error::SendError(message)) => message,
            },
            None => message,
        };
        let _ = self.control.send(message).await;
    }

    /// A short one, if there is room at once.
    pub(crate) fn try_say(&self, message: AgentMessage) {
        // A session with no room for that is about to be closed as stuck.
        let _ = self.control.try_send(message);
    }

    /// The session is gone: nobody waits for an answer any more.
    pub(crate) async fn closed(&self) {
        self.control.closed().await;
    }
}

/// How the bulk connection of one session is opened.
pub(super) struct BulkWay {
    /// Where the session is: another station knows nothing of it.
    pub(super) endpoint: Address,
    pub(super) handshake: Handshake,
    pub(super) agent_run: AgentRunId,
    /// What is shown over the network.
    pub(super) shown: Option<Renewing>,
}

impl BulkWay {
    /// Never returns.
    pub(super) async fn keep(
        self,
        opens: watch::Sender<Option<Queue>>,
        requests: Requests,
        answers: Answers,
    ) {
        let mut pause = PAUSE_MIN;
        loop {
            let error = match self.open().await {
                Ok(opened) => {
                    pause = PAUSE_MIN;
                    let (queue, queued) = mpsc::channel(limits::BULK_QUEUE_MAX);
                    opens.send_replace(Some(queue));
                    let ended = tokio::select! {
                        ended = speak(opened.write, queued) => ended,
                        ended = hear(opened.read, opened.decoder, &requests, &answers) => ended,
                    };
                    opens.send_replace(None);
                    ended.err().unwrap_or(SessionError::Closed)
                }
                Err(error) => error,
            };
            tracing::debug!(%error, "no bulk connection; trying again");
            sleep(jittered(pause)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn open(&self) -> Result<Opened, SessionError> {
        let mut opened =
            Opened::connect(&self.endpoint, self.shown.as_ref(), Channel::Bulk).await?;
        let first = async {
            opened.shake_hands(self.handshake.clone()).await?;
            let agent_run = self.agent_run;
            opened
                .write(AgentMessage::BulkUp(BulkUp { agent_run }))
                .await?;
            opened.word().await
        };
        let word = in_time("opening the bulk connection", first).await?;
        if let StationMessage::BulkReady(_) = word {
            return Ok(opened);
        }
        Err(unwelcome(word))
    }
}

async fn speak(
    mut write: WriteHalf,
    mut queued: mpsc::Receiver<AgentMessage>,
) -> Result<(), SessionError> {
    let doing = "speaking in bulk";
    let after = Duration::from_millis(limits::BULK_WRITE_DEADLINE_MS);
    let mut bytes = Vec::new();
    while let Some(message) = queued.recv().await {
        bytes.clear();
        if let Err(error) = encode_frame(&message.to_frame(), Channel::Bulk, &mut bytes) {
            tracing::error!(%error, "too large to be said");
        }
        let writing = async {
            write.write_all(&bytes).await?;
            write.flush().await
        };
        timeout(after, writing)
            .await
            .map_err(|_| SessionError::Silent { doing, after })?
            .map_err(|cause| SessionError::Io { doing, cause })?;
    }
    Ok(())
}

async fn hear(
    mut read: ReadHalf,
    mut decoder: FrameDecoder,
    requests: &Requests,
    answers: &Answers,
) -> Result<(), SessionError> {
    let doing = "listening in bulk";
    let mut bytes = vec![0; super::READ_BYTES];
    loop {
        while let Some(frame) = decoder.next() {
            match StationMessage::from_frame(&frame?) {
                Ok(Received::Message(StationMessage::Request {
                    request_id,
                    request,
                })) => requests.serve(request_id, request, answers.clone()),
                Ok(Received::Unsupported {
                    request_id,
                    answer: Some(what),
                }) => {
                    let said = AgentMessage::Unsupported { request_id, what };
                    answers.say(said).await;
                }
                Ok(Received::Message(_) | Received::Unsupported { answer: None, .. }) => {}
                Err(bad) => tracing::warn!(%bad, "a bulk frame of the station cannot be read"),
            }
        }
        let count = read
            .read(&mut bytes)
            .await
            .map_err(|cause| SessionError::Io { doing, cause })?;
        if count == 0 {
            return Err(SessionError::Closed);
        }
        decoder.push(&bytes[..count]);
    }
}
