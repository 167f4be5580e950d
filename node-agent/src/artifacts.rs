//! Artifacts on their way to an instance: asked of the station that leads, part by part, and kept in the agent's directory by what
//! they are, so that a start does not need them sent again.
//!
//! ```text
//!  artifacts/SHA256/content         the bytes, once all of them have come and are what they should be
//!  artifacts/SHA256/content.part    what has come of them so far, from the first on
//!  artifacts/SHA256/files/          what somebody unpacked them to
//!  artifacts/SHA256/users/INSTANCE  who uses it (INSTANCE~calls: for its activities): the URN that it knows it by, and its incarnation; without any it is removed
//! ```

mod kept;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use mainstay_protocol::artifact::{ArtifactAnswer, ArtifactPart, ArtifactWanted};
use mainstay_protocol::code;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::session::AgentMessage;
use mainstay_protocol::{ArtifactId, Incarnation, PlacementName, Sha256, limits};
use mainstay_service::Identity;
use mainstay_service::hosting::Purpose;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep, timeout};

use kept::Place;
pub(crate) use kept::{let_go, let_go_of_others, unpacked};

/// While there is no session, or its station does not lead any more, and nothing comes.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// Where it is kept already: a start has to end with it, well within its deadline.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(3);
/// What was asked of a session that broke is asked again, and so is one whose station does not lead.
const ASKED_EVERY: Duration = Duration::from_secs(1);
/// Of a session that still is there: an answer that is on a slow way is not asked for again and again.
const ASKED_AGAIN: Duration = Duration::from_secs(10);
/// Parts that are asked for at once, as long as each answer comes so soon: others have something to say on the same way.
const AT_ONCE_MAX: usize = 8;
const SOON: Duration = Duration::from_millis(500);
/// How often is looked whether somebody who used something is there no more.
const LOOKED_EVERY: Duration = Duration::from_secs(10 * 60);

/// Where artifacts are asked for, whichever session there is. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Artifacts {
    asked: Arc<Mutex<Asked>>,
    kept: Arc<Path>,
    coming: Arc<Mutex<Coming>>,
}

#[derive(Debug, Default)]
struct Asked {
    last: u64,
    session: Option<mpsc::Sender<AgentMessage>>,
    sessions: u64,
    waiting: BTreeMap<u64, oneshot::Sender<ArtifactAnswer>>,
}

/// Each content comes once at a time, also for several.
type Coming = BTreeMap<Sha256, Weak<tokio::sync::Mutex<()>>>;

impl Artifacts {
    /// Of the agent with this directory. What nobody uses, or came half, goes.
    pub(crate) fn of(directory: &Path) -> Self {
        let kept = directory.join("artifacts");
        kept::sweep(&kept);
        Self {
            asked: Arc::default(),
            kept: kept.into(),
            coming: Arc::default(),
        }
    }

    /// As long as the agent lives: what was used by instances that are gone goes, however they went.
    pub(crate) async fn look_through(
        self,
        there: impl Fn() -> BTreeSet<(PlacementName, Incarnation)>,
    ) {
        loop {
            // tidy: waits because an agent that has just begun does not host yet what it is to host
            sleep(LOOKED_EVERY).await;
            let (kept, there) = (Arc::clone(&self.kept), there());
            let looked =
                spawn_blocking(move || kept::look_through(&kept, &there, SystemTime::now()));
            // It is looked again.
            let _ = looked.await;
        }
    }

