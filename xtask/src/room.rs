//! Room for the build. Cargo never throws away what it keeps for incremental builds: a stable target folder grows
//! by gigabytes a week until a compiler fails in the middle with "no space left on device".

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

const GIB: u64 = 1 << 30;

/// What a build from nothing writes, and what the tests write beside it.
const WANTED: u64 = 25 * GIB;

pub fn run(root: &Path) -> anyhow::Result<()> {
    let target = target_folder(root)?;
    let before = free(&target)?;
    if before >= WANTED {
        println!("{} GiB free at {}", before / GIB, target.display());
        return Ok(());
    }
    let kept = target.join("debug/incremental");
    if kept.exists() {
        fs::remove_dir_all(&kept).with_context(|| format!("removing {}", kept.display()))?;
    }
    let after = free(&target)?;
    println!(
        "{} GiB free at {}; without the caches of incremental builds {} GiB",
        before / GIB,
        target.display(),
        after / GIB
    );
    // A target folder that is already built needs less; only a build that surely fails is refused.
    anyhow::ensure!(
        after >= WANTED / 5,
        "only {} GiB are free at {}, the build and the tests want {}: remove that folder (it is built again, RocksDB \
         takes a quarter of an hour) or set CARGO_TARGET_DIR to a larger disk",
        after / GIB,
        target.display(),
        WANTED / GIB
    );
    Ok(())
}

fn target_folder(root: &Path) -> anyhow::Result<PathBuf> {
    let folder =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    Ok(folder)
}

fn free(folder: &Path) -> anyhow::Result<u64> {
    let output = Command::new("df")
        .args(["--output=avail", "--block-size=1"])
        .arg(folder)
        .output()
        .context("running df")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    last.trim()
        .parse()
        .with_context(|| format!("`df` said of {}: {text}", folder.display()))
}
