//! Finding out about this machine. Nothing is left behind, and nobody who runs is disturbed: whether a daemon has its directory
//! is read from the kernel's list of locks.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mainstay_identity::{DIRECTORY, Keep, default_directory};
use mainstay_protocol::Address;
use rustix::fs::{Mode, OFlags, open, statvfs};
use rustix::process::{Resource, getrlimit};

use super::{Directory, KeptHere, Listen, Machine};
use crate::commands::read_certificate;
use crate::directories::{DataDirectory, Whose};

/// Writes that are timed; few, because each waits for the disk.
const SYNCS: usize = 9;
const SYNC_BYTES: usize = 4096;
/// How long an address of this machine may take to answer.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Entries of a directory that are looked at: far above what a daemon has beside its database.
const ENTRIES_MAX: usize = 10_000;

pub fn machine() -> Machine {
    let read = |path: &str| {
        fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    Machine {
        kernel: read("/proc/sys/kernel/osrelease"),
        open_files: getrlimit(Resource::Nofile).maximum,
        processes: getrlimit(Resource::Nproc).current,
        memory_groups: Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
    }
}

/// Those that are there; where there are none, where daemons would have them.
pub fn directories(known: &[DataDirectory], said: &[PathBuf]) -> Vec<Directory> {
    let there = known.iter().map(|one| {
        let whose = match one.whose {
            Whose::Station => "station",
            Whose::Agent => "agent",
        };
        directory(&one.path, whose, true)
    });
    let mut all: Vec<Directory> = there.collect();
    let planned = said
        .iter()
        .filter(|dir| !known.iter().any(|one| one.path == **dir));
    all.extend(planned.map(|dir| directory(dir, "daemon", false)));
    if all.is_empty() {
        all.push(directory(&default_directory("station"), "station", false));
    }
    all
}

fn directory(path: &Path, whose: &'static str, there: bool) -> Directory {
    // What is not there yet will be made below the first that is.
    let nearest = path
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"));
    let space = statvfs(nearest).ok();
    let space = space.as_ref();
    let (open_to_others, foreign) = match there {
        true => private(path),
        false => (Vec::new(), Vec::new()),
    };
    let unusable = match nearest.is_dir() {
        true => None,
        false => Some(format!("{} is no directory", nearest.display())),
    };
    Directory {
        path: path.to_owned(),
        whose,
        there,
        sync: unusable.is_none().then(|| sync(nearest).ok()).flatten(),
        unusable,
        free_bytes: space.map(|space| space.f_bavail.saturating_mul(space.f_frsize)),
        // File systems without a bound say that there are none at all.
        free_files: space
            .filter(|space| space.f_files > 0)
            .map(|space| space.f_favail),
        open_to_others,
        foreign,
    }
}

/// What others may read or write of what nobody else is to see; and what is somebody else's.
fn private(dir: &Path) -> (Vec<(PathBuf, u32)>, Vec<PathBuf>) {
    let (mut open, mut foreign) = (Vec::new(), Vec::new());
    let Ok(own) = fs::symlink_metadata(dir) else {
        return (open, foreign);
    };
    let entries = [dir.to_owned(), dir.join(DIRECTORY)];
    let below = entries.iter().filter_map(|dir| fs::read_dir(dir).ok());
    let below = below.flatten().flatten().map(|entry| entry.path());
    let below: Vec<PathBuf> = below.take(ENTRIES_MAX).collect();
    for path in [dir.to_owned()].into_iter().chain(below) {
        let Ok(found) = fs::symlink_metadata(&path) else {
            // It went meanwhile.
            continue;
        };
        let mode = found.mode() & 0o777;
        // Below a directory that is private nothing else need be.
        let matters =
            path == dir || found.file_type().is_socket() || path.starts_with(dir.join(DIRECTORY));
        if matters && mode & 0o077 != 0 {
            open.push((path.clone(), mode));
        }
        if found.uid() != own.uid() {
            foreign.push(path);
        }
    }
    (open, foreign)
}

/// The median of some writes, into a file without a name.
fn sync(dir: &Path) -> io::Result<Duration> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let mut file = File::from(open(dir, flags, Mode::RUSR | Mode::WUSR)?);
    let mut took = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[0; SYNC_BYTES])?;
        let began = Instant::now();
        file.sync_data()?;
        took.push(began.elapsed());
    }
    took.sort();
    Ok(took[SYNCS / 2])
}

/// Whether a daemon has this directory now.
pub fn runs(dir: &Path) -> bool {
    let Ok(lock) = fs::metadata(dir.join("lock")) else {
        return false;
    };
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    is_locked(&locks, lock.ino())
}

