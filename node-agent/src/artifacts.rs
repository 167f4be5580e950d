//! Artifacts on their way to an instance: asked of the station that leads, part by part, and kept in the agent's directory by what
//! they are, so that a start does not need them sent again.
//!
//! ```text
//!  artifacts/SHA256/content         the bytes, once all of them have come and are what they should be
//!  artifacts/SHA256/files/          what somebody unpacked them to
//!  artifacts/SHA256/users/INSTANCE  who uses it, with the URN that it knows it by; without any it is removed
//! ```

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_protocol::artifact::{ArtifactAnswer, ArtifactPart, ArtifactWanted};
use mainstay_protocol::code;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::session::AgentMessage;
use mainstay_protocol::{ArtifactId, PlacementName, Sha256, limits};
use mainstay_service::Identity;
use sha2::Digest;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

/// For each part, while there is no session, or its station does not lead any more.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// What was asked of a session that broke is asked again.
const ASKED_EVERY: Duration = Duration::from_secs(1);
const CONTENT: &str = "content";
const FILES: &str = "files";
const UNPACKING: &str = "files.new";
const USERS: &str = "users";

/// Whoever changes what is kept does so alone.
static KEEPING: Mutex<()> = Mutex::new(());

/// Where artifacts are asked for, whichever session there is. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Artifacts {
    asked: Arc<Mutex<Asked>>,
    kept: Arc<Path>,
}

#[derive(Debug, Default)]
struct Asked {
    last: u64,
    session: Option<mpsc::Sender<AgentMessage>>,
    waiting: BTreeMap<u64, oneshot::Sender<ArtifactAnswer>>,
}

impl Artifacts {
    /// Of the agent with this directory. What nobody uses, or came half, goes.
    pub(crate) fn of(directory: &Path) -> Self {
        let kept = directory.join("artifacts");
        sweep(&kept);
        Self {
            asked: Arc::default(),
            kept: kept.into(),
        }
    }

    pub(crate) fn session_is_up(&self, session: mpsc::Sender<AgentMessage>) {
        self.asked().session = Some(session);
    }

    pub(crate) fn session_is_down(&self) {
        self.asked().session = None;
    }

    /// From the station. Nobody waits for the answer to what was asked twice.
    pub(crate) fn answered(&self, request_id: u64, answer: ArtifactAnswer) {
        let waits = self.asked().waiting.remove(&request_id);
        if let Some(waits) = waits {
            let _ = waits.send(answer);
        }
    }

    /// The file with its bytes, for an instance that lives or starts on this node. Without a station it is what the instance had
    /// before.
    pub(crate) async fn get(
        &self,
        identity: &Identity,
        id: &ArtifactId,
    ) -> Result<PathBuf, Refusal> {
        let user = &identity.instance.placement;
        let first = match self.part(identity, id, 0).await {
            Err(refusal) if refusal.code == code::NO_SERVER => {
                let had = had_before(&self.kept, user, id);
                return had.ok_or(refusal);
            }
            answered => answered?,
        };
        let place = Place {
            kept: Arc::clone(&self.kept),
            digest: first.digest.clone(),
            user: user.clone(),
            id: id.clone(),
        };
        let there = place.clone();
        if let Some(path) = blocking(move || there.used()).await? {
            return Ok(path);
        }
        let bytes = self.fetched(identity, id, first).await?;
        blocking(move || place.keep(&bytes)).await
    }

    async fn fetched(
        &self,
        identity: &Identity,
        id: &ArtifactId,
        first: ArtifactPart,
    ) -> Result<Vec<u8>, Refusal> {
        let broken = |why: &str| Refusal::new(code::NOT_NOW, format!("{id}: {why}"));
        if first.size > limits::ARTIFACT_BYTES_MAX {
            return Err(broken("it is longer than any artifact"));
        }
        let mut bytes = first.bytes.bytes().to_vec();
        while (bytes.len() as u64) < first.size {
            let part = self.part(identity, id, bytes.len() as u64).await?;
            if part.digest != first.digest || part.bytes.bytes().is_empty() {
                return Err(broken("it became another one while it was read"));
            }
            bytes.extend_from_slice(part.bytes.bytes());
        }
        match digest_of(&bytes) == first.digest {
            true => Ok(bytes),
            false => Err(broken("what came has another sha256 than it should")),
        }
    }

