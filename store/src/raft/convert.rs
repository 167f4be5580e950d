//! Between openraft's types and ours on disk, so that its layouts never reach the disk.

use openraft::entry::RaftEntry as _;
use openraft::vote::{RaftLeaderId as _, RaftVote as _};
use openraft::{BasicNode, EntryPayload, Membership};

use super::{LogId, Proposal, RaftEntry, RaftVote, StoredMembership, Types};
use crate::records::{LogPoint, LogRecord, Members, Payload, Vote};

type LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>;

pub(super) fn log_id(point: LogPoint) -> LogId {
    // The station is no part of a committed leader's id: a term has one leader.
    LogId::new(LeaderId::new(point.term, 0).to_committed(), point.index)
}

pub(super) fn point(id: &LogId) -> LogPoint {
    LogPoint {
        term: *id.leader_id,
        index: id.index,
    }
}

pub(super) fn vote(vote: Vote) -> RaftVote {
    RaftVote::from_leader_id(LeaderId::new(vote.term, vote.station), vote.committed)
}

pub(super) fn stored_vote(vote: &RaftVote) -> Vote {
    Vote {
        term: vote.leader_id().term,
        station: vote.leader_id().voted_for,
        committed: vote.is_committed(),
    }
}

pub(super) fn members(membership: &Membership<u64, BasicNode>) -> Members {
    Members {
        voters: membership.get_joint_config().clone(),
        addresses: membership
            .nodes()
            .map(|(id, node)| (*id, node.addr.clone()))
            .collect(),
    }
}

pub(super) fn membership(members: &Members) -> Membership<u64, BasicNode> {
    let nodes = members.addresses.iter();
    let nodes: std::collections::BTreeMap<u64, BasicNode> = nodes
        .map(|(id, address)| (*id, BasicNode::new(address)))
        .collect();
    if members.voters.is_empty() && nodes.is_empty() {
        return Membership::default();
    }
    Membership::new(members.voters.clone(), nodes)
        .expect("members were judged before they were stored")
}

pub(super) fn stored_members(membership: &StoredMembership) -> (Option<LogPoint>, Members) {
    let at = membership.log_id().as_ref().map(point);
    (at, members(membership.membership()))
}

pub(super) fn stored_membership(at: Option<LogPoint>, members: &Members) -> StoredMembership {
    StoredMembership::new(at.map(log_id), membership(members))
}

pub(super) fn record(entry: RaftEntry) -> (u64, LogRecord) {
    let id = entry.log_id();
    let payload = match entry.payload {
        EntryPayload::Blank => Payload::Blank,
        EntryPayload::Normal(Proposal(entry)) => Payload::Entry(entry),
        EntryPayload::Membership(membership) => Payload::Membership(members(&membership)),
    };
    let term = *id.leader_id;
    (id.index, LogRecord { term, payload })
}

pub(super) fn entry(index: u64, record: LogRecord) -> RaftEntry {
    let id = log_id(LogPoint {
        term: record.term,
        index,
    });
    let payload: openraft::type_config::alias::PayloadOf<Types> = match record.payload {
        Payload::Blank => EntryPayload::Blank,
        Payload::Entry(entry) => EntryPayload::Normal(Proposal(entry)),
        Payload::Membership(members) => EntryPayload::Membership(membership(&members)),
    };
    RaftEntry::new(id, payload)
}
