//! What `cargo metadata` says of the workspace and of everything it links.

use std::path::Path;
use std::process::Command;

use anyhow::Context;
use serde_json::Value;

use crate::step;

/// A package as far as the checks need it.
pub struct Package {
    pub name: String,
    pub version: String,
    pub license: Option<String>,
    /// `None` for a package of the checkout.
    pub source: Option<String>,
    /// Folder of the manifest, relative to the root; absolute for packages from elsewhere.
    pub folder: String,
    pub dependencies: Vec<Dependency>,
    pub targets: Vec<Target>,
    pub features: Vec<String>,
}

pub struct Dependency {
    pub name: String,
    pub requirement: String,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Normal,
    Dev,
    Build,
}

pub struct Target {
    pub name: String,
    pub is_bench: bool,
}

/// The members of the workspace alone; needs neither network nor lock file.
pub fn members(root: &Path) -> anyhow::Result<Vec<Package>> {
    parse(&ask(root, &["--no-deps", "--offline"])?, root)
}

/// Everything linked for this machine's platform. What cargo has not downloaded yet it may fetch here:
/// the build needs the same packages a moment later.
pub fn everything(root: &Path) -> anyhow::Result<Vec<Package>> {
    let platform = host_platform()?;
    let args = ["--filter-platform", &platform, "--offline"];
    let document = ask(root, &args).or_else(|_| ask(root, &args[..2]))?;
    parse(&document, root)
}

fn ask(root: &Path, args: &[&str]) -> anyhow::Result<Value> {
    let output = step::cargo(root, "metadata --format-version 1")
        .args(args)
        .output()
        .context("running cargo metadata")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(
        output.status.success(),
        "cargo metadata {}: {said}",
        args.join(" ")
    );
    serde_json::from_slice(&output.stdout).context("reading the answer of cargo metadata")
}

fn host_platform() -> anyhow::Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("running rustc -vV")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

pub fn parse(document: &Value, root: &Path) -> anyhow::Result<Vec<Package>> {
    let packages = document["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    packages
        .iter()
        .map(|package| read_package(package, root))
        .collect()
}

fn read_package(package: &Value, root: &Path) -> anyhow::Result<Package> {
    let manifest = Path::new(text(package, "manifest_path")?);
    let folder = manifest.parent().context("a manifest lies in a folder")?;
    let folder = folder
        .strip_prefix(root)
        .unwrap_or(folder)
        .to_string_lossy()
        .into_owned();
    let list = |key: &str| {
        package[key]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
    };
    Ok(Package {
        name: text(package, "name")?.to_owned(),
        version: text(package, "version")?.to_owned(),
        license: package["license"].as_str().map(str::to_owned),
        source: package["source"].as_str().map(str::to_owned),
        folder,
        dependencies: list("dependencies")
            .iter()
            .map(read_dependency)
            .collect::<anyhow::Result<_>>()?,
        targets: list("targets")
            .iter()
            .map(read_target)
            .collect::<anyhow::Result<_>>()?,
        features: package["features"]
            .as_object()
            .map(|all| all.keys().cloned().collect())
            .unwrap_or_default(),
    })
}

fn read_dependency(dependency: &Value) -> anyhow::Result<Dependency> {
    let kind = match dependency["kind"].as_str() {
        None => Kind::Normal,
        Some("dev") => Kind::Dev,
        Some("build") => Kind::Build,
        Some(other) => anyhow::bail!("cargo metadata names a dependency kind `{other}`"),
    };
    let name = text(dependency, "name")?.to_owned();
    Ok(Dependency {
        name,
        requirement: text(dependency, "req")?.to_owned(),
        kind,
    })
}

fn read_target(target: &Value) -> anyhow::Result<Target> {
    let kinds = target["kind"].as_array().context("a target has kinds")?;
    let is_bench = kinds.iter().any(|kind| kind.as_str() == Some("bench"));
    Ok(Target {
        name: text(target, "name")?.to_owned(),
        is_bench,
    })
}

fn text<'a>(value: &'a Value, key: &str) -> anyhow::Result<&'a str> {
    value[key]
        .as_str()
        .with_context(|| format!("cargo metadata gives no `{key}`"))
}
