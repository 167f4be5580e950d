//! The agent's file on disk: appended to, and written anew when it has become long. Not synced: what was written
//! outlives the process, and a reboot voids it anyway.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use mainstay_protocol::limits;
use mainstay_supervisor::{FileRecord, Recovered, encode_record, replay};

#[derive(Debug)]
pub(crate) struct AgentFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// It is written anew beyond this.
    bytes_max: u64,
}

impl AgentFile {
    /// Reads what is there and cuts off what was not written to its end.
    pub(crate) fn open(dir: &Path) -> io::Result<(Self, Recovered)> {
        let path = dir.join("agent.log");
        let mut file = options().read(true).open(&path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let recovered = replay(&bytes);
        if recovered.damaged {
            let aside = dir.join("agent.log.damaged");
            tracing::error!(aside = %aside.display(), "the agent's file is damaged; it is kept aside");
            fs::write(aside, &bytes)?;
        }
        file.set_len(recovered.valid_len)?;
        let file = Self {
            path,
            file,
            bytes: recovered.valid_len,
            bytes_max: limits::AGENT_FILE_BYTES_MAX,
        };
        Ok((file, recovered))
    }

    /// In one write, so that a kill leaves at most one cut record.
    pub(crate) fn append(&mut self, records: &[FileRecord]) -> io::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let bytes: Vec<u8> = records.iter().flat_map(encode_record).collect();
        self.file.write_all(&bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    pub(crate) fn is_long(&self) -> bool {
        self.bytes > self.bytes_max
    }

    /// Puts a new file with these records in the old one's place.
    pub(crate) fn rewrite(&mut self, records: &[FileRecord]) -> io::Result<()> {
        let new_path = self.path.with_extension("log.new");
        let mut new = options()
            .truncate(true)
            .append(false)
            .write(true)
            .open(&new_path)?;
        let bytes: Vec<u8> = records.iter().flat_map(encode_record).collect();
        new.write_all(&bytes)?;
        fs::rename(&new_path, &self.path)?;
        self.file = options().open(&self.path)?;
        self.bytes = bytes.len() as u64;
        // Twice what is needed, or a file that is needed whole would be written anew with every record.
        self.bytes_max = limits::AGENT_FILE_BYTES_MAX.max(2 * self.bytes);
        Ok(())
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_protocol::{BootId, NodeName};

    fn head(boot: &str) -> FileRecord {
        FileRecord::Head {
            node: NodeName::new("n1").unwrap(),
            boot_id: BootId(boot.to_owned()),
            node_id: None,
        }
    }

    #[test]
    fn a_file_is_read_back_without_its_torn_tail() {
        let dir = tempfile::tempdir().unwrap();
        let (mut file, recovered) = AgentFile::open(dir.path()).unwrap();
        assert_eq!(recovered, Recovered::default());
        file.append(&[head("one"), head("two")]).unwrap();
        let whole = file.bytes;
        file.file.write_all(&[0, 0, 0, 9, 1]).unwrap();
        drop(file);
        let (mut file, recovered) = AgentFile::open(dir.path()).unwrap();
        assert!(recovered.torn && !recovered.damaged);
        assert_eq!((recovered.valid_len, file.bytes), (whole, whole));
        file.append(&[head("three")]).unwrap();
        let (_, recovered) = AgentFile::open(dir.path()).unwrap();
        assert!(!recovered.torn);
    }

    #[test]
    fn a_long_file_is_written_anew_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let (mut file, _) = AgentFile::open(dir.path()).unwrap();
        while !file.is_long() {
            file.append(&vec![head("many"); 4096]).unwrap();
        }
        file.rewrite(&[head("few")]).unwrap();
        assert!(!file.is_long());
        file.append(&[head("more")]).unwrap();
        let length = fs::metadata(dir.path().join("agent.log")).unwrap().len();
        assert_eq!(length, file.bytes);
        let (_, recovered) = AgentFile::open(dir.path()).unwrap();
        assert_eq!(recovered.valid_len, length);
    }
}
