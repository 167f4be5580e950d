//! What this station shows to others, and what it lets others in by: its own certificate, the cluster's authority, and the
//! key to what lies sealed in the store.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use mainstay_api::Problem;
use mainstay_identity::tls::{self, Peer};
use mainstay_identity::{
    Authority, DAEMON_VALID, DIRECTORY, Digest, IdentityError, Keep, KeepError, PERSON_VALID,
    Renewing, SealKey, digest, seal, unseal,
};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{Bearer, ClusterId, StationId, code, limits};
use mainstay_resource_graph::{
    Identity, Key, SealedAuthority, StationState, Vertex, View, ViewExt,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::CertificateDer;

/// What the authority's key is sealed as.
pub const AUTHORITY: &str = "authority";
/// How often it is looked whether the own certificate is to be renewed.
const LOOK: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub struct Access {
    cluster: ClusterId,
    shown: Renewing,
    seal: Option<SealKey>,
    server: Mutex<Arc<ServerConfig>>,
    /// Until when what each showed last, or was given since, stands.
    seen: Mutex<BTreeMap<Bearer, SystemTime>>,
    /// Of a cluster that is only being founded.
    founding: Option<SealedAuthority>,
}

/// What a secret is sealed as: it opens as no other.
fn secret_name(name: &str) -> String {
    format!("secret/{name}")
}

impl Access {
    /// None for a station that was neither initialised nor joined: it is on one machine only.
    pub fn of_directory(dir: &Path) -> Result<Option<Self>, KeepError> {
        let keep = Keep::at(dir.join(DIRECTORY));
        if !keep.is_there() {
            return Ok(None);
        }
        let founding = keep.founding()?;
        let seal = keep.seal_key()?;
        let shown = Renewing::of(keep)?;
        let credentials = shown.credentials();
        let (cluster, _) = tls::bearer(&credentials.certificate)?;
        let founding = founding.map(|key| SealedAuthority {
            certificate: credentials.authority.to_vec(),
            key,
        });
        Ok(Some(Self {
            cluster,
            server: Mutex::new(server(&shown)?),
            seen: Mutex::default(),
            shown,
            seal,
            founding,
        }))
    }

    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    pub fn station(&self) -> Option<StationId> {
        match tls::bearer(&self.shown.credentials().certificate) {
            Ok((_, Bearer::Station(station))) => Some(station),
            Ok((_, Bearer::Agent(_) | Bearer::Person { .. })) | Err(_) => None,
        }
    }

    pub fn shown(&self) -> &Renewing {
        &self.shown
    }

    pub fn acceptor(&self) -> TlsAcceptor {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&server))
    }

    /// What the first event of the cluster says.
    pub fn founded(&self) -> Option<(SealedAuthority, Digest)> {
        let key = digest(&self.shown.credentials().key.public());
        self.founding.clone().map(|authority| (authority, key))
    }

    pub fn seal_key(&self) -> Result<&SealKey, Problem> {
        self.seal.as_ref().ok_or_else(|| {
            let why = "this station does not have the key to what lies sealed in its store (seal.key in its identity directory)";
            Problem::new(code::NO_SEAL_KEY, "use the cluster's authority", why)
                .to_do("mainstay explain MS-NO-SEAL-KEY")
        })
    }

    /// The authority, as the store has it; at the very beginning, as it was founded.
    pub fn authority(&self, view: &dyn View) -> Result<Authority, Problem> {
        let stored = view.cluster().and_then(|cluster| cluster.authority);
        let sealed = stored.or_else(|| self.founding.clone());
        let failed =
            |why: String| Problem::new(code::NO_SEAL_KEY, "use the cluster's authority", why);
        let sealed =
            sealed.ok_or_else(|| failed("this cluster has no authority yet".to_owned()))?;
        let key = unseal(self.seal_key()?, AUTHORITY, &sealed.key);
        let key = key.map_err(|error| failed(error.to_string()))?;
        let certificate = CertificateDer::from(sealed.certificate);
        Authority::open(self.cluster, certificate, &key).map_err(|error| failed(error.to_string()))
    }

    pub fn seal(&self, name: &str, secret: &[u8]) -> Result<Vec<u8>, Problem> {
        seal(self.seal_key()?, &secret_name(name), secret)
            .map_err(|error| Problem::new(code::INTERNAL, "seal a secret", error.to_string()))
    }

    /// What `seal` was given.
    pub fn unseal(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, Problem> {
        unseal(self.seal_key()?, &secret_name(name), sealed)
            .map_err(|error| Problem::new(code::NO_SEAL_KEY, "open a secret", error.to_string()))
    }

    /// A certificate for whoever was let in.
    pub fn issue(
        &self,
        view: &dyn View,
        bearer: &Bearer,
        public: &[u8],
    ) -> Result<CertificateDer<'static>, Problem> {
        let valid = match bearer {
            Bearer::Agent(_) | Bearer::Station(_) => DAEMON_VALID,
            Bearer::Person { .. } => PERSON_VALID,
        };
        let now = SystemTime::now();
        let issued = self.authority(view)?.issue(bearer, public, now, valid);
        let failed = |error: IdentityError| {
            Problem::new(code::INTERNAL, "issue a certificate", error.to_string())
        };
        let issued = issued.map_err(failed)?;
        // As whoever is given it reads it: in whole seconds.
        let authority = self.shown.credentials().authority;
        self.saw(bearer, tls::not_after(&authority, &issued).map_err(failed)?);
        Ok(issued)
    }

    /// Somebody showed a certificate that stands until then, or was given one.
    pub fn saw(&self, bearer: &Bearer, ends: SystemTime) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < limits::CERTIFICATES_SEEN_MAX || seen.contains_key(bearer) {
            seen.insert(bearer.clone(), ends);
        }
    }

    /// Everybody whose certificate this station has seen, and until when it stands; its own among them.
    pub fn seen(&self) -> BTreeMap<Bearer, SystemTime> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = seen.clone();
        if let (Some(own), Ok(ends)) = (self.station(), self.shown.not_after()) {
            seen.insert(Bearer::Station(own), ends);
        }
        seen
    }

    /// Whether somebody that shows a certificate of this cluster is still let in.
    pub fn admits(&self, view: &dyn View, peer: &Peer) -> Result<(), Refusal> {
        if peer.cluster != self.cluster {
            let text = format!("its certificate is of cluster {}", peer.cluster);
            return Err(Refusal::new(code::WRONG_CLUSTER, text));
        }
        let bearer = &peer.bearer;
        if let Some(refusal) = revoked(view, bearer) {
            return Err(refusal);
        }
        // A station that only takes the log over knows of nobody yet; and whoever is believed by the authority alone was let
        // in by it.
        if identity(view, bearer).is_some_and(|known| known.key != peer.key()) {
            let text = format!("{bearer} was let in again since, with another key");
            return Err(Refusal::new(code::IDENTITY_REVOKED, text));
        }
        Ok(())
    }

    /// Stations issue for themselves: at their start, and when a third of the time is left.
    pub fn renew_own(&self, view: &dyn View) -> Result<bool, Problem> {
        let due = self.shown.renew_in(DAEMON_VALID, SystemTime::now());
        let due = due.map_err(|error| not_renewed(&error))?;
        if due > Duration::ZERO || self.station().is_none() {
            return Ok(false);
        }
        self.renew_own_now(view).map(|()| true)
    }

    /// The same, however long it still stands.
    pub fn renew_own_now(&self, view: &dyn View) -> Result<(), Problem> {
        let Some(station) = self.station() else {
            let why = "what it shows is no station's";
            return Err(Problem::new(code::DATA_DIRECTORY, RENEW_OWN, why));
        };
        let public = self.shown.credentials().key.public();
        let issued = self.issue(view, &Bearer::Station(station), &public)?;
        self.shown
            .renewed(issued)
            .map_err(|error| not_renewed(&error))?;
        let renewed = server(&self.shown).map_err(|error| not_renewed(&error))?;
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(())
    }
}

