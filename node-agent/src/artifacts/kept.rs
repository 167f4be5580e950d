//! What is kept of artifacts, by its content, and who uses it.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use mainstay_protocol::{ArtifactId, Incarnation, PlacementName, Sha256};
use mainstay_service::hosting::Purpose;
use sha2::Digest;

use crate::held;

/// What nobody uses that is there is kept so long: it may be there again, after a pause, a repair, or another start of the node.
const KEPT_UNUSED: Duration = Duration::from_secs(24 * 60 * 60);
pub(super) const CONTENT: &str = "content";
pub(super) const COMING: &str = "content.part";
pub(super) const FILES: &str = "files";
pub(super) const UNPACKING: &str = "files.new";
pub(super) const USERS: &str = "users";
/// Behind the name of an instance, whose name has no such sign: its calls.
const CALLS: &str = "~calls";

/// Whoever changes what is kept does so alone.
static KEEPING: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    KEEPING.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn digest_of(bytes: &[u8]) -> Sha256 {
    Sha256::of_sha256(sha2::Sha256::digest(bytes).into())
}

/// Where one content is kept, for one that uses it.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) kept: Arc<Path>,
    pub(super) digest: Sha256,
    pub(super) user: PlacementName,
    pub(super) purpose: Purpose,
    pub(super) incarnation: Incarnation,
    pub(super) id: ArtifactId,
}

impl Place {
    pub(super) fn directory(&self) -> PathBuf {
        self.kept.join(self.digest.as_str())
    }

