//! What is secret on its way to an instance: asked of the station that leads, or read from a file of this machine. It is
//! kept nowhere here; types that hand it to outside programs do that with `secret_files`.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_protocol::code;
use mainstay_protocol::limits;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::secret::{SecretAnswer, SecretBytes, SecretReference, SecretWanted};
use mainstay_protocol::session::AgentMessage;
use mainstay_service::Identity;
use rustix::fs::OFlags;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::trust::{self, Untrusted};

/// While there is no session, or its station does not lead any more. A start has a deadline of its own as well.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// What was asked of a session that broke is asked again.
const ASKED_EVERY: Duration = Duration::from_secs(1);
const OTHERS_WRITE: u32 = 0o022;

/// Where secrets are asked for, whichever session there is. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Secrets {
    asked: Arc<Mutex<Asked>>,
}

#[derive(Debug, Default)]
struct Asked {
    last: u64,
    session: Option<mpsc::Sender<AgentMessage>>,
    waiting: BTreeMap<u64, oneshot::Sender<SecretAnswer>>,
}

impl Secrets {
    pub(crate) fn session_is_up(&self, session: mpsc::Sender<AgentMessage>) {
        self.asked().session = Some(session);
    }

    pub(crate) fn session_is_down(&self) {
        self.asked().session = None;
    }

    /// From the station. Nobody waits for the answer to what was asked twice.
    pub(crate) fn answered(&self, request_id: u64, answer: SecretAnswer) {
        let waits = self.asked().waiting.remove(&request_id);
        if let Some(waits) = waits {
            let _ = waits.send(answer);
        }
    }

    /// For an instance that lives or starts on this node.
    pub(crate) async fn get(
        &self,
        identity: &Identity,
        reference: &SecretReference,
    ) -> Result<SecretBytes, Refusal> {
        match reference {
            SecretReference::File(path) => read(path).await,
            SecretReference::Cluster(name) => {
                let wanted = SecretWanted {
                    instance: identity.instance.clone(),
                    incarnation: identity.incarnation,
                    name: name.clone(),
                };
                let answered = timeout(ANSWERED_WITHIN, self.ask(wanted)).await;
                answered.unwrap_or_else(|_| {
                    let seconds = ANSWERED_WITHIN.as_secs();
                    let text = format!("no station that leads has answered for {seconds} s");
                    Err(Refusal::new(code::NO_SERVER, text))
                })
            }
        }
        .map_err(|refusal| Refusal {
            text: format!("{reference}: {}", refusal.text),
            ..refusal
        })
    }

    /// Until somebody who leads has answered.
    async fn ask(&self, wanted: SecretWanted) -> Result<SecretBytes, Refusal> {
        loop {
            let Some((request_id, answered)) = self.say(&wanted) else {
                sleep(ASKED_EVERY).await;
                continue;
            };
            let _waits = Waits(self, request_id);
            tokio::select! {
                answer = answered => match answer {
                    Ok(SecretAnswer::Given(bytes)) => return Ok(bytes),
                    Ok(SecretAnswer::Refused(refusal)) if passes(&refusal) => sleep(ASKED_EVERY).await,
                    Ok(SecretAnswer::Refused(refusal)) => return Err(refusal),
                    Err(_) => sleep(ASKED_EVERY).await,
                },
                () = sleep(ASKED_EVERY) => {}
            }
        }
    }

    /// None: as many as may be are asked for already.
    fn say(&self, wanted: &SecretWanted) -> Option<(u64, oneshot::Receiver<SecretAnswer>)> {
        let (answer, answered) = oneshot::channel();
        let mut asked = self.asked();
        if asked.waiting.len() >= limits::SECRETS_WANTED_MAX {
            return None;
        }
        asked.last += 1;
        let request_id = asked.last;
        asked.waiting.insert(request_id, answer);
        if let Some(session) = &asked.session {
            let wanted = wanted.clone();
            // One without room is asked again, like one that is not there.
            let _ = session.try_send(AgentMessage::SecretWanted { request_id, wanted });
        }
        Some((request_id, answered))
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question, until whoever asked it has gone on.
struct Waits<'a>(&'a Secrets, u64);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.asked().waiting.remove(&self.1);
    }
}

/// Another station may answer.
fn passes(refusal: &Refusal) -> bool {
    refusal.code == code::ANOTHER_LEADS || refusal.code == code::NO_QUORUM
}

/// On a thread for what blocks: a file may be on a file system that does not answer.
async fn read(path: &str) -> Result<SecretBytes, Refusal> {
    let path = PathBuf::from(path);
    let reading = tokio::task::spawn_blocking(move || read_now(&path));
    match timeout(ANSWERED_WITHIN, reading).await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => Err(Refusal::new(code::INTERNAL, error.to_string())),
        Err(_) => Err(Refusal::new(
            code::TIMEOUT,
            "its file system does not answer",
        )),
    }
}

/// What others of the machine could have put there is no secret, and what only others should see is not handed out.
fn read_now(path: &Path) -> Result<SecretBytes, Refusal> {
    let missing = |error: io::Error| Refusal::new(code::NO_SECRET, error.to_string());
    let walked = trust::walked(path).map_err(|why| match why {
        Untrusted::Missing(error) => missing(error),
        other => Refusal::new(code::NOT_ALLOWED, other.to_string()),
    })?;
    // Nobody is waited for who may write into a pipe.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(walked)
        .map_err(missing)?;
    let metadata = file.metadata().map_err(missing)?;
    if !metadata.is_file() {
        return Err(Refusal::new(code::NO_SECRET, "it is no file"));
    }
    if metadata.mode() & OTHERS_WRITE != 0 {
        let why = "others than its owner may write it: chmod go-w";
        return Err(Refusal::new(code::NOT_ALLOWED, why));
    }
    let most = limits::SECRET_BYTES_MAX;
    // At once as long as it can be: what was read is in one place.
    let mut bytes = Vec::with_capacity(most + 1);
    let mut limited = file.take(most as u64 + 1);
    limited.read_to_end(&mut bytes).map_err(missing)?;
    let bytes = SecretBytes::new(bytes);
    if bytes.expose().len() > most {
        let why = format!("a secret has at most {most} bytes");
        return Err(Refusal::new(code::NO_SECRET, why));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_that_others_could_have_put_there_is_no_secret() {
        // proves: U1
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let refused = |path: &Path| read_now(path).unwrap_err().code;
        assert_eq!(refused(&path), code::NO_SECRET);
        fs::write(&path, "hunter2").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read_now(&path).unwrap().expose(), b"hunter2");
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(read_now(&link).unwrap().expose(), b"hunter2", "ours too");
        fs::set_permissions(&path, Permissions::from_mode(0o660)).unwrap();
        assert_eq!(refused(&path), code::NOT_ALLOWED);
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, vec![b'a'; limits::SECRET_BYTES_MAX + 1]).unwrap();
        assert_eq!(refused(&path), code::NO_SECRET);
        assert_eq!(refused(Path::new("/dev")), code::NO_SECRET);

        // Whoever may write into a directory may lead from there to anywhere.
        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        symlink("/etc/passwd", open.join("link")).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        assert_eq!(refused(&open.join("link")), code::NOT_ALLOWED);
    }

    #[test]
    fn a_pipe_is_no_secret_and_nobody_waits_for_who_writes_into_it() {
        // proves: U1
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        assert_eq!(read_now(&path).unwrap_err().code, code::NO_SECRET);
    }
}
