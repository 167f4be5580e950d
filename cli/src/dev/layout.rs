//! Where a dev cluster keeps its things: data and logs in one directory, sockets in a short one.

use std::env;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use mainstay_api::{Exit, Problem};
use mainstay_identity::{DIRECTORY, Keep, Membership};
use mainstay_protocol::limits::DEV_STATIONS_MAX;
use mainstay_protocol::{Address, StationId, revision};
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::home::ProcessId;
use crate::outcome::machine;
use crate::process;

/// A socket's path fits `sun_path` with its final zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// The longest name of a socket in the runtime directory, with its slash.
const SOCKET_NAME_BYTES_MAX: usize = 24;
/// The demo's file, and what its programs write.
const DEMO: &str = "demo";
const AUTHORITY: &str = "authority";
/// Station s1 has the next one.
const PORT: u16 = 7600;
/// Says that a directory is a dev cluster's, and that it was kept.
const MARKER: &str = "mainstay-dev.json";

#[derive(Debug, Clone)]
pub struct Layout {
    pub size: Size,
    pub root: PathBuf,
    pub runtime: PathBuf,
    pub removal: Removal,
    /// The directory was kept by an earlier cluster; this one goes on with it.
    pub reopened: bool,
    /// No station ever had its data there.
    pub fresh: bool,
}

/// How many of each there are: s1, s2 .. and n1, n2 ..
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub stations: u16,
    pub nodes: u16,
}

/// What goes when the cluster ends. Told to the reaper before any of it is made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// With all that is in them.
    pub trees: Vec<PathBuf>,
    pub files: Vec<PathBuf>,
    /// Only if nothing is left in them; in this order.
    pub empty_directories: Vec<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    kept: bool,
    /// Whose it is, or was.
    parent: ProcessId,
}

impl Size {
    pub fn stations(self) -> impl Iterator<Item = String> {
        (1..=self.stations).map(|station| format!("s{station}"))
    }

    pub fn nodes(self) -> impl Iterator<Item = String> {
        (1..=self.nodes).map(|node| format!("n{node}"))
    }

    pub fn daemons(self) -> impl Iterator<Item = String> {
        self.stations().chain(self.nodes())
    }
}

impl Layout {
    /// Chooses the places; makes none of them.
    pub fn choose(directory: Option<&Path>, keep: bool, size: Size) -> Result<Self, Problem> {
        let base = runtime_base()?;
        let (short, (root, made, reopened)) = match directory {
            // The stations of a group remember where the others are: the same directory has the same sockets.
            Some(directory) => {
                let found = given(directory)?;
                let number = revision::hash(revision::SEED, found.0.as_os_str().as_bytes());
                (format!("{number:016x}")[..8].to_owned(), found)
            }
            None => {
                let short = Uuid::new_v4().simple().to_string()[..8].to_owned();
                let root = env::temp_dir().join(format!("mainstay-dev-{short}"));
                (short, (root, true, false))
            }
        };
        let runtime = base.join(&short);
        let mut removal = Removal {
            trees: vec![runtime.clone()],
            files: Vec::new(),
            empty_directories: vec![base],
        };
        // What was kept once is kept until somebody removes it by hand.
        if !keep && !reopened {
            let parts = ["logs", DEMO, AUTHORITY].map(str::to_owned).into_iter();
            let parts = parts.chain(size.daemons());
            removal.trees.extend(parts.map(|part| root.join(part)));
            removal.files.push(root.join(MARKER));
            if made {
                removal.empty_directories.push(root.clone());
            }
        }
        if reopened {
            all_members(&root, size)?;
        }
        let fresh = is_empty(&root.join("s1"));
        Ok(Self {
            size,
            root,
            runtime,
            removal,
            reopened,
            fresh,
        })
    }

    pub fn make(&self, keep: bool) -> Result<(), Problem> {
        let base = self
            .runtime
            .parent()
            .expect("the runtime directory is chosen below a base");
        private(base)?;
        private(&self.runtime)?;
        private(&self.root)?;
        private(&self.logs())?;
        private(&self.demo())?;
        for daemon in self.size.daemons() {
            private(&self.data(&daemon))?;
        }
        let marker = Marker {
            kept: keep || self.reopened,
            parent: process::own(),
        };
        let text = serde_json::to_vec(&marker).expect("a marker is plain data");
        let path = self.root.join(MARKER);
        fs::write(&path, text).map_err(|error| machine(format!("write {}", path.display()), error))
    }

    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    pub fn demo(&self) -> PathBuf {
        self.root.join(DEMO)
    }

    pub fn log(&self, daemon: &str) -> PathBuf {
        self.logs().join(format!("{daemon}.log"))
    }

    pub fn data(&self, daemon: &str) -> PathBuf {
        self.root.join(daemon)
    }

    /// Of a station.
    pub fn api_socket(&self, station: &str) -> PathBuf {
        self.runtime.join(format!("{station}.api.sock"))
    }

