//! A resource agent's script: where it is, and whether it may be trusted.
//!
//! A script runs with the daemon's rights, so whoever can change it has them too. It is therefore refused when anybody
//! but root or the daemon's user could have put it there: by its own rights, or by those of a directory or link on the
//! way to it. It is looked at before every action, and run by the path that was looked at.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::trust::{self, Untrusted};

/// A script by its name in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) path: PathBuf,
    /// As in `OCF_RESOURCE_PROVIDER`; none for a script named by its path.
    pub(super) provider: Option<String>,
    /// As in `OCF_RESOURCE_TYPE`.
    pub(super) kind: String,
}

/// Why a script is not run.
#[derive(Debug, Error)]
pub(super) enum BadScript {
    #[error(
        "agent: \"{0}\" names no resource agent; write PROVIDER:TYPE (heartbeat:Dummy) or an absolute path"
    )]
    Name(String),
    #[error("there is no resource agent {path}: {cause}")]
    Missing { path: PathBuf, cause: io::Error },
    #[error("{path} is no resource agent: it is not a file that can be executed{remedy}")]
    NotAProgram { path: PathBuf, remedy: &'static str },
    #[error(
        "the resource agent {script} is not run: {place} belongs to user {owner}, who is neither root nor the agent's user"
    )]
    Owner {
        script: PathBuf,
        place: PathBuf,
        owner: u32,
    },
    #[error("the resource agent {script} is not run: everybody may write to {place}")]
    WorldWritable { script: PathBuf, place: PathBuf },
    #[error("the resource agent {0} is not run: there are too many links on the way to it")]
    Links(PathBuf),
}

impl Script {
    /// `PROVIDER:TYPE`, also with `ocf:` before it, below the OCF's root; or an absolute path.
    pub(super) fn named(agent: &str, root: &Path) -> Result<Self, BadScript> {
        let bad = || BadScript::Name(agent.to_owned());
        if agent.starts_with('/') {
            let path = PathBuf::from(agent);
            let kind = path.file_name().ok_or_else(bad)?;
            return Ok(Self {
                kind: kind.to_string_lossy().into_owned(),
                provider: None,
                path,
            });
        }
        let name = agent.strip_prefix("ocf:").unwrap_or(agent);
        let (provider, kind) = name.split_once(':').ok_or_else(bad)?;
        let plain = |word: &str| {
            let letter = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !word.is_empty() && !word.starts_with('.') && word.chars().all(letter)
        };
        if !(plain(provider) && plain(kind)) {
            return Err(bad());
        }
        Ok(Self {
            path: root.join("resource.d").join(provider).join(kind),
            provider: Some(provider.to_owned()),
            kind: kind.to_owned(),
        })
    }

    /// The path to run, without links, if everything on the way to it can be trusted.
    pub(super) fn trusted(&self) -> Result<PathBuf, BadScript> {
        let walked = trust::walked(&self.path).map_err(|why| self.not_trusted(why))?;
        let metadata = fs::metadata(&walked).map_err(|cause| self.missing(cause))?;
        if !metadata.is_file() {
            return Err(self.no_program(""));
        }
        if metadata.permissions().mode() & 0o111 == 0 {
            return Err(self.no_program("; chmod +x makes it one"));
        }
        Ok(walked)
    }

    fn not_trusted(&self, why: Untrusted) -> BadScript {
        let script = self.path.clone();
        match why {
            Untrusted::Missing(cause) => self.missing(cause),
            Untrusted::Owner { place, owner } => BadScript::Owner {
                script,
                place,
                owner,
            },
            Untrusted::WorldWritable(place) => BadScript::WorldWritable { script, place },
            Untrusted::Links => BadScript::Links(script),
        }
    }

    fn missing(&self, cause: io::Error) -> BadScript {
        BadScript::Missing {
            path: self.path.clone(),
            cause,
        }
    }

