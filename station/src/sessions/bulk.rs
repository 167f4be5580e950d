//! The bulk connection of a session: long answers come in, long requests go out, and nothing that matters waits behind
//! them. It lives as long as its session at most; without it everything goes over the session itself.

use std::sync::Arc;

use mainstay_identity::way::BoxedStream;
use mainstay_protocol::bad_frames::BadFrames;
use mainstay_protocol::code;
use mainstay_protocol::frame::{Channel, FrameDecoder};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::session::{AgentMessage, BulkReady, Received, StationMessage};
use mainstay_protocol::{AgentRunId, NodeName, limits};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use super::link::Link;
use super::writer::Way;
use super::{denied, writer};
use crate::shared::Shared;

pub async fn serve(
    stream: BoxedStream,
    of: (NodeName, AgentRunId),
    (decoder, bad): (FrameDecoder, BadFrames),
    shared: &Arc<Shared>,
) {
    let (node, agent_run) = of;
    let (reader, half) = tokio::io::split(stream);
    let (queue, queued) = mpsc::channel(limits::BULK_QUEUE_MAX);
    let way = Way {
        faults: Arc::clone(&shared.faults),
        node: node.clone(),
    };
    let link = shared.sessions.find_run(&node, agent_run);
    let Some(link) = link.filter(|link| link.is_welcome()) else {
        let refusal = Refusal::new(code::BAD_REQUEST, "its session is not open");
        drop(queue.try_send(denied(&refusal)));
        drop(queue);
        // Whether it still hears why makes no difference.
        drop(writer::write(half, queued, Channel::Bulk, way).await);
        return;
    };
    drop(queue.try_send(StationMessage::BulkReady(BulkReady {})));
    link.bulk_opened(queue.clone());
    let mut bulk = Bulk {
        link: Arc::clone(&link),
        reader,
        decoder,
        bad,
    };
    let why = tokio::select! {
        why = bulk.hear(shared) => why,
        written = writer::write(half, queued, Channel::Bulk, way) => {
            written.err().unwrap_or_else(|| "nobody writes any more".to_owned())
        }
    };
    link.bulk_closed(&queue);
    tracing::debug!(%node, %why, "a bulk connection ended");
    shared.sessions.keep_bad(bulk.bad);
}

struct Bulk {
    link: Arc<Link>,
    reader: tokio::io::ReadHalf<BoxedStream>,
    decoder: FrameDecoder,
    bad: BadFrames,
}

impl Bulk {
    /// Until it ends; says why it did.
    async fn hear(&mut self, shared: &Shared) -> String {
        let mut closing = self.link.closing();
        let mut buffer = vec![0; limits::SESSION_READ_BYTES];
        loop {
            if let Err(why) = self.take_frames(shared) {
                return why;
            }
            tokio::select! {
                biased;
                _ = closing.wait_for(Option::is_some) => return "its session ends".to_owned(),
                read = self.reader.read(&mut buffer) => match read {
                    Ok(0) => return "the agent closed it".to_owned(),
                    Ok(read) => self.decoder.push(&buffer[..read]),
                    Err(error) => return error.to_string(),
                },
            }
        }
    }

    fn take_frames(&mut self, shared: &Shared) -> Result<(), String> {
        while let Some(frame) = self.decoder.next() {
            let frame = frame.map_err(|error| {
                shared.metrics.bad_frame();
                self.bad.broken(&error);
                error.to_string()
            })?;
            match AgentMessage::from_frame(&frame) {
                Ok(Received::Message(AgentMessage::Answer { request_id, answer })) => {
                    self.link.answered(request_id, answer);
                }
                Ok(Received::Message(_)) => {
                    return Err("only answers come over a bulk connection".to_owned());
                }
                // Whoever asked is told that there was no answer in time.
                Ok(Received::Unsupported { .. }) => {}
                Err(body) => {
                    shared.metrics.bad_frame();
                    self.bad.undecodable(&frame, &body);
                    return Err(body.to_string());
                }
            }
        }
        Ok(())
    }
}
