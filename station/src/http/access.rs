//! Letting in: tokens, joining, identities; and secrets. What is secret is turned into a hash, or sealed, before it goes any
//! further than this file.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Path;
use axum::routing::{MethodRouter, delete, get, post, put};
use mainstay_api::Problem;
use mainstay_api::routes::{self, Asker, Route};
use mainstay_api::time::span;
use mainstay_api::types::{
    Group, GroupRequest, Hidden, JoinRequest, Joined, RevokeRequest, SecretRequest, TokenMade,
    TokenRequest, Whoami,
};
use mainstay_coordinator::{Asks, NewToken, Operation, UseToken, known_token};
use mainstay_identity::{JoinToken, SecretHash, Whom, digest, has_signed, hex, is_public, unhex};
use mainstay_protocol::{Admits, BadName, Bearer, Role, SecretName, code, limits};
use mainstay_resource_graph::{Key, People, Secret, TokenId, TokenState, Vertex, View, ViewExt};

use super::Api;
use super::admission::OF_THIS_MACHINE;
use super::changes::operate;
use super::reply::{Failure, Reply, body, json};
use crate::access::Access;
use crate::clock::wall_ms;

pub fn handlers() -> Vec<(Route, MethodRouter<Api>)> {
    vec![
        (routes::TOKEN_CREATE, post(create_token)),
        (routes::TOKEN_REVOKE, post(revoke_token)),
        (routes::JOIN, post(join)),
        (routes::IDENTITY, get(identity)),
        (routes::IDENTITY_OF_PERSON, get(identity_of_person)),
        (routes::IDENTITY_REVOKE, post(revoke)),
        (routes::PERSON_REVOKE, post(revoke_person)),
        (routes::SECRET_PUT, put(set_secret)),
        (routes::GROUPS, get(groups)),
        (routes::GROUP_PUT, put(set_group)),
        (routes::GROUP_DELETE, delete(remove_group)),
        (routes::WHOAMI, get(whoami)),
    ]
}

pub fn access<'a>(api: &'a Api, what: &str) -> Result<&'a Access, Failure> {
    api.shared.access.as_deref().ok_or_else(|| {
        let why = "this cluster is on one machine only: nobody comes to it over a network";
        Problem::new(code::BAD_REQUEST, what, why)
            .to_do("mainstay init --help")
            .into()
    })
}

pub async fn create_token(api: Api, bytes: Bytes) -> Reply {
    let what = "create a token";
    let request: TokenRequest = body(what, &bytes)?;
    let access = access(&api, what)?;
    let admits = admits(what, &request)?;
    let longest = limits::TOKEN_VALID_MS_MAX;
    if request.valid_ms == 0 || request.valid_ms > longest {
        let most = span(Duration::from_millis(longest));
        let why = format!("a token is good for at most {most}");
        return Err(Problem::new(code::BAD_REQUEST, what, why).into());
    }
    let view = api.shared.store.view();
    let authority = access.authority(&view)?;
    let whom = Whom::of(&admits);
    let token = JoinToken::mint(whom, access.cluster(), authority.fingerprint())
        .map_err(|error| Problem::new(code::INTERNAL, what, error.to_string()))?;
    let new = NewToken {
        id: TokenId(token.id.clone()),
        hash: token.hash().0,
        admits: admits.clone(),
        valid: Duration::from_millis(request.valid_ms),
        by: api.asker.to_string(),
    };
    operate(&api, what.to_owned(), Operation::CreateToken(new)).await?;
    json(&TokenMade {
        id: token.id.clone(),
        token: Hidden(token.text()),
        admits: admits.to_string(),
        addresses: api.shared.store.status().addresses.into_values().collect(),
        valid_ms: request.valid_ms,
    })
}

fn admits(what: &str, request: &TokenRequest) -> Result<Admits, Failure> {
    let bad = |why: String| Failure::from(Problem::new(code::BAD_REQUEST, what, why));
    let name = request.name.as_deref();
    let parsed = |bad_name: BadName| bad(bad_name.to_string());
    match (request.role.as_str(), name) {
        ("agent", node) => {
            let node = node.map(str::parse).transpose().map_err(parsed)?;
            Ok(Admits::Agent(node))
        }
        ("station", None) => Ok(Admits::Station),
        ("station", Some(_)) => Err(bad("a station is given its number when it joins".to_owned())),
        (role, name) => {
            let role: Role = role.parse().map_err(|_| {
                bad(format!(
                    "\"{role}\" is no role; there are station, agent, reader, operator and admin"
                ))
            })?;
            let name =
                name.ok_or_else(|| bad("a person has a name; say --name NAME".to_owned()))?;
            if name.starts_with(OF_THIS_MACHINE) {
                let why = format!("{name} is how users of a station's own machine are named");
                return Err(bad(why));
            }
            let name = name.parse().map_err(parsed)?;
            Ok(Admits::Person { name, role })
        }
    }
}

