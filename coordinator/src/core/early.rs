//! Two of the planted bugs: effects before the commit that justifies them.

use mainstay_protocol::command::Command;
use mainstay_resource_graph::{Change, Key, Vertex};

use super::InFlight;
use crate::effect::Effect;
use crate::entry::Entry;
use crate::event::Accepted;
use crate::planted::{Bug, is};
use crate::record::Outcome;

pub(super) fn effects(flight: &InFlight, entry: &Entry) -> Vec<Effect> {
    let commands = entry
        .delta
        .changes
        .iter()
        .filter_map(|change| match change {
            Change::Put(record) if is(Bug::SendsBeforeCommit) => {
                match (&record.key, &record.vertex) {
                    (Key::Command(id), Vertex::Command(command)) => Some(Effect::Send {
                        node: command.node.clone(),
                        command: Command {
                            id: *id,
                            leadership: entry.leadership,
                            order: command.order.clone(),
                        },
                    }),
                    _ => None,
                }
            }
            _ => None,
        });
    let answers = flight.events.iter().zip(&flight.outcomes).filter_map(
        |((_, ticket), outcome)| match outcome {
            Outcome::Answer(Ok(recorded)) if is(Bug::AnswersBeforeCommit) => Some(Effect::Reply {
                ticket: (*ticket)?,
                answer: Ok(Accepted {
                    revision: entry.delta.expected.next(),
                    instances: recorded.instances.clone(),
                    text: recorded.text.clone(),
                    changed: recorded.changed,
                }),
            }),
            _ => None,
        },
    );
    commands.chain(answers).collect()
}
