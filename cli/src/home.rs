//! Contexts: which clusters this user knows, and which one is meant. One JSON file each, under one home.
//!
//! ```text
//!   $MAINSTAY_HOME, else $XDG_CONFIG_HOME/mainstay, else ~/.config/mainstay
//!     current.json          {"context": "dev"}
//!     contexts/dev.json     where the stations are; for a dev cluster also its parent and directories
//!     dev.lock              held by the parent of the dev cluster as long as it lives
//! ```
//! Files are replaced whole (written beside, then renamed), so a reader sees the old or the new one.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstay_api::{Client, Problem};
use mainstay_identity::{Keep, tls};
use mainstay_protocol::words::nearest;
use mainstay_protocol::{Address, code};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::outcome::machine;

/// The name of the context that `dev` writes.
pub const DEV: &str = "dev";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    directory: PathBuf,
}

/// Where a cluster is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    pub name: String,
    /// The API sockets of its stations on this machine; the first is asked first.
    #[serde(default, alias = "socket", deserialize_with = "one_or_several")]
    pub sockets: Vec<PathBuf>,
    /// Those over the network, asked behind them. One of either at least.
    #[serde(default)]
    pub stations: Vec<Address>,
    /// The directory with what is shown there.
    #[serde(default)]
    pub identity: Option<PathBuf>,
    pub dev: Option<DevCluster>,
}

impl Context {
    pub fn client(&self) -> Result<Client, Problem> {
        let shown = match &self.identity {
            None => None,
            Some(directory) => {
                let failed = |why: String| {
                    machine(format!("use the identity in {}", directory.display()), why)
                        .to_do("mainstay join --help")
                };
                let kept = Keep::at(directory).credentials();
                let kept = kept.map_err(|error| failed(error.to_string()))?;
                let config = tls::client(&kept, tls::ALPN_API);
                Some(Arc::new(config.map_err(|error| failed(error.to_string()))?))
            }
        };
        let here = self.sockets.iter().cloned().map(Address::Unix);
        let all = here.chain(self.stations.iter().cloned()).collect();
        Ok(Client::at(all, shown))
    }
}

/// What only a dev cluster has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevCluster {
    pub parent: ProcessId,
    pub directory: PathBuf,
    pub runtime: PathBuf,
    /// The context that was current before.
    pub previous: Option<String>,
}

/// A process, safe against its number being used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    pub pid: u32,
    /// Clock ticks since boot when it started.
    pub started: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Current {
    context: String,
}

/// A context of an earlier version has one, as `socket`.
fn one_or_several<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<PathBuf>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Sockets {
        One(PathBuf),
        Several(Vec<PathBuf>),
    }
    match Sockets::deserialize(from)? {
        Sockets::One(socket) => Ok(vec![socket]),
        Sockets::Several(sockets) => Ok(sockets),
    }
}

impl Home {
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    pub fn from_environment() -> Result<Self, Problem> {
        let set = |name| {
            env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        if let Some(home) = set("MAINSTAY_HOME") {
            return Ok(Self::at(home));
        }
        if let Some(config) = set("XDG_CONFIG_HOME") {
            return Ok(Self::at(config.join("mainstay")));
        }
        match set("HOME") {
            Some(home) => Ok(Self::at(home.join(".config").join("mainstay"))),
            None => Err(machine(
                "find the contexts",
                "none of MAINSTAY_HOME, XDG_CONFIG_HOME and HOME is set",
            )
            .to_do("MAINSTAY_HOME=/tmp/mainstay-home mainstay status")),
        }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn dev_lock(&self) -> PathBuf {
        self.directory.join("dev.lock")
    }

    /// The context that was named, else the current one.
    pub fn choose(&self, named: Option<&str>) -> Result<Context, Problem> {
        if let Some(name) = named {
            return self.context(name)?.ok_or_else(|| self.unknown(name));
        }
        let Some(name) = self.current()? else {
            return Err(no_context(
                "no cluster is chosen, and none was named with --context",
            ));
        };
        self.context(&name)?
            .ok_or_else(|| no_context(format!("the current context \"{name}\" is gone")))
    }

    pub fn context(&self, name: &str) -> Result<Option<Context>, Problem> {
        let Some(file) = context_file_name(name) else {
            return Ok(None);
        };
        let path = self.contexts().join(file);
        let found: Option<Context> = read(&path)?;
        match found {
            Some(found) if found.sockets.is_empty() && found.stations.is_empty() => {
                let what = format!("read {}", path.display());
                Err(machine(what, "it names no station").to_do(format!("rm {}", path.display())))
            }
            found => Ok(found),
        }
    }

    /// Where what a person shows to a cluster is kept.
    pub fn identity(&self, context: &str) -> PathBuf {
        self.directory.join("identities").join(context)
    }

    pub fn current(&self) -> Result<Option<String>, Problem> {
        let current: Option<Current> = read(&self.directory.join("current.json"))?;
        Ok(current.map(|current| current.context))
    }

    /// Every context's name, in order.
    pub fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.contexts()) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|file| file.strip_suffix(".json").map(str::to_owned))
            .collect();
        names.sort();
        names
    }

    pub fn write(&self, context: &Context) -> Result<(), Problem> {
        let file = context_file_name(&context.name).ok_or_else(|| {
            machine(
                "write a context",
                format!("\"{}\" is no name of a context", context.name),
            )
        })?;
        replace(&self.contexts().join(file), context)
    }

    pub fn make_current(&self, name: &str) -> Result<(), Problem> {
        replace(
            &self.directory.join("current.json"),
            &Current {
                context: name.to_owned(),
            },
        )
    }

    /// Takes a context away; where it was the current one, `previous` is current again.
    pub fn forget(&self, name: &str, previous: Option<&str>) -> Result<(), Problem> {
        if self.current()?.as_deref() == Some(name) {
            match previous.filter(|previous| *previous != name) {
                Some(previous) => self.make_current(previous)?,
                None => remove(&self.directory.join("current.json"))?,
            }
        }
        if let Some(file) = context_file_name(name) {
            remove(&self.contexts().join(file))?;
        }
        // Empty directories go too; one that is not empty, or not ours to remove, stays.
        let _ = fs::remove_dir(self.contexts());
        Ok(())
    }

    fn contexts(&self) -> PathBuf {
        self.directory.join("contexts")
    }

    fn unknown(&self, name: &str) -> Problem {
        let names = self.names();
        let known = if names.is_empty() {
            "there is none".to_owned()
        } else {
            format!("there are: {}", names.join(", "))
        };
        let like = nearest(name, names.iter().map(String::as_str));
        no_context(format!("there is no context \"{name}\"; {known}")).near(like)
    }
}

