//! What a station says of its own parts when it is asked, as every service is: the recovery supervisor, the coordinator, the
//! event processor before it, the log, the disk, what it shows over the network. Gathered by one function, judged by another.

use std::fmt;
use std::time::{Duration, SystemTime};

use mainstay_api::time::span;
use mainstay_protocol::health::Health;
use mainstay_protocol::{Leadership, StationId, limits};

use crate::group::{SILENCE, majority};
use crate::shared::Shared;

/// A certificate with less left than this should have been renewed long ago.
const CERTIFICATE_LEFT: Duration = Duration::from_secs(12 * 3600);
/// A majority answers within this, or does not answer.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(2);

/// How a station's parts are.
#[derive(Debug, Clone)]
pub struct Parts {
    station: StationId,
    leadership: Option<Leadership>,
    /// Who leads, as far as it knows.
    leading: Option<StationId>,
    /// Why nobody does.
    nobody: String,
    voters: usize,
    /// Of who leads: those that do not answer it.
    unheard: Vec<StationId>,
    /// Of who leads: how long it took until a majority had confirmed that it does, or why none did.
    confirmed: Option<Result<Duration, String>>,
    applied: u64,
    last_entry: u64,
    /// Events that wait for the coordinator.
    waiting: usize,
    free_bytes: Option<u64>,
    /// What is left of its certificate; none on one machine alone.
    certificate: Option<Duration>,
}

/// Asks each part.
pub async fn ask(shared: &Shared) -> Parts {
    let status = shared.store.status();
    let leadership = shared.standing().leadership;
    let confirmed = match leadership {
        None => None,
        Some(_) => {
            let asked = std::time::Instant::now();
            let barrier = tokio::time::timeout(CONFIRMED_WITHIN, shared.store.barrier()).await;
            Some(match barrier {
                Ok(Ok(())) => Ok(asked.elapsed()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_elapsed) => Err(format!("none within {}", span(CONFIRMED_WITHIN))),
            })
        }
    };
    let unheard = status.heard.iter().filter(|(_, ago)| **ago >= SILENCE);
    let until = shared
        .access
        .as_ref()
        .and_then(|access| access.shown().not_after().ok());
    Parts {
        station: shared.about.station,
        leadership,
        leading: shared.leading(),
        nobody: shared.no_leader(),
        voters: status.voters.len(),
        unheard: unheard.map(|(station, _)| *station).collect(),
        confirmed,
        applied: status.applied.unwrap_or_default(),
        last_entry: status.last_entry.unwrap_or_default(),
        waiting: limits::INBOX_EVENTS_MAX - shared.inbox.capacity(),
        free_bytes: shared.store.short_of_space().map(|short| short.free_bytes),
        certificate: until.map(|until| until.duration_since(SystemTime::now()).unwrap_or_default()),
    }
}

impl Parts {
    /// The worst of them, and what is to be said of it.
    pub fn health(&self) -> (Health, String) {
        let mut worst = (Health::Ok, self.role());
        let mut found = |health: Health, text: String| {
            let weight = |health| match health {
                Health::Failed => 2,
                Health::Degraded => 1,
                _ => 0,
            };
            if weight(health) > weight(worst.0) {
                worst = (health, text);
            }
        };
        if self.leading.is_none() {
            found(Health::Failed, format!("nobody leads: {}", self.nobody));
        }
        if let Some(Err(why)) = &self.confirmed {
            let text = format!("no majority confirms that it leads: {why}");
            found(Health::Failed, text);
        }
        if let Some(free) = self.free_bytes {
            let text = format!("its disk is almost full: {} MiB are free", free >> 20);
            found(Health::Failed, text);
        }
        if self.certificate.is_some_and(|left| left < CERTIFICATE_LEFT) {
            found(Health::Degraded, format!("its certificate {}", self.left()));
        }
        if !self.unheard.is_empty() {
            found(Health::Degraded, format!("{} not heard", self.names()));
        }
        if self.waiting > limits::INBOX_EVENTS_MAX / 2 {
            let text = format!("{} events wait for its coordinator", self.waiting);
            found(Health::Degraded, text);
        }
        worst
    }

