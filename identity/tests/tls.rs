//! Two ends of a connection that show each other who they are.
#![allow(clippy::unwrap_used, reason = "the failing line is the explanation")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mainstay_identity::tls::{self, ALPN_API, ALPN_SESSION, Peer, STATION_NAME};
use mainstay_identity::{
    Authority, Credentials, DAEMON_VALID, Fingerprint, NodeKey, SealKey, seal, unseal,
};
use mainstay_protocol::{Bearer, ClusterId, Role, StationId};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use uuid::Uuid;

fn cluster(number: u128) -> ClusterId {
    ClusterId(Uuid::from_u128(number))
}

fn authority(number: u128) -> Authority {
    Authority::found(cluster(number), SystemTime::now()).unwrap()
}

struct Shown {
    certificate: CertificateDer<'static>,
    key: NodeKey,
}

impl Shown {
    /// To whoever is of this authority.
    fn to(self, authority: &CertificateDer<'static>) -> Credentials {
        Credentials {
            authority: authority.clone(),
            certificate: self.certificate,
            key: self.key,
        }
    }
}

fn shown(authority: &Authority, bearer: &Bearer, since: SystemTime) -> Shown {
    let key = NodeKey::mint().unwrap();
    let public = key.public();
    let certificate = authority
        .issue(bearer, &public, since, DAEMON_VALID)
        .unwrap();
    Shown { certificate, key }
}

fn agent() -> Bearer {
    Bearer::Agent("n1".parse().unwrap())
}

/// Whom each of the two sees, or why one of them sees nobody.
async fn meet(
    trusted_here: &Authority,
    station: Shown,
    trusted_there: &Authority,
    comer: Shown,
    alpn: &[u8],
) -> Result<(Peer, Peer, Vec<u8>), String> {
    let here = trusted_here.certificate();
    let server = tls::server(&station.to(here)).unwrap();
    let there = trusted_there.certificate();
    let client = tls::client(&comer.to(there), alpn).unwrap();
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let serving = async move {
        let mut stream = TlsAcceptor::from(Arc::new(server))
            .accept(theirs)
            .await
            .map_err(|error| format!("station: {error}"))?;
        stream.write_all(b"!").await.unwrap();
        stream.flush().await.unwrap();
        let session = stream.get_ref().1;
        let spoken = session.alpn_protocol().unwrap_or_default().to_vec();
        let seen = tls::peer(here, session.peer_certificates());
        let seen = seen.map_err(|error| error.to_string())?;
        Ok::<_, String>((seen.expect("it showed something"), spoken))
    };
    let coming = async move {
        let name = STATION_NAME.try_into().unwrap();
        let mut stream = TlsConnector::from(Arc::new(client))
            .connect(name, ours)
            .await
            .map_err(|error| format!("comer: {error}"))?;
        // In TLS 1.3 whether the other side took our certificate is only heard with its first word.
        stream
            .read_u8()
            .await
            .map_err(|error| format!("comer: {error}"))?;
        let session = stream.get_ref().1;
        let seen = tls::peer(there, session.peer_certificates());
        let seen = seen.map_err(|error| error.to_string())?;
        Ok::<_, String>(seen.expect("a station shows something"))
    };
    let (served, came) = tokio::join!(serving, coming);
    let (comer, spoken) = served?;
    Ok((comer, came?, spoken))
}

// proves: U1
#[tokio::test]
async fn both_sides_know_who_the_other_is_and_what_is_spoken() {
    let authority = authority(1);
    let now = SystemTime::now();
    let s2 = Bearer::Station(StationId(2));
    let person = Bearer::Person {
        name: "ada".parse().unwrap(),
        role: Role::Operator,
    };
    for (bearer, alpn) in [
        (agent(), ALPN_SESSION),
        (person, ALPN_API),
        (s2.clone(), ALPN_SESSION),
    ] {
        let (comer, station, spoken) = meet(
            &authority,
            shown(&authority, &s2, now),
            &authority,
            shown(&authority, &bearer, now),
            alpn,
        )
        .await
        .unwrap();
        assert_ne!(comer.key(), station.key());
        let seen = |peer: Peer| (peer.cluster, peer.bearer.clone(), peer.is_over());
        let expected = |bearer: &Bearer| (cluster(1), bearer.clone(), false);
        assert_eq!(seen(comer), expected(&bearer));
        assert_eq!(seen(station), expected(&s2));
        assert_eq!(spoken, alpn);
    }
}

