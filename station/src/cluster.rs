//! Which cluster a data directory belongs to: what it says itself, the one it was initialised for or joined, or a new one.

use mainstay_protocol::ClusterId;
use mainstay_store::OpenError;
use uuid::Uuid;

use crate::access::Access;
use crate::options::StationOptions;

/// Where one is to be joined, the store refuses a directory of another.
pub fn of_directory(
    options: &StationOptions,
    access: Option<&Access>,
) -> Result<ClusterId, OpenError> {
    if let Some(joined) = options.joins {
        return Ok(joined);
    }
    if let Some(access) = access {
        return Ok(access.cluster());
    }
    let known = mainstay_store::identity(&options.dir)?;
    Ok(known.map_or_else(|| ClusterId(Uuid::new_v4()), |identity| identity.cluster))
}
