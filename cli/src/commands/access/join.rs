//! `join`: shows a token to a station, and keeps what it is given for it. Asked again and again until a station answers;
//! the key is kept from the first try on, so that a second one is taken for the same.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mainstay_api::client::NOBODY_ANSWERS;
use mainstay_api::types::{Hidden, JoinRequest, Joined};
use mainstay_api::{Client, Exit, Problem};
use mainstay_identity::tls;
use mainstay_identity::{
    Credentials, DIRECTORY, Fingerprint, JoinToken, Keep, KeepError, Membership, NodeKey, SealKey,
    Whom, default_directory, hex, unhex, unhex_exactly,
};
use mainstay_protocol::{Address, ClusterId, ClusterName, NodeName, code};
use serde::Serialize;
use uuid::Uuid;

use super::init::{absolute, daemon};
use super::taken;
use crate::app::App;
use crate::arguments::{JoinArguments, TokenFrom, parsed_token};
use crate::commands::rebuilt;
use crate::home::Context;
use crate::outcome::{Outcome, bug, machine, usage};

const WHAT: &str = "join the cluster";
/// Between two tries to find a station.
const PAUSE: Duration = Duration::from_secs(1);
/// More than any token has.
const TOKEN_BYTES_MAX: u64 = 1024;
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Member {
    name: String,
    cluster: String,
    id: String,
    dir: PathBuf,
    run: Option<String>,
}

pub async fn run(app: &mut App<'_>, arguments: &JoinArguments) -> Outcome {
    let joining = Joining {
        station: arguments.station.clone(),
        token: shown(&arguments.token)?,
        node: arguments.node.clone(),
        listen: arguments.listen.clone(),
        dir: arguments.dir.clone(),
    };
    let (dir, membership) = enter(app, &joining).await?;
    told(app, &joining, dir, &membership)
}

/// Somebody who joins.
pub struct Joining {
    pub station: Address,
    pub token: JoinToken,
    pub node: Option<NodeName>,
    pub listen: Option<Address>,
    pub dir: Option<PathBuf>,
}

/// One line is read, however it is written there; what it is stays secret.
fn shown(token: &TokenFrom) -> Result<JoinToken, Problem> {
    let from = match token {
        TokenFrom::Said(token) => return Ok(token.clone()),
        TokenFrom::Stdin => std::io::stdin().lock(),
    };
    let mut line = String::new();
    from.take(TOKEN_BYTES_MAX)
        .read_line(&mut line)
        .map_err(|error| machine("read the token", error))?;
    parsed_token(line.trim()).map_err(|why| {
        let why = format!("{why}; it is read from the standard input");
        usage(WHAT, why).to_do("mainstay join --help")
    })
}

/// Joins, and keeps what there is to keep; the second time it only looks.
pub async fn enter(app: &mut App<'_>, joining: &Joining) -> Result<(PathBuf, Membership), Problem> {
    let node = fitting(joining)?;
    let (dir, keep) = place(app, joining)?;
    if let Some(known) = keep.membership().map_err(kept)? {
        if known.cluster != joining.token.cluster {
            let why = format!(
                "{} is {} of cluster {} ({}), and the token is of cluster {}",
                dir.display(),
                known.name,
                known.cluster_name,
                known.cluster,
                joining.token.cluster
            );
            return Err(taken(WHAT, why));
        }
        if is_in(&keep, &known, joining) {
            app.console.say(&format!(
                "{} is in cluster {} already",
                known.name, known.cluster_name
            ));
            context(app, joining, &known, &dir)?;
            return Ok((dir, known));
        }
    }
    let key = keep.key_or_mint().map_err(kept)?;
    let request = JoinRequest {
        id: joining.token.id.clone(),
        secret: Hidden(joining.token.secret()),
        public_key: hex(&key.public()),
        kind: joining.token.whom.as_str().to_owned(),
        node: node.as_ref().map(ToString::to_string),
        wall_ms: 0,
        proof: String::new(),
    };
    let joined = ask(app, joining, &request, &key).await?;
    let membership = membership(joining, &joined)?;
    let shown = Credentials {
        authority: unhex(&joined.authority).ok_or_else(unreadable)?.into(),
        certificate: unhex(&joined.certificate).ok_or_else(unreadable)?.into(),
        key,
    };
    if Fingerprint::of(&shown.authority) != joining.token.authority {
        return Err(bug(
            WHAT,
            "the station gave another authority than the token's",
        ));
    }
    if let Some(seal_key) = &joined.seal_key {
        let key = unhex_exactly::<32>(&seal_key.0).ok_or_else(unreadable)?;
        keep.write_seal_key(&SealKey(key)).map_err(kept)?;
    }
    keep.write(&shown).map_err(kept)?;
    // Last, since its presence says that all is there.
    keep.write_membership(&membership).map_err(kept)?;
    context(app, joining, &membership, &dir)?;
    app.console.say(&format!(
        "{} is let in to cluster {}",
        membership.name, membership.cluster_name
    ));
    Ok((dir, membership))
}

