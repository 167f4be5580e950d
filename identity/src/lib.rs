//! Who is who. Every cluster has an authority of its own; whoever speaks to it over a network has a certificate that says
//! what it is, and is asked for it.
//!
//! ```text
//!   Authority --issues--> certificate: mainstay://CLUSTER/agent/n1, /station/s1, /person/ada/operator
//!       |                                        ^
//!       +-- sealed under a key file              | asked for on both sides of every connection (tls)
//!   Keep: a directory with all that somebody has to show; way: a connection on which it is shown
//!   JoinToken: one use, names the authority by its fingerprint, so that a stranger's is noticed before anything is sent
//! ```

mod authority;
mod hex;
mod keep;
pub mod local;
mod seal;
pub mod tls;
mod token;
pub mod way;

pub use authority::{
    Authority, DAEMON_VALID, Digest, Fingerprint, NodeKey, PERSON_VALID, digest, has_signed,
    is_public,
};
pub use hex::{hex, unhex, unhex_exactly};
pub use keep::{DIRECTORY, Keep, KeepError, Membership, Renewing, default_directory};
pub use seal::{SealKey, seal, unseal};
pub use tls::{Credentials, Peer};
pub use token::{BadToken, JoinToken, SecretHash, Whom};

/// Why something about an identity could not be done.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("the certificate cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("the key cannot be read: {0}")]
    Key(String),
    #[error("the system has no random bytes")]
    Random,
    #[error("the seal does not open: it was made under another key, or damaged")]
    Seal,
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the peer's certificate says no name of this kind: {0}")]
    Name(String),
}