    async fn part(
        &self,
        identity: &Identity,
        id: &ArtifactId,
        from: u64,
    ) -> Result<ArtifactPart, Refusal> {
        let wanted = ArtifactWanted {
            instance: identity.instance.clone(),
            incarnation: identity.incarnation,
            artifact: id.clone(),
            from,
        };
        let answered = timeout(ANSWERED_WITHIN, self.ask(wanted)).await;
        answered.unwrap_or_else(|_| {
            let seconds = ANSWERED_WITHIN.as_secs();
            let text = format!("{id}: no station that leads has answered for {seconds} s");
            Err(Refusal::new(code::NO_SERVER, text))
        })
    }

    /// Until somebody who leads has answered.
    async fn ask(&self, wanted: ArtifactWanted) -> Result<ArtifactPart, Refusal> {
        loop {
            let Some((request_id, answered)) = self.say(&wanted) else {
                // tidy: waits because others are asked for, or there is no session
                sleep(ASKED_EVERY).await;
                continue;
            };
            let _waits = Waits(self, request_id);
            tokio::select! {
                answer = answered => match answer {
                    Ok(ArtifactAnswer::Part(part)) => return Ok(part),
                    Ok(ArtifactAnswer::Refused(refusal)) if passes(&refusal) => sleep(ASKED_EVERY).await,
                    Ok(ArtifactAnswer::Refused(refusal)) => return Err(refusal),
                    Err(_) => sleep(ASKED_EVERY).await,
                },
                () = sleep(ASKED_EVERY) => {}
            }
        }
    }

    /// None: as many as may be are asked for already.
    fn say(&self, wanted: &ArtifactWanted) -> Option<(u64, oneshot::Receiver<ArtifactAnswer>)> {
        let (answer, answered) = oneshot::channel();
        let mut asked = self.asked();
        if asked.waiting.len() >= limits::ARTIFACTS_WANTED_MAX {
            return None;
        }
        asked.last += 1;
        let request_id = asked.last;
        asked.waiting.insert(request_id, answer);
        if let Some(session) = &asked.session {
            let wanted = wanted.clone();
            // One without room is asked again, like one that is not there.
            let _ = session.try_send(AgentMessage::ArtifactWanted { request_id, wanted });
        }
        Some((request_id, answered))
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question, until whoever asked it has gone on.
struct Waits<'a>(&'a Artifacts, u64);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.asked().waiting.remove(&self.1);
    }
}

/// Another station may answer.
fn passes(refusal: &Refusal) -> bool {
    refusal.code == code::ANOTHER_LEADS || refusal.code == code::NO_QUORUM
}

