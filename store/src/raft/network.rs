//! The way to other stations: one connection for each kind of talk openraft has with each of them, opened when there is
//! something to say and again when it broke. A station that cannot be reached is no answer, never a yes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mainstay_protocol::record;
use mainstay_protocol::{StationId, limits};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::v2::RaftNetworkV2;
use openraft::network::{RPCOption, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, OptionalSend};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::snapshot::StateSnapshot;
use super::talk::{self, Answer, Append, Ballot, Handover, Question, SnapshotOffer};
use super::{RaftEntry, RaftVote, Snapshot, Types, convert};
use crate::reach::{PeerStream, Reach};
use crate::records::{LogPoint, LogRecord};

/// How long one chunk of a snapshot may take, and then its installation.
const CHUNK_WITHIN: Duration = Duration::from_secs(10);
const INSTALLED_WITHIN: Duration = Duration::from_secs(300);
/// Chunks read ahead of the connection.
const CHUNKS_AHEAD: usize = 2;

pub(super) struct Network {
    pub(super) reach: Arc<dyn Reach>,
    pub(super) decides: Arc<AtomicBool>,
}

pub(super) struct Connection {
    station: StationId,
    address: String,
    reach: Arc<dyn Reach>,
    decides: Arc<AtomicBool>,
    /// None while something is under way on it: what is given up half way leaves a connection that is out of step.
    open: Option<Box<dyn PeerStream>>,
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Connection;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Connection {
        Connection {
            station: StationId(target),
            address: node.addr.clone(),
            reach: Arc::clone(&self.reach),
            decides: Arc::clone(&self.decides),
            open: None,
        }
    }
}

/// Why there is no answer.
enum NoAnswer {
    /// There is no way to it now.
    Away(io::Error),
    /// The connection broke, or it took too long.
    Broken(io::Error),
}

impl From<NoAnswer> for RPCError<Types> {
    fn from(why: NoAnswer) -> Self {
        match why {
            NoAnswer::Away(error) => Self::Unreachable(Unreachable::new(&error)),
            NoAnswer::Broken(error) => Self::Network(NetworkError::new(&error)),
        }
    }
}

impl Connection {
    async fn connected(&mut self) -> Result<Box<dyn PeerStream>, NoAnswer> {
        match self.open.take() {
            Some(open) => Ok(open),
            None => self
                .reach
                .connect(self.station, &self.address)
                .await
                .map_err(NoAnswer::Away),
        }
    }

    async fn ask(&mut self, question: &Question, within: Duration) -> Result<Answer, NoAnswer> {
        let asking = async {
            let mut stream = self.connected().await?;
            talk::say(&mut stream, question)
                .await
                .map_err(NoAnswer::Broken)?;
            let heard = talk::hear(&mut stream).await.map_err(NoAnswer::Broken)?;
            let answer = heard.ok_or_else(|| NoAnswer::Broken(closed()))?;
            self.open = Some(stream);
            Ok(answer)
        };
        match timeout(within, asking).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(NoAnswer::Broken(io::ErrorKind::TimedOut.into())),
        }
    }

    async fn ballot(
        &mut self,
        question: Question,
        option: &RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        match self.ask(&question, option.soft_ttl()).await? {
            Answer::Voted {
                vote,
                granted,
                last,
            } => Ok(VoteResponse::new(
                convert::vote(vote),
                last.map(convert::log_id),
                granted,
            )),
            other => Err(unexpected(other).into()),
        }
    }

    async fn send_snapshot(
        &mut self,
        vote: RaftVote,
        snapshot: Snapshot,
    ) -> Result<RaftVote, NoAnswer> {
        let mut stream = self.connected().await?;
        let (members_at, members) = convert::stored_members(&snapshot.meta.last_membership);
        let offer = SnapshotOffer {
            vote: convert::stored_vote(&vote),
            last: snapshot.meta.last_log_id.as_ref().map(convert::point),
            members_at,
            members,
        };
        talk::say(&mut stream, &Question::Snapshot(offer))
            .await
            .map_err(NoAnswer::Broken)?;
        let (chunks, mut read) = mpsc::channel::<Vec<u8>>(CHUNKS_AHEAD);
        let reading = tokio::task::spawn_blocking(move || {
            snapshot.snapshot.for_each_chunk(|chunk| {
                let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
                chunks.blocking_send(chunk.to_vec()).map_err(gone)
            })
        });
        while let Some(chunk) = read.recv().await {
            timeout(CHUNK_WITHIN, talk::write(&mut stream, &chunk))
                .await
                .map_err(io::Error::from)
                .flatten()
                .map_err(NoAnswer::Broken)?;
        }
        reading
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(NoAnswer::Broken)?;
        let heard = timeout(INSTALLED_WITHIN, talk::hear(&mut stream))
            .await
            .map_err(io::Error::from)
            .flatten()
            .map_err(NoAnswer::Broken)?;
        match heard.ok_or_else(|| NoAnswer::Broken(closed()))? {
            Answer::Installed { vote } => {
                self.open = Some(stream);
                Ok(convert::vote(vote))
            }
            other => Err(unexpected(other)),
        }
    }
}

