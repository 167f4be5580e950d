//! `node_suspect`: what the station and those who guard a node have seen of it says what has become of it.

use std::time::Duration;

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::{NodeName, Timestamp};
use mainstay_resource_graph::{Away, Finding, Node, NodeState, Sightings, Txn, ViewExt};

use crate::env::Env;
use crate::rule::{Rule, Verdict, Watch};

pub struct NodeSuspect;

impl Rule for NodeSuspect {
    const NAME: &'static str = "node_suspect";
    const ABOUT: &'static str = "Judges a node that is away by what others see of it.";
    const SAFETY: Option<&'static str> =
        Some("a node that is cut off from the station alone would be taken for a dead one");
    type Subject = NodeName;

    fn watches() -> Watch {
        Watch::nodes(|node| seen(node.away.as_ref()).is_some())
    }

    fn judge(subject: NodeName, txn: &mut Txn<'_>, env: &Env) -> Verdict {
        let Some(node) = txn.node(&subject) else {
            return Verdict::Nothing;
        };
        let Some((away, seen)) = seen(node.away.as_ref()) else {
            return Verdict::Nothing;
        };
        let finding = meaning(away, seen);
        let text = format!("{}; {seen}", away.why);
        if away.finding == Some(finding) {
            // Who sees what may have changed, and not what it means.
            txn.update_node(&subject, |node| {
                if let Some(reason) = &mut node.reason {
                    reason.text = text;
                }
            })
            .expect("every state of a node may follow itself");
            return Verdict::Nothing;
        }
        let found = found(away, finding, env);
        let lost_at = given_up_at(&node, away, finding, found, env);
        let (state, code) = match finding {
            Finding::AgentDown => (NodeState::AgentDown, code::AGENT_DOWN),
            Finding::Isolated => (NodeState::Isolated, code::NODE_ISOLATED),
            Finding::Unseen => (NodeState::Suspect, code::NODE_UNSEEN),
            Finding::Unheard => (NodeState::Suspect, code::AGENT_SILENT),
        };
        txn.update_node(&subject, |node| {
            node.lost_at = lost_at;
            node.state = state;
            node.reason = Some(Reason::new(code.clone(), text.clone()));
            if let Some(away) = &mut node.away {
                away.finding = Some(finding);
                away.found = found;
            }
        })
        .expect("what is away may be found to be so in every way");
        Verdict::did(code, text)
    }
}

/// That nobody can be asked any more does not make dead what somebody has seen alive.
fn meaning(away: &Away, seen: &Sightings) -> Finding {
    match (away.finding, seen.finding()) {
        (Some(Finding::Isolated), Finding::Unheard) => Finding::Isolated,
        (_, finding) => finding,
    }
}

/// Since when this is so. What is found first was so all the time; and what is out of sight stays so, whoever answers.
fn found(away: &Away, finding: Finding, env: &Env) -> Timestamp {
    match away.finding {
        None => away.since,
        Some(before) if before.is_out_of_sight() && finding.is_out_of_sight() => away.found,
        Some(_) => env.now,
    }
}

fn given_up_at(
    node: &Node,
    away: &Away,
    finding: Finding,
    found: Timestamp,
    env: &Env,
) -> Option<Timestamp> {
    if node.care.maintenance.is_some() {
        return None;
    }
    let settings = &env.settings;
    // What was heard up to now is not given up sooner than what has been silent.
    let silence_ms = if away.closed { settings.silence_ms } else { 0 };
    let waits_ms = match finding {
        Finding::AgentDown => settings.lost_closed_ms,
        Finding::Isolated => return None,
        // That nothing answers says nothing where nobody could ever call.
        Finding::Unseen | Finding::Unheard if away.closed && node.address.is_empty() => {
            settings.lost_closed_ms
        }
        Finding::Unseen => settings.lost_unseen_ms + silence_ms,
        Finding::Unheard => settings.lost_silent_ms + silence_ms,
    };
    let at = found + Duration::from_millis(waits_ms);
    let was_out_of_sight = away.finding.is_some_and(Finding::is_out_of_sight);
    match node
        .lost_at
        .filter(|_| was_out_of_sight && finding.is_out_of_sight())
    {
        Some(before) => Some(before.min(at)),
        None => Some(at),
    }
}

fn seen(away: Option<&Away>) -> Option<(&Away, &Sightings)> {
    let away = away?;
    Some((away, away.seen.as_ref()?))
}
