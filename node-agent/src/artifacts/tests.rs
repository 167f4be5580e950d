//! What is got of artifacts, kept, and let go of.

use std::fs;

use mainstay_protocol::{Blob, InstanceKey, NodeName, SlotName};

use super::kept::{
    COMING, CONTENT, FILES, UNPACKING, USERS, digest_of, had_before, kept_in, look_through, sweep,
};
use super::*;

const PART: usize = limits::ARTIFACT_PART_BYTES;

fn identity(user: &str) -> Identity {
    Identity {
        instance: InstanceKey {
            placement: PlacementName::new(user).unwrap(),
            node: NodeName::new("n1").unwrap(),
        },
        incarnation: Incarnation::default(),
        name: SlotName::new(user).unwrap(),
    }
}

fn place(kept: &Path, user: &str, bytes: &[u8]) -> Place {
    Place {
        kept: kept.into(),
        digest: digest_of(bytes),
        user: PlacementName::new(user).unwrap(),
        purpose: Purpose::Instance,
        incarnation: Incarnation::default(),
        id: ArtifactId::of_digest(&digest_of(bytes)),
    }
}

fn keep(place: &Place, bytes: &[u8]) -> PathBuf {
    place.comes(0, bytes).unwrap();
    place.keep().unwrap()
}

/// A session, and what is asked of its station.
fn session(artifacts: &Artifacts) -> mpsc::Receiver<AgentMessage> {
    let (session, asked) = mpsc::channel(limits::SESSION_QUEUE_MAX);
    artifacts.session_is_up(session);
    asked
}

async fn heard(asked: &mut mpsc::Receiver<AgentMessage>) -> (u64, usize) {
    match asked.recv().await {
        Some(AgentMessage::ArtifactWanted { request_id, wanted }) => {
            (request_id, usize::try_from(wanted.from).unwrap())
        }
        other => panic!("{other:?} is no question for a part"),
    }
}

fn part_of(bytes: &[u8], from: usize) -> ArtifactAnswer {
    ArtifactAnswer::Part(ArtifactPart {
        digest: digest_of(bytes),
        size: bytes.len() as u64,
        bytes: Blob::new(&bytes[from..bytes.len().min(from + PART)]),
    })
}

fn long(parts: usize) -> Vec<u8> {
    (0..parts * PART - 7).map(|at| (at / 100) as u8).collect()
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
    let content = keep(&web, &one);
    assert_eq!(shop.used().unwrap(), Some(content.clone()));
    let files = unpacked(&content).unwrap();
    let page = || fs::read_to_string(files.join("a/index.html"));
    assert_eq!(page().unwrap(), "one");
    assert_eq!(unpacked(&content), Ok(files.clone()));
    // Without a station, an instance has what it had.
    assert_eq!(
        had_before(dir.path(), &web.user, &web.id),
        Some(web.digest.clone())
    );
    let another = place(dir.path(), "web", &other);
    assert_eq!(had_before(dir.path(), &web.user, &another.id), None);

    let second = keep(&another, &other);
    assert_eq!(web.used().unwrap(), Some(content.clone()), "both are its");
    let_go_of_others(&second, &web.user);
    assert_eq!(page().unwrap(), "one", "shop uses it");
    let_go(&content, &shop.user);
    assert!(!content.exists());

    // What came half, or is not what it was, is got again.
    let content = another.directory().join(CONTENT);
    fs::write(&content, "broken").unwrap();
    assert_eq!(another.used().unwrap(), None);
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
        let content = keep(&place, &bytes);
        let refused = unpacked(&content).unwrap_err();
        assert!(refused.contains("escaped"), "{refused}");
        assert!(!place.directory().join(UNPACKING).exists());
        assert!(!place.directory().join(FILES).exists());
    }
    assert!(!dir.path().join("escaped").exists());
    assert!(!Path::new("/tmp/escaped-from-an-archive").exists());
}

