//! One end of a connection on which questions come in and answers go out.

use std::time::Duration;

use mainstay_protocol::code;
use mainstay_protocol::frame::{Channel, FrameDecoder, encode_frame};
use mainstay_protocol::limits;
use mainstay_protocol::request::{Answer, Ask, Refusal};
use mainstay_protocol::session::{AgentMessage, Received, StationMessage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::bulk::Answers;
use super::connection::{ReadHalf, WriteHalf};
use super::{READ_BYTES, SessionError};
use crate::requests::Requests;

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    pub(crate) channel: Channel,
    /// What it may ask.
    pub(crate) may: fn(&Ask) -> bool,
    /// Such a question is answered before its next is heard.
    pub(crate) in_turn: fn(&Ask) -> bool,
    /// It is gone when it has asked nothing for so long; none where something else says so.
    pub(crate) silence: Option<Duration>,
}

pub(crate) async fn speak(
    mut write: WriteHalf,
    mut queued: mpsc::Receiver<AgentMessage>,
    asker: Asker,
) -> Result<(), SessionError> {
    let doing = "answering";
    let after = Duration::from_millis(limits::BULK_WRITE_DEADLINE_MS);
    let mut bytes = Vec::new();
    while let Some(message) = queued.recv().await {
        bytes.clear();
        if let Err(error) = encode_frame(&message.to_frame(), asker.channel, &mut bytes) {
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

pub(crate) async fn hear(
    mut read: ReadHalf,
    mut decoder: FrameDecoder,
    requests: &Requests,
    answers: &Answers,
    asker: Asker,
) -> Result<(), SessionError> {
    let doing = "listening to questions";
    let mut bytes = vec![0; READ_BYTES];
    loop {
        while let Some(frame) = decoder.next() {
            match StationMessage::from_frame(&frame?) {
                Ok(Received::Message(StationMessage::Request {
                    request_id,
                    request,
                })) if (asker.may)(&request.ask) => match (asker.in_turn)(&request.ask) {
                    true => {
                        let answer = requests.answer(request).await;
                        let said = AgentMessage::Answer { request_id, answer };
                        answers.say(said).await;
                    }
                    false => requests.serve(request_id, request, answers.clone()),
                },
                Ok(Received::Message(StationMessage::Request { request_id, .. })) => {
                    let refusal = Refusal::new(code::NOT_ALLOWED, "only a station may ask that");
                    let answer = Answer::Refused(refusal);
                    answers
                        .say(AgentMessage::Answer { request_id, answer })
                        .await;
                }
                Ok(Received::Unsupported {
                    request_id,
                    answer: Some(what),
                }) => {
                    let said = AgentMessage::Unsupported { request_id, what };
                    answers.say(said).await;
                }
                Ok(Received::Message(_) | Received::Unsupported { answer: None, .. }) => {}
                Err(bad) => tracing::warn!(%bad, "a frame with a question cannot be read"),
            }
        }
        let reading = read.read(&mut bytes);
        let count = match asker.silence {
            Some(after) => timeout(after, reading)
                .await
                .map_err(|_| SessionError::Silent { doing, after })?,
            None => reading.await,
        };
        let count = count.map_err(|cause| SessionError::Io { doing, cause })?;
        if count == 0 {
            return Err(SessionError::Closed);
        }
        decoder.push(&bytes[..count]);
    }
}
