//! The bulk connection of a session: what is long goes over it, so that no heartbeat, report or command waits behind it.
//! It is opened when the session is up, again and again while that lives; without it everything goes over the session.

use std::time::Duration;

use mainstay_identity::Renewing;
use mainstay_protocol::Address;
use mainstay_protocol::frame::Channel;
use mainstay_protocol::handshake::Handshake;
use mainstay_protocol::session::{AgentMessage, BulkUp, StationMessage};
use mainstay_protocol::{AgentRunId, limits};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::answering::{Asker, hear, speak};
use super::opened::{Opened, in_time, unwelcome};
use super::{SessionError, jittered};
use crate::requests::Requests;

const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Whoever the session is with. That it is gone, the session notices.
const STATION: Asker = Asker {
    channel: Channel::Bulk,
    may: |_| true,
    in_turn: |_| false,
    silence: None,
};

type Queue = mpsc::Sender<AgentMessage>;

/// The ways that answers may go. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    control: Queue,
    bulk: watch::Receiver<Option<Queue>>,
}

impl Answers {
    pub(crate) fn new(control: Queue) -> (Self, watch::Sender<Option<Queue>>) {
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
                        ended = speak(opened.write, queued, STATION) => ended,
                        ended = hear(opened.read, opened.decoder, &requests, &answers, STATION) => ended,
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
