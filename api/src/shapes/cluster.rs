//! The shape of a Cluster: what `mainstay bootstrap` makes of machines, and what no single field shows to be wrong.

use std::collections::BTreeMap;

use mainstay_protocol::words::nearest;
use mainstay_protocol::{Address, ClusterName, NodeName, limits};
use serde_json::Value;

use super::check::Flaw;
use super::path::Path;
use super::shape::{Field, Of, Shape};

/// Where stations listen unless it is said.
pub const PORT: u16 = 7600;

/// What a command line to a machine, or a directory on it, may hold in place of words of its own.
const PLACES: [&str; 2] = ["{address}", "{name}"];

fn cluster(text: &str) -> Result<(), String> {
    let name = ClusterName::new(text);
    name.map(drop).map_err(|bad| bad.to_string())
}

fn node(text: &str) -> Result<(), String> {
    NodeName::new(text).map(drop).map_err(|bad| bad.to_string())
}

fn host(text: &str) -> Result<(), String> {
    match listen(text, PORT) {
        Some(_) => Ok(()),
        None => Err(format!(
            "\"{text}\" is no address; write HOST, or HOST:PORT with a port from 1 to 65535"
        )),
    }
}

fn program(text: &str) -> Result<(), String> {
    let is_path = text.starts_with('/') || !text.contains('/');
    match !text.is_empty() && is_path && !text.contains(char::is_control) {
        true => Ok(()),
        false => Err(format!(
            "{text:?} is no program; write its name, or its whole path"
        )),
    }
}

fn directory(text: &str) -> Result<(), String> {
    if !text.starts_with('/') || text.contains(char::is_control) {
        return Err(format!(
            "{text:?} is no directory; write its whole path, from /"
        ));
    }
    unknown_place(text).map_or(Ok(()), Err)
}

/// What is in braces and stands for nothing.
fn unknown_place(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let end = rest[at..].find('}').map_or(rest.len(), |end| at + end + 1);
        let place = &rest[at..end];
        if !PLACES.contains(&place) {
            let near = nearest(place, PLACES);
            let near = near.first().map_or("{address} or {name}", String::as_str);
            return Some(format!("{place} stands for nothing; write {near}"));
        }
        rest = &rest[end..];
    }
    None
}

/// An address as a file has it: HOST, or HOST:PORT; an IPv6 address also without brackets.
pub fn listen(text: &str, port: u16) -> Option<Address> {
    let tries = [
        text.to_owned(),
        format!("{text}:{port}"),
        format!("[{text}]:{port}"),
    ];
    let parsed = tries.iter().filter_map(|text| text.parse().ok());
    let mut networks = parsed.filter(|address| matches!(address, Address::Tls { .. }));
    networks.next()
}

pub static CLUSTER: Shape = Shape {
    name: "Cluster",
    doc: "Machines, and what each of them is: `mainstay bootstrap` makes a cluster of them.",
    fields: &[
        Field::required(
            "name",
            Of::Name("a cluster's name", cluster),
            "Its name, and that of the context written here.",
        ),
        Field::required(
            "machines",
            Of::List(&Of::Object(&MACHINE)),
            "Its machines. The first that is a station is the one it is founded on.",
        ),
        Field::new(
            "via",
            Of::Words,
            "ssh -o BatchMode=yes -o ConnectTimeout=10 root@{address} --",
            "The words before `sh` that run it on a machine, its script on standard input; [] is this very machine. `{address}` \
             and `{name}` stand for the machine's.",
        ),
        Field::new(
            "binary",
            Of::Name("a program", program),
            "mainstay",
            "The program there, by its name or whole path; the same version as the one that runs here.",
        ),
        Field::new(
            "dir",
            Of::Name("a directory", directory),
            "/var/lib/mainstay",
            "Data goes to `station` and `agent` below it; `{name}` stands for the machine's name.",
        ),
        Field::new(
            "port",
            Of::Count { min: 1, max: 65535 },
            "7600",
            "Where stations listen whose address does not say it.",
        ),
        Field::new(
            "daemons",
            Of::OneOf(&["systemd", "setsid"]),
            "systemd where it runs, else setsid",
            "What keeps them running: a unit each, or nothing but the machine itself, with a log beside the data.",
        ),
    ],
    one_of: &[],
};

