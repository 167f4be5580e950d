//! The replicated log as the leader core sees it. The station drives openraft behind it; the simulator
//! implements it itself.

use std::sync::Arc;

use mainstay_protocol::{Term, Timestamp};
use mainstay_resource_graph::Graph;

use crate::entry::{Entry, ProposalId};

/// The core's only way out to durability.
pub trait Log {
    /// Puts one entry forward. At most one is in flight; its fate comes back as a `LogEvent`.
    fn propose(&mut self, entry: Entry);
}

/// What the log tells the core, in order.
#[derive(Debug, Clone)]
pub enum LogEvent {
    /// This station leads, and everything committed before this term has been delivered.
    Leading(Term),
    /// This station no longer leads.
    Following,
    /// An entry is durable. Delivered once each, in log order, on every station.
    Committed(Arc<Entry>),
    /// This proposal is known not to be committed, or its fate cannot be known here; a later `Committed` still
    /// counts. Word of one that is no longer in flight means nothing.
    Lost(ProposalId),
    /// A snapshot replaced the state: the graph begins anew from it, at this log time.
    Replaced {
        graph: Box<Graph>,
        log_time: Timestamp,
    },
}
