//! `get`: the resources of a kind, or one of them, or those that belong to something.

mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_api::client::InstanceFilter;
use mainstay_api::types::{
    Configuration, Instance, Name, Node, Placement, ServiceType, Station, Supervisor, TargetSpec,
    Usage,
};
use mainstay_api::{Client, Exit, Problem};
use mainstay_resource_graph::{Key, Kind};
use serde::Serialize;

use crate::app::App;
use crate::arguments::{GetArguments, Table as Wanted, reference as parse_reference};
use crate::commands::decisions::told;
use crate::commands::watch;
use crate::console::Style;
use crate::outcome::{Outcome, usage};
use crate::shown::Shown;
use crate::table::{Cell, Table};
use crate::text::{age, age_of, bytes, span};

pub async fn run(app: &mut App<'_>, arguments: &GetArguments) -> Outcome {
    let only = match &arguments.reference {
        Some(text) => Some(meant(arguments.kind, text)?),
        None => None,
    };
    let client = app.client().await?;
    let style = app.console.style;
    if arguments.watching.watch {
        let told = told_get(arguments);
        return watch::run(app, &client, &told, async || {
            look(&client, style, arguments.kind, only.as_ref()).await
        })
        .await;
    }
    let shown = look(&client, style, arguments.kind, only.as_ref()).await?;
    app.console.shown(&shown)?;
    Ok(Exit::Ok)
}

fn told_get(arguments: &GetArguments) -> String {
    let of = arguments.reference.iter().map(|one| format!(" {one}"));
    format!("get {}{}", plural(arguments.kind), of.collect::<String>())
}

async fn look(
    client: &Client,
    style: Style,
    kind: Wanted,
    only: Option<&Key>,
) -> Result<Shown, Problem> {
    let asked = Asked {
        client,
        style,
        only,
    };
    match kind {
        Wanted::Instances => instances(&asked).await,
        Wanted::Nodes => {
            let reference = |one: &Node| format!("node/{}", one.name);
            asked
                .rows(client.nodes().await?, node_table, reference)
                .await
        }
        Wanted::Stations => {
            let reference = |one: &Station| format!("station/{}", one.id);
            let rows = client.stations().await?;
            asked.rows(rows, station_table, reference).await
        }
        Wanted::Types => {
            let reference = |one: &ServiceType| format!("type/{}", one.name);
            asked
                .rows(client.types().await?, type_table, reference)
                .await
        }
        Wanted::Placements => {
            let reference = |one: &Placement| one.name.clone();
            let rows = client.placements().await?;
            asked.rows(rows, placement_table, reference).await
        }
        Wanted::Names => {
            let reference = |one: &Name| format!("name/{}/{}", one.node, one.name);
            asked
                .rows(client.names().await?, name_table, reference)
                .await
        }
        Wanted::Supervisors => {
            let reference = |one: &Supervisor| format!("supervisor/{}", one.node);
            let rows = client.supervisors().await?;
            asked.rows(rows, supervisor_table, reference).await
        }
        Wanted::Configurations => {
            let reference = |one: &Configuration| format!("config/{}", one.hash);
            let rows = client.configurations().await?;
            asked.rows(rows, configuration_table, reference).await
        }
        Wanted::Resources | Wanted::Asked | Wanted::Procedures | Wanted::Collected => {
            words::look(&asked, kind).await
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
        Wanted::Resources => Kind::Resource,
        Wanted::Asked => Kind::Asked,
        Wanted::Procedures => Kind::Procedure,
        Wanted::Collected => Kind::Collected,
    };
    let alone = match kind {
        Wanted::Instances => text.contains('/') || !text.contains('@'),
        Wanted::Placements => true,
        Wanted::Nodes
        | Wanted::Stations
        | Wanted::Types
        | Wanted::Names
        | Wanted::Supervisors
        | Wanted::Resources
        | Wanted::Asked
        | Wanted::Procedures
        | Wanted::Collected
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
        Wanted::Resources => "resources",
        Wanted::Asked => "asked",
        Wanted::Procedures => "procedures",
        Wanted::Collected => "collected",
    }
}

/// What is asked for, and how it is to be shown.
struct Asked<'a> {
    client: &'a Client,
    style: Style,
    only: Option<&'a Key>,
}