static MACHINE: Shape = Shape {
    name: "a machine",
    doc: "One machine, and what runs on it.",
    fields: &[
        Field::required(
            "name",
            Of::Name("a machine's name", node),
            "What it is called here.",
        ),
        Field::required(
            "address",
            Of::Name("an address", host),
            "Where the others reach it: HOST, or HOST:PORT.",
        ),
        Field::new(
            "roles",
            Of::List(&Of::OneOf(&["station", "agent"])),
            "[agent]",
            "What runs on it. One station, three or five.",
        ),
        Field::new(
            "node",
            Of::Name("a node", node),
            "the machine's name",
            "The name of its node.",
        ),
        Field::new(
            "labels",
            Of::Labels,
            "{}",
            "The labels of its node, taken up when its agent is started.",
        ),
        Field::new(
            "via",
            Of::Words,
            "the cluster's",
            "How it is reached, if otherwise.",
        ),
    ],
    one_of: &[],
};

/// What is wrong between fields. Whatever is wrong within one is told by its shape, and passed over here.
pub fn between(spec: &Value) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let machines = spec.get("machines").and_then(Value::as_array);
    if let Some(machines) = machines {
        stations(machines, &mut flaws);
        twice(spec, machines, &mut flaws);
    }
    let machines = machines.map_or(&[][..], Vec::as_slice);
    via(spec.get("via"), Path::default(), machines.len(), &mut flaws);
    for (index, machine) in machines.iter().enumerate() {
        let path = Path::default().field("machines").index(index);
        // One machine is reached in whatever way it says.
        via(machine.get("via"), path, 1, &mut flaws);
    }
    flaws
}

fn is_station(machine: &Value) -> bool {
    let roles = machine.get("roles").and_then(Value::as_array);
    roles.is_some_and(|roles| roles.iter().any(|role| role == "station"))
}

fn stations(machines: &[Value], flaws: &mut Vec<Flaw>) {
    let path = Path::default().field("machines");
    let count = machines.iter().filter(|one| is_station(one)).count();
    let why = if machines.len() > limits::CLUSTER_MACHINES_MAX {
        let most = limits::CLUSTER_MACHINES_MAX;
        format!("more than {most} machines at once are not taken")
    } else if count == 0 {
        "none of them is a station: write roles = [\"station\", \"agent\"] on one, three or five"
            .to_owned()
    } else if count > limits::CLUSTER_STATIONS_MAX {
        let most = limits::CLUSTER_STATIONS_MAX;
        format!("{count} of them are stations; {most} bear the loss of two, and more are not taken")
    } else {
        return;
    };
    flaws.push(Flaw::new(path, why));
}

/// Names, nodes and addresses are there once.
fn twice(spec: &Value, machines: &[Value], flaws: &mut Vec<Flaw>) {
    let port = spec.get("port").and_then(Value::as_u64);
    let port = port.and_then(|port| u16::try_from(port).ok());
    let port = port.filter(|port| *port != 0).unwrap_or(PORT);
    let text = |machine: &Value, field: &str| {
        let text = machine.get(field).and_then(Value::as_str);
        text.map(str::to_owned)
    };
    let address = |machine: &Value| {
        let text = text(machine, "address")?;
        Some(listen(&text, port).map_or(text, |address| address.to_string()))
    };
    let node = |machine: &Value| text(machine, "node").or_else(|| text(machine, "name"));
    type Of<'a> = &'a dyn Fn(&Value) -> Option<String>;
    let name: Of<'_> = &|machine| text(machine, "name");
    for (field, of) in [("name", name), ("address", &address), ("node", &node)] {
        let mut seen = BTreeMap::new();
        for (index, machine) in machines.iter().enumerate() {
            let Some(value) = of(machine) else { continue };
            let Some(first) = seen.get(&value).copied() else {
                seen.insert(value, index);
                continue;
            };
            // Two machines of one name are told once, not again as two nodes.
            if field == "node" && text(machine, "node").is_none() {
                continue;
            }
            let path = Path::default().field("machines").index(index);
            let why = format!("\"{value}\" is there twice; the first is machines[{first}]");
            flaws.push(Flaw::new(path.field(field), why));
        }
    }
}

