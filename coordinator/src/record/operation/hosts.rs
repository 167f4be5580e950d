//! Machines that are restarted by their owners' commands: that somebody wants it, and what came of a command.

use mainstay_protocol::host::HostCommandId;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{NodeName, code, limits, words};
use mainstay_resource_graph::{HostOutcome, NodeState, Said, Txn, ViewExt};

use super::nodes::running;
use super::{Result_, recorded};
use crate::env::Env;
use crate::rules::restart_host;
use crate::verb;
use crate::watching;

pub fn restart(txn: &mut Txn<'_>, name: &NodeName, said: Said, force: bool, env: &Env) -> Result_ {
    let node = txn.node(name).expect("it is known");
    if let Some(restart) = node.restart.as_ref().filter(|one| one.is_under_way()) {
        let text = format!("{name} is being restarted already, {}", restart.said);
        return Ok(recorded(Vec::new(), text));
    }
    let settings = &env.settings;
    let through_agent = node.state == NodeState::Online && !settings.host_restart.is_empty();
    if !through_agent && settings.host_fence.is_empty() {
        let text = match settings.host_restart.is_empty() {
            true => {
                "nothing is known that restarts a machine: set host.restart, a command for its own agent, or host.fence, one for another node's (mainstay settings set)".to_owned()
            }
            false => format!(
                "the agent of {name} is not here to run host.restart, and host.fence, a command for another node's, is not set (mainstay settings set)"
            ),
        };
        return Err(Refusal::new(code::BAD_REQUEST, text));
    }
    let mut broken: Vec<String> = broken(txn, name);
    broken.extend(verb::leaves_no_majority(txn, name));
    if !broken.is_empty() && !force {
        let text = format!(
            "{}: see to that first, or restart it all the same with --force",
            broken.join("; ")
        );
        return Err(Refusal::new(code::REFUSED_BY_SAFETY, text));
    }
    restart_host::wish(txn, name, said, false);
    let text = match through_agent {
        true => format!("{name} is to be restarted, by its own agent first"),
        false => format!("{name} is to be restarted, by the agent of another node"),
    };
    Ok(recorded(running(txn, name), text))
}

/// What would fall below its minimum until the machine is back. What is away serves nobody now.
fn broken(txn: &Txn<'_>, node: &NodeName) -> Vec<String> {
    let mut broken = Vec::new();
    for key in running(txn, node) {
        let serves = txn.instance(&key).is_some_and(|one| watching::serves(&one));
        let minimum = txn
            .placement(&key.placement)
            .map_or(0, |one| one.wish.minimum) as usize;
        let left = verb::serving_elsewhere(txn, &key.placement, node, minimum);
        if serves && left < minimum {
            broken.push(format!(
                "{left} of {} would serve, and at least {minimum} are to (its minimum)",
                key.placement
            ));
        }
    }
    broken
}

/// What came of a command, if that is the newest one still.
pub fn ran(txn: &mut Txn<'_>, id: &HostCommandId, outcome: &HostOutcome) {
    let Some(node) = txn.node(&id.node) else {
        return;
    };
    let Some(mut restart) = node.restart.filter(|one| one.said.at == id.since) else {
        return;
    };
    let Some(command) = restart
        .command
        .as_mut()
        .filter(|command| command.number == id.number && command.outcome.is_none())
    else {
        return;
    };
    let mut outcome = outcome.clone();
    if let HostOutcome::Failed(text) = &mut outcome {
        words::cut(text, limits::SAID_BYTES_MAX);
    }
    command.outcome = Some(outcome);
    txn.update_node(&id.node, |node| node.restart = Some(restart))
        .expect("every state of a node may follow itself");
}
