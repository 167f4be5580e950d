//! Who is who in a dev cluster. It has an authority of its own, which goes with it, and every daemon a certificate: what
//! works here works between machines. Nobody joins by a token, since all directories are the parent's to write.

use std::collections::BTreeMap;

use mainstay_api::Problem;
use mainstay_identity::{Authority, DIRECTORY, Keep, KeepError, Membership, unseal};
use mainstay_protocol::{Bearer, ClusterId, NodeName, StationId};
use uuid::Uuid;

use super::layout::Layout;
use crate::founding::Founded;
use crate::home::DEV;
use crate::outcome::machine;

/// For each daemon that has none: also one that comes to a kept cluster later.
pub fn make(layout: &Layout) -> Result<(), Problem> {
    made(layout).map_err(|error| {
        let what = format!("write what daemons show into {}", layout.root.display());
        machine(what, error)
    })
}

fn made(layout: &Layout) -> Result<(), KeepError> {
    let (cluster, founded) = authority(layout)?;
    let stations: BTreeMap<StationId, _> = layout
        .stations()
        .map(|(station, name)| (station, layout.address(&name)))
        .collect();
    let member = |bearer: Bearer| Membership {
        name: bearer.to_string(),
        cluster,
        cluster_name: DEV.parse().expect("a name"),
        listen: None,
        stations: BTreeMap::new(),
        token: None,
    };
    for (station, name) in layout.stations() {
        let dir = layout.data(&name);
        if has_one(layout, &name) {
            continue;
        }
        let member = Membership {
            listen: stations.get(&station).cloned(),
            ..member(Bearer::Station(station))
        };
        match station == FIRST {
            true => founded.first_station(&dir, &member)?,
            false => founded.station(&dir, &member)?,
        }
    }
    for name in layout.size.nodes() {
        let node: NodeName = name.parse().expect("n1, n2 .. are names");
        let where_they_are = stations.iter();
        let member = Membership {
            stations: where_they_are
                .map(|(station, at)| (station.to_string(), at.clone()))
                .collect(),
            ..member(Bearer::Agent(node))
        };
        if !has_one(layout, &name) {
            founded.member(&layout.data(&name), &member)?;
        }
    }
    Ok(())
}

/// Founds the cluster.
pub const FIRST: StationId = StationId(1);

fn has_one(layout: &Layout, daemon: &str) -> bool {
    Keep::at(layout.data(daemon).join(DIRECTORY)).is_there()
}

/// That of a kept cluster, or a new one. The parent keeps it for itself: the first station gives its own away with its
/// first entry.
fn authority(layout: &Layout) -> Result<(ClusterId, Founded), KeepError> {
    let own = Keep::at(layout.authority());
    let first = Keep::at(layout.data(&FIRST.to_string()).join(DIRECTORY));
    let known = (own.founding()?, first.seal_key()?, first.membership()?);
    if let (Some(sealed), Some(seal_key), Some(member)) = known {
        let key = unseal(&seal_key, mainstay_station::AUTHORITY, &sealed)?;
        let certificate = first.credentials()?.authority;
        let authority = Authority::open(member.cluster, certificate, &key)?;
        return Ok((
            member.cluster,
            Founded {
                authority,
                seal_key,
            },
        ));
    }
    // Another authority would be believed by nobody who is there already.
    if let Some(daemon) = layout.size.daemons().find(|name| has_one(layout, name)) {
        return Err(KeepError::Damaged {
            path: own.directory().to_owned(),
            why: format!(
                "{daemon} is of a cluster whose authority is not whole: founding.sealed here, seal.key and membership.json of s1"
            ),
        });
    }
    let cluster = ClusterId(Uuid::new_v4());
    let founded = Founded::mint(cluster)?;
    own.write_founding(&founded.sealed()?)?;
    Ok((cluster, founded))
}
