//! `restart_host`: a machine is restarted through its own agent, then switched off through another node's, then given up.
//!
//! ```text
//!   asked ----> by its agent --failed, not back--> by a peer, another, a third --all failed--> given up
//!   fence ------------------------------------^       | done: it was off
//!                                                     v
//!                                          its session ends --> given up for certain --> it returns, or not
//! ```
//! Every step ends as soon as another run of its agent is here; a fence that nobody asked for, as soon as any is.

use std::time::Duration;

use mainstay_protocol::code::{self, Code, Reason};
use mainstay_protocol::{NodeName, Timestamp, limits};
use mainstay_resource_graph::{
    HostAct, HostEnded, HostEnding, HostOutcome, HostRestart, HostRun, Key, Node, NodeState, Said,
    Txn, ViewExt,
};
use serde::{Deserialize, Serialize};

use crate::env::Env;
use crate::guarding;
use crate::hash;
use crate::procedure::{self, Next, Procedure, Turn};
use crate::rule::Watch;
use crate::verb;

pub struct RestartHost;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    ByAgent,
    ByPeer {
        tried: Vec<NodeName>,
    },
    /// It was off, and what is heard of it is not it any more, or somebody was wrong.
    SessionEnds {
        by: NodeName,
    },
    Returns,
}

impl Procedure for RestartHost {
    const NAME: &'static str = "restart_host";
    const ABOUT: &'static str =
        "Restarts a machine through its agent, then through a peer, then gives it up.";
    const SAFETY: Option<&'static str> = Some(
        "a machine that somebody restarts stays as it is, and a singleton that is to be fenced would not start elsewhere",
    );
    type Subject = NodeName;
    type Step = Step;

    fn watches() -> Watch {
        Watch::nodes(|node| {
            let restart = node.restart.as_ref();
            restart.is_some_and(HostRestart::is_under_way)
        })
    }

    fn begin(subject: NodeName, txn: &mut Txn<'_>, env: &Env) -> Next<Step> {
        let Some((node, restart)) = under_way(txn, &subject) else {
            return Next::Stay;
        };
        let settings = &env.settings;
        if restart.fence && node.state == NodeState::Online {
            return is_here(txn, &subject, env);
        }
        if restart.fence {
            return by_peer(
                txn,
                &subject,
                Vec::new(),
                "it is to be off for certain",
                env,
            );
        }
        if settings.host_restart.is_empty() {
            return by_peer(txn, &subject, Vec::new(), "host.restart is not set", env);
        }
        if node.state != NodeState::Online {
            return by_peer(txn, &subject, Vec::new(), "its agent is not here", env);
        }
        command(txn, &subject, HostAct::Restart, subject.clone());
        let within = Duration::from_millis(settings.host_within_ms + settings.host_back_ms);
        Next::step(
            Step::ByAgent,
            within,
            "its agent runs host.restart, and is to be back",
        )
    }

    fn go_on(
        subject: NodeName,
        step: Step,
        turn: Turn,
        txn: &mut Txn<'_>,
        env: &Env,
    ) -> Next<Step> {
        let Some((node, restart)) = under_way(txn, &subject) else {
            return Next::end("nobody wants it any more");
        };
        if node.state == NodeState::Online && node.agent_run != restart.agent_run {
            let text = "it is back: another run of its agent is here";
            return end(txn, &subject, HostEnding::Back, text.to_owned(), env);
        }
        let outcome = restart.command.and_then(|command| command.outcome);
        if restart.fence && node.state == NodeState::Online && outcome != Some(HostOutcome::Done) {
            return is_here(txn, &subject, env);
        }
        let time_is_up = turn == Turn::TimeIsUp;
        match step {
            Step::ByAgent => match outcome {
                Some(HostOutcome::Failed(why)) => {
                    let why = format!("host.restart failed at its own agent: {why}");
                    by_peer(txn, &subject, Vec::new(), &why, env)
                }
                Some(HostOutcome::Done) | None if time_is_up => {
                    let why = "its own agent was asked, and did not come back in time";
                    by_peer(txn, &subject, Vec::new(), why, env)
                }
                Some(HostOutcome::Done) | None => Next::Stay,
            },
            Step::ByPeer { tried } => {
                let by = tried.last().cloned().unwrap_or_else(|| subject.clone());
                match outcome {
                    Some(HostOutcome::Done) => was_off(txn, &subject, &node, by, env),
                    Some(HostOutcome::Failed(why)) => {
                        let why = format!("host.fence failed at {by}: {why}");
                        by_peer(txn, &subject, tried, &why, env)
                    }
                    None if time_is_up => {
                        let why = format!("{by} did not say what became of host.fence");
                        by_peer(txn, &subject, tried, &why, env)
                    }
                    None => Next::Stay,
                }
            }
            Step::SessionEnds { by } if node.state != NodeState::Online => {
                was_off(txn, &subject, &node, by, env)
            }
            Step::SessionEnds { by } if time_is_up => still_heard(txn, &subject, &by, env),
            Step::Returns if node.state == NodeState::Online => {
                let text = "host.fence said that it was off, and the same run of its agent is here";
                end(txn, &subject, HostEnding::Failed, text.to_owned(), env)
            }
            Step::Returns if time_is_up => {
                let text = "it was off, and is not back";
                end(txn, &subject, HostEnding::Off, text.to_owned(), env)
            }
            Step::SessionEnds { .. } | Step::Returns => Next::Stay,
        }
    }
}

