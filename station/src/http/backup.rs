//! A backup as a stream: written from a snapshot of the store while it is sent, so that its size is nobody's memory.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use futures::stream;
use mainstay_api::Problem;
use mainstay_api::routes::BACKUP_CONTENT;
use mainstay_protocol::{code, limits};
use mainstay_resource_graph::ViewExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::Api;
use super::reply::{Reply, place};
use crate::clock::wall_ms;

/// Pieces on their way that nobody has taken yet.
const PIECES: usize = 4;
const PIECE_BYTES: usize = 256 * 1024;
/// A reader that takes nothing for so long is let go of: old data is kept on disk for it.
const STALL: Duration = Duration::from_millis(limits::BACKUP_STALL_MS);

pub async fn backup(api: Api) -> Reply {
    let what = "write a backup";
    let why = "backups are being written already";
    let place = place(&api.backups, what.to_owned(), why)?;
    if api
        .read(|present| Ok(present.view.cluster()))
        .await?
        .is_none()
    {
        let why = "this station knows of no cluster yet: nothing is there to be kept";
        return Err(Problem::new(code::NO_QUORUM, what, why).into());
    }
    let (sender, receiver) = mpsc::channel(PIECES);
    let shared = api.shared.clone();
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let _place = place;
        let mut pieces = Pieces {
            sender,
            runtime,
            gathered: Vec::new(),
        };
        let written = shared.store.backup(wall_ms(), |bytes| pieces.push(bytes));
        let written = written.and_then(|_| pieces.flush());
        if let Err(error) = written {
            tracing::warn!(%error, "a backup was not written to its end");
            pieces.fail(error);
        }
    });
    let body = stream::unfold(receiver, |mut receiver| async move {
        let piece: io::Result<Bytes> = receiver.recv().await?;
        Some((piece, receiver))
    });
    Ok(([(CONTENT_TYPE, BACKUP_CONTENT)], Body::from_stream(body)).into_response())
}

struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    runtime: Handle,
    gathered: Vec<u8>,
}

impl Pieces {
    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.gathered.extend_from_slice(bytes);
        match self.gathered.len() < PIECE_BYTES {
            true => Ok(()),
            false => self.flush(),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = Bytes::from(std::mem::take(&mut self.gathered));
        self.send(Ok(piece))
    }

    /// The answer breaks off, so that whoever reads it cannot take it for whole.
    fn fail(&self, error: io::Error) {
        // Whoever is gone needs no telling.
        drop(self.send(Err(error)));
    }

    fn send(&self, piece: io::Result<Bytes>) -> io::Result<()> {
        let sending = tokio::time::timeout(STALL, self.sender.send(piece));
        match self.runtime.block_on(sending) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_gone)) => Err(io::Error::other("its reader is gone")),
            Err(_elapsed) => Err(io::Error::other("its reader takes nothing any more")),
        }
    }
}
