//! Artifacts over the API: put, got, and refused each in its own way.

use mainstay_api::client::ArtifactSaid;
use mainstay_api::{Exit, Problem};
use mainstay_protocol::artifact::ArtifactId;
use mainstay_protocol::code::{self, Code};
use mainstay_protocol::{Sha256, limits};
use sha2::Digest;

use crate::cluster::Cluster;

const ID: &str = "urn:ivcap:artifact:00000000-0000-0000-0000-000000000004";

fn told(problem: &Problem) -> (u16, Exit, Code) {
    (problem.status, problem.exit, problem.code.clone())
}

/// Without its digest: the station says what it is.
fn said(name: &str) -> ArtifactSaid {
    ArtifactSaid {
        sha256: String::new(),
        name: Some(name.to_owned()),
        media_type: Some("text/plain".to_owned()),
    }
}

// proves: M6
#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_is_put_once_got_whole_and_refused_for_what_is_wrong() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    let client = &cluster.client;
    // Longer than a piece, and than any other request may be.
    let bytes: Vec<u8> = (0..700_000_u32).map(|at| at as u8).collect();
    let mut wanted = said("data");
    let unknown = client.artifact(ID).await.unwrap_err();
    assert_eq!(unknown.status, 404, "{unknown}");
    let bad = client.put_artifact(ID, &said("data"), bytes.clone()).await;
    assert_eq!(
        told(&bad.unwrap_err()),
        (400, Exit::Usage, code::BAD_REQUEST)
    );
    wanted.sha256 = "00".repeat(32);
    let broken = client.put_artifact(ID, &wanted, bytes.clone()).await;
    let broken = broken.unwrap_err();
    assert_eq!(told(&broken), (400, Exit::Usage, code::BAD_REQUEST));
    // What it has is said, and so it is known here.
    let has = broken.why.split(' ').find(|word| word.len() == 65);
    let has = has.expect("its digest").trim_end_matches(',').to_owned();
    assert!(Sha256::new(&has).is_ok(), "{broken}");
    assert!(client.artifacts().await.unwrap().is_empty());

    wanted.sha256.clone_from(&has);
    let put = client
        .put_artifact(ID, &wanted, bytes.clone())
        .await
        .unwrap();
    assert!(put.changed);
    let again = client
        .put_artifact(ID, &wanted, bytes.clone())
        .await
        .unwrap();
    assert!(!again.changed, "{}", again.text);
    let shown = client.artifact(ID).await.unwrap();
    assert_eq!((shown.bytes, &shown.sha256), (700_000, &has));
    assert!(!shown.archive && shown.files.is_none());
    let mut got = Vec::new();
    let mut pieces = client.artifact_content(ID).await.unwrap();
    while let Some(piece) = pieces.next().await.unwrap() {
        got.extend_from_slice(&piece);
    }
    assert_eq!(got, bytes);

    // Another content of the same id, and one that is too long for any.
    let other = ArtifactSaid {
        sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned(),
        ..said("abc")
    };
    let differs = client.put_artifact(ID, &other, b"abc".to_vec()).await;
    let differs = told(&differs.unwrap_err());
    assert_eq!(differs, (409, Exit::Conflict, code::ARTIFACT_DIFFERS));
    let id = ArtifactId::of_digest(&Sha256::new(&other.sha256).unwrap());
    let put = client
        .put_artifact(id.as_str(), &other, b"abc".to_vec())
        .await;
    assert!(put.unwrap().changed);
    let long = vec![0; limits::ARTIFACT_BYTES_MAX as usize + 1];
    let long = client
        .put_artifact(ID, &said("long"), long)
        .await
        .unwrap_err();
    assert_eq!(long.exit, Exit::Usage, "{long}");

    client.delete_artifact(ID).await.unwrap();
    let gone = client.delete_artifact(ID).await.unwrap_err();
    assert_eq!(gone.exit, Exit::NotFound, "{gone}");
}

// proves: M6
#[tokio::test(flavor = "multi_thread")]
async fn more_artifacts_than_are_taken_at_a_time_wait_for_each_other() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    let client = &cluster.client;
    let many = (0..3 * limits::ARTIFACT_PUTS_MAX).map(|at| async move {
        let bytes = vec![at as u8; 300_000];
        let digest = Sha256::of_sha256(sha2::Sha256::digest(&bytes).into());
        let id = ArtifactId::of_digest(&digest);
        let wanted = ArtifactSaid {
            sha256: digest.to_string(),
            ..said("one of many")
        };
        client.put_artifact(id.as_str(), &wanted, bytes).await
    });
    for put in futures::future::join_all(many).await {
        assert!(put.unwrap().changed);
    }
    let all = client.artifacts().await.unwrap();
    assert_eq!(all.len(), 3 * limits::ARTIFACT_PUTS_MAX);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_artifact_is_said_to_be_is_a_media_type() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    let client = &cluster.client;
    let put = |media_type: &str| {
        let digest = Sha256::of_sha256(sha2::Sha256::digest(b"abc").into());
        let wanted = ArtifactSaid {
            sha256: digest.to_string(),
            name: None,
            media_type: Some(media_type.to_owned()),
        };
        async move { client.put_artifact(ID, &wanted, b"abc".to_vec()).await }
    };
    for bad in ["", "bad type", "text", "/html", "text/", "text/html/x"] {
        let refused = put(bad).await.unwrap_err();
        assert_eq!(
            told(&refused),
            (400, Exit::Usage, code::BAD_REQUEST),
            "{bad}"
        );
    }
    for good in ["text/html", "text/html; charset=utf-8", "image/svg+xml"] {
        put(good).await.unwrap();
    }
}
