//! Who may come, as calls: tokens, identities, secrets.

use mainstay_protocol::Bearer;
use serde_json::Value;

use super::{Change, Client};
use crate::problem::Problem;
use crate::routes::{self, Method};
use crate::types::{
    Accepted, Certificate, Group, GroupRequest, Hidden, Identity, JoinRequest, Joined,
    RevokeRequest, Secret, SecretRequest, Token, TokenMade, TokenRequest, Whoami,
};

impl Client {
    pub async fn tokens(&self) -> Result<Vec<Token>, Problem> {
        self.list(routes::TOKENS.path).await
    }

    pub async fn create_token(&self, request: &TokenRequest) -> Result<TokenMade, Problem> {
        self.post(routes::TOKEN_CREATE.path, request).await
    }

    pub async fn revoke_token(&self, id: &str) -> Result<Accepted, Problem> {
        self.post(&routes::TOKEN_REVOKE.fill(&[id]), &Value::Null)
            .await
    }

    pub async fn join(&self, request: &JoinRequest) -> Result<Joined, Problem> {
        self.post(routes::JOIN.path, request).await
    }

    pub async fn identities(&self) -> Result<Vec<Identity>, Problem> {
        self.list(routes::IDENTITIES.path).await
    }

    pub async fn revoke_identity(&self, bearer: &str, why: &str) -> Result<Accepted, Problem> {
        let parts: Vec<&str> = bearer.split('/').collect();
        let route = match parts.len() {
            3 => routes::PERSON_REVOKE,
            _ => routes::IDENTITY_REVOKE,
        };
        let why = why.to_owned();
        self.post(&route.fill(&parts), &RevokeRequest { why }).await
    }

    pub async fn certificates(&self) -> Result<Vec<Certificate>, Problem> {
        self.list(routes::CERTIFICATES.path).await
    }

    /// Of an agent or a station.
    pub async fn rotate_certificate(&self, bearer: &Bearer) -> Result<Certificate, Problem> {
        let name = bearer.to_string();
        let parts: Vec<&str> = name.split('/').collect();
        self.post(&routes::CERTIFICATE_ROTATE.fill(&parts), &Value::Null)
            .await
    }

    pub async fn secrets(&self) -> Result<Vec<Secret>, Problem> {
        self.list(routes::SECRETS.path).await
    }

    pub async fn set_secret(&self, name: &str, value: String) -> Result<Accepted, Problem> {
        let path = routes::SECRET_PUT.fill(&[name]);
        let change = Change::new(Method::Put, &path);
        let request = SecretRequest {
            value: Hidden(value),
        };
        self.change(change, &request, self.timeout()).await
    }

    pub async fn groups(&self) -> Result<Vec<Group>, Problem> {
        self.list(routes::GROUPS.path).await
    }

    pub async fn set_group(&self, name: &str, group: &GroupRequest) -> Result<Accepted, Problem> {
        let path = routes::GROUP_PUT.fill(&[name]);
        let change = Change::new(Method::Put, &path);
        self.change(change, group, self.timeout()).await
    }

    pub async fn remove_group(&self, name: &str) -> Result<Accepted, Problem> {
        self.delete(&routes::GROUP_DELETE.fill(&[name])).await
    }

    pub async fn whoami(&self) -> Result<Whoami, Problem> {
        self.get(routes::WHOAMI.path).await
    }
}
