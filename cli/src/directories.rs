//! The data directories of daemons on this machine: where daemons have theirs if nobody says otherwise, where the context has
//! its sockets and its dev cluster, and where a command is told.

use std::fs;
use std::path::{Path, PathBuf};

use mainstay_identity::{DIRECTORY, Keep, Membership, default_directory};
use mainstay_protocol::Bearer;

use crate::home::Context;

/// One that has something in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDirectory {
    pub path: PathBuf,
    pub whose: Whose,
    /// Where it is in a cluster of several machines.
    pub membership: Option<Membership>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Station,
    Agent,
}

impl DataDirectory {
    /// None where no daemon has its data.
    pub fn at(path: &Path) -> Option<Self> {
        let keep = Keep::at(path.join(DIRECTORY));
        let membership = keep.membership().ok().flatten();
        let whose = match membership.as_ref().and_then(Membership::bearer) {
            Some(Bearer::Station(_)) => Whose::Station,
            Some(Bearer::Agent(_)) => Whose::Agent,
            Some(Bearer::Person { .. }) => return None,
            None if path.join("station.json").exists() => Whose::Station,
            None if path.join("slots").is_dir() => Whose::Agent,
            None => return None,
        };
        Some(Self {
            path: path.to_owned(),
            whose,
            membership,
        })
    }

    pub fn keep(&self) -> Keep {
        Keep::at(self.path.join(DIRECTORY))
    }
}

/// Those that were said, and no others; else all that are known of.
pub fn of_machine(context: Option<&Context>, said: &[PathBuf]) -> Vec<DataDirectory> {
    let mut places = match said.is_empty() {
        false => said.to_vec(),
        true => known(context),
    };
    places.sort();
    places.dedup();
    let found = places.iter().filter_map(|path| DataDirectory::at(path));
    found.collect()
}

fn known(context: Option<&Context>) -> Vec<PathBuf> {
    let mut places = vec![default_directory("station"), default_directory("agent")];
    let Some(context) = context else {
        return places;
    };
    places.extend(context.sockets.iter().filter_map(|socket| {
        let dir = socket.parent()?;
        Some(dir.to_owned())
    }));
    let dev = context.dev.as_ref().map(|dev| &dev.directory);
    let entries = dev.and_then(|dev| fs::read_dir(dev).ok());
    places.extend(
        entries
            .into_iter()
            .flatten()
            .flatten()
            .map(|one| one.path()),
    );
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::{DevCluster, ProcessId};

    #[test]
    fn a_daemons_directory_is_told_by_what_is_in_it_and_found_through_the_context() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for name in ["s1", "n1", "logs"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        fs::write(root.join("s1/station.json"), "{}").unwrap();
        fs::create_dir(root.join("n1/slots")).unwrap();
        let context = Context {
            name: "dev".to_owned(),
            sockets: vec![root.join("s1/api.sock")],
            stations: Vec::new(),
            identity: None,
            dev: Some(DevCluster {
                parent: ProcessId { pid: 1, started: 1 },
                directory: root.to_owned(),
                runtime: root.to_owned(),
                previous: None,
            }),
        };
        let found = of_machine(Some(&context), &[]);
        let found: Vec<_> = found
            .iter()
            .filter(|one| one.path.starts_with(root))
            .map(|one| (one.path.clone(), one.whose))
            .collect();
        assert_eq!(
            found,
            [
                (root.join("n1"), Whose::Agent),
                (root.join("s1"), Whose::Station)
            ]
        );
        let said = of_machine(Some(&context), &[root.join("n1"), root.join("logs")]);
        assert_eq!(said.len(), 1, "{said:?}");
    }
}
