//! What there is to say of a certificate, once its end is known: the same at a station and on the machine that keeps it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mainstay_identity::DAEMON_VALID;
use mainstay_protocol::Bearer;

use crate::time::Time;
use crate::types::{Certificate, Revoked};

/// Nobody renews a person's: so long before its end it is time to ask for another token.
pub const PERSON_DUE: Duration = Duration::from_secs(14 * 24 * 3600);

/// `ends` is none where nobody has shown it.
pub fn certificate(
    bearer: &Bearer,
    ends: Option<SystemTime>,
    revoked: Option<&Revoked>,
    now: SystemTime,
) -> Certificate {
    let by_itself = match bearer {
        Bearer::Agent(_) | Bearer::Station(_) => true,
        Bearer::Person { .. } => false,
    };
    let before = if by_itself {
        DAEMON_VALID / 3
    } else {
        PERSON_DUE
    };
    let renews = ends.map(|ends| ends - before);
    let state = match (revoked, ends, renews) {
        (Some(_), _, _) => "revoked",
        (None, Some(ends), _) if ends <= now => "expired",
        (None, _, Some(renews)) if renews <= now => "due",
        (None, Some(_), _) => "good",
        (None, None, _) => "unknown",
    };
    let note = match (state, bearer) {
        ("revoked", _) => revoked.map(|revoked| format!("{}: {}", revoked.by, revoked.why)),
        ("unknown", Bearer::Person { .. }) => {
            Some("it was not shown to this station yet".to_owned())
        }
        ("unknown", _) => {
            Some("it was not shown to this station yet; does its daemon run?".to_owned())
        }
        ("expired", Bearer::Agent(_)) => {
            Some("its agent asks for a new one as soon as it reaches a station".to_owned())
        }
        ("expired", Bearer::Station(_)) => {
            Some("its station issues itself a new one when it starts".to_owned())
        }
        ("expired" | "due", Bearer::Person { .. }) => {
            Some("nobody renews it: join with another token".to_owned())
        }
        _ => None,
    };
    Certificate {
        name: bearer.to_string(),
        state: state.to_owned(),
        ends: ends.map(time),
        left_ms: ends.map(|ends| left(ends, now)),
        renews: renews.filter(|_| by_itself && revoked.is_none()).map(time),
        note,
    }
}

fn left(ends: SystemTime, now: SystemTime) -> u64 {
    let left = ends.duration_since(now).unwrap_or_default();
    u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
}

fn time(at: SystemTime) -> Time {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_wall_ms(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_protocol::Role;

    const HOUR: Duration = Duration::from_secs(3600);

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn agent() -> Bearer {
        Bearer::Agent("n1".parse().unwrap())
    }

    fn person() -> Bearer {
        Bearer::Person {
            name: "ada".parse().unwrap(),
            role: Role::Operator,
        }
    }

    fn of(bearer: &Bearer, ends: Option<SystemTime>) -> Certificate {
        certificate(bearer, ends, None, now())
    }

    // proves: U1
    #[test]
    fn a_daemons_certificate_is_good_then_due_then_expired() {
        let third = DAEMON_VALID / 3;
        let good = of(&agent(), Some(now() + third + HOUR));
        assert_eq!(good.state, "good");
        assert_eq!(good.renews, Some(time(now() + HOUR)));
        assert_eq!(good.left_ms, Some((third + HOUR).as_millis() as u64));
        assert_eq!(good.note, None);
        let due = of(&agent(), Some(now() + third));
        assert_eq!((due.state.as_str(), due.renews), ("due", Some(time(now()))));
        let over = of(&agent(), Some(now()));
        assert_eq!((over.state.as_str(), over.left_ms), ("expired", Some(0)));
        assert!(over.note.unwrap().contains("asks for a new one"));
        let station = of(
            &Bearer::Station(mainstay_protocol::StationId(2)),
            Some(now() - HOUR),
        );
        assert!(station.note.unwrap().contains("when it starts"));
    }

    #[test]
    fn a_persons_is_never_renewed_by_itself_and_that_is_said_in_time() {
        let good = of(&person(), Some(now() + PERSON_DUE + HOUR));
        assert_eq!((good.state.as_str(), good.renews), ("good", None));
        for ends in [now() + PERSON_DUE, now() - HOUR] {
            let shown = of(&person(), Some(ends));
            assert!(["due", "expired"].contains(&shown.state.as_str()));
            assert!(shown.note.unwrap().contains("another token"));
        }
    }

    #[test]
    fn what_nobody_showed_is_unknown_and_what_is_revoked_is_so_whatever_its_end() {
        let unknown = of(&agent(), None);
        assert_eq!(
            (unknown.state.as_str(), unknown.ends, unknown.left_ms),
            ("unknown", None, None)
        );
        let revoked = Revoked {
            by: "ada".to_owned(),
            why: "sold".to_owned(),
        };
        for ends in [None, Some(now() + 100 * HOUR), Some(now() - HOUR)] {
            let shown = certificate(&agent(), ends, Some(&revoked), now());
            assert_eq!((shown.state.as_str(), shown.renews), ("revoked", None));
            assert_eq!(shown.note.as_deref(), Some("ada: sold"));
        }
    }
}