    pub(crate) fn session_is_up(&self, session: mpsc::Sender<AgentMessage>) {
        let mut asked = self.asked();
        asked.session = Some(session);
        asked.sessions += 1;
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

    /// The file with its bytes, for an instance that lives or starts on this node. Without a station it is what the node has.
    pub(crate) async fn get(
        &self,
        identity: &Identity,
        id: &ArtifactId,
        purpose: Purpose,
    ) -> Result<PathBuf, Refusal> {
        let user = identity.instance.placement.clone();
        let place = |digest: Sha256| Place {
            kept: Arc::clone(&self.kept),
            digest,
            user: user.clone(),
            purpose,
            incarnation: identity.incarnation,
            id: id.clone(),
        };
        let (kept, its, named) = (Arc::clone(&self.kept), user.clone(), id.clone());
        let had = blocking(move || Ok(kept::had_before(&kept, &its, &named))).await?;
        let within = match had {
            Some(_) => CONFIRMED_WITHIN,
            None => ANSWERED_WITHIN,
        };
        let asked = self.clone().ask(wanted(identity, id, 0));
        let unanswered = || no_server(id, within);
        match timeout(within, asked).await {
            Ok(first) => {
                let first = first?;
                let place = place(first.digest.clone());
                self.fetched(identity, place, first).await
            }
            Err(_) => {
                let there = place(had.ok_or_else(unanswered)?);
                let used = blocking(move || there.used()).await?;
                used.ok_or_else(unanswered)
            }
        }
    }

    async fn fetched(
        &self,
        identity: &Identity,
        place: Place,
        first: ArtifactPart,
    ) -> Result<PathBuf, Refusal> {
        let coming = self.coming(&place.digest);
        let _alone = coming.lock().await;
        let there = place.clone();
        if let Some(path) = blocking(move || there.used()).await? {
            return Ok(path);
        }
        self.fetch(identity, &place, first).await?;
        blocking(move || place.keep()).await
    }

    /// What has not come yet, several parts at once. What has come stays for the next attempt, if this one is broken off.
    async fn fetch(
        &self,
        identity: &Identity,
        place: &Place,
        first: ArtifactPart,
    ) -> Result<(), Refusal> {
        let id = &place.id;
        let broken = |why: &str| Refusal::new(code::NOT_NOW, format!("{id}: {why}"));
        if first.size > limits::ARTIFACT_BYTES_MAX {
            return Err(broken("it is longer than any artifact"));
        }
        let (size, step) = (first.size, first.bytes.bytes().len() as u64);
        if step == 0 && size > 0 {
            return Err(broken("nothing of it came"));
        }
        let there = place.clone();
        let begin = blocking(move || there.has_come()).await?;
        // A part that was written half is asked for again.
        let mut has = if begin >= size {
            size
        } else {
            begin - begin % step
        };
        if has < step.min(size) || size == 0 {
            has = self.came(place, 0, first.bytes.bytes().to_vec()).await?;
        }
        let mut next = has;
        let mut early = BTreeMap::new();
        let (mut on_way, mut at_once) = (JoinSet::new(), 1);
        while has < size {
            while next < size && on_way.len() < at_once && early.len() < AT_ONCE_MAX {
                on_way.spawn(self.clone().timed(wanted(identity, id, next)));
                next += step;
            }
            let answered = timeout(ANSWERED_WITHIN, on_way.join_next()).await;
            let answered = answered.map_err(|_| no_server(id, ANSWERED_WITHIN))?;
            let (from, part, took) = match answered {
                Some(Ok(answered)) => answered,
                Some(Err(_)) | None => return Err(broken("nobody asked for it any more")),
            };
            let part = part?;
            if part.digest != first.digest
                || part.bytes.bytes().len() as u64 != step.min(size - from)
            {
                return Err(broken("it became another one while it was read"));
            }
            early.insert(from, part.bytes.bytes().to_vec());
            while let Some(bytes) = early.remove(&has) {
                has = self.came(place, has, bytes).await?;
            }
            at_once = match took < SOON {
                true => AT_ONCE_MAX.min(at_once + 1),
                false => 1.max(at_once / 2),
            };
        }
        Ok(())
    }

    /// How much there is then.
    async fn came(&self, place: &Place, from: u64, bytes: Vec<u8>) -> Result<u64, Refusal> {
        let there = place.clone();
        let has = from + bytes.len() as u64;
        blocking(move || there.comes(from, &bytes)).await?;
        Ok(has)
    }

    fn coming(&self, digest: &Sha256) -> Arc<tokio::sync::Mutex<()>> {
        let mut coming = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        coming.retain(|_, one| one.strong_count() > 0);
        if let Some(one) = coming.get(digest).and_then(Weak::upgrade) {
            return one;
        }
        let one = Arc::default();
        coming.insert(digest.clone(), Arc::downgrade(&one));
        one
    }

    async fn timed(self, wanted: ArtifactWanted) -> (u64, Result<ArtifactPart, Refusal>, Duration) {
        let (from, began) = (wanted.from, Instant::now());
        (from, self.ask(wanted).await, began.elapsed())
    }

    /// Until somebody who leads has answered.
    async fn ask(self, wanted: ArtifactWanted) -> Result<ArtifactPart, Refusal> {
        loop {
            if let Some((request_id, answered)) = self.waits() {
                let _waits = Waits(&self, request_id);
                match self.answer(request_id, &wanted, answered).await {
                    Some(ArtifactAnswer::Part(part)) => return Ok(part),
                    Some(ArtifactAnswer::Refused(refusal)) if !passes(&refusal) => {
                        return Err(refusal);
                    }
                    Some(ArtifactAnswer::Refused(_)) | None => {}
                }
            }
            // tidy: waits because others are asked for, or another station will lead
            sleep(ASKED_EVERY).await;
        }
    }

    /// The same question is asked again, so that whichever answer comes first counts, however late it is.
    async fn answer(
        &self,
        request_id: u64,
        wanted: &ArtifactWanted,
        mut answered: oneshot::Receiver<ArtifactAnswer>,
    ) -> Option<ArtifactAnswer> {
        let mut said = None;
        loop {
            said = self.say(request_id, wanted, said);
            tokio::select! {
                answer = &mut answered => return answer.ok(),
                () = sleep(ASKED_EVERY) => {}
            }
        }
    }

    /// None: as many as may be are asked for already.
    fn waits(&self) -> Option<(u64, oneshot::Receiver<ArtifactAnswer>)> {
        let (answer, answered) = oneshot::channel();
        let mut asked = self.asked();
        if asked.waiting.len() >= limits::ARTIFACTS_WANTED_MAX {
            return None;
        }
        asked.last += 1;
        let request_id = asked.last;
        asked.waiting.insert(request_id, answer);
        Some((request_id, answered))
    }

    /// In which session it was said, and when; not again while its answer may still be on its way.
    fn say(
        &self,
        request_id: u64,
        wanted: &ArtifactWanted,
        said: Option<(u64, Instant)>,
    ) -> Option<(u64, Instant)> {
        let asked = self.asked();
        let is_said = |(session, at): &(u64, Instant)| {
            *session == asked.sessions && at.elapsed() < ASKED_AGAIN
        };
        if said.as_ref().is_some_and(is_said) {
            return said;
        }
        let wanted = wanted.clone();
        // One without room is asked again, like one that is not there.
        let sent = asked.session.as_ref().is_some_and(|session| {
            let message = AgentMessage::ArtifactWanted { request_id, wanted };
            session.try_send(message).is_ok()
        });
        sent.then(|| (asked.sessions, Instant::now()))
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

fn wanted(identity: &Identity, id: &ArtifactId, from: u64) -> ArtifactWanted {
    ArtifactWanted {
        instance: identity.instance.clone(),
        incarnation: identity.incarnation,
        artifact: id.clone(),
        from,
    }
}

fn no_server(id: &ArtifactId, within: Duration) -> Refusal {
    let seconds = within.as_secs();
    let text = format!("{id}: no station that leads has answered for {seconds} s");
    Refusal::new(code::NO_SERVER, text)
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
