//! `node` and `maintenance`: what people say of nodes.

use std::time::{Duration, Instant};

use mainstay_api::client::WorkedOn;
use mainstay_api::types::{Accepted, HostRestart, MaintenanceRequest, Until};
use mainstay_api::{Client, Exit, Problem};
use mainstay_protocol::NodeName;
use mainstay_protocol::code::{self, Reason};
use mainstay_resource_graph::Key;

use super::change::{Settling, settle, show};
use crate::app::App;
use crate::arguments::{
    DrainArguments, MaintenanceArguments, MaintenanceCommand, NodeArguments, NodeCommand,
};
use crate::commands::confirm;
use crate::outcome::Outcome;

/// So often it is looked at how far a restart is.
const LOOK: Duration = Duration::from_millis(500);

pub async fn run(app: &mut App<'_>, arguments: NodeArguments) -> Outcome {
    let client = app.client().await?;
    match arguments.command {
        NodeCommand::Cordon(say) => {
            for node in &say.nodes {
                accept(
                    app,
                    node,
                    client.cordon(node.as_str(), &say.reason.text).await,
                )?;
            }
        }
        NodeCommand::Drain(drain) => return self::drain(app, &drain).await,
        NodeCommand::Uncordon { nodes } => {
            for node in &nodes {
                accept(app, node, client.uncordon(node.as_str()).await)?;
            }
        }
        NodeCommand::Label {
            node,
            labels,
            force,
        } => {
            let labels = labels.into_iter().collect();
            accept(app, &node, client.label(node.as_str(), labels, force).await)?;
        }
        NodeCommand::ConfirmDead { node, reason, yes } => {
            let question = format!(
                "what runs on {node} is started elsewhere then, even if it still runs there; is it off?"
            );
            if !yes && !confirm::confirmed(app, &question) {
                app.console.say("nothing was said");
                return Ok(Exit::Ok);
            }
            let dead = client.confirm_dead(node.as_str(), &reason.text).await;
            accept(app, &node, dead)?;
        }
        NodeCommand::Restart {
            node,
            reason,
            force,
            yes,
            no_wait,
        } => {
            let question = format!("everything on {node} ends with its machine; restart it?");
            if !yes && !confirm::confirmed(app, &question) {
                app.console.say("nothing was restarted");
                return Ok(Exit::Ok);
            }
            let node = node.as_str();
            let before = client.node(node).await?.restart;
            let accepted = client.restart_node(node, &reason.text, force).await?;
            return match no_wait {
                true => told(app, &format!("node/{node}"), Ok(accepted)),
                false => restarted(app, &client, node, before, accepted).await,
            };
        }
        NodeCommand::Remove { node, yes } => {
            let question = format!("what may still run on {node} is nobody's then; remove it?");
            if !yes && !confirm::confirmed(app, &question) {
                app.console.say("nothing was removed");
                return Ok(Exit::Ok);
            }
            accept(app, &node, client.remove_node(node.as_str()).await)?;
        }
    }
    Ok(Exit::Ok)
}

pub async fn maintenance(app: &mut App<'_>, arguments: MaintenanceArguments) -> Outcome {
    let client = app.client().await?;
    match arguments.command {
        MaintenanceCommand::On { of, within, reason } => {
            let for_ms = within.map(|within| u64::try_from(within.as_millis()).unwrap_or(u64::MAX));
            let reason = reason.text;
            let request = MaintenanceRequest { reason, for_ms };
            let answer = client.maintain(worked_on(&of)?, &request).await;
            told(app, &of.to_string(), answer)
        }
        MaintenanceCommand::Off { of } => {
            let answer = client.end_maintenance(worked_on(&of)?).await;
            told(app, &of.to_string(), answer)
        }
    }
}

fn worked_on(of: &Key) -> Result<WorkedOn<'_>, Problem> {
    match of {
        Key::Node(node) => Ok(WorkedOn::Node(node.as_str())),
        Key::Placement(name) => Ok(WorkedOn::Placement(name.as_str())),
        Key::Cluster => Ok(WorkedOn::EveryNode),
        other => {
            let what = format!("maintenance of {other}");
            let why = "nobody works on that: write node/NODE, a placement, or cluster";
            Err(Problem::new(code::BAD_REQUEST, what, why))
        }
    }
}

