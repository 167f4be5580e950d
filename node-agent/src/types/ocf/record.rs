//! What an instance last started on this node, kept beside it: a resource outlives its agent, and the next incarnation
//! may have other parameters, with which it could neither see nor stop what runs.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use mainstay_hold::processes::boot_id;
use serde::{Deserialize, Serialize};

use super::config::OcfConfig;
use crate::secret_files::SecretFiles;

#[derive(Debug, Clone)]
pub(super) struct Records {
    directory: PathBuf,
    boot: String,
    /// What was started with them may outlive its agent.
    secrets: SecretFiles,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// A resource ends with its machine.
    boot: String,
    config: OcfConfig,
}

impl Records {
    pub(super) fn open(directory: PathBuf, secrets: SecretFiles) -> io::Result<Self> {
        let boot = boot_id()?;
        Ok(Self {
            directory,
            boot,
            secrets,
        })
    }

    /// A directory for the scripts' own state; those of earlier boots are gone.
    pub(super) fn scratch(&self) -> io::Result<PathBuf> {
        let ours = format!("tmp.{}", self.boot);
        for entry in fs::read_dir(&self.directory)?.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("tmp.") && name != ours {
                fs::remove_dir_all(entry.path())?;
            }
        }
        let path = self.directory.join(ours);
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// What may still run from before.
    pub(super) fn read(&self) -> Option<OcfConfig> {
        let text = fs::read_to_string(self.path()).ok()?;
        let record: Record = serde_json::from_str(&text).ok()?;
        (record.boot == self.boot).then_some(record.config)
    }

    /// Before anything is started.
    pub(super) fn write(&self, config: &OcfConfig) -> io::Result<()> {
        let record = Record {
            boot: self.boot.clone(),
            config: config.clone(),
        };
        let beside = self.directory.join("resource.json.new");
        // For the owner alone: parameters may hold passwords.
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        serde_json::to_writer(&mut file, &record)?;
        file.flush()?;
        fs::rename(beside, self.path())
    }

    /// Nothing of it runs any more.
    pub(super) fn forget(&self) {
        if let Err(error) = fs::remove_file(self.path())
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %self.path().display(), "cannot be removed");
        }
        self.secrets.remove();
    }

    fn path(&self) -> PathBuf {
        self.directory.join("resource.json")
    }
}

#[cfg(test)]
mod tests {
    use mainstay_service::json;

    use super::*;

    #[test]
    fn a_record_counts_only_in_the_boot_in_which_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path().to_owned(), SecretFiles::nowhere()).unwrap();
        assert!(records.read().is_none());
        let config: OcfConfig = serde_json::from_value(json!({ "agent": "a:b" })).unwrap();
        records.write(&config).unwrap();
        assert_eq!(records.read(), Some(config));
        let scratch = records.scratch().unwrap();
        let later = Records {
            boot: "another".to_owned(),
            ..records.clone()
        };
        assert!(later.read().is_none());
        assert!(scratch.is_dir());
        later.scratch().unwrap();
        assert!(!scratch.exists());
        records.forget();
        records.forget();
        assert!(records.read().is_none());
    }
}
