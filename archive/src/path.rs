//! Paths in an archive: what they may be, and how they are written afterwards.

use mainstay_protocol::limits;

use crate::BadArchive;

/// Of one component; what file systems have.
const COMPONENT_BYTES_MAX: usize = 255;
/// Each of them is a directory that is made, but the last.
const COMPONENTS_MAX: usize = 32;

/// Without `.` and what stands twice; none where nothing is left. Whatever could lead elsewhere is refused, not mended.
pub(crate) fn checked(raw: &[u8]) -> Result<Option<String>, BadArchive> {
    let bad = |why| BadArchive::Path {
        path: String::from_utf8_lossy(raw).chars().take(100).collect(),
        why,
    };
    let Ok(text) = std::str::from_utf8(raw) else {
        return Err(bad("is not UTF-8"));
    };
    if text.len() > limits::ARCHIVE_PATH_BYTES_MAX {
        return Err(bad("is too long"));
    }
    if text.starts_with('/') {
        return Err(bad("is absolute"));
    }
    if text.contains('\\') || text.chars().any(char::is_control) {
        return Err(bad("has a backslash, or control characters"));
    }
    let mut components = Vec::new();
    for component in text.split('/') {
        match component {
            "" | "." => {}
            ".." => return Err(bad("leads out of the archive")),
            component if component.len() > COMPONENT_BYTES_MAX => {
                return Err(bad("has a name that is too long"));
            }
            _ if components.len() >= COMPONENTS_MAX => return Err(bad("is too deep")),
            component => components.push(component),
        }
    }
    Ok((!components.is_empty()).then(|| components.join("/")))
}
