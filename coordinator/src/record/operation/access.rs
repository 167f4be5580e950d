//! Who may come: tokens are made, let somebody in, and are taken back; so are identities. What is secret was turned into a
//! hash, or sealed, before it came here.

use mainstay_protocol::code;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{Admits, Bearer, NodeName, StationId, limits};
use mainstay_resource_graph::{
    Digest, Identity, Key, Kind, Revoked, Secret, Token, TokenId, TokenState, Txn, Vertex, View,
};

use super::{Result_, recorded};
use crate::env::Env;
use crate::event::{Asks, NewToken, UseToken};

pub fn create(txn: &mut Txn<'_>, new: &NewToken, env: &Env) -> Result_ {
    forget_old(txn, env);
    let open = txn.keys(Kind::Token).len();
    if open >= limits::TOKENS_MAX {
        let text = format!("there are {open} tokens, and no more are made; revoke some");
        return Err(Refusal::new(code::REFUSED_BY_SAFETY, text));
    }
    let token = Token {
        hash: new.hash,
        admits: new.admits.clone(),
        until: env.now + new.valid,
        by: new.by.clone(),
        state: TokenState::Open,
    };
    let text = format!("token {} lets in {}", new.id.0, new.admits);
    put(txn, &new.id, token);
    Ok(recorded(Vec::new(), text))
}

/// What is over is remembered for a while, so that whoever comes late is told why.
fn forget_old(txn: &mut Txn<'_>, env: &Env) {
    for key in txn.keys(Kind::Token) {
        let over = token(txn, &key).is_some_and(|token| {
            env.now > token.until + std::time::Duration::from_millis(limits::TOKEN_KEPT_MS)
        });
        if over {
            txn.remove(&key);
        }
    }
}

pub fn revoke_token(txn: &mut Txn<'_>, id: &TokenId, by: &str) -> Result_ {
    let Some(known) = token(txn, &Key::Token(id.clone())) else {
        return Err(unknown(id));
    };
    let text = match &known.state {
        TokenState::Used(bearer) => {
            let text = format!("token {} has let in {bearer} already", id.0);
            return Err(Refusal::new(code::TOKEN_USED, text));
        }
        TokenState::Revoked { by } => format!("token {} was taken back by {by} already", id.0),
        TokenState::Open => {
            let state = TokenState::Revoked { by: by.to_owned() };
            put(txn, id, Token { state, ..known });
            format!("token {} lets nobody in any more", id.0)
        }
    };
    Ok(recorded(Vec::new(), text))
}

/// Lets whoever shows the secret in. Whoever was let in and asks again with the same key is told the same.
pub fn use_token(txn: &mut Txn<'_>, used: &UseToken, env: &Env) -> Result_ {
    let UseToken {
        token: id,
        hash,
        key,
        asks,
    } = used;
    // Who does not know the secret learns nothing of the token.
    let known = token(txn, &Key::Token(id.clone())).filter(|token| token.hash == *hash);
    let known = known.ok_or_else(|| unknown(id))?;
    match &known.state {
        TokenState::Open if env.now <= known.until => {}
        TokenState::Used(bearer) if identity(txn, bearer).is_some_and(|has| has.key == *key) => {
            return Ok(recorded(Vec::new(), format!("{bearer} is let in")));
        }
        TokenState::Used(bearer) => {
            let text = format!(
                "token {} has let in {bearer}, and lets nobody else in",
                id.0
            );
            return Err(Refusal::new(code::TOKEN_USED, text));
        }
        TokenState::Revoked { by } => {
            let text = format!("token {} was taken back by {by}", id.0);
            return Err(Refusal::new(code::TOKEN_REVOKED, text));
        }
        TokenState::Open => {
            let ago = env.now.since(known.until).as_secs();
            let text = format!("token {} ran out {ago} s ago", id.0);
            return Err(Refusal::new(code::TOKEN_EXPIRED, text));
        }
    }
    let bearer = whom(txn, &known.admits, asks, id)?;
    let identity = Identity {
        key: *key,
        revoked: None,
    };
    txn.put(Key::Identity(bearer.clone()), Vertex::Identity(identity))
        .expect("an identity has no transitions");
    let text = format!("{bearer} is let in");
    let state = TokenState::Used(bearer);
    put(txn, id, Token { state, ..known });
    Ok(recorded(Vec::new(), text))
}

