//! A slot: the directory of one exclusive name on one node.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::{FdFlags, fcntl_setfd};

use crate::fields::{BadFields, Fields};
use crate::limits;
use crate::records::{Exit, State};
use crate::spec::Spec;

/// The socket's name in its slot.
pub(crate) const SOCKET: &str = "sock";

/// Between two tries for a lock that will be free in a moment.
const LOCK_LOOK: Duration = Duration::from_millis(2);

/// Where the files of one name are. Nothing is there until it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    path: PathBuf,
}

/// The name is ours while this lives, or anything that inherited it.
#[derive(Debug)]
pub struct SlotLock {
    file: File,
}

impl Slot {
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Made for its owner alone; its path becomes absolute, since it is the mark in environments.
    pub fn make(path: &Path) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(path.join("log"))?;
        fs::canonicalize(path).map(Self::at)
    }

    /// All slots below a directory, by name.
    pub fn all(slots: &Path) -> io::Result<Vec<Self>> {
        let entries = match fs::read_dir(slots) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let slots = fs::canonicalize(slots)?;
        let mut all = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                all.push(Self::at(slots.join(entry.file_name())));
            }
        }
        all.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(all)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The exclusive name, which the slot's directory has.
    pub fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    pub fn log_directory(&self) -> PathBuf {
        self.path.join("log")
    }

    /// The lock file is never removed: whoever removed it could let two have the name.
    pub fn lock(&self) -> io::Result<Option<SlotLock>> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.path.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(SlotLock { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// For whoever is sure to have it in a moment: a process that is just being forked by whoever let go of the lock
    /// has it too, until it executes its program.
    pub fn lock_within(&self, patience: Duration) -> io::Result<Option<SlotLock>> {
        let began = Instant::now();
        loop {
            let lock = self.lock()?;
            if lock.is_some() || began.elapsed() >= patience {
                return Ok(lock);
            }
            sleep(LOCK_LOOK);
        }
    }

    pub fn write_spec(&self, spec: &Spec) -> io::Result<()> {
        self.write("spec", &spec.to_fields())
    }

    pub fn spec(&self) -> io::Result<Option<Spec>> {
        self.read("spec", limits::SPEC_BYTES_MAX, Spec::from_fields)
    }

    pub fn write_state(&self, state: &State) -> io::Result<()> {
        self.write("state", &state.to_fields())
    }

    pub fn state(&self) -> io::Result<Option<State>> {
        self.read("state", limits::RECORD_BYTES_MAX, State::from_fields)
    }

    pub fn write_exit(&self, exit: &Exit) -> io::Result<()> {
        self.write("exit", &exit.to_fields())
    }

    pub fn exit(&self) -> io::Result<Option<Exit>> {
        self.read("exit", limits::RECORD_BYTES_MAX, Exit::from_fields)
    }

    /// Of an older incarnation, before a new one begins.
    pub fn remove_exit(&self) -> io::Result<()> {
        removed(&self.path.join("exit"))
    }

    /// Also where the path is longer than a socket's address may be.
    pub fn connect(&self) -> io::Result<UnixStream> {
        let directory = File::open(&self.path)?;
        let path = format!("/proc/self/fd/{}/{SOCKET}", directory.as_fd().as_raw_fd());
        UnixStream::connect(path)
    }

    fn write(&self, name: &str, fields: &Fields) -> io::Result<()> {
        self.put(name, fields.to_file().as_bytes())
    }

    /// Written beside, then in its place, so that it is there whole or not at all for whoever looks. Of no use after the
    /// machine's next start: so it does not wait for the disk.
    pub fn put(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let new = self.path.join(format!("{name}.new"));
        // A kill may have left the last one there, and somebody may be reading it still.
        removed(&new)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(content)?;
        drop(file);
        take_place(&new, &self.path.join(name))
    }

    fn read<T>(
        &self,
        name: &str,
        bytes_max: usize,
        parse: impl FnOnce(&Fields) -> Result<T, BadFields>,
    ) -> io::Result<Option<T>> {
        let path = self.path.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = String::new();
        let more = bytes_max as u64 + 1;
        file.take(more).read_to_string(&mut text)?;
        let bad = |why: String| {
            let text = format!("{} cannot be read: {why}", path.display());
            io::Error::new(ErrorKind::InvalidData, text)
        };
        if text.len() > bytes_max {
            return Err(bad(format!("it has more than {bytes_max} bytes")));
        }
        Fields::from_file(&text)
            .and_then(|fields| parse(&fields))
            .map(Some)
            .map_err(|error| bad(error.0))
    }
}

fn removed(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The two change places and the older one is removed: a file that is renamed over another is written to disk first by
/// some file systems (ext4), and a process that is to run again would wait for that, five times.
fn take_place(new: &Path, name: &Path) -> io::Result<()> {
    match renameat_with(CWD, new, CWD, name, RenameFlags::EXCHANGE) {
        // It is in its place; what is left over goes with the next.
        Ok(()) => {
            drop(fs::remove_file(new));
            Ok(())
        }
        // The first of its name, or a file system that cannot exchange.
        Err(_) => fs::rename(new, name),
    }
}

impl SlotLock {
    /// From now on what is executed has it too.
    pub fn inherit(&self) -> io::Result<()> {
        Ok(fcntl_setfd(&self.file, FdFlags::empty())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_has_one_holder_and_its_files_are_whole_or_not_there() {
        // proves: S4
        let dir = tempfile::tempdir().unwrap();
        let slot = Slot::make(&dir.path().join("slots/web")).unwrap();
        assert_eq!(slot.name(), "web");
        let lock = slot.lock().unwrap().unwrap();
        assert!(slot.lock().unwrap().is_none());
        assert!(slot.lock_within(LOCK_LOOK).unwrap().is_none());
        // A process that was forked with it lets go when it executes its program.
        let let_go = std::thread::spawn(move || {
            sleep(LOCK_LOOK * 10);
            drop(lock);
        });
        assert!(slot.lock_within(Duration::MAX).unwrap().is_some());
        let_go.join().unwrap();
        assert!(slot.lock().unwrap().is_some());
        assert_eq!(slot.spec().unwrap(), None);
        let spec = Spec {
            instance: "web@n1".to_owned(),
            incarnation: "1".to_owned(),
            command: vec!["true".to_owned()],
            ..Spec::default()
        };
        slot.write_spec(&spec).unwrap();
        assert_eq!(slot.spec().unwrap(), Some(spec.clone()));
        let second = Spec {
            incarnation: "2".to_owned(),
            ..spec
        };
        slot.write_spec(&second).unwrap();
        assert_eq!(slot.spec().unwrap(), Some(second.clone()));
        assert!(!slot.path().join("spec.new").exists());
        // What a kill between the two steps left.
        fs::write(slot.path().join("spec.new"), "old").unwrap();
        slot.write_spec(&second).unwrap();
        assert!(!slot.path().join("spec.new").exists());
        fs::write(slot.path().join("spec"), "").unwrap();
        slot.spec().unwrap_err();
        fs::write(slot.path().join("exit"), "code=x\n").unwrap();
        let error = slot.exit().unwrap_err().to_string();
        assert!(
            error.contains("/exit cannot be read: code is \"x\""),
            "{error}"
        );
        slot.remove_exit().unwrap();
        slot.remove_exit().unwrap();
        assert_eq!(Slot::all(&dir.path().join("slots")).unwrap(), [slot]);
        assert_eq!(Slot::all(&dir.path().join("none")).unwrap(), []);
    }
}
