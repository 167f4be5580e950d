//! The token that lets a machine in once: `mst1.WHOM.ID.SECRET.FINGERPRINT.CLUSTER`. Whoever joins knows by it which authority it
//! speaks to, before it says the secret; the station keeps the secret's hash alone.

use std::fmt;
use std::str::FromStr;

use mainstay_protocol::{Admits, ClusterId};
use uuid::Uuid;

use crate::IdentityError;
use crate::authority::{Digest, Fingerprint, digest};
use crate::hex::{hex, unhex_exactly};
use crate::seal::random;

const FORM: &str = "mst1";

/// Whom a token lets in, as far as whoever shows it must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    Agent,
    Station,
    Person,
}

impl Whom {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Station => "station",
            Self::Person => "person",
        }
    }

    pub fn of(admits: &Admits) -> Self {
        match admits {
            Admits::Agent(_) => Self::Agent,
            Admits::Station => Self::Station,
            Admits::Person { .. } => Self::Person,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Agent, Self::Station, Self::Person]
            .into_iter()
            .find(|whom| whom.as_str() == text)
    }
}

#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// A hint: the station knows.
    pub whom: Whom,
    /// Names it in lists; no secret.
    pub id: String,
    secret: [u8; 32],
    pub authority: Fingerprint,
    pub cluster: ClusterId,
}

/// What is kept of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretHash(pub Digest);

impl SecretHash {
    /// Of a secret as it was said.
    pub fn of(secret: &str) -> Option<Self> {
        unhex_exactly::<32>(secret).map(|secret| Self(digest(&secret)))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no join token: {0}")]
pub struct BadToken(pub &'static str);

impl JoinToken {
    pub fn mint(
        whom: Whom,
        cluster: ClusterId,
        authority: Fingerprint,
    ) -> Result<Self, IdentityError> {
        let (mut id, mut secret) = ([0; 6], [0; 32]);
        random(&mut id)?;
        random(&mut secret)?;
        Ok(Self {
            whom,
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
        let whom = self.whom.as_str();
        format!("{FORM}.{whom}.{}.{secret}.{authority}.{cluster}", self.id)
    }

    pub fn hash(&self) -> SecretHash {
        SecretHash(digest(&self.secret))
    }

    /// What is said to a station that has shown who it is.
    pub fn secret(&self) -> String {
        hex(&self.secret)
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
        let [form, whom, id, secret, authority, cluster] = parts[..] else {
            return Err(BadToken("it has not six parts; was all of it pasted?"));
        };
        if form != FORM {
            return Err(BadToken("it does not begin with mst1"));
        }
        let whom = Whom::parse(whom).ok_or(BadToken("whom it lets in is damaged"))?;
        let id = unhex_exactly::<6>(id).ok_or(BadToken("its id is damaged"))?;
        let secret = unhex_exactly(secret).ok_or(BadToken("its secret is damaged"))?;
        let authority = unhex_exactly(authority).ok_or(BadToken("its fingerprint is damaged"))?;
        let cluster = Uuid::try_parse(cluster).map_err(|_| BadToken("its cluster is damaged"))?;
        Ok(Self {
            whom,
            id: hex(&id),
            secret,
            authority: Fingerprint(authority),
            cluster: ClusterId(cluster),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_shows_no_secret_and_says_what_is_damaged() {
        let token = JoinToken::mint(
            Whom::Agent,
            ClusterId(Uuid::from_u128(7)),
            Fingerprint([9; 32]),
        )
        .unwrap();
        let text = token.text();
        assert_eq!(text.parse::<JoinToken>(), Ok(token.clone()));
        assert_eq!(format!(" {text}\n").parse::<JoinToken>(), Ok(token.clone()));
        assert!(!format!("{token:?}").contains(&hex(&token.secret)));
        let other = JoinToken::mint(Whom::Agent, token.cluster, token.authority).unwrap();
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
                .contains("six parts")
        );
        let wide = text.replacen("mst1.agent.", "mst1.agent.\u{e9}", 1);
        assert_eq!(
            wide.parse::<JoinToken>(),
            Err(BadToken("its id is damaged"))
        );
    }
}
