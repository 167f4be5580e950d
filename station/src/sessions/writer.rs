//! Writes what is queued for one connection of a session: many frames per write, and none may take for ever.

use std::sync::Arc;
use std::time::Duration;

use mainstay_identity::way::BoxedStream;
use mainstay_protocol::frame::{Channel, encode_frame};
use mainstay_protocol::session::StationMessage;
use mainstay_protocol::{NodeName, limits};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use crate::faults::Faults;

/// What goes to a node, and how that is broken on purpose.
#[derive(Debug, Clone)]
pub struct Way {
    pub faults: Arc<Faults>,
    pub node: NodeName,
}

impl Way {
    pub async fn pass(&self) {
        self.faults.pass(&self.node).await;
    }
}

/// Ends when nobody can queue any more and everything is written, or with the reason why it cannot go on.
pub async fn write(
    mut half: tokio::io::WriteHalf<BoxedStream>,
    mut queue: mpsc::Receiver<StationMessage>,
    channel: Channel,
    way: Way,
) -> Result<(), String> {
    let deadline = Duration::from_millis(match channel {
        Channel::Control => limits::SESSION_WRITE_DEADLINE_MS,
        Channel::Bulk => limits::BULK_WRITE_DEADLINE_MS,
    });
    let mut bytes = Vec::new();
    while let Some(first) = queue.recv().await {
        bytes.clear();
        encode(&first, channel, &mut bytes);
        // What waits goes out with it: a write for each frame costs many times as much.
        while bytes.len() < limits::CONTROL_FRAME_BYTES_MAX
            && let Ok(next) = queue.try_recv()
        {
            encode(&next, channel, &mut bytes);
        }
        let writing = async {
            way.pass().await;
            half.write_all(&bytes).await?;
            half.flush().await
        };
        tokio::time::timeout(deadline, writing)
            .await
            .map_err(|_elapsed| "the peer does not read".to_owned())?
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn encode(message: &StationMessage, channel: Channel, bytes: &mut Vec<u8>) {
    if let Err(error) = encode_frame(&message.to_frame(), channel, bytes) {
        tracing::error!(%error, "a message does not fit a frame and is not sent");
    }
}