pub async fn revoke_token(api: Api, Path(id): Path<String>) -> Reply {
    let operation = Operation::RevokeToken {
        token: TokenId(id.clone()),
        by: api.asker.to_string(),
    };
    operate(&api, format!("revoke token {id}"), operation).await
}

pub async fn join(api: Api, bytes: Bytes) -> Reply {
    let what = "join the cluster";
    let request: JoinRequest = body(what, &bytes)?;
    let access = access(&api, what)?;
    same_time(what, request.wall_ms)?;
    // Before anything is used up: whoever is let in must be given a certificate.
    access.authority(&api.shared.store.view())?;
    let bad = |why: &str| Failure::from(Problem::new(code::BAD_REQUEST, what, why));
    let public = unhex(&request.public_key).filter(|public| is_public(public));
    let public = public.ok_or_else(|| bad("its public key is none on the curve P-256"))?;
    // What is given is given to whoever has the key, not to whoever has seen it.
    let proof = unhex(&request.proof).unwrap_or_default();
    if !has_signed(&public, &request.said(), &proof) {
        return Err(bad("it does not prove that it has the key it shows"));
    }
    let secret = SecretHash::of(&request.secret.0);
    let asks = match (request.kind.as_str(), &request.node) {
        ("agent", Some(node)) => {
            let node = node.parse();
            Asks::Agent(node.map_err(|error: BadName| bad(&error.to_string()))?)
        }
        ("station", None) => Asks::Station,
        ("person", None) => Asks::Person,
        _ => {
            return Err(bad(
                "it comes as an agent with the name of its node, as a station, or as a person",
            ));
        }
    };
    let used = UseToken {
        token: TokenId(request.id),
        hash: secret
            .ok_or_else(|| bad("the token's secret is damaged"))?
            .0,
        key: digest(&public),
        asks,
    };
    // Who only guesses costs nobody a place in line.
    let refused = |refusal| Problem::refused(what, refusal).to_do("mainstay token create --help");
    if api.shared.leads() {
        known_token(&api.shared.store.view(), &used).map_err(refused)?;
    }
    let token = used.token.clone();
    let by = format!("token {}", token.0);
    let answer = api.shared.operate(Operation::UseToken(used), by).await;
    answer.map_err(refused)?;
    let view = api.shared.store.view();
    let Some(bearer) = let_in(&view, &token) else {
        let why = "the token was taken back while it was used";
        return Err(Problem::new(code::TOKEN_REVOKED, what, why).into());
    };
    json(&joined(&api, access, &view, &bearer, &public)?)
}

fn same_time(what: &str, theirs: u64) -> Result<(), Failure> {
    let ours = wall_ms();
    if ours.abs_diff(theirs) <= limits::CLOCK_SKEW_MS_MAX {
        return Ok(());
    }
    let said = |wall_ms| mainstay_api::Time::from_wall_ms(wall_ms).to_string();
    let why = format!(
        "it is {} on the machine that joins and {} at the station; certificates would not stand",
        said(theirs),
        said(ours)
    );
    Err(Problem::new(code::CLOCK, what, why).to_do("date -u").into())
}

fn let_in(view: &dyn View, token: &TokenId) -> Option<Bearer> {
    match &view.record(&Key::Token(token.clone()))?.vertex {
        Vertex::Token(token) => match &token.state {
            TokenState::Used(bearer) => Some(bearer.clone()),
            TokenState::Open | TokenState::Revoked { .. } => None,
        },
        _ => None,
    }
}

fn joined(
    api: &Api,
    access: &Access,
    view: &dyn View,
    bearer: &Bearer,
    public: &[u8],
) -> Result<Joined, Problem> {
    let certificate = access.issue(view, bearer, public)?;
    let seal_key = match bearer {
        Bearer::Station(_) => Some(Hidden(hex(&access.seal_key()?.0))),
        Bearer::Agent(_) | Bearer::Person { .. } => None,
    };
    let addresses = api.shared.store.status().addresses;
    let cluster = view.cluster();
    Ok(Joined {
        name: bearer.to_string(),
        cluster_id: access.cluster().to_string(),
        cluster_name: cluster
            .map(|cluster| cluster.name.to_string())
            .unwrap_or_default(),
        certificate: hex(&certificate),
        authority: hex(&access.shown().credentials().authority),
        stations: addresses
            .into_iter()
            .map(|(station, address)| (station.to_string(), address))
            .collect(),
        seal_key,
    })
}

pub async fn identity(api: Api, Path((kind, name)): Path<(String, String)>) -> Reply {
    one(&api, format!("{kind}/{name}")).await
}

