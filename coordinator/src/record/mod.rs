//! `record`: writes facts and wishes into the transaction as they come; judges nothing. Rules do that after it.

mod adopted;
mod epoch;
mod found;
pub(crate) mod operation;
mod reconfigure;
mod report;
mod room;
mod seen;
mod session;
mod settings;
mod wish;
mod word;
mod work;

pub use operation::access::known_token;

use mainstay_protocol::code::Code;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::words::nearest;
use mainstay_protocol::{AgentRunId, InstanceKey, NodeEpoch, NodeId, NodeName, Sequence};
use mainstay_resource_graph::{Cause, Key, Kind, NodeState, Outbox, Txn, Vertex, View, ViewExt};

use crate::env::Env;
use crate::event::Event;

pub use operation::Recorded;
pub use report::{finish_stop, report};
pub use session::stop_why;
pub use wish::{reach, replace, retarget, write};
pub use word::forget;

/// What an event calls for once its entry is committed.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Nothing,
    /// A node is in: its session may begin.
    Welcome {
        node: NodeName,
        agent_run: AgentRunId,
        node_id: NodeId,
        node_epoch: NodeEpoch,
        watermark: Sequence,
    },
    /// An operation's answer.
    Answer(Result<Recorded, Refusal>),
}

/// Records one event. Reports are recorded one by one by `step`, each in a savepoint of its own.
pub fn event(txn: &mut Txn<'_>, event: &Event, env: &Env) -> Outcome {
    match event {
        Event::Found(found) => {
            txn.set_cause(Cause::Start);
            found::found(txn, found, env);
            Outcome::Nothing
        }
        Event::NodeUp { up, minted } => {
            txn.set_cause(Cause::Session("node_up".to_owned()));
            session::node_up(txn, up, *minted, env)
        }
        Event::AgentGone {
            node,
            agent_run,
            why,
        } => {
            txn.set_cause(Cause::Session("agent_gone".to_owned()));
            session::agent_gone(txn, node, *agent_run, *why, env);
            Outcome::Nothing
        }
        Event::Operator { operation, by } => {
            let act = format!("{} by {by}", operation.name());
            txn.set_cause(Cause::Operator(act));
            Outcome::Answer(operation::operation(txn, operation, env))
        }
        Event::Stations(group) => {
            txn.set_cause(Cause::Session("stations".to_owned()));
            found::stations(txn, group);
            Outcome::Nothing
        }
        Event::StationStops { station, run } => {
            txn.set_cause(Cause::Session("station_stops".to_owned()));
            found::station_stops(txn, *station, *run);
            Outcome::Nothing
        }
        Event::Sighted { node, since, seen } => {
            txn.set_cause(Cause::Session("sighted".to_owned()));
            session::sighted(txn, node, *since, seen);
            Outcome::Nothing
        }
        Event::HostCommandRan { id, outcome } => {
            txn.set_cause(Cause::Session("host_command_ran".to_owned()));
            operation::hosts::ran(txn, id, outcome);
            Outcome::Nothing
        }
        Event::Reports { .. } => Outcome::Nothing,
    }
}

/// Moves a node's watermark up. False if the report's number already took effect, or belongs to another epoch.
pub fn take_sequence(
    txn: &mut Txn<'_>,
    node: &NodeName,
    node_epoch: NodeEpoch,
    sequence: Sequence,
) -> bool {
    let key = Key::Outbox(node.clone());
    let Some(outbox) = outbox(txn, node) else {
        return false;
    };
    if outbox.node_epoch != node_epoch || sequence <= outbox.watermark {
        return false;
    }
    #[cfg(feature = "planted-bugs")]
    if crate::planted::is(crate::planted::Bug::WatermarkStands) && sequence.0.is_multiple_of(8) {
        return true;
    }
    let moved = Outbox {
        watermark: sequence,
        ..outbox
    };
    txn.put(key, Vertex::Outbox(moved))
        .expect("an outbox has no transitions");
    true
}

pub fn outbox(txn: &Txn<'_>, node: &NodeName) -> Option<Outbox> {
    match &txn.record(&Key::Outbox(node.clone()))?.vertex {
        Vertex::Outbox(outbox) => Some(outbox.clone()),
        _ => None,
    }
}

/// "There is no such thing", with the nearest there is.
fn unknown(code: Code, what: &str, wrong: &str, txn: &Txn<'_>, kind: Kind) -> Refusal {
    let names = txn.names(kind);
    let mut refusal = Refusal::new(code, format!("{what} \"{wrong}\" is not known"));
    refusal.nearest = nearest(wrong, names.iter().map(String::as_str));
    refusal
}

fn is_online(txn: &Txn<'_>, key: &InstanceKey) -> bool {
    txn.node(&key.node)
        .is_some_and(|node| node.state == NodeState::Online)
}
