//! `node_return`: the agent is back; what its digest lacks has ended with its last life.

use mainstay_protocol::InstanceKey;
use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::health::{Evidence, FailureKind};
use mainstay_protocol::report::{LiveState, Presence};
use mainstay_resource_graph::{Desired, FailureCause, Txn, ViewExt};

use crate::env::Env;
use crate::record;
use crate::rule::{Rule, Verdict, Watch};
use crate::verb;

pub struct NodeReturn;

impl Rule for NodeReturn {
    const NAME: &'static str = "node_return";
    const ABOUT: &'static str = "Tells what a node that is back has lost while it was away.";
    const SAFETY: Option<&'static str> =
        Some("what was on a node that comes back would stay Unknown for ever");
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| instance.state.out_of_sight().is_some())
    }

    /// `record` restored what the digest lists, leaves to the node's own reports what they are about to tell, and marks
    /// what came to its end with a void file.
    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(instance) = txn.instance(&subject) else {
            return Verdict::Nothing;
        };
        let Some(was) = instance.state.out_of_sight() else {
            return Verdict::Nothing;
        };
        let lost = instance
            .reason
            .as_ref()
            .is_some_and(|reason| reason.code == code::AGENT_ENDED);
        if !lost {
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
        let cause = FailureCause::Failed(FailureKind::AgentEnded);
        verb::fail(txn, &subject, cause, evidence, Presence::Gone, env);
        Verdict::did(
            code::AGENT_ENDED,
            format!("incarnation {} ended with its agent", instance.incarnation),
        )
    }
}