pub async fn identity_of_person(
    api: Api,
    Path((kind, name, role)): Path<(String, String, String)>,
) -> Reply {
    one(&api, format!("{kind}/{name}/{role}")).await
}

async fn one(api: &Api, bearer: String) -> Reply {
    let found = api
        .read(move |present| present.describe(&format!("identity/{bearer}")))
        .await?;
    json(&found.value)
}

pub async fn revoke(api: Api, Path((kind, name)): Path<(String, String)>, bytes: Bytes) -> Reply {
    revoke_one(&api, &format!("{kind}/{name}"), &bytes).await
}

pub async fn revoke_person(
    api: Api,
    Path((kind, name, role)): Path<(String, String, String)>,
    bytes: Bytes,
) -> Reply {
    revoke_one(&api, &format!("{kind}/{name}/{role}"), &bytes).await
}

async fn revoke_one(api: &Api, bearer: &str, bytes: &Bytes) -> Reply {
    let what = format!("revoke {bearer}");
    let request: RevokeRequest = body(&what, bytes)?;
    let bearer: Bearer = bearer
        .parse()
        .map_err(|error: mainstay_protocol::NotABearer| {
            Problem::new(code::BAD_REQUEST, &what, error.to_string())
        })?;
    let operation = Operation::RevokeIdentity {
        bearer: bearer.clone(),
        by: api.asker.to_string(),
        why: request.why,
    };
    let reply = operate(api, what, operation).await?;
    // Who has a session now is not let go on with it.
    if let Bearer::Agent(node) = &bearer {
        api.shared
            .sessions
            .close(node, "its identity was taken back");
    }
    Ok(reply)
}

pub async fn set_secret(api: Api, Path(name): Path<String>, bytes: Bytes) -> Reply {
    let what = format!("set secret {name}");
    let request: SecretRequest = body(&what, &bytes)?;
    let access = access(&api, &what)?;
    let name: SecretName = name
        .parse()
        .map_err(|error: BadName| Problem::new(code::BAD_REQUEST, &what, error.to_string()))?;
    if request.value.0.len() > limits::SECRET_BYTES_MAX {
        let why = format!("a secret has at most {} bytes", limits::SECRET_BYTES_MAX);
        return Err(Problem::new(code::BAD_REQUEST, &what, why).into());
    }
    let secret = Secret {
        sealed: access.seal(name.as_str(), request.value.0.as_bytes())?,
        by: api.asker.to_string(),
    };
    operate(&api, what, Operation::SetSecret { name, secret }).await
}

async fn groups(api: Api) -> Reply {
    let cluster = api.read(|present| Ok(present.view.cluster())).await?;
    let groups = cluster.map(|cluster| cluster.groups).unwrap_or_default();
    let shown = groups.into_iter().map(|(name, group)| Group {
        name: name.to_string(),
        role: group.role.as_str().to_owned(),
        members: group.members.iter().map(ToString::to_string).collect(),
        by: group.by,
    });
    json(&shown.collect::<Vec<_>>())
}

async fn set_group(api: Api, Path(name): Path<String>, bytes: Bytes) -> Reply {
    let what = format!("set the group {name}");
    let request: GroupRequest = body(&what, &bytes)?;
    let bad = |why: String| Failure::from(Problem::new(code::BAD_REQUEST, &what, why));
    let group = People {
        role: request.role.parse().map_err(bad)?,
        members: request
            .members
            .iter()
            .map(|one| one.parse())
            .collect::<Result<_, BadName>>()
            .map_err(|error| bad(error.to_string()))?,
        by: api.asker.to_string(),
    };
    let name = name
        .parse()
        .map_err(|error: BadName| bad(error.to_string()))?;
    operate(&api, what.clone(), Operation::SetGroup { name, group }).await
}

async fn remove_group(api: Api, Path(name): Path<String>) -> Reply {
    let what = format!("remove the group {name}");
    let name = name
        .parse()
        .map_err(|error: BadName| Problem::new(code::BAD_REQUEST, &what, error.to_string()))?;
    operate(&api, what, Operation::RemoveGroup { name }).await
}

pub async fn whoami(api: Api) -> Reply {
    let asker = api.asker;
    let role = match &asker {
        Asker::Person { role, .. } => asker.role().unwrap_or(*role).as_str(),
        Asker::Station(_) => "station",
        Asker::Agent(_) => "agent",
        Asker::Stranger | Asker::Expired(_) | Asker::Refused(_, _) => "none",
    };
    let name = match &asker {
        Asker::Person { name, .. } => name.clone(),
        other => other.to_string(),
    };
    let may = routes::ALL.iter().filter(|route| asker.may(route));
    json(&Whoami {
        name,
        role: role.to_owned(),
        group: asker.group().map(|group| group.name.clone()),
        may: may.map(ToString::to_string).collect(),
    })
}
