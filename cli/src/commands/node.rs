//! `node` and `maintenance`: what people say of nodes.

use mainstay_api::types::{Accepted, MaintenanceRequest, Until};
use mainstay_api::{Client, Exit, Problem};
use mainstay_protocol::NodeName;
use mainstay_protocol::code::{self, Reason};

use super::change::{Settling, settle, show};
use crate::app::App;
use crate::arguments::{
    DrainArguments, MaintenanceArguments, MaintenanceCommand, NodeArguments, NodeCommand,
};
use crate::commands::confirm;
use crate::outcome::Outcome;

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
        NodeCommand::Label { node, labels } => {
            let labels = labels.into_iter().collect();
            accept(app, &node, client.label(node.as_str(), labels).await)?;
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
        MaintenanceCommand::On {
            node,
            within,
            reason,
        } => {
            let for_ms = within.map(|within| u64::try_from(within.as_millis()).unwrap_or(u64::MAX));
            let reason = reason.text;
            let request = MaintenanceRequest { reason, for_ms };
            accept(app, &node, client.maintain(node.as_str(), &request).await)
        }
        MaintenanceCommand::Off { node } => {
            accept(app, &node, client.end_maintenance(node.as_str()).await)
        }
    }
}

fn accept(app: &mut App<'_>, node: &NodeName, answer: Result<Accepted, Problem>) -> Outcome {
    let accepted = answer?;
    let references = [format!("node/{node}")];
    app.console.done(&accepted, &references, &accepted.text)?;
    Ok(Exit::Ok)
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