#[test]
fn an_instance_keeps_all_that_it_got_and_what_was_unpacked_is_unpacked_by_each_agent() {
    // proves: M2
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (tar_of("a", "one"), tar_of("a", "other"));
    let kept = dir.path().join("artifacts");
    let first = keep(&place(&kept, "web", &one), &one);
    let second = keep(&place(&kept, "web", &other), &other);
    assert!(first.exists() && second.exists());
    // Empty pages, after a loss of power.
    let files = unpacked(&first).unwrap();
    fs::write(files.join("a"), "").unwrap();
    let _next = Artifacts::of(dir.path());
    assert!(first.exists() && second.exists());
    let files = unpacked(&first).unwrap();
    assert_eq!(fs::read_to_string(files.join("a")).unwrap(), "one");
}

#[test]
fn what_an_instance_used_that_went_without_a_word_is_let_go_after_a_day() {
    // proves: M2
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (tar_of("a", "one"), tar_of("a", "other"));
    let web = place(dir.path(), "web", &one);
    let content = keep(&web, &one);
    let before = place(dir.path(), "web", &other);
    let old = keep(&before, &other);
    let there = |place: &Place| BTreeSet::from([(place.user.clone(), place.incarnation)]);
    let again = Place {
        incarnation: web.incarnation.next(),
        ..web.clone()
    };
    again.used().unwrap();
    place(dir.path(), "shop", b"never came whole")
        .comes(0, b"x")
        .unwrap();
    let hour = Duration::from_secs(60 * 60);
    let now = SystemTime::now();
    look_through(dir.path(), &there(&again), now + 23 * hour);
    assert_eq!(kept_in(dir.path()).len(), 3);
    look_through(dir.path(), &there(&again), now + 25 * hour);
    assert!(content.exists(), "it is there");
    assert!(!old.exists(), "only an earlier incarnation used it");
    assert_eq!(kept_in(dir.path()).len(), 1);
    look_through(dir.path(), &BTreeSet::new(), now + 48 * hour);
    assert!(content.exists(), "it may come again");
    // A clock that is put back is no reason, and does not keep it for ever.
    look_through(dir.path(), &BTreeSet::new(), now);
    assert!(content.exists());
    look_through(dir.path(), &BTreeSet::new(), now + 25 * hour);
    assert_eq!(kept_in(dir.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn without_a_station_a_start_gets_what_the_node_has_well_within_its_deadline() {
    // proves: M2
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::of(dir.path());
    let kept = dir.path().join("artifacts");
    let content = keep(&place(&kept, "web", b"bytes"), b"bytes");
    let id = place(&kept, "web", b"bytes").id;
    for user in ["web", "shop"] {
        let identity = identity(user);
        let got = artifacts.get(&identity, &id, Purpose::Instance);
        let got = timeout(ANSWERED_WITHIN / 2, got).await.unwrap();
        assert_eq!(got.unwrap(), content);
    }
    assert_eq!(kept_in(&content.parent().unwrap().join(USERS)).len(), 2);
    // What it became meanwhile is not handed out.
    fs::write(&content, "broken").unwrap();
    let user = PlacementName::new("web").unwrap();
    assert_eq!(had_before(&kept, &user, &id), None);
}

#[tokio::test]
async fn an_answer_that_comes_late_is_taken() {
    // proves: M2
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::of(dir.path());
    let mut first = session(&artifacts);
    let bytes = b"bytes";
    let (identity, id) = (identity("web"), place(dir.path(), "web", bytes).id);
    let station = async {
        let (early, _) = heard(&mut first).await;
        // It is asked again of the next session, and the answer to the first question comes after that.
        let mut second = session(&artifacts);
        let (_late, from) = heard(&mut second).await;
        artifacts.answered(early, part_of(bytes, from));
    };
    let got = timeout(ANSWERED_WITHIN, async {
        tokio::join!(artifacts.get(&identity, &id, Purpose::Instance), station).0
    });
    assert_eq!(fs::read(got.await.unwrap().unwrap()).unwrap(), bytes);
}

#[tokio::test]
async fn an_answer_on_a_slow_way_is_not_asked_for_each_second() {
    // proves: M2
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::of(dir.path());
    let mut asked = session(&artifacts);
    let (identity, id) = (identity("web"), place(dir.path(), "web", b"bytes").id);
    let station = async {
        let (request_id, from) = heard(&mut asked).await;
        // tidy: waits because an answer that takes longer than a second is what is tested
        sleep(ASKED_EVERY * 3).await;
        assert!(asked.try_recv().is_err());
        artifacts.answered(request_id, part_of(b"bytes", from));
    };
    let (got, ()) = tokio::join!(artifacts.get(&identity, &id, Purpose::Instance), station);
    assert_eq!(fs::read(got.unwrap()).unwrap(), b"bytes");
}

#[tokio::test]
async fn an_attempt_goes_on_where_the_last_one_was_broken_off() {
    // proves: M2
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::of(dir.path());
    let bytes = long(30);
    let (identity, id) = (identity("web"), place(dir.path(), "web", &bytes).id);
    let mut asked = session(&artifacts);
    let broken_off = async {
        for _ in 0..20 {
            let (request_id, from) = heard(&mut asked).await;
            artifacts.answered(request_id, part_of(&bytes, from));
        }
        // The parts are written one after the other, by somebody else.
        let coming = place(&dir.path().join("artifacts"), "web", &bytes);
        while coming.has_come().unwrap() < (10 * PART) as u64 {
            // tidy: waits because what has come is written by another thread
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        got = artifacts.get(&identity, &id, Purpose::Instance) => panic!("{got:?} without all of it"),
        () = broken_off => {}
    }
    let (mut asked, mut from_where) = (session(&artifacts), Vec::new());
    let station = async {
        loop {
            let (request_id, from) = heard(&mut asked).await;
            from_where.push(from);
            artifacts.answered(request_id, part_of(&bytes, from));
        }
    };
    let got = tokio::select! {
        got = artifacts.get(&identity, &id, Purpose::Instance) => got.unwrap(),
        () = station => unreachable!(),
    };
    assert_eq!(fs::read(&got).unwrap(), bytes);
    assert!(!got.with_file_name(COMING).exists());
    // Once the first, which says what it is; then what was missing.
    assert_eq!(from_where[0], 0);
    assert!(
        from_where[1..].iter().all(|from| *from >= 10 * PART),
        "{from_where:?}"
    );
}

#[tokio::test]
async fn several_parts_are_on_their_way_and_what_came_wrong_is_dropped() {
    // proves: M2
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::of(dir.path());
    let bytes = long(40);
    let (identity, id) = (identity("web"), place(dir.path(), "web", &bytes).id);
    let coming = place(&dir.path().join("artifacts"), "web", &bytes);
    coming.comes(0, &[7; PART]).unwrap();
    let mut asked = session(&artifacts);
    let mut most = 0;
    let station = async {
        loop {
            let mut all = vec![heard(&mut asked).await];
            // tidy: waits because whatever else is asked at once is to be heard before any of it is answered
            sleep(Duration::from_millis(20)).await;
            while let Ok(AgentMessage::ArtifactWanted { request_id, wanted }) = asked.try_recv() {
                all.push((request_id, usize::try_from(wanted.from).unwrap()));
            }
            most = most.max(all.len());
            // The last first.
            for (request_id, from) in all.into_iter().rev() {
                artifacts.answered(request_id, part_of(&bytes, from));
            }
        }
    };
    let got = async {
        let wrong = artifacts
            .get(&identity, &id, Purpose::Instance)
            .await
            .unwrap_err();
        assert!(wrong.text.contains("another sha256"), "{}", wrong.text);
        assert_eq!(coming.has_come().unwrap(), 0);
        artifacts
            .get(&identity, &id, Purpose::Instance)
            .await
            .unwrap()
    };
    let got = tokio::select! {
        got = got => got,
        () = station => unreachable!(),
    };
    assert_eq!(fs::read(got).unwrap(), bytes);
    assert!((2..=AT_ONCE_MAX).contains(&most), "{most} at once");
}