/// Whether there is nothing to ask for. Another token lets in anew: in another role, or after what was there was taken back or
/// ran out. Only a station with a store stays who it is, since its number is in it.
fn is_in(keep: &Keep, known: &Membership, joining: &Joining) -> bool {
    let same = known.token.as_ref() == Some(&joining.token.id);
    let stays = joining.token.whom == Whom::Station && keep.had_store();
    keep.is_there() && (same || stays)
}

/// What was said fits whom the token lets in; the node's name, of an agent.
fn fitting(joining: &Joining) -> Result<Option<NodeName>, Problem> {
    let wrong = |why: &str| Err(usage(WHAT, why).to_do("mainstay join --help"));
    match (joining.token.whom, &joining.node, &joining.listen) {
        (Whom::Station, None, Some(_)) | (Whom::Person, None, None) => Ok(None),
        (Whom::Station, None, None) => {
            wrong("the token lets in a station; say with --listen where other machines reach it")
        }
        (Whom::Agent, Some(node), None) => Ok(Some(node.clone())),
        (Whom::Agent, None, None) => machine_name().map(Some),
        (Whom::Agent | Whom::Person, _, Some(_)) => wrong("--listen is for stations alone"),
        (Whom::Station | Whom::Person, Some(_), _) => wrong("--node is for agents alone"),
    }
}

fn machine_name() -> Result<NodeName, Problem> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let name = name.unwrap_or_default().trim().to_lowercase();
    name.parse().map_err(|_| {
        let why = format!("the machine's name \"{name}\" is no node's name; say one with --node");
        usage(WHAT, why).to_do("mainstay join --help")
    })
}

fn place(app: &App<'_>, joining: &Joining) -> Result<(PathBuf, Keep), Problem> {
    let dir = match (&joining.dir, joining.token.whom) {
        (Some(dir), _) => absolute(dir)?,
        (None, Whom::Person) => {
            let cluster = joining.token.cluster.0.simple().to_string();
            return Ok({
                let dir = app.home.identity(&cluster);
                (dir.clone(), Keep::at(dir))
            });
        }
        (None, whom) => default_directory(whom.as_str()),
    };
    let keep = match joining.token.whom {
        Whom::Person => Keep::at(&dir),
        Whom::Agent | Whom::Station => Keep::at(dir.join(DIRECTORY)),
    };
    Ok((dir, keep))
}

