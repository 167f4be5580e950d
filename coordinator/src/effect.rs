//! Effects: what the leader core asks its shell to do, after the commit that justifies it.

use std::sync::Arc;

use mainstay_protocol::command::Command;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{AgentRunId, Leadership, NodeEpoch, NodeId, NodeName, Sequence};

use crate::entry::Entry;
use crate::event::{Answer, Ticket};

#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// A NodeUp took effect: the session may begin.
    Welcome {
        node: NodeName,
        agent_run: AgentRunId,
        node_id: NodeId,
        node_epoch: NodeEpoch,
        watermark: Sequence,
        leadership: Leadership,
    },
    /// The session is refused.
    Deny {
        node: NodeName,
        agent_run: AgentRunId,
        refusal: Refusal,
    },
    /// Reports up to here are committed with all their effects.
    Acknowledge {
        node: NodeName,
        node_epoch: NodeEpoch,
        up_to: Sequence,
    },
    /// A committed command, to be sent if the node has a session; it is repeated until answered.
    Send {
        node: NodeName,
        command: Command,
    },
    Reply {
        ticket: Ticket,
        answer: Answer,
    },
    /// An entry was applied to the graph: watchers may look again.
    Applied(Arc<Entry>),
}