impl Asked<'_> {
    /// The whole list, or the one row that is meant: as data then an object, not an array.
    async fn rows<T: Serialize>(
        &self,
        mut rows: Vec<T>,
        table: fn(&[T]) -> Table,
        reference: fn(&T) -> String,
    ) -> Result<Shown, Problem> {
        let Some(key) = self.only else {
            return Shown::list(self.style, &rows, reference, &table(&rows), "there is none");
        };
        let wanted = key.to_string();
        rows.retain(|row| reference(row) == wanted);
        let Some(row) = rows.first() else {
            // The station says "not found", with the nearest name; if it came meanwhile, it is there.
            let described = self.client.resource(&wanted).await?;
            let subject = (wanted.clone(), wanted.clone());
            return Shown::one(self.style, &described.value, &[wanted], subject, |_| {
                format!("{}\n", described.value)
            });
        };
        self.one(row, &wanted, &table(&rows))
    }

    fn one<T: Serialize>(&self, row: &T, reference: &str, table: &Table) -> Result<Shown, Problem> {
        let line = table.lines(self.style.look()).pop().unwrap_or_default();
        let subject = (reference.to_owned(), line);
        Shown::one(self.style, row, &[reference.to_owned()], subject, |look| {
            table.render(look)
        })
    }
}

