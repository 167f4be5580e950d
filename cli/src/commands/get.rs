//! `get`: the resources of a kind, or one of them, or those that belong to something.

use mainstay_api::client::InstanceFilter;
use mainstay_api::types::{
    Configuration, Instance, Name, Node, Placement, ServiceType, Station, Supervisor, Target,
};
use mainstay_api::{Client, Exit, Problem};
use mainstay_resource_graph::{Key, Kind};
use serde::Serialize;

use crate::app::App;
use crate::arguments::{GetArguments, Table as Wanted, reference as parse_reference};
use crate::commands::decisions::told;
use crate::outcome::{Outcome, usage};
use crate::table::{Cell, Table};
use crate::text::{age, age_of};

pub async fn run(app: &mut App<'_>, arguments: &GetArguments) -> Outcome {
    let only = match &arguments.reference {
        Some(text) => Some(meant(arguments.kind, text)?),
        None => None,
    };
    let client = app.client().await?;
    match arguments.kind {
        Wanted::Instances => instances(app, &client, only).await,
        Wanted::Nodes => {
            let rows = client.nodes().await?;
            show(app, rows, only, node_table, |node| {
                format!("node/{}", node.name)
            })
            .await
        }
        Wanted::Stations => {
            let rows = client.stations().await?;
            show(app, rows, only, station_table, |station| {
                format!("station/{}", station.id)
            })
            .await
        }
        Wanted::Types => {
            let rows = client.types().await?;
            show(app, rows, only, type_table, |one| {
                format!("type/{}", one.name)
            })
            .await
        }
        Wanted::Placements => {
            let rows = client.placements().await?;
            show(app, rows, only, placement_table, |one| one.name.clone()).await
        }
        Wanted::Names => {
            let rows = client.names().await?;
            show(app, rows, only, name_table, |one| {
                format!("name/{}/{}", one.node, one.name)
            })
            .await
        }
        Wanted::Supervisors => {
            let rows = client.supervisors().await?;
            show(app, rows, only, supervisor_table, |one| {
                format!("supervisor/{}", one.node)
            })
            .await
        }
        Wanted::Configurations => {
            let rows = client.configurations().await?;
            show(app, rows, only, configuration_table, |one| {
                format!("config/{}", one.hash)
            })
            .await
        }
    }
}

/// `get nodes n1` and `get nodes node/n1` mean the same.
fn meant(kind: Wanted, text: &str) -> Result<Key, Problem> {
    let word = match kind {
        Wanted::Nodes => Kind::Node,
        Wanted::Stations => Kind::Station,
        Wanted::Types => Kind::Type,
        Wanted::Placements => Kind::Placement,
        Wanted::Instances => Kind::Instance,
        Wanted::Names => Kind::Name,
        Wanted::Supervisors => Kind::Supervisor,
        Wanted::Configurations => Kind::Configuration,
    };
    let alone = match kind {
        Wanted::Instances => text.contains('/') || !text.contains('@'),
        Wanted::Placements => true,
        Wanted::Nodes
        | Wanted::Stations
        | Wanted::Types
        | Wanted::Names
        | Wanted::Supervisors
        | Wanted::Configurations => text
            .split_once('/')
            .is_some_and(|(kind, _)| Kind::parse(kind) == Some(word)),
    };
    let full = if alone {
        text.to_owned()
    } else {
        format!("{}/{text}", word.as_str())
    };
    let bad = |why: String| {
        usage(format!("get {} {text}", plural(kind)), why).to_do("mainstay get --help")
    };
    let key = parse_reference(&full).map_err(bad)?;
    let filters = kind == Wanted::Instances
        && matches!(key.kind(), Kind::Placement | Kind::Node | Kind::Type);
    if key.kind() == word || filters {
        Ok(key)
    } else {
        Err(bad(format!(
            "\"{text}\" is a {}, not a {}",
            key.kind().as_str(),
            word.as_str()
        )))
    }
}

fn plural(kind: Wanted) -> &'static str {
    match kind {
        Wanted::Nodes => "nodes",
        Wanted::Stations => "stations",
        Wanted::Types => "types",
        Wanted::Placements => "placements",
        Wanted::Instances => "instances",
        Wanted::Names => "names",
        Wanted::Supervisors => "supervisors",
        Wanted::Configurations => "configurations",
    }
}

