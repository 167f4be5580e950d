//! Models that host something for as long as it is wanted: nobody orders them.

use mainstay_protocol::{ArtifactId, Json};

use crate::fault::{Found, Pointer};
use crate::models::{ModelProvider, NeededArtifact, Purpose, needed_text};
use crate::parameter::Parameter;
use crate::reader::Reader;

/// A web user interface from an archive.
#[derive(Debug, Clone, Copy)]
pub struct AppServer;

/// What stands before a service elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct ServiceProxy;

const INSTEAD: &str = "place it with mainstay apply, or mainstay start";

impl ModelProvider for AppServer {
    fn schema(&self) -> &str {
        "urn:ivcap:schema:service.app-server.1"
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::Hosted {
            what_for: "it hosts a user interface for as long as it is wanted",
            instead: INSTEAD,
        }
    }

    fn check(&self, controller: &Json, _: &[Parameter], found: &mut Found) {
        let at = Pointer::root().key("controller");
        let Some(mut reader) = Reader::new(at, controller, found) else {
            return;
        };
        reader.take("$schema");
        let host = needed_text(&mut reader, "host");
        if host.is_some_and(|host| host.is_empty() || host.contains(['/', ' ', ':'])) {
            let at = reader.at.key("host");
            reader
                .found
                .fault(&at, "write a host's public name, as in ui.example.org");
        }
        let artifact = needed_text(&mut reader, "artifact");
        if let Some(Err(bad)) = artifact.map(|artifact| ArtifactId::new(&artifact)) {
            let at = reader.at.key("artifact");
            reader.found.fault(&at, bad.to_string());
        }
        reader.text("404");
        reader.others();
    }

    fn artifacts(&self, controller: &Json) -> Vec<NeededArtifact> {
        let at = Pointer::root().key("controller");
        let said = |key: &str| controller.member(key).and_then(|said| said.as_text());
        let id = said("artifact").and_then(|said| ArtifactId::new(&said).ok());
        let page = said("404").map(|page| (at.key("404"), page));
        let needed = id.map(|id| NeededArtifact {
            at: at.key("artifact"),
            id,
            is_site: true,
            page,
        });
        needed.into_iter().collect()
    }
}

impl ModelProvider for ServiceProxy {
    fn schema(&self) -> &str {
        "urn:ivcap:schema:service.service-proxy.1"
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::Hosted {
            what_for: "it stands before a service that is elsewhere",
            instead: INSTEAD,
        }
    }

    /// What a proxy needs is its own matter: its placement's type has a schema for it.
    fn check(&self, _: &Json, _: &[Parameter], _: &mut Found) {}
}
