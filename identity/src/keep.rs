//! A directory with all that somebody has to show. Readable by its owner alone; files are replaced whole.
//!
//! ```text
//!   authority.pem     whom it believes
//!   certificate.pem   what it shows; replaced when it is renewed
//!   key.pem           its long-lived key
//!   seal.key          stations: what opens what is sealed in the store
//!   membership.json   who that is, of which cluster, where the stations were when it joined
//!   founding.sealed   the first station: the authority's key, sealed, until the store has it
//!   store.made        stations: that there has been a store of this identity
//! ```

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use mainstay_protocol::{Address, Bearer, ClusterId, ClusterName};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use crate::authority::NodeKey;
use crate::hex::{hex, unhex_exactly};
use crate::tls::{self, Credentials};
use crate::{IdentityError, SealKey};

const AUTHORITY: &str = "authority.pem";
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";
const SEAL_KEY: &str = "seal.key";
const MEMBERSHIP: &str = "membership.json";
const FOUNDING: &str = "founding.sealed";
const STORE_MADE: &str = "store.made";
/// Far above what a key or a certificate has.
const FILE_BYTES_MAX: u64 = 64 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    directory: PathBuf,
}

/// What somebody was told when it was let in. Where the stations are is told again later, elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// `agent/n1`, `station/s1`, `person/ada/operator`.
    pub name: String,
    pub cluster: ClusterId,
    pub cluster_name: ClusterName,
    /// Of a station: where it is to be found.
    pub listen: Option<Address>,
    /// By their numbers.
    pub stations: BTreeMap<String, Address>,
    /// The token that let it in; none for who founded the cluster.
    #[serde(default)]
    pub token: Option<String>,
}

impl Membership {
    pub fn bearer(&self) -> Option<Bearer> {
        self.name.parse().ok()
    }
}

/// Where the daemons of a machine have their data, if nobody says otherwise.
pub fn default_directory(of: &str) -> PathBuf {
    let var = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if rustix::process::geteuid().is_root() {
        return Path::new("/var/lib/mainstay").join(of);
    }
    let state = var("XDG_STATE_HOME").or_else(|| Some(var("HOME")?.join(".local/state")));
    state.unwrap_or_default().join("mainstay").join(of)
}

/// Where a daemon's directory has it.
pub const DIRECTORY: &str = "identity";