    fn role(&self) -> String {
        match (&self.leadership, self.leading) {
            (Some(leadership), _) => format!("it leads in term {}", leadership.term.0),
            (None, Some(leader)) => format!("it follows {leader}"),
            (None, None) => "nobody leads".to_owned(),
        }
    }

    fn names(&self) -> String {
        let names: Vec<String> = self.unheard.iter().map(ToString::to_string).collect();
        names.join(", ")
    }

    fn left(&self) -> String {
        match self.certificate {
            None => "is none".to_owned(),
            Some(Duration::ZERO) => "has run out".to_owned(),
            Some(left) => format!("stands for another {}", span(left)),
        }
    }
}

/// A line for each part.
impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.station, self.role())?;
        let coordinator = match (&self.leadership, &self.confirmed) {
            (Some(at), Some(Ok(took))) => format!(
                "decides in epoch {}, term {}; a majority confirmed that within {}",
                at.epoch.0,
                at.term.0,
                span(*took)
            ),
            (Some(_), Some(Err(why))) => format!("decides, and no majority confirms it: {why}"),
            (Some(_), None) => "decides".to_owned(),
            (None, _) => "rests: another station's decides".to_owned(),
        };
        writeln!(f, "coordinator: {coordinator}")?;
        writeln!(
            f,
            "event processor: {} of {} places taken",
            self.waiting,
            limits::INBOX_EVENTS_MAX
        )?;
        let unheard = match self.unheard.is_empty() {
            true => String::new(),
            false => format!("; {} not heard", self.names()),
        };
        writeln!(
            f,
            "log: {} of {} entries applied; {} of {} stations decide{unheard}",
            self.applied,
            self.last_entry,
            majority(self.voters),
            self.voters
        )?;
        match self.free_bytes {
            None => writeln!(f, "disk: there is room")?,
            Some(free) => writeln!(f, "disk: almost full, {} MiB are free", free >> 20)?,
        }
        write!(f, "certificate: {}", self.left())
    }
}

#[cfg(test)]
mod tests {
    use mainstay_protocol::{Epoch, Term};

    use super::*;

    fn leading() -> Parts {
        let leadership = Leadership {
            epoch: Epoch(1),
            term: Term(3),
        };
        Parts {
            station: StationId(1),
            leadership: Some(leadership),
            leading: Some(StationId(1)),
            nobody: String::new(),
            voters: 3,
            unheard: Vec::new(),
            confirmed: Some(Ok(Duration::from_millis(2))),
            applied: 12,
            last_entry: 12,
            waiting: 0,
            free_bytes: None,
            certificate: Some(Duration::from_secs(72 * 3600)),
        }
    }

    // proves: S3
    #[test]
    fn the_worst_of_its_parts_is_a_stations_health() {
        assert_eq!(
            leading().health(),
            (Health::Ok, "it leads in term 3".to_owned())
        );
        let follower = Parts {
            leadership: None,
            leading: Some(StationId(2)),
            confirmed: None,
            ..leading()
        };
        assert_eq!(follower.health(), (Health::Ok, "it follows s2".to_owned()));
        let unheard = Parts {
            unheard: vec![StationId(3)],
            ..leading()
        };
        let late = Parts {
            certificate: Some(Duration::ZERO),
            ..leading()
        };
        let busy = Parts {
            waiting: limits::INBOX_EVENTS_MAX,
            ..leading()
        };
        let full = Parts {
            free_bytes: Some(5 << 20),
            ..unheard.clone()
        };
        let cut = Parts {
            confirmed: Some(Err("none within 2 s".to_owned())),
            ..leading()
        };
        let lost = Parts {
            leading: None,
            nobody: "2 of 3 must hear each other".to_owned(),
            ..follower
        };
        for (parts, health, says) in [
            (unheard, Health::Degraded, "s3 not heard"),
            (late, Health::Degraded, "certificate has run out"),
            (busy, Health::Degraded, "events wait"),
            (full, Health::Failed, "5 MiB are free"),
            (cut, Health::Failed, "no majority confirms"),
            (lost, Health::Failed, "2 of 3 must hear"),
        ] {
            let (of, text) = parts.health();
            assert_eq!(of, health, "{text}");
            assert!(text.contains(says), "{text}");
            assert_eq!(parts.to_string().lines().count(), 6, "{parts}");
        }
    }
}
