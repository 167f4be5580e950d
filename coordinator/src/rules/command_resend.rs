//! `command_resend`: a command without an answer is sent again, at growing intervals, until it has one.

use std::time::Duration;

use mainstay_protocol::CommandId;
use mainstay_protocol::code;
use mainstay_resource_graph::{CommandVertex, Key, NodeState, Txn, Vertex, View, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};

pub struct CommandResend;

impl Rule for CommandResend {
    const NAME: &'static str = "command_resend";
    const ABOUT: &'static str = "Sends a command again until it is answered.";
    const SAFETY: Option<&'static str> = Some("a command that was lost would never be carried out");
    type Subject = CommandId;

    fn watches() -> Watch {
        Watch::commands(|_| true)
    }

    /// The clock of a node's commands stands still while the node is away.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<CommandId> {
        let Key::Node(node) = changed else {
            return Vec::new();
        };
        view.commands_for(node)
            .into_iter()
            .filter_map(|key| match key {
                Key::Command(id) => Some(id),
                _ => None,
            })
            .collect()
    }

    fn judge(subject: CommandId, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let key = Key::Command(subject);
        let Some(mut command) = txn.command(&key) else {
            return Verdict::Nothing;
        };
        let online = txn
            .node(&command.node)
            .is_some_and(|node| node.state == NodeState::Online);
        match command.deadline {
            Some(_) if !online => {
                command.deadline = None;
                put(txn, key, command);
                return Verdict::Nothing;
            }
            // It goes out with the welcome of its node.
            None if online => {
                command.deadline = Some(env.now + Duration::from_millis(env.settings.resend_ms));
                put(txn, key, command);
                return Verdict::Nothing;
            }
            Some(at) if at <= env.now => {}
            Some(_) | None => return Verdict::Nothing,
        }
        let doubled = 1u64.checked_shl(command.sends).unwrap_or(u64::MAX);
        let wait = env
            .settings
            .resend_ms
            .saturating_mul(doubled)
            .min(env.settings.resend_max_ms);
        command.sends += 1;
        command.deadline = Some(env.now + Duration::from_millis(wait));
        let text = format!(
            "{} of {} sent the {}. time; next in {} s",
            command.order.name(),
            command.order.instance().0,
            command.sends,
            wait / 1000
        );
        put(txn, key, command);
        Verdict::did(code::RESENT, text)
    }
}

fn put(txn: &mut Txn<'_>, key: Key, command: CommandVertex) {
    txn.put(key, Vertex::Command(command))
        .expect("a command has no transitions");
}
