//! `command_resend`: a command without an answer is sent again, at growing intervals, until it has one.

use std::time::Duration;

use mainstay_protocol::CommandId;
use mainstay_protocol::code;
use mainstay_resource_graph::{Key, NodeState, Txn, Vertex, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};

pub struct CommandResend;

impl Rule for CommandResend {
    const NAME: &'static str = "command_resend";
    type Subject = CommandId;

    fn watches() -> Watch {
        Watch::commands(|command| command.deadline.is_some())
    }

    fn judge(subject: CommandId, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let key = Key::Command(subject);
        let Some(mut command) = txn.command(&key) else {
            return Verdict::Nothing;
        };
        if command.deadline.is_none_or(|at| at > env.now) {
            return Verdict::Nothing;
        }
        let online = txn
            .node(&command.node)
            .is_some_and(|node| node.state == NodeState::Online);
        if !online {
            // `record` sets the time anew when the node is back.
            command.deadline = None;
            txn.put(key, Vertex::Command(command))
                .expect("a command has no transitions");
            return Verdict::Nothing;
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
        txn.put(key, Vertex::Command(command))
            .expect("a command has no transitions");
        Verdict::did(code::RESENT, text)
    }
}
