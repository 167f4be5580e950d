//! A connection to another agent, on which it is asked.

use std::time::Duration;

use mainstay_identity::{tls, way};
use mainstay_protocol::frame::{Channel, FrameDecoder};
use mainstay_protocol::request::{Answer, Ask, Request};
use mainstay_protocol::session::{AgentMessage, Received, StationMessage};
use mainstay_protocol::sight::Sight;
use mainstay_protocol::{Address, Bearer, NodeName};
use std::sync::Arc;
use tokio::time::timeout;

use super::Mesh;
use crate::session::{Opened, ReadHalf, SessionError, WriteHalf};

/// How long opening one may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) connected: Duration,
    pub(super) introduced: Duration,
}

/// With the answer it is within the time that a station waits for a guard.
pub(super) const OF_A_LOOK: Patience = Patience {
    connected: Duration::from_millis(400),
    introduced: Duration::from_millis(600),
};
const ANSWERED_WITHIN: Duration = Duration::from_millis(400);

pub(super) struct Call {
    opened: Opened,
    next: u64,
}

impl Call {
    /// Or what is to be seen instead of an agent that can be asked.
    pub(super) async fn open(
        mesh: &Mesh,
        node: &NodeName,
        address: &str,
        patience: Patience,
    ) -> Result<Self, Sight> {
        let address: Address = address.parse().map_err(|_bad| Sight::Nothing)?;
        let bare = match timeout(patience.connected, way::reach(&address)).await {
            Ok(Ok(bare)) => bare,
            Ok(Err(error)) if way::is_its_word(&error) => return Err(Sight::Machine),
            Ok(Err(_)) | Err(_) => return Err(Sight::Nothing),
        };
        // Something takes connections there: whatever goes wrong from here on, a machine is there.
        let introducing = introduced(mesh, node, bare);
        match timeout(patience.introduced, introducing).await {
            Ok(Ok(opened)) => Ok(Self { opened, next: 0 }),
            Ok(Err(error)) => {
                tracing::debug!(%node, %error, "no agent that could be asked");
                Err(Sight::Machine)
            }
            Err(_elapsed) => Err(Sight::Machine),
        }
    }

    /// For whoever speaks and hears at once.
    pub(super) fn halves(self) -> (ReadHalf, WriteHalf, FrameDecoder) {
        (self.opened.read, self.opened.write, self.opened.decoder)
    }

    /// None where it did not answer.
    pub(super) async fn look(&mut self) -> Option<Sight> {
        match timeout(ANSWERED_WITHIN, self.ask(Ask::Look)).await {
            Ok(Ok(Answer::Sight(sight))) => Some(sight),
            Ok(Ok(_) | Err(_)) | Err(_) => None,
        }
    }

    async fn ask(&mut self, ask: Ask) -> Result<Answer, SessionError> {
        self.next += 1;
        let question = StationMessage::Request {
            request_id: self.next,
            request: Request {
                deadline_ms: ANSWERED_WITHIN.as_millis() as u64,
                ask,
            },
        };
        self.opened.say(&question.to_frame()).await?;
        loop {
            let frame = self.opened.frame().await?;
            match AgentMessage::from_frame(&frame) {
                Ok(Received::Message(AgentMessage::Answer { request_id, answer }))
                    if request_id == self.next =>
                {
                    return Ok(answer);
                }
                // Of a question before, or nothing that this build knows.
                Ok(_) | Err(_) => {}
            }
        }
    }
}

async fn introduced(mesh: &Mesh, node: &NodeName, bare: way::Bare) -> Result<Opened, SessionError> {
    let doing = "introducing itself to another agent";
    let io = |cause| SessionError::Io { doing, cause };
    let shown = mesh.0.shown.as_ref().map(|shown| {
        let whom = Bearer::Agent(node.clone());
        tls::to_agent(&shown.credentials(), whom).map(Arc::new)
    });
    let shown = shown
        .transpose()
        .map_err(|error| io(std::io::Error::other(error)))?;
    let stream = way::secure(bare, shown).await.map_err(io)?;
    let mut opened = Opened::over(stream, Channel::Control);
    let theirs = opened.shake_hands(mesh.introduction()).await?;
    match theirs.node {
        Some(there) if there == *node => Ok(opened),
        _ => Err(io(std::io::Error::other("another is there"))),
    }
}