/// Its machine is to be restarted; or, to be certain, switched off. Begins also where one ended in this very step.
pub fn wish(txn: &mut Txn<'_>, node: &NodeName, said: Said, fence: bool) {
    mark(txn, node, said, fence, None);
    let ended = procedure::id_of(RestartHost::NAME, &Key::Node(node.clone()));
    txn.remove(&Key::Procedure(ended));
}

/// It is to be off for certain, and nobody is asked to see to that.
pub fn leave(txn: &mut Txn<'_>, node: &NodeName, said: Said, ended: HostEnded) {
    mark(txn, node, said, true, Some(ended));
}

fn mark(txn: &mut Txn<'_>, node: &NodeName, said: Said, fence: bool, ended: Option<HostEnded>) {
    txn.update_node(node, |node| {
        node.restart = Some(HostRestart {
            said,
            fence,
            agent_run: node.agent_run,
            command: None,
            ended,
        });
    })
    .expect("every state of a node may follow itself");
}

fn under_way(txn: &Txn<'_>, node: &NodeName) -> Option<(Node, HostRestart)> {
    let node = txn.node(node)?;
    let restart = node.restart.clone().filter(HostRestart::is_under_way)?;
    Some((node, restart))
}

/// Nobody need be certain any more that it is off.
fn is_here(txn: &mut Txn<'_>, subject: &NodeName, env: &Env) -> Next<Step> {
    let text = "its agent is here again: what it says counts, and nothing need be switched off";
    end(txn, subject, HostEnding::Back, text.to_owned(), env)
}

/// Written down; whoever leads asks for it once that is committed.
fn command(txn: &mut Txn<'_>, node: &NodeName, what: HostAct, on: NodeName) {
    change(txn, node, |restart| {
        let before = restart.command.as_ref();
        restart.command = Some(HostRun {
            number: before.map_or(1, |before| before.number + 1),
            what,
            on,
            outcome: None,
        });
    });
}

fn change(txn: &mut Txn<'_>, node: &NodeName, change: impl FnOnce(&mut HostRestart)) {
    txn.update_node(node, |node| {
        if let Some(restart) = &mut node.restart {
            change(restart);
        }
    })
    .expect("every state of a node may follow itself");
}

/// The next one is asked, or nobody is left to be asked. `why`: what came before.
fn by_peer(
    txn: &mut Txn<'_>,
    subject: &NodeName,
    mut tried: Vec<NodeName>,
    why: &str,
    env: &Env,
) -> Next<Step> {
    if env.settings.host_fence.is_empty() {
        let why = format!("{why}; host.fence is not set");
        return nobody_left(txn, subject, &why, env);
    }
    if let Some(against) = against(txn, subject) {
        let why = format!("{why}; {against}");
        return nobody_left(txn, subject, &why, env);
    }
    let since = under_way(txn, subject).map_or(env.now, |(_, restart)| restart.said.at);
    let Some(peer) = next_peer(txn, subject, since, &tried) else {
        return nobody_left(txn, subject, why, env);
    };
    command(txn, subject, HostAct::Fence, peer.clone());
    let text = format!("{why}; {peer} runs host.fence");
    tried.push(peer);
    let within = Duration::from_millis(env.settings.host_within_ms) + env.settings.answer_margin();
    Next::step(Step::ByPeer { tried }, within, text)
}

/// What nobody asked for is not done where people work, nor where it would leave no majority; that may have changed since it
/// began.
fn against(txn: &Txn<'_>, subject: &NodeName) -> Option<String> {
    let (node, restart) = under_way(txn, subject)?;
    if !restart.fence {
        return None;
    }
    let maintains = verb::maintains(subject, &node).map(|reason| reason.text);
    maintains.or_else(|| verb::leaves_no_majority(txn, subject))
}