fn whom(txn: &Txn<'_>, admits: &Admits, asks: &Asks, id: &TokenId) -> Result<Bearer, Refusal> {
    match (admits, asks) {
        (Admits::Agent(None), Asks::Agent(node)) => {
            let bearer = Bearer::Agent(node.clone());
            if is_taken(txn, node, &bearer) {
                let text = format!(
                    "there is a node {node} in the cluster; if this machine takes its place, make a token for it with --node {node}"
                );
                return Err(Refusal::new(code::NAME_TAKEN, text));
            }
            Ok(bearer)
        }
        (Admits::Agent(Some(named)), Asks::Agent(node)) if named == node => {
            Ok(Bearer::Agent(node.clone()))
        }
        (Admits::Station, Asks::Station) => Ok(Bearer::Station(next_station(txn))),
        (Admits::Person { name, role }, Asks::Person) => Ok(Bearer::Person {
            name: name.clone(),
            role: *role,
        }),
        (Admits::Agent(_) | Admits::Station | Admits::Person { .. }, _) => {
            let text = format!("token {} lets in {admits}, not {asks}", id.0);
            Err(Refusal::new(code::TOKEN_ROLE, text))
        }
    }
}

fn is_taken(txn: &Txn<'_>, node: &NodeName, bearer: &Bearer) -> bool {
    let admitted = identity(txn, bearer).is_some_and(|known| known.revoked.is_none());
    admitted || txn.record(&Key::Node(node.clone())).is_some()
}

/// A number is never used again, also that of one that was let in and never came.
fn next_station(txn: &Txn<'_>) -> StationId {
    let stations = txn.keys(Kind::Station).into_iter();
    let admitted = txn.keys(Kind::Identity).into_iter();
    let numbers = stations.chain(admitted).filter_map(|key| match key {
        Key::Station(id) | Key::Identity(Bearer::Station(id)) => Some(id.0),
        _ => None,
    });
    StationId(numbers.max().unwrap_or(0) + 1)
}

pub fn revoke(txn: &mut Txn<'_>, bearer: &Bearer, by: &str, why: &str) -> Result_ {
    let Some(known) = identity(txn, bearer) else {
        let text = format!("{bearer} was never let in");
        return Err(Refusal::new(code::NOT_FOUND, text));
    };
    if let Some(revoked) = &known.revoked {
        let text = format!("{bearer} was taken back by {} already", revoked.by);
        return Ok(recorded(Vec::new(), text));
    }
    let revoked = Some(Revoked {
        by: by.to_owned(),
        why: why.to_owned(),
    });
    txn.put(
        Key::Identity(bearer.clone()),
        Vertex::Identity(Identity { revoked, ..known }),
    )
    .expect("an identity has no transitions");
    Ok(recorded(Vec::new(), format!("{bearer} is let in no more")))
}

pub fn set_secret(
    txn: &mut Txn<'_>,
    name: &mainstay_protocol::SecretName,
    secret: &Secret,
) -> Result_ {
    let key = Key::Secret(name.clone());
    let known = txn.record(&key).is_some();
    if !known && txn.keys(Kind::Secret).len() >= limits::SECRETS_MAX {
        let text = format!(
            "there are {} secrets; no more are kept",
            limits::SECRETS_MAX
        );
        return Err(Refusal::new(code::REFUSED_BY_SAFETY, text));
    }
    txn.put(key, Vertex::Secret(secret.clone()))
        .expect("a secret has no transitions");
    let did = if known { "changed" } else { "set" };
    Ok(recorded(Vec::new(), format!("secret {name} is {did}")))
}

fn token(txn: &Txn<'_>, key: &Key) -> Option<Token> {
    match &txn.record(key)?.vertex {
        Vertex::Token(token) => Some(token.clone()),
        _ => None,
    }
}

fn identity(txn: &Txn<'_>, bearer: &Bearer) -> Option<Identity> {
    match &txn.record(&Key::Identity(bearer.clone()))?.vertex {
        Vertex::Identity(identity) => Some(identity.clone()),
        _ => None,
    }
}

fn put(txn: &mut Txn<'_>, id: &TokenId, token: Token) {
    txn.put(Key::Token(id.clone()), Vertex::Token(token))
        .expect("a token has no transitions");
}

fn unknown(id: &TokenId) -> Refusal {
    let text = format!("no token {} with this secret is known", id.0);
    Refusal::new(code::TOKEN_UNKNOWN, text)
}

/// For a cluster whose stations are founded with an authority: they are let in like everybody else.
pub fn admit_founder(txn: &mut Txn<'_>, station: StationId, key: Digest) {
    let bearer = Bearer::Station(station);
    if identity(txn, &bearer).is_none() {
        let admitted = Identity { key, revoked: None };
        txn.put(Key::Identity(bearer), Vertex::Identity(admitted))
            .expect("an identity has no transitions");
    }
}
