//! Which cluster a data directory belongs to: what it says itself, or a new one.

use std::path::Path;

use mainstay_protocol::ClusterId;
use mainstay_store::OpenError;
use uuid::Uuid;

/// The cluster of the directory; minted where there is none yet.
pub fn of_directory(dir: &Path) -> Result<ClusterId, OpenError> {
    let known = mainstay_store::identity(dir)?;
    Ok(known.map_or_else(|| ClusterId(Uuid::new_v4()), |identity| identity.cluster))
}
