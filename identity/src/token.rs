//! The token that lets a machine in once: `mst1.ID.SECRET.FINGERPRINT.CLUSTER`. Whoever joins knows by it which authority it
//! speaks to, before it says the secret; the station keeps the secret's hash alone.

use std::fmt;
use std::str::FromStr;

use mainstay_protocol::ClusterId;
use ring::digest::{SHA256, digest};
use uuid::Uuid;

use crate::IdentityError;
use crate::authority::Fingerprint;
use crate::seal::random;

const FORM: &str = "mst1";

#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// Names it in lists; no secret.
    pub id: String,
    secret: [u8; 32],
    pub authority: Fingerprint,
    pub cluster: ClusterId,
}

/// What is kept of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretHash(pub [u8; 32]);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no join token: {0}")]
pub struct BadToken(pub &'static str);

impl JoinToken {
    pub fn mint(cluster: ClusterId, authority: Fingerprint) -> Result<Self, IdentityError> {
        let (mut id, mut secret) = ([0; 6], [0; 32]);
        random(&mut id)?;
        random(&mut secret)?;
        Ok(Self {
            id: hex(&id),
            secret,
            authority,
            cluster,
        })
    }

    /// The whole of it, secret included: printed once, for whoever asked for it.
    pub fn text(&self) -> String {
        let (secret, authority) = (hex(&self.secret), hex(&self.authority.0));
        let cluster = self.cluster.0.simple();
        format!("{FORM}.{}.{secret}.{authority}.{cluster}", self.id)
    }

    pub fn hash(&self) -> SecretHash {
        let hash = digest(&SHA256, &self.secret);
        SecretHash(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

/// Without its secret.
impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken({}, {})", self.id, self.cluster)
    }
}

impl FromStr for JoinToken {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let parts: Vec<&str> = text.trim().split('.').collect();
        let [form, id, secret, authority, cluster] = parts[..] else {
            return Err(BadToken("it has not five parts; was all of it pasted?"));
        };
        if form != FORM {
            return Err(BadToken("it does not begin with mst1"));
        }
        let id = unhex::<6>(id).ok_or(BadToken("its id is damaged"))?;
        let secret = unhex(secret).ok_or(BadToken("its secret is damaged"))?;
        let authority = unhex(authority).ok_or(BadToken("its fingerprint is damaged"))?;
        let cluster = Uuid::try_parse(cluster).map_err(|_| BadToken("its cluster is damaged"))?;
        Ok(Self {
            id: hex(&id),
            secret,
            authority: Fingerprint(authority),
            cluster: ClusterId(cluster),
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_shows_no_secret_and_says_what_is_damaged() {
        let token = JoinToken::mint(ClusterId(Uuid::from_u128(7)), Fingerprint([9; 32])).unwrap();
        let text = token.text();
        assert_eq!(text.parse::<JoinToken>(), Ok(token.clone()));
        assert_eq!(format!(" {text}\n").parse::<JoinToken>(), Ok(token.clone()));
        assert!(!format!("{token:?}").contains(&hex(&token.secret)));
        let other = JoinToken::mint(token.cluster, token.authority).unwrap();
        assert_ne!(
            (other.id.clone(), other.hash()),
            (token.id.clone(), token.hash())
        );
        let cut = &text[..text.len() - 1];
        assert_eq!(
            cut.parse::<JoinToken>(),
            Err(BadToken("its cluster is damaged"))
        );
        let less = text.rsplit_once('.').unwrap().0;
        assert!(
            less.parse::<JoinToken>()
                .unwrap_err()
                .0
                .contains("five parts")
        );
        let wide = text.replacen("mst1.", "mst1.\u{e9}", 1);
        assert_eq!(
            wide.parse::<JoinToken>(),
            Err(BadToken("its id is damaged"))
        );
    }
}
