//! `init`: everything that the first station of a cluster shows and lets others in by, in its directory. Starts nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mainstay_api::{Exit, Problem};
use mainstay_identity::{Authority, DIRECTORY, Keep, KeepError, Membership, default_directory};
use mainstay_protocol::{Bearer, ClusterId};
use serde::Serialize;
use uuid::Uuid;

use super::taken;
use crate::app::App;
use crate::arguments::InitArguments;
use crate::founding::{FIRST, Founded};
use crate::home::Context;
use crate::outcome::{Outcome, machine};

#[derive(Serialize)]
struct Prepared {
    cluster: String,
    id: String,
    authority: String,
    dir: PathBuf,
    run: String,
}

pub fn run(app: &mut App<'_>, arguments: &InitArguments) -> Outcome {
    let dir = match &arguments.dir {
        Some(dir) => absolute(dir)?,
        None => default_directory("station"),
    };
    free(&dir)?;
    let cluster = ClusterId(Uuid::new_v4());
    let what = format!("prepare a station in {}", dir.display());
    let authority = found(&dir, cluster, arguments)
        .map_err(|error| machine(&what, error).to_do(format!("ls -ld {}", dir.display())))?;
    let name = arguments.name.to_string();
    app.home.write(&Context {
        name: name.clone(),
        sockets: vec![dir.join("api.sock")],
        stations: Vec::new(),
        identity: None,
        dev: None,
    })?;
    app.home.make_current(&name)?;
    let founded = Prepared {
        run: daemon("station", arguments.dir.is_some().then_some(&dir)),
        cluster: name,
        id: cluster.to_string(),
        authority: authority.fingerprint().to_string(),
        dir,
    };
    app.console.say(&format!(
        "cluster {} is founded; keep {} safe: without seal.key nobody is let in after a loss of all stations\nrun this, in a \
         service unit or by hand, then `mainstay token create --role agent`:",
        founded.cluster,
        founded.dir.join(DIRECTORY).display()
    ));
    app.console
        .answer(&founded, &[], |_| format!("{}\n", founded.run))?;
    Ok(Exit::Ok)
}

pub fn absolute(dir: &Path) -> Result<PathBuf, Problem> {
    std::path::absolute(dir).map_err(|error| machine(format!("use {}", dir.display()), error))
}

/// The command that runs a daemon with what was just prepared.
pub fn daemon(which: &str, dir: Option<&PathBuf>) -> String {
    match dir {
        Some(dir) => format!("mainstay {which} run --dir {}", dir.display()),
        None => format!("mainstay {which} run"),
    }
}

fn free(dir: &Path) -> Result<(), Problem> {
    let what = format!("prepare a station in {}", dir.display());
    let keep = Keep::at(dir.join(DIRECTORY));
    if let Ok(Some(known)) = keep.membership() {
        let why = format!(
            "it is {} of cluster {} ({}) already",
            known.name, known.cluster_name, known.cluster
        );
        return Err(taken(what, why));
    }
    match fs::read_dir(dir).map(|mut entries| entries.next().is_some()) {
        Ok(true) => Err(taken(
            what,
            "it is not empty; a new cluster begins in an empty directory",
        )
        .to_do(format!("ls -la {}", dir.display()))),
        Ok(false) | Err(_) => Ok(()),
    }
}

fn found(
    dir: &Path,
    cluster: ClusterId,
    arguments: &InitArguments,
) -> Result<Authority, KeepError> {
    let founded = Founded::mint(cluster)?;
    let first = Membership {
        name: Bearer::Station(FIRST).to_string(),
        cluster,
        cluster_name: arguments.name.clone(),
        listen: Some(arguments.listen.clone()),
        stations: BTreeMap::new(),
        token: None,
    };
    founded.first_station(dir, &first)?;
    Ok(founded.authority)
}
