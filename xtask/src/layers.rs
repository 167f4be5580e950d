//! The table of who may use whom, and the purity of the pure crates' manifests. An edge that is not here
//! needs an RFC and a line in ARCHITECTURE first; an entry for a crate that is not built yet does no harm.

use std::path::Path;

use crate::metadata::{self, Dependency, Kind, Package};
use crate::problem::{Problem, settle};

/// Folders of the crates that hold the judgement.
pub const PURE_FOLDERS: [&str; 7] = [
    "protocol",
    "archive",
    "interfaces",
    "resource-graph",
    "broker",
    "orchestrator",
    "coordinator",
];

/// What a pure crate may not link: executors, stores, sockets, files, clocks, randomness.
const IMPURE: [&str; 32] = [
    "async-std",
    "axum",
    "chrono",
    "crossbeam-channel",
    "fastrand",
    "flume",
    "fs2",
    "futures",
    "futures-util",
    "getrandom",
    "hyper",
    "hyper-util",
    "libc",
    "mio",
    "nix",
    "openraft",
    "parking_lot",
    "quinn",
    "ractor",
    "rand",
    "rayon",
    "reqwest",
    "rocksdb",
    "rustix",
    "rustls",
    "smol",
    "socket2",
    "tempfile",
    "tokio",
    "tokio-stream",
    "tokio-util",
    "tracing-subscriber",
];

/// What one of our crates may use of the others.
enum MayUse {
    /// These folders and no other.
    Only(&'static [&'static str]),
    /// Every folder but these.
    AllBut(&'static [&'static str]),
}

struct Layer {
    folder: &'static str,
    may_use: MayUse,
    /// Dev crates may use anything of ours in their tests; elsewhere tests keep to the table too.
    tests_free: bool,
}

const fn layer(folder: &'static str, may_use: MayUse) -> Layer {
    Layer {
        folder,
        may_use,
        tests_free: false,
    }
}

const fn dev_layer(folder: &'static str, may_use: MayUse) -> Layer {
    Layer {
        folder,
        may_use,
        tests_free: true,
    }
}

const LAYERS: [Layer; 20] = [
    layer("protocol", MayUse::Only(&[])),
    // A station looks into archives and an agent unpacks them (RFC 0027).
    layer("archive", MayUse::Only(&["protocol"])),
    layer("identity", MayUse::Only(&["protocol"])),
    layer("interfaces", MayUse::Only(&["protocol"])),
    layer("resource-graph", MayUse::Only(&["protocol"])),
    // Agents link it: it knows rooms and not the graph.
    layer("broker", MayUse::Only(&["protocol", "interfaces"])),
    layer(
        "orchestrator",
        MayUse::Only(&["protocol", "resource-graph", "interfaces"]),
    ),
    layer(
        "coordinator",
        MayUse::Only(&[
            "protocol",
            "interfaces",
            "resource-graph",
            "broker",
            "orchestrator",
        ]),
    ),
    layer("supervisor", MayUse::Only(&["protocol", "broker"])),
    layer(
        "service",
        MayUse::Only(&["protocol", "supervisor", "interfaces"]),
    ),
    layer("hold", MayUse::Only(&[])),
    layer(
        "node-agent",
        MayUse::Only(&[
            "protocol",
            "archive",
            "identity",
            "supervisor",
            "service",
            "interfaces",
            "broker",
            "hold",
        ]),
    ),
    layer(
        "store",
        MayUse::Only(&["protocol", "resource-graph", "coordinator"]),
    ),
    layer(
        "station",
        MayUse::AllBut(&["node-agent", "cli", "sim", "tests", "xtask"]),
    ),
    layer(
        "api",
        MayUse::Only(&[
            "protocol",
            "identity",
            "interfaces",
            "resource-graph",
            "broker",
            "orchestrator",
            "coordinator",
        ]),
    ),
    layer("queue-nats", MayUse::Only(&["protocol", "orchestrator"])),
    layer("cli", MayUse::AllBut(&["sim", "tests", "xtask"])),
    dev_layer(
        "sim",
        MayUse::Only(&[
            "protocol",
            "interfaces",
            "resource-graph",
            "broker",
            "orchestrator",
            "coordinator",
            "supervisor",
        ]),
    ),
    dev_layer("tests", MayUse::AllBut(&["xtask"])),
    layer("xtask", MayUse::Only(&[])),
];

/// Written by users: agents, and stations with rules of theirs. They never speak to the store.
const EXAMPLE: Layer = dev_layer(
    "examples/",
    MayUse::AllBut(&["store", "sim", "tests", "xtask"]),
);

pub fn run(root: &Path) -> anyhow::Result<()> {
    let members = metadata::members(root)?;
    let edges: usize = members
        .iter()
        .map(|member| edges_of(member, &members).count())
        .sum();
    settle(
        "layers",
        &check(&members),
        &format!("{} crates, {edges} edges between them", members.len()),
    )
}

fn check(members: &[Package]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for member in members {
        let place = format!("{}/Cargo.toml", member.folder);
        let layer = if member.folder.starts_with(EXAMPLE.folder) {
            Some(&EXAMPLE)
        } else {
            LAYERS.iter().find(|layer| layer.folder == member.folder)
        };
        let Some(layer) = layer else {
            problems.push(Problem::new(
                place,
                "this folder is not in the table of crates: a new crate needs an RFC",
            ));
            continue;
        };
        named_after_folder(member, &place, &mut problems);
        for (dependency, used) in edges_of(member, members) {
            let free = layer.tests_free && dependency.kind == Kind::Dev;
            if !free && !allows(layer, &used.folder) {
                let text = format!(
                    "`{}` may not use `{}`: the edge is not in the table",
                    member.folder, used.folder
                );
                problems.push(Problem::new(&place, text));
            }
        }
        if PURE_FOLDERS.contains(&member.folder.as_str()) {
            impurities(member, &place, &mut problems);
        }
    }
    problems
}