/// `1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF`. The device is left aside: some file systems have another there.
fn is_locked(locks: &str, inode: u64) -> bool {
    let inode = inode.to_string();
    locks.lines().any(|line| {
        let place = line
            .split_whitespace()
            .find(|word| word.matches(':').count() == 2);
        let found = place.and_then(|place| place.rsplit(':').next());
        line.contains("FLOCK") && !line.contains("->") && found == Some(inode.as_str())
    })
}

/// Where the stations of this machine listen, and where one is to.
pub fn listens(known: &[DataDirectory], said: Option<&Address>) -> Vec<Listen> {
    let theirs = known.iter().filter_map(|one| {
        let address = one.membership.as_ref()?.listen.clone()?;
        Some((address, runs(&one.path)))
    });
    let said = said.map(|address| (address.clone(), false));
    theirs
        .chain(said)
        .filter_map(|(address, runs)| match address {
            Address::Tls { host, port } => Some(listen(&host, port, runs)),
            Address::Unix(_) => None,
        })
        .collect()
}

fn listen(host: &str, port: u16, runs: bool) -> Listen {
    let bind = |port| TcpListener::bind((host, port)).map(drop);
    let connect = || {
        let mut addresses = (host, port).to_socket_addrs()?;
        let first = addresses.next().ok_or(io::ErrorKind::NotFound)?;
        TcpStream::connect_timeout(&first, CONNECT_WITHIN).map(drop)
    };
    let usable = if runs { connect() } else { bind(port) };
    Listen {
        address: format!("{host}:{port}"),
        runs,
        local: bind(0).map_err(|error| error.to_string()),
        usable: usable.map_err(|error| error.to_string()),
    }
}

/// What the daemons here show, and what the person of the context does; and what of it cannot be read, and why.
pub fn kept(
    known: &[DataDirectory],
    person: Option<&Path>,
) -> (Vec<KeptHere>, Vec<(PathBuf, String)>) {
    let daemons = known.iter().map(|one| (one.keep(), runs(&one.path)));
    let person = person.map(|dir| (Keep::at(dir), true));
    let (mut kept, mut unreadable) = (Vec::new(), Vec::new());
    for (keep, runs) in daemons.chain(person).filter(|(keep, _)| keep.is_there()) {
        match read_certificate(keep.directory()) {
            Ok(one) => kept.push(KeptHere { kept: one, runs }),
            Err(error) => unreadable.push((keep.directory().to_owned(), error.to_string())),
        }
    }
    (kept, unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_others_may_read_is_found_with_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let keep = dir.path().join(DIRECTORY);
        fs::create_dir(&keep).unwrap();
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap()
        };
        let key = keep.join("key.pem");
        fs::write(&key, "x").unwrap();
        fs::write(dir.path().join("station.json"), "{}").unwrap();
        set(dir.path(), 0o700);
        set(&keep, 0o700);
        set(&key, 0o600);
        assert_eq!(private(dir.path()), (Vec::new(), Vec::new()));
        set(&key, 0o640);
        assert_eq!(private(dir.path()).0, [(key, 0o640)]);
    }

    #[test]
    fn a_write_is_timed_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let found = directory(dir.path(), "station", true);
        assert!(
            found.sync.is_some_and(|took| took > Duration::ZERO),
            "{found:?}"
        );
        assert!(found.free_bytes.is_some_and(|free| free > 0));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let nowhere = directory(Path::new("/dev/null/nothing"), "station", false);
        assert!(nowhere.unusable.is_some(), "{nowhere:?}");
    }

    #[test]
    fn a_daemon_that_has_its_directory_is_seen_without_touching_its_lock() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!runs(dir.path()));
        let lock = File::create(dir.path().join("lock")).unwrap();
        assert!(!runs(dir.path()));
        lock.try_lock().unwrap();
        assert!(runs(dir.path()));
        let waits = "1: -> FLOCK  ADVISORY  WRITE 7 08:01:12 0 EOF\n2: POSIX  ADVISORY  WRITE 7 08:01:12 0 EOF\n";
        assert!(!is_locked(waits, 12));
        assert!(is_locked(
            "1: FLOCK  ADVISORY  WRITE 7 08:01:12 0 EOF\n",
            12
        ));
        assert!(!is_locked(
            "1: FLOCK  ADVISORY  WRITE 7 08:01:123 0 EOF\n",
            12
        ));
    }

    #[test]
    fn an_address_of_this_machine_is_free_taken_or_none() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let found = listen("127.0.0.1", port, true);
        assert!(found.local.is_ok() && found.usable.is_ok(), "{found:?}");
        let found = listen("127.0.0.1", port, false);
        assert!(found.local.is_ok() && found.usable.is_err(), "{found:?}");
        // Set aside for examples: nobody's.
        let found = listen("192.0.2.1", port, false);
        assert!(found.local.is_err(), "{found:?}");
    }
}