    /// Where agents come to a station, and the other stations.
    pub fn session_socket(&self, station: &str) -> PathBuf {
        self.runtime.join(format!("{station}.agents.sock"))
    }

    /// With their numbers.
    pub fn stations(&self) -> impl Iterator<Item = (StationId, String)> {
        (1..).map(StationId).zip(self.size.stations())
    }

    /// Where a station is to be found by the other daemons: on a loopback address that no other dev cluster has, so that
    /// its ports are its own, and the same when the directory is used again.
    pub fn address(&self, station: &str) -> Address {
        // A kept directory may have been moved, and its stations know each other by what it was.
        let known = Keep::at(self.data(station).join(DIRECTORY)).membership();
        if let Ok(Some(Membership {
            listen: Some(listen),
            ..
        })) = known
        {
            return listen;
        }
        let number = revision::hash(revision::SEED, self.root.as_os_str().as_bytes());
        let [a, b, c, ..] = number.to_be_bytes();
        let of = self.stations().find(|(_, name)| name == station);
        let (StationId(number), _) = of.expect("it is one of the cluster's");
        Address::Tls {
            // Neither 127.0.0.1, which everybody uses, nor a network's own address or that of all in it.
            host: format!("127.{}.{b}.{}", a.clamp(1, 254), c.clamp(1, 254)),
            port: PORT + u16::try_from(number).expect("there are few"),
        }
    }

    /// What the cluster's authority is kept in.
    pub fn authority(&self) -> PathBuf {
        self.root.join(AUTHORITY)
    }

    pub fn api_sockets(&self) -> Vec<PathBuf> {
        let stations = self.size.stations();
        stations.map(|name| self.api_socket(&name)).collect()
    }
}

impl Removal {
    /// Removes what is there. What cannot be removed is said, and the rest goes on.
    pub fn carry_out(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut did = |path: &Path, result: io::Result<()>| match result {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => complaints.push(format!("{}: {error}", path.display())),
        };
        for tree in &self.trees {
            did(tree, fs::remove_dir_all(tree));
        }
        for file in &self.files {
            did(file, fs::remove_file(file));
        }
        for directory in &self.empty_directories {
            match fs::remove_dir(directory) {
                // Somebody else has something in it: it is theirs too.
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                result => did(directory, result),
            }
        }
        complaints
    }
}

/// A member that does not run is one lost: a majority of all that there are must come back.
fn all_members(root: &Path, size: Size) -> Result<(), Problem> {
    let last = (1..=DEV_STATIONS_MAX)
        .rev()
        .find(|station| !is_empty(&root.join(format!("s{station}"))));
    match last {
        Some(last) if last > size.stations => {
            let why = format!("its cluster has {last} stations, not {}", size.stations);
            let again = format!("mainstay dev --dir {} --stations {last}", root.display());
            Err(conflict(root, why).to_do(again))
        }
        Some(_) | None => Ok(()),
    }
}

/// But for what the parent puts there before a station runs.
fn is_empty(directory: &Path) -> bool {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name() != DIRECTORY)
        .count()
        == 0
}

/// A directory that was named: ours to make, empty, or kept by an earlier cluster.
fn given(directory: &Path) -> Result<(PathBuf, bool, bool), Problem> {
    let absolute = std::path::absolute(directory)
        .map_err(|error| machine(format!("use {}", directory.display()), error))?;
    let mut entries = match fs::read_dir(&absolute) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((absolute, true, false));
        }
        Err(error) => return Err(machine(format!("use {}", absolute.display()), error)),
    };
    if entries.next().is_none() {
        return Ok((absolute, false, false));
    }
    let marker = fs::read(absolute.join(MARKER)).ok();
    let marker: Option<Marker> = marker.and_then(|text| serde_json::from_slice(&text).ok());
    match marker {
        Some(marker) if process::is_alive(marker.parent) => Err(conflict(
            &absolute,
            format!(
                "the dev cluster of process {} has its data there",
                marker.parent.pid
            ),
        )),
        Some(marker) => Ok((absolute, false, marker.kept)),
        None => Err(conflict(
            &absolute,
            "it is not empty, and what is in it is not a dev cluster's",
        )),
    }
}

fn conflict(directory: &Path, why: impl std::fmt::Display) -> Problem {
    let mut problem = machine(
        format!("use {} for a dev cluster", directory.display()),
        why,
    )
    .to_do("mainstay dev");
    problem.exit = Exit::Conflict;
    problem
}

