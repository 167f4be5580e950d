//! The verdict of a pair of handshakes. A pure function of the pair, whichever side it is asked on: neither
//! needs the other's answer to know how it ends.

use std::collections::BTreeMap;

use super::{Handshake, Interface};
use crate::code::{self, Code};
use crate::ids::ClusterId;
use crate::revision;

/// What both speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// None when neither has a cluster yet, or only one of them.
    pub cluster: Option<ClusterId>,
    /// The newest revision both speak, of every interface both have.
    pub revisions: BTreeMap<String, u32>,
}

/// Why there can be no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub code: Code,
    pub text: String,
}

/// The same on both sides: `agree(a, b) == agree(b, a)`.
pub fn agree(mine: &Handshake, theirs: &Handshake) -> Result<Agreed, Refused> {
    if let (Some(mine), Some(theirs)) = (mine.cluster, theirs.cluster)
        && mine != theirs
    {
        let (first, second) = (mine.min(theirs), mine.max(theirs));
        return Err(Refused {
            code: code::WRONG_CLUSTER,
            text: format!("one side belongs to cluster {first}, the other to {second}"),
        });
    }
    if mine.channel != theirs.channel {
        return Err(mismatch(
            "one side opened the control channel, the other the bulk channel".to_owned(),
        ));
    }
    let mut revisions = BTreeMap::new();
    let ours: BTreeMap<&str, &Interface> = mine
        .interfaces
        .iter()
        .map(|my| (my.id.as_str(), my))
        .collect();
    // In the order of ids, so that both sides name the same one first.
    for my in ours.into_values() {
        if let Some(their) = theirs.interfaces.iter().find(|their| their.id == my.id) {
            revisions.insert(my.id.clone(), shared(my, their)?);
        }
    }
    if !revisions.contains_key(revision::CONTROL) {
        return Err(mismatch(format!(
            "the two sides do not both have the interface {:?}",
            revision::CONTROL
        )));
    }
    Ok(Agreed {
        cluster: mine.cluster.filter(|_| theirs.cluster.is_some()),
        revisions,
    })
}

fn shared(a: &Interface, b: &Interface) -> Result<u32, Refused> {
    let newest = a.speaks_max.min(b.speaks_max);
    if newest < a.speaks_min.max(b.speaks_min) {
        let (older, newer) = if a.speaks_max < b.speaks_max {
            (a, b)
        } else {
            (b, a)
        };
        return Err(mismatch(format!(
            "of interface {:?} the older build speaks revisions {} to {} and the newer {} to {}; update the older",
            a.id, older.speaks_min, older.speaks_max, newer.speaks_min, newer.speaks_max
        )));
    }
    // Digests of histories of different length differ anyhow; only equal lengths can be compared here.
    if a.speaks_max == b.speaks_max && a.digest != b.digest {
        return Err(mismatch(format!(
            "the two builds have different histories of interface {:?} up to the same revision {}; one is not of a release",
            a.id, newest
        )));
    }
    Ok(newest)
}

fn mismatch(text: String) -> Refused {
    Refused {
        code: code::VERSION_MISMATCH,
        text,
    }
}