fn accept(app: &mut App<'_>, node: &NodeName, answer: Result<Accepted, Problem>) -> Outcome {
    told(app, &format!("node/{node}"), answer)
}

fn told(app: &mut App<'_>, reference: &str, answer: Result<Accepted, Problem>) -> Outcome {
    let accepted = answer?;
    let references = [reference.to_owned()];
    app.console.done(&accepted, &references, &accepted.text)?;
    Ok(Exit::Ok)
}

/// Until it is back, or nobody can do more: every step of it has its time, so nothing else ends the wait unasked.
async fn restarted(
    app: &mut App<'_>,
    client: &Client,
    node: &str,
    before: Option<HostRestart>,
    accepted: Accepted,
) -> Outcome {
    app.console.say(&accepted.text);
    let what = format!("restart the machine of {node}");
    let until = app.global.timeout.map(|timeout| Instant::now() + timeout);
    let mut said = String::new();
    loop {
        let restart = client.node(node).await?.restart;
        let at = |restart: &Option<HostRestart>| restart.as_ref().map(|one| one.at);
        let is_over = until.is_some_and(|until| Instant::now() >= until);
        if accepted.changed && at(&restart) == at(&before) {
            if is_over {
                let why = "the station that was asked does not know of it yet; it goes on";
                return Err(Problem::new(code::TIMEOUT, what, why)
                    .to_do(format!("mainstay describe node/{node}")));
            }
            tokio::time::sleep(LOOK).await;
            continue;
        }
        let Some(restart) = restart else {
            let why = "nothing is known of it any more: the node was removed, or is another one";
            return Err(Problem::new(code::NOT_FOUND, what, why));
        };
        match restart.state.as_str() {
            "UnderWay" if is_over => {
                let why = format!("it is not over in time, and goes on: {}", restart.text);
                return Err(Problem::new(code::TIMEOUT, what, why)
                    .to_do(format!("mainstay describe node/{node}")));
            }
            "UnderWay" => {
                if restart.text != said {
                    said.clone_from(&restart.text);
                    app.console.say(&said);
                }
            }
            "Back" => {
                let accepted = Accepted {
                    text: restart.text.clone(),
                    ..accepted
                };
                return told(app, &format!("node/{node}"), Ok(accepted));
            }
            _ => {
                return Err(Problem::new(code::HOST_NOT_RESTARTED, what, restart.text)
                    .to_do(format!("mainstay decisions node/{node}")));
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// One node after the other: what the next one may lose depends on what the one before has lost.
async fn drain(app: &mut App<'_>, arguments: &DrainArguments) -> Outcome {
    let client = app.client().await?;
    let (mut ending, mut moving) = (Vec::new(), Vec::new());
    for node in &arguments.say.nodes {
        let reason = &arguments.say.reason.text;
        let accepted = client.drain(node.as_str(), reason, arguments.force).await?;
        app.console.say(&accepted.text);
        for instance in &accepted.instances {
            let moves = moves(&client, instance).await;
            let one = Accepted {
                instances: vec![instance.clone()],
                // It ends when another has taken its place: that is decided later, and by a rule.
                revision: if moves { 0 } else { accepted.revision },
                ..accepted.clone()
            };
            let target = (instance.clone(), Ok(one));
            match moves {
                true => moving.push(target),
                false => ending.push(target),
            }
        }
    }
    let settling = |until| Settling {
        until,
        unless_blocked: false,
        wait: !arguments.no_wait,
        unchanged: true,
    };
    // It is wanted there still, and waits: that is where its stop leads.
    let ends = settling(Until::State("Pending".to_owned()));
    let mut rows = settle(app, &client, &ends, ending).await;
    rows.extend(settle(app, &client, &settling(Until::Gone), moving).await);
    show(app, &client, rows).await
}

/// Another takes its place. Where nobody can, it stays wanted there, and waits.
async fn moves(client: &Client, instance: &str) -> bool {
    let placement = instance.split('@').next().unwrap_or(instance);
    let short = |reason: &Reason| reason.code == code::TOO_FEW_NODES;
    match client.placement(placement).await {
        Ok(found) => found.target.count.is_some() && !found.reason.as_ref().is_some_and(short),
        // It was deleted meanwhile.
        Err(_) => true,
    }
}
