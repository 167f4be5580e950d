//! The agent's certificate is renewed when a third of its time is left, and when the station asks for it; and, where an agent
//! was dark for longer than that, before anything else is said.

use std::time::{Duration, SystemTime};

use mainstay_identity::{DAEMON_VALID, Renewing};
use mainstay_protocol::Address;
use mainstay_protocol::code;
use mainstay_protocol::frame::Channel;
use mainstay_protocol::handshake::Handshake;
use mainstay_protocol::request::{Answer, Refusal};
use mainstay_protocol::session::{AgentMessage, Renew, StationMessage};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::opened::{Opened, in_time, unwelcome};
use super::{Answers, SessionError};

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(60);
/// A timer of days does not notice that the clock was set.
const LOOK: Duration = Duration::from_secs(600);

/// What the station asks to be renewed now, by the request's id; and where each is answered.
pub(super) struct Asked {
    pub(super) requests: mpsc::Receiver<u64>,
    pub(super) answers: Answers,
}

/// As long as there is a session. Never returns.
pub(super) async fn keep(
    shown: Option<&Renewing>,
    station: &Address,
    mine: &Handshake,
    mut asked: Asked,
) {
    loop {
        let pause = match shown.map(|shown| (shown, due_in(shown))) {
            Some((shown, Duration::ZERO)) => {
                if let Err(error) = renew(shown, station, mine).await {
                    tracing::warn!(%station, %error, "the certificate is not renewed; trying again");
                }
                PAUSE
            }
            Some((_, left)) => left.min(LOOK),
            None => LOOK,
        };
        tokio::select! {
            () = sleep(pause) => {}
            Some(request_id) = asked.requests.recv() => {
                let answer = now(shown, station, mine).await;
                asked.answers.say(AgentMessage::Answer { request_id, answer }).await;
            }
        }
    }
}

/// Whatever is left of it.
async fn now(shown: Option<&Renewing>, station: &Address, mine: &Handshake) -> Answer {
    let Some(shown) = shown else {
        let text =
            "this agent shows no certificate: it is on its station's machine, and never joined";
        return Answer::Refused(Refusal::new(code::BAD_REQUEST, text));
    };
    match renew(shown, station, mine).await {
        Ok(()) => Answer::Done {
            text: "the certificate is renewed".to_owned(),
        },
        Err(SessionError::Refused { code, text }) => Answer::Refused(Refusal::new(code, text)),
        Err(error) => {
            let text = format!("the certificate is not renewed: {error}");
            Answer::Refused(Refusal::new(code::TARGET_FAILED, text))
        }
    }
}

/// What cannot be read of one's own certificate is best replaced.
fn due_in(shown: &Renewing) -> Duration {
    let due = shown.renew_in(DAEMON_VALID, SystemTime::now());
    due.unwrap_or_default()
}

/// Before a session: only where it would be refused.
pub(super) async fn where_over(
    shown: Option<&Renewing>,
    station: &Address,
    mine: &Handshake,
) -> Result<(), SessionError> {
    let Some(shown) = shown.filter(|_| matches!(station, Address::Tls { .. })) else {
        return Ok(());
    };
    let over = shown.not_after().is_ok_and(|end| end < SystemTime::now());
    match over {
        true => renew(shown, station, mine).await,
        false => Ok(()),
    }
}

/// A station says that it has run out: by this machine's clock it may not have.
pub(super) async fn as_told(
    shown: Option<&Renewing>,
    station: &Address,
    mine: &Handshake,
    error: &SessionError,
) {
    let over =
        matches!(error, SessionError::Refused { code, .. } if *code == code::CERTIFICATE_EXPIRED);
    let Some(shown) = shown.filter(|_| over) else {
        return;
    };
    if let Err(error) = renew(shown, station, mine).await {
        tracing::warn!(%station, %error, "the certificate has run out and is not renewed; trying again");
    }
}

async fn renew(shown: &Renewing, station: &Address, mine: &Handshake) -> Result<(), SessionError> {
    let asking = async {
        let mut opened = Opened::connect(station, Some(shown), Channel::Control).await?;
        opened.shake_hands(mine.clone()).await?;
        opened.write(AgentMessage::Renew(Renew {})).await?;
        match opened.word().await? {
            StationMessage::Certificate(certificate) => Ok(certificate.der),
            other => Err(unwelcome(other)),
        }
    };
    let der = in_time("renewing the certificate", asking).await?;
    let kept = shown.renewed(der.into());
    kept.map_err(|error| SessionError::NotKept(error.to_string()))?;
    tracing::info!(%station, "the certificate is renewed");
    Ok(())
}
