//! What is secret on its way to an instance: asked of the station that leads, or read from a file of this machine. It is
//! kept nowhere here; types that hand it to outside programs do that with `secret_files`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_protocol::code;
use mainstay_protocol::limits;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::secret::{SecretAnswer, SecretBytes, SecretReference, SecretWanted};
use mainstay_protocol::session::AgentMessage;
use mainstay_service::Identity;
use rustix::process::geteuid;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

/// While there is no session, or its station does not lead any more. A start has a deadline of its own as well.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// What was asked of a session that broke is asked again.
const ASKED_EVERY: Duration = Duration::from_secs(1);
const WORLD_WRITABLE: u32 = 0o022;

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
            SecretReference::File(path) => read(path),
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
            let (request_id, answered) = self.say(&wanted)?;
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

    fn say(
        &self,
        wanted: &SecretWanted,
    ) -> Result<(u64, oneshot::Receiver<SecretAnswer>), Refusal> {
        let (answer, answered) = oneshot::channel();
        let mut asked = self.asked();
        if asked.waiting.len() >= limits::SECRETS_WANTED_MAX {
            let text = "too many instances of this node ask for secrets at once";
            return Err(Refusal::new(code::OVERLOADED, text));
        }
        asked.last += 1;
        let request_id = asked.last;
        asked.waiting.insert(request_id, answer);
        if let Some(session) = &asked.session {
            let wanted = wanted.clone();
            // One without room is asked again, like one that is not there.
            let _ = session.try_send(AgentMessage::SecretWanted { request_id, wanted });
        }
        Ok((request_id, answered))
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

/// What others of the machine could have written is no secret.
fn read(path: &str) -> Result<SecretBytes, Refusal> {
    let refused = |code, why: String| Err(Refusal::new(code, why));
    let missing = |error: std::io::Error| Refusal::new(code::NO_SECRET, error.to_string());
    let file = File::open(path).map_err(missing)?;
    let metadata = file.metadata().map_err(missing)?;
    if !metadata.is_file() {
        return refused(code::NO_SECRET, "it is no file".to_owned());
    }
    let owner = metadata.uid();
    if owner != 0 && owner != geteuid().as_raw() {
        let why = format!("it belongs to user {owner}, neither to root nor to the agent's user");
        return refused(code::NOT_ALLOWED, why);
    }
    if metadata.mode() & WORLD_WRITABLE != 0 {
        let why = "others than its owner may write it: chmod go-w".to_owned();
        return refused(code::NOT_ALLOWED, why);
    }
    let most = limits::SECRET_BYTES_MAX;
    let mut bytes = Vec::new();
    let mut limited = file.take(most as u64 + 1);
    limited.read_to_end(&mut bytes).map_err(missing)?;
    let bytes = SecretBytes::new(bytes);
    if bytes.expose().len() > most {
        let why = format!("a secret has at most {most} bytes");
        return refused(code::NO_SECRET, why);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_others_may_write_is_no_secret() {
        // proves: U1
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let text = path.to_str().unwrap();
        assert_eq!(read(text).unwrap_err().code, code::NO_SECRET);
        fs::write(&path, "hunter2").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read(text).unwrap().expose(), b"hunter2");
        fs::set_permissions(&path, Permissions::from_mode(0o660)).unwrap();
        assert_eq!(read(text).unwrap_err().code, code::NOT_ALLOWED);
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, vec![b'a'; limits::SECRET_BYTES_MAX + 1]).unwrap();
        assert_eq!(read(text).unwrap_err().code, code::NO_SECRET);
        assert_eq!(read("/dev").unwrap_err().code, code::NO_SECRET);
    }
}