fn via(words: Option<&Value>, path: Path, machines: usize, flaws: &mut Vec<Flaw>) {
    let Some(words) = words.and_then(Value::as_array) else {
        return;
    };
    let path = path.field("via");
    let texts: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
    for (index, text) in texts.iter().enumerate() {
        if let Some(why) = unknown_place(text) {
            flaws.push(Flaw::new(path.index(index), why));
        }
    }
    let tells_apart = |text: &&str| PLACES.iter().any(|place| text.contains(place));
    if machines > 1 && !texts.iter().any(tells_apart) {
        let why = format!(
            "it leads to the same machine for all {machines}: write {{address}} or {{name}} in it"
        );
        flaws.push(Flaw::new(path, why));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::check;
    use super::*;

    fn told(spec: &Value) -> Vec<String> {
        let flaws = check(&CLUSTER, spec).into_iter().chain(between(spec));
        flaws.map(|flaw| flaw.to_string()).collect()
    }

    #[test]
    fn a_cluster_in_full_has_no_flaw() {
        let full = json!({
            "name": "prod", "binary": "/opt/bin/mainstay", "dir": "/srv/{name}", "port": 7601, "daemons": "systemd",
            "via": ["ssh", "-o", "A=b", "-o", "C=d", "root@{address}", "--"],
            "machines": [
                {"name": "m1", "address": "10.0.0.1", "roles": ["station", "agent"], "node": "n1", "labels": {"a": "b"}},
                {"name": "m2", "address": "fd00::2", "via": []},
                {"name": "m3", "address": "[fd00::2]:7602", "via": ["docker", "exec", "-i", "m3"]},
            ]
        });
        assert_eq!(told(&full), [] as [&str; 0]);
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let bad = json!({
            "name": "Prod", "port": 0, "dir": "srv", "via": ["ssh", "root@{adress}"], "binary": "bin/mainstay",
            "machines": [
                {"name": "m1", "address": "10.0.0.1"},
                {"name": "m1", "address": "10.0.0.1:7600", "rolls": []},
                {"name": "m3", "address": "host:99999", "roles": ["statoin"]},
                {"name": "m4", "address": "10.0.0.4", "node": "m3"},
            ]
        });
        let told = told(&bad);
        for said in [
            "name: ",
            "port: wants a number from 1 to 65535, not 0",
            "dir: \"srv\" is no directory",
            "binary: \"bin/mainstay\" is no program",
            "machines[1].rolls: a machine has no field \"rolls\"",
            "machines[2].address: \"host:99999\" is no address",
            "machines[2].roles[0]: wants station or agent",
            "machines: none of them is a station",
            "machines[1].name: \"m1\" is there twice; the first is machines[0]",
            "machines[1].address: \"10.0.0.1:7600\" is there twice",
            "machines[3].node: \"m3\" is there twice",
            "via[1]: {adress} stands for nothing; write {address}",
            "via: it leads to the same machine for all 4",
        ] {
            let count = told.iter().filter(|line| line.starts_with(said)).count();
            assert_eq!(count, 1, "{said}: {told:#?}");
        }
        assert_eq!(told.len(), 13, "{told:#?}");
    }

    #[test]
    fn six_stations_are_refused_and_five_are_not() {
        let spec = |count: usize| {
            let machine = |n| json!({"name": format!("m{n}"), "address": format!("10.0.0.{n}"), "roles": ["station"]});
            let machines: Vec<Value> = (0..count).map(machine).collect();
            told(&json!({"name": "prod", "machines": machines}))
        };
        assert_eq!(spec(5), [] as [&str; 0]);
        assert!(
            spec(6)[0].contains("6 of them are stations"),
            "{:?}",
            spec(6)
        );
    }
}
