//! Who is who in a dev cluster. It has an authority of its own, which goes with it, and every daemon a certificate: what
//! works here works between machines. Nobody joins by a token, since all directories are the parent's to write.

use std::collections::BTreeMap;

use mainstay_api::Problem;
use mainstay_identity::{Authority, DIRECTORY, Keep, KeepError, Membership, unseal};
use mainstay_protocol::{Bearer, ClusterId, NodeName, StationId};
use uuid::Uuid;

use super::layout::Layout;
use crate::founding::{FIRST, Founded};
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
    let is_new = |(_, name): &(StationId, String)| !has_one(layout, name);
    for (station, name) in layout.stations().filter(is_new) {
        let dir = layout.data(&name);
        let member = Membership {
            listen: stations.get(&station).cloned(),
            ..member(Bearer::Station(station))
        };
        match station == FIRST {
            true => founded.first_station(&dir, &member)?,
            false => founded.station(&dir, &member)?,
        }
    }
    let told: BTreeMap<String, _> = stations
        .iter()
        .map(|(station, at)| (station.to_string(), at.clone()))
        .collect();
    for name in layout.size.nodes().filter(|name| !has_one(layout, name)) {
        let node: NodeName = name.parse().expect("n1, n2 .. are names");
        let member = Membership {
            stations: told.clone(),
            ..member(Bearer::Agent(node))
        };
        founded.member(&layout.data(&name), &member)?;
    }
    Ok(())
}

fn has_one(layout: &Layout, daemon: &str) -> bool {
    Keep::at(layout.data(daemon).join(DIRECTORY)).is_there()
}

/// That of a kept cluster, or a new one. The parent keeps it for itself: the first station gives its own away with its
/// first entry.
fn authority(layout: &Layout) -> Result<(ClusterId, Founded), KeepError> {
    let own = Keep::at(layout.authority());
    let first = Keep::at(layout.data(&FIRST.to_string()).join(DIRECTORY));
    let known = (own.founding()?, first.seal_key()?, first.membership()?);
    // What it shows is written last: without it the rest was never used, and is written anew.
    if first.is_there()
        && let (Some(sealed), Some(seal_key), Some(member)) = known
    {
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