/// The whole list, or the one row that is meant: as JSON then an object, not an array.
async fn show<T: Serialize>(
    app: &mut App<'_>,
    mut rows: Vec<T>,
    only: Option<Key>,
    table: fn(&[T]) -> Table,
    reference: fn(&T) -> String,
) -> Outcome {
    if let Some(key) = only {
        let wanted = key.to_string();
        rows.retain(|row| reference(row) == wanted);
        let Some(row) = rows.first() else {
            // The station says "not found", with the nearest name.
            let described = app.client().await?.resource(&wanted).await?;
            return app.console.json(&described).map(|()| Exit::Ok);
        };
        if app.console.style.json {
            return app.console.json(row).map(|()| Exit::Ok);
        }
    }
    app.console.list(&rows, &table(&rows), "there is none")?;
    Ok(Exit::Ok)
}

async fn instances(app: &mut App<'_>, client: &Client, only: Option<Key>) -> Outcome {
    let mut filter = InstanceFilter::default();
    match only {
        Some(Key::Instance(key)) => {
            let one = client
                .instance(key.node.as_str(), key.placement.as_str())
                .await?;
            if app.console.style.json {
                app.console.json(&one)?;
            } else {
                let text = instance_table(&[one]).render(app.console.style.colour);
                app.console.data(&text)?;
            }
            return Ok(Exit::Ok);
        }
        Some(Key::Placement(name)) => {
            client.placement(name.as_str()).await?;
            filter.placement = Some(name.to_string());
        }
        Some(Key::Node(name)) => {
            client.node(name.as_str()).await?;
            filter.node = Some(name.to_string());
        }
        Some(Key::Type(name)) => {
            client.service_type(name.as_str()).await?;
            filter.service_type = Some(name.to_string());
        }
        Some(_) | None => {}
    }
    let rows = client.instances(&filter).await?;
    app.console
        .list(&rows, &instance_table(&rows), "there is no instance")?;
    Ok(Exit::Ok)
}

pub fn instance_table(rows: &[Instance]) -> Table {
    let mut table = Table::new(&[
        "REF",
        "TYPE",
        "STATE",
        "HEALTH",
        "DESIRED",
        "INCARNATION",
        "FOR",
        "CHECKED",
        "NEXT TRY",
        "REASON",
    ]);
    for one in rows {
        table.row(vec![
            Cell::new(&one.reference),
            Cell::new(&one.service_type),
            Cell::state(&one.state),
            Cell::state(one.health.as_str()),
            Cell::new(&one.desired),
            Cell::new(one.incarnation.to_string()),
            Cell::new(age_of(one.since)),
            Cell::new(ago(one.checked_ms)),
            Cell::new(one.next_try.map(age_of).unwrap_or_default()),
            Cell::new(told(one.reason.as_ref())),
        ]);
    }
    table
}

fn node_table(rows: &[Node]) -> Table {
    let mut table = Table::new(&[
        "NAME",
        "STATE",
        "ROLE",
        "INSTANCES OK",
        "HEARD",
        "FOR",
        "BUILD",
        "ADDRESS",
        "REASON",
    ]);
    for one in rows {
        table.row(vec![
            Cell::new(&one.name),
            Cell::state(&one.state),
            Cell::new(&one.role),
            Cell::new(format!("{}/{}", one.instances.ok, one.instances.total)),
            Cell::new(ago(one.heard_ms)),
            Cell::new(age_of(one.since)),
            Cell::new(&one.build),
            Cell::new(one.address.as_deref().unwrap_or_default()),
            Cell::new(told(one.reason.as_ref())),
        ]);
    }
    table
}

fn station_table(rows: &[Station]) -> Table {
    let mut table = Table::new(&["ID", "NODE", "ROLE", "FOR", "BUILD", "ADDRESS"]);
    for one in rows {
        table.row(vec![
            Cell::new(&one.id),
            Cell::new(one.node.as_deref().unwrap_or_default()),
            Cell::state(&one.role),
            Cell::new(age_of(one.since)),
            Cell::new(&one.build),
            Cell::new(&one.address),
        ]);
    }
    table
}

