//! Who is in the group. openraft changes it by a log entry of its own, over both the old and the new majority.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::StationId;
use openraft::errors::{ClientWriteError, LinearizableReadError, RaftError};
use openraft::{BasicNode, ChangeMembers, ReadPolicy};

use super::{Raft, Types};

/// One change of the group; each is carried out by whoever leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberChange {
    /// It is sent the log, and does not vote yet. Returns when it has caught up.
    Learn { station: StationId, address: String },
    /// A learner votes from now on.
    Promote(StationId),
    /// It neither votes nor is sent anything any more.
    Remove(StationId),
    /// It is at another address.
    Move { station: StationId, address: String },
    /// It leads from now on, if it can.
    Lead(StationId),
}

/// Why the group did not change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotChanged {
    #[error("another station leads")]
    NotLeading { leader: Option<StationId> },
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Failed(String),
}

pub(super) async fn change(raft: &Raft, change: MemberChange) -> Result<(), NotChanged> {
    let written = match change {
        MemberChange::Learn { station, address } => {
            let node = BasicNode::new(address);
            raft.add_learner(station.0, node, true).await
        }
        MemberChange::Promote(station) => {
            let voters = ChangeMembers::AddVoterIds(BTreeSet::from([station.0]));
            raft.change_membership(voters, true).await
        }
        MemberChange::Remove(station) => {
            let votes = raft.voter_ids().any(|id| id == station.0);
            let leaving = BTreeSet::from([station.0]);
            let change = match votes {
                true => ChangeMembers::RemoveVoters(leaving),
                false => ChangeMembers::RemoveNodes(leaving),
            };
            raft.change_membership(change, false).await
        }
        MemberChange::Move { station, address } => {
            let moved = BTreeMap::from([(station.0, BasicNode::new(address))]);
            raft.change_membership(ChangeMembers::SetNodes(moved), true)
                .await
        }
        MemberChange::Lead(station) => {
            let handed = raft.trigger().transfer_leader(station.0).await;
            return handed.map_err(|error| NotChanged::Failed(error.to_string()));
        }
    };
    written.map(|_| ()).map_err(not_changed)
}

fn not_changed(error: RaftError<Types, ClientWriteError<Types>>) -> NotChanged {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => NotChanged::NotLeading {
            leader: forward.leader_id.map(StationId),
        },
        RaftError::APIError(other) => NotChanged::Refused(other.to_string()),
        RaftError::Fatal(fatal) => NotChanged::Failed(fatal.to_string()),
    }
}

pub(super) async fn barrier(raft: &Raft) -> Result<(), NotChanged> {
    let barrier = raft.ensure_linearizable(ReadPolicy::ReadIndex).await;
    barrier.map(|_| ()).map_err(|error| match error {
        RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)) => {
            NotChanged::NotLeading {
                leader: forward.leader_id.map(StationId),
            }
        }
        other => NotChanged::Failed(other.to_string()),
    })
}
