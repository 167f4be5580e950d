//! The other end of a connection: what another station asks is answered by our member.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use mainstay_protocol::StationId;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError, TransferLeaderRequest,
    VoteRequest, VoteResponse,
};

use super::heard::{Heard, lock};
use super::snapshot::Incoming;
use super::talk::{self, Answer, Append, Ballot, Handover, Question, SnapshotOffer};
use super::{Raft, Snapshot, SnapshotMeta, Types, convert};
use crate::error::io_error;
use crate::reach::PeerStream;

/// Our member, as another station speaks to it.
pub(super) struct Member {
    pub(super) raft: Raft,
    pub(super) snapshots: PathBuf,
    pub(super) heard: Arc<Mutex<Heard>>,
}

impl Member {
    /// Until the other side closes it, or says what cannot be read.
    pub(super) async fn serve(
        &self,
        from: StationId,
        mut stream: Box<dyn PeerStream>,
    ) -> io::Result<()> {
        let raft = &self.raft;
        while let Some(question) = talk::hear::<Question>(&mut stream).await? {
            let answer = match question {
                Question::Append(append) => self.append(append).await,
                Question::Vote(ballot) => raft
                    .vote(vote_request(ballot))
                    .await
                    .map(voted)
                    .map_err(io_error),
                Question::PreVote(ballot) => raft
                    .pre_vote(vote_request(ballot))
                    .await
                    .map(voted)
                    .map_err(io_error),
                Question::Lead(handover) => lead(raft, handover).await,
                Question::Snapshot(offer) => {
                    let incoming = Incoming::begin(&self.snapshots, from.0)?;
                    installed(raft, offer, incoming, &mut stream).await
                }
            };
            let answer = answer.unwrap_or_else(|error| Answer::Failed(error.to_string()));
            talk::say(&mut stream, &answer).await?;
        }
        Ok(())
    }

    async fn append(&self, append: Append) -> io::Result<Answer> {
        // Before anything is written: a slow disk of ours says nothing of who leads.
        let (term, applied) = {
            let metrics = self.raft.metrics();
            let now = metrics.borrow_watched();
            (now.current_term, now.last_applied.map_or(0, |id| id.index))
        };
        if append.decides && append.vote.term >= term {
            let committed = append.committed.map_or(0, |point| point.index);
            lock(&self.heard).leader(committed, applied);
        }
        appended(&self.raft, append).await
    }
}

async fn appended(raft: &Raft, append: Append) -> io::Result<Answer> {
    let entries = append.entries.into_iter();
    let request = AppendEntriesRequest {
        vote: convert::vote(append.vote),
        prev_log_id: append.behind.map(convert::log_id),
        entries: entries
            .map(|(index, log_record)| convert::entry(index, log_record))
            .collect(),
        leader_commit: append.committed.map(convert::log_id),
    };
    Ok(
        match raft.append_entries(request).await.map_err(io_error)? {
            AppendEntriesResponse::Success => Answer::Appended,
            AppendEntriesResponse::PartialSuccess(id) => {
                Answer::AppendedTo(id.as_ref().map(convert::point))
            }
            AppendEntriesResponse::Conflict => Answer::Conflict,
            AppendEntriesResponse::HigherVote(vote) => {
                Answer::HigherVote(convert::stored_vote(&vote))
            }
        },
    )
}

fn vote_request(ballot: Ballot) -> VoteRequest<Types> {
    VoteRequest {
        leadership_transfer: ballot.handed_over,
        ..VoteRequest::new(convert::vote(ballot.vote), ballot.last.map(convert::log_id))
    }
}

fn voted(response: VoteResponse<Types>) -> Answer {
    Answer::Voted {
        vote: convert::stored_vote(&response.vote),
        granted: response.vote_granted,
        last: response.last_log_id.as_ref().map(convert::point),
    }
}

async fn lead(raft: &Raft, handover: Handover) -> io::Result<Answer> {
    let request = TransferLeaderRequest::new(
        convert::vote(handover.from),
        handover.to,
        handover.last.map(convert::log_id),
    );
    Ok(
        match raft
            .handle_transfer_leader(request)
            .await
            .map_err(io_error)?
        {
            Ok(()) => Answer::WillLead,
            Err(TransferLeaderError::VoteChanged { actual, .. }) => {
                Answer::HigherVote(convert::stored_vote(&actual))
            }
            Err(TransferLeaderError::LogNotFlushed { actual, .. }) => {
                Answer::Behind(actual.as_ref().map(convert::point))
            }
        },
    )
}

/// Taken in whole before it is installed: a leader that dies half way leaves a file, and no half state.
async fn installed(
    raft: &Raft,
    offer: SnapshotOffer,
    mut incoming: Incoming,
    stream: &mut Box<dyn PeerStream>,
) -> io::Result<Answer> {
    loop {
        let chunk = talk::read(stream).await?;
        let chunk = chunk.ok_or(io::ErrorKind::UnexpectedEof)?;
        if incoming.take(&chunk)? {
            break;
        }
    }
    let snapshot = Snapshot {
        meta: SnapshotMeta {
            last_log_id: offer.last.map(convert::log_id),
            last_membership: convert::stored_membership(offer.members_at, &offer.members),
        },
        snapshot: incoming.finish()?,
    };
    let vote = convert::vote(offer.vote);
    let response = raft
        .install_full_snapshot(vote, snapshot)
        .await
        .map_err(io_error)?;
    Ok(Answer::Installed {
        vote: convert::stored_vote(&response.vote),
    })
}