/// First one that guards it, and so is near it; then whoever is here, others at each try.
fn next_peer(
    txn: &Txn<'_>,
    subject: &NodeName,
    since: Timestamp,
    tried: &[NodeName],
) -> Option<NodeName> {
    if tried.len() >= limits::FENCERS_MAX {
        return None;
    }
    let may = |peer: &NodeName| {
        let is_here = || {
            let peer = txn.node(peer);
            peer.is_some_and(|peer| peer.state == NodeState::Online)
        };
        peer != subject && !tried.contains(peer) && is_here()
    };
    let mut guards = guarding::guards_of(txn, subject).into_iter();
    let near = guards.find(|guard| tried.is_empty() && may(guard));
    near.or_else(|| {
        let others = txn.node_names().into_iter().filter(may);
        others.min_by_key(|peer| hash::stable(&format!("fence {subject} {since} by {peer}")))
    })
}

/// Somebody switched it off: what was there is gone, however long its lease.
fn was_off(
    txn: &mut Txn<'_>,
    subject: &NodeName,
    node: &Node,
    by: NodeName,
    env: &Env,
) -> Next<Step> {
    match node.state {
        NodeState::Online => {
            // Its connection may stand for a while yet.
            let settings = &env.settings;
            // As long as silence takes, also where another station begins to lead meanwhile.
            let within = Duration::from_millis(2 * settings.silence_ms + settings.grace_ms);
            let text = format!("it was off, says host.fence on {by}; its session is to end");
            return Next::step(Step::SessionEnds { by }, within, text);
        }
        NodeState::Lost => _ = verb::end_leases(txn, subject, env),
        NodeState::Suspect | NodeState::AgentDown | NodeState::Isolated => {
            let why = format!("it was off, says host.fence on {by}");
            verb::is_off(txn, subject, why, env);
        }
    }
    let within = Duration::from_millis(env.settings.host_back_ms);
    let text = format!("it was off, says host.fence on {by}, and is to be back");
    Next::step(Step::Returns, within, text)
}

fn still_heard(txn: &mut Txn<'_>, subject: &NodeName, by: &NodeName, env: &Env) -> Next<Step> {
    let text =
        format!("host.fence on {by} says that it was off, and its agent is heard all the same");
    end(txn, subject, HostEnding::Failed, text, env)
}

/// Nothing that was tried did it. What is away is given up as by the clock: a lease there still runs out by itself.
fn nobody_left(txn: &mut Txn<'_>, subject: &NodeName, why: &str, env: &Env) -> Next<Step> {
    let Some((node, restart)) = under_way(txn, subject) else {
        return Next::Stay;
    };
    let (how, text) = match node.state {
        _ if restart.fence => (
            HostEnding::Failed,
            format!("nobody could switch it off: {why}"),
        ),
        NodeState::Online => (
            HostEnding::Failed,
            format!("its agent is here as before: {why}"),
        ),
        NodeState::Isolated => (
            HostEnding::Failed,
            format!("it lives, and is cut off from the station: {why}"),
        ),
        NodeState::Lost => (
            HostEnding::GivenUp,
            format!("it is given up already: {why}"),
        ),
        NodeState::Suspect | NodeState::AgentDown if verb::maintains(subject, &node).is_some() => (
            HostEnding::Failed,
            format!("it is away, and in maintenance: {why}"),
        ),
        NodeState::Suspect | NodeState::AgentDown => {
            let reason = Reason::new(code::NODE_LOST, format!("it could not be restarted: {why}"));
            verb::give_up(txn, subject, reason);
            (HostEnding::GivenUp, format!("it is given up: {why}"))
        }
    };
    end(txn, subject, how, text, env)
}

fn end(
    txn: &mut Txn<'_>,
    subject: &NodeName,
    how: HostEnding,
    text: String,
    env: &Env,
) -> Next<Step> {
    let pause = Duration::from_millis(env.settings.host_back_ms);
    change(txn, subject, |restart| {
        restart.ended = Some(HostEnded {
            at: env.now,
            how,
            text: text.clone(),
            // What is to be off for certain is tried until it is.
            again: (restart.fence && how == HostEnding::Failed).then(|| env.now + pause),
        });
    });
    let code = code_of(how).unwrap_or(code::HOST_RESTARTED);
    Next::End { code, text }
}

/// None where the machine is back.
pub fn code_of(how: HostEnding) -> Option<Code> {
    match how {
        HostEnding::Back => None,
        HostEnding::Off => Some(code::HOST_OFF),
        HostEnding::GivenUp | HostEnding::Failed => Some(code::HOST_NOT_RESTARTED),
    }
}
