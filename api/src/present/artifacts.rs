//! Artifacts, of which all has come.

use mainstay_protocol::artifact::chunks;
use mainstay_protocol::{ArtifactId, Blob};
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

    /// All its bytes, in pieces that are those of the graph.
    pub fn content(&self, id: &ArtifactId) -> Option<Vec<Blob>> {
        let one = self.view.artifact(id)?;
        let pieces = 0..chunks(one.size);
        pieces.map(|number| self.view.chunk(id, number)).collect()
    }
}
