//! Artifacts, of which all has come.

use mainstay_protocol::ArtifactId;
use mainstay_protocol::artifact::chunks;
use mainstay_resource_graph::{Key, Listing, ViewExt};

use super::{Present, known};
use crate::types;

impl Present<'_> {
    pub fn artifact(&self, id: &ArtifactId) -> Option<types::Artifact> {
        let one = self.view.artifact(id)?;
        let record = self.record(&Key::Artifact(id.clone()))?;
        let (files, no_archive) = match one.listing {
            Listing::Files(files) => (Some(files), None),
            Listing::Not(why) => (None, Some(why)),
        };
        Some(types::Artifact {
            id: id.to_string(),
            name: known(&one.name),
            media_type: one.media_type,
            bytes: one.size,
            sha256: one.digest.to_string(),
            archive: files.is_some(),
            no_archive,
            by: one.by,
            since: self.live.time(record.since),
            files,
        })
    }

    /// All its bytes.
    pub fn content(&self, id: &ArtifactId) -> Option<Vec<u8>> {
        let one = self.view.artifact(id)?;
        let mut bytes = Vec::new();
        for number in 0..chunks(one.size) {
            bytes.extend_from_slice(self.view.chunk(id, number)?.bytes());
        }
        Some(bytes)
    }
}
