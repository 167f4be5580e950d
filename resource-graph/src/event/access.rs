//! What became of tokens, identities and secrets. No event says what is secret.

use super::Told;
use crate::vertex::{Identity, Record, Secret, Token, TokenState, Vertex};

pub(super) fn token(old: Option<&Record>, new: &Record, now: &Token) -> Option<Told> {
    let key = &new.key;
    let (kind, message) = match (old, &now.state) {
        (None, _) => (
            "token.created",
            format!("{key} is to let in {}, by {}", now.admits, now.by),
        ),
        (Some(_), TokenState::Used(bearer)) => ("token.used", format!("{key} let in {bearer}")),
        (Some(_), TokenState::Revoked { by }) => {
            ("token.revoked", format!("{key} was taken back by {by}"))
        }
        (Some(_), TokenState::Open) => return None,
    };
    Some(told(new, kind, message).with("admits", &now.admits))
}

pub(super) fn identity(old: Option<&Record>, new: &Record, now: &Identity) -> Option<Told> {
    let key = new.key.to_string();
    let (_, who) = key.split_once('/')?;
    let was = match old.map(|old| &old.vertex) {
        Some(Vertex::Identity(was)) => Some(was),
        _ => None,
    };
    let (kind, message) = match (was, &now.revoked) {
        (Some(was), Some(revoked)) if was.revoked.is_none() => (
            "identity.revoked",
            format!(
                "{who} is let in no more, by {}: {}",
                revoked.by, revoked.why
            ),
        ),
        (None, _) => ("identity.admitted", format!("{who} was let in")),
        (Some(was), None) if was != now => (
            "identity.admitted",
            format!("{who} was let in again, with another key"),
        ),
        (Some(_), _) => return None,
    };
    Some(told(new, kind, message))
}

pub(super) fn secret(old: Option<&Record>, new: &Record, now: &Secret) -> Option<Told> {
    let (key, by) = (&new.key, &now.by);
    Some(match old {
        None => told(new, "secret.set", format!("{key} was set by {by}")),
        Some(_) => told(new, "secret.changed", format!("{key} was changed by {by}")),
    })
}

fn told(new: &Record, kind: &str, message: String) -> Told {
    Told::new(&new.key, kind, Some(&new.cause), message)
}
