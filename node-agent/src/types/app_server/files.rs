//! An artifact's files, and nothing outside of it: the kernel itself refuses every way out (`RESOLVE_BENEATH`).

use std::fs::{self, File, FileType};
use std::io;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use thiserror::Error;

use crate::types::served_file::OpenFile;

/// Of one part of a path, as file systems have it.
const NAME_BYTES_MAX: usize = 255;
const INDEX: &str = "index.html";
/// Where the web itself wants files that begin with a dot.
const WELL_KNOWN: &str = ".well-known";

#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
}

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Found {
    File(OpenFile),
    /// It needs a slash at its end, so that the page's own links are read right.
    Folder,
    Nothing,
}

/// A path that no file can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum BadPath {
    #[error("a percent sign is not followed by two digits")]
    Percent,
    #[error("it is not UTF-8")]
    Text,
}

impl Files {
    pub(super) fn of(root: PathBuf) -> Self {
        Self { root }
    }

    /// Whether the artifact is there.
    pub(super) fn look(&self) -> Result<(), String> {
        let why = match fs::metadata(&self.root) {
            Ok(metadata) if metadata.is_dir() => return Ok(()),
            Ok(_) => "it is no directory".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(format!(
            "the artifact {} cannot be served: {why}",
            self.root.display()
        ))
    }

    /// What a request's path leads to.
    pub(super) fn at(&self, path: &str) -> Result<Found, BadPath> {
        let Some(mut parts) = parts(path)? else {
            return Ok(Found::Nothing);
        };
        let wants_folder = path.ends_with('/');
        if wants_folder {
            parts.push(INDEX.to_owned());
        }
        Ok(match self.open(&parts.join("/")) {
            Some((open, kind)) if kind.is_file() => Found::File(open),
            Some((_, kind)) if kind.is_dir() && !wants_folder => Found::Folder,
            Some(_) | None => Found::Nothing,
        })
    }

    /// A file that a configuration names.
    pub(super) fn named(&self, path: &str) -> Result<Result<OpenFile, String>, BadPath> {
        let missing = || format!("{} has no file {path}", self.root.display());
        Ok(
            match self.at(&format!("/{}", path.trim_start_matches('/')))? {
                Found::File(open) => Ok(open),
                Found::Folder | Found::Nothing => Err(missing()),
            },
        )
    }

    /// Links inside are followed; one that leads out is as if it were not there.
    fn open(&self, path: &str) -> Option<(OpenFile, FileType)> {
        // Anew each time: an artifact is replaced by renaming another to its place.
        let root = File::open(&self.root).ok()?;
        // Not blocking: what is no file, as a pipe, must not hold anybody up.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let path_or_itself = if path.is_empty() { "." } else { path };
        let opened = loop {
            match openat2(&root, path_or_itself, flags, Mode::empty(), resolve) {
                // Something was renamed meanwhile.
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => break other,
            }
        };
        let file = match opened {
            Ok(file) => File::from(file),
            Err(error) => {
                let error = io::Error::from(error);
                tracing::debug!(path, %error, "not served");
                return None;
            }
        };
        let metadata = file.metadata().ok()?;
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        let open = OpenFile {
            file,
            size: metadata.len(),
            modified: metadata.modified().unwrap_or(UNIX_EPOCH),
            name,
        };
        Some((open, metadata.file_type()))
    }
}

/// The parts of a path, decoded; none if no file is shown by such a name: empty parts, hidden files, `..`.
fn parts(path: &str) -> Result<Option<Vec<String>>, BadPath> {
    let mut parts = Vec::new();
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() {
        // "//" is not "/": a redirect to it would lead to another host.
        return Ok((path == "/").then_some(parts));
    }
    for raw in inner.split('/') {
        let part = decoded(raw)?;
        let hidden = part.starts_with('.') && part != WELL_KNOWN;
        let odd = part.is_empty() || part.len() > NAME_BYTES_MAX || part.contains(['/', '\0']);
        if hidden || odd {
            return Ok(None);
        }
        parts.push(part);
    }
    Ok(Some(parts))
}

fn decoded(raw: &str) -> Result<String, BadPath> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = rest.next().map(char::from);
            digit.and_then(|c| c.to_digit(16)).ok_or(BadPath::Percent)
        };
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).expect("two digits of sixteen"));
    }
    String::from_utf8(bytes).map_err(|_| BadPath::Text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    fn artifact() -> (TempDir, Files) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("site");
        fs::create_dir_all(root.join("deep/er")).unwrap();
        fs::create_dir(root.join(".git")).unwrap();
        for (path, text) in [
            ("secret", "secret"),
            ("site/index.html", "front"),
            ("site/a b.txt", "space"),
            ("site/deep/index.html", "deep"),
            ("site/deep/er/x.js", "x"),
            ("site/.git/config", "hidden"),
        ] {
            fs::write(dir.path().join(path), text).unwrap();
        }
        symlink("../secret", root.join("out")).unwrap();
        symlink("/etc/passwd", root.join("passwd")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("deep", root.join("inside")).unwrap();
        let files = Files::of(root);
        (dir, files)
    }

    fn shown(files: &Files, path: &str) -> String {
        match files.at(path) {
            Ok(Found::File(open)) => fs::read_to_string(format!(
                "/proc/self/fd/{}",
                std::os::fd::AsRawFd::as_raw_fd(&open.file)
            ))
            .unwrap(),
            Ok(Found::Folder) => "folder".to_owned(),
            Ok(Found::Nothing) => "nothing".to_owned(),
            Err(bad) => bad.to_string(),
        }
    }

    #[test]
    fn files_are_found_by_their_paths_and_folders_by_their_index() {
        let (_dir, files) = artifact();
        for (path, text) in [
            ("/", "front"),
            ("/index.html", "front"),
            ("/a%20b.txt", "space"),
            ("/deep", "folder"),
            ("/deep/", "deep"),
            ("/deep/er/x.js", "x"),
            ("/deep/er/", "nothing"),
            ("/deep/er/x.js/", "nothing"),
            ("/inside/", "deep"),
            ("/missing", "nothing"),
        ] {
            assert_eq!(shown(&files, path), text, "{path}");
        }
    }

    #[test]
    fn no_path_and_no_link_leads_out_of_the_artifact() {
        let (_dir, files) = artifact();
        for path in [
            "/../secret",
            "/%2e%2e/secret",
            "/..%2fsecret",
            "/deep/../../secret",
            "/out",
            "/passwd",
            "/up/secret",
            "/up/",
            "/.git/config",
            "/%2egit/config",
            "//",
            "//secret",
            "/deep//er/x.js",
            "/a%00b",
            "",
        ] {
            assert_eq!(shown(&files, path), "nothing", "{path}");
        }
        assert!(shown(&files, "/%zz").contains("percent"));
        assert!(shown(&files, "/%e").contains("percent"));
        assert!(shown(&files, "/%ff").contains("UTF-8"));
    }

    #[test]
    fn what_is_no_file_is_neither_served_nor_waited_for() {
        let (dir, files) = artifact();
        let pipe = dir.path().join("site/pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RWXU).unwrap();
        assert_eq!(shown(&files, "/pipe"), "nothing");
    }
}