// proves: U1
#[tokio::test]
async fn a_strangers_certificate_is_refused_by_either_side() {
    let (own, foreign) = (authority(1), authority(1));
    let now = SystemTime::now();
    let station = |of: &Authority| shown(of, &Bearer::Station(StationId(1)), now);
    let comer = |of: &Authority| shown(of, &agent(), now);
    let refused = meet(&own, station(&own), &own, comer(&foreign), ALPN_SESSION).await;
    assert!(
        refused
            .as_ref()
            .is_err_and(|why| why.starts_with("station")),
        "{refused:?}"
    );
    let refused = meet(&own, station(&own), &foreign, comer(&own), ALPN_SESSION).await;
    assert!(refused.is_err(), "{refused:?}");
    // An agent that plays a station: its certificate is none for serving.
    let refused = meet(&own, comer(&own), &own, comer(&own), ALPN_SESSION).await;
    assert!(refused.is_err(), "{refused:?}");
}

// proves: U1
#[tokio::test]
async fn one_that_ran_out_opens_the_door_and_says_so_one_from_the_future_does_not() {
    let own = authority(1);
    let now = SystemTime::now();
    let station = || shown(&own, &Bearer::Station(StationId(1)), now);
    let month = Duration::from_secs(30 * 24 * 3600);
    let long_ago = shown(&own, &agent(), now - month);
    let (comer, _, _) = meet(&own, station(), &own, long_ago, ALPN_SESSION)
        .await
        .unwrap();
    assert!(comer.is_over());
    let stranger = authority(1);
    let strange = shown(&stranger, &agent(), now - month);
    let refused = meet(&own, station(), &own, strange, ALPN_SESSION).await;
    assert!(
        refused.is_err(),
        "expired and of another authority: {refused:?}"
    );
    let to_come = shown(&own, &agent(), now + month);
    let refused = meet(&own, station(), &own, to_come, ALPN_SESSION).await;
    assert!(refused.is_err(), "{refused:?}");
    // A station that ran out is believed by nobody: it issues for itself when it starts.
    let dark = shown(&own, &Bearer::Station(StationId(1)), now - month);
    let refused = meet(&own, dark, &own, shown(&own, &agent(), now), ALPN_SESSION).await;
    assert!(refused.is_err(), "{refused:?}");
}

// proves: U1
#[tokio::test]
async fn an_authority_that_was_sealed_and_opened_issues_what_is_believed_as_before() {
    let founded = authority(1);
    let key = SealKey::mint().unwrap();
    let sealed = seal(&key, "authority", founded.secret()).unwrap();
    let secret = unseal(&key, "authority", &sealed).unwrap();
    let certificate = founded.certificate().clone();
    let opened = Authority::open(cluster(1), certificate, &secret).unwrap();
    assert_eq!(opened.fingerprint(), founded.fingerprint());
    assert!(!format!("{opened:?}").contains("key"));
    let now = SystemTime::now();
    let kept = NodeKey::mint().unwrap().secret();
    let key = NodeKey::read(&kept).unwrap();
    let certificate = opened
        .issue(&agent(), &key.public(), now, DAEMON_VALID)
        .unwrap();
    let until = tls::not_after(opened.certificate(), &certificate).unwrap();
    let valid = until.duration_since(now).unwrap();
    assert!(
        valid.abs_diff(DAEMON_VALID) < Duration::from_secs(2),
        "{valid:?}"
    );
    let station = shown(&founded, &Bearer::Station(StationId(1)), now);
    let comer = Shown { certificate, key };
    let (comer, _, _) = meet(&founded, station, &founded, comer, ALPN_SESSION)
        .await
        .unwrap();
    assert_eq!(comer.bearer, agent());
}

// proves: U1
#[tokio::test]
async fn who_has_a_token_alone_believes_the_authority_that_it_names_and_no_other() {
    let (own, other) = (authority(1), authority(1));
    let now = SystemTime::now();
    for (named, day, is_believed) in [(&own, 0, true), (&other, 0, false), (&own, 30, false)] {
        let since = now - Duration::from_secs(day * 24 * 3600);
        let station = shown(&own, &Bearer::Station(StationId(1)), since);
        let server = tls::server(&station.to(own.certificate())).unwrap();
        let client = tls::stranger(named.fingerprint()).unwrap();
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let serving = tokio::spawn(async move {
            let stream = TlsAcceptor::from(Arc::new(server)).accept(theirs).await?;
            Ok::<_, std::io::Error>(stream.get_ref().1.peer_certificates().is_some())
        });
        let name = STATION_NAME.try_into().unwrap();
        let met = TlsConnector::from(Arc::new(client))
            .connect(name, ours)
            .await;
        assert_eq!(met.is_ok(), is_believed, "{day}: {:?}", met.err());
        if is_believed {
            assert!(!serving.await.unwrap().unwrap(), "it shows nothing itself");
        }
    }
    assert_eq!(Fingerprint::of(own.certificate()), own.fingerprint());
}
