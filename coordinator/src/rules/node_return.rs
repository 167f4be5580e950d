//! `node_return`: the agent is back; what its digest lacks has ended with its last life.

use mainstay_protocol::InstanceKey;
use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::health::{Evidence, FailureKind};
use mainstay_protocol::report::LiveState;
use mainstay_resource_graph::{
    Desired, FailureCause, InstanceState, Key, NodeState, Txn, View, ViewExt,
};

use crate::env::Env;
use crate::record;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

pub struct NodeReturn;

impl Rule for NodeReturn {
    const NAME: &'static str = "node_return";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| matches!(instance.state, InstanceState::Unknown { .. }))
    }

    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<InstanceKey> {
        match changed {
            Key::Node(node)
                if view
                    .node(node)
                    .is_some_and(|node| node.state == NodeState::Online) =>
            {
                view.instances_on(node)
            }
            _ => Vec::new(),
        }
    }

    /// `record` restored what the digest lists, so an Unknown instance on an online node is one it lacks. What the
    /// node's own reports are about to tell is not guessed.
    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(instance) = txn.instance(&subject) else {
            return Verdict::Nothing;
        };
        let InstanceState::Unknown { was } = instance.state else {
            return Verdict::Nothing;
        };
        if !verb::is_online(txn, &subject) {
            return Verdict::Nothing;
        }
        let told = instance
            .reason
            .as_ref()
            .is_some_and(|reason| reason.code == code::NODE_RETURNED);
        if told {
            return Verdict::Nothing;
        }
        if instance.desired != Desired::Running {
            let reason = Reason::new(
                code::STOPPED_BY_OPERATOR,
                "ended with its agent while it was to be stopped",
            );
            verb::settle_stopped(txn, &subject, reason);
            return Verdict::did(code::AGENT_ENDED, "it ended with its agent, as it should");
        }
        if was == LiveState::Stopping {
            let why = record::stop_why(txn, &subject, &instance);
            record::finish_stop(txn, &subject, why, env);
            return Verdict::did(code::AGENT_ENDED, "its stop ended with its agent");
        }
        let evidence = Evidence::text(format!("the agent of {} ended and came back", subject.node));
        verb::change(txn, &subject, |instance| {
            verb::fail(
                instance,
                FailureCause::Failed(FailureKind::AgentEnded),
                evidence,
                env,
            );
        });
        Verdict::did(
            code::AGENT_ENDED,
            format!("incarnation {} ended with its agent", instance.incarnation),
        )
    }
}
