//! Tokens, identities, secrets: never what is secret of them.

use mainstay_coordinator::secrets;
use mainstay_identity::hex;
use mainstay_protocol::{Bearer, InstanceKey, SecretName};
use mainstay_resource_graph::{InstanceState, Key, TokenId, TokenState, Vertex, ViewExt};

use super::Present;
use crate::types;

impl Present<'_> {
    pub fn token(&self, id: &TokenId) -> Option<types::Token> {
        let record = self.record(&Key::Token(id.clone()))?;
        let Vertex::Token(token) = &record.vertex else {
            return None;
        };
        let state = match &token.state {
            TokenState::Open if self.live.now() > self.live.time(token.until) => "expired",
            TokenState::Open => "open",
            TokenState::Used(_) => "used",
            TokenState::Revoked { .. } => "revoked",
        };
        let used_by = match &token.state {
            TokenState::Used(bearer) => Some(bearer.to_string()),
            TokenState::Open | TokenState::Revoked { .. } => None,
        };
        Some(types::Token {
            id: id.0.clone(),
            admits: token.admits.to_string(),
            state: state.to_owned(),
            used_by,
            by: token.by.clone(),
            until: self.live.time(token.until),
            since: self.live.time(record.since),
        })
    }

    pub fn identity(&self, bearer: &Bearer) -> Option<types::Identity> {
        let record = self.record(&Key::Identity(bearer.clone()))?;
        let Vertex::Identity(identity) = &record.vertex else {
            return None;
        };
        let state = match identity.revoked {
            None => "admitted",
            Some(_) => "revoked",
        };
        Some(types::Identity {
            name: bearer.to_string(),
            state: state.to_owned(),
            key: hex(&identity.key),
            revoked: identity.revoked.as_ref().map(|revoked| types::Revoked {
                by: revoked.by.clone(),
                why: revoked.why.clone(),
            }),
            since: self.live.time(record.since),
        })
    }

    pub fn secret(&self, name: &SecretName) -> Option<types::Secret> {
        let record = self.record(&Key::Secret(name.clone()))?;
        let Vertex::Secret(secret) = &record.vertex else {
            return None;
        };
        let users = self
            .secret_users
            .get_or_init(|| secrets::users(self.view))
            .get(name);
        let is_outdated = |instance: &&InstanceKey| {
            let known = self.view.instance(instance);
            known.is_some_and(|known| {
                known.state == InstanceState::Running
                    && known.started.is_some_and(|started| started < record.since)
            })
        };
        let users = || users.into_iter().flatten();
        Some(types::Secret {
            name: name.to_string(),
            by: secret.by.clone(),
            since: self.live.time(record.since),
            used_by: users().map(ToString::to_string).collect(),
            outdated: users()
                .filter(is_outdated)
                .map(ToString::to_string)
                .collect(),
        })
    }
}