/// `$XDG_RUNTIME_DIR/mainstay` where it is short enough, else `/tmp/mainstay-UID`.
fn runtime_base() -> Result<PathBuf, Problem> {
    let fits = |base: &Path| {
        base.as_os_str().len() + 1 + 8 + SOCKET_NAME_BYTES_MAX <= SOCKET_PATH_BYTES_MAX
    };
    let given = env::var_os("XDG_RUNTIME_DIR")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from);
    if let Some(runtime) = given.filter(|runtime| runtime.is_dir()) {
        let base = runtime.join("mainstay");
        if fits(&base) {
            return Ok(base);
        }
    }
    let uid = geteuid().as_raw();
    let base = Path::new("/tmp").join(format!("mainstay-{uid}"));
    match fs::symlink_metadata(&base) {
        Err(_) => Ok(base),
        // /tmp is everybody's: a directory of ours by name may be somebody else's by right.
        Ok(found) if found.is_dir() && found.uid() == uid && found.mode() & 0o077 == 0 => Ok(base),
        Ok(_) => Err(machine(
            format!("use {} for sockets", base.display()),
            "it is not a directory of yours alone",
        )
        .to_do(format!("rm -r {}", base.display()))),
    }
}

fn private(directory: &Path) -> Result<(), Problem> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| machine(format!("make {}", directory.display()), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(stations: u16, nodes: u16) -> Size {
        Size { stations, nodes }
    }

    #[test]
    fn what_was_made_is_removed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("cluster");
        let layout = Layout::choose(Some(&root), false, size(3, 2)).unwrap();
        layout.make(false).unwrap();
        fs::write(layout.data("n2").join("x"), "x").unwrap();
        fs::write(layout.data("s3").join("x"), "x").unwrap();
        let sessions = ["s1", "s2", "s3"].map(|station| layout.session_socket(station));
        let sockets = [layout.api_sockets(), sessions.to_vec()].concat();
        for socket in &sockets {
            assert!(socket.as_os_str().len() <= SOCKET_PATH_BYTES_MAX);
            assert_eq!(sockets.iter().filter(|other| *other == socket).count(), 1);
        }

        assert_eq!(layout.removal.carry_out(), Vec::<String>::new());

        assert!(!root.exists() && !layout.runtime.exists());
        assert!(directory.path().exists());
        assert_eq!(
            layout.removal.carry_out(),
            Vec::<String>::new(),
            "twice is once"
        );
    }

    #[test]
    fn a_directory_of_somebody_else_is_refused_and_a_file_in_ours_survives() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::choose(Some(directory.path()), false, size(1, 1)).unwrap();
        layout.make(false).unwrap();
        fs::write(directory.path().join("mine.txt"), "x").unwrap();
        layout.removal.carry_out();
        assert!(directory.path().join("mine.txt").exists());

        let problem = Layout::choose(Some(directory.path()), false, size(1, 1)).unwrap_err();
        assert_eq!(problem.exit, Exit::Conflict, "{problem}");
        assert!(problem.why.contains("not empty"), "{problem}");
    }

    #[test]
    fn what_was_kept_once_stays_kept() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::choose(Some(directory.path()), true, size(1, 1)).unwrap();
        layout.make(true).unwrap();
        layout.removal.carry_out();
        assert!(layout.data("s1").exists());

        let problem = Layout::choose(Some(directory.path()), false, size(1, 1)).unwrap_err();
        assert!(problem.why.contains("has its data there"), "{problem}");

        let ended = Marker {
            kept: true,
            parent: ProcessId {
                started: 0,
                ..process::own()
            },
        };
        fs::write(
            directory.path().join(MARKER),
            serde_json::to_vec(&ended).unwrap(),
        )
        .unwrap();
        let again = Layout::choose(Some(directory.path()), false, size(1, 1)).unwrap();
        assert!(again.reopened && again.fresh, "no station ran there yet");
        fs::write(layout.data("s1").join("x"), "x").unwrap();
        let again = Layout::choose(Some(directory.path()), false, size(1, 1)).unwrap();
        assert!(again.reopened && !again.fresh);
        again.make(false).unwrap();
        again.removal.carry_out();
        assert!(again.data("s1").exists() && !again.runtime.exists());
        more_stations_may_come_and_none_may_stay_away(directory.path());
    }

    /// Of a kept directory, in which s1 ran.
    fn more_stations_may_come_and_none_may_stay_away(root: &Path) {
        let marker = fs::read(root.join(MARKER)).unwrap();
        let mut marker: Marker = serde_json::from_slice(&marker).unwrap();
        marker.parent.started = 0;
        fs::write(root.join(MARKER), serde_json::to_vec(&marker).unwrap()).unwrap();
        let more = Layout::choose(Some(root), false, size(3, 1)).unwrap();
        private(&more.data("s3")).unwrap();
        assert!(
            Layout::choose(Some(root), false, size(1, 1)).is_ok(),
            "it never ran"
        );
        fs::write(more.data("s3").join("x"), "x").unwrap();
        let problem = Layout::choose(Some(root), false, size(1, 1)).unwrap_err();
        assert_eq!(problem.exit, Exit::Conflict, "{problem}");
        assert!(problem.why.contains("3 stations"), "{problem}");
        assert!(problem.to_do.ends_with("--stations 3"), "{problem}");
        assert!(Layout::choose(Some(root), false, size(3, 1)).is_ok());
    }
}
