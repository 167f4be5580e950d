//! `supervisor_lost`: a node's agent has a session, and those who guard its supervisor find nobody at work there.

use mainstay_protocol::sight::Sight;
use mainstay_protocol::{NodeName, code};
use mainstay_resource_graph::{
    Key, NodeState, Supervisor, SupervisorState, Txn, Vertex, View, ViewExt,
};

use crate::env::Env;
use crate::guarding;
use crate::rule::{Rule, SupervisorOf, Verdict, Watch};

pub struct SupervisorLost;

impl Rule for SupervisorLost {
    const NAME: &'static str = "supervisor_lost";
    const ABOUT: &'static str = "Tells when those who guard a supervisor find nobody at work.";
    type Subject = SupervisorOf;

    fn watches() -> Watch {
        Watch::supervisors(|supervisor| {
            let finds_nobody = |sight| matches!(sight, Sight::Unwatched { .. });
            supervisor.state == SupervisorState::Silent
                || supervisor
                    .seen
                    .values()
                    .any(|seen| finds_nobody(seen.sight))
        })
    }

    /// Who guards it may have gone, or come back.
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<SupervisorOf> {
        match changed {
            Key::Node(guard) => {
                let guarded = guarding::guarded(view, guard).nodes.into_keys();
                guarded.chain([guard.clone()]).map(SupervisorOf).collect()
            }
            _ => Vec::new(),
        }
    }

    fn judge(SupervisorOf(node): SupervisorOf, txn: &mut Txn<'_>, _: &Env) -> Verdict {
        let key = Key::Supervisor(node.clone());
        let Some(known) = txn.supervisor(&node) else {
            return Verdict::Nothing;
        };
        let is_there = txn
            .node(&node)
            .is_some_and(|node| node.state == NodeState::Online);
        let nobody = nobody_at_work(txn, &known);
        let (state, verdict) = match known.state {
            SupervisorState::Running if is_there && !nobody.is_empty() => {
                let guards = nobody.join(" and ");
                let text =
                    format!("its agent answers, and nobody is at work there: seen from {guards}");
                (
                    SupervisorState::Silent,
                    Verdict::did(code::SUPERVISOR_SILENT, text),
                )
            }
            SupervisorState::Silent if nobody.is_empty() => {
                let verdict = Verdict::did(code::SUPERVISOR_BACK, "it is at work again");
                (SupervisorState::Running, verdict)
            }
            SupervisorState::Running | SupervisorState::Silent | SupervisorState::Unknown => {
                return Verdict::Nothing;
            }
        };
        let known = Supervisor { state, ..known };
        txn.put(key, Vertex::Supervisor(known))
            .expect("a supervisor has no transitions");
        verdict
    }
}

/// Who finds that; nobody, as long as one finds it at work. What was said of an incarnation before says nothing, nor does
/// what was said by one that is away itself.
fn nobody_at_work<'k>(view: &dyn View, known: &'k Supervisor) -> Vec<&'k str> {
    let is_here = |guard: &NodeName| {
        let guard = view.node(guard);
        guard.is_some_and(|guard| guard.state == NodeState::Online)
    };
    let mut nobody = Vec::new();
    for (guard, seen) in known.seen.iter().filter(|(guard, _)| is_here(guard)) {
        match seen.sight {
            Sight::Watching { supervisor } if supervisor == known.incarnation => return Vec::new(),
            Sight::Unwatched { supervisor } if supervisor == known.incarnation => {
                nobody.push(guard.as_str());
            }
            Sight::Watching { .. } | Sight::Unwatched { .. } | Sight::Machine | Sight::Nothing => {}
        }
    }
    nobody
}