    /// Where it is already, and whole.
    pub(super) fn used(&self) -> io::Result<Option<PathBuf>> {
        let _alone = alone();
        let content = self.directory().join(CONTENT);
        match fs::read(&content) {
            Ok(bytes) if digest_of(&bytes) == self.digest => {
                self.mark()?;
                Ok(Some(content))
            }
            Ok(_) => {
                tracing::warn!(path = %content.display(), "what was kept is not what it was, and is removed");
                fs::remove_file(&content)?;
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// So many of its first bytes have come, in this attempt or an earlier one.
    pub(super) fn has_come(&self) -> io::Result<u64> {
        match fs::metadata(self.directory().join(COMING)) {
            Ok(there) => Ok(there.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Written to its place: an attempt that was broken off while it wrote may do so beside the next one.
    pub(super) fn comes(&self, from: u64, bytes: &[u8]) -> io::Result<()> {
        let _alone = alone();
        make(&self.directory())?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.directory().join(COMING))?;
        file.write_all_at(bytes, from)
    }

    /// All of it has come. What is not what it should be is got again from its beginning.
    pub(super) fn keep(&self) -> io::Result<PathBuf> {
        let _alone = alone();
        let (content, coming) = (
            self.directory().join(CONTENT),
            self.directory().join(COMING),
        );
        if digest_of(&fs::read(&coming)?) != self.digest {
            fs::remove_file(&coming)?;
            let why = "what came has another sha256 than it should";
            return Err(io::Error::other(why));
        }
        File::open(&coming)?.sync_all()?;
        self.mark()?;
        fs::rename(&coming, &content)?;
        Ok(content)
    }

    /// Besides whatever else it uses.
    fn mark(&self) -> io::Result<()> {
        let users = self.directory().join(USERS);
        make(&users)?;
        let text = format!(
            "{}\n{}",
            self.id.as_str(),
            held::file_name(self.incarnation)
        );
        let mark = match self.purpose {
            Purpose::Instance => self.user.to_string(),
            // No instance's: it goes a day after it was last used.
            Purpose::Call => format!("{}{CALLS}", self.user),
        };
        write(&users.join(mark), text.as_bytes())
    }
}

fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

pub(super) fn kept_in(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// The URN that a user knows it by, and its incarnation.
fn said(mark: &Path) -> (String, String) {
    let text = fs::read_to_string(mark).unwrap_or_default();
    let (id, incarnation) = text.split_once('\n').unwrap_or((&text, ""));
    (id.to_owned(), incarnation.to_owned())
}

/// The content that the instance, or another one, knows by this URN, if it is there and whole.
pub(super) fn had_before(kept: &Path, user: &PlacementName, id: &ArtifactId) -> Option<Sha256> {
    let _alone = alone();
    let knows = |mark: &Path| said(mark).0 == id.as_str();
    let mut all: Vec<PathBuf> = kept_in(kept)
        .into_iter()
        .filter(|directory| {
            kept_in(&directory.join(USERS))
                .iter()
                .any(|mark| knows(mark))
        })
        .collect();
    all.sort_by_key(|directory| !knows(&directory.join(USERS).join(user.as_str())));
    all.into_iter().find_map(|directory| {
        let digest = digest_of(&fs::read(directory.join(CONTENT)).ok()?);
        (directory.file_name()?.to_str()? == digest.as_str()).then_some(digest)
    })
}

/// One uses it no more; without another that does, it goes.
fn leave(directory: &Path, user: &PlacementName) {
    let users = directory.join(USERS);
    let was = fs::remove_file(users.join(user.as_str()));
    if was.is_ok() && kept_in(&users).is_empty() {
        remove(directory);
    }
}

fn remove(directory: &Path) {
    if let Err(error) = fs::remove_dir_all(directory) {
        tracing::warn!(path = %directory.display(), %error, "an artifact that nobody uses is not removed");
    }
}

/// At the agent's start: what nobody uses, or has not come whole. What was unpacked is unpacked again, since nobody compares
/// those files with anything, and what was written before the machine lost its power may not be what is there.
pub(super) fn sweep(kept: &Path) {
    let _alone = alone();
    for directory in kept_in(kept) {
        let is_whole = directory.join(CONTENT).exists();
        if !is_whole || kept_in(&directory.join(USERS)).is_empty() {
            remove(&directory);
            continue;
        }
        if let Err(error) = forget_unpacked(&directory) {
            tracing::warn!(path = %directory.display(), %error, "what was unpacked is not removed");
        }
    }
}

/// By another name first: a half is not taken for all of it.
fn forget_unpacked(directory: &Path) -> io::Result<()> {
    let (files, new) = (directory.join(FILES), directory.join(UNPACKING));
    gone(&new)?;
    if files.exists() {
        fs::rename(&files, &new)?;
    }
    gone(&new)
}

/// Now and then: whoever is there goes on using what it got, in this incarnation. Others have a day: an instance that went
/// without a word, an incarnation before the last one, an attempt that nobody took up again.
pub(super) fn look_through(
    kept: &Path,
    there: &BTreeSet<(PlacementName, Incarnation)>,
    now: SystemTime,
) {
    let _alone = alone();
    let there: BTreeSet<(String, String)> = there
        .iter()
        .map(|(user, incarnation)| (user.to_string(), held::file_name(*incarnation)))
        .collect();
    for directory in kept_in(kept) {
        let users = directory.join(USERS);
        for mark in kept_in(&users) {
            let user = mark.file_name().unwrap_or_default().to_string_lossy();
            if there.contains(&(user.into_owned(), said(&mark).1)) {
                stamp(&mark, now);
            } else if is_old(&mark, now) {
                // One that stays is found again.
                let _ = fs::remove_file(&mark);
            }
        }
        let coming = directory.join(COMING);
        let comes = coming.exists() && !is_old(&coming, now);
        if kept_in(&users).is_empty() && !comes {
            remove(&directory);
        }
    }
}

fn stamp(path: &Path, now: SystemTime) {
    let file = OpenOptions::new().write(true).open(path);
    if let Err(error) = file.and_then(|file| file.set_modified(now)) {
        tracing::warn!(path = %path.display(), %error, "that an artifact is used is not noted");
    }
}

/// One of a time that is still to come, since the clock was put back, begins anew.
fn is_old(path: &Path, now: SystemTime) -> bool {
    let Ok(modified) = fs::metadata(path).and_then(|of| of.modified()) else {
        return false;
    };
    match now.duration_since(modified) {
        Ok(age) => age > KEPT_UNUSED,
        Err(_) => {
            stamp(path, now);
            false
        }
    }
}

/// An instance that is not wanted any more, of the content that was got for it.
pub(crate) fn let_go(content: &Path, user: &PlacementName) {
    let _alone = alone();
    if let Some(directory) = content.parent() {
        leave(directory, user);
    }
}

/// One that uses a single content, of whatever it had before.
pub(crate) fn let_go_of_others(content: &Path, user: &PlacementName) {
    let _alone = alone();
    let directory = content.parent().unwrap_or(content);
    for other in directory.parent().map(kept_in).unwrap_or_default() {
        if other != directory {
            leave(&other, user);
        }
    }
}

fn gone(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The directory that a content is unpacked to, once for all who use it.
pub(crate) fn unpacked(content: &Path) -> Result<PathBuf, String> {
    let _alone = alone();
    let directory = content.parent().unwrap_or(content);
    let (files, new) = (directory.join(FILES), directory.join(UNPACKING));
    if files.is_dir() {
        return Ok(files);
    }
    let failed = |error: io::Error| error.to_string();
    gone(&new).map_err(failed)?;
    make(&new).map_err(failed)?;
    let bytes = fs::read(content).map_err(failed)?;
    let unpacked = mainstay_archive::read(&bytes, &mut |path, contents| {
        unpack_one(&new, path, contents)
    });
    if let Err(bad) = unpacked {
        // What is left of it is removed before the next attempt, if not now.
        let _ = fs::remove_dir_all(&new);
        return Err(bad.to_string());
    }
    fs::rename(&new, &files).map_err(failed)?;
    Ok(files)
}

/// Its path was checked; there are no links on its way, since none is ever made.
fn unpack_one(into: &Path, path: &str, contents: &mut dyn Read) -> io::Result<()> {
    let path = into.join(path);
    if let Some(above) = path.parent() {
        make(above)?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    io::copy(contents, &mut file).map(|_| ())
}
