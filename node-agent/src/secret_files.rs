//! Secrets as files, for outside programs: on a file system in memory, in a directory per exclusive name, for the user
//! that the program runs as. They are there as long as the incarnation; what an agent that was killed leaves behind is
//! swept by its next life.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{
    DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink,
};
use std::path::{Path, PathBuf};

use mainstay_hold::users::Account;
use mainstay_protocol::SlotName;
use mainstay_protocol::revision::{SEED, hash};
use mainstay_protocol::secret::{SecretBytes, SecretReference};
use mainstay_service::{CannotStart, Context};
use rustix::fs::{FsWord, statfs};
use rustix::process::geteuid;

/// In the agent's directory: leads to where its secrets are in memory.
const LINK: &str = "secrets";
/// There, its name begins like this.
const ROOT: &str = "mainstay-secrets-";
const TMPFS: FsWord = 0x0102_1994;
const RAMFS: FsWord = 0x8584_58f6;
/// At the end of a directory's name, where names do not have it: it stays until its type takes it away.
const KEPT: char = '+';
/// File systems in memory that a machine has.
const IN_MEMORY: [&str; 2] = ["/run", "/dev/shm"];

/// Where an incarnation finds its secrets, whether they are there yet or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecretFiles {
    agent: PathBuf,
    slot: String,
}

/// Asks for what a configuration refers to, and puts it into files for whoever the program runs as.
pub(crate) async fn taken(
    references: BTreeSet<SecretReference>,
    user: Option<Account>,
    ctx: &Context,
) -> Result<SecretFiles, CannotStart> {
    let mut secrets = Vec::new();
    for reference in references {
        let bytes = ctx.secret(&reference.clone().into()).await?;
        secrets.push((reference, bytes));
    }
    let files = SecretFiles::of(ctx);
    let owner = user.map(|account| (account.uid, account.gid));
    files.write(&secrets, owner).map_err(not_written)?;
    Ok(files)
}

fn not_written(error: io::Error) -> CannotStart {
    CannotStart::not_now(format!("its secrets as files: {error}"))
}

impl SecretFiles {
    /// Of something that outlives its agent, and is found again by who looks after it.
    pub(crate) fn kept(ctx: &Context) -> Self {
        let mut files = Self::of(ctx);
        files.slot.push(KEPT);
        files
    }

    /// What is there stays as it is: whoever runs was given it.
    pub(crate) async fn complete(
        &self,
        references: BTreeSet<SecretReference>,
        ctx: &Context,
    ) -> Result<(), CannotStart> {
        if references.is_empty() {
            return Ok(());
        }
        let root = made_root(&self.agent).map_err(not_written)?;
        let directory = root.join(&self.slot);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(not_written)?;
        for reference in references {
            if !directory.join(name(&reference)).exists() {
                let bytes = ctx.secret(&reference.clone().into()).await?;
                add(&directory, &reference, &bytes).map_err(not_written)?;
            }
        }
        Ok(())
    }

    pub(crate) fn of(ctx: &Context) -> Self {
        Self::of_slot(&ctx.place().slot)
    }

    /// `slot` is a slot in the agent's directory; one that is in none has no secrets.
    pub(crate) fn of_slot(slot: &Path) -> Self {
        let name = slot.file_name().map(|name| name.to_string_lossy());
        let agent = slot.parent().and_then(Path::parent);
        Self {
            agent: agent.map(Path::to_owned).unwrap_or_default(),
            slot: name.unwrap_or_default().into_owned(),
        }
    }

    #[cfg(test)]
    pub(crate) fn nowhere() -> Self {
        Self::of_slot(Path::new(""))
    }

    /// A text that is a reference becomes the path of its file.
    pub(crate) fn in_place_of(&self, text: &str) -> Option<io::Result<String>> {
        let Ok(reference) = SecretReference::of(text)? else {
            return None;
        };
        Some(self.path(&reference).map(|path| path.display().to_string()))
    }

    fn path(&self, reference: &SecretReference) -> io::Result<PathBuf> {
        Ok(root(&self.agent)?.join(&self.slot).join(name(reference)))
    }

