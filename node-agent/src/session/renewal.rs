//! The agent's certificate is renewed when a third of its time is left; and, where an agent was dark for longer than that,
//! before anything else is said.

use std::time::{Duration, SystemTime};

use mainstay_identity::{DAEMON_VALID, Renewing};
use mainstay_protocol::Address;
use mainstay_protocol::code;
use mainstay_protocol::frame::Channel;
use mainstay_protocol::handshake::Handshake;
use mainstay_protocol::session::{AgentMessage, Renew, StationMessage};
use tokio::time::sleep;

use super::SessionError;
use super::opened::{Opened, in_time, unwelcome};

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(60);
/// A timer of days does not notice that the clock was set.
const LOOK: Duration = Duration::from_secs(600);

/// As long as there is a session. Never returns.
pub(super) async fn keep(shown: Option<&Renewing>, station: &Address, mine: &Handshake) {
    let Some(shown) = shown else {
        return std::future::pending().await;
    };
    loop {
        match due_in(shown) {
            Duration::ZERO => {
                if let Err(error) = renew(shown, station, mine).await {
                    tracing::warn!(%station, %error, "the certificate is not renewed; trying again");
                }
                sleep(PAUSE).await;
            }
            left => sleep(left.min(LOOK)).await,
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
