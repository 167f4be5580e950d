//! Effects: what the leader core asks its shell to do, after the commit that justifies it.

use std::collections::BTreeSet;
use std::sync::Arc;

use mainstay_protocol::command::Command;
use mainstay_protocol::host::HostCommand;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::sight::{Guards, Watches};
use mainstay_protocol::{AgentRunId, Leadership, NodeEpoch, NodeId, NodeName, Sequence, Timestamp};

use crate::entry::Entry;
use crate::event::{Answer, Ticket};

#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "an effect is made and taken apart in one go, and most are commands"
)]
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
    /// A node guards others from now on.
    Guard {
        node: NodeName,
        guards: Guards,
    },
    /// A node watches other instances of other nodes from now on.
    Watch {
        node: NodeName,
        watches: Watches,
    },
    /// A node is to be looked for; what was seen is told by the event `Sighted`, soon and in any case.
    Look(Look),
    /// An agent is to run a command of the cluster's owners; what came of it is told by the event `HostCommandRan`.
    AskHost(AskHost),
    /// An entry was applied to the graph: watchers may look again.
    Applied(Arc<Entry>),
}

/// Whom to look for, and whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    pub node: NodeName,
    /// Since when it is away; told with what was seen.
    pub since: Timestamp,
    /// Where its agent was; empty where nobody can call it.
    pub address: String,
    pub guards: BTreeSet<NodeName>,
}

/// Whose agent is to run what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskHost {
    pub on: NodeName,
    pub command: HostCommand,
}
