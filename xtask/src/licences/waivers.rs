//! Written waivers: what we link although something speaks against it, with the reason and the end.
//!
//! A row of `docs/waivers.md` is `| crate | version | what speaks against it | why all the same | until |`.
//! Crates with a known advisory and every pre-release we depend on directly need one, for exactly the version
//! in use; a row for something no longer linked must go.

use crate::metadata::Package;
use crate::problem::Problem;

pub const PAGE: &str = "docs/waivers.md";

/// Advisories known to apply. CI has no advisory database: it would need the network and could turn red by itself.
const ADVISORIES: [(&str, &str); 1] = [("bincode", "RUSTSEC-2025-0141 (unmaintained)")];

struct Waiver<'a> {
    line: usize,
    name: &'a str,
    version: &'a str,
    complete: bool,
}

pub fn check(packages: &[Package], page: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let waivers = read(page);
    for package in packages {
        let Some(matter) = matter_of(package, packages) else {
            continue;
        };
        let waived = waivers
            .iter()
            .any(|waiver| waiver.name == package.name && waiver.version == package.version);
        if !waived {
            let text = format!("{matter}: needs a row with this version in {PAGE}");
            problems.push(Problem::new(
                format!("{} {}", package.name, package.version),
                text,
            ));
        }
    }
    problems.extend(loose_pins(packages));
    for waiver in &waivers {
        let linked = packages
            .iter()
            .any(|package| package.name == waiver.name && package.version == waiver.version);
        if !linked {
            let text = format!(
                "{} {} is not linked: remove the row",
                waiver.name, waiver.version
            );
            problems.push(Problem::at(PAGE, waiver.line, text));
        }
        if !waiver.complete {
            problems.push(Problem::at(
                PAGE,
                waiver.line,
                "a waiver says what, why and until when",
            ));
        }
    }
    problems
}

fn matter_of(package: &Package, packages: &[Package]) -> Option<String> {
    if let Some((_, advisory)) = ADVISORIES.iter().find(|(name, _)| *name == package.name) {
        return Some((*advisory).to_owned());
    }
    let direct = requirements_of(&package.name, packages).next().is_some();
    (direct && is_prerelease(&package.version)).then(|| "is a pre-release".to_owned())
}

/// `+11.8.1` of a C library's version is build metadata, not a pre-release.
fn is_prerelease(version: &str) -> bool {
    version
        .split('+')
        .next()
        .is_some_and(|release| release.contains('-'))
}

fn requirements_of<'a>(name: &'a str, packages: &'a [Package]) -> impl Iterator<Item = &'a str> {
    let ours = packages.iter().filter(|package| package.source.is_none());
    let dependencies = ours.flat_map(|package| &package.dependencies);
    dependencies
        .filter(move |dependency| dependency.name == name)
        .map(|dependency| dependency.requirement.as_str())
}

/// A pre-release promises no compatibility, so the manifest must pin it with `=`.
fn loose_pins(packages: &[Package]) -> Vec<Problem> {
    let early = packages
        .iter()
        .filter(|package| is_prerelease(&package.version));
    let loose = early.filter(|package| {
        requirements_of(&package.name, packages).any(|text| !text.starts_with('='))
    });
    let problem = |package: &Package| {
        let text = format!(
            "pre-release {}: pin it with `=` in the root manifest",
            package.version
        );
        Problem::new(&package.name, text)
    };
    loose.map(problem).collect()
}

fn read(page: &str) -> Vec<Waiver<'_>> {
    let mut waivers = Vec::new();
    for (index, line) in page.lines().enumerate() {
        let cells: Vec<&str> = line
            .trim()
            .trim_matches('|')
            .split('|')
            .map(str::trim)
            .collect();
        let is_row = line.starts_with('|')
            && cells
                .get(1)
                .is_some_and(|cell| cell.starts_with(|c: char| c.is_ascii_digit()));
        if is_row {
            let complete = cells.len() == 5 && cells.iter().all(|cell| !cell.is_empty());
            waivers.push(Waiver {
                line: index + 1,
                name: cells[0],
                version: cells[1],
                complete,
            });
        }
    }
    waivers
}

#[cfg(test)]
mod tests {
    use super::super::tests::package;
    use super::*;
    use crate::metadata::{Dependency, Kind};

    const HEAD: &str = "| crate | version | against | why | until |\n|---|---|---|---|---|\n";

    fn depends_on(name: &str, requirement: &str) -> Package {
        let dependency = Dependency {
            name: name.into(),
            requirement: requirement.into(),
            kind: Kind::Normal,
        };
        Package {
            source: None,
            dependencies: vec![dependency],
            ..package("mainstay-store", "0.1.0")
        }
    }

    fn texts(packages: &[Package], rows: &str) -> Vec<String> {
        check(packages, &format!("{HEAD}{rows}"))
            .into_iter()
            .map(|problem| problem.text)
            .collect()
    }

    #[test]
    fn a_crate_with_an_advisory_needs_a_row_for_its_version() {
        let packages = [package("bincode", "2.0.1")];
        assert!(texts(&packages, "")[0].contains("RUSTSEC-2025-0141"));
        assert!(texts(&packages, "| bincode | 2.0.1 | a | b | c |\n").is_empty());
        assert_eq!(
            texts(&packages, "| bincode | 2.0.0 | a | b | c |\n").len(),
            2
        );
    }

    #[test]
    fn a_direct_prerelease_needs_a_row_and_an_exact_pin() {
        let linked = || package("openraft", "0.10.0-alpha.37");
        let row = "| openraft | 0.10.0-alpha.37 | a | b | c |\n";
        assert!(texts(&[linked(), depends_on("openraft", "=0.10.0-alpha.37")], row).is_empty());
        assert!(
            texts(&[linked(), depends_on("openraft", "^0.10.0-alpha.37")], row)[0]
                .contains("pin it")
        );
        assert!(
            texts(&[linked(), depends_on("openraft", "=0.10.0-alpha.37")], "")[0]
                .contains("pre-release")
        );
    }

    #[test]
    fn build_metadata_is_no_prerelease() {
        let packages = [
            package("librocksdb-sys", "0.19.0+11-8"),
            depends_on("librocksdb-sys", "^0.19"),
        ];
        assert!(texts(&packages, "").is_empty());
    }

    #[test]
    fn a_stale_and_an_incomplete_row_are_refused() {
        assert!(texts(&[], "| gone | 1.0.0 | a | b | c |\n")[0].contains("not linked"));
        assert!(
            texts(
                &[package("bincode", "2.0.1")],
                "| bincode | 2.0.1 | a | | c |\n"
            )[0]
            .contains("what, why")
        );
    }
}