async fn instances(asked: &Asked<'_>) -> Result<Shown, Problem> {
    let client = asked.client;
    let mut filter = InstanceFilter {
        usage: asked.style.shows_usage(),
        ..InstanceFilter::default()
    };
    match asked.only {
        Some(Key::Instance(key)) => {
            let (node, placement) = (key.node.as_str(), key.placement.as_str());
            let one = match asked.style.shows_usage() {
                true => client.instance_and_usage(node, placement).await?,
                false => client.instance(node, placement).await?,
            };
            let table = instance_table(std::slice::from_ref(&one));
            return asked.one(&one, &one.reference, &table);
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
    let (table, reference) = (instance_table(&rows), |one: &Instance| {
        one.reference.clone()
    });
    Shown::list(
        asked.style,
        &rows,
        reference,
        &table,
        "there is no instance",
    )
}

pub fn instance_table(rows: &[Instance]) -> Table {
    let mut table = Table::new(&[
        "REF",
        "TYPE",
        "VERSION",
        "NAME",
        "STATE",
        "HEALTH",
        "DESIRED",
        "INCARNATION",
        "FOR",
        "CHECKED",
        "ATTEMPTS",
        "NEXT TRY",
        "PIDS",
        "RESTARTS",
        "CPU",
        "MEMORY",
        "BUSY",
        "CONFIG",
        "WANTED CONFIG",
        "REASON",
    ])
    .wide_only(&[
        "VERSION",
        "NAME",
        "ATTEMPTS",
        "PIDS",
        "RESTARTS",
        "CPU",
        "MEMORY",
        "BUSY",
        "CONFIG",
        "WANTED CONFIG",
    ]);
    for one in rows {
        table.row(vec![
            Cell::new(&one.reference),
            Cell::new(&one.service_type),
            Cell::new(one.version.as_deref().unwrap_or_default()),
            Cell::new(&one.name),
            Cell::state(&one.state),
            Cell::state(one.health.as_str()),
            Cell::new(&one.desired),
            Cell::new(one.incarnation.to_string()),
            Cell::new(age_of(one.since)),
            Cell::new(ago(one.checked_ms)),
            Cell::new(one.attempts.to_string()),
            Cell::new(one.next_try.map(age_of).unwrap_or_default()),
            Cell::new(pids(one)),
            Cell::new(of_usage(one, |usage| Some(usage.restarts.to_string()))),
            Cell::new(of_usage(one, |usage| usage.cpu_ms.map(worked))),
            Cell::new(of_usage(one, |usage| usage.memory_bytes.map(bytes))),
            Cell::new(of_usage(one, |usage| Some(worked(usage.busy_ms)))),
            Cell::new(json_cell(one.config.as_ref())),
            Cell::new(json_cell(one.config_wanted.as_ref())),
            Cell::new(told(one.reason.as_ref())),
        ]);
    }
    table
}

fn of_usage(one: &Instance, part: fn(&Usage) -> Option<String>) -> String {
    one.usage.as_ref().and_then(part).unwrap_or_default()
}

fn worked(ms: u64) -> String {
    span(Duration::from_millis(ms))
}

fn pids(one: &Instance) -> String {
    let pids: Vec<String> = one.process.iter().map(|one| one.pid.to_string()).collect();
    pids.join(",")
}

fn json_cell(value: Option<&serde_json::Value>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

/// "n1,n2", "all role=web", "any 3 role=web".
fn target_cell(target: &TargetSpec) -> String {
    let which = match (&target.nodes, target.count) {
        (Some(nodes), _) => return nodes.join(","),
        (None, Some(count)) => format!("any {count}"),
        (None, None) => "all".to_owned(),
    };
    match &target.all {
        Some(labels) if !labels.is_empty() => format!("{which} {}", labels_cell(labels)),
        Some(_) | None => which,
    }
}

fn labels_cell(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(",")
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
        "LABELS",
        "ROOM TAKEN",
        "SCHEDULABLE",
        "MAINTENANCE",
        "ADDRESS",
        "ID",
        "REASON",
    ])
    .wide_only(&["LABELS", "ROOM TAKEN", "SCHEDULABLE", "MAINTENANCE", "ID"]);
    for one in rows {
        table.row(vec![
            Cell::new(&one.name),
            Cell::state(&one.state),
            Cell::new(&one.role),
            Cell::new(format!("{}/{}", one.instances.ok, one.instances.total)),
            Cell::new(ago(one.heard_ms)),
            Cell::new(age_of(one.since)),
            Cell::new(&one.build),
            Cell::new(labels_cell(&one.labels)),
            Cell::new(one.room.to_string()),
            Cell::new(yes(one.schedulable)),
            Cell::new(yes(one.maintenance)),
            Cell::new(one.address.as_deref().unwrap_or_default()),
            Cell::new(&one.id),
            Cell::new(told(one.reason.as_ref())),
        ]);
    }
    table
}

fn station_table(rows: &[Station]) -> Table {
    let mut table = Table::new(&[
        "ID", "NODE", "ROLE", "STATE", "FOR", "BUILD", "ADDRESS", "REASON",
    ]);
    for one in rows {
        table.row(vec![
            Cell::new(&one.id),
            Cell::new(one.node.as_deref().unwrap_or_default()),
            Cell::state(&one.role),
            Cell::state(&one.state),
            Cell::new(age_of(one.since)),
            Cell::new(&one.build),
            Cell::new(&one.address),
            Cell::new(told(one.reason.as_ref())),
        ]);
    }
    table
}

fn type_table(rows: &[ServiceType]) -> Table {
    let mut table = Table::new(&[
        "NAME",
        "VERSION",
        "HOLDS",
        "RESTART",
        "START WITHIN",
        "STOP WITHIN",
        "MAY USE",
        "NODES",
        "MESSAGES",
        "CONFIG KEYS",
    ])
    .wide_only(&["START WITHIN", "STOP WITHIN", "MAY USE", "CONFIG KEYS"]);
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
            Cell::new(span(Duration::from_millis(one.start_deadline_ms))),
            Cell::new(span(Duration::from_millis(one.stop_deadline_ms))),
            Cell::new(one.may_use.join(",")),
            Cell::new(one.nodes.join(",")),
            Cell::new(messages.join(",")),
            Cell::new(config_keys(&one.schema)),
        ]);
    }
    table
}

fn config_keys(schema: &serde_json::Value) -> String {
    let keys = schema["properties"].as_object();
    let keys: Vec<&str> = keys
        .map(|keys| keys.keys().map(String::as_str).collect())
        .unwrap_or_default();
    keys.join(",")
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
        "CONFIG",
        "WAITING ON",
        "REASON",
    ])
    .wide_only(&["CONFIG"]);
    for one in rows {
        let target = target_cell(&one.target);
        table.row(vec![
            Cell::new(&one.name),
            Cell::new(&one.service_type),
            Cell::new(target),
            Cell::new(one.want.to_string()),
            Cell::new(one.have.to_string()),
            Cell::new(one.healthy.to_string()),
            Cell::state(&one.state),
            Cell::new(one.generation.to_string()),
            Cell::new(one.config.to_string()),
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
    ms.map(|ms| age(Duration::from_millis(ms)))
        .unwrap_or_default()
}

fn yes(so: bool) -> &'static str {
    match so {
        true => "yes",
        false => "no",
    }
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
