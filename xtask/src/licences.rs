//! What we link may be linked: its licence can be met, it comes from crates.io or the checkout, it is not
//! banned, and what is risky has a written waiver in `docs/waivers.md`.

mod expression;
mod waivers;

use std::path::Path;

use crate::metadata::{self, Package};
use crate::problem::{Problem, settle};

/// Licences Mainstay can be distributed under; all are permissive or, as MPL-2.0, bind only their own files.
const ALLOWED: [&str; 16] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Crates we decided against, with the reason.
const BANNED: [(&str, &str); 4] = [
    (
        "openssl",
        "TLS is rustls: no system library, one implementation to watch",
    ),
    (
        "openssl-sys",
        "TLS is rustls: no system library, one implementation to watch",
    ),
    (
        "native-tls",
        "TLS is rustls: no system library, one implementation to watch",
    ),
    (
        "ractor_cluster",
        "nodes talk in frames of our own, authenticated and versioned; actors stay on their node",
    ),
];

pub fn run(root: &Path) -> anyhow::Result<()> {
    let packages = metadata::everything(root)?;
    let page = std::fs::read_to_string(root.join(waivers::PAGE)).unwrap_or_default();
    let mut problems: Vec<Problem> = packages.iter().flat_map(check).collect();
    problems.extend(waivers::check(&packages, &page));
    settle(
        "licences",
        &problems,
        &format!("{} packages", packages.len()),
    )
}

fn check(package: &Package) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut refuse = |text: String| {
        problems.push(Problem::new(
            format!("{} {}", package.name, package.version),
            text,
        ));
    };
    match &package.license {
        None => refuse("declares no licence".into()),
        Some(licence) => match expression::satisfiable(licence, &ALLOWED) {
            Ok(true) => {}
            Ok(false) => refuse(format!(
                "licence `{licence}` cannot be met with what we allow"
            )),
            Err(reason) => refuse(format!("licence `{licence}` cannot be read: {reason}")),
        },
    }
    if let Some(source) = &package.source
        && source != CRATES_IO
    {
        refuse(format!(
            "comes from {source}; only crates.io and the checkout are allowed"
        ));
    }
    if let Some((_, why)) = BANNED.iter().find(|(name, _)| *name == package.name) {
        refuse(format!("is banned: {why}"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn package(name: &str, version: &str) -> Package {
        Package {
            name: name.into(),
            version: version.into(),
            license: Some("MIT OR Apache-2.0".into()),
            source: Some(CRATES_IO.into()),
            folder: String::new(),
            dependencies: Vec::new(),
            targets: Vec::new(),
            features: Vec::new(),
        }
    }

    fn text(package: &Package) -> String {
        check(package)
            .into_iter()
            .map(|problem| problem.text)
            .collect()
    }

    #[test]
    fn a_free_crate_from_crates_io_or_the_checkout_is_let_through() {
        assert_eq!(text(&package("serde", "1.0.0")), "");
        assert_eq!(
            text(&Package {
                source: None,
                ..package("mainstay-store", "0.1.0")
            }),
            ""
        );
    }

    #[test]
    fn an_unknown_licence_a_foreign_source_and_a_banned_name_are_refused() {
        let licensed = |licence: Option<&str>| Package {
            license: licence.map(str::to_owned),
            ..package("x", "1.0.0")
        };
        assert!(text(&licensed(Some("GPL-3.0-only"))).contains("cannot be met"));
        assert!(text(&licensed(None)).contains("no licence"));
        assert!(text(&licensed(Some("MIT AND"))).contains("cannot be read"));
        let foreign = Package {
            source: Some("git+https://example.org/x".into()),
            ..package("x", "1.0.0")
        };
        assert!(text(&foreign).contains("only crates.io"));
        assert!(text(&package("openssl", "0.10.0")).contains("is banned"));
        assert!(text(&package("ractor_cluster", "0.16.0")).contains("is banned"));
    }
}