fn identity(view: &dyn View, bearer: &Bearer) -> Option<Identity> {
    match &view.record(&Key::Identity(bearer.clone()))?.vertex {
        Vertex::Identity(known) => Some(known.clone()),
        _ => None,
    }
}

/// Why it is let in no more, if it was taken back, or removed from the group.
pub fn revoked(view: &dyn View, bearer: &Bearer) -> Option<Refusal> {
    if let Bearer::Station(station) = bearer
        && view
            .station(*station)
            .is_some_and(|known| known.state == StationState::Removed)
    {
        let text = format!("{bearer} was removed from the group");
        return Some(Refusal::new(code::IDENTITY_REVOKED, text));
    }
    let revoked = identity(view, bearer)?.revoked?;
    let text = format!("{bearer} was taken back by {}: {}", revoked.by, revoked.why);
    Some(Refusal::new(code::IDENTITY_REVOKED, text))
}

const RENEW_OWN: &str = "renew the station's certificate";

fn not_renewed(error: &dyn std::error::Error) -> Problem {
    Problem::new(code::CERTIFICATE_EXPIRED, RENEW_OWN, error.to_string())
}

fn server(shown: &Renewing) -> Result<Arc<ServerConfig>, IdentityError> {
    tls::server(&shown.credentials()).map(Arc::new)
}

/// Until the station stops.
pub async fn keep_renewed(shared: Arc<crate::shared::Shared>) {
    loop {
        if let Some(access) = &shared.access {
            match access.renew_own(&shared.store.view()) {
                Ok(true) => tracing::info!("the station's certificate is renewed"),
                Ok(false) => {}
                Err(problem) => {
                    tracing::error!(why = %problem.why, code = %problem.code, "the station's certificate is not renewed")
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}
