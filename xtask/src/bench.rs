//! Runs every bench target of the workspace, or those named. In the dev profile, with our own crates at full
//! optimisation: another profile would compile RocksDB a second time.

use std::path::Path;

use crate::metadata;
use crate::step;

/// Raises our crates only; dependencies have their level in the root manifest and are not rebuilt.
const OWN_OPT_LEVEL: (&str, &str) = ("CARGO_PROFILE_DEV_OPT_LEVEL", "3");

pub fn run(root: &Path, wanted: &[String]) -> anyhow::Result<()> {
    let members = metadata::members(root)?;
    let targets = members.iter().flat_map(|member| &member.targets);
    let mut known: Vec<&str> = targets
        .filter(|target| target.is_bench)
        .map(|target| target.name.as_str())
        .collect();
    known.sort_unstable();
    for name in wanted {
        anyhow::ensure!(
            known.contains(&name.as_str()),
            "no bench `{name}`; there are: {}",
            known.join(", ")
        );
    }
    let chosen: Vec<&str> = known
        .into_iter()
        .filter(|name| wanted.is_empty() || wanted.iter().any(|one| one == name))
        .collect();
    anyhow::ensure!(
        !chosen.is_empty(),
        "no crate of the workspace has a bench target"
    );
    // Some benches run the programs themselves: the same build of them.
    step::run(
        step::cargo(root, "build --workspace --bins --profile dev")
            .env(OWN_OPT_LEVEL.0, OWN_OPT_LEVEL.1),
    )?;
    for name in chosen {
        println!("== bench {name}");
        let line = format!("bench --workspace --profile dev --quiet --bench {name}");
        step::run(step::cargo(root, &line).env(OWN_OPT_LEVEL.0, OWN_OPT_LEVEL.1))?;
    }
    Ok(())
}