fn no_context(why: impl Into<String>) -> Problem {
    let mut problem = Problem::new(code::NO_CONTEXT, "find the cluster", why).to_do("mainstay dev");
    problem.exit = mainstay_api::Exit::NoServer;
    problem
}

/// A name that cannot leave the directory.
fn context_file_name(name: &str) -> Option<String> {
    mainstay_protocol::ClusterName::new(name)
        .ok()
        .map(|name| format!("{name}.json"))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Problem> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(machine(format!("read {}", path.display()), error)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|why| {
        machine(format!("read {}", path.display()), why).to_do(format!("rm {}", path.display()))
    })
}

fn replace<T: Serialize>(path: &Path, value: &T) -> Result<(), Problem> {
    let doing = || format!("write {}", path.display());
    let parent = path.parent().expect("a file of the home has a directory");
    fs::create_dir_all(parent).map_err(|error| machine(doing(), error))?;
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| machine(doing(), error))?;
    text.push(b'\n');
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, path))
        .map_err(|error| machine(doing(), error))
}

fn remove(path: &Path) -> Result<(), Problem> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(machine(format!("remove {}", path.display()), error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(name: &str) -> Context {
        Context {
            name: name.to_owned(),
            sockets: vec![PathBuf::from("/nowhere/s1.sock")],
            stations: Vec::new(),
            identity: None,
            dev: None,
        }
    }

    #[test]
    fn the_previous_context_is_current_again_when_one_goes() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path().join("home"));
        home.write(&context("prod")).unwrap();
        home.make_current("prod").unwrap();
        home.write(&context(DEV)).unwrap();
        home.make_current(DEV).unwrap();
        assert_eq!(home.choose(None).unwrap().name, DEV);

        home.forget(DEV, Some("prod")).unwrap();
        assert_eq!(home.choose(None).unwrap().name, "prod");
        assert_eq!(home.names(), ["prod"]);

        home.forget("prod", None).unwrap();
        assert!(!home.directory().join("contexts").exists());
        assert_eq!(
            home.choose(None).unwrap_err().exit,
            mainstay_api::Exit::NoServer
        );
    }

    #[test]
    fn a_context_that_is_not_there_names_those_that_are() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path());
        home.write(&context("prod")).unwrap();
        let problem = home.choose(Some("prd")).unwrap_err();
        assert_eq!(problem.nearest, ["prod"]);
        assert!(problem.why.contains("prd"), "{problem}");
        assert!(home.choose(Some("../../etc/passwd")).is_err());
    }

    #[test]
    fn a_context_with_one_socket_is_still_read_and_one_without_any_is_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path());
        let file = home.contexts().join("prod.json");
        fs::create_dir_all(home.contexts()).unwrap();
        let before = r#"{"name": "prod", "socket": "/nowhere/s1.sock", "dev": null}"#;
        fs::write(&file, before).unwrap();
        assert_eq!(home.context("prod").unwrap(), Some(context("prod")));

        let several = Context {
            sockets: vec![PathBuf::from("/a"), PathBuf::from("/b")],
            ..context("prod")
        };
        home.write(&several).unwrap();
        assert_eq!(home.context("prod").unwrap(), Some(several));

        fs::write(&file, r#"{"name": "prod", "sockets": [], "dev": null}"#).unwrap();
        let problem = home.context("prod").unwrap_err();
        assert!(problem.what.contains("prod.json"), "{problem}");
        assert!(problem.why.contains("it names no station"), "{problem}");
    }

    #[test]
    fn a_damaged_file_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path());
        fs::write(directory.path().join("current.json"), "{").unwrap();
        let problem = home.choose(None).unwrap_err();
        assert!(problem.what.contains("current.json"), "{problem}");
    }
}