fn type_table(rows: &[ServiceType]) -> Table {
    let mut table = Table::new(&["NAME", "VERSION", "HOLDS", "RESTART", "NODES", "MESSAGES"]);
    for one in rows {
        let messages: Vec<&str> = one
            .messages
            .iter()
            .map(|message| message.name.as_str())
            .collect();
        table.row(vec![
            Cell::new(&one.name),
            Cell::new(&one.version),
            Cell::new(one.holds.as_deref().unwrap_or("(its placement's)")),
            Cell::new(&one.restart),
            Cell::new(one.nodes.join(",")),
            Cell::new(messages.join(",")),
        ]);
    }
    table
}

fn placement_table(rows: &[Placement]) -> Table {
    let mut table = Table::new(&[
        "NAME",
        "TYPE",
        "TARGET",
        "WANT",
        "HAVE",
        "HEALTHY",
        "STATE",
        "GENERATION",
        "WAITING ON",
        "REASON",
    ]);
    for one in rows {
        let target = match &one.target {
            Target::Nodes(nodes) => nodes.join(","),
            Target::All(labels) if labels.is_empty() => "all".to_owned(),
            Target::All(labels) => {
                let pairs: Vec<String> = labels
                    .iter()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect();
                format!("all {}", pairs.join(","))
            }
        };
        table.row(vec![
            Cell::new(&one.name),
            Cell::new(&one.service_type),
            Cell::new(target),
            Cell::new(one.want.to_string()),
            Cell::new(one.have.to_string()),
            Cell::new(one.healthy.to_string()),
            Cell::state(&one.state),
            Cell::new(one.generation.to_string()),
            Cell::new(one.waiting_on.join(",")),
            Cell::new(told(one.reason.as_ref())),
        ]);
    }
    table
}

fn name_table(rows: &[Name]) -> Table {
    let mut table = Table::new(&["NODE", "NAME", "HOLDER", "WAITING"]);
    for one in rows {
        table.row(vec![
            Cell::new(&one.node),
            Cell::new(&one.name),
            Cell::new(one.holder.as_deref().unwrap_or_default()),
            Cell::new(one.waiting.join(",")),
        ]);
    }
    table
}

fn supervisor_table(rows: &[Supervisor]) -> Table {
    let mut table = Table::new(&[
        "NODE",
        "STATE",
        "INCARNATION",
        "WATCHES",
        "WATCHED BY",
        "FOR",
        "REASON",
    ]);
    for one in rows {
        table.row(vec![
            Cell::new(&one.node),
            Cell::state(&one.state),
            Cell::new(one.incarnation.to_string()),
            Cell::new(one.watches.join(",")),
            Cell::new(one.watched_by.join(",")),
            Cell::new(age_of(one.since)),
            Cell::new(told(one.reason.as_ref())),
        ]);
    }
    table
}

fn configuration_table(rows: &[Configuration]) -> Table {
    let mut table = Table::new(&["HASH", "USED BY", "CONFIG"]);
    for one in rows {
        table.row(vec![
            // Whole, because it is what `describe config/HASH` takes.
            Cell::new(&one.hash),
            Cell::new(one.used_by.join(",")),
            Cell::new(one.config.to_string()),
        ]);
    }
    table
}

fn ago(ms: Option<u64>) -> String {
    ms.map(|ms| age(std::time::Duration::from_millis(ms)))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_may_leave_out_the_kind_that_was_just_named() {
        for (kind, text, wanted) in [
            (Wanted::Nodes, "n1", "node/n1"),
            (Wanted::Nodes, "node/n1", "node/n1"),
            (Wanted::Types, "types/flaky", "type/flaky"),
            (Wanted::Instances, "greeter@n1", "greeter@n1"),
            (Wanted::Instances, "greeter", "greeter"),
            (Wanted::Instances, "node/n1", "node/n1"),
            (Wanted::Names, "n1/greeter", "name/n1/greeter"),
            (Wanted::Placements, "greeter", "greeter"),
            (Wanted::Stations, "s1", "station/s1"),
        ] {
            assert_eq!(meant(kind, text).unwrap().to_string(), wanted, "{text}");
        }
    }

    #[test]
    fn a_reference_of_another_kind_is_refused() {
        for (kind, text) in [
            (Wanted::Placements, "node/n1"),
            (Wanted::Instances, "station/s1"),
            (Wanted::Nodes, "A"),
            (Wanted::Instances, "nod/n1"),
        ] {
            assert_eq!(meant(kind, text).unwrap_err().exit, Exit::Usage, "{text}");
        }
    }
}
