//! Founds a cluster: an authority of its own, what it is sealed with, and what its first station shows.

use std::path::Path;
use std::time::SystemTime;

use mainstay_identity::{
    Authority, Credentials, DAEMON_VALID, DIRECTORY, IdentityError, Keep, KeepError, Membership,
    NodeKey, SealKey, seal,
};
use mainstay_protocol::{Bearer, ClusterId, StationId};

/// The station that a cluster begins with.
pub const FIRST: StationId = StationId(1);

/// What lets others in.
pub struct Founded {
    pub authority: Authority,
    pub seal_key: SealKey,
}

impl Founded {
    pub fn mint(cluster: ClusterId) -> Result<Self, IdentityError> {
        Ok(Self {
            authority: Authority::found(cluster, SystemTime::now())?,
            seal_key: SealKey::mint()?,
        })
    }

    /// The authority's key, as it may lie on a disk.
    pub fn sealed(&self) -> Result<Vec<u8>, IdentityError> {
        seal(
            &self.seal_key,
            mainstay_station::AUTHORITY,
            self.authority.secret(),
        )
    }

    /// Whoever founds brings the authority along.
    pub fn first_station(&self, dir: &Path, member: &Membership) -> Result<(), KeepError> {
        Keep::at(dir.join(DIRECTORY)).write_founding(&self.sealed()?)?;
        self.station(dir, member)
    }

    /// Stations open what is sealed.
    pub fn station(&self, dir: &Path, member: &Membership) -> Result<(), KeepError> {
        Keep::at(dir.join(DIRECTORY)).write_seal_key(&self.seal_key)?;
        self.member(dir, member)
    }

    /// What a daemon shows.
    pub fn member(&self, dir: &Path, member: &Membership) -> Result<(), KeepError> {
        let keep = Keep::at(dir.join(DIRECTORY));
        keep.write_membership(member)?;
        let bearer: Bearer = member.bearer().expect("it is made from one");
        let key = NodeKey::mint()?;
        let now = SystemTime::now();
        let certificate = self
            .authority
            .issue(&bearer, &key.public(), now, DAEMON_VALID)?;
        keep.write(&Credentials {
            authority: self.authority.certificate().clone(),
            certificate,
            key,
        })
    }
}