async fn blocking<T: Send + 'static>(
    what: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    let done = spawn_blocking(what).await;
    let failed = |why: String| Refusal::new(code::NOT_NOW, format!("its artifact: {why}"));
    match done {
        Ok(done) => done.map_err(|error| failed(error.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}

fn digest_of(bytes: &[u8]) -> Sha256 {
    Sha256::of_sha256(sha2::Sha256::digest(bytes).into())
}

fn alone() -> MutexGuard<'static, ()> {
    KEEPING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where one content is kept, for one that uses it.
#[derive(Clone)]
struct Place {
    kept: Arc<Path>,
    digest: Sha256,
    user: PlacementName,
    id: ArtifactId,
}

impl Place {
    fn directory(&self) -> PathBuf {
        self.kept.join(self.digest.as_str())
    }

    /// Where it is already, and whole.
    fn used(&self) -> io::Result<Option<PathBuf>> {
        let _alone = alone();
        let content = self.directory().join(CONTENT);
        match fs::read(&content) {
            Ok(bytes) if digest_of(&bytes) == self.digest => {
                self.mark()?;
                Ok(Some(content))
            }
            Ok(_) => {
                tracing::warn!(path = %content.display(), "what was kept is not what it was, and is removed");
                fs::remove_dir_all(self.directory())?;
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn keep(&self, bytes: &[u8]) -> io::Result<PathBuf> {
        let _alone = alone();
        self.mark()?;
        let (content, new) = (
            self.directory().join(CONTENT),
            self.directory().join("content.new"),
        );
        write(&new, bytes)?;
        fs::rename(&new, &content)?;
        Ok(content)
    }

    /// What it had before is not its any more.
    fn mark(&self) -> io::Result<()> {
        let users = self.directory().join(USERS);
        make(&users)?;
        write(&users.join(self.user.as_str()), self.id.as_str().as_bytes())?;
        for other in kept_in(&self.kept) {
            if other != self.directory() {
                leave(&other, &self.user);
            }
        }
        Ok(())
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

fn kept_in(kept: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(kept).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn had_before(kept: &Path, user: &PlacementName, id: &ArtifactId) -> Option<PathBuf> {
    let _alone = alone();
    let all = kept_in(kept).into_iter();
    let mut of_it = all.filter(|directory| {
        let said = fs::read_to_string(directory.join(USERS).join(user.as_str()));
        let is_whole = || {
            let digest = directory.file_name().and_then(|name| name.to_str());
            let bytes = fs::read(directory.join(CONTENT)).ok();
            bytes.is_some_and(|bytes| Some(digest_of(&bytes).as_str()) == digest)
        };
        said.is_ok_and(|said| said == id.as_str()) && is_whole()
    });
    of_it.next().map(|directory| directory.join(CONTENT))
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

/// What nobody uses, or has not come whole.
fn sweep(kept: &Path) {
    let _alone = alone();
    for directory in kept_in(kept) {
        let is_whole = directory.join(CONTENT).exists();
        if !is_whole || kept_in(&directory.join(USERS)).is_empty() {
            remove(&directory);
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

/// The directory that a content is unpacked to, once for all who use it.
pub(crate) fn unpacked(content: &Path) -> Result<PathBuf, String> {
    let _alone = alone();
    let directory = content.parent().unwrap_or(content);
    let (files, new) = (directory.join(FILES), directory.join(UNPACKING));
    if files.is_dir() {
        return Ok(files);
    }
    let failed = |error: io::Error| error.to_string();
    match fs::remove_dir_all(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn place(kept: &Path, user: &str, bytes: &[u8]) -> Place {
        Place {
            kept: kept.into(),
            digest: digest_of(bytes),
            user: PlacementName::new(user).unwrap(),
            id: ArtifactId::of_digest(&digest_of(bytes)),
        }
    }

    fn tar_of(path: &str, contents: &str) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("x"), contents).unwrap();
        let made = std::process::Command::new("tar")
            .arg("-C")
            .arg(dir.path())
            .arg(format!("--transform=s|^x$|{path}|"))
            .args(["-P", "-cf", "-", "x"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        made.stdout
    }

    #[test]
    fn what_is_kept_is_found_again_and_goes_with_the_last_who_uses_it() {
        // proves: M2
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (tar_of("a/index.html", "one"), tar_of("index.html", "other"));
        let web = place(dir.path(), "web", &one);
        let shop = place(dir.path(), "shop", &one);
        assert_eq!(web.used().unwrap(), None);
        let content = web.keep(&one).unwrap();
        assert_eq!(shop.used().unwrap(), Some(content.clone()));
        let files = unpacked(&content).unwrap();
        let page = || fs::read_to_string(files.join("a/index.html"));
        assert_eq!(page().unwrap(), "one");
        assert_eq!(unpacked(&content), Ok(files.clone()));
        // Without a station, an instance has what it had.
        assert_eq!(
            had_before(dir.path(), &web.user, &web.id),
            Some(content.clone())
        );
        let another = place(dir.path(), "web", &other);
        assert_eq!(had_before(dir.path(), &web.user, &another.id), None);

        another.keep(&other).unwrap();
        assert_eq!(page().unwrap(), "one", "shop uses it");
        let_go(&content, &shop.user);
        assert!(!content.exists());

        // What came half, or is not what it was, is got again.
        let content = another.directory().join(CONTENT);
        fs::write(&content, "broken").unwrap();
        assert_eq!(another.used().unwrap(), None);
        make(&another.directory().join(USERS)).unwrap();
        sweep(dir.path());
        assert_eq!(kept_in(dir.path()), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_hostile_archive_writes_nothing_outside_and_leaves_nothing() {
        // proves: M2
        let dir = tempfile::tempdir().unwrap();
        for path in ["../../../escaped", "/tmp/escaped-from-an-archive"] {
            let bytes = tar_of(path, "x");
            let place = place(&dir.path().join("artifacts"), "web", &bytes);
            let content = place.keep(&bytes).unwrap();
            let refused = unpacked(&content).unwrap_err();
            assert!(refused.contains("escaped"), "{refused}");
            assert!(!place.directory().join(UNPACKING).exists());
            assert!(!place.directory().join(FILES).exists());
        }
        assert!(!dir.path().join("escaped").exists());
        assert!(!Path::new("/tmp/escaped-from-an-archive").exists());
    }
}