#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error("{path}: {cause}")]
    Io { path: PathBuf, cause: io::Error },
    #[error("{path} is damaged: {why}")]
    Damaged { path: PathBuf, why: String },
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl Keep {
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether anybody's is kept here.
    pub fn is_there(&self) -> bool {
        self.directory.join(CERTIFICATE).exists()
    }

    pub fn credentials(&self) -> Result<Credentials, KeepError> {
        Ok(Credentials {
            authority: self.certificate(AUTHORITY)?,
            certificate: self.certificate(CERTIFICATE)?,
            key: NodeKey::read(&self.pem(KEY, "PRIVATE KEY")?)?,
        })
    }

    pub fn write(&self, shown: &Credentials) -> Result<(), KeepError> {
        self.make()?;
        self.put(AUTHORITY, &armoured("CERTIFICATE", &shown.authority))?;
        self.put(KEY, &armoured("PRIVATE KEY", &shown.key.secret()))?;
        // Last, since its presence says that all is there.
        self.put(CERTIFICATE, &armoured("CERTIFICATE", &shown.certificate))
    }

    /// The key of somebody who is about to join: kept before anybody is asked, so that a second try shows the same.
    pub fn key_or_mint(&self) -> Result<NodeKey, KeepError> {
        if self.directory.join(KEY).exists() {
            return Ok(NodeKey::read(&self.pem(KEY, "PRIVATE KEY")?)?);
        }
        let key = NodeKey::mint()?;
        self.make()?;
        self.put(KEY, &armoured("PRIVATE KEY", &key.secret()))?;
        Ok(key)
    }

    pub fn renew(&self, certificate: &CertificateDer<'_>) -> Result<(), KeepError> {
        self.put(CERTIFICATE, &armoured("CERTIFICATE", certificate))
    }

    /// None where it is gone, or was never there.
    pub fn seal_key(&self) -> Result<Option<SealKey>, KeepError> {
        let Some(text) = self.read(SEAL_KEY)? else {
            return Ok(None);
        };
        let bytes = std::str::from_utf8(&text).ok();
        let bytes = bytes.and_then(|text| unhex_exactly::<32>(text.trim()));
        let why = || self.damaged(SEAL_KEY, "it has not 64 hexadecimal digits");
        bytes.map(|bytes| Some(SealKey(bytes))).ok_or_else(why)
    }

    pub fn write_seal_key(&self, key: &SealKey) -> Result<(), KeepError> {
        self.make()?;
        self.put(SEAL_KEY, format!("{}\n", hex(&key.0)).as_bytes())
    }

    pub fn founding(&self) -> Result<Option<Vec<u8>>, KeepError> {
        self.read(FOUNDING)
    }

    pub fn write_founding(&self, sealed: &[u8]) -> Result<(), KeepError> {
        self.make()?;
        self.put(FOUNDING, sealed)
    }

    /// The store has it.
    pub fn forget_founding(&self) -> Result<(), KeepError> {
        match fs::remove_file(self.directory.join(FOUNDING)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(self.io(FOUNDING, cause)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// From now on this identity has a store: where it is gone, what it promised to the others is gone with it.
    pub fn note_store(&self) -> Result<(), KeepError> {
        match self.had_store() {
            true => Ok(()),
            false => self.put(STORE_MADE, b""),
        }
    }

    pub fn had_store(&self) -> bool {
        self.directory.join(STORE_MADE).exists()
    }

    pub fn membership(&self) -> Result<Option<Membership>, KeepError> {
        let Some(bytes) = self.read(MEMBERSHIP)? else {
            return Ok(None);
        };
        let read = serde_json::from_slice(&bytes);
        read.map(Some)
            .map_err(|error| self.damaged(MEMBERSHIP, &error.to_string()))
    }

    pub fn write_membership(&self, membership: &Membership) -> Result<(), KeepError> {
        self.make()?;
        let bytes = serde_json::to_vec_pretty(membership).expect("names and addresses serialise");
        self.put(MEMBERSHIP, &bytes)
    }

    fn make(&self) -> Result<(), KeepError> {
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory);
        made.map_err(|cause| self.io("", cause))
    }

    fn certificate(&self, name: &str) -> Result<CertificateDer<'static>, KeepError> {
        self.pem(name, "CERTIFICATE").map(CertificateDer::from)
    }

    fn pem(&self, name: &str, tag: &str) -> Result<Vec<u8>, KeepError> {
        let bytes = self.read(name)?;
        let bytes = bytes.ok_or_else(|| self.io(name, io::ErrorKind::NotFound.into()))?;
        let read = pem::parse(&bytes).map_err(|error| self.damaged(name, &error.to_string()))?;
        match read.tag() == tag {
            true => Ok(read.into_contents()),
            false => Err(self.damaged(name, &format!("it is no {tag}"))),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, KeepError> {
        let path = self.directory.join(name);
        match fs::metadata(&path) {
            Ok(found) if found.len() > FILE_BYTES_MAX => {
                return Err(self.damaged(name, "it is far too long"));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(self.io(name, cause)),
        }
        fs::read(&path)
            .map(Some)
            .map_err(|cause| self.io(name, cause))
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), KeepError> {
        let path = self.directory.join(name);
        let beside = self.directory.join(format!("{name}.new"));
        let written = (|| {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            fs::File::open(&self.directory)?.sync_all()
        })();
        written.map_err(|cause| self.io(name, cause))
    }

    fn io(&self, name: &str, cause: io::Error) -> KeepError {
        KeepError::Io {
            path: self.directory.join(name),
            cause,
        }
    }

    fn damaged(&self, name: &str, why: &str) -> KeepError {
        KeepError::Damaged {
            path: self.directory.join(name),
            why: why.to_owned(),
        }
    }
}

fn armoured(tag: &str, bytes: &[u8]) -> Vec<u8> {
    pem::encode(&pem::Pem::new(tag, bytes.to_vec())).into_bytes()
}

/// What a daemon shows, which changes while it runs. Clones show the same.
#[derive(Debug, Clone)]
pub struct Renewing {
    keep: Keep,
    shown: Arc<Mutex<Shown>>,
}

#[derive(Debug)]
struct Shown {
    credentials: Credentials,
    session: Arc<ClientConfig>,
}

impl Renewing {
    pub fn of(keep: Keep) -> Result<Self, KeepError> {
        let shown = Shown::of(keep.credentials()?)?;
        Ok(Self {
            keep,
            shown: Arc::new(Mutex::new(shown)),
        })
    }

    /// What comes to a station for a session, or as a station.
    pub fn session(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.shown().session)
    }

    pub fn credentials(&self) -> Credentials {
        self.shown().credentials.clone()
    }

    pub fn not_after(&self) -> Result<SystemTime, IdentityError> {
        let shown = self.credentials();
        tls::not_after(&shown.authority, &shown.certificate)
    }

    /// Shown from now on, and after the next start.
    pub fn renewed(&self, certificate: CertificateDer<'static>) -> Result<(), KeepError> {
        let was = self.credentials();
        tls::not_after(&was.authority, &certificate)?;
        self.keep.renew(&certificate)?;
        let shown = Shown::of(Credentials { certificate, ..was })?;
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        Ok(())
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, Shown> {
        // Every write under the lock is one assignment.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long until it is to be renewed: when a third of `valid` is left. Nothing, if that is over.
    pub fn renew_in(&self, valid: Duration, now: SystemTime) -> Result<Duration, IdentityError> {
        let due = self.not_after()? - valid / 3;
        Ok(due.duration_since(now).unwrap_or_default())
    }
}

impl Shown {
    fn of(credentials: Credentials) -> Result<Self, KeepError> {
        let session = Arc::new(tls::client(&credentials, tls::ALPN_SESSION)?);
        Ok(Self {
            credentials,
            session,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authority, DAEMON_VALID};

    fn issued(since: SystemTime) -> Credentials {
        let authority = Authority::found(ClusterId(uuid::Uuid::from_u128(1)), since).unwrap();
        let key = NodeKey::mint().unwrap();
        let bearer = Bearer::Agent("n1".parse().unwrap());
        let certificate = authority.issue(&bearer, &key.public(), since, DAEMON_VALID);
        Credentials {
            authority: authority.certificate().clone(),
            certificate: certificate.unwrap(),
            key,
        }
    }

    #[test]
    fn what_is_kept_reads_back_for_its_owner_alone_and_damage_names_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let keep = Keep::at(dir.path().join("identity"));
        assert!(!keep.is_there());
        let shown = issued(SystemTime::now());
        keep.write(&shown).unwrap();
        assert!(keep.is_there());
        let read = keep.credentials().unwrap();
        assert_eq!(read.certificate, shown.certificate);
        assert_eq!(read.key.public(), keep.key_or_mint().unwrap().public());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(keep.directory()), 0o700);
        assert_eq!(mode(&keep.directory().join(KEY)), 0o600);
        assert_eq!(keep.seal_key().unwrap(), None);
        let key = SealKey::mint().unwrap();
        keep.write_seal_key(&key).unwrap();
        assert_eq!(keep.seal_key().unwrap(), Some(key));
        for name in [AUTHORITY, CERTIFICATE, KEY] {
            let path = keep.directory().join(name);
            let whole = fs::read(&path).unwrap();
            fs::write(&path, &whole[..whole.len() / 2]).unwrap();
            let error = keep.credentials().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
            fs::write(&path, whole).unwrap();
        }
    }

    #[test]
    fn a_certificate_is_renewed_when_a_third_of_it_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let keep = Keep::at(dir.path());
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        keep.write(&issued(now)).unwrap();
        let renewing = Renewing::of(keep).unwrap();
        assert_eq!(renewing.not_after().unwrap(), now + DAEMON_VALID);
        let left = renewing.renew_in(DAEMON_VALID, now).unwrap();
        assert_eq!(left, DAEMON_VALID * 2 / 3);
        let later = now + DAEMON_VALID;
        assert_eq!(
            renewing.renew_in(DAEMON_VALID, later).unwrap(),
            Duration::ZERO
        );
        let strange = issued(now).certificate;
        assert!(renewing.renewed(strange).is_err(), "of another authority");
    }
}
