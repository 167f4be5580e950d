//! `station run`: the daemon on this thread, with a log on stderr. What it was told when it was initialised or joined lies
//! in its directory; what is said goes before that.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mainstay_agent::log_to_stderr;
use mainstay_api::Problem;
use mainstay_identity::{DIRECTORY, Keep, Membership, default_directory};
use mainstay_protocol::{Bearer, ClusterId, StationId};
use mainstay_station::{Login, NatsOptions, Station, StationOptions};

use crate::arguments::StationRunArguments;
use crate::outcome::{four_lines, machine, usage};

pub fn station(station: Station, arguments: &StationRunArguments) -> ExitCode {
    log_to_stderr(arguments.log.as_deref());
    match options(arguments) {
        Ok(options) => station.run(options),
        Err(problem) => {
            eprintln!("{}", four_lines(&problem));
            problem.exit.into()
        }
    }
}

fn options(arguments: &StationRunArguments) -> Result<StationOptions, Problem> {
    let dir = arguments.dir.clone();
    let dir = dir.unwrap_or_else(|| default_directory("station"));
    let what = format!("start a station in {}", dir.display());
    let keep = Keep::at(dir.join(DIRECTORY));
    let known = keep.membership().map_err(|error| machine(&what, error))?;
    let name = known.as_ref().map(|known| known.cluster_name.clone());
    let name = name.or(arguments.cluster.clone()).ok_or_else(|| {
        let why = "it was neither initialised nor joined, and no --cluster was said";
        usage(&what, why).to_do("mainstay init --help")
    })?;
    let default = StationOptions::new(&dir, name);
    let own = known.as_ref().and_then(number);
    Ok(StationOptions {
        api_socket: arguments
            .api
            .clone()
            .unwrap_or_else(|| default.api_socket.clone()),
        sessions_socket: arguments
            .agents
            .clone()
            .unwrap_or_else(|| default.sessions_socket.clone()),
        profile: arguments.profile.into(),
        station: own.or(arguments.station).unwrap_or(default.station),
        listen: arguments
            .listen
            .clone()
            .or_else(|| known.as_ref().and_then(|known| known.listen.clone())),
        group: group(known.as_ref()),
        joins: arguments
            .joins
            .map(ClusterId)
            .or(joins(&keep, known.as_ref(), &dir)?),
        node: arguments.node.clone(),
        chaos: arguments.chaos,
        nats: nats(arguments, &what)?,
        ..default
    })
}

/// The queue outside, if there is to be one, with who logs in there.
fn nats(arguments: &StationRunArguments, what: &str) -> Result<Option<NatsOptions>, Problem> {
    let Some(servers) = arguments.nats.clone() else {
        return Ok(None);
    };
    let login = arguments
        .nats_login
        .as_deref()
        .map(|file| login(file, what));
    let trusts = arguments.nats_ca.as_deref().map(|file| trusted(file, what));
    Ok(Some(NatsOptions {
        servers,
        login: login.transpose()?,
        trusts: trusts.transpose()?,
    }))
}

fn login(file: &Path, what: &str) -> Result<Login, Problem> {
    let text = read(file, what)?;
    let line = text.trim();
    match line.split_once(':') {
        _ if line.is_empty() || line.contains('\n') => {
            let why = format!(
                "{} holds no login; write USER:PASSWORD, or a token, in one line",
                file.display()
            );
            Err(usage(what, why))
        }
        Some((user, password)) => Ok(Login::Password {
            user: user.to_owned(),
            password: password.to_owned(),
        }),
        None => Ok(Login::Token(line.to_owned())),
    }
}

/// Looked at now, since a queue that is away ends no station.
fn trusted(file: &Path, what: &str) -> Result<PathBuf, Problem> {
    let text = read(file, what)?;
    let holds = text.contains("-----BEGIN CERTIFICATE-----");
    let why = || format!("{} holds no certificates in PEM", file.display());
    holds
        .then(|| file.to_owned())
        .ok_or_else(|| usage(what, why()))
}

fn read(file: &Path, what: &str) -> Result<String, Problem> {
    let text = std::fs::read_to_string(file);
    text.map_err(|error| usage(what, format!("{} cannot be read: {error}", file.display())))
}

fn number(known: &Membership) -> Option<StationId> {
    match known.bearer() {
        Some(Bearer::Station(station)) => Some(station),
        Some(Bearer::Agent(_) | Bearer::Person { .. }) | None => None,
    }
}

/// Who founded the cluster has its authority lying there; whoever joined founds nothing.
fn joins(
    keep: &Keep,
    known: Option<&Membership>,
    dir: &Path,
) -> Result<Option<ClusterId>, Problem> {
    let founding = keep.founding();
    let founding = founding
        .map_err(|error| machine(format!("start a station in {}", dir.display()), error))?;
    Ok(known
        .filter(|_| founding.is_none())
        .map(|known| known.cluster))
}

fn group(known: Option<&Membership>) -> std::collections::BTreeMap<StationId, String> {
    let told = known.into_iter().flat_map(|known| &known.stations);
    told.filter_map(|(station, at)| Some((station.parse().ok()?, at.to_string())))
        .collect()
}