/// Until a station answers, or the time that was said is over.
async fn ask(
    app: &mut App<'_>,
    joining: &Joining,
    request: &JoinRequest,
    key: &NodeKey,
) -> Result<Joined, Problem> {
    let stranger = tls::stranger(joining.token.authority);
    let stranger = Arc::new(stranger.map_err(|error| bug(WHAT, error))?);
    let client = Client::at(vec![joining.station.clone()], Some(stranger));
    let client = client.with_timeout(ANSWER_WITHIN);
    let begun = std::time::Instant::now();
    let mut said = false;
    loop {
        let mut request = JoinRequest {
            wall_ms: rebuilt::now_ms(),
            ..request.clone()
        };
        let proof = key.sign(&request.said());
        request.proof = hex(&proof.map_err(|error| bug(WHAT, error))?);
        let problem = match client.join(&request).await {
            Ok(joined) => return Ok(joined),
            Err(problem) => problem,
        };
        let nobody = problem.code == code::NO_SERVER && problem.why.starts_with(NOBODY_ANSWERS);
        let again = nobody || problem.code == code::NO_QUORUM;
        let over = app
            .global
            .timeout
            .is_some_and(|most| begun.elapsed() + PAUSE >= most);
        if !again || over {
            return Err(problem);
        }
        if !said {
            app.console.say(&format!(
                "{}; asking until one does (Ctrl-C ends it)",
                problem.why
            ));
            said = true;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn membership(joining: &Joining, joined: &Joined) -> Result<Membership, Problem> {
    let cluster = Uuid::try_parse(&joined.cluster_id).map_err(|_| unreadable())?;
    if ClusterId(cluster) != joining.token.cluster {
        let why = format!(
            "the station is of cluster {cluster}, and the token of {}",
            joining.token.cluster
        );
        return Err(Problem::new(code::WRONG_CLUSTER, WHAT, why));
    }
    let stations: Result<BTreeMap<String, Address>, _> = joined
        .stations
        .iter()
        .map(|(station, at)| at.parse().map(|at| (station.clone(), at)))
        .collect();
    Ok(Membership {
        name: joined.name.clone(),
        cluster: ClusterId(cluster),
        cluster_name: ClusterName::new(&joined.cluster_name).map_err(|_| unreadable())?,
        listen: joining.listen.clone(),
        stations: stations.map_err(|_| unreadable())?,
        token: Some(joining.token.id.clone()),
    })
}

/// People and stations' machines know the cluster from now on.
fn context(
    app: &App<'_>,
    joining: &Joining,
    membership: &Membership,
    dir: &std::path::Path,
) -> Result<(), Problem> {
    let (sockets, stations, identity) = match joining.token.whom {
        Whom::Agent => return Ok(()),
        Whom::Station => (vec![dir.join("api.sock")], Vec::new(), None),
        Whom::Person => {
            let mut stations: Vec<Address> = membership.stations.values().cloned().collect();
            stations.retain(|at| matches!(at, Address::Tls { .. }));
            (Vec::new(), stations, Some(dir.to_owned()))
        }
    };
    let name = app.global.context.clone();
    let name = name.unwrap_or_else(|| membership.cluster_name.to_string());
    app.home.write(&Context {
        name: name.clone(),
        sockets,
        stations,
        identity,
        dev: None,
    })?;
    app.home.make_current(&name)
}

fn told(app: &mut App<'_>, joining: &Joining, dir: PathBuf, membership: &Membership) -> Outcome {
    let run = match joining.token.whom {
        Whom::Agent => Some("agent"),
        Whom::Station => Some("station"),
        Whom::Person => None,
    };
    let run = run.map(|which| daemon(which, joining.dir.is_some().then_some(&dir)));
    let next = run.clone().unwrap_or_else(|| "mainstay status".to_owned());
    let member = Member {
        name: membership.name.clone(),
        cluster: membership.cluster_name.to_string(),
        id: membership.cluster.to_string(),
        dir,
        run,
    };
    app.console.answer(&member, &[], |_| format!("{next}\n"))?;
    Ok(Exit::Ok)
}

fn unreadable() -> Problem {
    let why = "the station's answer is not one this build understands";
    Problem::new(code::VERSION_MISMATCH, WHAT, why).to_do("mainstay version")
}

fn kept(error: KeepError) -> Problem {
    machine("keep what the cluster gave", error)
}
