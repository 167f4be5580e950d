//! `new service NAME`: writes a crate with a service type of one's own and its test. Needs no station.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use mainstay_api::{Exit, Problem};

use crate::app::App;
use crate::arguments::{NewCommand, NewServiceArguments};
use crate::outcome::{Outcome, machine, usage};

/// The files of the crate, with `@PLACEHOLDERS@`.
const FILES: [(&str, &str); 3] = [
    ("Cargo.toml", include_str!("../new/Cargo.toml.in")),
    ("src/main.rs", include_str!("../new/main.rs.in")),
    ("tests/service.rs", include_str!("../new/test.rs.in")),
];

/// Where this program was built: the crates it is made of, if they are still there.
const BUILT_FROM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

pub fn run(app: &mut App<'_>, command: &NewCommand) -> Outcome {
    let NewCommand::Service(arguments) = command;
    service(app, arguments)
}

fn service(app: &mut App<'_>, arguments: &NewServiceArguments) -> Outcome {
    let name = arguments.name.as_str();
    let what = format!("new service {name}");
    let mainstay = checkout(arguments.mainstay.as_deref(), &what)?;
    let package = format!("{name}-agent");
    let directory = match &arguments.dir {
        Some(directory) => directory.clone(),
        None => PathBuf::from(&package),
    };
    if directory.exists() {
        let why = format!("{} exists; nothing is written over", directory.display());
        let mut problem =
            machine(what, why).to_do(format!("mainstay new service {name} --dir OTHER"));
        problem.exit = Exit::Conflict;
        return Err(problem);
    }
    let filled = |text: &str| {
        text.replace("@TYPE@", &type_name(name))
            .replace("@PACKAGE@", &package)
            .replace("@MAINSTAY@", &mainstay.display().to_string())
            .replace("@NAME@", name)
    };
    for (file, text) in FILES {
        let path = directory.join(file);
        let folder = path.parent().unwrap_or(&directory);
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, filled(text)))
            .map_err(|error| machine(format!("write {}", path.display()), error))?;
    }
    let directory = directory.display();
    app.console.say(&format!("{directory} is written"));
    app.console.say(&format!("  cd {directory} && cargo test"));
    app.console.say(&format!(
        "  cargo build && mainstay dev --agent-bin target/debug/{package}"
    ));
    app.console.say(&format!("  mainstay start {name} --on n1"));
    Ok(Exit::Ok)
}

/// The crates a service is written against. They are not in a registry yet: what was said, else the source that somebody
/// stands in, else the one that this program was built from.
fn checkout(said: Option<&Path>, what: &str) -> Result<PathBuf, Problem> {
    let here = env::current_dir().unwrap_or_default();
    let places: Vec<&Path> = match said {
        Some(said) => vec![said],
        None => here.ancestors().chain([Path::new(BUILT_FROM)]).collect(),
    };
    let source = places.into_iter().find_map(source_at);
    source.ok_or_else(|| {
        let why = match said {
            Some(said) => format!("there is no source of Mainstay at {}", said.display()),
            None => "there is no source of Mainstay in this directory or above it, nor where this program was built"
                .to_owned(),
        };
        usage(what, why).to_do("mainstay new service NAME --mainstay PATH-OF-THE-SOURCE")
    })
}

fn source_at(place: &Path) -> Option<PathBuf> {
    let manifest = fs::read_to_string(place.join("service/Cargo.toml")).ok()?;
    let ours = manifest.contains("name = \"mainstay-service\"");
    fs::canonicalize(place).ok().filter(|_| ours)
}

/// `rate-limiter` is `RateLimiter`.
fn type_name(name: &str) -> String {
    name.split('-')
        .flat_map(|word| {
            let mut letters = word.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(letters)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_several_words_becomes_one_type() {
        assert_eq!(type_name("billing"), "Billing");
        assert_eq!(type_name("rate-limiter2"), "RateLimiter2");
    }

    #[test]
    fn only_the_source_of_mainstay_is_taken_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let manifest = directory.path().join("service/Cargo.toml");
        fs::create_dir(directory.path().join("service")).unwrap();
        fs::write(&manifest, "[package]\nname = \"another-service\"\n").unwrap();
        assert_eq!(source_at(directory.path()), None);
        let said = checkout(Some(directory.path()), "new service x").unwrap_err();
        assert!(said.why.contains("no source of Mainstay at"), "{said}");
        fs::write(&manifest, "[package]\nname = \"mainstay-service\"\n").unwrap();
        let found = source_at(directory.path()).unwrap();
        assert_eq!(checkout(Some(directory.path()), "x").unwrap(), found);
    }

    #[test]
    fn no_placeholder_is_forgotten() {
        for (file, text) in FILES {
            let known = ["@TYPE@", "@PACKAGE@", "@MAINSTAY@", "@NAME@"];
            let left = known.iter().fold(text.to_owned(), |text, placeholder| {
                text.replace(placeholder, "")
            });
            // `call NAME@n1` stays.
            assert_eq!(
                left.replace("call @n1", "").matches('@').count(),
                0,
                "{file}"
            );
        }
    }
}