    /// Each for its user alone, nobody may change it. What was there before is gone.
    pub(crate) fn write(
        &self,
        secrets: &[(SecretReference, SecretBytes)],
        owner: Option<(u32, u32)>,
    ) -> io::Result<()> {
        if secrets.is_empty() {
            self.remove();
            return Ok(());
        }
        let directory = made_root(&self.agent)?.join(&self.slot);
        self.removed()?;
        DirBuilder::new().mode(0o700).create(&directory)?;
        for (reference, bytes) in secrets {
            own(&add(&directory, reference, bytes)?, owner)?;
        }
        own(&directory, owner)
    }

    /// The incarnation is over.
    pub(crate) fn remove(&self) {
        if let Err(error) = self.removed() {
            tracing::warn!(slot = self.slot, %error, "its secrets cannot be taken away");
        }
    }

    fn removed(&self) -> io::Result<()> {
        let Some(root) = made(&self.agent) else {
            return Ok(());
        };
        match fs::remove_dir_all(root.join(&self.slot)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Takes away what belongs to names that nobody has. What outlives its agent without having its name is its type's to take
/// away.
pub(crate) fn sweep(agent: &Path, held: impl Fn(&SlotName) -> bool) {
    let Some(root) = made(agent) else {
        return;
    };
    let entries = fs::read_dir(&root).into_iter().flatten().flatten();
    for name in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
        let kept = name.ends_with(KEPT);
        if !kept && !SlotName::new(&name).is_ok_and(|name| held(&name)) {
            let files = SecretFiles {
                agent: agent.to_owned(),
                slot: name,
            };
            files.remove();
        }
    }
}

/// All that an agent's directory leads to in memory, once nothing of it lives any more.
pub fn take_away_secrets(agent: &Path) {
    if let Some(root) = made(agent) {
        // Gone already, should the machine have been started anew.
        let _ = fs::remove_dir_all(root);
    }
    let _ = fs::remove_file(agent.join(LINK));
}

/// Where it is, if it was ever made, and is this agent's own.
fn made(agent: &Path) -> Option<PathBuf> {
    known(agent, &name_of_root(agent).ok()?).ok().flatten()
}

fn known(agent: &Path, own: &str) -> io::Result<Option<PathBuf>> {
    match fs::read_link(agent.join(LINK)) {
        // Copied along with the directory, it leads to another agent's.
        Ok(root) => Ok(Some(root).filter(|root| root.ends_with(own))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Names of secrets begin with a letter or a digit: no file of the machine is taken for one.
fn name(reference: &SecretReference) -> String {
    match reference {
        SecretReference::Cluster(name) => name.to_string(),
        SecretReference::File(path) => format!("_{:016x}", hash(SEED, path.as_bytes())),
    }
}

/// Where it was in an earlier life, or where it is going to be.
fn root(agent: &Path) -> io::Result<PathBuf> {
    let own = name_of_root(agent)?;
    match known(agent, &own)? {
        Some(root) => Ok(root),
        None => chosen(&own),
    }
}

fn name_of_root(agent: &Path) -> io::Result<String> {
    if agent.as_os_str().is_empty() {
        return Err(io::Error::other("its slot is in no agent's directory"));
    }
    let whole = agent.canonicalize()?;
    let number = hash(SEED, whole.as_os_str().as_encoded_bytes());
    Ok(format!("{ROOT}{number:016x}"))
}

fn chosen(own: &str) -> io::Result<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let candidates = IN_MEMORY.iter().map(PathBuf::from).chain(runtime);
    let found = candidates
        .into_iter()
        .find(|place| is_in_memory(place) && is_writable(place));
    found.map(|place| place.join(own)).ok_or_else(|| {
        io::Error::other(
            "this machine has no file system in memory that the agent may write (/run, /dev/shm, XDG_RUNTIME_DIR)",
        )
    })
}

fn made_root(agent: &Path) -> io::Result<PathBuf> {
    let root = root(agent)?;
    match DirBuilder::new().mode(0o711).create(&root) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let metadata = fs::symlink_metadata(&root)?;
    // Where others may make files too, somebody may have been there first.
    if !metadata.is_dir() || metadata.uid() != geteuid().as_raw() || !is_in_memory(&root) {
        let text = format!(
            "{} is not the agent's own directory in memory",
            root.display()
        );
        return Err(io::Error::other(text));
    }
    fs::set_permissions(&root, Permissions::from_mode(0o711))?;
    let link = agent.join(LINK);
    if fs::read_link(&link).is_ok_and(|known| known != root) {
        fs::remove_file(&link)?;
    }
    match symlink(&root, link) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(root),
    }
}

fn is_in_memory(place: &Path) -> bool {
    statfs(place).is_ok_and(|known| known.f_type == TMPFS || known.f_type == RAMFS)
}

fn is_writable(place: &Path) -> bool {
    rustix::fs::access(place, rustix::fs::Access::WRITE_OK).is_ok()
}

fn own(path: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    match owner {
        Some((uid, gid)) => chown(path, Some(uid), Some(gid)),
        None => Ok(()),
    }
}

/// Whole or not at all: memory may be full, and a file that is there is taken for what it is to be.
fn add(directory: &Path, reference: &SecretReference, bytes: &SecretBytes) -> io::Result<PathBuf> {
    let name = name(reference);
    let aside = directory.join(format!(".{name}"));
    // Of an agent that was killed while it wrote.
    let _ = fs::remove_file(&aside);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o400)
        .open(&aside)
        .and_then(|mut file| file.write_all(bytes.expose()));
    if let Err(error) = written {
        let _ = fs::remove_file(&aside);
        return Err(error);
    }
    let path = directory.join(name);
    fs::rename(aside, &path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(text: &str) -> SecretReference {
        text.parse().unwrap()
    }

    #[test]
    fn secrets_are_files_in_memory_for_one_user_until_they_are_taken_away() {
        // proves: U1
        let agent = tempfile::tempdir().unwrap();
        let slot = agent.path().join("slots/web");
        let files = SecretFiles::of_slot(&slot);
        let secrets = [
            (reference("secret://db"), SecretBytes::new(b"one".to_vec())),
            (
                reference("file:///etc/db"),
                SecretBytes::new(b"two".to_vec()),
            ),
        ];
        let before = files.in_place_of("secret://db").unwrap().unwrap();
        files.write(&secrets, None).unwrap();
        let path = files.in_place_of("secret://db").unwrap().unwrap();
        assert_eq!(before, path, "known before it is there");
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert!(is_in_memory(Path::new(&path)));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o400);
        let directory = Path::new(&path).parent().unwrap();
        assert_eq!(fs::metadata(directory).unwrap().mode() & 0o777, 0o700);
        let other = files.in_place_of("file:///etc/db").unwrap().unwrap();
        assert_eq!(fs::read(other).unwrap(), b"two");
        assert!(files.in_place_of("db").is_none());

        files.write(&secrets[1..], None).unwrap();
        assert!(!Path::new(&path).exists(), "what was there before is gone");
        sweep(agent.path(), |name| name.as_str() == "web");
        assert!(directory.exists(), "somebody has the name");
        sweep(agent.path(), |_| false);
        assert!(!directory.exists());
        fs::remove_dir_all(root(agent.path()).unwrap()).unwrap();
    }

    #[test]
    fn what_somebody_else_made_before_is_not_used() {
        // proves: U1
        let agent = tempfile::tempdir().unwrap();
        let foreign = tempfile::tempdir().unwrap();
        let theirs = foreign.path().join(name_of_root(agent.path()).unwrap());
        fs::write(&theirs, "").unwrap();
        symlink(&theirs, agent.path().join(LINK)).unwrap();
        let files = SecretFiles::of_slot(&agent.path().join("slots/web"));
        let secrets = [(reference("secret://db"), SecretBytes::new(b"one".to_vec()))];
        let refused = files.write(&secrets, None).unwrap_err().to_string();
        assert!(refused.contains("own directory in memory"), "{refused}");
        // Nor is what belongs to the directory that this one was copied from.
        fs::remove_file(agent.path().join(LINK)).unwrap();
        symlink(foreign.path(), agent.path().join(LINK)).unwrap();
        files.write(&secrets, None).unwrap();
        let path = files.in_place_of("secret://db").unwrap().unwrap();
        assert!(!Path::new(&path).starts_with(foreign.path()));
        assert_eq!(fs::read(path).unwrap(), b"one");
        take_away_secrets(agent.path());
        assert_eq!(fs::read_link(agent.path().join(LINK)).ok(), None);
    }
}
