//! Artifacts: what is kept under a URN, content that never changes; and its bytes on their way to an instance.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;
use thiserror::Error;

use crate::ids::InstanceKey;
use crate::limits;
use crate::numbers::Incarnation;
use crate::request::Refusal;
use crate::texts::texts;

const URN: &str = "urn:ivcap:artifact:";
const UUID_BYTES: usize = 36;

/// The URN of an artifact, in small letters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct ArtifactId(SmolStr);

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no artifact's id: write {URN} and a UUID")]
pub struct BadArtifactId(String);

impl ArtifactId {
    pub fn new(text: &str) -> Result<Self, BadArtifactId> {
        let groups = [8, 4, 4, 4, 12];
        let id = text.strip_prefix(URN).unwrap_or_default();
        let parts: Vec<&str> = id.split('-').collect();
        let fits = |(part, bytes): (&&str, &usize)| {
            part.len() == *bytes && part.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        match parts.len() == groups.len() && parts.iter().zip(&groups).all(fits) {
            true => Ok(Self(text.to_ascii_lowercase().into())),
            false => Err(BadArtifactId(text.to_owned())),
        }
    }

    /// None: it is a text like others, not one that refers to an artifact.
    pub fn of(text: &str) -> Option<Result<Self, BadArtifactId>> {
        text.starts_with(URN).then(|| Self::new(text))
    }

    /// Those that a text has anywhere in it: work that is given such a text may read them.
    pub fn named_in(text: &str) -> BTreeSet<Self> {
        let long = URN.len() + UUID_BYTES;
        let found = text.match_indices(URN);
        let whole = found.filter_map(|(at, _)| text.get(at..at + long));
        whole.filter_map(|urn| Self::new(urn).ok()).collect()
    }

    /// What was not given another id is called after its content: the same again is the same artifact.
    pub fn of_digest(digest: &Sha256) -> Self {
        let hex = digest.as_str();
        // A UUID of version 8, whose bits its maker chooses.
        let (a, b, c) = (&hex[..8], &hex[8..12], &hex[13..16]);
        let (d, e) = (&hex[17..20], &hex[20..32]);
        Self(format!("{URN}{a}-{b}-8{c}-8{d}-{e}").into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// SHA-256 of a whole content, in hexadecimal, in small letters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct Sha256(SmolStr);

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no SHA-256: write its 64 hexadecimal digits")]
pub struct BadSha256(String);

impl Sha256 {
    pub fn new(text: &str) -> Result<Self, BadSha256> {
        match text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => Ok(Self(text.to_ascii_lowercase().into())),
            false => Err(BadSha256(text.to_owned())),
        }
    }

    pub fn of_sha256(hash: [u8; 32]) -> Self {
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(hex.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

texts! {
    ArtifactId: BadArtifactId
    Sha256: BadSha256
}

/// Bytes that many have and nobody changes: to clone them copies none.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob(Arc<[u8]>);

impl Blob {
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(Bytes).map(Blob)
    }
}

struct Bytes;

impl<'de> Visitor<'de> for Bytes {
    type Value = Arc<[u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Arc<[u8]>, E> {
        Ok(bytes.into())
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Arc<[u8]>, E> {
        Ok(bytes.into())
    }

    /// What formats for people make of bytes.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Arc<[u8]>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes.into())
    }
}

/// An instance of the asking node is to have this; it lives, or is being started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactWanted {
    pub instance: InstanceKey,
    pub incarnation: Incarnation,
    pub artifact: ArtifactId,
    /// The bytes from there on, as many as one answer has.
    pub from: u64,
}

/// What `ArtifactWanted` is answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArtifactAnswer {
    Part(ArtifactPart),
    Refused(Refusal),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactPart {
    /// Of the whole: another one than that of the part before is another content.
    pub digest: Sha256,
    pub size: u64,
    /// From where it was asked for; none at the end.
    pub bytes: Blob,
}

/// In how many chunks a content is kept.
pub fn chunks(size: u64) -> u32 {
    let chunk = limits::ARTIFACT_CHUNK_BYTES as u64;
    u32::try_from(size.div_ceil(chunk)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    #[test]
    fn an_id_is_a_urn_with_a_uuid_in_small_letters() {
        // proves: M6
        let id = ArtifactId::new("urn:ivcap:artifact:0000000A-0000-0000-0000-00000000000B");
        let text = "urn:ivcap:artifact:0000000a-0000-0000-0000-00000000000b";
        assert_eq!(id.unwrap().as_str(), text);
        assert_eq!(ArtifactId::of("/srv/shop"), None);
        for bad in ["4", "", "0000000a-0000-0000-0000-00000000000g"] {
            let text = format!("{URN}{bad}");
            let bad = ArtifactId::of(&text).unwrap().unwrap_err().to_string();
            assert!(bad.contains("and a UUID"), "{bad}");
        }
    }

    #[test]
    fn the_same_content_is_called_the_same() {
        // proves: M6
        let (a, b) = (Sha256::of_sha256([7; 32]), Sha256::of_sha256([8; 32]));
        let id = ArtifactId::of_digest(&a);
        assert_eq!(ArtifactId::new(id.as_str()), Ok(id.clone()));
        assert_ne!(id, ArtifactId::of_digest(&b));
        assert_eq!(
            id.as_str(),
            "urn:ivcap:artifact:07070707-0707-8707-8707-070707070707"
        );
        assert_eq!(Sha256::new(a.as_str()), Ok(a));
        assert!(Sha256::new("07").is_err());
    }

    #[test]
    fn bytes_are_as_long_as_they_are_and_a_few_for_their_length() {
        // proves: M6
        let blob = Blob::new(&[200; 70_000]);
        let bytes = codec::encode(&blob);
        assert!(bytes.len() < 70_010, "{}", bytes.len());
        assert_eq!(codec::decode::<Blob>(&bytes, 80_000).unwrap(), blob);
        assert_eq!(format!("{blob:?}"), "Blob(70000 bytes)");
        assert_eq!((chunks(0), chunks(1)), (0, 1));
        assert_eq!(chunks(limits::ARTIFACT_CHUNK_BYTES as u64 + 1), 2);
    }
}
