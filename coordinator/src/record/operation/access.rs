//! Who may come: tokens are made, let somebody in, and are taken back; so are identities. What is secret was turned into a
//! hash, or sealed, before it came here.

use mainstay_protocol::code;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::words::several;
use mainstay_protocol::{Admits, Bearer, NodeName, PersonName, Role, StationId, limits};
use mainstay_resource_graph::{
    Digest, Identity, Key, Kind, Revoked, Secret, StationState, Token, TokenId, TokenState, Txn,
    Vertex, View, ViewExt,
};

use super::{Result_, groups, recorded};
use crate::env::Env;
use crate::event::{Asks, NewToken, UseToken};
use crate::secrets;

/// Of those who use a secret, in what is answered; `secret list` has all.
const USERS_NAMED: usize = 4;

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
        let text = format!("there is no token {}", id.0);
        return Err(Refusal::new(code::NOT_FOUND, text));
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
        key,
        asks,
        ..
    } = used;
    let known = known_token(txn, used)?;
    match &known.state {
        TokenState::Open if env.now <= known.until => {}
        TokenState::Used(bearer) if has_this_key(txn, bearer, key) => {
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

/// Who does not know the secret learns nothing of the token.
pub fn known_token(view: &dyn View, used: &UseToken) -> Result<Token, Refusal> {
    let known = token(view, &Key::Token(used.token.clone()));
    let known = known.filter(|token| token.hash == used.hash);
    known.ok_or_else(|| unknown(&used.token))
}

fn has_this_key(txn: &Txn<'_>, bearer: &Bearer, key: &Digest) -> bool {
    identity(txn, bearer).is_some_and(|known| known.key == *key && known.revoked.is_none())
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
    if let Bearer::Station(station) = bearer
        && txn
            .station(*station)
            .is_some_and(|known| known.state != StationState::Removed)
    {
        let text = format!(
            "{station} is in the group: removing it takes its vote, and its identity with it"
        );
        return Err(Refusal::new(code::REFUSED_BY_SAFETY, text));
    }
    if let Some(revoked) = &known.revoked {
        let text = format!("{bearer} was taken back by {} already", revoked.by);
        return Ok(recorded(Vec::new(), text));
    }
    take_back_tokens(txn, by, |token| {
        token.admits.to_string() == bearer.to_string() || is_theirs(token, bearer)
    });
    let revoked = Some(Revoked {
        by: by.to_owned(),
        why: why.to_owned(),
    });
    txn.put(
        Key::Identity(bearer.clone()),
        Vertex::Identity(Identity { revoked, ..known }),
    )
    .expect("an identity has no transitions");
    if let Bearer::Person { name, .. } = bearer
        && !is_let_in(txn, name)
    {
        groups::forget(txn, name);
    }
    Ok(recorded(Vec::new(), format!("{bearer} is let in no more")))
}

/// Takes back those open tokens for which this is so.
pub fn take_back_tokens(txn: &mut Txn<'_>, by: &str, those: impl Fn(&Token) -> bool) {
    for key in txn.keys(Kind::Token) {
        let (Some(known), Key::Token(id)) = (token(txn, &key), &key) else {
            continue;
        };
        if known.state == TokenState::Open && those(&known) {
            let state = TokenState::Revoked { by: by.to_owned() };
            put(txn, id, Token { state, ..known });
        }
    }
}

/// In any role.
fn is_let_in(txn: &Txn<'_>, person: &PersonName) -> bool {
    Role::ALL.into_iter().any(|role| {
        let name = person.clone();
        identity(txn, &Bearer::Person { name, role }).is_some_and(|known| known.revoked.is_none())
    })
}

/// Whether a person made it: `by` has the name, and what it was let in as.
fn is_theirs(token: &Token, bearer: &Bearer) -> bool {
    match bearer {
        Bearer::Person { name, role } => role.was(name.as_str(), &token.by),
        Bearer::Agent(_) | Bearer::Station(_) => false,
    }
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
    if !known {
        return Ok(recorded(Vec::new(), format!("secret {name} is set")));
    }
    let text = match secrets::users(txn).remove(name) {
        Some(users) if !users.is_empty() => format!(
            "secret {name} is changed; {} {} given it at the next start",
            several(users.iter(), USERS_NAMED),
            if users.len() == 1 { "is" } else { "are" },
        ),
        Some(_) | None => format!("secret {name} is changed"),
    };
    Ok(recorded(Vec::new(), text))
}

fn token(view: &dyn View, key: &Key) -> Option<Token> {
    match &view.record(key)?.vertex {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mainstay_protocol::code::{self, Code};
    use mainstay_protocol::{Leadership, Revision, Role, Timestamp};
    use mainstay_resource_graph::{Cause, Cluster, Graph, Settings};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn id(text: &str) -> TokenId {
        TokenId(text.to_owned())
    }

    fn at(minutes: u32) -> Timestamp {
        Timestamp::ZERO + MINUTE * minutes
    }

    /// What came of an act, which is committed where it was none that was refused.
    fn done(
        graph: &mut Graph,
        now: Timestamp,
        act: impl FnOnce(&mut Txn<'_>, &Env) -> Result_,
    ) -> Result<String, Code> {
        let env = Env::new(now, Leadership::default(), Settings::LAN, Revision(1));
        let mut txn = graph.begin(now, Cause::Start);
        let outcome = act(&mut txn, &env);
        let delta = txn.finish();
        match outcome {
            Ok(recorded) => {
                graph.apply(&delta);
                Ok(recorded.text)
            }
            Err(refusal) => Err(refusal.code),
        }
    }

    fn made(graph: &mut Graph, now: Timestamp, name: &str, admits: Admits) {
        let new = NewToken {
            id: id(name),
            hash: [7; 32],
            admits,
            valid: MINUTE * 15,
            by: "ada".to_owned(),
        };
        done(graph, now, |txn, env| create(txn, &new, env)).unwrap();
    }

    fn shown(name: &str, key: u8, asks: Asks) -> UseToken {
        UseToken {
            token: id(name),
            hash: [7; 32],
            key: [key; 32],
            asks,
        }
    }

    fn shows(graph: &mut Graph, now: Timestamp, used: &UseToken) -> Result<String, Code> {
        done(graph, now, |txn, env| use_token(txn, used, env))
    }

    fn node(name: &str) -> NodeName {
        name.parse().unwrap()
    }

    // proves: U1
    #[test]
    fn a_token_lets_one_in_once_and_tells_the_same_one_the_same_again() {
        let mut graph = Graph::new();
        made(&mut graph, at(0), "aa", Admits::Agent(None));
        let n1 = Asks::Agent(node("n1"));
        let first = shown("aa", 1, n1.clone());
        let is_in = Ok("agent/n1 is let in".to_owned());
        assert_eq!(shows(&mut graph, at(15), &first), is_in);
        assert_eq!(
            shows(&mut graph, at(100), &first),
            is_in,
            "its answer was lost"
        );
        let other = shown("aa", 2, n1.clone());
        assert_eq!(shows(&mut graph, at(1), &other), Err(code::TOKEN_USED));
        let guessed = UseToken {
            hash: [8; 32],
            ..first.clone()
        };
        assert_eq!(shows(&mut graph, at(1), &guessed), Err(code::TOKEN_UNKNOWN));
        let late = done(&mut graph, at(2), |txn, _| {
            revoke_token(txn, &id("aa"), "bob")
        });
        assert_eq!(late, Err(code::TOKEN_USED));
    }

    // proves: U1
    #[test]
    fn what_is_over_taken_back_or_for_somebody_else_lets_nobody_in() {
        let mut graph = Graph::new();
        let n1 = || Asks::Agent(node("n1"));
        made(&mut graph, at(0), "aa", Admits::Agent(None));
        let late = at(15) + Duration::from_micros(1);
        assert_eq!(
            shows(&mut graph, late, &shown("aa", 1, n1())),
            Err(code::TOKEN_EXPIRED)
        );
        made(&mut graph, at(20), "bb", Admits::Agent(None));
        done(&mut graph, at(20), |txn, _| {
            revoke_token(txn, &id("bb"), "bob")
        })
        .unwrap();
        assert_eq!(
            shows(&mut graph, at(21), &shown("bb", 1, n1())),
            Err(code::TOKEN_REVOKED)
        );
        made(&mut graph, at(20), "cc", Admits::Agent(Some(node("n2"))));
        for asks in [n1(), Asks::Station, Asks::Person] {
            let refused = shows(&mut graph, at(21), &shown("cc", 1, asks));
            assert_eq!(refused, Err(code::TOKEN_ROLE));
        }
        assert_eq!(
            shows(&mut graph, at(21), &shown("dd", 1, n1())),
            Err(code::TOKEN_UNKNOWN)
        );
        // A day later it is no more than unknown, once another is made.
        made(&mut graph, at(48 * 60), "ee", Admits::Station);
        let forgotten = shows(&mut graph, at(48 * 60), &shown("aa", 1, n1()));
        assert_eq!(forgotten, Err(code::TOKEN_UNKNOWN));
    }

    // proves: U1
    #[test]
    fn a_name_in_use_is_given_to_another_only_by_a_token_that_names_it() {
        let mut graph = Graph::new();
        let n1 = || Asks::Agent(node("n1"));
        made(&mut graph, at(0), "aa", Admits::Agent(None));
        shows(&mut graph, at(1), &shown("aa", 1, n1())).unwrap();
        made(&mut graph, at(2), "bb", Admits::Agent(None));
        assert_eq!(
            shows(&mut graph, at(3), &shown("bb", 2, n1())),
            Err(code::NAME_TAKEN)
        );
        made(&mut graph, at(2), "cc", Admits::Agent(Some(node("n1"))));
        shows(&mut graph, at(3), &shown("cc", 2, n1())).unwrap();
        let agent = Bearer::Agent(node("n1"));
        let known = |graph: &mut Graph| {
            let txn = graph.begin(at(4), Cause::Start);
            identity(&txn, &agent).unwrap()
        };
        assert_eq!(
            known(&mut graph).key,
            [2; 32],
            "the first is believed no more"
        );
        let why = |txn: &mut Txn<'_>, _: &Env| revoke(txn, &agent, "bob", "sold");
        done(&mut graph, at(4), why).unwrap();
        assert!(known(&mut graph).revoked.is_some());
        // Its name is free again.
        shows(&mut graph, at(5), &shown("bb", 3, n1())).unwrap();
        assert_eq!(known(&mut graph).revoked, None);
    }

    // proves: U1
    #[test]
    fn whoever_is_taken_back_takes_its_tokens_along() {
        let mut graph = Graph::new();
        let person = |role| Admits::Person {
            name: "ada".parse().unwrap(),
            role,
        };
        made(&mut graph, at(0), "aa", person(Role::Admin));
        let first = shown("aa", 1, Asks::Person);
        shows(&mut graph, at(1), &first).unwrap();
        // One for herself, one that she made for another, and one of somebody else.
        made(&mut graph, at(2), "bb", person(Role::Admin));
        made(&mut graph, at(2), "cc", person(Role::Operator));
        for (name, by) in [("dd", "ada (admin)"), ("ee", "ada (operator)")] {
            let new = NewToken {
                id: id(name),
                hash: [7; 32],
                admits: Admits::Agent(None),
                valid: MINUTE * 15,
                by: by.to_owned(),
            };
            done(&mut graph, at(2), |txn, env| create(txn, &new, env)).unwrap();
        }
        let ada = Bearer::Person {
            name: "ada".parse().unwrap(),
            role: Role::Admin,
        };
        let why = |txn: &mut Txn<'_>, _: &Env| revoke(txn, &ada, "bob", "left");
        done(&mut graph, at(3), why).unwrap();
        assert_eq!(
            shows(&mut graph, at(4), &first),
            Err(code::TOKEN_USED),
            "what let her in does not any more"
        );
        let n1 = || Asks::Agent(node("n1"));
        for (name, asks, expected) in [
            ("bb", Asks::Person, Err(code::TOKEN_REVOKED)),
            ("dd", n1(), Err(code::TOKEN_REVOKED)),
            (
                "cc",
                Asks::Person,
                Ok("person/ada/operator is let in".to_owned()),
            ),
            ("ee", n1(), Ok("agent/n1 is let in".to_owned())),
        ] {
            let answer = shows(&mut graph, at(4), &shown(name, 2, asks));
            assert_eq!(answer, expected, "{name}");
        }
    }

    // proves: U6
    #[test]
    fn a_new_epoch_takes_back_what_may_have_been_used_in_what_is_lost() {
        let mut graph = Graph::new();
        let n1 = Asks::Agent(node("n1"));
        for name in ["aa", "bb"] {
            made(&mut graph, at(0), name, Admits::Agent(None));
        }
        shows(&mut graph, at(1), &shown("aa", 1, n1.clone())).unwrap();
        let cluster = |epoch| Cluster {
            id: mainstay_protocol::ClusterId(uuid::Uuid::from_u128(1)),
            epoch,
            name: mainstay_protocol::ClusterName::new("prod").unwrap(),
            settings: Settings::LAN,
            rules_off: Default::default(),
            groups: Default::default(),
            brake: None,
            epoch_began: None,
            authority: None,
        };
        done(&mut graph, at(2), |txn, env| {
            let epoch = env.leadership.epoch;
            crate::record::epoch::raise(txn, cluster(epoch), env);
            Ok(recorded(Vec::new(), ""))
        })
        .unwrap();
        let open = shows(&mut graph, at(3), &shown("bb", 2, n1.clone()));
        assert_eq!(open, Err(code::TOKEN_REVOKED));
        let used = shows(&mut graph, at(3), &shown("aa", 1, n1));
        assert_eq!(used, Ok("agent/n1 is let in".to_owned()));
    }

    // proves: S17
    #[test]
    fn a_station_is_given_a_number_that_none_ever_had() {
        let mut graph = Graph::new();
        done(&mut graph, at(0), |txn, _| {
            admit_founder(txn, StationId(1), [9; 32]);
            Ok(recorded(Vec::new(), ""))
        })
        .unwrap();
        for (name, expected) in [("aa", "station/s2"), ("bb", "station/s3")] {
            made(&mut graph, at(0), name, Admits::Station);
            let text = shows(&mut graph, at(1), &shown(name, 1, Asks::Station));
            assert_eq!(text, Ok(format!("{expected} is let in")));
        }
        let person = Admits::Person {
            name: "ada".parse().unwrap(),
            role: Role::Operator,
        };
        made(&mut graph, at(0), "cc", person);
        let text = shows(&mut graph, at(1), &shown("cc", 1, Asks::Person));
        assert_eq!(text, Ok("person/ada/operator is let in".to_owned()));
    }
}