    fn no_program(&self, remedy: &'static str) -> BadScript {
        BadScript::NotAProgram {
            path: self.path.clone(),
            remedy,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::process::geteuid;

    use super::*;

    fn script_at(path: &Path) -> Script {
        Script::named(path.to_str().unwrap(), Path::new("/nowhere")).unwrap()
    }

    fn write(path: &Path, mode: u32) {
        fs::write(path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_script_is_named_by_provider_and_type_or_by_its_path() {
        let root = Path::new("/usr/lib/ocf");
        for name in ["heartbeat:Dummy", "ocf:heartbeat:Dummy"] {
            let script = Script::named(name, root).unwrap();
            assert_eq!(
                script.path,
                Path::new("/usr/lib/ocf/resource.d/heartbeat/Dummy")
            );
            assert_eq!(script.provider.as_deref(), Some("heartbeat"));
            assert_eq!(script.kind, "Dummy");
        }
        let by_path = Script::named("/opt/ra/Mine", root).unwrap();
        assert_eq!((by_path.provider, by_path.kind), (None, "Mine".to_owned()));
        for bad in [
            "",
            "Dummy",
            ":",
            "a:",
            "../x:y",
            "a:../../bin/sh",
            "a:.b",
            "/",
            "a:b/c",
        ] {
            let told = Script::named(bad, root).unwrap_err().to_string();
            assert!(told.contains("PROVIDER:TYPE"), "{told}");
        }
    }

    #[test]
    fn what_anybody_could_have_changed_is_not_run() {
        let dir = tempfile::tempdir().unwrap();
        // The directory of all temporary files is everybody's, and sticky: that alone does no harm.
        let good = dir.path().join("good");
        write(&good, 0o755);
        let real = fs::canonicalize(&good).unwrap();
        assert_eq!(script_at(&good).trusted().unwrap(), real);

        let open = dir.path().join("open");
        write(&open, 0o757);
        let told = script_at(&open).trusted().unwrap_err().to_string();
        assert!(told.contains("everybody may write to"), "{told}");

        let folder = dir.path().join("folder");
        fs::create_dir(&folder).unwrap();
        write(&folder.join("inside"), 0o755);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        let told = script_at(&folder.join("inside")).trusted().unwrap_err();
        assert!(
            matches!(&told, BadScript::WorldWritable { place, .. } if place.ends_with("folder"))
        );

        // Neither is one that a link there leads to, although the script itself is well kept.
        symlink(&good, folder.join("link")).unwrap();
        let told = script_at(&folder.join("link")).trusted().unwrap_err();
        assert!(matches!(told, BadScript::WorldWritable { .. }), "{told}");
        symlink("folder/../good", dir.path().join("detour")).unwrap();
        let told = script_at(&dir.path().join("detour")).trusted().unwrap_err();
        assert!(matches!(told, BadScript::WorldWritable { .. }), "{told}");
        symlink("good", dir.path().join("fine")).unwrap();
        assert_eq!(script_at(&dir.path().join("fine")).trusted().unwrap(), real);
    }

    #[test]
    fn what_is_no_program_is_told_apart_from_what_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let missing = script_at(&dir.path().join("missing"))
            .trusted()
            .unwrap_err();
        assert!(matches!(missing, BadScript::Missing { .. }), "{missing}");
        let told = script_at(dir.path()).trusted().unwrap_err();
        assert!(matches!(told, BadScript::NotAProgram { .. }), "{told}");
        let plain = dir.path().join("plain");
        write(&plain, 0o644);
        let told = script_at(&plain).trusted().unwrap_err().to_string();
        assert!(told.contains("chmod +x"), "{told}");
        symlink("round", dir.path().join("round")).unwrap();
        let told = script_at(&dir.path().join("round")).trusted().unwrap_err();
        assert!(matches!(told, BadScript::Links(_)), "{told}");
    }

    #[test]
    fn a_script_of_another_user_is_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("theirs");
        write(&path, 0o755);
        if std::os::unix::fs::chown(&path, Some(12345), None).is_err() {
            // Only root can give files away; then whoever runs this test owns everything it can write.
            assert!(!geteuid().is_root());
            return;
        }
        let told = script_at(&path).trusted().unwrap_err().to_string();
        assert!(told.contains("belongs to user 12345"), "{told}");
    }
}
