//! `node` and `maintenance`: what people say of nodes.

use mainstay_api::types::{Accepted, MaintenanceRequest, Until};
use mainstay_api::{Exit, Problem};
use mainstay_protocol::NodeName;

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
                accept(app, node, client.cordon(node.as_str(), &say.reason).await)?;
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
    let mut targets = Vec::new();
    for node in &arguments.say.nodes {
        let reason = &arguments.say.reason;
        let accepted = client.drain(node.as_str(), reason, arguments.force).await?;
        app.console.say(&accepted.text);
        let of_each = accepted.instances.iter().map(|instance| {
            let one = Accepted {
                instances: vec![instance.clone()],
                ..accepted.clone()
            };
            (instance.clone(), Ok(one))
        });
        targets.extend(of_each.collect::<Vec<_>>());
    }
    // It is wanted there still, and waits: that is where its stop leads.
    let settling = Settling {
        until: Until::State("Pending".to_owned()),
        unless_blocked: false,
        wait: !arguments.no_wait,
        unchanged: true,
    };
    let rows = settle(app, &client, &settling, targets).await;
    show(app, &client, rows).await
}
