//! Artifacts, as calls.

use std::time::Duration;

use super::connection::Asked;
use super::{ByteStream, Change, Client};
use crate::problem::Problem;
use crate::routes::{self, query};
use crate::types::{Accepted, Artifact};

/// As many bytes as one may have take their time on a slow line.
const PUT_TIMEOUT: Duration = Duration::from_secs(120);

/// What is said of a content that is put.
#[derive(Debug, Clone, Default)]
pub struct ArtifactSaid {
    pub sha256: String,
    pub name: Option<String>,
    pub media_type: Option<String>,
}

impl Client {
    pub async fn artifacts(&self) -> Result<Vec<Artifact>, Problem> {
        self.list(routes::ARTIFACTS.path).await
    }

    pub async fn artifact(&self, id: &str) -> Result<Artifact, Problem> {
        self.get(&routes::ARTIFACT.fill(&[id])).await
    }

    /// Its bytes. Whether they are whole its SHA-256 says.
    pub async fn artifact_content(&self, id: &str) -> Result<ByteStream, Problem> {
        let path = routes::ARTIFACT_CONTENT.fill(&[id]);
        let (what, request_id, body) = self.opened(Asked::get(&path)).await?;
        Ok(ByteStream::new(what, request_id, body))
    }

    pub async fn put_artifact(
        &self,
        id: &str,
        said: &ArtifactSaid,
        bytes: Vec<u8>,
    ) -> Result<Accepted, Problem> {
        let mut pairs = vec![("sha256", said.sha256.as_str())];
        pairs.extend(said.name.as_deref().map(|name| ("name", name)));
        pairs.extend(said.media_type.as_deref().map(|of| ("media-type", of)));
        let path = format!("{}{}", routes::ARTIFACT_PUT.fill(&[id]), query(&pairs));
        let change = Change::new(routes::ARTIFACT_PUT.method, &path);
        self.change_with(change, bytes, self.patience(PUT_TIMEOUT))
            .await
    }

    pub async fn delete_artifact(&self, id: &str) -> Result<Accepted, Problem> {
        self.delete(&routes::ARTIFACT_DELETE.fill(&[id])).await
    }
}