fn closed() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "it closed the connection instead of answering",
    )
}

fn unexpected(answer: Answer) -> NoAnswer {
    NoAnswer::Broken(io::Error::other(match answer {
        Answer::Failed(why) => why,
        other => format!("it answered something else: {other:?}"),
    }))
}

/// As many as one frame may have, at least one. False: there are more.
fn batch(entries: Vec<RaftEntry>) -> (Vec<(u64, LogRecord)>, bool) {
    let mut bytes = 0;
    let mut taken = Vec::with_capacity(entries.len());
    for entry in entries {
        let (index, log_record) = convert::record(entry);
        bytes += record::encode(&log_record).len();
        if bytes > limits::GROUP_BATCH_BYTES_MAX && !taken.is_empty() {
            return (taken, false);
        }
        taken.push((index, log_record));
    }
    (taken, true)
}

impl RaftNetworkV2<Types> for Connection {
    type SnapshotData = StateSnapshot;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let (entries, all) = batch(rpc.entries);
        let last = entries.last().map(|(index, log_record)| LogPoint {
            term: log_record.term,
            index: *index,
        });
        let question = Question::Append(Append {
            vote: convert::stored_vote(&rpc.vote),
            behind: rpc.prev_log_id.as_ref().map(convert::point),
            entries,
            committed: rpc.leader_commit.as_ref().map(convert::point),
            decides: self.decides.load(Ordering::Relaxed),
        });
        match self.ask(&question, option.soft_ttl()).await? {
            Answer::Appended if all => Ok(AppendEntriesResponse::Success),
            Answer::Appended => Ok(AppendEntriesResponse::PartialSuccess(
                last.map(convert::log_id),
            )),
            Answer::AppendedTo(point) => Ok(AppendEntriesResponse::PartialSuccess(
                point.map(convert::log_id),
            )),
            Answer::Conflict => Ok(AppendEntriesResponse::Conflict),
            Answer::HigherVote(vote) => Ok(AppendEntriesResponse::HigherVote(convert::vote(vote))),
            other => Err(unexpected(other).into()),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let question = Question::Vote(ballot(&rpc));
        self.ballot(question, &option).await
    }

    /// The default would grant it.
    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let question = Question::PreVote(ballot(&rpc));
        self.ballot(question, &option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: RaftVote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        tokio::select! {
            sent = self.send_snapshot(vote, snapshot) => match sent {
                Ok(vote) => Ok(SnapshotResponse::new(vote)),
                Err(NoAnswer::Away(error)) => Err(StreamingError::Unreachable(Unreachable::new(&error))),
                Err(NoAnswer::Broken(error)) => Err(StreamingError::Network(NetworkError::new(&error))),
            },
            closed = cancel => Err(StreamingError::Closed(closed)),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        let question = Question::Lead(Handover {
            from: convert::stored_vote(request.from_leader()),
            to: *request.to_node_id(),
            last: request.last_log_id().map(convert::point),
        });
        Ok(match self.ask(&question, option.soft_ttl()).await? {
            Answer::WillLead => Ok(()),
            Answer::HigherVote(vote) => Err(TransferLeaderError::VoteChanged {
                expected: *request.from_leader(),
                actual: convert::vote(vote),
            }),
            Answer::Behind(last) => Err(TransferLeaderError::LogNotFlushed {
                expected: request.last_log_id().copied(),
                actual: last.map(convert::log_id),
            }),
            other => return Err(unexpected(other).into()),
        })
    }
}

fn ballot(rpc: &VoteRequest<Types>) -> Ballot {
    Ballot {
        vote: convert::stored_vote(&rpc.vote),
        last: rpc.last_log_id.as_ref().map(convert::point),
        handed_over: rpc.leadership_transfer,
    }
}