fn edges_of<'a>(
    member: &'a Package,
    members: &'a [Package],
) -> impl Iterator<Item = (&'a Dependency, &'a Package)> {
    member.dependencies.iter().filter_map(move |dependency| {
        let used = members
            .iter()
            .find(|other| other.name == dependency.name && other.name != member.name)?;
        Some((dependency, used))
    })
}

fn allows(layer: &Layer, folder: &str) -> bool {
    match layer.may_use {
        MayUse::Only(folders) => folders.contains(&folder),
        MayUse::AllBut(folders) => {
            !folders.contains(&folder) && !folder.starts_with(EXAMPLE.folder)
        }
    }
}

fn named_after_folder(member: &Package, place: &str, problems: &mut Vec<Problem>) {
    let expected = match member.folder.as_str() {
        "node-agent" => "mainstay-agent".to_owned(),
        folder if folder.starts_with(EXAMPLE.folder) => return,
        folder => format!("mainstay-{folder}"),
    };
    if member.name != expected {
        problems.push(Problem::new(
            place,
            format!("package `{}` must be named `{expected}`", member.name),
        ));
    }
}

fn impurities(member: &Package, place: &str, problems: &mut Vec<Problem>) {
    for dependency in member
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != Kind::Dev)
    {
        if IMPURE.contains(&dependency.name.as_str()) {
            let text = format!(
                "pure crate `{}` links `{}`: take it as a value",
                member.folder, dependency.name
            );
            problems.push(Problem::new(place, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(folder: &str, dependencies: &[(&str, Kind)]) -> Package {
        let name = if folder == "node-agent" {
            "mainstay-agent".into()
        } else {
            format!("mainstay-{folder}")
        };
        let dependencies = dependencies.iter().map(|(name, kind)| Dependency {
            name: (*name).into(),
            requirement: "*".into(),
            kind: *kind,
        });
        Package {
            name,
            version: "0.1.0".into(),
            license: None,
            source: None,
            folder: folder.into(),
            dependencies: dependencies.collect(),
            targets: Vec::new(),
            features: Vec::new(),
        }
    }

    fn texts(members: &[Package]) -> Vec<String> {
        check(members)
            .into_iter()
            .map(|problem| problem.text)
            .collect()
    }

    #[test]
    fn an_edge_of_the_table_is_let_through_and_another_is_refused() {
        let protocol = package("protocol", &[]);
        let store = package("store", &[("mainstay-protocol", Kind::Normal)]);
        assert!(texts(&[protocol, store]).is_empty());
        let agent = package("node-agent", &[("mainstay-store", Kind::Normal)]);
        assert!(
            texts(&[package("store", &[]), agent])[0].contains("`node-agent` may not use `store`")
        );
    }

    #[test]
    fn the_station_uses_all_but_the_agent_and_the_cli() {
        let used = [
            "mainstay-store",
            "mainstay-supervisor",
            "mainstay-agent",
            "mainstay-cli",
        ];
        let station = package("station", &used.map(|name| (name, Kind::Normal)));
        let others =
            ["store", "supervisor", "node-agent", "cli"].map(|folder| package(folder, &[]));
        let members: Vec<Package> = others.into_iter().chain([station]).collect();
        assert_eq!(texts(&members).len(), 2);
    }

    #[test]
    fn tests_of_the_simulator_are_free_and_tests_of_the_store_are_not() {
        let edge = [("mainstay-cli", Kind::Dev)];
        assert!(texts(&[package("cli", &[]), package("sim", &edge)]).is_empty());
        assert_eq!(
            texts(&[package("cli", &[]), package("store", &edge)]).len(),
            1
        );
    }

    #[test]
    fn a_pure_crate_that_links_an_executor_or_a_clock_is_refused_and_its_tests_may() {
        for name in [
            "tokio", "ractor", "rocksdb", "openraft", "rand", "axum", "hyper", "chrono",
        ] {
            assert_eq!(
                texts(&[package("coordinator", &[(name, Kind::Normal)])]).len(),
                1,
                "{name}"
            );
            assert_eq!(
                texts(&[package("coordinator", &[(name, Kind::Build)])]).len(),
                1,
                "{name}"
            );
        }
        assert!(texts(&[package("coordinator", &[("rand", Kind::Dev)])]).is_empty());
        assert!(texts(&[package("supervisor", &[("tokio", Kind::Normal)])]).is_empty());
    }

    #[test]
    fn a_folder_outside_the_table_and_a_name_unlike_its_folder_are_refused() {
        assert!(texts(&[package("gossip", &[])])[0].contains("not in the table"));
        let mut odd = package("store", &[]);
        odd.name = "mainstay-disk".into();
        assert!(texts(&[odd])[0].contains("must be named `mainstay-store`"));
    }

    #[test]
    fn an_example_uses_what_users_use_and_never_the_store() {
        let edges = [
            ("mainstay-service", Kind::Normal),
            ("mainstay-agent", Kind::Normal),
        ];
        let others = || {
            [
                package("service", &[]),
                package("node-agent", &[]),
                package("store", &[]),
            ]
        };
        let with = |example| others().into_iter().chain([example]).collect::<Vec<_>>();
        assert!(texts(&with(package("examples/greeter-agent", &edges))).is_empty());
        let bad = package(
            "examples/greeter-agent",
            &[("mainstay-store", Kind::Normal)],
        );
        assert_eq!(texts(&with(bad)).len(), 1);
    }
}
