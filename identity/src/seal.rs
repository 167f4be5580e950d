//! What may lie in the store only sealed: the authority's key, secrets. The key to it lies in a file of its own.

use std::fmt;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use crate::IdentityError;

#[derive(Clone, PartialEq, Eq)]
pub struct SealKey(pub [u8; 32]);

impl SealKey {
    pub fn mint() -> Result<Self, IdentityError> {
        let mut bytes = [0; 32];
        random(&mut bytes)?;
        Ok(Self(bytes))
    }

    fn key(&self) -> LessSafeKey {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &self.0);
        LessSafeKey::new(key.expect("the key is as long as the algorithm wants it"))
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey")
    }
}

pub(crate) fn random(bytes: &mut [u8]) -> Result<(), IdentityError> {
    SystemRandom::new()
        .fill(bytes)
        .map_err(|_| IdentityError::Random)
}

/// `of` says what is sealed: it opens as nothing else.
pub fn seal(key: &SealKey, of: &str, secret: &[u8]) -> Result<Vec<u8>, IdentityError> {
    let mut nonce = [0; NONCE_LEN];
    random(&mut nonce)?;
    let mut sealed = secret.to_vec();
    key.key()
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(of),
            &mut sealed,
        )
        .map_err(|_| IdentityError::Seal)?;
    Ok([nonce.as_slice(), &sealed].concat())
}

pub fn unseal(key: &SealKey, of: &str, sealed: &[u8]) -> Result<Vec<u8>, IdentityError> {
    let (nonce, rest) = sealed
        .split_first_chunk::<NONCE_LEN>()
        .ok_or(IdentityError::Seal)?;
    let mut secret = rest.to_vec();
    let opened = key
        .key()
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(of),
            &mut secret,
        )
        .map_err(|_| IdentityError::Seal)?;
    Ok(opened.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_under_its_key_and_name_alone() {
        let (key, other) = (SealKey::mint().unwrap(), SealKey::mint().unwrap());
        let sealed = seal(&key, "authority", b"secret").unwrap();
        assert!(!sealed.windows(6).any(|six| six == b"secret"));
        assert_eq!(unseal(&key, "authority", &sealed).unwrap(), b"secret");
        assert!(unseal(&other, "authority", &sealed).is_err());
        assert!(unseal(&key, "another", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert!(unseal(&key, "authority", &flipped).is_err(), "byte {at}");
            assert!(unseal(&key, "authority", &sealed[..at]).is_err());
        }
        assert_ne!(sealed, seal(&key, "authority", b"secret").unwrap());
    }
}
